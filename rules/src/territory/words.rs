//! The words of a text as the gazetteer looks at them: with numbers, sorts of streets, and what a hyphen joins.

use crate::words::normal::{self, Span};

/// Sorts of streets, as a set of bits: an abbreviation may mean several.
pub(super) type Sort = u16;
pub(super) const STREET: Sort = 1;
pub(super) const PROSPECT: Sort = 1 << 1;
pub(super) const PASSAGE: Sort = 1 << 2;
pub(super) const BOULEVARD: Sort = 1 << 4;

/// Words for a sort that end with a point which ends no sentence.
const ABBREVIATIONS: &[&str] = &["ул", "пр", "просп", "пркт", "пер", "бул", "ш", "пл", "наб"];
/// A word of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) span: Span,
    pub(super) number: Option<u32>,
    pub(super) sort: Sort,
    pub(super) is_digits: bool,
    /// «б» or «р», which may begin «б-р» or «р-н».
    pub(super) letter: Option<char>,
}

/// Whether the name may follow the word for a street: «ул. Мира», «улица Мира», not «на улице. Мира нет».
pub(super) fn leads_on(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some(next) = tokens.get(at + 1) else { return false };
    let span = tokens[at].span;
    let gap = &text[span.end..next.span.start];
    let word = folded(text, tokens[at]);
    let is_abbreviation = ABBREVIATIONS.contains(&word.as_str()) || text[span.start..span.end].contains('-');
    !gap.contains([',', ';', '\n', '!', '?', '(']) && (is_abbreviation || !gap.contains('.'))
}

/// Whether nothing that ends a name stands between the words.
pub(super) fn together(text: &str, tokens: &[Token], from: usize, to: usize) -> bool {
    let gap = |at: usize| &text[tokens[at].span.end..tokens[at + 1].span.start];
    (from..to).all(|at| !gap(at).contains([',', ';', '\n', '!', '?', '.', '(']))
}

/// A word as it is compared.
pub(super) fn folded(text: &str, token: Token) -> String {
    normal::name(&text[token.span.start..token.span.end])
}

/// Whether a word has the ending of an adjective.
pub(super) fn is_adjective(folded: &str) -> bool {
    const ENDINGS: [&str; 13] = [
        "ий", "ый", "ой", "ая", "яя", "ое", "ее", "ого", "его", "ому", "ом", "ую", "ые",
    ];
    ENDINGS.iter().any(|ending| folded.ends_with(ending))
}

/// Words of a text with their numbers. Endings of ordinals and of abbreviations («1-я», «пр-т», «б-р», «р-н») belong to
/// the word before them.
pub(super) fn tokens(text: &str, number: impl Fn(&str) -> Option<u32>) -> Vec<Token> {
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
