//! A source that wants a certificate of ours, has an authority of its own, and changes its refresh token with every use:
//! lists and files come through the daemon, also after a kill.

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use parking_lot::Mutex;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::json;

use crate::support::{self, Installation, flow, free_port, http, until};

/// What the operator wrote down when the access was given out.
const FIRST_REFRESH: &str = "refresh-nobody-may-see-0";

const MANIFEST: &str = r#"
version: 1
name: closed
channel: closed
poll:
  ca_file: ca.pem
  client_certificate: client-all.pem
  every: 50ms
  http: { requests_per_second: 10000 }
  auth:
    kind: oauth2
    grant: refresh_token
    token_url: /token
    refresh_token: { file: first-refresh }
    refresh_token_store: kept-refresh
  request: { path: /list }
id: .id
message: |
  {body: {text}, attachments: [.file | {kind: "photo", url: ., needs_token: true}]}
"#;

/// An authority, and certificates of it for the server and for us.
fn certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("an authority");
    support::write(&folder.join("ca.pem"), &authority.pem());
    let issuer = Issuer::new(params, key);
    for name in ["localhost", "client"] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let all = certificate.pem() + &key.serialize_pem();
        support::write(&folder.join(format!("{name}-all.pem")), &all);
    }
}

#[derive(Default)]
struct Source {
    tokens: usize,
    records: u64,
    files: usize,
    base: String,
}

type Shared = Arc<Mutex<Source>>;

async fn token(State(source): State<Shared>, body: String) -> Response {
    let mut source = source.lock();
    // Only the newest one holds, and only once.
    let expected = format!("refresh_token=refresh-nobody-may-see-{}", source.tokens);
    if !body.contains("grant_type=refresh_token") || !body.split('&').any(|field| field == expected) {
        return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response();
    }
    source.tokens += 1;
    let number = source.tokens;
    json!({
        "access_token": format!("access-{number}"), "expires_in": 3600,
        "refresh_token": format!("refresh-nobody-may-see-{number}"),
    })
    .to_string()
    .into_response()
}

fn knows(source: &Source, headers: &HeaderMap) -> bool {
    let expected = format!("Bearer access-{}", source.tokens);
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == expected.as_bytes())
}

async fn list(State(source): State<Shared>, headers: HeaderMap) -> Response {
    let source = source.lock();
    if !knows(&source, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let record = |id| json!({"id": id, "text": format!("Яма {id}"), "file": format!("{}/file/{id}", source.base)});
    let records: Vec<_> = (1..=source.records).map(record).collect();
    json!(records).to_string().into_response()
}

async fn file(State(source): State<Shared>, headers: HeaderMap) -> Response {
    let mut source = source.lock();
    if !knows(&source, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    source.files += 1;
    ([(header::CONTENT_TYPE, "image/jpeg")], vec![7_u8; 5000]).into_response()
}

/// The server; nobody without a certificate of its authority gets a word out of it.
async fn serve(folder: &Path) -> (u16, Shared) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(folder.join("ca.pem")).expect("an authority");
    roots.add(authority).expect("an authority");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .expect("a verifier");
    let own = folder.join("localhost-all.pem");
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&own).expect("a certificate")],
            PrivateKeyDer::from_pem_file(&own).expect("a key"),
        )
        .expect("a pair");
    let source = Shared::default();
    let router = Router::new()
        .route("/token", post(token))
        .route("/list", get(list))
        .route("/file/{id}", get(file))
        .with_state(Arc::clone(&source));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    source.lock().base = format!("https://localhost:{port}");
    let tls = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config));
    let server = axum_server::from_tcp_rustls(listener, tls).expect("a server");
    tokio::spawn(server.serve(router.into_make_service()));
    (port, source)
}

fn published(daemon: &Installation) -> usize {
    let text = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).unwrap_or_default();
    text.lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_files_come_with_our_certificate_and_a_rotated_token_survives_a_kill() {
    let files_port = free_port();
    let daemon = Installation::new("");
    let folder = daemon.folder.path().to_owned();
    certificates(&folder);
    let (port, source) = serve(&folder).await;
    support::write(&folder.join("closed.yaml"), MANIFEST);
    support::write(&folder.join("first-refresh"), FIRST_REFRESH);
    let attachments = format!(
        "attachments:\n  dir: kept\n  min_free_bytes: 0\n  first_pause_s: 1\n  \
         serve: {{ listen: \"127.0.0.1:{files_port}\" }}\nconnectors:\n"
    );
    let entry =
        format!("  closed:\n    type: manifest\n    manifest: closed.yaml\n    base_url: https://localhost:{port}\n");
    daemon.configure(&(flow::settings(None).replace("connectors:\n", &attachments) + &entry));
    let mut daemon = daemon;

    // The server really asks: a client that trusts it and shows nothing hears nothing.
    let stranger = http().get(format!("https://localhost:{port}/list")).send().await;
    assert!(stranger.is_err());

    source.lock().records = 3;
    daemon.start().await;
    until("three are published", async || published(&daemon) == 3).await;
    until("their files are here", async || source.lock().files >= 3).await;
    daemon.kill();
    let tokens = source.lock().tokens;
    assert!(tokens >= 1);
    source.lock().records = 5;
    daemon.start().await;
    until("two more are published", async || published(&daemon) == 5).await;
    until("all files are here", async || source.lock().files >= 5).await;
    assert!(source.lock().tokens > tokens, "the kept one was taken");
    daemon.stop().await;
    let log = daemon.log();
    assert!(
        !log.contains("refresh-nobody") && !log.contains("access-1"),
        "a token is in the log"
    );
}
