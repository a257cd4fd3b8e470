//! `priem quarantine list|show|retry|drop`: items that wait for a person. Works beside a running daemon.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use super::{DONE, FINDING, USAGE, output};
use crate::{
    journal::{JournalError, held::Held, store::Store},
    settings::Settings,
    visible,
};

/// How long at least a daemon may write between two transactions of ours.
const SHORTEST_TURN: Duration = Duration::from_millis(5);

const AFTER_HELP: &str = "\
Examples:
  priem quarantine list
  priem quarantine show --raw 1207
  priem quarantine retry --reason unknown_kind     after an update that knows the kind
  priem quarantine retry --all                     after a missing queue was bound

Exit codes: 0 done, 1 an item is not on hold, 2 usage or settings, 3 no journal.";

/// Arguments of `priem quarantine`.
#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub enum QuarantineCommand {
    /// What waits, why, and since when; never what citizens wrote
    List {
        /// Only items with this reason (`unknown_kind`, `bad_row`, `unroutable` …)
        #[arg(long)]
        reason: Option<String>,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// One item; its content only with --raw
    Show {
        /// Number from the list
        number: i64,
        /// Print the item as the source gave it: holds personal data
        #[arg(long)]
        raw: bool,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Normalise and route again, under the same ids; a running daemon takes it up within a second
    Retry(Choice),
    /// Give up: the content is removed for ever, the fact stays
    Drop {
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

/// Which items.
#[derive(Debug, Args)]
pub struct Choice {
    /// Numbers from the list
    #[arg(required_unless_present_any = ["all", "reason"], conflicts_with_all = ["all", "reason"])]
    numbers: Vec<i64>,
    /// Every item on hold
    #[arg(long, conflicts_with = "reason")]
    all: bool,
    /// Every item with this reason
    #[arg(long)]
    reason: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// What --all and --reason need before anything is removed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Confirmed {
    /// Really remove everything that --all or --reason names
    #[arg(long)]
    yes: bool,
    /// Also parked messages, which only lack a queue
    #[arg(long)]
    parked: bool,
}

/// Looks or acts, and prints.
pub fn run(command: QuarantineCommand, settings: &Settings) -> anyhow::Result<u8> {
    let mut store = Store::open(&settings.journal.dir)?;
    match command {
        QuarantineCommand::List { reason, json } => {
            let held = match &reason {
                Some(reason) => store.held_for(reason)?,
                None => store.held()?,
            };
            if json {
                output::json(&held)?;
            } else if held.is_empty() {
                output::lines("nothing is on hold")?;
            } else {
                output::lines(&list(&held))?;
            }
            Ok(DONE)
        }
        QuarantineCommand::Show { number, raw, json } => show(&store, number, raw, json),
        QuarantineCommand::Retry(choice) => {
            let done = "will be tried again by the running daemon, or when it starts: priem quarantine list";
            act(&mut store, &choice, done, None, Store::retry)
        }
        QuarantineCommand::Drop { choice, confirmed } => {
            act(&mut store, &choice, "dropped", Some(confirmed), Store::discard)
        }
    }
}

fn list(held: &[Held]) -> String {
    let rows: Vec<_> = held
        .iter()
        .map(|item| {
            vec![
                item.seq.to_string(),
                item.kind.clone(),
                item.reason.clone(),
                item.connector.clone(),
                item.since.clone(),
                item.why.clone(),
            ]
        })
        .collect();
    output::table(&["NUMBER", "STATE", "REASON", "SOURCE", "SINCE", "WHY"], &rows)
}

fn show(store: &Store, number: i64, raw: bool, json: bool) -> anyhow::Result<u8> {
    let Some(item) = store.held_one(number)? else {
        output::say!("error: item {number} is not on hold; `priem quarantine list` shows those that are");
        return Ok(FINDING);
    };
    let record = store.raw(number)?;
    let body = record
        .as_ref()
        .filter(|_| raw)
        .map(|record| String::from_utf8_lossy(&record.raw.body).into_owned());
    if json {
        let mut value = serde_json::to_value(&item)?;
        if let (Some(record), Some(object)) = (&record, value.as_object_mut()) {
            object.insert("format".into(), record.raw.format.clone().into());
            object.insert("received_at".into(), record.raw.received_at.to_string().into());
            object.extend(body.map(|body| ("body".to_owned(), body.into())));
        }
        output::json(&value)?;
        return Ok(DONE);
    }
    let mut text = format!(
        "number    {}\nstate     {}\nreason    {}\nwhy       {}\nsince     {}\nsource    {}\n",
        item.seq,
        item.kind,
        visible::line(&item.reason),
        visible::line(&item.why),
        item.since,
        visible::line(&item.connector)
    );
    if let Some(record) = &record {
        text.push_str(&format!(
            "format    {}\nreceived  {}\n",
            visible::line(&record.raw.format),
            record.raw.received_at
        ));
    }
    match body {
        Some(body) => text.push_str(&format!("\n{body}\n")),
        None => text.push_str(&format!("\n{} bytes; --raw prints them (personal data)\n", item.bytes)),
    }
    output::lines(&text)?;
    Ok(DONE)
}

/// The items a choice names.
fn chosen(store: &Store, choice: &Choice) -> anyhow::Result<Vec<Held>> {
    if let Some(reason) = &choice.reason {
        return Ok(store.held_for(reason)?);
    }
    if choice.all {
        return Ok(store.held()?);
    }
    let mut numbers = choice.numbers.clone();
    numbers.sort_unstable();
    numbers.dedup();
    let named = numbers.into_iter().map(|number| store.held_one(number));
    Ok(named.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

/// Why a sweeping removal is not done as it was asked for.
fn objection(chosen: &[Held], choice: &Choice, confirmed: Confirmed) -> Option<String> {
    let parked = chosen.iter().filter(|item| item.kind == "parked").count();
    let quarantined = chosen.len() - parked;
    let is_sweeping = choice.all || choice.reason.is_some();
    if !is_sweeping || chosen.is_empty() || (confirmed.yes && (confirmed.parked || parked == 0)) {
        return None;
    }
    let mut text = format!("this would remove {quarantined} quarantined and {parked} parked messages for ever");
    if parked > 0 {
        text.push_str("; parked ones are understood and only lack a queue: bind it and `retry` them");
    }
    text.push_str(". To do it all the same, add --yes");
    if parked > 0 {
        text.push_str(" --parked");
    }
    Some(text)
}

/// Does something to the first of the items; see [`Store::retry`].
type Action = fn(&mut Store, &[i64]) -> Result<Vec<bool>, JournalError>;

fn act(
    store: &mut Store,
    choice: &Choice,
    done: &str,
    confirmed: Option<Confirmed>,
    action: Action,
) -> anyhow::Result<u8> {
    let chosen = chosen(store, choice)?;
    if let Some(text) = confirmed.and_then(|confirmed| objection(&chosen, choice, confirmed)) {
        output::say!("error: {text}");
        return Ok(USAGE);
    }
    let mut missing: Vec<i64> = choice.numbers.clone();
    missing.retain(|number| chosen.iter().all(|item| item.seq != *number));
    let mut acted = Vec::new();
    let seqs: Vec<i64> = chosen.iter().map(|item| item.seq).collect();
    let bar = output::progress("{bar:40} {pos}/{len} {eta}");
    bar.set_length(seqs.len() as u64);
    let mut rest = seqs.as_slice();
    while !rest.is_empty() {
        let began = Instant::now();
        let outcomes = action(store, rest)?;
        let (done, later) = rest.split_at(outcomes.len());
        for (seq, was_held) in done.iter().zip(outcomes) {
            if was_held { &mut acted } else { &mut missing }.push(*seq);
        }
        bar.inc(done.len() as u64);
        rest = later;
        if !rest.is_empty() {
            // A daemon beside us has its turn.
            std::thread::sleep(began.elapsed().max(SHORTEST_TURN));
        }
    }
    bar.finish_and_clear();
    if choice.json {
        output::json(&serde_json::json!({ "done": acted, "not_on_hold": missing }))?;
    } else {
        output::lines(&format!("{} {done}", acted.len()))?;
        for number in &missing {
            output::say!("item {number} is not on hold");
        }
    }
    if let Some(reason) = choice.reason.as_ref().filter(|_| chosen.is_empty()) {
        output::say!(
            "error: nothing is on hold for the reason `{reason}`; reasons now: {}",
            store.held_reasons()?.join(", ")
        );
        return Ok(FINDING);
    }
    Ok(if missing.is_empty() { DONE } else { FINDING })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(seq: i64, kind: &str) -> Held {
        Held {
            seq,
            kind: kind.into(),
            reason: "r".into(),
            why: String::new(),
            since: String::new(),
            connector: "a".into(),
            bytes: 0,
        }
    }

    #[test]
    fn a_sweeping_removal_must_be_confirmed_and_parked_messages_twice() {
        let all = Choice {
            numbers: Vec::new(),
            all: true,
            reason: None,
            json: false,
        };
        let one = Choice {
            numbers: vec![1],
            all: false,
            reason: None,
            json: false,
        };
        let mixed = [held(1, "quarantined"), held(2, "parked")];
        let asked = |yes, parked| objection(&mixed, &all, Confirmed { yes, parked });
        let text = asked(false, false).expect("an objection");
        assert!(
            text.contains("1 quarantined and 1 parked") && text.ends_with("--yes --parked"),
            "{text}"
        );
        assert!(asked(true, false).is_some(), "parked messages are understood");
        assert_eq!(asked(true, true), None);
        assert_eq!(
            objection(
                &mixed[..1],
                &all,
                Confirmed {
                    yes: true,
                    parked: false
                }
            ),
            None
        );
        assert_eq!(
            objection(
                &mixed,
                &one,
                Confirmed {
                    yes: false,
                    parked: false
                }
            ),
            None,
            "named one by one"
        );
    }
}
