//! One queue in trouble: how fast the messages of the other queue are confirmed, against the same drain without trouble.
//!
//! Every tenth message is for the queue in trouble. A journal is filled once; each round drains a copy of it through the
//! whole daemon, undisturbed and with each trouble, one after the other.

use std::{ops::Range, time::Instant};

use anyhow::Context as _;
use clap::Args;
use priem_city::{broker::Broker, telegram::TelegramCity};
use priem_sdk::{Connector, Item};
use serde_json::json;

use crate::{
    daemon::{Installation, Target},
    report::median,
};

/// Exchange everything is published to.
const EXCHANGE: &str = "priem";
/// The queue in trouble.
const TROUBLED: &str = "qa";
/// The queue of all others.
const OTHERS: &str = "qb";
/// One message in so many is for the queue in trouble.
const SHARE: u64 = 10;
const CHATS: u64 = 5_000;
const RULES: &str = "version: 1
route:
  id: rest
  name: Остальное
  to: { organisation: МЦУ }
  queue: qb
  routes:
    - { id: pits, name: Ямы, when: { text: [яма] }, to: { organisation: Дороги }, queue: qa }
";

/// Arguments of `isolation`.
#[derive(Debug, Args)]
pub struct IsolationArgs {
    /// Messages of each drain
    #[arg(long, default_value_t = 60_000)]
    count: u64,
    /// Interleaved rounds; medians of the ratios count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Print one JSON document as the last line
    #[arg(long)]
    json: bool,
}

/// What is wrong with the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// It holds ten messages and refuses more.
    Capped,
    /// There is none.
    Deleted,
    /// We may not write to its routing key.
    NoRights,
    /// Its process is suspended.
    Silent,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Capped, Self::Deleted, Self::NoRights, Self::Silent];

    fn name(self) -> &'static str {
        match self {
            Self::None => "undisturbed",
            Self::Capped => "capped",
            Self::Deleted => "deleted",
            Self::NoRights => "no rights",
            Self::Silent => "silent",
        }
    }

    async fn begin(self, broker: &Broker) -> anyhow::Result<()> {
        match self {
            Self::Capped => return Ok(broker.declare_capped_queue(TROUBLED, EXCHANGE, 10).await?),
            Self::Deleted => return Ok(()),
            Self::None | Self::NoRights | Self::Silent => broker.declare_queue(TROUBLED).await?,
        }
        broker.bind(TROUBLED, EXCHANGE, TROUBLED).await?;
        match self {
            Self::NoRights => broker.ctl(&["set_topic_permissions", "guest", EXCHANGE, "^qb$", ".*"])?,
            Self::Silent => broker.suspend_queue(TROUBLED)?,
            _ => {}
        }
        Ok(())
    }

    async fn end(self, broker: &Broker) -> anyhow::Result<()> {
        match self {
            Self::NoRights => broker.ctl(&["clear_topic_permissions", "guest", EXCHANGE])?,
            Self::Silent => broker.resume_queue(TROUBLED)?,
            _ => {}
        }
        if self != Self::Deleted {
            broker.delete_queue(TROUBLED).await?;
        }
        Ok(broker.purge(OTHERS).await?)
    }
}

/// How the others fared in one drain.
#[derive(Debug, Clone, Copy)]
struct Others {
    /// Confirmed in a second, from the first seen to the last; with a silent queue from when it was found out.
    per_s: f64,
    /// How long that took, from when the daemon was ready.
    found_out_s: f64,
}

/// Measures and prints.
///
/// # Errors
/// When a drain can't be measured.
pub async fn run(arguments: IsolationArgs) -> anyhow::Result<()> {
    let city = TelegramCity::start(Default::default()).await?;
    let broker = Broker::start().await?;
    broker.declare_exchange(EXCHANGE).await?;
    broker.declare_queue(OTHERS).await?;
    broker.bind(OTHERS, EXCHANGE, OTHERS).await?;
    let bench = Bench {
        telegram: city.api_url(),
        url: broker.amqp_url(),
        broker,
        count: arguments.count,
    };
    let full = bench.installation()?;
    full.fill_with(arguments.count, items).await?;
    let (mut ratios, mut found_out) = (vec![Vec::new(); Trouble::ALL.len()], Vec::new());
    for _ in 0..arguments.rounds {
        let undisturbed = bench.drain(&full, Trouble::None).await?;
        for (trouble, ratios) in Trouble::ALL.into_iter().zip(&mut ratios) {
            let others = bench.drain(&full, trouble).await?;
            if trouble == Trouble::Silent {
                found_out.push(others.found_out_s);
            }
            ratios.push(others.per_s / undisturbed.per_s);
        }
    }
    println!("rate of the other queue's messages by the undisturbed one, medians; wanted: above 0.8");
    for (trouble, ratios) in Trouble::ALL.into_iter().zip(&ratios) {
        println!("{:<10} {:.2}  {ratios:.2?}", trouble.name(), median(ratios));
    }
    println!("a silent queue is found out within {:.1} s", median(&found_out));
    if arguments.json {
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        let ratio = |trouble: usize| rounded(median(&ratios[trouble]));
        let figures = json!({
            "capped_ratio": ratio(0),
            "deleted_ratio": ratio(1),
            "no_rights_ratio": ratio(2),
            "silent_ratio": ratio(3),
            "silent_found_out_s": rounded(median(&found_out)),
        });
        println!("{figures}");
    }
    Ok(())
}

