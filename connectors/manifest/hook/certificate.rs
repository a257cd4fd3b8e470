//! The certificate of a sender: the one our own listener checked, or the one a reverse proxy names.

use data_encoding::HEXLOWER_PERMISSIVE;
use priem_sdk::{ConfigError, HookRequest, Refusal};

use super::config::CertificateSettings;

/// Which certificates may send.
#[derive(Debug)]
pub(super) enum Certificate {
    /// These, shown to our own listener: SHA-256 of each in DER.
    Shown(Vec<[u8; 32]>),
    /// These, named by a reverse proxy.
    Named(CertificateSettings),
}

impl Certificate {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub(super) fn new(settings: &CertificateSettings) -> Result<Self, ConfigError> {
        match (settings.fingerprints.as_slice(), settings.subjects.as_slice()) {
            ([], []) => Err(ConfigError::new(
                "client_certificate",
                "name the certificates that may send, by `fingerprints` (our own listener) or `subjects` (a reverse \
                 proxy): any certificate of the authority is too many",
            )),
            ([_, ..], [_, ..]) => Err(ConfigError::new(
                "client_certificate",
                "give one of `fingerprints` (our own listener asks for the certificate) and `subjects` (a reverse proxy \
                 does): a request comes by one way",
            )),
            ([], _) => Ok(Self::Named(settings.clone())),
            (fingerprints, []) => {
                let read = |text: &String| {
                    fingerprint(text).ok_or_else(|| {
                        ConfigError::new(
                            "client_certificate.fingerprints",
                            format!(
                                "'{text}' is no SHA-256 fingerprint: 64 hexadecimal digits, with or without colons, as \
                                 `openssl x509 -in sender.pem -noout -fingerprint -sha256` prints them"
                            ),
                        )
                    })
                };
                fingerprints.iter().map(read).collect::<Result<_, _>>().map(Self::Shown)
            }
        }
    }

    /// Whether a request comes from one of them.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] without a certificate, [`Refusal::Forbidden`] with another one.
    pub(super) fn require(&self, request: &HookRequest) -> Result<(), Refusal> {
        let is_known = match self {
            Self::Shown(known) => {
                let shown = request.certificate_sha256.ok_or(Refusal::Unauthenticated)?;
                known.contains(&shown)
            }
            Self::Named(proxy) => {
                let verified = lone_header(request, &proxy.verify_header)?;
                let subject = lone_header(request, &proxy.subject_header)?;
                verified == proxy.verified && proxy.subjects.iter().any(|known| known == subject)
            }
        };
        if is_known { Ok(()) } else { Err(Refusal::Forbidden) }
    }
}

/// A header that stands there once: a second one may be the sender's own.
fn lone_header<'a>(request: &'a HookRequest, name: &str) -> Result<&'a str, Refusal> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| Refusal::Forbidden),
        (None, _) => Err(Refusal::Unauthenticated),
        (Some(_), Some(_)) => Err(Refusal::Forbidden),
    }
}

/// `AB:CD:…` or `abcd…`, 32 bytes.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn certificate(settings: Value) -> Result<Certificate, ConfigError> {
        Certificate::new(&serde_json::from_value(settings).expect("fits the types"))
    }

    fn shown(byte: Option<u8>) -> HookRequest {
        HookRequest {
            certificate_sha256: byte.map(|byte| [byte; 32]),
            ..HookRequest::post("path", "")
        }
    }

    #[test]
    fn only_the_certificates_named_may_send() {
        let colons = vec!["AB"; 32].join(":");
        let both = certificate(json!({"fingerprints": [colons, "cd".repeat(32)]})).expect("settings");
        assert_eq!(both.require(&shown(Some(0xab))), Ok(()));
        assert_eq!(both.require(&shown(Some(0xcd))), Ok(()));
        assert_eq!(both.require(&shown(Some(0xef))), Err(Refusal::Forbidden));
        assert_eq!(both.require(&shown(None)), Err(Refusal::Unauthenticated));
    }

    #[test]
    fn a_header_proves_nothing_to_our_own_listener() {
        let own = certificate(json!({"fingerprints": ["ab".repeat(32)]})).expect("settings");
        let mut request = shown(None);
        for (name, value) in [("x-client-verify", "SUCCESS"), ("x-client-subject", "CN=adapter")] {
            request.headers.insert(name, value.parse().expect("a value"));
        }
        assert_eq!(own.require(&request), Err(Refusal::Unauthenticated));
    }

    #[test]
    fn settings_that_let_everybody_or_nobody_in_are_refused() {
        for (settings, cure) in [
            (json!({}), "any certificate of the authority is too many"),
            (
                json!({"subjects": ["CN=a"], "fingerprints": ["ab".repeat(32)]}),
                "give one of",
            ),
            (json!({"fingerprints": ["ab:cd"]}), "openssl x509"),
            (json!({"fingerprints": ["я".repeat(32)]}), "openssl x509"),
        ] {
            let error = certificate(settings).expect_err("refused").to_string();
            assert!(error.contains(cure), "{error}");
        }
    }
}
