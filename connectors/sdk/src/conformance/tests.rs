//! The kit against a connector that keeps the contract, and against the same connector with one flaw at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::{
    contract::{
        Admission, CheckReport, Connector, ConnectorId, Cursor, Cx, HookRequest, Item, Page, RawItem, Receipt, Reply,
        Stream, StreamKind,
    },
    error::{ConnectorError, NormalizeError, Refusal},
    message::{EventType, Kind, Message, MessageData, Regime},
    registry::ConnectorType,
    secret::Secret,
    webhook::{SharedSecret, parse_json_bounded, require_header_secret},
};

const SECRET: &str = "planted-secret-of-the-ledger";
const FORMAT: &str = "ledger.entry";
const ENTRIES: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    PanicsOnDamage,
    ReadsTheClock,
    CountsItsCalls,
    QuotesTheText,
    TellsTheSecret,
    MakesUpIds,
    MindsUnknownKeys,
    TrustsAnybody,
    AdmitsAnybody,
    DropsDamage,
    RandomKeys,
    KeepsTheCursor,
    SkipsAnEntry,
    MistakesLimits,
    ConfirmsEarly,
    OtherIdsAfterRestart,
    ForgetsWhatWasRefused,
    SwapsMessages,
    PanicsOnLookUp,
    LogsTheSecret,
    NamesStreamsTwice,
}

/// Entries `{"id": 1, "text": "…"}`, by webhook or by polling a list.
struct Ledger {
    flaw: Flaw,
    secret: SharedSecret,
    calls: AtomicUsize,
    /// What every poll answers instead of entries.
    trouble: Trouble,
    /// Entries the source has been told are stored; lives as long as the source.
    confirmed: Arc<AtomicUsize>,
    /// Number of this instance.
    instance: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Limited,
    Away,
    Refused,
}

impl Ledger {
    fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            secret: SharedSecret::new(&Secret::new(SECRET.into())),
            calls: AtomicUsize::new(0),
            trouble: Trouble::None,
            confirmed: Arc::default(),
            instance: 0,
        }
    }

    fn item(&self, body: Bytes) -> Item {
        let parsed = parse_json_bounded::<Value>(&body).map(|entry| entry["id"].as_i64());
        match parsed {
            Ok(Some(id)) => Item {
                external_id: match self.flaw {
                    Flaw::RandomKeys => format!("{id}-{}", self.calls.fetch_add(1, Ordering::SeqCst)),
                    Flaw::OtherIdsAfterRestart => format!("{id}-{}", self.instance),
                    _ => id.to_string(),
                },
                revision: Some("0".into()),
                fingerprint: None,
                conversation: None,
                format: FORMAT,
                body,
                problem: None,
            },
            Ok(None) => Item::malformed(FORMAT, body, NormalizeError::new("no_id", "the entry has no id")),
            Err(error) => Item::malformed(FORMAT, body, error),
        }
    }
}

#[async_trait::async_trait]
impl Connector for Ledger {
    fn streams(&self) -> Vec<Stream> {
        vec![
            Stream {
                name: "push",
                key: String::new(),
                kind: StreamKind::Webhook,
            },
            Stream {
                name: if self.flaw == Flaw::NamesStreamsTwice {
                    "push"
                } else {
                    "list"
                },
                key: String::new(),
                kind: StreamKind::Poll,
            },
        ]
    }

    async fn check(&self, _: &Cx) -> Result<CheckReport, ConnectorError> {
        Ok(CheckReport::default())
    }

    async fn poll(&self, _: &Cx, _: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        match self.trouble {
            Trouble::None => {}
            Trouble::Limited if self.flaw == Flaw::MistakesLimits => {
                return Err(ConnectorError::transient("slow down"));
            }
            Trouble::Limited => {
                return Err(ConnectorError::RateLimited {
                    retry_after: std::time::Duration::from_secs(1),
                });
            }
            Trouble::Away => return Err(ConnectorError::transient("nobody there")),
            Trouble::Refused => return Err(ConnectorError::AuthRejected { hint: "new key".into() }),
        }
        // As over a network: somewhere a process can die.
        tokio::task::yield_now().await;
        let read = match self.flaw {
            Flaw::KeepsTheCursor => self.calls.fetch_add(1, Ordering::SeqCst),
            Flaw::ConfirmsEarly => self.confirmed.load(Ordering::SeqCst),
            _ => cursor.0.parse().unwrap_or(0),
        };
        let step = if self.flaw == Flaw::SkipsAnEntry && read == 1 {
            2
        } else {
            1
        };
        let next = (read + step).min(ENTRIES);
        self.confirmed.store(next, Ordering::SeqCst);
        let items = (read + step - 1..next).map(|id| self.item(entry(id))).collect();
        Ok(Page {
            items,
            next: Cursor(next.to_string()),
            ..Page::default()
        })
    }

