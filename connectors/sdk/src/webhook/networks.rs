//! Networks a platform sends from.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Refusal;

/// Networks from which requests are taken; none listed means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SourceNetworks(#[schemars(with = "Vec<String>")] Vec<IpNet>);

impl SourceNetworks {
    /// These networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// A platform's published networks, as its connector lists them.
    ///
    /// # Panics
    /// When one is no network: these are constants, and each connector's tests build them.
    pub fn published(networks: &[&str]) -> Self {
        let networks = networks
            .iter()
            .map(|text| text.parse().expect("constant networks parse"));
        Self(networks.collect())
    }

    /// Whether nothing is listed, so that any sender passes.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a sender's address lies in one of the networks. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, sender: IpAddr) -> bool {
        let sender = sender.to_canonical();
        self.0.iter().any(|network| network.contains(&sender))
    }

    /// Lets senders from these networks through, everybody when none is listed.
    ///
    /// # Errors
    /// [`Refusal::ForeignNetwork`] for everybody else.
    pub fn require(&self, sender: IpAddr) -> Result<(), Refusal> {
        if self.is_open() || self.contains(sender) {
            Ok(())
        } else {
            Err(Refusal::ForeignNetwork)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_networks_pass() {
        let networks: SourceNetworks =
            serde_json::from_str(r#"["149.154.160.0/20", "2001:67c:4e8::/48"]"#).expect("networks");
        let passes = |address: &str| networks.require(address.parse().expect("an address")).is_ok();
        assert!(passes("149.154.167.220") && passes("2001:67c:4e8:f002::9"));
        assert!(passes("::ffff:149.154.167.220"), "IPv4 through an IPv6 socket");
        assert!(!passes("149.154.176.1") && !passes("127.0.0.1") && !passes("::1"));
    }

    #[test]
    fn no_list_lets_everybody_through() {
        let networks = SourceNetworks::default();
        assert!(networks.is_open() && networks.require(IpAddr::from([203, 0, 113, 1])).is_ok());
        assert!(!networks.contains(IpAddr::from([203, 0, 113, 1])));
    }
}
