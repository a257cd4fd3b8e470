//! In which encoding the bytes of a text are: told by the bytes, or known by its name and not read.
//!
//! A text of one of the old code pages reads in any other of them too, as nonsense. Which of them it is, the letters say:
//! Russian has ten common ones, and no capital stands after a small one.

use std::sync::LazyLock;

use encoding_rs::{IBM866, KOI8_R, UTF_8, WINDOWS_1251, X_MAC_CYRILLIC};

/// Byte order mark of UTF-8.
const MARK: &[u8] = &[0xEF, 0xBB, 0xBF];
/// Bytes of a sample that are weighed.
const WEIGHED: usize = 64 * 1024;
/// How much likelier than one page another must be, as a logarithm, to be taken for it.
const CERTAIN: f64 = 12.0;

/// How the bytes of a text are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// Windows-1251.
    Windows1251,
    /// Code page 866 of DOS.
    Cp866,
    /// KOI8-R.
    Koi8R,
    /// Cyrillic of the old Macintosh.
    MacCyrillic,
    /// UTF-16, the low byte first: «Unicode Text» of Excel.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

/// What the beginning of a text says about its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// It is this one; so many bytes of a byte order mark stand before the text.
    Is(Encoding, usize),
    /// Most likely this one, but the text is too short or too strange to be sure.
    Perhaps(Encoding),
}

impl Encoding {
    /// As people and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            _ => self.table().name(),
        }
    }

    /// Whether line ends and delimiters are single bytes in it.
    pub fn is_ascii_compatible(self) -> bool {
        !matches!(self, Self::Utf16Le | Self::Utf16Be)
    }

    /// A text, unless the bytes are none in this encoding. UTF-16 is decoded while it is read (`Utf16`): its texts come
    /// as UTF-8.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = self
            .table()
            .decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(text.into_owned())
    }

    /// Whether a line of a text in this code page was certainly written in another encoding: files are put together of
    /// parts.
    pub fn is_foreign(self, line: &[u8]) -> bool {
        /// Bytes beyond ASCII that tell anything.
        const FEWEST: usize = 6;
        let Some(page) = PAGES.iter().position(|page| *page == self) else {
            return false;
        };
        if line.iter().filter(|byte| !byte.is_ascii()).take(FEWEST).count() < FEWEST {
            return false;
        }
        let is_likelier = || {
            let all = LETTERS.likelihoods(line);
            all.iter().any(|other| *other >= all[page] + CERTAIN)
        };
        std::str::from_utf8(line).is_ok() || is_likelier()
    }

    fn table(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 | Self::Utf16Le | Self::Utf16Be => UTF_8,
            Self::Windows1251 => WINDOWS_1251,
            Self::Cp866 => IBM866,
            Self::Koi8R => KOI8_R,
            Self::MacCyrillic => X_MAC_CYRILLIC,
        }
    }

    /// Bytes of the mark of this encoding at the beginning of a text.
    pub fn mark(self, start: &[u8]) -> usize {
        let mark: &[u8] = match self {
            Self::Utf8 => MARK,
            Self::Utf16Le => &[0xFF, 0xFE],
            Self::Utf16Be => &[0xFE, 0xFF],
            _ => return 0,
        };
        if start.starts_with(mark) { mark.len() } else { 0 }
    }
}

/// Tells the encoding of a text by its beginning; `whole` says that this is all of it.
pub fn guess(start: &[u8], whole: bool) -> Guess {
    for marked in [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be] {
        let mark = marked.mark(start);
        if mark > 0 {
            return Guess::Is(marked, mark);
        }
    }
    if let Some(encoding) = utf16_without_mark(start) {
        return Guess::Is(encoding, 0);
    }
    if mostly_utf8(start, whole) {
        return Guess::Is(Encoding::Utf8, 0);
    }
    by_letters(&start[..start.len().min(WEIGHED)])
}

/// Texts of ours in UTF-16 are letters of two alphabets and signs: one byte of each pair is one of four.
fn utf16_without_mark(start: &[u8]) -> Option<Encoding> {
    /// Pages of Latin, Cyrillic, punctuation and «№».
    const PAGES: [u8; 4] = [0x00, 0x04, 0x20, 0x21];
    const FEWEST: usize = 8;
    let pairs = start.as_chunks::<2>().0;
    if pairs.len() < FEWEST || !start.contains(&0) {
        return None;
    }
    let of_pages = |byte: usize| pairs.iter().filter(|pair| PAGES.contains(&pair[byte])).count();
    let zeros = |byte: usize| pairs.iter().filter(|pair| pair[byte] == 0).count();
    [(1, 0, Encoding::Utf16Le), (0, 1, Encoding::Utf16Be)]
        .into_iter()
        .find(|(page, letter, _)| of_pages(*page) * 100 >= pairs.len() * 97 && zeros(*letter) * 100 <= pairs.len())
        .map(|(_, _, encoding)| encoding)
}

