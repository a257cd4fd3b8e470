//! What stands around a phrase of the gazetteer and decides whether a street, a place or neither is meant.

use super::house;
use super::text::StreetName;
use super::words::{Sort, Token, folded, is_adjective, leads_on, together};

/// Beginnings of words that make a number before them no house: «Мира 5 лет», «Победы 9 мая».
const NO_HOUSE: &str = "лет год руб час мин раз чел дн день процент тыс млн январ феврал март апрел мая май июн июл август сентябр октябр \
    ноябр декабр сут недел месяц этаж подъезд градус метр штук ям машин";

/// Beginnings of words after which «на» and «по» speak of a person: «жалоба на Попова», «письмо на Кирова».
const ABOUT_PERSON: &str =
    "жал пожал обиж обид рассчит надеж надея надее ругал крич заявлен донос управы похож подпис злил доверен";
/// Words before a street that say a crossing is meant.
const CROSSING: &str = "угол углу угла перекресток перекрестке перекрестка пересечении пересечение";

/// A phrase of the gazetteer in a text, with what stands around it.
pub(super) struct Surroundings<'t> {
    text: &'t str,
    tokens: &'t [Token],
    from: usize,
    to: usize,
    sort_before: Sort,
    sort_after: Sort,
    /// Its number, and the token it stands in.
    pub(super) house: Option<(u32, usize)>,
}

impl<'t> Surroundings<'t> {
    /// Looks around the words from `from` up to `to`.
    pub(super) fn new(text: &'t str, tokens: &'t [Token], from: usize, to: usize) -> Self {
        let before = from.checked_sub(1).filter(|&before| leads_on(text, tokens, before));
        let sort_before = before.map_or(0, |before| tokens[before].sort);
        let is_next = to < tokens.len() && together(text, tokens, to - 1, to);
        let sort_after = if is_next { tokens[to].sort } else { 0 };
        let mut surroundings = Self {
            text,
            tokens,
            from,
            to,
            sort_before,
            sort_after,
            house: None,
        };
        surroundings.house = surroundings.find_house();
        surroundings
    }

    fn find_house(&self) -> Option<(u32, usize)> {
        let mut at = self.to + usize::from(self.sort_after != 0);
        if matches!(self.word(at).as_str(), "д" | "дом" | "дома" | "доме" | "дому") {
            at += 1;
        }
        let house = house::number(&self.word(at))?;
        let next = self.word(at + 1);
        (!NO_HOUSE.split(' ').any(|beginning| next.starts_with(beginning))).then_some((house, at))
    }

    /// A word, folded; empty past the end.
    fn word(&self, at: usize) -> String {
        self.tokens
            .get(at)
            .map(|token| folded(self.text, *token))
            .unwrap_or_default()
    }

    /// Whether it may be the name of a place, not of a street.
    pub(super) fn is_place(&self) -> bool {
        let is_street = self.sort_before != 0 || self.sort_after != 0 && is_adjective(&self.word(self.to - 1));
        !is_street
    }

    /// Whether this street is meant.
    pub(super) fn is_street(&self, street: &StreetName) -> bool {
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
        let is_crossing = CROSSING.split(' ').any(|word| word == preposition);
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
        if ABOUT_PERSON.split(' ').any(|beginning| verb.starts_with(beginning)) {
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
    pub(super) fn quote(&self, with_house: bool) -> String {
        let last = self.house.filter(|_| with_house).map_or(self.to - 1, |(_, at)| at);
        let from = if with_house && self.sort_before != 0 {
            self.from - 1
        } else {
            self.from
        };
        self.text[self.tokens[from].span.start..self.tokens[last].span.end].to_owned()
    }
}
