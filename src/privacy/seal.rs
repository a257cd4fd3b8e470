//! Keyed hashes and encryption of single values. Deterministic: an event that is published again after a crash is the
//! same to the byte.
//!
//! - hash: `h1:` and the first 32 hex digits of HMAC-SHA-256 over the scope of the field, a line feed and the value;
//! - encryption: `e1:`, 8 hex digits that tell the key, `:`, and base64url without padding of nonce (12 bytes),
//!   AES-256-GCM cipher text and tag (16 bytes). Bound to its place: event id, a line feed and the field are the
//!   associated data. The nonce is a MAC of place and value under a key of its own, so two values never share one, and
//!   all that equal texts tell is that the same event was written twice.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use priem_sdk::Secret;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use uuid::Uuid;

/// Shortest secret for hashes, characters.
const HASH_KEY_LEAST: usize = 32;
const HASH_PREFIX: &str = "h1:";
const SEALED_PREFIX: &str = "e1:";

/// Why a key or a sealed value can't be used. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too short for a hash key.
    #[error("must have at least {HASH_KEY_LEAST} characters; make one with `openssl rand -hex 32`")]
    ShortKey,
    /// Not 64 hex digits.
    #[error("must be 64 hex digits; make them with `openssl rand -hex 32`")]
    NotAKey,
    /// Not what [`Sealer::seal`] made.
    #[error("not a sealed value")]
    NotSealed,
    /// Sealed with another key.
    #[error("sealed with another key")]
    OtherKey,
    /// Changed, or moved from another event or field.
    #[error("changed since it was sealed, or taken from another event or field")]
    Forged,
}

/// Makes keyed hashes.
pub(super) struct Hasher(hmac::Key);

impl Hasher {
    pub(super) fn new(secret: &Secret<String>) -> Result<Self, SealError> {
        if secret.expose().chars().count() < HASH_KEY_LEAST {
            return Err(SealError::ShortKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())))
    }

    /// The hash of a value in a scope.
    pub(super) fn hash(&self, scope: &[&str], value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in scope {
            context.update(part.as_bytes());
            context.update(b"\n");
        }
        context.update(value.as_bytes());
        format!("{HASH_PREFIX}{}", HEXLOWER.encode(&context.sign().as_ref()[..16]))
    }
}

/// Encrypts values and reads them again.
pub struct Sealer {
    key: LessSafeKey,
    nonces: [u8; 32],
    id: String,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.id)
    }
}

impl Sealer {
    /// A sealer with a key of 64 hex digits.
    ///
    /// # Errors
    /// [`SealError::NotAKey`].
    pub fn new(secret: &Secret<String>) -> Result<Self, SealError> {
        let bytes = HEXLOWER_PERMISSIVE
            .decode(secret.expose().as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(SealError::NotAKey)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::NotAKey)?;
        let id = blake3::derive_key("priem 2026 id of a privacy.encrypt_key", &bytes);
        Ok(Self {
            key: LessSafeKey::new(key),
            nonces: blake3::derive_key("priem 2026 nonces of a privacy.encrypt_key", &bytes),
            id: HEXLOWER.encode(&id[..4]),
        })
    }

    /// Encrypts a value of a field of an event.
    pub fn seal(&self, event: Uuid, field: &str, value: &str) -> String {
        let place = place(event, field);
        let mut nonces = blake3::Hasher::new_keyed(&self.nonces);
        nonces.update(place.as_bytes()).update(b"\n").update(value.as_bytes());
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&nonces.finalize().as_bytes()[..NONCE_LEN]);
        let mut out = nonce.to_vec();
        let mut sealed = value.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .expect("a message is far below the 64 GiB that AES-GCM can take");
        out.extend_from_slice(&sealed);
        format!("{SEALED_PREFIX}{}:{}", self.id, URL_SAFE_NO_PAD.encode(out))
    }

    /// Reads a value that [`Self::seal`] made.
    ///
    /// # Errors
    /// When it is none, of another key, changed or moved.
    pub fn open(&self, event: Uuid, field: &str, sealed: &str) -> Result<String, SealError> {
        let (id, text) = sealed
            .strip_prefix(SEALED_PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(SealError::NotSealed)?;
        if id != self.id {
            return Err(SealError::OtherKey);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::NotSealed)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(SealError::NotSealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::NotSealed)?;
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(place(event, field).as_bytes()), sealed)
            .map_err(|_| SealError::Forged)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::Forged)
    }

    /// Whether a text looks like a sealed value.
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(SEALED_PREFIX)
    }
}

fn place(event: Uuid, field: &str) -> String {
    format!("{event}\n{field}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealer(digit: char) -> Sealer {
        Sealer::new(&Secret::new(digit.to_string().repeat(64))).expect("a key")
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for text in ["", "short", &"g".repeat(64), &"a".repeat(63), &"ы".repeat(32)] {
            assert_eq!(
                Sealer::new(&Secret::new((*text).to_owned())).err(),
                Some(SealError::NotAKey)
            );
        }
        assert_eq!(
            Hasher::new(&Secret::new("k".repeat(31))).err(),
            Some(SealError::ShortKey)
        );
    }

    #[test]
    fn hashes_are_stable_and_differ_by_scope_and_key() {
        let hasher = |key: &str| Hasher::new(&Secret::new(key.repeat(32))).map_err(drop).expect("a key");
        let one = hasher("a").hash(&["author.name"], "иван петров");
        // HMAC-SHA-256 of "author.name\nиван петров" under 32 letters a, as any other library counts it.
        assert_eq!(one, "h1:c5874721aff32792aa4e29e5663c1c2c");
        assert_ne!(one, hasher("b").hash(&["author.name"], "иван петров"));
        assert_ne!(one, hasher("a").hash(&["author.username"], "иван петров"));
    }

    #[test]
    fn a_sealed_value_is_bound_to_its_place_and_key() {
        let event = Uuid::from_u128(7);
        let sealed = sealer('a').seal(event, "author.name", "Иван");
        assert_eq!(sealed, sealer('a').seal(event, "author.name", "Иван"), "the same again");
        assert_eq!(sealer('a').open(event, "author.name", &sealed), Ok("Иван".into()));
        assert_eq!(
            sealer('b').open(event, "author.name", &sealed),
            Err(SealError::OtherKey)
        );
        assert_eq!(sealer('a').open(event, "body.text", &sealed), Err(SealError::Forged));
        assert_eq!(
            sealer('a').open(Uuid::nil(), "author.name", &sealed),
            Err(SealError::Forged)
        );
        for broken in [
            "Иван",
            "e1:",
            "e1:00000000:",
            &sealed[..20],
            &sealed[..sealed.len() - 1],
        ] {
            assert!(sealer('a').open(event, "author.name", broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_can_be_read(text in ".{0,200}", event in any::<u128>()) {
            let (sealer, event) = (sealer('c'), Uuid::from_u128(event));
            let sealed = sealer.seal(event, "body.text", &text);
            prop_assert_eq!(sealer.open(event, "body.text", &sealed), Ok(text));
        }
    }
}
