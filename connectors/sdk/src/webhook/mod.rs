//! Helpers for [`receive`](crate::contract::Connector::receive): prove the sender, then read the body with care.
//!
//! Invariants: secrets are compared in constant time, whatever their length; a refusal says nothing about how near
//! the proof was; no body, however nested, can exhaust the stack.

mod address;
mod hook;
mod json;
mod networks;
mod secret;

pub use address::{HookPath, host_of};
pub use hook::{Hook, is_below};
pub use json::{MOST_DEPTH, describe, not_found, parse_json_bounded};
pub use networks::SourceNetworks;
pub use secret::{PathSecret, SharedSecret, generate_secret};

use secret::is_plain;

use crate::{contract::HookRequest, error::Refusal};

/// Lets only one HTTP method through.
///
/// # Errors
/// [`Refusal::MethodNotAllowed`] for any other.
pub fn require_method(request: &HookRequest, method: &str) -> Result<(), Refusal> {
    if request.method == method {
        Ok(())
    } else {
        Err(Refusal::MethodNotAllowed)
    }
}

/// Lets only requests through whose header holds the secret.
///
/// # Errors
/// [`Refusal::Unauthenticated`] without the header, [`Refusal::Forbidden`] with a wrong value.
pub fn require_header_secret(request: &HookRequest, header: &str, secret: &SharedSecret) -> Result<(), Refusal> {
    let given = request.headers.get(header).ok_or(Refusal::Unauthenticated)?;
    if secret.matches(given.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_header_secret_must_be_there_and_right() {
        let secret = SharedSecret::new(&Secret::new("right-secret".into()));
        let request = HookRequest::post("", "");
        let check = |request: &HookRequest| require_header_secret(request, "x-secret", &secret);
        assert_eq!(check(&request), Err(Refusal::Unauthenticated));
        for wrong in ["", "right-secre", "right-secret ", "RIGHT-SECRET", "wrong"] {
            let request = request.clone().with_header("x-secret", HeaderValue::from_static(wrong));
            assert_eq!(check(&request), Err(Refusal::Forbidden), "{wrong:?}");
        }
        let request = request.with_header("x-secret", HeaderValue::from_static("right-secret"));
        assert_eq!(check(&request), Ok(()));
    }

    #[test]
    fn other_methods_are_refused() {
        let mut request = HookRequest::post("", "");
        assert_eq!(require_method(&request, "POST"), Ok(()));
        request.method = "GET".into();
        assert_eq!(require_method(&request, "POST"), Err(Refusal::MethodNotAllowed));
    }
}
