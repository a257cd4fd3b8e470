//! One file: what is taken, what is refused, and that nothing internal is ever connected to.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use priem_sdk::{FileRequest, Secret};

use super::{
    super::fetch::{FetchError, Lookup},
    *,
};

struct Bench {
    folder: tempfile::TempDir,
    files: Files,
    fetcher: Fetcher,
}

impl Bench {
    fn new(ports: &[SocketAddr], change: impl FnOnce(&mut AttachmentSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), ports);
        change(&mut settings);
        Self {
            files: Files::open(&settings).expect("a store"),
            fetcher: Fetcher::new(&settings).expect("a fetcher"),
            folder,
        }
    }

    /// Size and type of a file, or the reason and whether to try again.
    async fn fetch(&self, url: impl Into<String>) -> Result<(u64, String), (&'static str, bool)> {
        self.send(FileRequest::named_by_message(url)).await
    }

    async fn send(&self, request: FileRequest) -> Result<(u64, String), (&'static str, bool)> {
        let outcome = self.fetcher.fetch(&request, None, &self.files, "job").await;
        let outcome = match outcome {
            Ok(fetched) => {
                let bytes = fetched.part.bytes();
                fetched.part.keep().await.expect("kept");
                Ok((bytes, fetched.mime))
            }
            Err(FetchError::Never { reason }) => Err((reason, false)),
            Err(FetchError::Again { reason, .. }) => Err((reason, true)),
        };
        assert_eq!(half_written(self.folder.path()), 0, "nothing half-written stays");
        if outcome.is_err() {
            assert_eq!((kept(self.folder.path()), self.files.used()), (0, 0));
        }
        outcome
    }
}

fn photo() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/jpeg; q=1")], vec![7_u8; 5000])
}

#[tokio::test]
async fn a_file_is_kept_once_under_the_hash_of_its_content() {
    let address = serve(
        PUBLIC,
        Router::new()
            .route("/a", get(async || photo()))
            .route("/b", get(async || photo())),
    )
    .await;
    let bench = Bench::new(&[address], |_| {});
    for path in ["a", "b"] {
        let outcome = bench.fetch(format!("http://{address}/{path}")).await;
        assert_eq!(outcome, Ok((5000, "image/jpeg".into())));
    }
    assert_eq!((kept(bench.folder.path()), bench.files.used()), (1, 5000));
    let hash = *blake3::hash(&[7; 5000]).as_bytes();
    let path = bench.files.path_of(&hash);
    assert_eq!(std::fs::read(&path).expect("the file"), vec![7; 5000]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("metadata").permissions());
    assert_eq!(mode & 0o777, 0o600, "nobody else's business");
    bench.files.remove(&hash);
    assert_eq!((kept(bench.folder.path()), bench.files.used()), (0, 0));
}

