//! Every way of proving ourselves and of paging that a manifest can name, against a scripted server.

use serde_json::{Value, json};

use super::tests::{Host, ok, poller, serve};

/// What the server heard while one list was read, and the ids that were stored.
async fn read(answer: fn(&str) -> super::tests::Answer, settings: Value) -> (Vec<String>, Vec<String>) {
    let (base, heard) = serve(answer).await;
    let mut whole = json!({"base_url": base, "request": {"path": "/list"}, "http": {"requests_per_second": 10_000}});
    let object = whole.as_object_mut().expect("an object");
    object.extend(settings.as_object().expect("an object").clone());
    let mut host = Host::default();
    host.walk(&poller(whole)).await;
    let heard = heard.lock().clone();
    (heard, host.stored.into_iter().collect())
}

#[tokio::test]
async fn fixed_proofs_go_with_every_request() {
    let one = |_: &str| ok(json!([{"id": 1}]));
    for (auth, heard) in [
        (json!({"kind": "none"}), "GET /list -"),
        (
            json!({"kind": "basic", "user": "city", "password": {"file": "password"}}),
            "GET /list Basic Y2l0eTpwYXNzIHdvcmQ=",
        ),
        (
            json!({"kind": "bearer", "token": {"file": "key"}}),
            "GET /list Bearer k3y-of-tests",
        ),
        (
            json!({"kind": "api_key", "header": "X-Key", "key": {"file": "key"}}),
            "GET /list k3y-of-tests",
        ),
        (
            json!({"kind": "api_key", "query": "key", "key": {"file": "key"}}),
            "GET /list?key=k3y-of-tests -",
        ),
    ] {
        assert_eq!(read(one, json!({"auth": auth})).await.0, [heard], "{auth}");
    }
}

#[tokio::test]
async fn each_grant_asks_for_a_token_in_its_own_words() {
    let answer = |target: &str| match target {
        "/token" => ok(json!({"access_token": "a1", "expires_in": 300})),
        _ => ok(json!([{"id": 1}])),
    };
    for (auth, asked) in [
        (
            json!({"grant": "client_credentials", "client_auth": "basic"}),
            "POST /token Basic ZWRtczpjbGllbnQtc2VjcmV0 grant_type=client_credentials&scope=any",
        ),
        (
            json!({"grant": "client_credentials", "client_auth": "form"}),
            "POST /token - grant_type=client_credentials&scope=any&client_id=edms&client_secret=client-secret",
        ),
        (
            json!({"grant": "password", "username": "city", "password": {"file": "password"}}),
            "POST /token Basic ZWRtczpjbGllbnQtc2VjcmV0 grant_type=password&scope=any&username=city&password=pass+word",
        ),
        (
            json!({"grant": "refresh_token", "refresh_token": {"file": "key"}}),
            "POST /token Basic ZWRtczpjbGllbnQtc2VjcmV0 grant_type=refresh_token&scope=any&refresh_token=k3y-of-tests",
        ),
    ] {
        let mut whole = json!({
            "kind": "oauth2", "token_url": "/token", "client_id": "edms", "client_secret": {"file": "client-secret"},
            "form": {"scope": "any"},
        });
        let object = whole.as_object_mut().expect("an object");
        object.extend(auth.as_object().expect("an object").clone());
        let (heard, _) = read(answer, json!({"auth": whole})).await;
        assert_eq!(heard, [asked, "GET /list Bearer a1"], "{auth}");
    }
}

#[tokio::test]
async fn each_way_of_paging_reads_the_list_to_its_end() {
    for (paging, answer, asked) in [
        (
            json!({"kind": "page", "page": "p", "size": "n", "page_size": 2, "first": 1, "last": ".last"}),
            (|target| {
                ok(if target.contains("p=1&") {
                    json!({"rows": [{"id": 1}, {"id": 2}], "last": false})
                } else {
                    json!({"rows": [{"id": 3}], "last": true})
                })
            }) as fn(&str) -> super::tests::Answer,
            ["GET /list?p=1&n=2 -", "GET /list?p=2&n=2 -"],
        ),
        (
            json!({"kind": "offset", "offset": "skip", "limit": "take", "page_size": 3}),
            |target| {
                ok(if target.contains("skip=0") {
                    json!({"rows": [{"id": 1}, {"id": 2}, {"id": 3}]})
                } else {
                    json!({"rows": []})
                })
            },
            ["GET /list?skip=0&take=3 -", "GET /list?skip=3&take=3 -"],
        ),
        (
            json!({"kind": "next_link", "next": ".next"}),
            |target| {
                ok(if target == "/list" {
                    json!({"rows": [{"id": 1}, {"id": 2}], "next": "/list?after=2"})
                } else {
                    json!({"rows": [{"id": 3}], "next": null})
                })
            },
            ["GET /list -", "GET /list?after=2 -"],
        ),
        (
            json!({"kind": "cursor", "next": ".next", "cursor": "from"}),
            |target| {
                ok(if target == "/list" {
                    json!({"rows": [{"id": 1}, {"id": 2}], "next": "w 1"})
                } else {
                    json!({"rows": [{"id": 3}], "next": ""})
                })
            },
            ["GET /list -", "GET /list?from=w+1 -"],
        ),
        (
            json!({"kind": "spring", "page_size": 2}),
            |target| {
                ok(if target.contains("page=0") {
                    json!({"rows": [{"id": 1}, {"id": 2}], "last": false, "totalElements": 3})
                } else {
                    json!({"rows": [{"id": 3}], "last": true, "totalElements": 3})
                })
            },
            ["GET /list?page=0&size=2 -", "GET /list?page=1&size=2 -"],
        ),
    ] {
        let (heard, stored) = read(answer, json!({"items": ".rows", "paging": paging})).await;
        assert_eq!(heard, asked, "{paging}");
        assert_eq!(stored, ["1", "2", "3"], "{paging}");
    }
}
