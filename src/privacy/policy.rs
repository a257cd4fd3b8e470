//! The compiled policy: one action for each field, chosen by channel, route and queue, then applied.

use std::borrow::Cow;

use priem_sdk::{
    Message,
    message::{
        Routing,
        personal::{Class, mask_email, mask_phone},
    },
};
use priem_yaml::nearest;
use serde_json::{Map, Value};

use super::{
    Action, PrivacySettings, SealError, Sealer,
    fields::{Field, Place, walk},
    seal::Hasher,
    words,
};
use crate::personal::{mask_contacts, scrub};

/// A setting that does not fit. Names the key below `privacy` and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct PolicyError {
    /// Dotted key below `privacy`.
    pub key: String,
    /// What is wrong and how to mend it.
    pub problem: String,
}

/// One action for each field.
type Table = [Action; Field::ALL.len()];
/// What a policy of the settings changes in a table.
type Changes = Vec<(Field, Action)>;

/// Keys in `extra` that name what never leaves; compared in lower case without `_`, `-` and spaces.
const NEVER_KEYS: &[&str] = &[
    "снилс",
    "snils",
    "омс",
    "oms",
    "omspolicy",
    "полисомс",
    "енп",
    "birthdate",
    "birthday",
    "dateofbirth",
    "датарождения",
];

/// What leaves of personal data. Cheap to use: a few comparisons and one look for digits in each text.
#[derive(Debug)]
pub struct Policy {
    table: Table,
    overrides: Vec<Override>,
    keys: Keys,
}

#[derive(Debug)]
struct Override {
    channel: Option<String>,
    route: Option<String>,
    personal_data: Option<String>,
    queue: Option<String>,
    changes: Changes,
}

impl Override {
    fn holds(&self, channel: &str, routing: &Routing) -> bool {
        self.channel.as_ref().is_none_or(|wanted| wanted == channel)
            && self.queue.as_ref().is_none_or(|wanted| *wanted == routing.queue)
            && (self.personal_data.is_none() || self.personal_data == routing.personal_data)
            && self
                .route
                .as_ref()
                .is_none_or(|wanted| routing.matched.contains(wanted))
    }
}

#[derive(Default)]
struct Keys {
    hasher: Option<Hasher>,
    sealer: Option<Sealer>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            table: default_table(),
            overrides: Vec::new(),
            keys: Keys::default(),
        }
    }
}

fn default_table() -> Table {
    let mut table = [Action::Pass; Field::ALL.len()];
    for (index, field) in Field::ALL.iter().enumerate() {
        if field.class() == Class::Contact {
            table[index] = Action::Mask;
        }
    }
    table
}

impl Policy {
    /// Compiles the settings and reads the keys they name. `known_rule` tells ids of rules, or the nearest one.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn compile(
        settings: &PrivacySettings,
        is_rule: &dyn Fn(&str) -> bool,
        nearest_rule: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PolicyError> {
        let mut policy = Self::default();
        let base = changes(&settings.policy, "policy")?;
        write(&mut policy.table, &base);
        let mut used: Vec<Action> = policy.table.to_vec();
        for (number, entry) in settings.overrides.iter().enumerate() {
            let key = |name: &str| format!("overrides.{number}.{name}");
            let named = [&entry.channel, &entry.route, &entry.personal_data, &entry.queue];
            if named.into_iter().all(Option::is_none) {
                let problem = "name a channel, a route, a queue or a name that rules give (personal_data); what holds \
                               for all belongs into privacy.policy";
                return Err(error(format!("overrides.{number}"), problem));
            }
            if let Some(route) = entry.route.as_ref().filter(|route| !is_rule(route)) {
                let hint = nearest_rule(route).map(|id| format!("; did you mean `{id}`?"));
                let problem = format!("no rule or route has the id `{route}`{}", hint.unwrap_or_default());
                return Err(error(key("route"), problem));
            }
            let changes = changes(&entry.policy, &key("policy"))?;
            used.extend(changes.iter().map(|(_, action)| action));
            policy.overrides.push(Override {
                channel: entry.channel.clone(),
                route: entry.route.clone(),
                personal_data: entry.personal_data.clone(),
                queue: entry.queue.clone(),
                changes,
            });
        }
        policy.keys = keys(settings, &used)?;
        Ok(policy)
    }

