//! Names of territories and streets in a text, in any grammatical case.
//!
//! Words are compared by their stems. Names of streets are often plain words («Мира», «Победы»), so a street counts only
//! with a sign that a street is meant: the word for it («ул. Мира»), a house («Мира, 15»), several words («Героев
//! Хасана»), or «на», «по» before it («на Ленина», «по Уральской»). A name beside the word for a street is no place
//! («ул. Пермская»).

use priem_message::{Message, PlacePrecision, TerritoryFoundBy as FoundBy};

use super::{
    HouseRange, Id, Kind, Territory, house,
    surroundings::Surroundings,
    trie::Trie,
    words::{STREET, Sort, Token, folded, leads_on, together, tokens},
};

/// Most words in the name of a street that nobody described.
const LONGEST_NAME: usize = 3;

/// Names and streets of all territories.
#[derive(Debug, Default)]
pub(super) struct Streets {
    trie: Trie<Meaning>,
}

#[derive(Debug)]
struct Meaning {
    territory: Id,
    /// Of the territory.
    kind: Kind,
    /// `None` for the name of a territory.
    street: Option<StreetName>,
}

#[derive(Debug)]
pub(super) struct StreetName {
    /// Folded, without the word for its sort.
    pub(super) written: String,
    sort: Sort,
    houses: Vec<HouseRange>,
}

/// A place that a text names, and the territories it may mean; none for the address of a street nobody described.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) by: FoundBy,
    pub(super) saw: String,
    pub(super) ids: Vec<Id>,
    pub(super) precision: PlacePrecision,
}

impl Streets {
    /// Takes the names and streets of a territory.
    pub(super) fn add(&mut self, territory: Id, described: &Territory) {
        for name in &described.text {
            let words: Vec<String> = tokens(name, |_| None)
                .iter()
                .map(|token| folded(name, *token))
                .collect();
            self.trie.add(
                &words,
                Meaning {
                    territory,
                    kind: described.kind,
                    street: None,
                },
            );
        }
        for street in &described.streets {
            let tokens = tokens(&street.name, |_| None);
            let sort = tokens.iter().fold(0, |sort, token| sort | token.sort);
            let names = tokens.iter().filter(|token| token.sort == 0);
            let words: Vec<String> = names.map(|token| folded(&street.name, *token)).collect();
            // «Уральская» alone can't be a lane or an avenue.
            let is_feminine = words
                .last()
                .is_some_and(|word| word.ends_with("ая") || word.ends_with("яя"));
            let sort = if sort == 0 && is_feminine { STREET } else { sort };
            let name = StreetName {
                written: words.join(" "),
                sort,
                houses: street.houses.clone(),
            };
            self.trie.add(
                &words,
                Meaning {
                    territory,
                    kind: described.kind,
                    street: Some(name),
                },
            );
        }
    }

    /// Whether a name is of use: it has a word beside those for sorts of streets.
    pub(super) fn is_name(name: &str) -> bool {
        tokens(name, |_| None).iter().any(|token| token.sort == 0)
    }

    /// What the street of the source, its address and the text name, in this order; one list for each.
    pub(super) fn each(&self, message: &Message, take: &mut dyn FnMut(Vec<Mention>)) {
        if self.trie.is_empty() {
            return;
        }
        let place = &message.data.place;
        if let Some(street) = &place.street {
            take(self.given(street, place.house.as_deref()));
        }
        for text in place
            .text
            .as_deref()
            .into_iter()
            .chain([message.data.body.text.as_str()])
        {
            take(self.mentions(text));
        }
    }

    /// A field that holds nothing but a street.
    fn given(&self, street: &str, house: Option<&str>) -> Vec<Mention> {
        let tokens = tokens(street, |word| self.trie.number(word));
        let sort = tokens.iter().fold(0, |sort, token| sort | token.sort);
        let house = house.and_then(house::number);
        let names: Vec<Option<u32>> = tokens
            .iter()
            .filter(|token| token.sort == 0)
            .map(|token| token.number)
            .collect();
        let Some((length, meanings)) = self.trie.longest(names.iter().copied()) else {
            return Vec::new();
        };
        if length < names.len() {
            return Vec::new();
        }
        let streets = meanings.iter().filter(|meaning| {
            meaning
                .street
                .as_ref()
                .is_some_and(|street| street.allows(sort) && street.has_house(house))
        });
        let precision = street_precision(house.is_some());
        let territories = streets.map(|meaning| meaning.territory);
        mention(FoundBy::Street, street.to_owned(), territories, precision)
            .into_iter()
            .collect()
    }

