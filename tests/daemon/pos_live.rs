//! ПОС (the organisation contour) through the daemon, by the manifest that is shipped: killed at every step between list,
//! file download, commit and acknowledgement. Nothing is lost, and nothing is acknowledged that the journal does not have.

use std::{collections::BTreeSet, path::Path};

use priem_city::{
    pos::{Account, Appeal, Fault, Options, PosCity, Step},
    voices::Crowd,
};
use priem_sdk::EventType;
use serde_json::Value;

use crate::support::{
    self, Installation, PATIENCE,
    flow::{self, Ledger},
    free_port, until,
};

const SECRETS: [(&str, &str); 4] = [
    ("pos-client-id", "edms-client-live"),
    ("pos-client-secret", "client-secret-that-nobody-may-see"),
    ("pos-username", "city-live"),
    ("pos-password", "password-that-nobody-may-see"),
];
const SURNAME: &str = "Приметновский";

async fn city(calls_per_token: u32) -> PosCity {
    let account = Account {
        client_id: SECRETS[0].1.into(),
        client_secret: SECRETS[1].1.into(),
        username: SECRETS[2].1.into(),
        password: SECRETS[3].1.into(),
    };
    let options = Options {
        account,
        calls_per_token,
        claimed_life: 300,
    };
    PosCity::start(options).await.expect("a ПОС simulator")
}

/// The manifest as it is shipped; the entry gives the address, the secrets, small pages and short pauses.
fn install(city: &PosCity, files_port: u16) -> Installation {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/manifests/pos-edms.yaml");
    let secret = |name: &str| format!("{{ file: \"{{folder}}/secrets/{name}\" }}");
    let entry = format!(
        "attachments:\n  dir: kept\n  hosts: [ media.example.ru ]\n  min_free_bytes: 0\n  first_pause_s: 1\n  \
         serve: {{ listen: \"127.0.0.1:{files_port}\" }}\nconnectors:\n  pos:\n    type: manifest\n    \
         manifest: \"{}\"\n    base_url: {}\n    poll:\n      every: 50ms\n      \
         http: {{ requests_per_second: 10000 }}\n      paging: {{ page_size: 4 }}\n      auth:\n        \
         client_id: {}\n        client_secret: {}\n        username: {}\n        password: {}\n",
        manifest.display(),
        city.base_url(),
        secret("pos-client-id"),
        secret("pos-client-secret"),
        secret("pos-username"),
        secret("pos-password"),
    );
    let installation = Installation::new(&flow::settings(None).replace("connectors:\n", &entry));
    for (name, secret) in SECRETS {
        installation.secret(name, secret);
    }
    installation
}

struct Citizens {
    crowd: Crowd,
    said: usize,
}

impl Citizens {
    fn next(&mut self) -> Appeal {
        self.said += 1;
        Appeal {
            text: format!("<p>{}&nbsp;({})</p>", self.crowd.voice().text, self.said),
            surname: SURNAME.into(),
            topic: ["Дороги", "Ямы на дорогах", "Яма во дворе"],
            fast_track: self.crowd.once_in(3),
            co_applicants: usize::from(self.crowd.once_in(4)),
            files: if self.said.is_multiple_of(3) {
                vec!["photo.jpg".into()]
            } else {
                Vec::new()
            },
            cabinet: None,
        }
    }

    fn write(&mut self, city: &PosCity, count: usize) {
        for _ in 0..count {
            city.submit(&self.next());
        }
    }
}

/// Ids of everything the journal holds, with the daemon or without it.
fn journaled(daemon: &Installation) -> BTreeSet<u64> {
    let exported = support::text(&daemon.priem(&["journal", "export"]));
    let lines = exported
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter_map(|line| line["external_id"].as_str()?.parse().ok())
        .collect()
}

