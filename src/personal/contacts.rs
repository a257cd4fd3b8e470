//! Telephones and e-mail addresses in free text, for `text: mask` and for what people see in views.

use std::{borrow::Cow, ops::Range};

use priem_sdk::message::personal::{mask_email, mask_phone};

use super::{
    numbers::scrub,
    plain::{self, LONGEST_GAP, Plain},
};

/// After how many digits telephones of this country are parted, with the `+7`, `7` or `8` and without.
const CUTS: &[usize] = &[1, 4, 7, 9];
const CUTS_WITHOUT_FIRST: &[usize] = &[3, 6, 8];

/// A text for people's eyes, where no citizen's words belong anyway (reasons of quarantine, errors): whatever still
/// looks like a contact, a СНИЛС, a policy number or a birth date is masked.
pub fn mask(text: &str) -> Cow<'_, str> {
    let scrubbed = scrub(text).map(|(text, _)| text);
    match mask_contacts(scrubbed.as_deref().unwrap_or(text)) {
        Some(masked) => Cow::Owned(masked),
        None => scrubbed.map_or(Cow::Borrowed(text), Cow::Owned),
    }
}

/// The text with telephones and e-mail addresses masked; `None` when there are none.
pub fn mask_contacts(text: &str) -> Option<String> {
    let mut cuts = Vec::new();
    for plain in [Plain::of(text, 10), Plain::without_tags(text, 10)]
        .into_iter()
        .flatten()
    {
        telephones(&plain, &mut cuts);
    }
    if may_hold_addresses(text)
        && let Some(plain) = Plain::of(text, 0)
    {
        addresses(text, &plain, &mut cuts);
    }
    plain::keep_apart(&mut cuts);
    (!cuts.is_empty()).then(|| plain::replace(text, &cuts))
}

type Cuts = Vec<(Range<usize>, Cow<'static, str>)>;

/// Telephones of this country (ten digits after `+7`, `7` or `8`, or ten from a 9), and any after a plus. Numbers of
/// towns without their code look like any number and stay.
fn telephones(plain: &Plain, cuts: &mut Cuts) {
    let groups = plain.groups();
    let mut at = 0;
    while at < groups.len() {
        match telephone(plain, at) {
            Some(taken) => {
                let own = &groups[at..at + taken];
                let digits: String = plain.digits(own).iter().map(u8::to_string).collect();
                let place = plain.origin(own[0].start..own[taken - 1].end);
                cuts.push((place, mask_phone(&digits).into()));
                at += taken;
            }
            None => at += 1,
        }
    }
}

/// How many groups a telephone takes that starts with this one.
fn telephone(plain: &Plain, at: usize) -> Option<usize> {
    let groups = &plain.groups()[at..];
    let head = &plain.text()[..groups[0].start];
    let has_plus = head.ends_with('+') || head.ends_with("+(") || head.ends_with("+ ");
    let first = plain.text().as_bytes()[groups[0].start];
    let (mut total, mut is_usual) = (0, true);
    let mut found = None;
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            if !plain.joins(at + index - 1) {
                break;
            }
            is_usual &= is_usual_gap(plain.gap(at + index - 1));
        }
        total += group.len();
        let own = &groups[..=index];
        // Dates and lists have other signs between their groups; telephones may, where they are parted.
        let is_parted_so = |cuts| is_usual || Plain::is_parted_at_most(own, cuts);
        let is_telephone = match total {
            11 => (matches!(first, b'7' | b'8') || has_plus) && is_parted_so(CUTS),
            10 => (first == b'9' || has_plus) && is_parted_so(CUTS_WITHOUT_FIRST),
            12..=15 => has_plus && is_usual,
            _ => false,
        };
        if total > 15 {
            break;
        }
        if is_telephone {
            found = Some(index + 1);
        }
    }
    found
}

fn is_usual_gap(gap: &str) -> bool {
    gap.len() <= LONGEST_GAP && gap.chars().all(|sign| matches!(sign, ' ' | '-' | '(' | ')'))
}

