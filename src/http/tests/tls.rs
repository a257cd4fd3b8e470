//! TLS and the reload of certificates.

use std::time::Duration;

use reqwest::Certificate;

use super::*;

/// Writes a fresh certificate for 127.0.0.1 and returns it as something to trust.
fn write_certificate(directory: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).expect("writes");
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).expect("writes");
    Certificate::from_pem(made.cert.pem().as_bytes()).expect("PEM")
}

#[tokio::test]
async fn a_changed_certificate_is_used_and_a_broken_one_is_not() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let old = write_certificate(directory.path());
    let house = open_house(directory.path(), |settings| {
        settings.tls = Some(TlsSettings {
            certificate: "cert.pem".into(),
            key: "key.pem".into(),
            client_ca: None,
            // The periodic check is at work too: the new certificate may come from it or from the call below.
            check_every_s: NonZeroU32::MIN,
        });
    });
    let certificates = house.certificates.clone().expect("TLS");
    let url = format!("https://{}/hooks/bell", house.address);
    // A new client each time, so that no connection is used twice.
    let ring = |trusted: &Certificate| {
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([trusted.clone()])
            .build()
            .expect("a client");
        client.post(&url).header("x-secret", SECRET).body("Яма").send()
    };
    assert_eq!(ring(&old).await.expect("trusted").status(), 200);

    std::fs::write(directory.path().join("cert.pem"), "half a certif").expect("writes");
    let error = certificates.reload().expect_err("broken").to_string();
    assert!(
        error.contains("cert.pem") && error.contains("PEM files of one certificate"),
        "{error}"
    );
    assert_eq!(ring(&old).await.expect("the old one goes on").status(), 200);

    let new = write_certificate(directory.path());
    certificates.reload_if_changed().expect("a good certificate");
    assert_eq!(ring(&new).await.expect("the new one").status(), 200);
    assert!(ring(&old).await.is_err(), "the old one is gone");
}

#[tokio::test]
async fn the_periodic_check_finds_a_changed_certificate() {
    let directory = tempfile::tempdir().expect("temporary directory");
    write_certificate(directory.path());
    let house = open_house(directory.path(), |settings| {
        settings.tls = Some(TlsSettings {
            certificate: "cert.pem".into(),
            key: "key.pem".into(),
            client_ca: None,
            check_every_s: NonZeroU32::MIN,
        });
    });
    let url = format!("https://{}/hooks/bell", house.address);
    let new = write_certificate(directory.path());
    let until_trusted = async {
        loop {
            let client = Client::builder()
                .no_proxy()
                .tls_certs_only([new.clone()])
                .build()
                .expect("a client");
            if client.post(&url).header("x-secret", SECRET).send().await.is_ok() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), until_trusted)
        .await
        .expect("the new certificate is used");
}

#[test]
fn an_unusable_certificate_stops_the_start_with_its_name() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let settings = || TlsSettings {
        certificate: "cert.pem".into(),
        key: "key.pem".into(),
        client_ca: None,
        check_every_s: NonZeroU32::MIN,
    };
    let load = || Certificates::load(&settings(), directory.path()).map(|_| ());
    assert_eq!(load().expect_err("absent").key, "webhooks.tls.certificate");
    write_certificate(directory.path());
    let key = std::fs::read(directory.path().join("key.pem")).expect("reads");
    write_certificate(directory.path());
    load().expect("a pair");
    std::fs::write(directory.path().join("ca.pem"), "").expect("writes");
    let with_authorities = TlsSettings {
        client_ca: Some("ca.pem".into()),
        ..settings()
    };
    let error = Certificates::load(&with_authorities, directory.path()).map(|_| ());
    assert_eq!(error.expect_err("nobody in it").key, "webhooks.tls.client_ca");
    std::fs::write(directory.path().join("key.pem"), key).expect("writes");
    assert_eq!(load().expect_err("a key of another certificate").key, "webhooks.tls");
}
