//! Names of territories and streets in a text, in any grammatical case.
//!
//! Words are compared by their stems. Names of streets are often plain words («Мира», «Победы»), so a street counts only
//! with a sign that a street is meant: the word for it («ул. Мира»), a house («Мира, 15»), several words («Героев
//! Хасана»), or «на», «по» before it («на Ленина», «по Уральской»). A name beside the word for a street is no place
//! («ул. Пермская»).

use priem_sdk::message::{Message, TerritoryFoundBy as FoundBy};

use super::{HouseRange, Id, Territory, house, trie::Trie};
use crate::routing::normal::{self, Span};

/// Sorts of streets, as a set of bits: an abbreviation may mean several.
type Sort = u16;
const PROSPECT: Sort = 1 << 1;
const PASSAGE: Sort = 1 << 2;
const BOULEVARD: Sort = 1 << 4;

/// Beginnings of words that make a number before them no house: «Мира 5 лет», «Победы 9 мая».
const NO_HOUSE: &[&str] = &[
    "лет", "год", "руб", "час", "мин", "раз", "чел", "дн", "день", "процент", "тыс", "млн", "январ", "феврал", "март",
    "апрел", "мая", "май", "июн", "июл", "август", "сентябр", "октябр", "ноябр", "декабр",
];

/// Names and streets of all territories.
#[derive(Debug, Default)]
pub(super) struct Streets {
    trie: Trie<Meaning>,
}

#[derive(Debug)]
struct Meaning {
    territory: Id,
    /// `None` for the name of a territory.
    street: Option<StreetName>,
}

#[derive(Debug)]
struct StreetName {
    /// Folded, without the word for its sort.
    written: String,
    sort: Sort,
    houses: Vec<HouseRange>,
}

/// A place that a text names, and the territories it may mean.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) by: FoundBy,
    pub(super) saw: String,
    pub(super) ids: Vec<Id>,
}

/// A word of a text.
#[derive(Debug, Clone, Copy)]
struct Token {
    span: Span,
    number: Option<u32>,
    sort: Sort,
    is_digits: bool,
}

impl Streets {
    /// Takes the names and streets of a territory.
    pub(super) fn add(&mut self, territory: Id, described: &Territory) {
        for name in &described.text {
            let words: Vec<String> = tokens(name, |_| None).iter().map(|token| folded(name, *token)).collect();
            self.trie.add(&words, Meaning { territory, street: None });
        }
        for street in &described.streets {
            let tokens = tokens(&street.name, |_| None);
            let sort = tokens.iter().fold(0, |sort, token| sort | token.sort);
            let names = tokens.iter().filter(|token| token.sort == 0);
            let words: Vec<String> = names.map(|token| folded(&street.name, *token)).collect();
            let name = StreetName { written: words.join(" "), sort, houses: street.houses.clone() };
            self.trie.add(&words, Meaning { territory, street: Some(name) });
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
        for text in place.text.as_deref().into_iter().chain([message.data.body.text.as_str()]) {
            take(self.mentions(text));
        }
    }

    /// A field that holds nothing but a street.
    fn given(&self, street: &str, house: Option<&str>) -> Vec<Mention> {
        let tokens = tokens(street, |word| self.trie.number(word));
        let sort = tokens.iter().fold(0, |sort, token| sort | token.sort);
        let house = house.and_then(house::number);
        let names: Vec<Option<u32>> = tokens.iter().filter(|token| token.sort == 0).map(|token| token.number).collect();
        let Some((length, meanings)) = self.trie.longest(names.iter().copied()) else {
            return Vec::new();
        };
        if length < names.len() {
            return Vec::new();
        }
        let streets = meanings.iter().filter(|meaning| {
            meaning.street.as_ref().is_some_and(|street| street.allows(sort) && street.has_house(house))
        });
        mention(FoundBy::Street, street.to_owned(), streets.map(|meaning| meaning.territory)).into_iter().collect()
    }

    /// Everything a running text names.
    fn mentions(&self, text: &str) -> Vec<Mention> {
        let tokens = tokens(text, |word| self.trie.number(word));
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let words = tokens[at..].iter().map(|token| token.number);
            let Some((length, meanings)) = self.trie.longest(words) else {
                at += 1;
                continue;
            };
            let sight = Sight::new(text, &tokens, at, at + length);
            let is_place = sight.is_place();
            let names = meanings.iter().filter(|meaning| meaning.street.is_none() && is_place);
            let streets = meanings
                .iter()
                .filter(|meaning| meaning.street.as_ref().is_some_and(|street| sight.is_street(street)));
            let streets: Vec<Id> = streets.map(|meaning| meaning.territory).collect();
            if streets.is_empty() {
                found.extend(mention(FoundBy::TextName, sight.quote(false), names.map(|meaning| meaning.territory)));
            } else {
                found.extend(mention(FoundBy::TextStreet, sight.quote(true), streets));
            }
            at += length;
        }
        found
    }
}

