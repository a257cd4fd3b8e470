//! The HTTP client of every connector, so that the care a token needs is taken in one place.
//!
//! Invariants:
//! - errors and `Debug` never hold an address, a header or a body: tokens and citizens' words live in them;
//! - a redirect to another host, port or scheme is never followed, and no `Referer` is ever sent;
//! - a body is read up to a limit, whatever the platform claims or sends;
//! - the proxy is the one from the settings; proxies of the environment are not used.
//!
//! An answer outside 2xx is an [`HttpResponse`], not an error: platforms put their reasons into its JSON.

mod address;
mod client;
mod hold;
mod options;
mod request;
mod response;

pub use address::{is_loopback, require_safe_address, resolve_at_home};
pub use client::HttpClient;
pub use hold::Hold;
pub use options::{HttpClientSettings, HttpOptions};
pub use request::{HttpRequest, Retry};
pub use response::HttpResponse;

/// Makes ring the crypto provider of rustls for this process. Harmless to call again.
pub fn install_crypto_provider() {
    // An error only says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests;