struct Bench {
    telegram: String,
    url: String,
    broker: Broker,
    count: u64,
}

impl Bench {
    fn installation(&self) -> anyhow::Result<Installation> {
        let installation = Installation::new(&Target::AmqpWith(&self.url, "topology: none"), &self.telegram)?;
        let rules = installation.folder().join("rules");
        std::fs::create_dir_all(&rules)?;
        std::fs::write(rules.join("rules.yaml"), RULES)?;
        installation.set("rules: { dir: rules }")?;
        installation.set("duplicates: { enabled: false }")?;
        Ok(installation)
    }

    async fn drain(&self, full: &Installation, trouble: Trouble) -> anyhow::Result<Others> {
        let installation = self.installation()?;
        installation.copy_journal_of(full)?;
        trouble.begin(&self.broker).await?;
        let others = self.others(&installation, trouble).await.context(trouble.name())?;
        trouble.end(&self.broker).await?;
        eprintln!("{}: {:.0} msg/s of others", trouble.name(), others.per_s);
        Ok(others)
    }

    /// Drains until all messages of the other queue are confirmed; what is left then goes with the installation.
    async fn others(&self, installation: &Installation, trouble: Trouble) -> anyhow::Result<Others> {
        let all = (0..self.count).filter(|number| !is_for_troubled(*number)).count() as u64;
        let daemon = installation.start().await?;
        let started = Instant::now();
        let (mut seen, mut found_out_s): (Vec<(Instant, u64)>, _) = (Vec::new(), None);
        let published = "priem_published_messages_total";
        daemon
            .watch(published, |_, text| {
                let confirmed = of_others(text, published);
                if trouble == Trouble::Silent && found_out_s.is_none() {
                    seen.clear();
                    if crate::daemon::sum(text, "priem_queue_silent") > 0 {
                        found_out_s = Some(started.elapsed().as_secs_f64());
                    }
                }
                if seen.last().is_none_or(|(_, last)| *last != confirmed) {
                    seen.push((Instant::now(), confirmed));
                }
                confirmed >= all
            })
            .await?;
        // The first entry may say 0: what counts is progress between two sights of a working publisher.
        seen.retain(|(_, confirmed)| *confirmed > 0);
        let (first, last) = (seen[0], seen[seen.len() - 1]);
        anyhow::ensure!(
            first.1 < last.1,
            "all was over before the queue was found out: give it more messages"
        );
        Ok(Others {
            per_s: (last.1 - first.1) as f64 / last.0.duration_since(first.0).as_secs_f64(),
            found_out_s: found_out_s.unwrap_or_default(),
        })
    }
}

fn of_others(text: &str, name: &str) -> u64 {
    let label = format!("queue=\"{OTHERS}\"");
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(&label));
    lines.map(|line| crate::daemon::sum(line, name)).sum()
}

fn is_for_troubled(number: u64) -> bool {
    number.is_multiple_of(SHARE)
}

fn items(connector: &dyn Connector, numbers: Range<u64>) -> anyhow::Result<Vec<Item>> {
    crate::updates::received(connector, numbers.map(update))
}

/// A private message, as JSON.
fn update(number: u64) -> String {
    let chat = 900_000_000 + number % CHATS;
    let text = match is_for_troubled(number) {
        true => format!("Здравствуйте! Яма у дома {number}, вчера снова пробили колесо."),
        false => format!("Здравствуйте! Подскажите, когда включат отопление в доме {number}?"),
    };
    let person = json!({ "id": chat, "is_bot": false, "first_name": "Мария", "language_code": "ru" });
    json!({
        "update_id": 700_000_000 + number,
        "message": {
            "message_id": 1 + number,
            "from": person,
            "chat": { "id": chat, "type": "private", "first_name": "Мария" },
            "date": 1_780_000_000 + number / 50,
            "text": text,
        },
    })
    .to_string()
}
