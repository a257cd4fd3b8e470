//! The closed set of message fields that conditions can ask about, each with its Russian name.
//!
//! One table: the reader, the JSON Schema, the error messages, the explanations and the evaluation follow from it. A
//! new condition of the kind «поле = одно из значений» is a new row here.

use priem_message::{CommonStatus, Message, Place, PlacePrecision, Satisfaction};

use crate::engine::moment::{MomentTest, WEEKDAYS};
use crate::words::normal;

/// How values of a field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One of a closed list of words.
    Closed(&'static [&'static str]),
    /// An identifier, compared without case.
    Identifier,
    /// A name in natural language.
    Name,
    /// A name, or several joined by ` / `.
    Path,
    /// The name of a place; a bare name also fits one with the word for its kind.
    PlaceName,
    /// Digits; the condition gives a beginning of the code.
    CodePrefix,
    /// Yes or no.
    YesNo,
    /// Something about time, see `moment`.
    Moment,
}

macro_rules! fields {
    ($($field:ident $key:literal $inside_place:literal $label:literal $form:expr;)+) => {
        /// A field of a message that conditions can ask about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Field { $($field),+ }

        impl Field {
            /// Every field, in the order of the documentation.
            pub(crate) const ALL: &[Self] = &[$(Self::$field),+];

            /// Key in a rule file.
            pub(crate) fn key(self) -> &'static str {
                match self { $(Self::$field => $key),+ }
            }

            /// Whether the key stands under `place:`.
            pub(crate) fn is_place(self) -> bool {
                match self { $(Self::$field => $inside_place),+ }
            }

            /// Name in explanations.
            pub(crate) fn label(self) -> &'static str {
                match self { $(Self::$field => $label),+ }
            }

            /// How values are compared.
            pub(crate) fn form(self) -> Form {
                match self { $(Self::$field => $form),+ }
            }
        }
    };
}

