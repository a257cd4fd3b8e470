//! The simulator does not only say yes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "tkn-group-for-tests";
const GROUP: &str = "57000000000001";

async fn city() -> (OkCity, Group) {
    let options = Options {
        second: Duration::from_millis(5),
        ..Options::default()
    };
    let city = OkCity::start(options).await.expect("a free port");
    city.register(Registration {
        key: "CBATEST".into(),
        secret: "SECRET".into(),
        access_token: "tkn-access".into(),
        session_secret: None,
    });
    let group = city.group(GROUP, TOKEN);
    (city, group)
}

async fn graph(city: &OkCity, path: &str) -> Value {
    let url = format!("{}/graph/me/{path}&access_token={TOKEN}", city.api_url());
    let answer = city.city.http.get(url).send().await.expect("an answer");
    serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
}

async fn rest(city: &OkCity, pairs: &[(&str, &str)]) -> Value {
    let mut all: BTreeMap<String, String> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    all.insert("application_key".into(), "CBATEST".into());
    all.insert("format".into(), "json".into());
    let sig = sign::expected(&all, &sign::session_secret("tkn-access", "SECRET"));
    all.entry("sig".into()).or_insert(sig);
    all.insert("access_token".into(), "tkn-access".into());
    let mut form = reqwest::Url::parse("http://form/").expect("an address");
    form.query_pairs_mut().extend_pairs(&all);
    let request = city
        .city
        .http
        .post(format!("{}/fb.do", city.api_url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.query().unwrap_or_default().to_owned());
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
}

#[tokio::test]
async fn the_history_is_newest_first_and_from_is_the_later_bound() {
    let (city, group) = city().await;
    for number in 0..5 {
        group.write(9, "Оля", &format!("{number}"));
        city.advance(Duration::from_secs(1));
    }
    let all = graph(&city, "messages?chat_id=chat:C9&count=3").await;
    let texts = |value: &Value| -> Vec<String> {
        let list = value["messages"].as_array().expect("a list").iter();
        list.map(|one| one["message"]["text"].as_str().expect("words").to_owned())
            .collect()
    };
    assert_eq!(texts(&all), ["4", "3", "2"]);
    let oldest = all["messages"][2]["timestamp"].as_i64().expect("a time");
    assert_eq!(
        texts(&graph(&city, &format!("messages?chat_id=chat:C9&from={}", oldest - 1)).await),
        ["1", "0"]
    );
    assert_eq!(graph(&city, "messages?chat_id=chat:C9&from=5").await, Value::Null);
    assert_eq!(
        graph(&city, "messages?chat_id=chat:C9&from=5&to=9").await["error_code"],
        2001
    );
    assert_eq!(
        graph(&city, "messages?chat_id=chat:C9&count=1000").await["error_code"],
        2001
    );
    assert_eq!(city.violations().len(), 1, "the count");
}

#[tokio::test]
async fn a_false_signature_a_write_and_marking_as_read_are_noticed() {
    let (city, group) = city().await;
    let topic = group.post_as_group("Субботник");
    assert_eq!(
        rest(&city, &[("method", "users.getCurrentUser"), ("sig", "0")]).await["error_code"],
        104
    );
    assert_eq!(
        rest(&city, &[("method", "discussions.addComment")]).await["error_code"],
        10
    );
    let asked = [
        ("method", "discussions.getComments"),
        ("discussionType", "GROUP_TOPIC"),
        ("discussionId", topic.as_str()),
    ];
    assert_eq!(rest(&city, &asked).await, Value::Null);
    let violations = city.violations();
    assert_eq!(violations.len(), 3, "{violations:?}");
    city.revoke_application(true);
    assert_eq!(
        rest(&city, &[("method", "users.getCurrentUser")]).await["error_code"],
        102
    );
}

#[tokio::test]
async fn a_deaf_subscription_is_dropped_after_eight_hours_and_not_before() {
    let (city, group) = city().await;
    // Nobody listens on this port.
    group.subscribe_foreign("http://127.0.0.1:9/hook");
    city.advance(Duration::from_secs(9 * 3600));
    assert_eq!(group.subscriptions().len(), 1, "nothing failed yet");
    group.write(9, "Оля", "слышно?");
    city.wait_until(|city| {
        city.city.world.lock().groups[GROUP]
            .subscriptions
            .first()
            .is_none_or(|one| one.failing)
    })
    .await;
    city.wait_until(|city| city.open_deliveries() == 0).await;
    assert_eq!((group.subscriptions().len(), city.dropped_subscriptions()), (0, 1));
}

#[tokio::test]
async fn both_directions_bring_every_comment_once() {
    let (city, group) = city().await;
    let topic = group.post_as_group("Субботник");
    for number in 0..250 {
        group.comment("GROUP_TOPIC", &topic, 9, "Оля", &format!("{number}"));
    }
    for (direction, first) in [("FORWARD", "FIRST"), ("BACKWARD", "LAST")] {
        let (mut anchor, mut seen) = (first.to_owned(), Vec::new());
        loop {
            let page = rest(
                &city,
                &[
                    ("method", "discussions.getComments"),
                    ("discussionType", "GROUP_TOPIC"),
                    ("discussionId", &topic),
                    ("mark_as_read", "false"),
                    ("direction", direction),
                    ("anchor", &anchor),
                    ("count", "100"),
                ],
            )
            .await;
            let Some(list) = page["comments"].as_array() else { break };
            seen.extend(list.iter().map(|one| one["id"].clone().to_string()));
            anchor = page["anchor"].as_str().expect("an anchor").to_owned();
        }
        assert_eq!(seen.len(), 250, "{direction}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 250, "{direction}");
    }
    assert_eq!(city.violations(), [""; 0]);
    assert_eq!(json!(city.calls("discussions.getComments")), 8);
}
