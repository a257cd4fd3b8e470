//! House numbers and ranges of them: «1-57 нечётные», «96».

/// Some houses of a street.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HouseRange {
    from: u32,
    to: u32,
    parity: Parity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parity {
    Any,
    Even,
    Odd,
}

impl HouseRange {
    /// Reads «96», «1-57», «1-57 нечётные», «2-60 чётные».
    pub(crate) fn parse(written: &str) -> Option<Self> {
        let written = written.trim().to_lowercase().replace('ё', "е").replace(['–', '—'], "-");
        let (numbers, parity) = match written.split_once(' ') {
            None => (written.as_str(), Parity::Any),
            Some((numbers, "четные")) => (numbers, Parity::Even),
            Some((numbers, "нечетные")) => (numbers, Parity::Odd),
            Some(_) => return None,
        };
        let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (from <= to).then_some(Self { from, to, parity })
    }

    /// Whether a house is among them.
    pub(super) fn has(self, house: u32) -> bool {
        let fits = match self.parity {
            Parity::Any => true,
            Parity::Even => house.is_multiple_of(2),
            Parity::Odd => !house.is_multiple_of(2),
        };
        fits && (self.from..=self.to).contains(&house)
    }
}

/// The number a house begins with: «96», «96а», «12/3» → 12.
pub(super) fn number(written: &str) -> Option<u32> {
    let digits = written.len() - written.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    written[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_asked() {
        let odd = HouseRange::parse("1-57 нечётные").expect("a range");
        assert!(odd.has(1) && odd.has(57) && !odd.has(2) && !odd.has(59));
        let all = HouseRange::parse("2–60").expect("a range");
        assert!(all.has(2) && all.has(33) && !all.has(61));
        assert!(HouseRange::parse("96").expect("a house").has(96));
        for wrong in ["", "а", "9-1", "1-5 все", "1-", "-5"] {
            assert_eq!(HouseRange::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_house_begins_with_its_number() {
        assert_eq!(number("96а"), Some(96));
        assert_eq!(number("а96"), None);
        assert_eq!(number("99999999999999"), None);
    }
}
