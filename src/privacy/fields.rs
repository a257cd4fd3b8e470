//! The fields of a message that are personal data, by their dotted paths, and a walk over their values.
//!
//! One row per field; a test holds the rows to the SDK's table of classes.

use priem_sdk::{
    Message,
    message::{Geo, personal::Class},
};

macro_rules! fields {
    ($($(#[doc = $about:literal])* $field:ident $path:literal $definition:literal $property:literal;)+) => {
        /// A field that is personal data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Field {
            $($(#[doc = $about])* $field,)+
        }

        impl Field {
            /// Every field.
            pub(super) const ALL: &'static [Self] = &[$(Self::$field),+];

            /// Its path in `data`, as settings name it; lists have no index.
            pub(super) fn path(self) -> &'static str {
                match self { $(Self::$field => $path),+ }
            }

            /// Its definition and property in the schema.
            fn in_schema(self) -> (&'static str, &'static str) {
                match self { $(Self::$field => ($definition, $property)),+ }
            }
        }
    };
}

fields! {
    AuthorId "author.external_id" "Author" "external_id";
    AuthorName "author.name" "Author" "name";
    AuthorUsername "author.username" "Author" "username";
    Phone "author.contacts.phone" "Contacts" "phone";
    Email "author.contacts.email" "Contacts" "email";
    PostAddress "author.contacts.post_address" "Contacts" "post_address";
    Text "body.text" "Body" "text";
    Html "body.html" "Body" "html";
    Quote "body.quote" "Body" "quote";
    MentionId "body.mentions.external_id" "Mention" "external_id";
    MentionText "body.mentions.text" "Mention" "text";
    AttachmentId "attachments.external_id" "Attachment" "external_id";
    AttachmentUrl "attachments.url" "Attachment" "url";
    AttachmentName "attachments.name" "Attachment" "name";
    Url "external.url" "External" "url";
    ForwardedFrom "relation.forwarded_from" "Relation" "forwarded_from";
    PlaceText "place.text" "Place" "text";
    PlaceGeo "place.geo" "Place" "geo";
    PlaceStreet "place.street" "Place" "street";
    PlaceHouse "place.house" "Place" "house";
    PlaceFias "place.fias" "Place" "fias";
}

impl Field {
    /// Its class, by the SDK's table.
    pub(super) fn class(self) -> Class {
        let (definition, property) = self.in_schema();
        let row = priem_sdk::message::personal::FIELDS
            .iter()
            .find(|row| (row.0, row.1) == (definition, property));
        row.expect("a test compares this table with the SDK's").2
    }

    /// Whether СНИЛС and the like are looked for in it: where people write, not where machines count.
    pub(super) fn is_written_by_people(self) -> bool {
        matches!(self.class(), Class::Text | Class::Name) || matches!(self, Self::PostAddress | Self::PlaceText)
    }
}

/// What a walk meets.
pub(super) enum Place<'m> {
    /// A text that may be absent.
    Optional(&'m mut Option<String>),
    /// A text that is always there, empty at least.
    Required(&'m mut String),
    /// A point on the map.
    Point(&'m mut Option<Geo>),
}

/// Visits every personal field of a message.
pub(super) fn walk(message: &mut Message, visit: &mut dyn FnMut(Field, Place<'_>)) {
    use Place::{Optional, Point, Required};

    let data = &mut message.data;
    let (author, body, place) = (&mut data.author, &mut data.body, &mut data.place);
    visit(Field::AuthorId, Optional(&mut author.external_id));
    visit(Field::AuthorName, Optional(&mut author.name));
    visit(Field::AuthorUsername, Optional(&mut author.username));
    visit(Field::Phone, Optional(&mut author.contacts.phone));
    visit(Field::Email, Optional(&mut author.contacts.email));
    visit(Field::PostAddress, Optional(&mut author.contacts.post_address));
    visit(Field::Text, Required(&mut body.text));
    visit(Field::Html, Optional(&mut body.html));
    visit(Field::Quote, Optional(&mut body.quote));
    for mention in &mut body.mentions {
        visit(Field::MentionId, Required(&mut mention.external_id));
        visit(Field::MentionText, Required(&mut mention.text));
    }
    for attachment in &mut data.attachments {
        visit(Field::AttachmentId, Optional(&mut attachment.external_id));
        visit(Field::AttachmentUrl, Optional(&mut attachment.url));
        visit(Field::AttachmentName, Optional(&mut attachment.name));
    }
    visit(Field::Url, Optional(&mut data.external.url));
    visit(Field::ForwardedFrom, Optional(&mut data.relation.forwarded_from));
    visit(Field::PlaceText, Optional(&mut place.text));
    visit(Field::PlaceGeo, Point(&mut place.geo));
    visit(Field::PlaceStreet, Optional(&mut place.street));
    visit(Field::PlaceHouse, Optional(&mut place.house));
    visit(Field::PlaceFias, Optional(&mut place.fias));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use priem_sdk::{
        EventType, MessageData,
        message::{Attachment, AttachmentKind, Kind, Mention, Regime, personal},
    };

    use super::*;

    #[test]
    fn every_personal_field_of_the_sdk_is_here_and_is_walked() {
        let here: BTreeSet<_> = Field::ALL.iter().map(|field| field.in_schema()).collect();
        let sdk: BTreeSet<_> = personal::FIELDS.iter().map(|row| (row.0, row.1)).collect();
        assert_eq!(here, sdk);

        let mut data = MessageData::new("vk", Kind::Comment, Regime::OpenSourceMessage);
        data.attachments.push(Attachment::new(AttachmentKind::Photo));
        data.body.mentions.push(Mention {
            external_id: String::new(),
            text: String::new(),
        });
        let mut walked = BTreeSet::new();
        walk(&mut Message::new(EventType::Received, data), &mut |field, _| {
            walked.insert(field.path());
        });
        assert_eq!(walked, Field::ALL.iter().map(|field| field.path()).collect());
    }
}
