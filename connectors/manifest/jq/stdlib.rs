//! Priem's own filters: what records of Russian systems need again and again.
//!
//! Native filters take what a record may hold without failing: a value they can't read gives `null`, so that a message
//! is never lost over a date or a telephone number. They fail only over what the manifest itself got wrong (an unknown
//! zone, a date pattern that is none).

use jaq_core::{
    Cv, Native,
    box_iter::box_once,
    load::{self, parse::Def},
    native::{Fun, v},
};
use jaq_json::{Map, Val};
use jiff::tz::TimeZone;
use priem_sdk::{html, message::Moment, text};

use super::{
    bounded::{Bounded, ENTRY, Error, refused},
    guard::Kind,
    meter,
};
use crate::manifest::values::{contact, moment, place};

/// Name with arguments, and what it gives: the reference for integrators, in the order of the page.
pub const REFERENCE: &[(&str, &str)] = &[
    (
        "present",
        "the text trimmed; empty, `-` and `—` become null, what is no text stays as it is",
    ),
    ("text", "any value as trimmed text; null stays null"),
    (
        "lower",
        "text in lower case without spaces around it, Cyrillic too; what is no text gives null",
    ),
    (
        "as_list",
        "an array of what may be absent, one, or many (XML): null gives `[]`",
    ),
    (
        "compact",
        "the value without nulls and empty objects and arrays, deeply",
    ),
    (
        "lookup(TABLE; CODE; FALLBACK)",
        "the row of a table of the manifest, or FALLBACK; never fails. CODE is looked for as it is written, then in lower case",
    ),
    (
        "lookup(TABLE; CODE)",
        "the same with null for what the table does not know",
    ),
    (
        "status(TABLE; CODE)",
        "`{common, raw}`; an unknown code is `other` with its text kept, null stays null",
    ),
    (
        "node(ID; NAME)",
        "one level of `topic.path`; nothing when NAME is empty",
    ),
    (
        "ru_date(PATTERN; ZONE)",
        "a moment from text like `31.12.2026 18:05`: letters dd mm yyyy yy hh mm ss, `[…]` may be absent; a date alone stays a date; what does not fit gives null",
    ),
    (
        "iso_date(ZONE)",
        "a moment from ISO 8601; with an offset or `Z` it is shown in ZONE, without one it is taken as of ZONE",
    ),
    ("epoch_date(ZONE)", "a moment from seconds or milliseconds since 1970"),
    (
        "due_at",
        "of a moment: the instant something must be done by; of a date: the last second of that day in its zone",
    ),
    (
        "deadline(STAGE)",
        "of a moment: one entry of `deadlines` (`answer`, `register`, `first_reaction` …) given by the source",
    ),
    (
        "html_text",
        "text of an HTML body: entities, paragraphs, lists; scripts and styles go; what is no text gives null",
    ),
    ("vk_text", "text of VK markup (`[id1|Имя]`)"),
    (
        "phone",
        "`+79024700001` from any common spelling of a Russian number; otherwise null",
    ),
    ("mask_phone", "`+7******0001`: for fields that go further than contacts"),
    ("mask_name", "`И. И.` from «Иванов Иван»: first letters only"),
    (
        "full_name",
        "surname, name and patronymic of an object or array joined to one text",
    ),
    (
        "fias",
        "a ФИАС/ГАР id in its canonical form; of an array the first that is one; otherwise null",
    ),
    (
        "oktmo",
        "an ОКТМО code of 8 or 11 digits; of an array the first that is one; otherwise null",
    ),
    (
        "geo",
        "`{lat, lon}` from `\"58.01, 56.25\"`, `[58.01, 56.25]` or an object with lat/lon, latitude/longitude, geoLat/geoLon; impossible points give null",
    ),
    (
        "digest",
        "32 hex digits that stand for the value: an id for records that have none",
    ),
];

/// Everything a native filter of ours can throw. None of them names a value of the record.
pub(super) const MESSAGES: &[&str] = &[UNKNOWN_ZONE, BAD_PATTERN, NOT_JSON];

const UNKNOWN_ZONE: &str = "unknown time zone; write an IANA name like Europe/Moscow";
const BAD_PATTERN: &str =
    "the date pattern is made of dd, mm, yyyy or yy, hh, mm, ss, [optional parts] and other signs";
const NOT_JSON: &str = "fromjson: the text is no JSON";

/// A native filter without arguments, from a function of its input.
macro_rules! plain {
    ($name:literal, $body:expr) => {
        (
            $name,
            v(0),
            Native::new(|cv: Cv<'_, Kind>| {
                let body: fn(Val) -> Result<Val, Error> = $body;
                box_once(body(cv.1.0).map(Bounded::made).map_err(Into::into))
            }),
        )
    };
}

/// A native filter whose argument is a zone.
macro_rules! zoned {
    ($name:literal, $read:expr) => {
        (
            $name,
            v(1),
            Native::new(|mut cv: Cv<'_, Kind>| {
                let zone = zone_of(&cv.0.pop_var().0);
                box_once(
                    zone.map(|zone| Bounded(moment_value(as_text(&cv.1.0).and_then(|text| $read(&text, &zone)))))
                        .map_err(Into::into),
                )
            }),
        )
    };
}

/// Definitions in jq.
pub(super) fn definitions() -> Vec<Def<&'static str>> {
    load::parse(include_str!("stdlib.jq"), |parser| parser.defs()).unwrap_or_default()
}

