//! Against the simulated VK, which was written from the same reference by somebody else, counts every limit and writes
//! down what a client must not do.

use std::{collections::HashSet, sync::OnceLock, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use priem_city::vk::{Citizen, Community, Fault, Options, Place, TokenKind, VkCity, Words, Written};
use priem_sdk::{EventType, HookRequest, Message, Wait};

use super::*;

const STREAM: &str = "longpoll/190700001";

fn fast() -> Options {
    Options {
        second: Duration::from_millis(20),
        ..Options::default()
    }
}

async fn city(options: Options) -> (VkCity, Community) {
    let city = VkCity::start(options).await.expect("a free port");
    let community = city.community(GROUP);
    for group in [GROUP, GROUP + 1, GROUP + 2] {
        city.community(group);
        city.add_token(&token(group), TokenKind::Community(group));
    }
    city.add_token(SERVICE, TokenKind::User(900));
    city.community(555).set_name("ТСЖ «Заря»");
    (city, community)
}

/// A connector with its own pace: the city counts.
fn against(setup: &Planted, city: &VkCity, more: Value) -> Arc<dyn Connector> {
    setup.against(city.api_url(), testing::over(json!({"http": {}}), &more))
}

/// Polls until the community has nothing more to say.
async fn drain(
    connector: &Arc<dyn Connector>,
    community: &Community,
    journal: &mut Journal,
    cursor: &mut Cursor,
) -> u32 {
    let mut gaps = 0;
    loop {
        let page = connector.poll(&cx(), STREAM, cursor).await.expect("a page");
        gaps += u32::from(page.gap.is_some());
        *cursor = journal.commit(connector, STREAM, page).await;
        if cursor.0 == community.ts().to_string() {
            return gaps;
        }
    }
}

/// Polls a stream of catch-up to the end of its round.
async fn catch_up(connector: &Arc<dyn Connector>, stream: &str, journal: &mut Journal, cursor: &mut Cursor) {
    for _ in 0..200 {
        let page = connector.poll(&cx(), stream, cursor).await.expect("a page");
        let wait = page.wait;
        *cursor = journal.commit(connector, stream, page).await;
        if matches!(wait, Wait::For(pause) if pause > Duration::from_secs(60)) {
            return;
        }
    }
    panic!("the round has no end");
}

/// A bit of everything a citizen can do, with an edit, a deletion and a restoration.
fn live(community: &Community) {
    let (anna, petr) = (Citizen::new(11, "Анна", "Жукова"), Citizen::new(12, "Пётр", "Ким"));
    community.write(&anna, "Нет воды на Полевой");
    community.write_in_chat(3, &petr, "Соседи, у кого свет?");
    community.answer(anna.id, "Передали в водоканал");
    community.write(
        &anna,
        Words::new("Вот тут").with(
            "geo",
            json!({"type": "point", "coordinates": {"latitude": 58.0, "longitude": 56.2}}),
        ),
    );
    let own = community.post("Завтра субботник");
    community.post_of(&petr, "На Мира яма");
    community.suggest(&anna, "Опубликуйте: потерялась собака");
    let first = community.comment(&own, &petr, "А инвентарь дадут?");
    community.comment(&first, &anna, "Дадут, дадут");
    community.comment(&own, &community.itself(), "Дадим");
    community.comment(&own, &Citizen::community(555), "ТСЖ «Заря» придёт");
    community.edit(&first, "А инвентарь и мешки дадут?");
    let gone = community.comment(&own, &petr, "Это я зря");
    community.delete(&gone, &petr);
    let back = community.comment(&own, &anna, "Верните мой комментарий");
    community.delete(&back, &community.itself());
    community.restore(&back);
    let topic = community.open_topic(&anna, "Двор", "Что делать с двором?");
    community.comment(&topic, &petr, "Посадить деревья");
    community.comment(&community.show_photo("Парк"), &anna, "Красиво");
    community.comment(&community.show_video("Дорога"), &petr, "Когда починят?");
    let about_wood = community.comment(&community.offer("Дрова"), &anna, "Почём?");
    community.edit(&about_wood, "Почём куб?");
}

/// Our id of something written.
fn name(written: &Written) -> String {
    let Written { group, place, id } = written;
    match place {
        Place::Dialog { peer } => format!("im{group}_{peer}_{id}"),
        Place::Wall | Place::Suggestion => format!("wall-{group}_{id}"),
        Place::WallComment { post, .. } => format!("wall-{group}_{post}_{id}"),
        Place::Board { topic } => format!("topic-{group}_{topic}_{id}"),
        Place::PhotoComment { photo } => format!("photo-{group}_{photo}_{id}"),
        Place::VideoComment { video } => format!("video-{group}_{video}_{id}"),
        Place::MarketComment { item } => format!("market-{group}_{item}_{id}"),
        Place::Topic | Place::Photo | Place::Video | Place::Product => String::new(),
    }
}

fn messages(connector: &Arc<dyn Connector>, journal: &Journal) -> Vec<Message> {
    journal
        .stored
        .iter()
        .flat_map(|raw| connector.normalize(raw).expect("known kinds"))
        .collect()
}

/// Everything citizens wrote and the platform still shows was published once, with its present words, and nothing else.
fn assert_heard(city: &VkCity, messages: &[Message], also: impl Fn(&Place) -> bool) {
    let mut last: HashMap<&str, &Message> = HashMap::new();
    for message in messages {
        let known = last.insert(&message.data.external.id, message);
        assert_eq!(
            known.is_none(),
            message.event == EventType::Received || known.is_none(),
            "{message:?}"
        );
    }
    let mut expected = 0;
    for entry in city.ledger() {
        let id = name(&entry.written);
        if id.is_empty() || !entry.is_by_citizen() || !also(&entry.written.place) {
            continue;
        }
        match (last.get(id.as_str()), entry.deleted_at) {
            (Some(message), None) => {
                assert_eq!(message.data.body.text, entry.text, "{id}");
                assert_ne!(message.event, EventType::Deleted, "{id}");
                expected += 1;
            }
            (Some(message), Some(_)) => {
                assert_eq!(message.event, EventType::Deleted, "{id}");
                expected += 1;
            }
            (None, Some(_)) => {}
            (None, None) => panic!("{id} was not heard"),
        }
    }
    assert_eq!(last.len(), expected, "nothing but citizens' words");
}

#[tokio::test]
async fn a_lively_community_is_heard_as_it_speaks() {
    for (as_in_schema, unknown_fields, numeric, version) in [
        (false, false, false, "5.199"),
        (true, true, true, "5.199"),
        (false, false, true, "5.92"),
    ] {
        let setup = planted();
        let (city, community) = city(Options {
            as_in_schema,
            unknown_fields,
            ..fast()
        })
        .await;
        community.set_numeric_ts(numeric);
        community.set_version(version);
        let connector = against(&setup, &city, json!({}));
        let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
        drain(&connector, &community, &mut journal, &mut cursor).await;
        live(&community);
        assert_eq!(drain(&connector, &community, &mut journal, &mut cursor).await, 0);
        let mut heard = messages(&connector, &journal);
        assert_heard(&city, &heard, |_| true);
        connector.enrich(&cx(), &mut heard).await;
        let nameless = heard
            .iter()
            .filter(|message| message.data.author.name.is_none() && message.event != EventType::Deleted);
        assert_eq!(nameless.count(), 0);
        assert_eq!(city.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn keys_expire_and_events_come_twice_or_in_disorder() {
    let setup = planted();
    let (city, community) = city(fast()).await;
    let connector = against(&setup, &city, json!({}));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    drain(&connector, &community, &mut journal, &mut cursor).await;
    let anna = Citizen::new(11, "Анна", "Жукова");
    for number in 0..300 {
        community.write(&anna, format!("обращение {number}").as_str());
        if number % 60 == 30 {
            city.fault(Fault::duplicate());
            city.fault(Fault::disorder());
            community.expire_keys();
            assert_eq!(drain(&connector, &community, &mut journal, &mut cursor).await, 0);
        }
    }
    drain(&connector, &community, &mut journal, &mut cursor).await;
    assert_heard(&city, &messages(&connector, &journal), |_| true);
    assert_eq!(journal.stored.len(), 300);
    assert_eq!(city.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_long_poll_lost_is_read_again_once() {
    let setup = planted();
    let (city, community) = city(fast()).await;
    let catching = json!({"catch_up": {"token": setup.file("service"), "token_kind": "user", "market": true}});
    let connector = against(&setup, &city, catching);
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    let (mut walls, mut dialogues) = (Cursor::start(), Cursor::start());
    drain(&connector, &community, &mut journal, &mut cursor).await;
    catch_up(&connector, "walls", &mut journal, &mut walls).await;
    catch_up(&connector, "messages", &mut journal, &mut dialogues).await;
    live(&community);
    drain(&connector, &community, &mut journal, &mut cursor).await;
    let before = journal.stored.len();
    // Now the platform forgets: half of it is heard, half is lost.
    live(&community);
    community.lose_everything();
    assert_eq!(
        drain(&connector, &community, &mut journal, &mut cursor).await,
        1,
        "one gap"
    );
    assert_eq!(journal.stored.len(), before);
    catch_up(&connector, "walls", &mut journal, &mut walls).await;
    catch_up(&connector, "messages", &mut journal, &mut dialogues).await;
    let heard = messages(&connector, &journal);
    // Suggestions are read only when the settings say so.
    let obtainable = |place: &Place| !matches!(place, Place::Suggestion);
    let heard: Vec<Message> = heard
        .into_iter()
        .filter(|message| message.data.subchannel.as_deref() != Some("suggested"))
        .collect();
    assert_heard(&city, &heard, obtainable);
    assert_eq!(city.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn every_trouble_of_the_platform_is_a_decision_and_costs_nothing() {
    let setup = planted();
    let (city, community) = city(fast()).await;
    let connector = against(&setup, &city, json!({}));
    let (mut journal, mut cursor) = (Journal::default(), Cursor::start());
    drain(&connector, &community, &mut journal, &mut cursor).await;
    community.write(&Citizen::new(11, "Анна", "Жукова"), "Нет воды");
    let troubles = [
        (Fault::html(502).on("a_check"), "transient"),
        (Fault::html(200).on("a_check"), "transient"),
        (Fault::cut().on("a_check"), "transient"),
        (Fault::failed(9), "transient"),
        (Fault::failed(4), "misconfigured"),
    ];
    for (fault, kind) in troubles {
        city.fault(fault.clone());
        let error = connector.poll(&cx(), STREAM, &cursor).await.expect_err("trouble");
        assert_eq!(error.kind(), kind, "{fault:?}");
    }
    drain(&connector, &community, &mut journal, &mut cursor).await;
    assert_eq!(journal.stored.len(), 1);
    assert_eq!(city.violations(), Vec::<String>::new());
}

/// The listener of a daemon, as far as this connector sees it.
async fn listen() -> (
    String,
    Arc<OnceLock<Arc<dyn Connector>>>,
    Arc<Mutex<Journal>>,
    tokio::task::JoinHandle<()>,
) {
    type Shared = (Arc<OnceLock<Arc<dyn Connector>>>, Arc<Mutex<Journal>>);
    async fn take(State((connector, journal)): State<Shared>, body: Bytes) -> (StatusCode, Bytes) {
        let connector = connector.get().expect("built before VK calls");
        match connector.receive(&HookRequest::post("", body)) {
            Ok(receipt) => {
                receipt.items.into_iter().for_each(|item| journal.lock().take(item));
                (
                    StatusCode::from_u16(receipt.reply.status).expect("a status"),
                    receipt.reply.body,
                )
            }
            Err(refusal) => (StatusCode::from_u16(refusal.status()).expect("a status"), Bytes::new()),
        }
    }
    let connector = Arc::<OnceLock<Arc<dyn Connector>>>::default();
    let journal = Arc::<Mutex<Journal>>::default();
    let router = Router::new()
        .route("/hooks/vk-city", post(take))
        .with_state((Arc::clone(&connector), Arc::clone(&journal)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    (address, connector, journal, server)
}

#[tokio::test]
async fn callbacks_are_registered_confirmed_and_heard() {
    let setup = planted();
    let (city, community) = city(fast()).await;
    let (address, slot, journal, server) = listen().await;
    let settings = json!({
        "api_url": city.api_url(), "mode": "callback",
        "communities": [listed(GROUP), listed(GROUP + 1)],
        "callback": {"secret": setup.file("secret"), "register": true},
    });
    let connector = setup.build_at(Some(&address), settings).expect("settings fit");
    assert!(slot.set(Arc::clone(&connector)).is_ok());
    for stream in ["callback/190700001", "callback/190700002"] {
        connector.subscribe_stream(&cx(), stream).await.expect("registered");
    }
    community
        .wait_until(|community| community.callback_status(1).is_some_and(|server| server.status == "ok"))
        .await;
    // Again, as the host does every few minutes: nothing is added twice.
    connector
        .subscribe_stream(&cx(), "callback/190700001")
        .await
        .expect("still there");
    assert_eq!(city.calls("groups.addCallbackServer"), 2);
    city.fault(Fault::duplicate().on("callback"));
    city.fault(Fault::html(500).on("callback"));
    live(&community);
    let written = city.ledger();
    assert!(written.len() > 15);
    city.wait_until(|city| {
        let ledger = city.ledger();
        let spoken = ledger
            .iter()
            .filter(|entry| entry.is_by_citizen() && !name(&entry.written).is_empty());
        let waiting = community.callback_status(1).map_or(0, |server| server.waiting);
        spoken.into_iter().all(|entry| !entry.announced.is_empty()) && waiting == 0
    })
    .await;
    let report = connector.check(&cx()).await.expect("a report");
    assert!(!report.failed(), "{report:?}");
    let heard = messages(&connector, &journal.lock());
    let ids: HashSet<String> = heard.iter().map(|message| message.data.external.id.clone()).collect();
    for entry in city
        .ledger()
        .iter()
        .filter(|entry| entry.is_by_citizen() && !name(&entry.written).is_empty())
    {
        assert!(ids.contains(&name(&entry.written)), "{entry:?}");
    }
    assert_eq!(city.violations(), Vec::<String>::new());
    server.abort();
}

#[tokio::test]
async fn check_sees_the_community_as_it_is() {
    let setup = planted();
    let (city, community) = city(fast()).await;
    let connector = against(
        &setup,
        &city,
        json!({"catch_up": {"token": setup.file("service"), "token_kind": "user"}}),
    );
    let outcomes = |report: priem_sdk::CheckReport| -> Vec<(&str, &str)> {
        report
            .findings
            .iter()
            .map(|finding| (finding.outcome, finding.what))
            .collect()
    };
    let report = connector.check(&cx()).await.expect("a report");
    assert_eq!(
        outcomes(report),
        [("ok", "token"), ("ok", "rights"), ("ok", "events"), ("ok", "catch_up")]
    );
    community.switch("wall_reply_new", false);
    city.set_rights(&token(GROUP), &["messages", "manage"]);
    let report = connector.check(&cx()).await.expect("a report");
    let warning = report
        .findings
        .iter()
        .find(|finding| finding.outcome == "warning")
        .expect("a warning");
    assert!(warning.detail.contains("wall_reply_new"), "{warning:?}");
    let switching = against(&setup, &city, json!({"switch_on_events": true}));
    switching.subscribe_stream(&cx(), STREAM).await.expect("switched on");
    assert!(!outcomes(connector.check(&cx()).await.expect("a report")).contains(&("warning", "events")));
    city.refuse_token(&token(GROUP), Some(5));
    assert!(connector.check(&cx()).await.expect("a report").failed());
    assert_eq!(city.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn two_hundred_communities_are_heard_and_one_dead_key_is_its_own_trouble() {
    let setup = planted();
    let (city, _) = city(fast()).await;
    let groups: Vec<i64> = (1..=200).collect();
    let mut list = String::new();
    for group in &groups {
        city.community(*group);
        city.add_token(&token(*group), TokenKind::Community(*group));
        list.push_str(&format!("{group} ; {}\n", token(*group)));
    }
    setup.write("list", &list);
    city.refuse_token(&token(7), Some(5));
    let connector = against(
        &setup,
        &city,
        json!({"communities": [], "communities_list": setup.file("list")}),
    );
    let listen = |group: i64| {
        let (connector, community) = (Arc::clone(&connector), city.community(group));
        async move {
            let stream = format!("longpoll/{group}");
            let mut cursor = connector.poll(&cx(), &stream, &Cursor::start()).await?.next;
            community.write(&Citizen::new(11, "Анна", "Жукова"), "Нет воды");
            loop {
                let page = connector.poll(&cx(), &stream, &cursor).await?;
                if !page.items.is_empty() {
                    return Ok::<usize, priem_sdk::ConnectorError>(page.items.len());
                }
                cursor = page.next;
            }
        }
    };
    let outcomes = futures::future::join_all(groups.iter().map(|group| listen(*group))).await;
    for (group, outcome) in groups.iter().zip(outcomes) {
        match outcome {
            Ok(items) => assert_eq!((items, *group == 7), (1, false)),
            Err(error) => assert_eq!((error.kind(), *group), ("auth_rejected", 7)),
        }
    }
    assert_eq!(city.violations(), Vec::<String>::new());
}
