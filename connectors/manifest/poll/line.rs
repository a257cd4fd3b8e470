//! The line to the source: credentials on every request, one new token after a refusal, statuses as decisions.
//!
//! Credentials go to the host of `base_url` only: requests are built from it, and links in answers are followed only
//! when they lead there.

use std::path::Path;

use priem_sdk::{
    ConfigError, ConnectorError, FileRequest, FileSource, HttpClient, HttpOptions, HttpRequest, HttpResponse, Secret,
    file::FileTls,
    http::{require_safe_address, resolve_at_home},
    message::Attachment,
};

use super::{
    auth::{Authority, Credential},
    config::PollSettings,
};

/// Requests a second when the manifest says nothing: polite to a system nobody published limits of.
const REQUESTS_PER_SECOND: std::num::NonZeroU32 = std::num::NonZeroU32::MIN.saturating_add(9);

/// The line to one source.
#[derive(Debug)]
pub struct Line {
    http: HttpClient,
    base_url: String,
    authority: Authority,
    files_with_credentials: bool,
    /// Certificates the attachment store needs for our host.
    file_tls: Option<FileTls>,
}

impl Line {
    /// Reads secrets and certificates; makes no connection. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn new(settings: &PollSettings, base_dir: &Path) -> Result<Self, ConfigError> {
        if settings.base_url.is_empty() {
            return Err(ConfigError::new(
                "base_url",
                "is empty: write the address the operator of the system gave you, like https://host",
            ));
        }
        require_safe_address("base_url", &settings.base_url, "https://host.example.ru")?;
        let defaults = HttpOptions {
            requests_per_second: Some(REQUESTS_PER_SECOND),
            client_certificate: settings.client_certificate.as_ref().map(|path| base_dir.join(path)),
            ..HttpOptions::default()
        };
        let mut options = settings
            .http
            .apply(defaults, base_dir)
            .map_err(|error| ConfigError::new(format!("http.{}", error.key), error.problem))?;
        if let Some(path) = &settings.ca_file {
            options.extra_root_certificates.push(base_dir.join(path));
        }
        let file_tls = FileTls {
            client_certificate: options.client_certificate.clone(),
            extra_root_certificates: options.extra_root_certificates.clone(),
        };
        // The first certificate that can't be used may stand in either place; the message names its file.
        let http = HttpClient::new(options)?;
        Ok(Self {
            http,
            authority: Authority::new(&settings.auth, &settings.base_url, base_dir)?,
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            files_with_credentials: settings.files.with_credentials,
            file_tls: (file_tls != FileTls::default()).then_some(file_tls),
        })
    }

    /// Address of the server, without a trailing slash.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Sends a request with credentials. A refused token is fetched anew once.
    ///
    /// # Errors
    /// [`ConnectorError::AuthRejected`] for 401 after that; [`ConnectorError::RateLimited`] and
    /// [`ConnectorError::Transient`] for outages of the whole source (429, 502, 503, 504, redirects, no answer). Any
    /// other status is handed over: 403 may mean one record only.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let credential = self.authority.credential(&self.http).await?;
        let mut answer = self.http.send(credential.put_on(request.clone())).await?;
        if answer.status == 401 && self.authority.refused(&credential).await {
            let credential = self.authority.credential(&self.http).await?;
            answer = self.http.send(credential.put_on(request)).await?;
        }
        match answer.status {
            300..=399 | 401 | 408 | 421 | 425 | 429 | 502..=504 => answer.error_for_status(),
            _ => Ok(answer),
        }
    }

    /// A link in the answer of the address `seen_at` (one of ours) as an address without its host and without a key in the query, when it leads to the host of
    /// `base_url`.
    ///
    /// # Errors
    /// [`ConnectorError::Misconfigured`] when it leads elsewhere: credentials are not sent there.
    pub fn own_link(&self, link: &str, seen_at: &str) -> Result<String, ConnectorError> {
        let Some(address) = resolve_at_home(seen_at, link) else {
            return Err(ConnectorError::Misconfigured {
                hint:
                    "the answer names a next page on another host or scheme; credentials are not sent there: ask for \
                       the right base_url"
                        .into(),
            });
        };
        let path_at = address.find("://").map_or(0, |at| at + 3);
        let path = address[path_at..].find('/').map_or("/", |at| &address[path_at + at..]);
        let path = path.split('#').next().unwrap_or_default();
        let Some((path, query)) = path.split_once('?') else {
            return Ok(path.to_owned());
        };
        let secret = self.authority.secret_parameter();
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| Some(pair.split('=').next().unwrap_or_default()) != secret)
            .collect();
        Ok(format!("{path}?{}", kept.join("&")))
    }

    /// The address of a link kept by [`Line::own_link`].
    pub fn address_of(&self, own_link: &str) -> Option<String> {
        resolve_at_home(&format!("{}/", self.base_url), own_link)
    }

    /// How to fetch the file of an attachment: with our credentials on our host, without them elsewhere.
    ///
    /// # Errors
    /// When no token is to be had now.
    pub async fn file(&self, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
        let Some(url) = attachment.url.as_deref().or(attachment.external_id.as_deref()) else {
            return Ok(FileSource::Unavailable("no_address"));
        };
        let at_home = resolve_at_home(&format!("{}/", self.base_url), url).filter(|_| self.files_with_credentials);
        let Some(url) = at_home else {
            let reason = if attachment.needs_token {
                "foreign_host"
            } else {
                "no_address"
            };
            return Ok(FileSource::public(attachment).unwrap_or(FileSource::Unavailable(reason)));
        };
        let mut request = FileRequest {
            url: Secret::new(url),
            headers: Vec::new(),
            trusted_host: true,
            tls: self.file_tls.clone(),
        };
        match self.authority.credential(&self.http).await? {
            Credential::None => {}
            Credential::Header(name, value) => request.headers.push((name.into(), value)),
            Credential::Query(name, value) => {
                let url = with_parameter(request.url.expose(), &name, value.expose());
                request.url = Secret::new(url);
            }
        }
        Ok(FileSource::Fetch(request))
    }
}

fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let encode = |text: &str| {
        let bytes = text.bytes().map(|byte| match byte {
            b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        });
        bytes.collect::<String>()
    };
    let url = url.split('#').next().unwrap_or_default();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{}={}", encode(name), encode(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(auth: serde_json::Value) -> Line {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("key"), "s3cret key").expect("write");
        let settings = json!({"base_url": "https://pos.example.ru/api/", "auth": auth, "request": {"path": "/x"}});
        let settings: PollSettings = serde_json::from_value(settings).expect("fits");
        Line::new(&settings, folder.path()).expect("a line")
    }

    #[test]
    fn links_lose_host_and_key_and_foreign_ones_are_refused() {
        let line = line(json!({"kind": "api_key", "query": "key", "key": {"file": "key"}}));
        let at = "https://pos.example.ru/api/list?page=1";
        let own = line.own_link("?page=2&key=s3cret#x", at).expect("own");
        assert_eq!(own, "/api/list?page=2");
        assert_eq!(
            line.address_of(&own).as_deref(),
            Some("https://pos.example.ru/api/list?page=2")
        );
        assert_eq!(
            line.own_link("https://POS.example.ru/api/list?page=3", at)
                .expect("own"),
            "/api/list?page=3"
        );
        for foreign in [
            "https://evil.example.ru/api/list",
            "//evil.example.ru/",
            "http://pos.example.ru/api",
        ] {
            assert_eq!(line.own_link(foreign, at).expect_err(foreign).kind(), "misconfigured");
        }
        assert!(!format!("{line:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn files_get_credentials_on_our_host_only() {
        let attachment = |url: &str, needs_token| {
            let value = json!({"kind": "document", "url": url, "needs_token": needs_token});
            serde_json::from_value::<Attachment>(value).expect("an attachment")
        };
        let line = line(json!({"kind": "api_key", "header": "X-Key", "key": {"file": "key"}}));
        let FileSource::Fetch(request) = line.file(&attachment("/files/1", true)).await.expect("a source") else {
            panic!("not fetched")
        };
        assert_eq!(request.url.expose(), "https://pos.example.ru/files/1");
        assert_eq!(
            request.headers,
            [("x-key".into(), Secret::new("s3cret key".to_owned()))]
        );
        let foreign = line
            .file(&attachment("https://evil.example.ru/1", true))
            .await
            .expect("a source");
        assert_eq!(foreign, FileSource::Unavailable("foreign_host"));
        let FileSource::Fetch(public) = line
            .file(&attachment("https://cdn.example.ru/1", false))
            .await
            .expect("x")
        else {
            panic!("not fetched")
        };
        assert!(public.headers.is_empty() && !public.trusted_host);
    }
}
