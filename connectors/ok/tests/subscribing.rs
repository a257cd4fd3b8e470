//! Registration of webhooks: ours come back, others' stay.

use super::*;

const FOREIGN: &str = "https://somebody.example.ru/their-secret-path";

fn webhook_mode(setup: &Planted, city: &OkCity) -> Arc<dyn Connector> {
    setup.against(city.api_url(), by_webhook())
}

fn ours(group: &str) -> String {
    format!("https://priem.example.ru/hooks/ok-groups/{PATH}/{group}")
}

#[tokio::test]
async fn every_group_gets_its_own_address_beside_those_of_others() {
    let setup = planted();
    let (city, one, two) = city().await;
    let connector = webhook_mode(&setup, &city);
    let older = format!("https://priem.example.ru/hooks/ok-groups/an-older-secret-0123456789/{GROUP}");
    one.subscribe_foreign(FOREIGN);
    one.subscribe_earlier(&older);
    connector.subscribe(&cx()).await.expect("registered");
    assert_eq!(
        one.subscriptions(),
        [FOREIGN.to_owned(), ours(GROUP)],
        "the older path of ours is gone"
    );
    assert_eq!(two.subscriptions(), [ours(OTHER)]);
    connector.subscribe(&cx()).await.expect("registered");
    assert_eq!(city.calls("graph/subscribe"), 2, "nothing to do the second time");

    let take_over = Cx {
        take_over: true,
        ..cx()
    };
    city.allow_take_over();
    connector.subscribe(&take_over).await.expect("taken over");
    assert_eq!(one.subscriptions(), [ours(GROUP)]);
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn a_dropped_registration_comes_back_and_an_old_one_is_refreshed() {
    let setup = planted();
    let (city, one, _) = city().await;
    let connector = webhook_mode(&setup, &city);
    connector.subscribe(&cx()).await.expect("registered");
    // Nobody answers at priem.example.ru: hours of failures.
    one.write(1, "Оля", "слышно?");
    city.advance(Duration::from_secs(9 * 3600));
    city.wait_until(|city| city.dropped_subscriptions() == 1 || city.open_deliveries() == 0)
        .await;
    connector.subscribe(&cx()).await.expect("registered again");
    assert_eq!(one.subscriptions(), [ours(GROUP)]);
    assert_eq!(city.violations(), [""; 0]);
}

#[tokio::test]
async fn trouble_of_one_group_is_told_and_the_others_are_registered() {
    let setup = planted();
    let (city, one, two) = city().await;
    let connector = webhook_mode(&setup, &city);
    one.revoke(true);
    let error = connector.subscribe(&cx()).await.expect_err("revoked");
    assert!(
        error.kind() == "auth_rejected" && error.to_string().contains(GROUP),
        "{error}"
    );
    assert_eq!(two.subscriptions(), [ours(OTHER)]);
}

#[tokio::test]
async fn a_token_of_another_group_is_not_used() {
    let setup = planted();
    let (city, _, two) = city().await;
    let swapped = json!([{"id": GROUP, "token": setup.file("two")}]);
    let webhook = json!({"path": setup.file("path")});
    let connector = setup.against(
        city.api_url(),
        json!({"mode": "webhook", "webhook": webhook, "groups": swapped}),
    );
    let error = connector.subscribe(&cx()).await.expect_err("another group's");
    assert!(
        error.kind() == "misconfigured" && error.to_string().contains(OTHER),
        "{error}"
    );
    assert_eq!(two.subscriptions(), [""; 0]);
}

#[tokio::test]
async fn without_a_webhook_nothing_is_registered() {
    let setup = planted();
    let (city, one, _) = city().await;
    one.subscribe_foreign(FOREIGN);
    setup
        .against(city.api_url(), json!({}))
        .subscribe(&cx())
        .await
        .expect("nothing to do");
    assert_eq!(one.subscriptions(), [FOREIGN]);
    assert_eq!(city.calls("graph/subscriptions"), 0);
}
