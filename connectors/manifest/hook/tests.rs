//! The receiver: every proof must hold, nothing proven is dropped, and the reply is the sender's.

use http::{HeaderName, HeaderValue};
use priem_sdk::NormalizeError;
use serde_json::json;

use super::*;

const PATH: &str = "hook-0123456789abcdef0123456789abcdef";

struct Plain;

impl Records for Plain {
    fn read(&self, body: &Bytes) -> Result<Value, NormalizeError> {
        priem_sdk::webhook::parse_json_bounded(body)
    }

    fn item(&self, record: Value) -> Item {
        Item {
            external_id: record["id"].to_string(),
            revision: None,
            fingerprint: None,
            conversation: None,
            format: "manifest.record",
            body: record.to_string().into(),
            problem: None,
        }
    }
}

fn build(settings: Value) -> Result<Receiver, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "s3cret-of-tests").expect("write");
    let mut whole = json!({"path": PATH});
    let object = whole.as_object_mut().expect("an object");
    object.extend(settings.as_object().expect("an object").clone());
    let settings = serde_json::from_value(whole).expect("fits");
    Receiver::new(&settings, "uv", "manifest.body", folder.path(), Arc::new(Plain))
}

fn request(headers: &[(&'static str, &str)], body: &str) -> HookRequest {
    let mut request = HookRequest::post(PATH, body.to_owned());
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).expect("a value");
        request.headers.append(HeaderName::from_static(name), value);
    }
    request
}

#[test]
fn each_proof_must_hold() {
    let file = || json!({"file": "secret"});
    let nginx = json!({"subjects": ["CN=uv"]});
    for (settings, good, bad) in [
        (
            json!({"bearer": file()}),
            ("authorization", "bearer s3cret-of-tests"),
            "Basic s3cret-of-tests",
        ),
        (
            json!({"basic": {"user": "uv", "password": file()}}),
            ("authorization", "Basic dXY6czNjcmV0LW9mLXRlc3Rz"),
            "Bearer dXY6czNjcmV0LW9mLXRlc3Rz",
        ),
        (
            json!({"header": {"name": "X-Key", "secret": file()}}),
            ("x-key", "s3cret-of-tests"),
            "s3cret",
        ),
    ] {
        let receiver = build(settings.clone()).expect("settings");
        assert!(receiver.receive(&request(&[good], "{}")).is_ok(), "{settings}");
        assert_eq!(receiver.receive(&request(&[], "{}")), Err(Refusal::Unauthenticated));
        assert_eq!(
            receiver.receive(&request(&[(good.0, bad)], "{}")),
            Err(Refusal::Forbidden)
        );
        assert!(!format!("{receiver:?}").contains("s3cret"));
    }
    let receiver = build(json!({"client_certificate": nginx})).expect("settings");
    let verified = [("x-client-verify", "SUCCESS"), ("x-client-subject", "CN=uv")];
    assert!(receiver.receive(&request(&verified, "{}")).is_ok());
    assert_eq!(
        receiver.receive(&request(&verified[..1], "{}")),
        Err(Refusal::Unauthenticated)
    );
    for headers in [
        [("x-client-verify", "FAILED"), ("x-client-subject", "CN=uv")].as_slice(),
        &[("x-client-verify", "SUCCESS"), ("x-client-subject", "CN=uv,O=other")],
        &[
            ("x-client-verify", "SUCCESS"),
            ("x-client-subject", "CN=uv"),
            ("x-client-verify", "FAILED"),
        ],
    ] {
        assert_eq!(receiver.receive(&request(headers, "{}")), Err(Refusal::Forbidden));
    }
}

#[test]
fn path_networks_and_method_are_looked_at_first() {
    let receiver = build(json!({"source_networks": ["10.0.0.0/8"], "methods": ["put"]})).expect("settings");
    let mut from = request(&[], "{}");
    assert_eq!(
        receiver.receive(&from),
        Err(Refusal::ForeignNetwork),
        "a foreign network"
    );
    from.peer = [10, 1, 2, 3].into();
    assert_eq!(receiver.receive(&from), Err(Refusal::MethodNotAllowed));
    from.method = "PUT".into();
    assert!(receiver.receive(&from).is_ok());
    from.path = "guessed".into();
    assert_eq!(receiver.receive(&from), Err(Refusal::WrongPath));
}

#[test]
fn a_batch_is_split_and_the_reply_names_what_was_taken() {
    let reply = json!({"status": 202, "content_type": "json", "body_jq": "."});
    let receiver = build(json!({"items": ".events", "reply": reply})).expect("settings");
    let receipt = receiver
        .receive(&request(&[], r#"{"events": [{"id": 1}, {"id": 2}]}"#))
        .expect("proven");
    assert_eq!(receipt.items.len(), 2);
    assert_eq!(
        (receipt.reply.status, receipt.reply.content_type),
        (202, "application/json")
    );
    assert_eq!(receipt.reply.body, r#"[{"id":1},{"id":2}]"#);
    let receipt = receiver.receive(&request(&[], r#"{"events": []}"#)).expect("proven");
    assert!(receipt.items.is_empty(), "an empty batch is no trouble");
}

#[test]
fn a_proven_body_that_is_not_understood_is_kept_whole() {
    let receiver = build(json!({"items": ".events[]"})).expect("settings");
    for (body, reason) in [("<html>", "not_json"), (r#"{"events": 7}"#, "unexpected_shape")] {
        let receipt = receiver.receive(&request(&[], body)).expect("proven");
        let problem = receipt.items[0].problem.as_ref().expect("a problem");
        assert_eq!(
            (problem.reason, receipt.items[0].body.as_ref()),
            (reason, body.as_bytes())
        );
        assert_eq!(receipt.reply.status, 200);
    }
    for (items, body) in [(".events", r#"{"other": 1}"#), (".", "null")] {
        let receiver = build(json!({"items": items})).expect("settings");
        let receipt = receiver.receive(&request(&[], body)).expect("proven");
        assert_eq!(
            receipt.items[0].problem.as_ref().expect("a problem").reason,
            "unexpected_shape",
            "{body}"
        );
    }
}

#[test]
fn settings_that_cannot_work_name_their_key() {
    for (settings, key) in [
        (json!({"path": "short"}), "path"),
        (json!({"reply": {"status": 500}}), "reply.status"),
        (json!({"bearer": {"file": "absent"}}), "bearer"),
        (
            json!({"bearer": {"file": "secret"}, "basic": {"user": "a", "password": {"file": "secret"}}}),
            "basic",
        ),
        (json!({"client_certificate": {"subjects": []}}), "client_certificate"),
    ] {
        assert_eq!(build(settings).expect_err(key).key, key);
    }
}