/// Whether the sample reads as UTF-8, but for single broken places: Russian text in Windows-1251 breaks at almost every
/// letter, a damaged cell in UTF-8 at a few.
fn mostly_utf8(mut sample: &[u8], whole: bool) -> bool {
    let (mut good, mut bad) = (0usize, 0usize);
    loop {
        match std::str::from_utf8(sample) {
            Ok(text) => {
                good += text.chars().filter(|c| !c.is_ascii()).count();
                break;
            }
            Err(error) => {
                let (valid, rest) = sample.split_at(error.valid_up_to());
                good += valid.iter().filter(|byte| byte.leading_ones() >= 2).count();
                match error.error_len() {
                    Some(length) => {
                        bad += 1;
                        sample = &rest[length..];
                    }
                    // The sample cuts the last character.
                    None => {
                        bad += usize::from(whole);
                        break;
                    }
                }
            }
        }
    }
    bad == 0 || good > 4 * bad
}

/// The code page in which the letters are most like Russian.
fn by_letters(sample: &[u8]) -> Guess {
    /// How much likelier than Windows-1251 another page must be, as a logarithm, to be worth naming.
    const LIKELY: f64 = 4.0;
    let [usual, others @ ..] = LETTERS.likelihoods(sample);
    let [_, pages @ ..] = PAGES;
    let mut others = [0, 1, 2].map(|page| (others[page], pages[page]));
    others.sort_by(|one, other| other.0.total_cmp(&one.0));
    let [(best, encoding), (second, next), _] = others;
    // What differs between them may not stand in it.
    let is_only = best - second >= LIKELY || encoding.decode(sample) == next.decode(sample);
    if best - usual < LIKELY {
        Guess::Is(Encoding::Windows1251, 0)
    } else if best - usual >= CERTAIN && is_only {
        Guess::Is(encoding, 0)
    } else {
        Guess::Perhaps(encoding)
    }
}

/// The code pages.
const PAGES: [Encoding; 4] = [
    Encoding::Windows1251,
    Encoding::Cp866,
    Encoding::Koi8R,
    Encoding::MacCyrillic,
];

/// How Russian each byte is, in each of [`PAGES`].
struct Letters {
    /// How often its letter stands in Russian, as a logarithm.
    weights: [[f64; PAGES.len()]; 256],
    /// In which pages it is a small letter beyond ASCII, a bit for each.
    small: [u8; 256],
    /// In which pages it is a capital.
    capital: [u8; 256],
}

static LETTERS: LazyLock<Letters> = LazyLock::new(Letters::of_pages);

impl Letters {
    fn of_pages() -> Self {
        let of = |byte: usize, page: Encoding| page.decode(&[u8::try_from(byte).unwrap_or_default()])?.chars().next();
        let bits = |byte: usize, is: fn(char) -> bool| {
            let pages = (0_u8..).zip(PAGES);
            pages.fold(0, |bits, (bit, page)| {
                bits | u8::from(of(byte, page).is_some_and(is)) << bit
            })
        };
        Self {
            weights: std::array::from_fn(|byte| PAGES.map(|page| of(byte, page).map_or(0.0, weight))),
            small: std::array::from_fn(|byte| bits(byte, |c| !c.is_ascii() && c.is_lowercase())),
            capital: std::array::from_fn(|byte| bits(byte, char::is_uppercase)),
        }
    }

    /// How likely the bytes beyond ASCII are Russian in each of [`PAGES`], as logarithms.
    fn likelihoods(&self, sample: &[u8]) -> [f64; PAGES.len()] {
        /// A capital behind a small letter.
        const BROKEN_WORD: f64 = 0.02;
        let broken_word = BROKEN_WORD.ln();
        let mut sums = [0.0; PAGES.len()];
        let mut before = b' ';
        for &byte in sample {
            if !byte.is_ascii() {
                let broken = self.small[usize::from(before)] & self.capital[usize::from(byte)];
                let weights = self.weights[usize::from(byte)];
                for (page, (sum, weight)) in sums.iter_mut().zip(weights).enumerate() {
                    *sum += weight;
                    if broken >> page & 1 == 1 {
                        *sum += broken_word;
                    }
                }
            }
            before = byte;
        }
        sums
    }
}

/// How often a letter stands in Russian, as a logarithm.
fn weight(c: char) -> f64 {
    /// Small letters by how often they stand in Russian, per thousand.
    const LETTERS: [(&str, f64); 5] = [
        ("оеаинтс", 75.0),
        ("рвлкмдпу", 35.0),
        ("яыьгзбчй", 16.0),
        ("хжшюцщэф", 6.0),
        ("ъё", 1.0),
    ];
    /// Signs that stand in Russian texts.
    const SIGNS: &str = "«»—–№…„“”’\u{a0}°•";
    let small = c.to_lowercase().next().unwrap_or(c);
    match LETTERS.iter().find(|(letters, _)| letters.contains(small)) {
        Some((_, often)) => (often / 1000.0).ln(),
        None if SIGNS.contains(c) => 0.005_f64.ln(),
        None => 0.0005_f64.ln(),
    }
}

