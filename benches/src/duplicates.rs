//! What looking for duplicates costs: ordinary messages, and a flood of one text, each with and without it, in turn.

use std::ops::Range;

use anyhow::Context as _;
use clap::Args;
use priem_city::{broker::Broker, telegram::TelegramCity};
use priem_sdk::Item;
use serde_json::json;

use crate::{
    daemon::{self, Installation, Target},
    drain::{self, Drain},
    report::median,
};

/// Chats that send the same words.
const CHATS: u64 = 5_000;
/// What they say.
const WORDS: &str = "Здравствуйте! Подскажите, пожалуйста, когда починят дорогу у нашего дома? Яма на яме, вчера снова \
                     пробили колесо. Оплатили уже второй ремонт, обещали перезвонить, но никто не звонил.";

/// Arguments of `duplicates`.
#[derive(Debug, Args)]
pub struct DuplicatesArgs {
    /// Messages of each drain
    #[arg(long, default_value_t = 40_000)]
    count: u64,
    /// Rounds; medians of the ratios count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Publish into a file: what the daemon does, without a broker on the same processor
    #[arg(long)]
    file: bool,
    /// Only fill and drain ordinary messages once, with (`on`) or without (`off`): for counting instructions
    #[arg(long)]
    once: Option<Once>,
}

/// A single drain.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Once {
    /// Ordinary messages, duplicates are looked for
    On,
    /// Ordinary messages, they are not
    Off,
    /// A flood, they are
    Flood,
}

/// Messages of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every text is another one.
    Ordinary,
    /// One text and one name from many chats.
    Flood,
}

/// Measures and prints; the last line is JSON.
///
/// # Errors
/// When a drain can't be measured.
pub async fn run(arguments: DuplicatesArgs) -> anyhow::Result<()> {
    let city = TelegramCity::start(Default::default()).await?;
    let broker = match arguments.file {
        true => None,
        false => Some(Broker::start().await?),
    };
    let url = broker.as_ref().map(Broker::amqp_url);
    let target = url.as_deref().map_or(Target::File, Target::Amqp);
    let bench = Bench {
        telegram: city.api_url(),
        target,
        broker: broker.as_ref(),
    };
    if let Some(once) = arguments.once {
        let kind = if matches!(once, Once::Flood) {
            Kind::Flood
        } else {
            Kind::Ordinary
        };
        let full = bench.filled(kind, arguments.count).await?;
        bench.drain(&full, !matches!(once, Once::Off), "once").await?;
        return Ok(());
    }
    let ordinary = bench.filled(Kind::Ordinary, arguments.count).await?;
    let flood = bench.filled(Kind::Flood, arguments.count).await?;
    let (mut cost, mut flood_cost, mut rate, mut flood_rate) = (vec![], vec![], vec![], vec![]);
    for _ in 0..arguments.rounds {
        let off = bench.drain(&ordinary, false, "ordinary, off").await?;
        let on = bench.drain(&ordinary, true, "ordinary, on").await?;
        cost.push(on.cpu_us.0 / off.cpu_us.0);
        rate.push(on.messages_per_s / off.messages_per_s);
        let off = bench.drain(&flood, false, "flood, off").await?;
        let on = bench.drain(&flood, true, "flood, on").await?;
        flood_cost.push(on.cpu_us.0 / off.cpu_us.0);
        flood_rate.push(on.messages_per_s / off.messages_per_s);
    }
    let rounded = |ratios: &[f64]| (median(ratios) * 1000.0).round() / 1000.0;
    let figures = json!({
        "ordinary_cost_ratio": rounded(&cost),
        "ordinary_rate_ratio": rounded(&rate),
        "flood_cost_ratio": rounded(&flood_cost),
        "flood_rate_ratio": rounded(&flood_rate),
    });
    println!("wanted: ordinary_cost_ratio ≤ 1.15, flood_rate_ratio ≥ 0.85; on by off, medians of the rounds");
    println!("{figures}");
    Ok(())
}

struct Bench<'a> {
    telegram: String,
    target: Target<'a>,
    broker: Option<&'a Broker>,
}

impl Bench<'_> {
    /// An installation whose journal waits to be drained.
    async fn filled(&self, kind: Kind, count: u64) -> anyhow::Result<Installation> {
        let full = Installation::new(&self.target, &self.telegram)?;
        full.fill_with(count, |connector, numbers| items(connector, kind, numbers))
            .await?;
        Ok(full)
    }

    async fn drain(&self, full: &Installation, enabled: bool, what: &str) -> anyhow::Result<Drain> {
        let installation = Installation::new(&self.target, &self.telegram)?;
        installation.set(&format!("duplicates: {{ enabled: {enabled} }}"))?;
        installation.copy_journal_of(full)?;
        let drain = drain::measure(&installation).await.context(what.to_owned())?;
        if let Some(broker) = self.broker {
            broker.purge(daemon::QUEUE).await?;
        }
        eprintln!(
            "{what}: {:.0} msg/s; µs a message: daemon {:.1}, broker {:.1}",
            drain.messages_per_s, drain.cpu_us.0, drain.cpu_us.1
        );
        Ok(drain)
    }
}

fn items(connector: &dyn priem_sdk::Connector, kind: Kind, numbers: Range<u64>) -> anyhow::Result<Vec<Item>> {
    crate::updates::received(connector, numbers.map(|number| update(kind, number)))
}

/// A private message, as JSON.
fn update(kind: Kind, number: u64) -> String {
    let chat = 900_000_000 + number % CHATS;
    let (name, text) = match kind {
        Kind::Ordinary => (format!("Мария {}", number % CHATS), format!("{WORDS} Дом {number}.")),
        Kind::Flood => ("Мария".to_owned(), WORDS.to_owned()),
    };
    let person =
        json!({ "id": chat, "is_bot": false, "first_name": name, "last_name": "Иванова", "language_code": "ru" });
    json!({
        "update_id": 700_000_000 + number,
        "message": {
            "message_id": 1 + number,
            "from": person,
            "chat": { "id": chat, "type": "private", "first_name": name, "last_name": "Иванова" },
            "date": 1_780_000_000 + number / 50,
            "text": text,
        },
    })
    .to_string()
}
