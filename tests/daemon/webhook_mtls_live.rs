//! A sender that proves itself with a certificate, without a reverse proxy between: ours gets in, another one of the same
//! authority does not, one of a strange authority does not get through the handshake, and headers prove nothing. The
//! others on the same listener need no certificate.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::{Certificate, Client, Identity, StatusCode};
use serde_json::Value;

use crate::support::{self, Installation, flow, until};

const PATH: &str = "path-of-adapter-0123456789abcdef0123456789abcdef";
const OPEN_PATH: &str = "path-of-open-0123456789abcdef0123456789abcdef";

const MANIFEST: &str = r#"
version: 1
name: adapter
channel: adapter
webhook:
  path: { file: adapter-path }
  client_certificate: { fingerprints: ["{fingerprint}"] }
id: .id
message: |
  {body: {text}}
"#;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// A certificate with its key, and its fingerprint as `openssl` writes it.
fn issued(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate.der());
    let digits: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    (certificate.pem() + &key.serialize_pem(), digits.join(":"))
}

/// A client that trusts the server; each has connections of its own.
fn client(trusted: &Authority, identity: Option<&str>) -> Client {
    let trusted = Certificate::from_pem(trusted.pem().as_bytes()).expect("an authority");
    let mut builder = Client::builder().no_proxy().tls_certs_only([trusted]);
    if let Some(pem) = identity {
        builder = builder.identity(Identity::from_pem(pem.as_bytes()).expect("an identity"));
    }
    builder.build().expect("a client")
}

fn texts(folder: &Path) -> Vec<String> {
    let written = std::fs::read_to_string(folder.join("out.ndjson")).unwrap_or_default();
    let events = written
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter_map(|event| Some(event["data"]["body"]["text"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_certificate_named_in_the_manifest_gets_in() {
    let house = authority("house");
    let (server, _) = issued(&house, "localhost");
    let (adapter, fingerprint) = issued(&house, "adapter");
    let (colleague, _) = issued(&house, "colleague");
    let (forged, _) = issued(&authority("house"), "adapter");

    let tls = "webhooks: { tls: { certificate: server.pem, key: server.pem, client_ca: house.pem }, listen:";
    let settings = flow::settings(None).replace("webhooks: { listen:", tls)
        + "  adapter:\n    type: manifest\n    manifest: adapter.yaml\n  open:\n    type: manifest\n    manifest: open.yaml\n";
    let mut daemon = Installation::new(&settings);
    let folder = daemon.folder.path().to_owned();
    for (file, text) in [
        ("server.pem", server.as_str()),
        ("house.pem", &house.pem()),
        ("adapter.yaml", &MANIFEST.replace("{fingerprint}", &fingerprint)),
        (
            "open.yaml",
            &MANIFEST
                .replace("  client_certificate: { fingerprints: [\"{fingerprint}\"] }\n", "")
                .replace("name: adapter", "name: open")
                .replace("adapter-path", "open-path"),
        ),
        ("adapter-path", PATH),
        ("open-path", OPEN_PATH),
    ] {
        support::write(&folder.join(file), text);
    }
    daemon.start().await;
    let url = format!("https://localhost:{}/hooks/adapter/{PATH}", daemon.hooks);
    let post = async |client: &Client, url: &str, text: &str| {
        let body = format!("{{\"id\": \"{text}\", \"text\": \"{text}\"}}");
        let request = client.post(url).body(body);
        // What a reverse proxy would say; ours is not behind one.
        let request = request
            .header("x-client-verify", "SUCCESS")
            .header("x-client-subject", "CN=adapter");
        request.send().await.map(|answer| answer.status())
    };

    let ours = client(&house, Some(&adapter));
    assert_eq!(post(&ours, &url, "ours").await.expect("an answer"), StatusCode::OK);
    // On the same connection, so what was proven in the handshake holds for every request of it.
    assert_eq!(post(&ours, &url, "again").await.expect("an answer"), StatusCode::OK);
    let colleague = client(&house, Some(&colleague));
    assert_eq!(
        post(&colleague, &url, "other").await.expect("an answer"),
        StatusCode::FORBIDDEN
    );
    let nobody = client(&house, None);
    assert_eq!(
        post(&nobody, &url, "bare").await.expect("an answer"),
        StatusCode::UNAUTHORIZED
    );
    let forged = client(&house, Some(&forged));
    assert!(post(&forged, &url, "forged").await.is_err(), "the handshake ends");
    let open = format!("https://localhost:{}/hooks/open/{OPEN_PATH}", daemon.hooks);
    assert_eq!(post(&nobody, &open, "open").await.expect("an answer"), StatusCode::OK);

    until("the three are published", async || texts(&folder).len() >= 3).await;
    let mut published = texts(&folder);
    published.sort();
    assert_eq!(published, ["again", "open", "ours"]);
    daemon.stop().await;
}