    /// Why rules don't fit this policy, in Russian, for those who wrote the rules; empty when they do. A name nobody
    /// explains, or a route that is gone, would let more out than was meant.
    ///
    /// `given`: names that the rules give to messages.
    pub fn misfits<'n>(&self, is_rule: &dyn Fn(&str) -> bool, given: impl IntoIterator<Item = &'n str>) -> Vec<String> {
        let routes = self.overrides.iter().filter_map(|entry| entry.route.as_deref());
        let gone = routes.filter(|route| !is_rule(route)).map(|route| {
            format!(
                "порядок личных данных (privacy.overrides в настройках) назначен для правила или маршрута «{route}», а \
                 такого больше нет. Верните его или поправьте настройки и перезапустите службу"
            )
        });
        let is_known = |name: &str| {
            self.overrides
                .iter()
                .any(|entry| entry.personal_data.as_deref() == Some(name))
        };
        let unknown = given.into_iter().filter(|name| !is_known(name)).map(|name| {
            format!(
                "правила назначают порядок личных данных «{name}» (personal_data), а в настройках службы он не описан: \
                 добавьте в privacy.overrides запись «- personal_data: {name}» или исправьте название"
            )
        });
        gone.chain(unknown).collect()
    }

    /// Removes what never leaves. Once per message, before its copies.
    pub fn clean(&self, message: &mut Message) {
        let (mut in_text, mut in_html, mut is_broken) = (0, 0, false);
        walk(message, &mut |field, place| {
            if !field.is_written_by_people() {
                return;
            }
            let text: &mut String = match place {
                Place::Required(text) | Place::Optional(Some(text)) => text,
                _ => return,
            };
            if let Some((cleaned, removed)) = scrub(text) {
                let tags = |text: &str| text.bytes().filter(|byte| *byte == b'<').count();
                match field {
                    Field::Text => in_text = removed,
                    Field::Html => (in_html, is_broken) = (removed, tags(&cleaned) < tags(text)),
                    _ => {}
                }
                *text = cleaned;
            }
        });
        if in_html < in_text || is_broken {
            // Tags stand in the middle of a number, and one is missing now: the plain text says everything.
            message.data.body.html = None;
        }
        words::walk(message, &mut |text| {
            if let Some((cleaned, _)) = scrub(text) {
                *text = cleaned;
            }
        });
        clean_fields(&mut message.data.extra);
    }

    /// Whether messages of a channel leave in one shape, whoever gets them.
    pub fn is_same_for_all(&self, channel: &str, routes: &[Routing]) -> bool {
        match routes.split_first() {
            Some((first, others)) => {
                let table = self.table(channel, first);
                others.iter().all(|routing| self.table(channel, routing) == table)
            }
            None => true,
        }
    }

    /// Applies the policy for one recipient.
    pub fn apply(&self, message: &mut Message, routing: &Routing) {
        let table = self.table(&message.data.channel, routing);
        let (event, channel) = (message.id, message.data.channel.clone());
        let change = |field: Field, value: &str| match table[field as usize] {
            Action::Pass => Some(value.to_owned()),
            Action::Drop => None,
            Action::Mask => Some(mask(field, value)),
            Action::Hash => self
                .keys
                .hasher
                .as_ref()
                .map(|hasher| hash(hasher, field, &channel, value)),
            Action::Encrypt => self
                .keys
                .sealer
                .as_ref()
                .map(|sealer| sealer.seal(event, field.path(), value)),
        };
        walk(message, &mut |field, place| {
            let action = table[field as usize];
            if action == Action::Pass {
                return;
            }
            match place {
                Place::Optional(slot) => *slot = slot.take().and_then(|value| change(field, &value)),
                Place::Required(text) if text.is_empty() => {}
                Place::Required(text) => *text = change(field, text).unwrap_or_default(),
                // Two decimals of a degree are about a kilometre. Numbers can't hold a hash.
                Place::Point(slot) => {
                    *slot = slot.take().filter(|_| action == Action::Mask).map(|mut point| {
                        point.lat = (point.lat * 100.0).round() / 100.0;
                        point.lon = (point.lon * 100.0).round() / 100.0;
                        point
                    });
                }
            }
        });
        let mentions = &mut message.data.body.mentions;
        mentions.retain(|mention| !(mention.external_id.is_empty() && mention.text.is_empty()));
    }

    fn table(&self, channel: &str, routing: &Routing) -> Table {
        let mut table = self.table;
        for entry in self.overrides.iter().filter(|entry| entry.holds(channel, routing)) {
            write(&mut table, &entry.changes);
        }
        table
    }
}

fn write(table: &mut Table, changes: &Changes) {
    for (field, action) in changes {
        table[*field as usize] = *action;
    }
}

