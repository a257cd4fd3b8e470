//! `priem rules explain`: «почему сюда?», step by step, for a text, a message or one of the journal.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use jiff::Timestamp;
use priem_connectors::CONNECTORS;
use priem_sdk::message::{EventType, Kind, Message, MessageData, Place, Regime, Topic, TopicNode};
use serde_json::json;

use super::{DONE, ENVIRONMENT, FINDING, USAGE, load, report_errors};
use crate::{
    delivery,
    journal::{JournalError, store::Store},
    runtime::build::Built,
};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Folder with rule files (*.yaml)
    dir: Option<PathBuf>,
    /// Text of the message
    #[arg(long, conflicts_with_all = ["message", "id"], required_unless_present_any = ["message", "id"])]
    text: Option<String>,
    /// Message as JSON (a file, or - for the standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    message: Option<PathBuf>,
    /// A message of the journal, as `priem why` names it: event id, id at the source or number of the item; decided anew
    /// by the rules of today
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    id: Option<String>,
    #[command(flatten)]
    fields: FieldArgs,
    /// Also show what this rule, route or deadline sees, even if it was not looked at
    #[arg(long, value_name = "ID")]
    why_not: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Fields of the message made from `--text`.
#[derive(Debug, Args)]
struct FieldArgs {
    /// Channel
    #[arg(long, default_value = "telegram", conflicts_with_all = ["message", "id"])]
    channel: String,
    /// Kind of message: direct, comment, post, review, portal, incident, vote
    #[arg(long, value_parser = word::<Kind>, default_value = "direct", conflicts_with_all = ["message", "id"])]
    kind: Kind,
    /// Legal regime: fz59, pos_message, open_source_message, portal_message
    #[arg(long, value_parser = word::<Regime>, default_value = "open_source_message", conflicts_with_all = ["message", "id"])]
    regime: Regime,
    /// Topic of the source, levels parted by ' / '
    #[arg(long, conflicts_with_all = ["message", "id"])]
    topic: Option<String>,
    /// Municipality
    #[arg(long, conflicts_with_all = ["message", "id"])]
    municipality: Option<String>,
    /// District of the city
    #[arg(long, conflicts_with_all = ["message", "id"])]
    city_district: Option<String>,
}

/// Reads a word of the message schema.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(json!(text)).map_err(|error| error.to_string())
}

/// Runs the command; `config` is the settings file that was named, for messages of the journal.
pub(super) fn run(
    out: &mut dyn Write,
    args: &ExplainArgs,
    default: Option<&Path>,
    config: Option<&Path>,
) -> Result<u8> {
    let rules = match load(args.dir.as_deref(), default) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let now = Timestamp::now();
    let message = match read_message(args, config, now) {
        Ok(message) => message,
        Err((code, error)) => {
            writeln!(out, "сообщение не читается: {error:#}")?;
            return Ok(code);
        }
    };
    let why_not = match args.why_not.as_deref().map(|id| (id, rules.why(&message, now, id))) {
        Some((id, None)) => {
            let guess = match rules.nearest_id(id) {
                Some(near) => format!(", возможно, вы имели в виду «{near}»"),
                None => String::new(),
            };
            writeln!(out, "правила «{id}» нет{guess}")?;
            return Ok(USAGE);
        }
        Some((_, trace)) => trace,
        None => None,
    };
    let explanation = rules.explain(&message, now);
    if args.json {
        let mut answer = serde_json::to_value(&explanation)?;
        if let Some(trace) = why_not {
            answer["why_not"] = serde_json::to_value(trace)?;
        }
        writeln!(out, "{answer}")?;
    } else {
        write!(out, "{}", explanation.render_ru())?;
        if let Some(trace) = why_not {
            write!(out, "\nПочему не «{}»\n{}", trace.id, trace.render_ru())?;
        }
    }
    Ok(DONE)
}

/// The message to explain, or the exit code and the reason.
fn read_message(args: &ExplainArgs, config: Option<&Path>, now: Timestamp) -> Result<Message, (u8, anyhow::Error)> {
    if let Some(id) = &args.id {
        return stored(id, config);
    }
    let Some(path) = &args.message else {
        return Ok(message_from(args, now));
    };
    let text = read_text(path).map_err(|error| (ENVIRONMENT, error))?;
    serde_json::from_str(&text)
        .context("нужен JSON сообщения версии 1, как в очереди (priem schema message)")
        .map_err(|error| (FINDING, error))
}

/// A message of the journal, normalised again as the daemon would.
fn stored(id: &str, config: Option<&Path>) -> Result<Message, (u8, anyhow::Error)> {
    let environment = |error: anyhow::Error| (ENVIRONMENT, error);
    let config = super::super::config_path(config).map_err(environment)?;
    let built = Built::from_file(&config, CONNECTORS).map_err(|error| environment(error.into()))?;
    let store = Store::open(&built.settings.journal.dir).map_err(|error| environment(error.into()))?;
    let read = || -> Result<Option<i64>, JournalError> {
        let decided = store.decisions(id)?.into_iter().map(|decision| decision.seq);
        let waiting = store.unsettled(id)?.into_iter().map(|(seq, _)| seq);
        Ok(decided.chain(waiting).max())
    };
    let seq = read().map_err(|error| environment(error.into()))?;
    let seq = seq.ok_or_else(|| {
        (
            FINDING,
            anyhow!("о «{id}» в журнале ничего нет; спросите «priem why {id}»"),
        )
    })?;
    let record = store.raw(seq).map_err(|error| environment(error.into()))?;
    let record = record.ok_or_else(|| {
        let gone = "исходное сообщение уже удалено из журнала (journal.raw_days); как решили тогда, скажет priem why";
        (FINDING, anyhow!(gone))
    })?;
    let messages = delivery::messages(&built.connectors, &record);
    let messages = messages.map_err(|error| (FINDING, anyhow!("запись {seq} в карантине: {}", error.why)))?;
    let mut named = messages.iter().filter(|message| message.id.to_string() == id);
    let message = named.next().or(messages.last());
    message
        .cloned()
        .ok_or_else(|| (FINDING, anyhow!("запись {seq} принята, но слов гражданина в ней нет")))
}

fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("стандартный ввод")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    }
    Ok(text)
}

fn message_from(args: &ExplainArgs, now: Timestamp) -> Message {
    let fields = &args.fields;
    let mut data = MessageData::new(&fields.channel, fields.kind, fields.regime);
    data.connector = "explain".into();
    data.external.id = "explain".into();
    data.times.received = now;
    data.body.text = args.text.clone().unwrap_or_default();
    data.place = Place {
        municipality: fields.municipality.clone(),
        city_district: fields.city_district.clone(),
        ..Place::default()
    }
    .with_precision();
    data.topic = fields.topic.as_ref().map(|path| Topic {
        classifier: fields.channel.clone(),
        version: None,
        path: path
            .split(" / ")
            .map(|level| TopicNode {
                id: None,
                name: level.trim().to_owned(),
            })
            .collect(),
        starred: false,
    });
    Message::new(EventType::Received, data)
}
