//! Names of territories and streets in a text, in any grammatical case.
//!
//! Words are compared by their stems. Names of streets are often plain words («Мира», «Победы»), so a street counts only
//! with a sign that a street is meant: the word for it («ул. Мира»), a house («Мира, 15»), several words («Героев
//! Хасана»), or «на», «по» before it («на Ленина», «по Уральской»). A name beside the word for a street is no place
//! («ул. Пермская»).

use priem_sdk::message::{Message, PlacePrecision, TerritoryFoundBy as FoundBy};

use super::{HouseRange, Id, Kind, Territory, house, trie::Trie};
use crate::routing::normal::{self, Span};

/// Sorts of streets, as a set of bits: an abbreviation may mean several.
type Sort = u16;
const STREET: Sort = 1;
const PROSPECT: Sort = 1 << 1;
const PASSAGE: Sort = 1 << 2;
const BOULEVARD: Sort = 1 << 4;

/// Beginnings of words that make a number before them no house: «Мира 5 лет», «Победы 9 мая».
const NO_HOUSE: &[&str] = &[
    "лет",
    "год",
    "руб",
    "час",
    "мин",
    "раз",
    "чел",
    "дн",
    "день",
    "процент",
    "тыс",
    "млн",
    "январ",
    "феврал",
    "март",
    "апрел",
    "мая",
    "май",
    "июн",
    "июл",
    "август",
    "сентябр",
    "октябр",
    "ноябр",
    "декабр",
];

/// Words for a sort that end with a point which ends no sentence.
const ABBREVIATIONS: &[&str] = &["ул", "пр", "просп", "пркт", "пер", "бул", "ш", "пл", "наб"];
/// Most words in the name of a street that nobody described.
const LONGEST_NAME: usize = 3;

/// Beginnings of words after which «на» and «по» speak of a person: «жалоба на Попова», «письмо на Кирова».
const ABOUT_PERSON: &[&str] = &[
    "жал",
    "пожал",
    "обиж",
    "обид",
    "рассчит",
    "надеж",
    "надея",
    "надее",
    "ругал",
    "крич",
    "заявлен",
    "донос",
    "управ",
    "похож",
    "суд",
    "подпис",
    "злил",
    "доверен",
];
/// Words before a street that say a crossing is meant.
const CROSSING: &[&str] = &[
    "угол",
    "углу",
    "угла",
    "перекресток",
    "перекрестке",
    "перекрестка",
    "пересечении",
    "пересечение",
];

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
struct StreetName {
    /// Folded, without the word for its sort.
    written: String,
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

/// A word of a text.
#[derive(Debug, Clone, Copy)]
struct Token {
    span: Span,
    number: Option<u32>,
    sort: Sort,
    is_digits: bool,
    /// «б» or «р», which may begin «б-р» or «р-н».
    letter: Option<char>,
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
                found.extend(unknown_address(text, &tokens, at));
                at += 1;
                continue;
            };
            let sight = Sight::new(text, &tokens, at, at + length);
            let streets = meanings
                .iter()
                .filter(|meaning| meaning.street.as_ref().is_some_and(|street| sight.is_street(street)));
            let streets: Vec<Id> = streets.map(|meaning| meaning.territory).collect();
            if !streets.is_empty() {
                let precision = street_precision(sight.house.is_some());
                found.extend(mention(FoundBy::TextStreet, sight.quote(true), streets, precision));
            } else if sight.is_place() {
                let names: Vec<&Meaning> = meanings.iter().filter(|meaning| meaning.street.is_none()).collect();
                let precision = names
                    .first()
                    .map_or(PlacePrecision::Unknown, |name| name_precision(name.kind));
                let territories = names.iter().map(|name| name.territory);
                found.extend(mention(FoundBy::TextName, sight.quote(false), territories, precision));
            }
            at += length;
        }
        found
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
        .any(|to| Sight::new(text, tokens, at + 1, to).house.is_some());
    Some(Mention {
        by: FoundBy::TextStreet,
        saw: String::new(),
        ids: Vec::new(),
        precision: street_precision(has_house),
    })
}

/// Whether the name may follow the word for a street: «ул. Мира», «улица Мира», not «на улице. Мира нет».
fn leads_on(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some(next) = tokens.get(at + 1) else { return false };
    let span = tokens[at].span;
    let gap = &text[span.end..next.span.start];
    let word = folded(text, tokens[at]);
    let is_abbreviation = ABBREVIATIONS.contains(&word.as_str()) || text[span.start..span.end].contains('-');
    !gap.contains([',', ';', '\n', '!', '?', '(']) && (is_abbreviation || !gap.contains('.'))
}

