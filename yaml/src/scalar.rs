//! A single value: its words, and what they mean to whom asks.

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    text: Box<str>,
    is_plain: bool,
}

/// What a scalar is when nobody says what it should be: YAML 1.2, but a number with leading zeros is text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    /// Nothing, or `~`, or `null`.
    Nothing,
    /// `true` or `false`.
    Switch(bool),
    /// A whole number from 0.
    Unsigned(u64),
    /// A whole number below 0.
    Signed(i64),
    /// Any other decimal number.
    Float(f64),
    /// Words.
    Text,
}

impl Scalar {
    /// Words without quotes: they may mean a number, a yes or nothing.
    pub fn plain(text: impl Into<Box<str>>) -> Self {
        Self {
            text: text.into(),
            is_plain: true,
        }
    }

    /// Words in quotes: they are text.
    pub fn quoted(text: impl Into<Box<str>>) -> Self {
        Self {
            text: text.into(),
            is_plain: false,
        }
    }

    /// The words as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same words in quotes.
    pub fn to_quoted(&self) -> Self {
        Self::quoted(self.text.clone())
    }

    /// Whether it is YAML's null.
    pub fn is_null(&self) -> bool {
        self.is_plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// What it is by itself.
    pub fn meaning(&self) -> Meaning {
        if !self.is_plain {
            return Meaning::Text;
        }
        match &*self.text {
            "" | "~" | "null" | "Null" | "NULL" => return Meaning::Nothing,
            "true" | "True" | "TRUE" => return Meaning::Switch(true),
            "false" | "False" | "FALSE" => return Meaning::Switch(false),
            _ => {}
        }
        let digits = self.digits();
        if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') || self.has_leading_zeros() {
            return Meaning::Text;
        }
        if let Ok(number) = self.text.parse() {
            return Meaning::Unsigned(number);
        }
        if let Ok(number) = self.text.parse() {
            return Meaning::Signed(number);
        }
        match self.text.parse() {
            Ok(number) if digits.bytes().any(|byte| byte.is_ascii_digit()) => Meaning::Float(number),
            _ => Meaning::Text,
        }
    }

    /// A whole number without quotes, within 64 bits.
    pub fn integer(&self) -> Option<i64> {
        match self.meaning() {
            Meaning::Unsigned(number) => i64::try_from(number).ok(),
            Meaning::Signed(number) => Some(number),
            _ => None,
        }
    }

    /// A switch without quotes, in all the words of YAML 1.1.
    pub fn switch(&self) -> Option<bool> {
        if !self.is_plain {
            return None;
        }
        match self.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }

    /// Whether nobody could take it for text.
    pub fn is_no_text(&self) -> bool {
        !matches!(self.meaning(), Meaning::Text | Meaning::Nothing)
    }

    /// Whether it is a whole number but for zeros in front of it.
    pub(crate) fn has_leading_zeros(&self) -> bool {
        let digits = self.digits().as_bytes();
        self.is_plain && digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit()
    }

    pub(crate) fn kind_ru(&self) -> &'static str {
        match self.meaning() {
            Meaning::Nothing => "пусто",
            Meaning::Switch(_) => "да/нет",
            Meaning::Unsigned(_) | Meaning::Signed(_) | Meaning::Float(_) => "число",
            Meaning::Text => "текст",
        }
    }

    fn digits(&self) -> &str {
        self.text.strip_prefix(['-', '+']).unwrap_or(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_mean_what_their_authors_mean() {
        for (text, meaning) in [
            ("", Meaning::Nothing),
            ("~", Meaning::Nothing),
            ("true", Meaning::Switch(true)),
            ("False", Meaning::Switch(false)),
            ("57701", Meaning::Unsigned(57701)),
            ("0", Meaning::Unsigned(0)),
            ("-3", Meaning::Signed(-3)),
            ("1.5", Meaning::Float(1.5)),
            ("1e3", Meaning::Float(1000.0)),
            // Codes with a leading zero stay text, and so do «да» and the words of YAML 1.1.
            ("01701000", Meaning::Text),
            ("0x10", Meaning::Text),
            ("1_000", Meaning::Text),
            ("1.2.3", Meaning::Text),
            ("2026-01-15 10:00", Meaning::Text),
            ("yes", Meaning::Text),
            (".", Meaning::Text),
            ("-", Meaning::Text),
            ("inf", Meaning::Text),
        ] {
            assert_eq!(Scalar::plain(text).meaning(), meaning, "{text}");
            assert_eq!(Scalar::quoted(text).meaning(), Meaning::Text, "\"{text}\"");
        }
        assert_eq!(Scalar::plain("18446744073709551615").integer(), None);
        assert_eq!(Scalar::plain("-9223372036854775808").integer(), Some(i64::MIN));
    }

    #[test]
    fn switches_have_the_words_of_yaml_1_1_and_quotes_make_text() {
        for (text, value) in [
            ("yes", true),
            ("On", true),
            ("N", false),
            ("off", false),
            ("TRUE", true),
        ] {
            assert_eq!(Scalar::plain(text).switch(), Some(value), "{text}");
            assert_eq!(Scalar::quoted(text).switch(), None, "\"{text}\"");
        }
        assert_eq!(Scalar::plain("да").switch(), None);
    }
}