    fn admit(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        match self.flaw {
            Flaw::AdmitsAnybody => Ok(Admission::Proven),
            Flaw::TrustsAnybody => Ok(Admission::ProofInBody),
            _ => require_header_secret(head, "x-secret", &self.secret).map(|()| Admission::Proven),
        }
    }

    fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        if self.flaw != Flaw::TrustsAnybody {
            require_header_secret(request, "x-secret", &self.secret)?;
        }
        let item = self.item(request.body.clone());
        let items = match self.flaw {
            Flaw::ForgetsWhatWasRefused if self.calls.fetch_add(1, Ordering::SeqCst) > 0 => Vec::new(),
            Flaw::DropsDamage if item.problem.is_some() => Vec::new(),
            _ => vec![item],
        };
        Ok(Receipt {
            items,
            reply: Reply::ok(),
        })
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        let entry: Value = match parse_json_bounded(&raw.body) {
            Err(_) if self.flaw == Flaw::PanicsOnDamage => panic!("can't happen"),
            Err(_) if self.flaw == Flaw::TellsTheSecret => return Err(NormalizeError::new("not_json", SECRET)),
            Err(_) if self.flaw == Flaw::QuotesTheText => {
                let words = String::from_utf8_lossy(&raw.body).into_owned();
                return Err(NormalizeError::new("not_json", words));
            }
            parsed => parsed?,
        };
        if self.flaw == Flaw::MindsUnknownKeys && entry.as_object().is_some_and(|entry| entry.len() > 2) {
            return Err(NormalizeError::new("unknown_key", "a key this version does not know"));
        }
        if self.flaw == Flaw::LogsTheSecret {
            tracing::info!(secret = SECRET, "normalised");
        }
        let Some(text) = entry["text"].as_str() else {
            return Ok(Vec::new());
        };
        let mut data = MessageData::new("ledger", Kind::Direct, Regime::PortalMessage);
        data.body.text = match self.flaw {
            Flaw::ReadsTheClock => format!("{text} {}", jiff::Timestamp::now()),
            Flaw::CountsItsCalls => format!("{text} {}", self.calls.fetch_add(1, Ordering::SeqCst)),
            _ => text.to_owned(),
        };
        let mut message = raw.message(EventType::Received, data);
        if self.flaw == Flaw::MakesUpIds {
            message.id = uuid::Uuid::nil();
        }
        Ok(vec![message])
    }

    fn enriches(&self) -> bool {
        true
    }

    async fn enrich(&self, _: &Cx, messages: &mut [Message]) {
        tokio::task::yield_now().await;
        assert!(self.flaw != Flaw::PanicsOnLookUp, "nobody is known");
        if self.flaw == Flaw::SwapsMessages {
            messages.reverse();
        }
        for message in messages {
            message.data.author.name = Some("Somebody".into());
            tokio::task::yield_now().await;
        }
    }
}

fn entry(id: usize) -> Bytes {
    let entry = json!({"id": id, "text": format!("Яма на дороге у дома номер {id}, просим починить")});
    entry.to_string().into()
}

fn proven(body: Bytes) -> HookRequest {
    HookRequest::post("", body).with_header("x-secret", HeaderValue::from_static(SECRET))
}

fn subject(flaw: Flaw, poller: PollerFactory, limited: PollerFactory) -> Subject {
    let ledger = Ledger::new(flaw);
    let sample = |name, id, expected| ItemSample {
        name,
        item: ledger.item(entry(id)),
        expected,
    };
    let items = vec![
        sample("one", 1, Expected::Messages(1)),
        sample("two", 2, Expected::Messages(1)),
        ItemSample {
            name: "silence",
            item: ledger.item(Bytes::from_static(b"{\"id\":3}")),
            expected: Expected::Nothing,
        },
    ];
    let mut subject = Subject::new(Arc::new(ledger), ConnectorId::new("ledger-main"));
    subject.secrets = vec![Secret::new(SECRET.into())];
    subject.items = items;
    subject.hooks = vec![HookSample::new("push", entry(1), proven).not_without("x-secret")];
    subject.poller = Some(poller);
    subject.faults = vec![
        FaultSample {
            name: "limited",
            poller: limited,
            kind: "rate_limited",
        },
        FaultSample {
            name: "away",
            poller: || source(Flaw::None, Trouble::Away),
            kind: "transient",
        },
        FaultSample {
            name: "refused",
            poller: || source(Flaw::None, Trouble::Refused),
            kind: "auth_rejected",
        },
    ];
    subject
}

fn source(flaw: Flaw, trouble: Trouble) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let confirmed = Arc::<AtomicUsize>::default();
        let instances = AtomicUsize::new(0);
        PollSubject {
            open: Box::new(move || {
                Arc::new(Ledger {
                    trouble,
                    confirmed: Arc::clone(&confirmed),
                    instance: instances.fetch_add(1, Ordering::SeqCst),
                    ..Ledger::new(flaw)
                })
            }),
            cx: Cx::new(ConnectorId::new("ledger-main")),
            stream: "list",
            items: ENTRIES,
            keep: Box::new(()),
        }
    })
}

