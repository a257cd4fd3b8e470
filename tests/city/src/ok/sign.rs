//! The signature as the documentation words it, for checking what a client sent. Written apart from the connector.

use std::{collections::BTreeMap, fmt::Write};

use md5::{Digest, Md5};

/// Lower-case hex MD5 of a text in UTF-8.
pub(super) fn md5(text: &str) -> String {
    let mut hex = String::new();
    for byte in Md5::digest(text) {
        // Writing to a string can't fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The secret of a session whose token came without one.
pub(super) fn session_secret(access_token: &str, application_secret_key: &str) -> String {
    md5(&(access_token.to_owned() + application_secret_key))
}

/// What `sig` must be.
pub(super) fn expected(parameters: &BTreeMap<String, String>, secret: &str) -> String {
    let mut base = String::new();
    // The map is in order of names already.
    for (name, value) in parameters {
        if name != "access_token" && name != "session_key" && name != "sig" {
            let _ = write!(base, "{name}={value}");
        }
    }
    md5(&(base + secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn both_published_vectors_hold() {
        let secret = session_secret(
            "-s-84W-s3egarWUsbkq-IWTucuedzTKT8VUXIA.s4Xx8IW7",
            "ABC123DEF456GHI789JKL123",
        );
        assert_eq!(secret, "b1a2b89707a94624c43afae67d59274c");
        let first = map(&[
            ("application_key", "ABCDEFGHIGKLMNOPK"),
            ("format", "json"),
            ("method", "events.get"),
        ]);
        assert_eq!(expected(&first, &secret), "232c8eb921951c4dba9b72606f9ddb4c");

        let secret = session_secret("tkn-test", "APPSECRET");
        assert_eq!(secret, "566bbd41dc61aa33e753354b7335ec26");
        let second = map(&[
            ("application_key", "CBATESTKEY"),
            ("count", "100"),
            ("discussionId", "62190641299501"),
            ("discussionType", "GROUP_TOPIC"),
            ("format", "json"),
            ("method", "discussions.getComments"),
            ("text", "Яма на дороге"),
            ("access_token", "tkn-test"),
        ]);
        assert_eq!(expected(&second, &secret), "7f03827ba7f120f1d1957bd9f71a08e6");
    }
}