/// Whether a text was certainly bent before it was written: UTF-8 that somebody read as Windows-1251 («РЇРјР°» for «Яма»),
/// or letters that became question marks.
pub fn is_garbled(text: &str) -> bool {
    /// Letters that tell it apart from a slip.
    const FEWEST: usize = 3;
    let mut foreign = text.chars().filter(|c| !c.is_ascii());
    let (Some(_), Some(second)) = (foreign.next(), foreign.next()) else {
        return is_lost(text);
    };
    // The second byte of a letter is none of the letters of Windows-1251: a look at two letters is enough for nearly all.
    if ('А'..='я').contains(&second) {
        return false;
    }
    let (bytes, _, has_others) = WINDOWS_1251.encode(text);
    !has_others
        && std::str::from_utf8(&bytes).is_ok_and(|text| text.chars().filter(|c| !c.is_ascii()).count() >= FEWEST)
}

/// Words of question marks, and no letter.
fn is_lost(text: &str) -> bool {
    const FEWEST: usize = 6;
    let words = text.split(' ').filter(|word| word.contains('?')).count();
    words >= 2 && text.matches('?').count() >= FEWEST && !text.contains(char::is_alphabetic)
}

/// UTF-16 on its way to UTF-8, chunk by chunk. A half of a surrogate pair comes as bytes that are no UTF-8, so that its row
/// is told and not changed.
#[derive(Debug, Clone)]
pub struct Utf16 {
    big_end_first: bool,
    /// A byte whose other half did not come yet.
    half: Option<u8>,
    /// A high surrogate whose other half did not come yet.
    high: Option<u16>,
}

impl Utf16 {
    /// For an encoding that is UTF-16.
    pub fn of(encoding: Encoding) -> Option<Self> {
        (!encoding.is_ascii_compatible()).then_some(Self {
            big_end_first: encoding == Encoding::Utf16Be,
            half: None,
            high: None,
        })
    }