/// Native filters.
pub(super) fn natives() -> Vec<Fun<Kind>> {
    vec![
        plain!("fromjson", |value| match as_text(&value) {
            Some(text) => from_json_text(&text),
            None => Err(Error::typ(Bounded(value), "string")),
        }),
        plain!("html_text", |value| Ok(text_or_null(&value, |text| Some(
            html::to_text(text)
        )))),
        plain!("lower", |value| Ok(text_or_null(&value, |text| Some(
            text.trim().to_lowercase()
        )))),
        plain!("vk_text", |value| Ok(text_or_null(&value, |text| Some(
            text::from_vk(text).text
        )))),
        plain!("phone", |value| Ok(text_or_null(&value, contact::phone))),
        plain!("mask_phone", |value| Ok(text_or_null(&value, |text| Some(
            contact::mask_phone(text)
        )))),
        plain!("mask_name", |value| Ok(text_or_null(&value, |text| Some(
            contact::mask_name(text)
        )))),
        plain!("fias", |value| Ok(first(&value, place::fias))),
        plain!("oktmo", |value| Ok(first(&value, place::oktmo))),
        plain!("geo", |value| Ok(geo(&value))),
        plain!("digest", |value| {
            let hash = blake3::hash(Bounded(value).to_string().as_bytes());
            Ok(Val::from(hash.to_hex()[..32].to_owned()))
        }),
        plain!("due_at", |value| Ok(due_at(&value))),
        zoned!("iso_date", moment::iso),
        zoned!("epoch_date", moment::epoch),
        (
            "ru_date",
            v(2),
            Native::new(|mut cv: Cv<'_, Kind>| {
                let zone = cv.0.pop_var();
                let pattern = cv.0.pop_var();
                box_once(ru_date(&cv.1.0, &pattern.0, &zone.0).map(Bounded).map_err(Into::into))
            }),
        ),
    ]
}

/// Reads JSON when there is room for what it may become: a value for every second byte.
fn from_json_text(text: &str) -> Result<Val, Error> {
    if !meter::has_room(text.len().saturating_mul(ENTRY / 2)) {
        return Err(refused());
    }
    let json: serde_json::Value = serde_json::from_str(text).map_err(|_| fail(NOT_JSON))?;
    let (value, size) = super::value::from_json(&json);
    let bytes = usize::try_from(size).unwrap_or(usize::MAX).saturating_mul(ENTRY / 2);
    if meter::take(bytes) { Ok(value) } else { Err(refused()) }
}

fn fail(message: &'static str) -> Error {
    Error::str(message)
}

/// The text of a text or number.
fn as_text(value: &Val) -> Option<String> {
    match value {
        Val::TStr(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Val::Num(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text_or_null(value: &Val, change: impl FnOnce(&str) -> Option<String>) -> Val {
    as_text(value)
        .and_then(|text| change(&text))
        .map_or(Val::Null, Val::from)
}

/// The first of an array, or the value itself, that reads as what is wanted.
fn first(value: &Val, read: fn(&str) -> Option<String>) -> Val {
    let found = match value {
        Val::Arr(values) => values
            .iter()
            .find_map(|value| as_text(value).and_then(|text| read(&text))),
        value => as_text(value).and_then(|text| read(&text)),
    };
    found.map_or(Val::Null, Val::from)
}

fn key(name: &str) -> Val {
    Val::from(name.to_owned())
}

fn number(value: &Val) -> Option<f64> {
    as_text(value)?.trim().replace(',', ".").parse().ok()
}

fn geo(value: &Val) -> Val {
    let found = match value {
        Val::TStr(text) => place::point_text(&String::from_utf8_lossy(text)),
        Val::Arr(pair) => match pair.as_slice() {
            [lat, lon] => number(lat).zip(number(lon)),
            _ => None,
        },
        Val::Obj(object) => [
            ("lat", "lon"),
            ("latitude", "longitude"),
            ("geoLat", "geoLon"),
            ("lat", "lng"),
        ]
        .iter()
        .find_map(|(lat, lon)| number(object.get(&key(lat))?).zip(number(object.get(&key(lon))?))),
        _ => None,
    };
    let Some((lat, lon)) = found.and_then(|(lat, lon)| place::point(lat, lon)) else {
        return Val::Null;
    };
    let mut map = Map::default();
    map.insert(key("lat"), Val::from(lat));
    map.insert(key("lon"), Val::from(lon));
    Val::obj(map)
}

fn zone_of(value: &Val) -> Result<TimeZone, Error> {
    as_text(value)
        .and_then(|name| TimeZone::get(&name).ok())
        .ok_or_else(|| fail(UNKNOWN_ZONE))
}

fn ru_date(value: &Val, pattern: &Val, zone: &Val) -> Result<Val, Error> {
    let zone = zone_of(zone)?;
    let pattern = as_text(pattern)
        .and_then(|pattern| moment::Pattern::parse(&pattern))
        .ok_or_else(|| fail(BAD_PATTERN))?;
    let read = as_text(value).and_then(|text| pattern.read(&text, &zone));
    Ok(moment_value(read))
}

fn moment_value(moment: Option<Moment>) -> Val {
    let Some(json) = moment.and_then(|moment| serde_json::to_value(moment).ok()) else {
        return Val::Null;
    };
    super::value::from_json(&json).0
}

fn due_at(value: &Val) -> Val {
    super::value::to_json(value.clone())
        .ok()
        .and_then(|json| serde_json::from_value::<Moment>(json).ok())
        .and_then(|moment| moment::due(&moment))
        .map_or(Val::Null, |due| Val::from(due.to_string()))
}
