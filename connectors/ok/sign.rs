//! The signature of a REST call.
//!
//! All parameters except `access_token`, `session_key` and `sig` are sorted by name, written as `name=value` one after
//! the other (UTF-8, not URL-encoded), followed by a secret; the MD5 of that in lower-case hex is `sig`. The secret
//! depends on how the token came: with a `session_secret_key`, or alone.

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use priem_sdk::Secret;

/// Parameters the signature leaves out.
const UNSIGNED: [&str; 3] = ["access_token", "session_key", "sig"];

/// What closes the signed text of every call with one token.
#[derive(Debug, Clone)]
pub(super) struct Signer(Secret<String>);

impl Signer {
    /// For a token that came with a `session_secret_key`.
    pub fn with_session_secret(secret: Secret<String>) -> Self {
        Self(secret)
    }

    /// For a token that came alone: the secret follows from the token and the application's secret key.
    pub fn from_application(access_token: &Secret<String>, application_secret: &Secret<String>) -> Self {
        let together = format!("{}{}", access_token.expose(), application_secret.expose());
        Self(Secret::new(md5_hex(&together)))
    }

    /// `sig` of these parameters.
    pub fn sign(&self, parameters: &[(&str, &str)]) -> String {
        let mut signed: Vec<(&str, &str)> = parameters
            .iter()
            .copied()
            .filter(|(name, _)| !UNSIGNED.contains(name))
            .collect();
        signed.sort_unstable();
        let mut text = String::new();
        for (name, value) in signed {
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        text.push_str(self.0.expose());
        md5_hex(&text)
    }
}

fn md5_hex(text: &str) -> String {
    HEXLOWER.encode(&Md5::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_token_that_came_alone_signs_with_a_derived_secret() {
        let signer = Signer::from_application(
            &secret("-s-84W-s3egarWUsbkq-IWTucuedzTKT8VUXIA.s4Xx8IW7"),
            &secret("ABC123DEF456GHI789JKL123"),
        );
        assert_eq!(signer.0.expose(), "b1a2b89707a94624c43afae67d59274c");
        let parameters = [
            ("method", "events.get"),
            ("format", "json"),
            ("application_key", "ABCDEFGHIGKLMNOPK"),
            ("access_token", "-s-84W-s3egarWUsbkq-IWTucuedzTKT8VUXIA.s4Xx8IW7"),
        ];
        assert_eq!(signer.sign(&parameters), "232c8eb921951c4dba9b72606f9ddb4c");
    }

    #[test]
    fn cyrillic_is_signed_as_utf8() {
        let derived = Signer::from_application(&secret("tkn-test"), &secret("APPSECRET"));
        let given = Signer::with_session_secret(secret("566bbd41dc61aa33e753354b7335ec26"));
        let parameters = [
            ("text", "Яма на дороге"),
            ("method", "discussions.getComments"),
            ("format", "json"),
            ("discussionType", "GROUP_TOPIC"),
            ("discussionId", "62190641299501"),
            ("count", "100"),
            ("application_key", "CBATESTKEY"),
            ("session_key", "unsigned"),
            ("sig", "unsigned"),
        ];
        for signer in [derived, given] {
            assert_eq!(signer.sign(&parameters), "7f03827ba7f120f1d1957bd9f71a08e6");
        }
    }

    #[test]
    fn the_secret_is_never_shown() {
        assert!(!format!("{:?}", Signer::with_session_secret(secret("planted"))).contains("planted"));
    }
}
