//! Which fields are personal data, how they are masked, and what people see in views.
//!
//! One table; the JSON Schema, the masking in views and the host's policy of the queue follow from it (152-ФЗ, ст. 5:
//! keep only what the purpose needs). СНИЛС, ОМС and birth date have no field in the schema: connectors leave them out,
//! and the host looks for them in texts.

use serde_json::Value;

use super::Message;

/// Class of a field that is personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The citizen's words, and whatever they wrote into them.
    Text,
    /// Names of people.
    Name,
    /// Ways to reach a person.
    Contact,
    /// Ids and addresses by which a person's page or message can be found.
    Identifier,
    /// Where a person lives or stood.
    Location,
}

impl Class {
    /// Name in the schema's `x-personal-data`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "name",
            Self::Contact => "contact",
            Self::Identifier => "identifier",
            Self::Location => "location",
        }
    }
}

/// Personal data by schema definition and property. What is not listed is not personal data.
pub const FIELDS: &[(&str, &str, Class)] = &[
    ("Author", "external_id", Class::Identifier),
    ("Author", "name", Class::Name),
    ("Author", "username", Class::Identifier),
    ("Contacts", "phone", Class::Contact),
    ("Contacts", "email", Class::Contact),
    ("Contacts", "post_address", Class::Contact),
    ("Body", "text", Class::Text),
    ("Body", "html", Class::Text),
    ("Body", "quote", Class::Text),
    ("Mention", "external_id", Class::Identifier),
    ("Mention", "text", Class::Name),
    ("Attachment", "external_id", Class::Identifier),
    ("Attachment", "url", Class::Identifier),
    ("Attachment", "name", Class::Text),
    ("External", "url", Class::Identifier),
    ("Relation", "forwarded_from", Class::Name),
    ("Place", "text", Class::Location),
    ("Place", "geo", Class::Location),
    ("Place", "street", Class::Location),
    ("Place", "house", Class::Location),
    ("Place", "fias", Class::Location),
];

/// Writes `x-personal-data` into the generated schema.
pub(super) fn annotate(schema: &mut Value) {
    for (definition, property, class) in FIELDS {
        if let Some(field) = schema
            .pointer_mut(&format!("/$defs/{definition}/properties/{property}"))
            .and_then(Value::as_object_mut)
        {
            field.insert("x-personal-data".into(), class.as_str().into());
        }
    }
}

/// A copy for views and listings: every personal field becomes `***`, texts show only their length.
pub fn masked(message: &Message) -> Value {
    let mut value = serde_json::to_value(message).unwrap_or_default();
    if let Some(data) = value.get_mut("data") {
        mask_value(data, "MessageData");
    }
    value
}

/// Which definition a property of a definition leads to; only those with personal data below.
fn child(property: &str) -> Option<&'static str> {
    Some(match property {
        "author" => "Author",
        "contacts" => "Contacts",
        "body" => "Body",
        "mentions" => "Mention",
        "attachments" => "Attachment",
        "external" => "External",
        "relation" => "Relation",
        "place" => "Place",
        _ => return None,
    })
}

fn mask_value(value: &mut Value, definition: &str) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|entry| mask_value(entry, definition)),
        Value::Object(fields) => {
            for (property, field) in fields {
                let class = FIELDS
                    .iter()
                    .find(|(d, p, _)| *d == definition && p == property)
                    .map(|(_, _, c)| *c);
                match (class, child(property)) {
                    (Some(Class::Text), _) => {
                        let length = field.as_str().map_or(0, |text| text.chars().count());
                        *field = format!("*** ({length} characters)").into();
                    }
                    (Some(_), _) => *field = "***".into(),
                    (None, Some(next)) => mask_value(field, next),
                    (None, None) => {}
                }
            }
        }
        _ => {}
    }
}

/// Keeps the last two digits: `+7 912 345-67-89` → `***89`.
pub fn mask_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    format!(
        "***{}",
        digits[digits.len().saturating_sub(2)..].iter().collect::<String>()
    )
}

