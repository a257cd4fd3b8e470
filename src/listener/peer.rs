//! Who sent a request: the address of the connection, or what trusted proxies say about it.
//!
//! `X-Forwarded-For` is believed only as far as trusted proxies have written it: from the right, proxy by proxy. The
//! first address that is no trusted proxy is the sender, whatever stands to its left was written by the sender itself.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Address of the sender of a request that came over a connection from `peer`.
pub(crate) fn sender(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let trusted = |address: &IpAddr| trusted_proxies.iter().any(|network| network.contains(address));
    if !trusted(&peer) {
        return peer;
    }
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| value.to_str().unwrap_or("?"))
        .collect();
    let mut nearest = peer;
    for entry in lines.iter().flat_map(|line| line.split(',')).rev() {
        // What can't be read can't be passed over either: the sender is the last hop we know.
        let Some(address) = parse_hop(entry.trim()) else { break };
        nearest = address;
        if !trusted(&address) {
            break;
        }
    }
    nearest
}

/// The address by which a sender's share of anything is counted: with IPv6 the network of 64 bits, of which a sender has
/// all addresses.
pub(crate) fn share_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// An address, with or without a port.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn sender_of(peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["127.0.0.0/8", "10.0.0.0/8"]
            .iter()
            .map(|network| network.parse().expect("a network"))
            .collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).expect("a value"));
        }
        sender(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(sender_of("203.0.113.9", &["149.154.160.1"]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_counts() {
        assert_eq!(sender_of("127.0.0.1", &["149.154.160.1"]), "149.154.160.1");
        assert_eq!(sender_of("127.0.0.1", &["1.2.3.4, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            sender_of("127.0.0.1", &["1.2.3.4", "203.0.113.9, 10.0.0.7"]),
            "203.0.113.9"
        );
        assert_eq!(sender_of("::ffff:127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(sender_of("127.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
    }

    #[test]
    fn garbage_stops_the_walk() {
        assert_eq!(sender_of("127.0.0.1", &["149.154.160.1, unknown"]), "127.0.0.1");
        assert_eq!(sender_of("127.0.0.1", &["149.154.160.1, x, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(sender_of("127.0.0.1", &[]), "127.0.0.1");
    }
}