/// Whether nothing that ends a name stands between the words.
fn together(text: &str, tokens: &[Token], from: usize, to: usize) -> bool {
    let gap = |at: usize| &text[tokens[at].span.end..tokens[at + 1].span.start];
    (from..to).all(|at| !gap(at).contains([',', ';', '\n', '!', '?', '.', '(']))
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
        let before = from.checked_sub(1).filter(|&before| leads_on(text, tokens, before));
        let sort_before = before.map_or(0, |before| tokens[before].sort);
        let is_next = to < tokens.len() && together(text, tokens, to - 1, to);
        let sort_after = if is_next { tokens[to].sort } else { 0 };
        let mut sight = Self {
            text,
            tokens,
            from,
            to,
            sort_before,
            sort_after,
            house: None,
        };
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
        self.tokens
            .get(at)
            .map(|token| folded(self.text, *token))
            .unwrap_or_default()
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
        let Some(before) = self.from.checked_sub(1) else {
            return false;
        };
        let preposition = self.word(before);
        let is_crossing = CROSSING.contains(&preposition.as_str());
        if !is_crossing && (!matches!(preposition.as_str(), "на" | "по") || self.is_about_person(before)) {
            return false;
        }
        if is_adjective(&street.written) {
            let span = self.tokens[self.from].span;
            return self.text[span.start..].starts_with(char::is_uppercase);
        }
        let words: Vec<String> = (self.from..self.to).map(|at| self.word(at)).collect();
        words.join(" ") == street.written
    }

    /// «Жалоба на Попова», «на Попова А. В.», «по Петру Ильичу».
    fn is_about_person(&self, preposition: usize) -> bool {
        let verb = preposition.checked_sub(1).map(|at| self.word(at)).unwrap_or_default();
        if ABOUT_PERSON.iter().any(|beginning| verb.starts_with(beginning)) {
            return true;
        }
        let next = self.word(self.to);
        let is_initial = next.chars().count() == 1
            && self.text[self.tokens[self.to].span.start..].starts_with(char::is_uppercase)
            && self.text[self.tokens[self.to].span.end..].starts_with('.');
        let is_patronymic = ["ович", "евич", "овн", "евн"].iter().any(|part| next.contains(part));
        let follower = self.word(self.to + 1);
        let ends_in_patronymic = ["овича", "евича", "овну", "евну", "овне", "евне", "овичу", "евичу"]
            .iter()
            .any(|ending| follower.ends_with(ending));
        is_initial || is_patronymic || ends_in_patronymic
    }

    /// The words it was found by.
    fn quote(&self, with_house: bool) -> String {
        let last = self.house.filter(|_| with_house).map_or(self.to - 1, |(_, at)| at);
        let from = if with_house && self.sort_before != 0 {
            self.from - 1
        } else {
            self.from
        };
        self.text[self.tokens[from].span.start..self.tokens[last].span.end].to_owned()
    }
}

fn folded(text: &str, token: Token) -> String {
    normal::name(&text[token.span.start..token.span.end])
}

fn is_adjective(folded: &str) -> bool {
    const ENDINGS: [&str; 13] = [
        "ий", "ый", "ой", "ая", "яя", "ое", "ее", "ого", "его", "ому", "ом", "ую", "ые",
    ];
    ENDINGS.iter().any(|ending| folded.ends_with(ending))
}

/// Words of a text with their numbers. Endings of ordinals and of abbreviations («1-я», «пр-т», «б-р», «р-н») belong to
/// the word before them.
fn tokens(text: &str, number: impl Fn(&str) -> Option<u32>) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 12);
    normal::for_each_word(text, |word, span| {
        if let Some(last) = tokens.last_mut()
            && &text[last.span.end..span.start] == "-"
            && absorbs(last, word, span, &number)
        {
            return;
        }
        tokens.push(Token {
            span,
            number: number(word),
            sort: sort_of(word),
            is_digits: word.bytes().all(|byte| byte.is_ascii_digit()),
            letter: match word {
                "б" => Some('б'),
                "р" => Some('р'),
                _ => None,
            },
        });
    });
    tokens
}

/// Whether a word is the ending of the one before its hyphen, which then takes it in.
fn absorbs(last: &mut Token, ending: &str, span: Span, number: impl Fn(&str) -> Option<u32>) -> bool {
    const ORDINALS: [&str; 10] = ["я", "й", "е", "го", "му", "м", "ая", "ой", "ый", "ую"];
    const PROSPECTS: [&str; 8] = ["т", "та", "те", "ту", "кт", "кта", "кте", "кту"];
    const PASSAGES: [&str; 6] = ["д", "де", "ду", "зд", "зде", "зду"];
    const BOULEVARDS: [&str; 4] = ["р", "ра", "ре", "ру"];
    const DISTRICTS: [&str; 5] = ["н", "на", "не", "ну", "ном"];
    if last.is_digits {
        return ORDINALS.contains(&ending);
    }
    let is_prospect_or_passage = last.sort == PROSPECT | PASSAGE;
    if is_prospect_or_passage && PROSPECTS.contains(&ending) {
        last.sort = PROSPECT;
    } else if is_prospect_or_passage && PASSAGES.contains(&ending) {
        last.sort = PASSAGE;
    } else if last.letter == Some('б') && BOULEVARDS.contains(&ending) {
        last.sort = BOULEVARD;
    } else if last.letter == Some('р') && DISTRICTS.contains(&ending) {
        last.number = number("район");
    } else {
        return false;
    }
    last.letter = None;
    last.span.end = span.end;
    true
}

/// What sort of street a word stands for; 0 for none.
fn sort_of(word: &str) -> Sort {
    const WORDS: [(Sort, &[&str]); 12] = [
        (
            STREET,
            &["ул", "улица", "улицы", "улице", "улицу", "улицей", "улиц", "улицах"],
        ),
        (
            PROSPECT,
            &[
                "проспект",
                "проспекта",
                "проспекту",
                "проспекте",
                "проспектом",
                "просп",
                "пркт",
            ],
        ),
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
    WORDS
        .iter()
        .find(|(_, words)| words.contains(&word))
        .map_or(0, |(sort, _)| *sort)
}