/// Keeps the first letter and the domain: `ivanov@mail.ru` → `i***@mail.ru`.
pub fn mask_email(email: &str) -> String {
    match email.split_once('@') {
        Some((name, domain)) => format!("{}***@{domain}", name.chars().take(1).collect::<String>()),
        None => "***".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, Kind, MessageData, Regime, json_schema};

    fn sample() -> Message {
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.body.text = "СЕКРЕТНЫЙ текст".into();
        data.author.name = Some("Иван СЕКРЕТНЫЙ".into());
        data.author.contacts.phone = Some("+7 912 345-67-89".into());
        data.author.contacts.email = Some("ivanov@mail.ru".into());
        data.place.street = Some("СЕКРЕТНАЯ".into());
        Message::new(EventType::Received, data)
    }

    #[test]
    fn every_listed_field_exists_in_the_schema() {
        let schema = json_schema();
        for (definition, property, class) in FIELDS {
            let pointer = format!("/$defs/{definition}/properties/{property}/x-personal-data");
            assert_eq!(
                schema.pointer(&pointer).and_then(Value::as_str),
                Some(class.as_str()),
                "{pointer}"
            );
        }
    }

    #[test]
    fn views_show_nothing_personal() {
        let shown = masked(&sample()).to_string();
        assert!(
            !shown.contains("СЕКРЕТН") && !shown.contains("345") && !shown.contains("ivanov"),
            "{shown}"
        );
    }

    /// Fields that are not personal data. A new field of the schema must be put here or into [`FIELDS`].
    ///
    /// Ids of messages, threads and conversations stay: without them nobody could answer, keep the order or leave out
    /// what came twice. Some platforms make them of a person's id; `docs/privacy.md` says which.
    const NOT_PERSONAL: &[(&str, &[&str])] = &[
        (
            "Attachment",
            &[
                "kind",
                "unique_id",
                "mime",
                "size",
                "needs_token",
                "expires_at",
                "stored",
            ],
        ),
        ("Author", &["kind"]),
        ("Body", &["language"]),
        (
            "Deadline",
            &[
                "stage",
                "due_at",
                "zone",
                "basis",
                "rule",
                "unit",
                "internal_due_at",
                "calendar_missing",
            ],
        ),
        (
            "External",
            &["id", "alt_id", "thread", "parent", "conversation", "group", "revision"],
        ),
        (
            "Flags",
            &["fast_track", "collective", "reconsidered", "forwarded", "other"],
        ),
        ("Geo", &["lat", "lon"]),
        ("Legal", &["regime", "hint"]),
        ("MessageData", &["channel", "subchannel", "connector", "kind", "extra"]),
        ("Moment", &["value", "source_text", "zone", "precision"]),
        ("Organisation", &["department"]),
        ("OrganisationRef", &["id", "name"]),
        (
            "Place",
            &[
                "oktmo",
                "region",
                "municipality",
                "city_district",
                "settlement",
                "precision",
            ],
        ),
        ("Recipient", &["organisation", "role"]),
        (
            "Relation",
            &["repeat_of", "cluster", "duplicate_of", "reason", "seen_in"],
        ),
        ("Reminder", &["of", "revision", "stage", "due_at", "at", "left_seconds"]),
        (
            "Routing",
            &[
                "sector",
                "territory",
                "territory_found_by",
                "place_precision",
                "queue",
                "priority",
                "tags",
                "review_required",
                "copy",
                "rules_version",
                "matched",
                "explanation",
                "deadline_policy",
                "calendar_missing",
                "personal_data",
            ],
        ),
        ("Satisfaction", &["score", "scale"]),
        ("Status", &["common", "raw", "outcome"]),
        ("Times", &["at_source", "received"]),
        ("Topic", &["classifier", "version", "starred"]),
        ("TopicNode", &["id", "name"]),
    ];

    /// Whether a property holds a value and not an object with rows of its own.
    fn is_leaf(property: &Value) -> bool {
        let text = property.to_string();
        let leads_on = text.split("#/$defs/").skip(1).any(|rest| {
            let name = rest.split('"').next().unwrap_or_default();
            NOT_PERSONAL.iter().any(|row| row.0 == name) || FIELDS.iter().any(|row| row.0 == name)
        });
        !leads_on
    }

    #[test]
    fn every_field_has_a_class_or_is_named_as_not_personal() {
        let schema = json_schema();
        let definitions = schema["$defs"].as_object().expect("definitions");
        let mut unknown = Vec::new();
        for (definition, body) in definitions {
            for (property, node) in body["properties"].as_object().into_iter().flatten() {
                let is_personal = FIELDS.iter().any(|row| row.0 == definition && row.1 == property);
                let is_other = NOT_PERSONAL
                    .iter()
                    .any(|row| row.0 == definition && row.1.contains(&property.as_str()));
                assert!(!(is_personal && is_other), "{definition}.{property} is in both lists");
                if !is_personal && !is_other && is_leaf(node) {
                    unknown.push(format!("{definition}.{property}"));
                }
            }
        }
        assert_eq!(unknown, Vec::<String>::new(), "put them into FIELDS or NOT_PERSONAL");
        for (definition, properties) in NOT_PERSONAL {
            for property in *properties {
                assert!(
                    schema
                        .pointer(&format!("/$defs/{definition}/properties/{property}"))
                        .is_some(),
                    "{definition}.{property} is not in the schema"
                );
            }
        }
    }
}