fields! {
    Channel "channel" false "канал" Form::Identifier;
    Subchannel "subchannel" false "подканал" Form::Identifier;
    Connector "connector" false "подключение" Form::Identifier;
    Event "event" false "событие"
        Form::Closed(&["received", "updated", "deleted", "rated", "reopened", "status", "vote"]);
    Kind "kind" false "вид сообщения"
        Form::Closed(&["direct", "comment", "post", "review", "portal", "incident", "vote"]);
    Regime "regime" false "правовой режим"
        Form::Closed(&["fz59", "pos_message", "open_source_message", "portal_message"]);
    Author "author" false "автор"
        Form::Closed(&["person", "legal_entity", "community", "collective", "anonymous", "staff"]);
    Topic "topic" false "тема источника" Form::Path;
    Classifier "classifier" false "классификатор" Form::Identifier;
    ClassifierVersion "classifier_version" false "версия классификатора" Form::Identifier;
    Organisation "organisation" false "организация" Form::Name;
    OrganisationReceived "organisation_received" false "организация, куда поступило" Form::Name;
    OrganisationCurrent "organisation_current" false "организация, где находится" Form::Name;
    Attachments "attachments" false "вложения"
        Form::Closed(&["photo", "video", "voice", "audio", "document", "sticker", "contact", "location", "poll",
            "link", "post", "other"]);
    Flags "flags" false "отметки" Form::Identifier;
    Status "status" false "состояние" Form::Closed(&CommonStatus::WORDS);
    Language "language" false "язык" Form::Identifier;
    Satisfaction "satisfaction" false "оценка ответа" Form::Closed(&["low", "middle", "high", "none"]);
    Season "season" false "время года" Form::Moment;
    Weekday "weekday" false "день недели" Form::Closed(WEEKDAYS);
    Hours "hours" false "время суток" Form::Moment;
    WorkingTime "working_time" false "рабочее время" Form::YesNo;
    OlderThan "older_than" false "сколько прошло (больше)" Form::Moment;
    YoungerThan "younger_than" false "сколько прошло (меньше)" Form::Moment;
    PlaceKnown "known" true "место известно" Form::YesNo;
    PlacePrecision "precision" true "точность места"
        Form::Closed(&["house", "point", "street", "settlement", "municipality", "region", "words", "unknown"]);
    Region "region" true "регион" Form::PlaceName;
    Municipality "municipality" true "муниципалитет" Form::PlaceName;
    CityDistrict "city_district" true "район города" Form::PlaceName;
    Settlement "settlement" true "населённый пункт" Form::PlaceName;
    Street "street" true "улица" Form::PlaceName;
    Oktmo "oktmo" true "ОКТМО" Form::CodePrefix;
    Sector "sector" false "отрасль" Form::Identifier;
    Territory "territory" false "территория" Form::Name;
    Priority "priority" false "срочность"
        Form::Closed(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    Tags "tags" false "метки" Form::Identifier;
    DeadlinePolicy "deadline_policy" false "порядок сроков" Form::Identifier;
}

/// Shortest beginning of an ОКТМО code that a condition may give: the region.
pub(crate) const OKTMO_MIN: usize = 2;
/// Longest ОКТМО code.
pub(crate) const OKTMO_MAX: usize = 11;

impl Field {
    /// Number of fields.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Known only after `classify`: not a condition of `classify` itself. A territory is known before when the files
    /// describe territories.
    pub(crate) fn is_decided(self, has_territories: bool) -> bool {
        match self {
            Self::Sector | Self::Priority | Self::Tags | Self::DeadlinePolicy => true,
            Self::Territory => !has_territories,
            _ => false,
        }
    }

    /// Follows from the moment of the message and the clock of the rules, not from one value in it.
    pub(crate) fn is_of_moment(self) -> bool {
        self.form() == Form::Moment || matches!(self, Self::Weekday | Self::WorkingTime)
    }

    /// The spelling of a value for comparison.
    pub(crate) fn normalise(self, value: &str) -> String {
        match self.form() {
            Form::Closed(_) | Form::Identifier | Form::YesNo => value.trim().to_lowercase().replace('ё', "е"),
            Form::Name | Form::PlaceName => normal::name(value),
            Form::Path => normal::path(value),
            Form::Moment => MomentTest::parse(self, value).map_or_else(|| value.to_owned(), MomentTest::canonical),
            Form::CodePrefix => value.chars().filter(char::is_ascii_digit).collect(),
        }
    }

    /// Calls `visit` with every value of this field in `message`, as written there.
    pub(crate) fn visit<'m>(self, message: &'m Message, visit: &mut dyn FnMut(&'m str)) {
        let data = &message.data;
        let place = &data.place;
        match self {
            Self::Channel => visit(&data.channel),
            Self::Connector => visit(&data.connector),
            Self::Subchannel => data.subchannel.iter().for_each(|value| visit(value)),
            Self::Event => visit(event_word(message)),
            Self::Kind => visit(data.kind.as_str()),
            Self::Regime => visit(data.legal.regime.as_str()),
            Self::Author => visit(data.author.kind.as_str()),
            // Paths are joined by the caller, see `Facts`.
            Self::Topic => source_topic(message).for_each(visit),
            Self::Classifier => {
                if let Some(topic) = data.topic.as_ref().filter(|topic| topic.classifier != RULES_CLASSIFIER) {
                    visit(&topic.classifier);
                }
            }
            Self::ClassifierVersion => {
                let topic = data.topic.iter().filter(|topic| topic.classifier != RULES_CLASSIFIER);
                topic.filter_map(|topic| topic.version.as_deref()).for_each(visit);
            }
            Self::Organisation => {
                Self::OrganisationReceived.visit(message, visit);
                Self::OrganisationCurrent.visit(message, visit);
            }
            Self::OrganisationReceived => data.organisation.received.iter().for_each(|body| visit(&body.name)),
            Self::OrganisationCurrent => data.organisation.current.iter().for_each(|body| visit(&body.name)),
            Self::Attachments => data.attachments.iter().for_each(|file| visit(file.kind.as_str())),
            Self::Flags => {
                let flags = &data.flags;
                let known = [
                    (flags.fast_track, "fast_track"),
                    (flags.collective, "collective"),
                    (flags.reconsidered, "reconsidered"),
                    (flags.forwarded, "forwarded"),
                ];
                known.iter().filter(|(set, _)| *set).for_each(|(_, word)| visit(word));
                flags.other.iter().for_each(|word| visit(word));
            }
            Self::Status => data.status.iter().for_each(|status| visit(status.common.as_str())),
            Self::Language => data.body.language.iter().for_each(|value| visit(value)),
            Self::Satisfaction => visit(satisfaction_word(data.satisfaction.as_ref())),
            // Follow from the time and the clock of the rules: the vocabulary adds them.
            Self::Season | Self::Weekday | Self::Hours | Self::WorkingTime | Self::OlderThan | Self::YoungerThan => {}
            Self::PlaceKnown => visit(if is_place_known(place) { YES } else { NO }),
            Self::PlacePrecision => visit(place.precision.as_str()),
            Self::Region => place.region.iter().for_each(|value| visit(value)),
            Self::Municipality => place.municipality.iter().for_each(|value| visit(value)),
            Self::CityDistrict => place.city_district.iter().for_each(|value| visit(value)),
            Self::Settlement => place.settlement.iter().for_each(|value| visit(value)),
            Self::Street => place.street.iter().for_each(|value| visit(value)),
            Self::Oktmo => place.oktmo.iter().for_each(|value| visit(value)),
            // Decided by `classify`, added by the engine.
            Self::Sector | Self::Territory | Self::Priority | Self::Tags | Self::DeadlinePolicy => {}
        }
    }
}

/// Normal spelling of yes.
pub(crate) const YES: &str = "да";
/// Normal spelling of no.
pub(crate) const NO: &str = "нет";

/// `topic.classifier` of a topic that our rules found: not the source's word, so conditions do not see it.
pub(crate) const RULES_CLASSIFIER: &str = "rules";

fn source_topic(message: &Message) -> impl Iterator<Item = &str> {
    let topic = message.data.topic.iter();
    topic
        .filter(|topic| topic.classifier != RULES_CLASSIFIER)
        .flat_map(|topic| topic.path.iter().map(|node| node.name.as_str()))
}

/// A place is known when more than loose words are.
fn is_place_known(place: &Place) -> bool {
    !place.is_empty() && !matches!(place.precision, PlacePrecision::Unknown | PlacePrecision::Words)
        || place.municipality.is_some()
        || place.oktmo.is_some()
        || place.fias.is_some()
        || place.geo.is_some()
}

/// The rating as a share of the best possible, in words: of five points 1–2 are low, 3 is the middle, 4–5 are high.
fn satisfaction_word(rating: Option<&Satisfaction>) -> &'static str {
    const LOW: f64 = 0.5;
    const HIGH: f64 = 0.75;
    match rating.map(|rating| rating.score / rating.scale) {
        Some(share) if share < LOW => "low",
        Some(share) if share < HIGH => "middle",
        Some(share) if share.is_finite() => "high",
        _ => "none",
    }
}

