//! `priem why ID`: «почему сюда?», as it was decided then, in Russian.

use clap::Args;

use super::{DONE, FINDING, output};
use crate::{
    journal::{
        decided::{Decided, Waiting},
        store::Store,
    },
    settings::Settings,
    visible,
};

const AFTER_HELP: &str = "\
Examples:
  priem why 9c131010-bd57-5707-a73b-02eaea073130     by event id (AMQP message_id)
  priem why -1001234567890:42                        by id at the source (chat:message)
  priem why 1207                                     by number, as `priem quarantine list` shows it

Exit codes: 0 found, 1 nothing is known of it, 2 usage or settings, 3 no journal.";

/// Arguments of `priem why`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct WhyArgs {
    /// Event id (CloudEvents `id`, AMQP `message_id`), id of the message at its source, or number of the stored item
    #[arg(allow_hyphen_values = true)]
    id: String,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Looks and prints.
pub fn run(arguments: WhyArgs, settings: &Settings) -> anyhow::Result<u8> {
    let store = Store::open(&settings.journal.dir)?;
    let decided = store.decisions(&arguments.id)?;
    let waiting = store.unsettled(&arguments.id)?;
    if arguments.json {
        let waiting: Vec<_> = waiting
            .iter()
            .map(|(seq, state)| serde_json::json!({ "seq": seq, "state": state_ru(state) }))
            .collect();
        output::json(&serde_json::json!({ "decisions": decided, "waiting": waiting }))?;
    } else {
        for decision in &decided {
            output::lines(&render(decision))?;
        }
        for (seq, state) in &waiting {
            output::lines(&format!("Запись {seq} ждёт: {}", visible::line(&state_ru(state))))?;
        }
    }
    if decided.is_empty() && waiting.is_empty() {
        output::say!(
            "error: nothing is known of `{}`: an event id (UUID), an id at the source or a number is wanted; \
             decisions are kept for journal.dedupe_days",
            arguments.id
        );
        return Ok(FINDING);
    }
    Ok(DONE)
}

fn render(decision: &Decided) -> String {
    let text = |key: &str| {
        let value = decision.routing.pointer(key).and_then(serde_json::Value::as_str);
        visible::line(value.unwrap_or("—"))
    };
    let Decided { seq, at, .. } = decision;
    let channel = visible::line(&decision.channel);
    match decision.outcome.as_str() {
        "ignored" => return format!("Запись {seq} ({channel}), {at}: принята, но слов гражданина в ней нет\n"),
        "dropped" => {
            let reason = text("/reason");
            return format!("Запись {seq}: снята с карантина человеком {at}, причина {reason}; содержимое удалено\n");
        }
        "superseded" => {
            return format!(
                "Запись {seq}: снята с карантина {at}: источник прислал её снова, целой, и принята новая\n"
            );
        }
        _ => {}
    }
    let outcome = outcome_ru(&decision.outcome);
    let mut out = format!(
        "Запись {seq}, событие {}\n  {}\n  {at}, канал {channel}: {outcome}\n",
        decision.event_id, decision.event
    );
    let copy = if decision.routing.get("copy").is_some() {
        "Копия"
    } else {
        "Кому"
    };
    out.push_str(&format!(
        "  {copy}: {} ({}); ключ {}; отрасль: {}\n",
        text("/recipient/organisation"),
        text("/recipient/role"),
        text("/queue"),
        text("/sector"),
    ));
    for line in decision.routing["explanation"].as_array().into_iter().flatten() {
        out.push_str(&format!("  • {}\n", visible::line(line.as_str().unwrap_or_default())));
    }
    out.push_str(&format!("  Версия правил {}; время — UTC\n", text("/rules_version")));
    out
}

/// What became of a message.
fn outcome_ru(outcome: &str) -> &str {
    match outcome {
        "published" => "отправлено",
        "parked" => "не отправлено: у брокера нет очереди для этого ключа, или она не берёт",
        other => other,
    }
}

/// What an item waits for.
fn state_ru(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Delivery => "очередь на отправку".to_owned(),
        Waiting::Queue { refuses: true, why } => format!("очередь не берёт: {why}"),
        Waiting::Queue { refuses: false, why } => format!("у брокера нет очереди: {why}"),
        Waiting::Person { reason, why } => format!("карантин, {reason}: {why}"),
    }
}