/// A connector type whose subject has one flaw.
macro_rules! ledger {
    ($flaw:expr) => {
        ledger!($flaw, |_| {})
    };
    ($flaw:expr, $change:expr) => {
        ConnectorType {
            name: "ledger",
            title: "Ledger",
            summary: "A list of entries.",
            schema: || schemars::schema_for!(String),
            example: "",
            build: |_, _| Ok(Arc::new(Ledger::new($flaw))),
            conformance: || {
                let mut subject = subject(
                    $flaw,
                    || source($flaw, Trouble::None),
                    || source($flaw, Trouble::Limited),
                );
                let change: fn(&mut Subject) = $change;
                change(&mut subject);
                subject
            },
        }
    };
}

#[tokio::test]
async fn a_connector_that_keeps_the_contract_passes_every_check() {
    let report = run(&ledger!(Flaw::None)).await;
    assert!(
        report.results.iter().all(|result| result.outcome == Outcome::Ok),
        "{report}"
    );
    let examined: Vec<&str> = report.results.iter().map(|result| result.check).collect();
    let listed: Vec<&str> = checks::CHECKS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| *name != "waivers")
        .collect();
    assert_eq!(examined, listed, "every check has its sentence");
    let line = serde_json::to_value(&report.results[0]).expect("serialises");
    assert_eq!(line["connector"], "ledger");
    assert_eq!(line["check"], "streams.names");
    assert_eq!(line["outcome"], "ok");
}

#[tokio::test]
async fn each_flaw_fails_the_check_that_names_it() {
    for (kind, check) in [
        (ledger!(Flaw::PanicsOnDamage), "normalize.hostile_input"),
        (ledger!(Flaw::ReadsTheClock), "normalize.pure"),
        (ledger!(Flaw::CountsItsCalls), "normalize.pure"),
        (ledger!(Flaw::QuotesTheText), "normalize.hostile_input"),
        (ledger!(Flaw::TellsTheSecret), "secrets.never_said"),
        (ledger!(Flaw::MakesUpIds), "normalize.ids"),
        (ledger!(Flaw::MindsUnknownKeys), "normalize.unknown_values"),
        (ledger!(Flaw::TrustsAnybody), "receive.unproven"),
        (ledger!(Flaw::AdmitsAnybody), "receive.admission"),
        (ledger!(Flaw::DropsDamage), "receive.hostile_input"),
        (ledger!(Flaw::RandomKeys), "receive.same_keys"),
        (ledger!(Flaw::KeepsTheCursor), "poll.same_cursor"),
        (ledger!(Flaw::SkipsAnEntry), "poll.complete"),
        (ledger!(Flaw::MistakesLimits), "poll.faults"),
        (ledger!(Flaw::ConfirmsEarly), "poll.crashes"),
        (ledger!(Flaw::OtherIdsAfterRestart), "poll.crashes"),
        (ledger!(Flaw::ForgetsWhatWasRefused), "receive.crashes"),
        (ledger!(Flaw::SwapsMessages), "enrich.keeps_messages"),
        (ledger!(Flaw::PanicsOnLookUp), "enrich.keeps_messages"),
        (ledger!(Flaw::LogsTheSecret), "secrets.never_said"),
        (ledger!(Flaw::NamesStreamsTwice), "streams.names"),
    ] {
        let report = run(&kind).await;
        assert_eq!(report.outcome(check), Some(Outcome::Failed), "{check} in\n{report}");
    }
}

#[tokio::test]
async fn a_waiver_excuses_only_what_fails() {
    let waived = ledger!(Flaw::MindsUnknownKeys, |subject| {
        subject.waivers = vec![("normalize.unknown_values", "the source is closed")];
    });
    let report = run(&waived).await;
    assert_eq!(report.outcome("normalize.unknown_values"), Some(Outcome::Waived));
    assert!(!report.failed(), "{report}");
    let needless = ledger!(Flaw::None, |subject| {
        subject.waivers = vec![("normalize.pure", "no reason"), ("normalize.typo", "no reason")];
    });
    let report = run(&needless).await;
    assert_eq!(report.outcome("normalize.pure"), Some(Outcome::Failed));
    assert_eq!(report.outcome("waivers"), Some(Outcome::Failed));
}

#[tokio::test]
async fn a_subject_without_samples_does_not_pass() {
    let bare = ledger!(Flaw::None, |subject| {
        subject.items.clear();
        subject.hooks.clear();
        subject.poller = None;
        subject.secrets.clear();
    });
    let report = run(&bare).await;
    for check in [
        "normalize.samples",
        "receive.samples",
        "poll.complete",
        "poll.crashes",
        "enrich.keeps_messages",
        "secrets.never_said",
    ] {
        assert_eq!(report.outcome(check), Some(Outcome::Failed), "{check} in\n{report}");
    }
}