fn mention(by: FoundBy, saw: String, territories: impl IntoIterator<Item = Id>) -> Option<Mention> {
    let mut ids: Vec<Id> = territories.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    (!ids.is_empty()).then_some(Mention { by, saw, ids })
}

impl StreetName {
    fn allows(&self, sort: Sort) -> bool {
        self.sort == 0 || sort == 0 || self.sort & sort != 0
    }

    fn has_house(&self, house: Option<u32>) -> bool {
        house.is_none_or(|house| self.houses.is_empty() || self.houses.iter().any(|range| range.has(house)))
    }
}

/// A phrase of the gazetteer in a text, with what stands around it.
struct Sight<'t> {
    text: &'t str,
    tokens: &'t [Token],
    from: usize,
    to: usize,
    sort_before: Sort,
    sort_after: Sort,
    /// Its number, and the token it stands in.
    house: Option<(u32, usize)>,
}

impl<'t> Sight<'t> {
    fn new(text: &'t str, tokens: &'t [Token], from: usize, to: usize) -> Self {
        let sort_before = from.checked_sub(1).map_or(0, |before| tokens[before].sort);
        let together = |at: usize| {
            let gap = &text[tokens[at - 1].span.end..tokens[at].span.start];
            !gap.contains([',', ';', '\n', '!', '?'])
        };
        let sort_after = if to < tokens.len() && together(to) { tokens[to].sort } else { 0 };
        let mut sight = Self { text, tokens, from, to, sort_before, sort_after, house: None };
        sight.house = sight.find_house();
        sight
    }

    fn find_house(&self) -> Option<(u32, usize)> {
        let mut at = self.to + usize::from(self.sort_after != 0);
        if matches!(self.word(at).as_str(), "д" | "дом" | "дома" | "доме" | "дому") {
            at += 1;
        }
        let house = house::number(&self.word(at))?;
        let next = self.word(at + 1);
        (!NO_HOUSE.iter().any(|beginning| next.starts_with(beginning))).then_some((house, at))
    }

    /// A word, folded; empty past the end.
    fn word(&self, at: usize) -> String {
        self.tokens.get(at).map(|token| folded(self.text, *token)).unwrap_or_default()
    }

    fn is_place(&self) -> bool {
        let is_street = self.sort_before != 0 || self.sort_after != 0 && is_adjective(&self.word(self.to - 1));
        !is_street
    }

    fn is_street(&self, street: &StreetName) -> bool {
        let sort = self.sort_before | self.sort_after;
        if !street.allows(sort) || !street.has_house(self.house.map(|(house, _)| house)) {
            return false;
        }
        // «25 Октября» is a day, too.
        let is_long = self.to - self.from > 1 && !self.tokens[self.from].is_digits;
        sort != 0 || self.house.is_some() || is_long || self.is_after_preposition(street)
    }

