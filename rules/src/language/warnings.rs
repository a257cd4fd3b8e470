//! What looks like a slip but may be right: told by `rules check`, never a reason to refuse.

use crate::engine::compiled::Compiled;
use crate::engine::condition::Condition;
use crate::engine::fields::Field;
use crate::engine::model::Head;
use priem_yaml::nearest;

/// Channels that connectors are known to give. Open: a new connector may bring its own.
const KNOWN_CHANNELS: &[&str] = &[
    "telegram", "vk", "ok", "max", "pos", "incident", "uv", "mss", "fz59", "portal",
];

/// Every warning of a set, in Russian, with its place.
pub(crate) fn find(rules: &Compiled) -> Vec<String> {
    let mut out = Vec::new();
    rules.heads().into_iter().for_each(|head| of_head(head, &mut out));
    out
}

fn of_head(head: &Head, out: &mut Vec<String>) {
    if let Some(condition) = &head.when {
        of_condition(head, condition, out);
    }
}

fn of_condition(head: &Head, condition: &Condition, out: &mut Vec<String>) {
    match condition {
        Condition::Is(test) if test.field == Field::Channel => {
            let unknown = test.written.iter().filter(|written| !is_known(written));
            out.extend(unknown.map(|written| unknown_channel(head, written)));
        }
        Condition::Is(_) | Condition::Text(_) | Condition::Context(_) | Condition::Today(_) => {}
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| of_condition(head, part, out)),
        Condition::Not(part) => of_condition(head, part, out),
    }
}

fn is_known(written: &str) -> bool {
    KNOWN_CHANNELS.contains(&Field::Channel.normalise(written).as_str())
}

fn unknown_channel(head: &Head, written: &str) -> String {
    let guess = match nearest(written, KNOWN_CHANNELS.iter().copied()) {
        Some(name) => format!("возможно «{name}»"),
        None => format!("известны: {}", KNOWN_CHANNELS.join(", ")),
    };
    let origin = &head.origin;
    format!(
        "{}:{}: «{}»: канал «{written}» неизвестен, {guess}",
        origin.file.display(),
        origin.line,
        head.id
    )
}