    /// Appends what the bytes are in UTF-8.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let half = self.half.take();
        let mut bytes = half.iter().chain(bytes).copied();
        while let Some(first) = bytes.next() {
            let Some(second) = bytes.next() else {
                self.half = Some(first);
                break;
            };
            let pair = [first, second];
            let unit = if self.big_end_first {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            };
            self.unit(unit, out);
        }
    }

    /// Appends what was waiting for its other half.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(high) = self.high.take() {
            push_three(high, out);
        }
        if self.half.take().is_some() {
            out.push(0xFF);
        }
    }

    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        let is_low = (0xDC00..0xE000).contains(&unit);
        if let Some(high) = self.high.take() {
            if is_low {
                let c = 0x1_0000 + (u32::from(high - 0xD800) << 10) + u32::from(unit - 0xDC00);
                push_char(char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), out);
                return;
            }
            push_three(high, out);
        }
        if (0xD800..0xDC00).contains(&unit) {
            self.high = Some(unit);
        } else if is_low {
            push_three(unit, out);
        } else {
            push_char(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER), out);
        }
    }

    /// Bytes of UTF-16 that became these bytes of UTF-8.
    pub fn length_of(utf8: &[u8]) -> usize {
        let units = |byte: &u8| match byte.leading_ones() {
            1 => 0,
            4 => 2,
            // What was appended for a single byte.
            8 => 0,
            _ => 1,
        };
        2 * utf8.iter().map(units).sum::<usize>() + utf8.iter().filter(|byte| **byte == 0xFF).count()
    }
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A unit as three bytes, as UTF-8 would write it if it were a character.
fn push_three(unit: u16, out: &mut Vec<u8>) {
    let [high, low] = unit.to_be_bytes();
    out.extend_from_slice(&[
        0xE0 | (high >> 4),
        0x80 | ((high & 0x0F) << 2) | (low >> 6),
        0x80 | (low & 0x3F),
    ]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "Номер;Дата создания;Текст\r\n770001;05.01.2026;Яма у школы, «автобус» объезжает\r\n";

    #[test]
    fn a_line_of_another_encoding_is_found_among_lines_of_a_code_page() {
        let pages = [Encoding::Windows1251, Encoding::Cp866, Encoding::Koi8R];
        for line in [
            "770001;05.01.2026;Отдел дорог;Яма у школы, «автобус» объезжает",
            "770002;НЕТ СВЕТА ВТОРОЙ ДЕНЬ, ПОСЕЛОК ВЕРХНИЙ, ПРОСИМ ПОМОЧЬ И ВКЛЮЧИТЬ;ЖКХ",
            "770003;щёлкает и жужжит щит в подъезде;ул. Юных Героев",
        ] {
            for page in pages {
                let own = page.table().encode(line).0;
                assert!(!page.is_foreign(&own), "{line} in {page:?}");
                assert!(page.is_foreign(line.as_bytes()), "{line} in UTF-8 in {page:?}");
                for other in pages.into_iter().filter(|other| *other != page) {
                    let foreign = other.table().encode(line).0;
                    assert!(page.is_foreign(&foreign), "{line} in {other:?} in {page:?}");
                }
            }
        }
        assert!(!Encoding::Windows1251.is_foreign(b"770001;05.01.2026;\xcd\xe5\xf2"));
    }

    #[test]
    fn a_text_that_was_bent_before_is_told_from_one_that_was_not() {
        for whole in [
            "Яма у школы",
            "Сбор подписей: «за»",
            "РЖД",
            "???",
            "Почему?? Когда???",
            "№ 5",
            "Вё",
            "",
        ] {
            assert!(!is_garbled(whole), "{whole}");
        }
        for text in ["Яма у дома", "«Всё» — плохо", "ул. Тихая, 5"] {
            let garbled = WINDOWS_1251.decode_without_bom_handling(text.as_bytes()).0;
            assert!(is_garbled(&garbled), "{garbled}");
        }
        assert!(is_garbled("??? ? ???? ????????"));
    }

    pub fn utf16(text: &str, big_end_first: bool) -> Vec<u8> {
        let bytes = |unit: u16| {
            if big_end_first {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn each_encoding_is_told_by_its_bytes() {
        for (encoding, table) in [
            (Encoding::Windows1251, WINDOWS_1251),
            (Encoding::Cp866, IBM866),
            (Encoding::Koi8R, KOI8_R),
            (Encoding::MacCyrillic, X_MAC_CYRILLIC),
        ] {
            let text = TEXT.replace(['«', '»'], "\"");
            for text in [text.clone(), text.to_uppercase()] {
                let (bytes, ..) = table.encode(&text);
                // Capitals are the same in two of them.
                let Guess::Is(found, 0) = guess(&bytes, true) else {
                    panic!("{encoding:?}: {text}");
                };
                assert_eq!(found.decode(&bytes), Some(text));
            }
            let (bytes, ..) = table.encode(&text);
            assert_eq!(guess(&bytes, true), Guess::Is(encoding, 0));
        }
        assert_eq!(guess(TEXT.as_bytes(), true), Guess::Is(Encoding::Utf8, 0));
        assert_eq!(guess(b"Number;Text\n", true), Guess::Is(Encoding::Utf8, 0));
        for (encoding, big) in [(Encoding::Utf16Le, false), (Encoding::Utf16Be, true)] {
            assert_eq!(guess(&utf16(TEXT, big), true), Guess::Is(encoding, 0));
            let marked = utf16(&format!("\u{feff}{TEXT}"), big);
            assert_eq!(guess(&marked, true), Guess::Is(encoding, 2));
        }
    }

    #[test]
    fn a_few_letters_are_named_and_not_guessed() {
        let (bytes, ..) = KOI8_R.encode("No;Яма\n1;да\n");
        assert_eq!(guess(&bytes, true), Guess::Perhaps(Encoding::Koi8R));
    }

    proptest! {
        #[test]
        fn utf16_comes_as_utf8_whatever_the_chunks(text in "[a-zа-я😀\n;]{0,40}", cut in 0usize..90, big: bool) {
            let bytes = utf16(&text, big);
            let cut = cut.min(bytes.len());
            let mut reader = Utf16::of(if big { Encoding::Utf16Be } else { Encoding::Utf16Le }).expect("UTF-16");
            let mut out = Vec::new();
            reader.push(&bytes[..cut], &mut out);
            reader.push(&bytes[cut..], &mut out);
            reader.finish(&mut out);
            prop_assert_eq!(out.as_slice(), text.as_bytes());
            prop_assert_eq!(Utf16::length_of(&out), bytes.len());
        }

        #[test]
        fn half_pairs_are_no_text_and_are_counted(units in prop::collection::vec(prop::sample::select(vec![0x41u16, 0xD83D, 0xDE00]), 0..12)) {
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let mut reader = Utf16::of(Encoding::Utf16Le).expect("UTF-16");
            let mut out = Vec::new();
            reader.push(&bytes, &mut out);
            reader.finish(&mut out);
            prop_assert_eq!(Utf16::length_of(&out), bytes.len());
            prop_assert_eq!(std::str::from_utf8(&out).is_ok(), String::from_utf16(&units).is_ok());
        }
    }
}
