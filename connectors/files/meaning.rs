//! How the columns of a row become a message: what most kinds of files have in common, as data.
//!
//! Where a field means the same in every kind of file it has the same name in each (`url`, `author`, `address`, `rating`)
//! and is read here by that name. What differs a mapping says in its [`Meaning`], and what only it has in
//! [`Meaning::more`].

use jiff::tz::TimeZone;
use priem_sdk::{
    MessageData,
    message::{AuthorKind, CommonStatus, DeadlineStage, Kind, Place, Regime},
};

use super::{
    mapping::{Cells, Mapping, Role},
    shared,
};

/// What the fields of a mapping mean. Fields are named; a name that the mapping does not have stands for nothing.
#[derive(Debug)]
pub struct Meaning {
    /// Kind of the messages.
    pub kind: Kind,
    /// Their legal regime.
    pub regime: Regime,
    /// Levels of the topic, from the widest on.
    pub topic: &'static [&'static str],
    /// The body that holds the message.
    pub holder: &'static str,
    /// Columns of the status: the first word of them with a known meaning decides.
    pub status: &'static [&'static str],
    /// How it ended.
    pub outcome: &'static str,
    /// Words of the source with a known meaning. Others are `other` with the source's word kept; the setting `statuses`
    /// adds to them.
    pub words: &'static [(&'static str, CommonStatus)],
    /// When it came to the source.
    pub at_source: &'static str,
    /// When the citizen wrote it.
    pub occurred: &'static str,
    /// When it was closed.
    pub closed: &'static str,
    /// Terms.
    pub terms: &'static [(&'static str, DeadlineStage)],
    /// The best `rating` there is.
    pub best_rating: f64,
    /// What only this kind of file has. Pure; unknown values never fail.
    pub more: fn(&Cells<'_>, &TimeZone, &mut MessageData),
}

/// What a mapping need not say.
pub const USUAL: Meaning = Meaning {
    kind: Kind::Portal,
    regime: Regime::PortalMessage,
    topic: &["category", "topic"],
    holder: "executor",
    status: &["status"],
    outcome: "",
    words: &[],
    at_source: "created",
    occurred: "",
    closed: "closed",
    terms: &[("deadline", DeadlineStage::Answer)],
    best_rating: 5.0,
    more: |_, _, _| {},
};

/// The message of a row. Pure; unknown values never fail.
pub fn message(mapping: &Mapping, cells: &Cells<'_>, zone: &TimeZone) -> MessageData {
    let meaning = &mapping.meaning;
    let mut data = MessageData::new(mapping.name, meaning.kind, meaning.regime);
    data.external.url = shared::web_address(cells, "url");
    fill_author(cells, &mut data);
    let subject = mapping.fields.iter().find(|spec| spec.role == Role::Subject);
    shared::fill_text(cells, subject.map_or("text", |spec| spec.name), &mut data);
    data.topic = shared::topic(cells, mapping.name, meaning.topic);
    data.organisation.received = shared::organisation(cells, "received_by");
    data.organisation.current = shared::organisation(cells, meaning.holder);
    data.status = shared::status(cells, meaning.status, meaning.outcome, meaning.words);
    data.place = Place {
        text: cells.owned("address"),
        region: cells.owned("region"),
        municipality: cells.owned("municipality"),
        city_district: cells.owned("district"),
        settlement: shared::place_part(cells, "settlement", &mut data),
        street: shared::place_part(cells, "street", &mut data),
        house: shared::place_part(cells, "house", &mut data),
        ..Place::default()
    }
    .with_precision();
    data.times.at_source = shared::date(cells, meaning.at_source, zone, &mut data);
    data.times.closed = shared::date(cells, meaning.closed, zone, &mut data);
    data.times.occurred = shared::date(cells, meaning.occurred, zone, &mut data);
    for (name, stage) in meaning.terms {
        shared::fill_deadline(cells, name, *stage, zone, &mut data);
    }
    shared::fill_satisfaction(cells, "rating", meaning.best_rating, &mut data);
    (meaning.more)(cells, zone, &mut data);
    data
}

fn fill_author(cells: &Cells<'_>, data: &mut MessageData) {
    let author = &mut data.author;
    author.name = cells.owned("author");
    author.external_id = cells.owned("author_id").or_else(|| cells.owned("author_url"));
    author.contacts.phone = cells.owned("phone");
    author.contacts.email = cells.owned("email");
    author.contacts.post_address = cells.owned("post_address");
    if author.name.is_some() || author.external_id.is_some() || !author.contacts.is_empty() {
        author.kind = AuthorKind::Person;
    }
}