fn event_word(message: &Message) -> &'static str {
    use priem_message::EventType;
    match message.event {
        EventType::Received => "received",
        EventType::Updated => "updated",
        EventType::Deleted => "deleted",
        EventType::Rated => "rated",
        EventType::Reopened => "reopened",
        EventType::Status => "status",
        EventType::VoteResult => "vote",
        EventType::DeadlineApproaching => "deadline_approaching",
        EventType::DeadlineOverdue => "deadline_overdue",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use priem_message::{EventType, MessageData};
    use serde_json::Value;

    use super::*;

    fn known(field: Field) -> BTreeSet<String> {
        match field.form() {
            Form::Closed(words) => words.iter().map(|word| (*word).to_owned()).collect(),
            other => panic!("{}: {other:?}", field.key()),
        }
    }

    /// Values of an enumeration in a schema.
    fn values(schema: &Value) -> BTreeSet<String> {
        let described = schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| &one["const"]);
        let plain = schema["enum"].as_array().into_iter().flatten();
        let all = described.chain(plain).filter_map(Value::as_str);
        all.map(str::to_owned).collect()
    }

    /// What the product sends, its rules know: a value that they refuse could not be routed by.
    #[test]
    fn every_value_that_is_sent_can_be_asked_for() {
        let schema = schemars::schema_for!(MessageData).to_value();
        for (field, name) in [
            (Field::Kind, "Kind"),
            (Field::Regime, "Regime"),
            (Field::Author, "AuthorKind"),
            (Field::Attachments, "AttachmentKind"),
            (Field::PlacePrecision, "PlacePrecision"),
            (Field::Status, "CommonStatus"),
        ] {
            let sent = values(&schema["$defs"][name]);
            assert!(!sent.is_empty(), "{name} is an enumeration");
            assert_eq!(known(field), sent, "{name}");
        }
        // Reminders go where their message went: rules do not see them.
        let events = values(&schemars::schema_for!(EventType).to_value());
        assert_eq!(known(Field::Event).len(), events.len() - 2, "{events:?}");
    }
}