#[tokio::test]
async fn nothing_internal_is_connected_to_however_we_are_sent_there() {
    let (internal, connections) = serve_bytes(INTERNAL, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", b"").await;
    let port = internal.port();
    let targets: Vec<String> = vec![
        format!("http://127.0.0.2:{port}/"),
        format!("http://2130706434:{port}/"),
        format!("http://0x7f.0.0.2:{port}/"),
        format!("http://0177.0.0.02:{port}/"),
        format!("http://[::ffff:127.0.0.2]:{port}/"),
        format!("http://[::ffff:7f00:2]:{port}/"),
        format!("http://127.0.0.2.:{port}/"),
        format!("http://[64:ff9b::7f00:2]:{port}/"),
    ];
    let here = targets.clone();
    let public = serve(
        PUBLIC,
        Router::new().route(
            "/{number}",
            get(move |axum::extract::Path(number): axum::extract::Path<usize>| {
                let target = here[number].clone();
                async move { (StatusCode::FOUND, [(header::LOCATION, target)]) }
            }),
        ),
    )
    .await;
    let bench = Bench::new(&[internal, public], |_| {});
    for (number, target) in targets.iter().enumerate() {
        assert_eq!(bench.fetch(target).await, Err(("address_refused", false)), "{target}");
        let redirected = bench.fetch(format!("http://{public}/{number}")).await;
        assert_eq!(redirected, Err(("address_refused", false)), "redirected to {target}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

/// A resolver that changes its mind: the first answer is public, every later one internal.
#[derive(Default)]
struct Rebinding(Mutex<usize>);

impl Lookup for Rebinding {
    fn lookup(&self, _name: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut asked = self.0.lock();
        *asked += 1;
        let answer = if *asked == 1 {
            vec![INTERNAL, PUBLIC]
        } else {
            vec![INTERNAL]
        };
        Box::pin(async move { Ok(answer) })
    }
}

#[tokio::test]
async fn a_name_that_changes_its_answer_gains_nothing() {
    let public = serve(PUBLIC, Router::new().route("/", get(async || photo()))).await;
    // The same port at the internal address: only the address tells them apart.
    let listener = TcpListener::bind((INTERNAL, public.port()))
        .await
        .expect("the same port");
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path(), &[public]);
    let bench = Bench {
        files: Files::open(&settings).expect("a store"),
        fetcher: Fetcher::with_lookup(&settings, Arc::new(Rebinding::default())).expect("a fetcher"),
        folder,
    };
    let url = format!("http://files.example.ru:{}/", public.port());
    assert_eq!(
        bench.fetch(&url).await.map(|(bytes, _)| bytes),
        Ok(5000),
        "the public address of two"
    );
    let other = format!("http://other.example.ru:{}/", public.port());
    let outcome = bench
        .fetcher
        .fetch(&FileRequest::named_by_message(other), None, &bench.files, "job")
        .await;
    let refused = FetchError::Never {
        reason: "address_refused",
    };
    assert_eq!(outcome.err(), Some(refused));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_of_this_machine_is_refused() {
    let (local, connections) = serve_bytes(PUBLIC, "HTTP/1.1 200 OK\r\n\r\n", b"x").await;
    let bench = Bench::new(&[local], |settings| settings.allow_networks.clear());
    let outcome = bench.fetch(format!("http://localhost:{}/", local.port())).await;
    assert_eq!(outcome, Err(("address_refused", false)));
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn hosts_ports_schemes_and_types_are_limited() {
    let page = async || ([(header::CONTENT_TYPE, "text/html")], "<script>");
    let address = serve(
        PUBLIC,
        Router::new()
            .route("/page", get(page))
            .route("/", get(async || photo())),
    )
    .await;
    let other = serve(PUBLIC, Router::new()).await;
    let bench = Bench::new(&[address], |settings| {
        settings.hosts = vec!["127.0.0.1".into(), "*.example.ru".into()]
    });
    for (url, reason) in [
        (format!("http://{address}/page"), "type_not_listed"),
        (format!("http://{other}/"), "port_not_listed"),
        (format!("http://127.0.0.3:{}/", address.port()), "host_not_listed"),
        ("https://example.ru/".into(), "host_not_listed"),
        ("https://badexample.ru/".into(), "host_not_listed"),
        ("ftp://127.0.0.1/".into(), "bad_address"),
        ("file:///etc/passwd".into(), "bad_address"),
        (format!("http://user:pass@{address}/"), "bad_address"),
        ("not an address".into(), "bad_address"),
    ] {
        assert_eq!(bench.fetch(&url).await, Err((reason, false)), "{url}");
    }
    assert!(bench.fetch(format!("http://{address}/")).await.is_ok());
}

#[tokio::test]
async fn endless_slow_short_and_empty_bodies_leave_nothing() {
    let large = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 900000000\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n";
    let short = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 5000\r\n\r\nxx";
    let empty = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 0\r\n\r\n";
    for (head, piece, expected) in [
        (large, &b""[..], ("too_large", false)),
        (chunked, b"5\r\nxxxxx\r\n", ("too_large", false)),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n",
            b"xxxxxxxxxxxxxxxx",
            ("too_large", false),
        ),
        (short, b"", ("broken_off", true)),
        (empty, b"", ("empty", true)),
        ("HTTP/1.1 200 OK\r\nx: ", b"", ("broken_off", true)),
        ("not http at all", b"", ("broken_off", true)),
    ] {
        let (address, _) = serve_bytes(PUBLIC, head, piece).await;
        let bench = Bench::new(&[address], |_| {});
        assert_eq!(
            bench.fetch(format!("http://{address}/")).await,
            Err(expected),
            "{head:?}"
        );
    }
    // A server that says nothing, and one that stops in the middle.
    for head in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 5000\r\n\r\nxx",
    ] {
        let listener = TcpListener::bind((PUBLIC, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).await.expect("a request") > 0);
                stream.write_all(head.as_bytes()).await.expect("written");
                held.push(stream);
            }
        });
        let bench = Bench::new(&[address], |settings| {
            settings.timeout_s = 2.try_into().expect("seconds")
        });
        assert_eq!(
            bench.fetch(format!("http://{address}/")).await,
            Err(("timeout", true)),
            "{head:?}"
        );
    }
}