/// The rule of the whole connector.
fn assert_only_stored_is_acknowledged(city: &PosCity, daemon: &Installation) {
    let accepted = city.accepted();
    let stored = journaled(daemon);
    let foreign: Vec<&u64> = accepted.iter().filter(|id| !stored.contains(id)).collect();
    assert!(foreign.is_empty(), "acknowledged and not stored: {foreign:?}");
}

async fn held(city: &PosCity, step: Step) {
    let waited = tokio::time::timeout(PATIENCE, city.wait_until(|city| city.is_held(step))).await;
    assert!(waited.is_ok(), "nobody came to {step:?}");
}

async fn settle(city: &PosCity, daemon: &mut Installation) {
    until("everything is accepted", async || city.waiting() == 0).await;
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    assert_only_stored_is_acknowledged(city, daemon);
    daemon.assert_running();
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    let mut ledger = Ledger::default();
    for id in city.submitted() {
        ledger.any_revision("pos", &id.to_string(), EventType::Received);
    }
    let settlement = ledger.settle_lines(&daemon.folder.path().join("out.ndjson"));
    assert_eq!(settlement.events, ledger.events());
    assert_eq!(city.violations(), [""; 0]);
    let log = daemon.log();
    for (_, secret) in SECRETS {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    assert!(
        !log.contains("pos-token-") && !log.contains(SURNAME),
        "a token or a name is in the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_nothing_is_lost_and_only_stored_is_acknowledged() {
    let city = city(9).await;
    let port = free_port();
    let mut daemon = install(&city, port);
    let mut citizens = Citizens {
        crowd: Crowd::new(7, 12),
        said: 0,
    };
    for step in [
        Step::List,
        Step::BeforeAccept,
        Step::AfterAccept,
        Step::File,
        Step::BeforeAccept,
        Step::List,
    ] {
        citizens.write(&city, 6);
        city.submit_while_reading([citizens.next(), citizens.next()]);
        city.hold(step);
        daemon.start().await;
        held(&city, step).await;
        daemon.kill();
        assert_only_stored_is_acknowledged(&city, &daemon);
        city.release(step);
    }
    // Without a step: wherever it happens to be.
    for _ in 0..3 {
        citizens.write(&city, 6);
        let taken = city.accepted().len();
        daemon.start().await;
        until("something is accepted", async || city.accepted().len() > taken).await;
        daemon.kill();
        assert_only_stored_is_acknowledged(&city, &daemon);
    }
    daemon.start().await;
    settle(&city, &mut daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_of_the_source_pass_and_files_come_with_the_token() {
    let city = city(6).await;
    let port = free_port();
    let mut daemon = install(&city, port);
    let mut citizens = Citizens {
        crowd: Crowd::new(8, 12),
        said: 0,
    };
    citizens.write(&city, 9);
    let stubborn = city.submitted()[4];
    city.refuse(stubborn, true);
    for fault in [
        Fault::ServerError,
        Fault::Html200,
        Fault::Cut,
        Fault::Html502,
        Fault::Busy(1),
        Fault::ExpiredToken,
    ] {
        city.fault(fault);
    }
    daemon.start().await;
    until("all but the refused one are accepted", async || city.waiting() == 1).await;
    city.expire_tokens();
    citizens.write(&city, 3);
    until("the refusal is told again", async || {
        city.waiting() == 1 && city.refusals() > 1
    })
    .await;
    assert!(journaled(&daemon).contains(&stubborn), "stored all the same");
    city.refuse(stubborn, false);
    for id in city.submitted() {
        let name = format!("{id}-photo.jpg");
        // Every third message has a file.
        if (id - city.submitted()[0]) % 3 == 2 {
            until("the file is fetched", async || city.files_served(&name) > 0).await;
        }
    }
    settle(&city, &mut daemon).await;
    let lines = std::fs::read_to_string(daemon.folder.path().join("out.ndjson")).expect("the NDJSON file");
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert!(
        first["data"]["body"]["text"]
            .as_str()
            .is_some_and(|text| !text.contains(['<', '&']))
    );
    assert_eq!(first["data"]["deadlines"][0]["basis"], "source");
}
