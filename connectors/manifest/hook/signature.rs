//! HMAC signatures over a body.
//!
//! Comparing takes the same time whatever the guess (ring's `verify`), and an old request with a good signature is refused
//! when the manifest names where its time stands: the time is part of what is signed.

use std::{fmt, path::Path, time::Duration};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::Timestamp;
use priem_sdk::{ConfigError, HookRequest, Refusal};
use ring::hmac;

use super::config::{Algorithm, Encoding, SignatureSettings, TimestampFormat, TimestampSettings};

/// Signatures looked at in one header: senders with two keys give two.
const MOST_SIGNATURES: usize = 4;

/// Proves that the sender knows a key.
pub struct Signature {
    keys: Vec<hmac::Key>,
    header: String,
    field: Option<String>,
    encoding: Encoding,
    prefix: String,
    signed: Vec<Part>,
    timestamp: Option<Moment>,
    /// Name in the address, for senders that sign the path.
    connector: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Body,
    Timestamp,
    Method,
    Path,
}

struct Moment {
    header: String,
    field: Option<String>,
    format: TimestampFormat,
    window: Duration,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Signature {
    /// Reads the keys. `connector` is the name in the address, for senders that sign it.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key below `webhook`.
    pub fn new(settings: &SignatureSettings, connector: &str, base_dir: &Path) -> Result<Self, ConfigError> {
        let algorithm = match settings.algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let secret = settings.secret.read_for("signature.secret", base_dir)?;
        let mut keys = vec![hmac::Key::new(algorithm, secret.expose().as_bytes())];
        if let Some(previous) = &settings.previous_secret {
            let secret = previous.read_for("signature.previous_secret", base_dir)?;
            keys.push(hmac::Key::new(algorithm, secret.expose().as_bytes()));
        }
        let signed = parts(&settings.signed)?;
        if !signed.contains(&Part::Body) {
            return Err(ConfigError::new(
                "signature.signed",
                "must hold `{body}`: otherwise anybody could change it",
            ));
        }
        match (&settings.timestamp, signed.contains(&Part::Timestamp)) {
            (Some(_), true) | (None, false) => {}
            (Some(_), false) => {
                return Err(ConfigError::new(
                    "signature.signed",
                    "must hold `{timestamp}` when `timestamp` is named: a time that is not signed proves nothing",
                ));
            }
            (None, true) => {
                return Err(ConfigError::new(
                    "signature.timestamp",
                    "is needed: `signed` uses `{timestamp}`, say where it stands",
                ));
            }
        }
        let timestamp = match &settings.timestamp {
            None => None,
            Some(timestamp) => Some(Moment::new(timestamp, &settings.header)?),
        };
        Ok(Self {
            keys,
            header: settings.header.to_ascii_lowercase(),
            field: settings.field.clone(),
            encoding: settings.encoding,
            prefix: settings.prefix.clone(),
            signed,
            timestamp,
            connector: connector.to_owned(),
        })
    }

    /// Looks at the proof of a request.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] without a signature, [`Refusal::Forbidden`] for one that does not hold or is not of
    /// now.
    pub fn require(&self, request: &HookRequest) -> Result<(), Refusal> {
        let header = request.header(&self.header).ok_or(Refusal::Unauthenticated)?;
        let written = match &self.timestamp {
            None => "",
            Some(moment) => moment.written(request).ok_or(Refusal::Unauthenticated)?,
        };
        let signed = self.signed(request, written);
        let candidates = fields(header, self.field.as_deref()).take(MOST_SIGNATURES);
        let mut holds = false;
        for candidate in candidates {
            let Some(tag) = candidate
                .trim()
                .strip_prefix(&self.prefix)
                .and_then(|text| decode(text, self.encoding))
            else {
                continue;
            };
            holds |= self.keys.iter().any(|key| hmac::verify(key, &signed, &tag).is_ok());
        }
        if !holds {
            return Err(Refusal::Forbidden);
        }
        match &self.timestamp {
            Some(moment) if !moment.is_now(written, request.received_at) => Err(Refusal::Forbidden),
            _ => Ok(()),
        }
    }

    fn signed(&self, request: &HookRequest, timestamp: &str) -> Vec<u8> {
        let mut signed = Vec::with_capacity(request.body.len() + 64);
        for part in &self.signed {
            match part {
                Part::Text(text) => signed.extend_from_slice(text.as_bytes()),
                Part::Body => signed.extend_from_slice(&request.body),
                Part::Timestamp => signed.extend_from_slice(timestamp.as_bytes()),
                Part::Method => signed.extend_from_slice(request.method.as_bytes()),
                Part::Path => {
                    signed.extend_from_slice(format!("/hooks/{}/{}", self.connector, request.path).as_bytes())
                }
            }
        }
        signed
    }
}

impl Moment {
    fn new(settings: &TimestampSettings, signature_header: &str) -> Result<Self, ConfigError> {
        let window = Duration::try_from(settings.window).unwrap_or_default();
        if window.is_zero() || window > Duration::from_secs(24 * 60 * 60) {
            return Err(ConfigError::new(
                "signature.timestamp.window",
                "must lie between nothing and a day, like 5m",
            ));
        }
        let header = settings.header.as_deref().unwrap_or(signature_header);
        Ok(Self {
            header: header.to_ascii_lowercase(),
            field: settings.field.clone(),
            format: settings.format,
            window,
        })
    }

