//! By which name a listener was asked.
//!
//! A page in an operator's browser may not read answers of another origin, but it may make its own name point to
//! 127.0.0.1 and ask us by that name (DNS rebinding). So only names that are ours are answered. An address is nobody's
//! name: a page can't come from it unless we served it.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Names a listener answers to, lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct HostNames(std::sync::Arc<[String]>);

impl HostNames {
    /// These names beside `localhost` and addresses.
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a `Host` header, or the authority of a target in absolute form, names us.
    fn is_ours(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        let host = authority.host().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        !authority.as_str().contains('@')
            && (bare.parse::<IpAddr>().is_ok()
                || host == "localhost"
                || host.ends_with(".localhost")
                || self.0.iter().any(|name| name == host))
    }

    /// Whether every name in the head of a request is ours. None at all (HTTP/1.0) is no browser.
    fn all_ours(&self, request: &Request) -> bool {
        let headers = request.headers().get_all(header::HOST).iter();
        let in_headers = headers.map(|host| host.to_str().unwrap_or("?"));
        let in_target = request.uri().authority().map(Authority::as_str);
        in_headers.chain(in_target).all(|authority| self.is_ours(authority))
    }
}

/// Answers 421 to requests by other names.
pub(super) async fn require(State(names): State<HostNames>, request: Request, next: Next) -> Response {
    if names.all_ours(&request) {
        return next.run(request).await;
    }
    let cure = "this listener does not go by that name; ask by an address, or add the name to http.admin.host_names\n";
    (StatusCode::MISDIRECTED_REQUEST, cure).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_our_own_names_and_addresses_are_answered() {
        let names = HostNames::new(&["Priem.MCU.local".into()]);
        for (host, ours) in [
            ("127.0.0.1:9464", true),
            ("[::1]:9464", true),
            ("10.0.0.5", true),
            ("localhost:9464", true),
            ("LOCALHOST.", true),
            ("a.localhost", true),
            ("priem.mcu.local:9464", true),
            ("evil.example:9464", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("priem.mcu.local.evil.example", false),
            ("localhost@evil.example", false),
            ("evil.example@localhost", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(names.is_ours(host), ours, "{host}");
        }
    }

    #[test]
    fn each_name_in_a_request_counts() {
        let names = HostNames::default();
        let ours = |target: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(target);
            for host in hosts {
                request = request.header("host", *host);
            }
            names.all_ours(&request.body(Body::empty()).unwrap())
        };
        assert!(ours("/metrics", &[]) && ours("/metrics", &["localhost"]));
        assert!(!ours("/metrics", &["localhost", "evil.example"]));
        assert!(!ours("http://evil.example/metrics", &["localhost"]));
        assert!(ours("http://127.0.0.1:9464/metrics", &["localhost"]));
    }
}