/// Whether an «@» may be in it.
fn may_hold_addresses(text: &str) -> bool {
    text.contains(['@', '＠', '﹫']) || text.contains("&#") || text.contains("&commat;")
}

/// E-mail addresses, Latin and Russian.
fn addresses(text: &str, plain: &Plain, cuts: &mut Cuts) {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    for (at, _) in plain.text().match_indices('@') {
        let (mut before, mut after) = (&plain.text()[..at], &plain.text()[at + 1..]);
        // «ivan @ example.ru»
        if let (Some(head), Some(tail)) = (before.strip_suffix(' '), after.strip_prefix(' ')) {
            (before, after) = (head, tail);
        }
        let name = before.len() - before.trim_end_matches(is_name).len();
        let domain = &after[..after.len() - after.trim_start_matches(is_domain).len()];
        let domain = domain.trim_end_matches(['.', '-']);
        if name == 0 || !domain.contains('.') {
            continue;
        }
        let start = before.len() - name;
        let end = plain.text().len() - after.len() + domain.len();
        let place = plain.origin(start..end);
        let masked = mask_email(&text[place.clone()]);
        cuts.push((place, masked.into()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contacts_in_texts_are_masked() {
        let masked = |text: &str| mask_contacts(text).unwrap_or_else(|| text.to_owned());
        assert_eq!(
            masked("Звоните +7 (912) 345-67-89 или 89123456780, почта ivanov.i@mail.ru."),
            "Звоните +***89 или ***80, почта i***@mail.ru."
        );
        assert_eq!(masked("9123456789"), "***89");
        for text in [
            "дом 12, кв. 345",
            "с 10.10.2026 по 12.10.2026",
            "@adm59",
            "40817810099910004312",
        ] {
            assert_eq!(mask_contacts(text), None, "{text}");
        }
    }

    #[test]
    fn no_form_of_digits_and_no_usual_separator_hides_a_telephone() {
        for by in [
            "  ", "\n", "\t", ".", "\u{ad}", "\u{200b}", "\u{2212}", "\u{a0}", "_", "/", " - ", ") (", "&nbsp;", "<b>",
        ] {
            for first in ["8", "+7"] {
                let text = format!("тел. {}, звоните", [first, "912", "345", "67", "89"].join(by));
                let masked = mask_contacts(&text).unwrap_or_else(|| panic!("{text:?} is left"));
                assert!(
                    masked.contains("***89") && !masked.contains("345"),
                    "{text:?} → {masked:?}"
                );
            }
        }
        for text in [
            "８９１２３４５６７８９",
            "8\u{fe0f}\u{20e3}9123456789",
            "+７ (𝟗𝟏𝟐) 345-67-89",
        ] {
            let masked = mask_contacts(text).unwrap_or_else(|| panic!("{text:?} is left"));
            assert!(masked.contains("***89"), "{text:?} → {masked:?}");
        }
        for text in [
            "ivan\u{200b}@example.ru",
            "иван@пример.рф",
            "ivan @ example.ru",
            "ivan＠example.ru",
            "ivan&#64;example.ru",
        ] {
            let masked = mask_contacts(text).unwrap_or_else(|| panic!("{text:?} is left"));
            assert!(
                masked.contains("***") && !masked.contains("van") && !masked.contains("ван"),
                "{text:?} → {masked:?}"
            );
        }
        for text in [
            "8.10.2026 12:30:45",
            "с 8:30 до 17:15, 12.10.2026",
            "дома 9, 12, 345, 67, 89",
            "за 2026 год @ 5 шт.",
            "8\n12345\n67890",
        ] {
            assert_eq!(mask_contacts(text), None, "{text}");
        }
    }

    #[test]
    fn what_slipped_through_is_masked() {
        let masked = mask("row 7: «112-233-445 95», a@b.ru");
        assert!(!masked.contains("233") && !masked.contains("a@b"), "{masked}");
        assert!(matches!(mask("row 7: no number"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[0-9 @.+()\\-а-яa-z]{0,60}") {
            let _ = mask(&text);
        }
    }
}