    /// The time as it is written: that is what was signed.
    fn written<'r>(&'r self, request: &'r HookRequest) -> Option<&'r str> {
        fields(request.header(&self.header)?, self.field.as_deref())
            .next()
            .map(str::trim)
    }

    fn is_now(&self, written: &str, received_at: Timestamp) -> bool {
        let moment = match self.format {
            TimestampFormat::UnixSeconds => written
                .parse()
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok()),
            TimestampFormat::UnixMillis => written
                .parse()
                .ok()
                .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            TimestampFormat::Rfc3339 => written.parse().ok(),
        };
        moment.is_some_and(|moment| moment.duration_since(received_at).unsigned_abs() <= self.window)
    }
}

/// The whole header, or the values under a name in a list `a=…,b=…`.
fn fields<'h>(header: &'h str, field: Option<&'h str>) -> Box<dyn Iterator<Item = &'h str> + 'h> {
    match field {
        None => Box::new(std::iter::once(header)),
        Some(field) => Box::new(header.split(',').filter_map(move |pair| {
            let (name, value) = pair.split_once('=')?;
            (name.trim() == field).then_some(value)
        })),
    }
}

fn parts(text: &str) -> Result<Vec<Part>, ConfigError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        parts.push(Part::Text(before.to_owned()));
        let (name, after) = after[1..]
            .split_once('}')
            .ok_or_else(|| ConfigError::new("signature.signed", "a `{` is not closed"))?;
        parts.push(match name {
            "body" => Part::Body,
            "timestamp" => Part::Timestamp,
            "method" => Part::Method,
            "path" => Part::Path,
            _ => {
                return Err(ConfigError::new(
                    "signature.signed",
                    format!("`{{{name}}}` is not known; known: {{body}}, {{timestamp}}, {{method}}, {{path}}"),
                ));
            }
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

fn decode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
        Encoding::Base64 => {
            let alphabet = if text.contains(['-', '_']) {
                alphabet::URL_SAFE
            } else {
                alphabet::STANDARD
            };
            let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            GeneralPurpose::new(&alphabet, config).decode(text).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    const KEY: &str = "key";
    const BODY: &str = "The quick brown fox jumps over the lazy dog";
    /// Published test vectors for this key and body.
    const SHA1: &str = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";
    const SHA256: &str = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    const SHA512: &str = "b42af09057bac1e2d41708e48a902e09b5ff7f12ab428a4fe86653c73dd248fb82f948a549f7b791a5b41915ee4d1ec3935357e4e2317250d0372afa2ebeeb3a";

    fn signature(settings: serde_json::Value) -> Result<Signature, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("key"), KEY).expect("write");
        std::fs::write(folder.path().join("new"), "another key").expect("write");
        let mut whole = json!({"header": "X-Signature", "secret": {"file": "key"}});
        let object = whole.as_object_mut().expect("an object");
        object.extend(settings.as_object().expect("an object").clone());
        Signature::new(&serde_json::from_value(whole).expect("fits"), "smev", folder.path())
    }

    fn request(headers: &[(&'static str, &str)]) -> HookRequest {
        let mut request = HookRequest::post("secret", BODY);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a value");
            request.headers.insert(HeaderName::from_static(name), value);
        }
        request
    }

    #[test]
    fn published_vectors_hold_in_every_dress() {
        let base64 = "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg";
        for (settings, header) in [
            (json!({}), SHA256.to_owned()),
            (json!({}), SHA256.to_ascii_uppercase()),
            (json!({"prefix": "sha256="}), format!("sha256={SHA256}")),
            (json!({"algorithm": "sha1"}), SHA1.to_owned()),
            (json!({"algorithm": "sha512"}), SHA512.to_owned()),
            (json!({"encoding": "base64"}), format!("{base64}=")),
            (json!({"encoding": "base64"}), base64.replace('+', "-")),
            (json!({"field": "v1"}), format!("t=7,v1=00,v1={SHA256}")),
            (
                json!({"secret": {"file": "new"}, "previous_secret": {"file": "key"}}),
                SHA256.to_owned(),
            ),
        ] {
            let signature = signature(settings.clone()).expect("settings");
            assert_eq!(
                signature.require(&request(&[("x-signature", &header)])),
                Ok(()),
                "{settings}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let signature = signature(json!({})).expect("settings");
        assert_eq!(signature.require(&request(&[])), Err(Refusal::Unauthenticated));
        for wrong in [
            "",
            "00",
            "zz",
            "f7bc8",
            SHA1,
            &SHA256[..62],
            &format!("{SHA256}00"),
            &SHA256.replace('f', "e"),
        ] {
            let refused = signature.require(&request(&[("x-signature", wrong)]));
            assert_eq!(refused, Err(Refusal::Forbidden), "{wrong:?}");
        }
        let mut changed = request(&[("x-signature", SHA256)]);
        changed.body = "The quick brown fox".into();
        assert_eq!(signature.require(&changed), Err(Refusal::Forbidden));
    }

    #[test]
    fn a_request_played_again_later_is_refused() {
        let signature = signature(json!({
            "signed": "{timestamp}.{method}.{path}.{body}", "field": "v1", "timestamp": {"field": "t", "window": "5m"}
        }))
        .expect("settings");
        let sign = |seconds: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
            let text = format!("{seconds}.POST./hooks/smev/secret.{BODY}");
            HEXLOWER_PERMISSIVE.encode(hmac::sign(&key, text.as_bytes()).as_ref())
        };
        let tag = sign("1000");
        let at = |seconds, header: &str| {
            let mut request = request(&[("x-signature", header)]);
            request.received_at = Timestamp::from_second(seconds).expect("a time");
            signature.require(&request)
        };
        let header = format!("t=1000,v1={tag}");
        assert_eq!(
            (at(1000, &header), at(1300, &header), at(700, &header)),
            (Ok(()), Ok(()), Ok(()))
        );
        assert_eq!(
            (at(1301, &header), at(699, &header)),
            (Err(Refusal::Forbidden), Err(Refusal::Forbidden))
        );
        assert_eq!(
            at(2000, &format!("t=2000,v1={tag}")),
            Err(Refusal::Forbidden),
            "the time is signed"
        );
        assert_eq!(at(1000, &format!("v1={tag}")), Err(Refusal::Unauthenticated));
        assert_eq!(
            at(1000, &format!("t=soon,v1={}", sign("soon"))),
            Err(Refusal::Forbidden)
        );
    }

    #[test]
    fn settings_that_prove_nothing_are_refused() {
        for (settings, key) in [
            (json!({"signed": "{timestamp}"}), "signature.signed"),
            (json!({"signed": "{bdoy}"}), "signature.signed"),
            (json!({"signed": "{timestamp}{body}"}), "signature.timestamp"),
            (json!({"timestamp": {"header": "x-time"}}), "signature.signed"),
            (
                json!({"signed": "{timestamp}{body}", "timestamp": {"header": "x-time", "window": "0s"}}),
                "signature.timestamp.window",
            ),
            (json!({"secret": {"file": "absent"}}), "signature.secret"),
        ] {
            assert_eq!(signature(settings).expect_err(key).key, key);
        }
    }
}