    /// «На Ленина» can't be said of a common word; «по Уральской» with a capital letter is a name.
    fn is_after_preposition(&self, street: &StreetName) -> bool {
        let Some(before) = self.from.checked_sub(1) else { return false };
        if !matches!(self.word(before).as_str(), "на" | "по") {
            return false;
        }
        if is_adjective(&street.written) {
            let span = self.tokens[self.from].span;
            return self.text[span.start..].starts_with(char::is_uppercase);
        }
        let words: Vec<String> = (self.from..self.to).map(|at| self.word(at)).collect();
        words.join(" ") == street.written
    }

    /// The words it was found by.
    fn quote(&self, with_house: bool) -> String {
        let last = self.house.filter(|_| with_house).map_or(self.to - 1, |(_, at)| at);
        let from = if with_house && self.sort_before != 0 { self.from - 1 } else { self.from };
        self.text[self.tokens[from].span.start..self.tokens[last].span.end].to_owned()
    }
}

fn folded(text: &str, token: Token) -> String {
    normal::name(&text[token.span.start..token.span.end])
}

fn is_adjective(folded: &str) -> bool {
    const ENDINGS: [&str; 13] =
        ["ий", "ый", "ой", "ая", "яя", "ое", "ее", "ого", "его", "ому", "ом", "ую", "ые"];
    ENDINGS.iter().any(|ending| folded.ends_with(ending))
}

/// Words of a text with their numbers. Endings of ordinals and of abbreviations («1-я», «пр-т», «б-р») belong to the word
/// before them.
fn tokens(text: &str, number: impl Fn(&str) -> Option<u32>) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 12);
    let mut before_is_b = false;
    normal::for_each_word(text, |word, span| {
        if let Some(last) = tokens.last_mut()
            && &text[last.span.end..span.start] == "-"
        {
            let is_abbreviation = last.sort == PROSPECT | PASSAGE && matches!(word, "т" | "кт" | "д" | "зд");
            let is_ordinal = last.is_digits && matches!(word, "я" | "й" | "е" | "го" | "му" | "м" | "ая" | "ой" | "ый" | "ую");
            if before_is_b && word == "р" {
                last.sort = BOULEVARD;
            } else if is_abbreviation {
                last.sort = if word.ends_with('т') { PROSPECT } else { PASSAGE };
            }
            if is_abbreviation || is_ordinal || before_is_b && word == "р" {
                if !is_ordinal {
                    last.span.end = span.end;
                }
                before_is_b = false;
                return;
            }
        }
        before_is_b = word == "б";
        tokens.push(Token {
            span,
            number: number(word),
            sort: sort_of(word),
            is_digits: word.bytes().all(|byte| byte.is_ascii_digit()),
        });
    });
    tokens
}

/// What sort of street a word stands for; 0 for none.
fn sort_of(word: &str) -> Sort {
    const WORDS: [(Sort, &[&str]); 12] = [
        (1, &["ул", "улица", "улицы", "улице", "улицу", "улицей", "улиц", "улицах"]),
        (PROSPECT, &["проспект", "проспекта", "проспекту", "проспекте", "проспектом", "просп", "пркт"]),
        (PASSAGE, &["проезд", "проезда", "проезду", "проезде"]),
        (PROSPECT | PASSAGE, &["пр"]),
        (1 << 3, &["переулок", "переулка", "переулку", "переулке", "пер"]),
        (BOULEVARD, &["бульвар", "бульвара", "бульвару", "бульваре", "бул"]),
        (1 << 5, &["шоссе", "ш"]),
        (1 << 6, &["площадь", "площади", "площадью", "пл"]),
        (1 << 7, &["набережная", "набережной", "набережную", "наб"]),
        (1 << 8, &["тракт", "тракта", "тракту", "тракте"]),
        (1 << 9, &["аллея", "аллеи", "аллее", "аллею"]),
        (1 << 10, &["тупик", "тупика", "тупике"]),
    ];
    if word.len() > 24 {
        return 0;
    }
    WORDS.iter().find(|(_, words)| words.contains(&word)).map_or(0, |(sort, _)| *sort)
}