#[tokio::test]
async fn statuses_and_redirects_mean_what_they_should() {
    let status = |status: u16| get(move || async move { StatusCode::from_u16(status).expect("a status") });
    let to = |target: &'static str| get(move || async move { (StatusCode::FOUND, [(header::LOCATION, target)]) });
    let router = Router::new()
        .route("/404", status(404))
        .route("/403", status(403))
        .route("/500", status(500))
        .route("/206", status(206))
        .route(
            "/429",
            get(async || (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "77")])),
        )
        .route("/loop", to("/loop"))
        .route("/hop", to("photo"))
        .route("/nowhere", to("http://"))
        .route("/file", to("file:///etc/passwd"))
        .route("/photo", get(async || photo()));
    let address = serve(PUBLIC, router).await;
    let bench = Bench::new(&[address], |_| {});
    for (path, expected) in [
        ("404", ("gone", false)),
        ("403", ("forbidden", false)),
        ("500", ("server_error", true)),
        ("206", ("bad_answer", false)),
        ("429", ("busy", true)),
        ("loop", ("too_many_redirects", false)),
        ("nowhere", ("bad_redirect", false)),
        ("file", ("bad_address", false)),
    ] {
        assert_eq!(
            bench.fetch(format!("http://{address}/{path}")).await,
            Err(expected),
            "{path}"
        );
    }
    let busy = FileRequest::named_by_message(format!("http://{address}/429"));
    let outcome = bench.fetcher.fetch(&busy, None, &bench.files, "job").await.err();
    let named = FetchError::Again {
        reason: "busy",
        after: Some(Duration::from_secs(77)),
    };
    assert_eq!(outcome, Some(named));
    assert!(bench.fetch(format!("http://{address}/hop")).await.is_ok());
}

#[tokio::test]
async fn a_platforms_own_server_is_trusted_alone_and_headers_stay_there() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let elsewhere = serve(
        PUBLIC,
        Router::new().route(
            "/",
            get(move |headers: HeaderMap| {
                note.lock().push(headers.contains_key("x-token"));
                async { photo() }
            }),
        ),
    )
    .await;
    let target = format!("http://{elsewhere}/");
    let own = serve(
        INTERNAL,
        Router::new()
            .route(
                "/direct",
                get(async |headers: HeaderMap| {
                    if headers.contains_key("x-token") {
                        photo().into_response()
                    } else {
                        StatusCode::FORBIDDEN.into_response()
                    }
                }),
            )
            .route("/expired", get(async || StatusCode::UNAUTHORIZED))
            .route(
                "/away",
                get(move || async move { (StatusCode::FOUND, [(header::LOCATION, target)]) }),
            )
            .route(
                "/inside",
                get(async || (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.3:80/")])),
            ),
    )
    .await;
    let bench = Bench::new(&[elsewhere, SocketAddr::new(INTERNAL, 80)], |_| {});
    let request = |path: &str, trusted_host| FileRequest {
        url: Secret::new(format!("http://{own}/{path}")),
        headers: vec![("x-token".into(), Secret::new("secret".into()))],
        trusted_host,
        tls: None,
    };
    assert_eq!(
        bench.send(request("expired", true)).await,
        Err(("unauthorized", true)),
        "our own token ran out: the connector gives another"
    );
    assert_eq!(
        bench.send(request("expired", false)).await,
        Err(("port_not_listed", false))
    );
    assert!(
        bench.send(request("direct", true)).await.is_ok(),
        "listed nowhere, internal, but the operator's own"
    );
    assert!(bench.send(request("away", true)).await.is_ok());
    assert_eq!(*seen.lock(), [false], "the token does not travel");
    bench.files.remove(blake3::hash(&[7; 5000]).as_bytes());
    assert_eq!(
        bench.send(request("inside", true)).await,
        Err(("address_refused", false))
    );
    assert_eq!(
        bench.send(request("direct", false)).await,
        Err(("port_not_listed", false))
    );
}

#[tokio::test]
async fn a_full_store_waits_instead_of_writing() {
    let address = serve(PUBLIC, Router::new().route("/", get(async || photo()))).await;
    let bench = Bench::new(&[address], |settings| {
        settings.max_bytes = 4999;
        settings.max_total_bytes = 4999;
    });
    assert_eq!(
        bench.fetch(format!("http://{address}/")).await,
        Err(("too_large", false))
    );
    let bench = Bench::new(&[address], |settings| settings.max_total_bytes = 4999);
    assert_eq!(
        bench.fetch(format!("http://{address}/")).await,
        Err(("disk_full", true))
    );
    let bench = Bench::new(&[address], |settings| settings.min_free_bytes = u64::MAX / 2);
    assert_eq!(
        bench.fetch(format!("http://{address}/")).await,
        Err(("disk_full", true))
    );
}