/// Classes first, then fields, so that a field goes before its class.
fn changes(policy: &std::collections::BTreeMap<String, Action>, key: &str) -> Result<Changes, PolicyError> {
    const CLASSES: [Class; 5] = [
        Class::Text,
        Class::Name,
        Class::Contact,
        Class::Identifier,
        Class::Location,
    ];
    let (mut by_class, mut by_field) = (Changes::new(), Changes::new());
    for (name, action) in policy {
        if let Some(class) = CLASSES.iter().find(|class| class.as_str() == name) {
            let own = Field::ALL.iter().filter(|field| field.class() == *class);
            by_class.extend(own.map(|field| (*field, *action)));
            continue;
        }
        let Some(field) = Field::ALL.iter().find(|field| field.path() == name) else {
            let known = CLASSES
                .iter()
                .map(|class| class.as_str())
                .chain(Field::ALL.iter().map(|field| field.path()));
            let problem = format!(
                "no class or field of personal data{}; the list is in docs/privacy.md",
                nearest(name, known).map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
            );
            return Err(error(format!("{key}.{name}"), problem));
        };
        if *field == Field::PlaceGeo && matches!(action, Action::Hash | Action::Encrypt) {
            let problem = "a point can be passed, masked (to about a kilometre) or dropped";
            return Err(error(format!("{key}.{name}"), problem));
        }
        by_field.push((*field, *action));
        if *field == Field::Text && !policy.contains_key(Field::Html.path()) {
            // The same words with tags.
            by_field.push((Field::Html, *action));
        }
    }
    by_class.extend(by_field);
    Ok(by_class)
}

fn keys(settings: &PrivacySettings, used: &[Action]) -> Result<Keys, PolicyError> {
    let needed = |action: Action, key: &str, given: bool| {
        if used.contains(&action) && !given {
            let verb = if action == Action::Hash { "hash" } else { "encrypt" };
            let problem = format!(
                "`{verb}` is used in the policy and needs a key: make one with `openssl rand -hex 32` and name its place, \
                 for example {key}: {{ credential: privacy-{verb}-key }}"
            );
            return Err(error(key.to_owned(), problem));
        }
        Ok(())
    };
    needed(Action::Hash, "hash_key", settings.hash_key.is_some())?;
    needed(Action::Encrypt, "encrypt_key", settings.encrypt_key.is_some())?;
    let mut keys = Keys::default();
    if let Some(reference) = &settings.hash_key {
        let wrong = |problem: String| error("hash_key".into(), problem);
        let secret = reference.read().map_err(|error| wrong(error.to_string()))?;
        let of = |error: SealError| wrong(format!("{} {error}", reference.place()));
        keys.hasher = Some(Hasher::new(&secret).map_err(of)?);
    }
    if let Some(reference) = &settings.encrypt_key {
        let wrong = |problem: String| error("encrypt_key".into(), problem);
        let secret = reference.read().map_err(|error| wrong(error.to_string()))?;
        let of = |error: SealError| wrong(format!("{} {error}", reference.place()));
        keys.sealer = Some(Sealer::new(&secret).map_err(of)?);
    }
    Ok(keys)
}

fn error(key: String, problem: impl Into<String>) -> PolicyError {
    PolicyError {
        key,
        problem: problem.into(),
    }
}

fn mask(field: Field, value: &str) -> String {
    match (field, field.class()) {
        (Field::Phone, _) => mask_phone(value),
        (Field::Email, _) => mask_email(value),
        (_, Class::Text) => mask_contacts(value).unwrap_or_else(|| value.to_owned()),
        (_, Class::Name) => value.split_whitespace().map(first_letter).collect::<Vec<_>>().join(" "),
        _ => "***".into(),
    }
}

/// `Иван` → `И***`.
fn first_letter(word: &str) -> String {
    format!("{}***", word.chars().take(1).collect::<String>())
}

/// Equal values written differently hash alike: telephones by their ten digits, everything else in lower case. Ids mean
/// something in their channel alone.
fn hash(hasher: &Hasher, field: Field, channel: &str, value: &str) -> String {
    let value: Cow<'_, str> = match field {
        Field::Phone => {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            Cow::Owned(digits[digits.len().saturating_sub(10)..].to_owned())
        }
        _ => Cow::Owned(
            value
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase()
                .replace('ё', "е"),
        ),
    };
    match field.class() {
        Class::Identifier => hasher.hash(&[field.path(), channel], &value),
        _ => hasher.hash(&[field.path()], &value),
    }
}

fn is_never(key: &str) -> bool {
    let plain: String = key.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    NEVER_KEYS.contains(&plain.as_str())
}

fn clean_fields(fields: &mut Map<String, Value>) {
    fields.retain(|key, value| {
        clean_value(value);
        !is_never(key)
    });
    let bent: Vec<String> = fields.keys().filter(|key| scrub(key).is_some()).cloned().collect();
    for key in bent {
        if let (Some(value), Some((cleaned, _))) = (fields.shift_remove(&key), scrub(&key)) {
            fields.insert(cleaned, value);
        }
    }
}

/// Texts inside `extra`. What is only digits is an id of the source, unless its key says otherwise.
fn clean_value(value: &mut Value) {
    match value {
        Value::String(text) if !text.bytes().all(|byte| byte.is_ascii_digit()) => {
            if let Some((cleaned, _)) = scrub(text) {
                *text = cleaned;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(clean_value),
        Value::Object(fields) => clean_fields(fields),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
