//! The simulator by itself, over HTTP.

use reqwest::Client;
use serde_json::Value;

use super::*;

fn options() -> Options {
    let account = Account {
        client_id: "edms".into(),
        client_secret: "client-secret".into(),
        username: "city".into(),
        password: "pass word".into(),
    };
    Options {
        account,
        calls_per_token: 5,
        claimed_life: 300,
    }
}

async fn city() -> (PosCity, Client) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let city = PosCity::start(options()).await.expect("a simulator");
    (city, Client::builder().no_proxy().build().expect("a client"))
}

async fn token(city: &PosCity, client: &Client, password: &str) -> Option<String> {
    let url = format!("{}/user-service/oauth/token", city.base_url());
    let body = format!("grant_type=password&scope=any&username=city&password={password}");
    let request = client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = request
        .basic_auth("edms", Some("client-secret"))
        .send()
        .await
        .expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    answer["access_token"].as_str().map(str::to_owned)
}

async fn list(city: &PosCity, client: &Client, token: &str, page: u32) -> (u16, Value) {
    let url = format!("{}/appeal-service/edms?page={page}&size=2", city.base_url());
    let answer = client.get(url).bearer_auth(token).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    (status, body)
}

async fn accept(city: &PosCity, client: &Client, token: &str, id: u64) -> u16 {
    let url = format!("{}/appeal-service/edms/{id}/mark-accepted", city.base_url());
    let answer = client.post(url).bearer_auth(token).send().await.expect("an answer");
    answer.status().as_u16()
}

fn ids(page: &Value) -> Vec<u64> {
    let rows = page["content"].as_array().expect("rows");
    rows.iter().filter_map(|row| row["id"].as_u64()).collect()
}

#[tokio::test]
async fn rows_stay_until_accepted_and_tokens_wear_out() {
    let (city, client) = city().await;
    let submitted: Vec<u64> = (0..5).map(|_| city.submit(&Appeal::default())).collect();
    assert_eq!(token(&city, &client, "wrong").await, None);
    let first = token(&city, &client, "pass+word").await.expect("a token");
    let (status, page) = list(&city, &client, &first, 0).await;
    assert_eq!(
        (status, ids(&page), &page["last"]),
        (200, vec![submitted[4], submitted[3]], &Value::Bool(false))
    );
    let (_, again) = list(&city, &client, &first, 0).await;
    assert_eq!(ids(&again), ids(&page));
    assert_eq!(accept(&city, &client, &first, submitted[4]).await, 200);
    city.refuse(submitted[3], true);
    assert_eq!(accept(&city, &client, &first, submitted[3]).await, 400);
    let (_, page) = list(&city, &client, &first, 0).await;
    assert_eq!(ids(&page), [submitted[3], submitted[2]], "the list shifted");
    assert_eq!(list(&city, &client, &first, 0).await.0, 401, "five calls");
    assert_eq!((city.violations(), city.accepted()), (vec![], vec![submitted[4]]));
}

#[tokio::test]
async fn what_a_receiver_must_not_do_is_written_down() {
    let (city, client) = city().await;
    let id = city.submit(&Appeal::default());
    let token = token(&city, &client, "pass+word").await.expect("a token");
    assert_eq!(accept(&city, &client, &token, id).await, 200);
    let url = format!("{}/appeal-service/edms/{id}", city.base_url());
    let answer = client
        .post(url)
        .bearer_auth(&token)
        .body("{}")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 403);
    let violations = city.violations();
    assert!(
        violations.len() == 2 && violations[0].contains("never given out"),
        "{violations:?}"
    );
}

#[tokio::test]
async fn calls_can_be_held_and_their_clients_can_die() {
    let (city, client) = city().await;
    let id = city.submit(&Appeal::default());
    let token = token(&city, &client, "pass+word").await.expect("a token");
    list(&city, &client, &token, 0).await;
    city.hold(Step::AfterAccept);
    {
        let mut call = Box::pin(accept(&city, &client, &token, id));
        tokio::select! {
            _ = &mut call => panic!("not held"),
            () = city.wait_until(|city| city.is_held(Step::AfterAccept)) => {}
        }
    }
    city.wait_until(|city| !city.is_held(Step::AfterAccept)).await;
    assert_eq!((city.accepted(), city.waiting()), (vec![id], 0));
    city.release(Step::AfterAccept);
    assert_eq!(accept(&city, &client, &token, id).await, 200, "harmless when repeated");
}