    /// Everything a running text names.
    fn mentions(&self, text: &str) -> Vec<Mention> {
        let tokens = tokens(text, |word| self.trie.number(word));
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let words = tokens[at..].iter().map(|token| token.number);
            let Some((length, meanings)) = self.trie.longest(words) else {
                take(&mut found, unknown_address(text, &tokens, at));
                at += 1;
                continue;
            };
            let surroundings = Surroundings::new(text, &tokens, at, at + length);
            let streets = meanings.iter().filter(|meaning| {
                meaning
                    .street
                    .as_ref()
                    .is_some_and(|street| surroundings.is_street(street))
            });
            let streets: Vec<Id> = streets.map(|meaning| meaning.territory).collect();
            if !streets.is_empty() {
                let precision = street_precision(surroundings.house.is_some());
                let mention = mention(FoundBy::TextStreet, surroundings.quote(true), streets, precision);
                take(&mut found, mention);
            } else if surroundings.is_place() {
                let names: Vec<&Meaning> = meanings.iter().filter(|meaning| meaning.street.is_none()).collect();
                let precision = names
                    .first()
                    .map_or(PlacePrecision::Unknown, |name| name_precision(name.kind));
                let territories = names.iter().map(|name| name.territory);
                let mention = mention(FoundBy::TextName, surroundings.quote(false), territories, precision);
                take(&mut found, mention);
            }
            at += length;
        }
        found
    }
}

/// Keeps what says something new: a long text may name the same place a thousand times.
fn take(found: &mut Vec<Mention>, mention: Option<Mention>) {
    let Some(mention) = mention else { return };
    let is_known = |known: &Mention| known.ids == mention.ids && known.precision == mention.precision;
    if !found.iter().any(is_known) {
        found.push(mention);
    }
}

fn mention(
    by: FoundBy,
    saw: String,
    territories: impl IntoIterator<Item = Id>,
    precision: PlacePrecision,
) -> Option<Mention> {
    let mut ids: Vec<Id> = territories.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    (!ids.is_empty()).then_some(Mention {
        by,
        saw,
        ids,
        precision,
    })
}

fn street_precision(has_house: bool) -> PlacePrecision {
    if has_house {
        PlacePrecision::House
    } else {
        PlacePrecision::Street
    }
}

fn name_precision(kind: Kind) -> PlacePrecision {
    match kind {
        Kind::Region => PlacePrecision::Region,
        Kind::Municipality => PlacePrecision::Municipality,
        Kind::District | Kind::Settlement => PlacePrecision::Settlement,
    }
}

/// «Ул. Космонавтов, 5»: the word for a street and a name with a capital letter, which may be of any number of words up
/// to [`LONGEST_NAME`]. It says how exact the place is, not where.
fn unknown_address(text: &str, tokens: &[Token], at: usize) -> Option<Mention> {
    if tokens[at].sort == 0 || !leads_on(text, tokens, at) {
        return None;
    }
    let begins_name = |token: &Token| {
        let is_of_text = token.number.is_some();
        !is_of_text && token.sort == 0 && text[token.span.start..].starts_with(char::is_uppercase)
    };
    if !tokens.get(at + 1).is_some_and(begins_name) {
        return None;
    }
    let ends = at + 2..=(at + 1 + LONGEST_NAME).min(tokens.len());
    let has_house = ends
        .take_while(|&to| together(text, tokens, at + 1, to - 1))
        .any(|to| Surroundings::new(text, tokens, at + 1, to).house.is_some());
    Some(Mention {
        by: FoundBy::TextStreet,
        saw: String::new(),
        ids: Vec::new(),
        precision: street_precision(has_house),
    })
}

impl StreetName {
    /// Whether a word for a sort may stand with it.
    pub(super) fn allows(&self, sort: Sort) -> bool {
        self.sort == 0 || sort == 0 || self.sort & sort != 0
    }

    /// Whether the house, if any, is one of this part of the street.
    pub(super) fn has_house(&self, house: Option<u32>) -> bool {
        house.is_none_or(|house| self.houses.is_empty() || self.houses.iter().any(|range| range.has(house)))
    }
}
