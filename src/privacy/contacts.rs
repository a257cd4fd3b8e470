//! Telephones and e-mail addresses in free text, for `text: mask` and for what people see in views.

use std::{borrow::Cow, ops::Range};

use priem_sdk::message::personal::{mask_email, mask_phone};

use super::{
    numbers::scrub,
    spans::{self, Group},
};

/// A text for people's eyes, where no citizen's words belong anyway (reasons of quarantine, errors): whatever still
/// looks like a contact, a СНИЛС, a policy number or a birth date is masked.
pub fn veil(text: &str) -> Cow<'_, str> {
    let scrubbed = scrub(text).map(|(text, _)| text);
    match mask_contacts(scrubbed.as_deref().unwrap_or(text)) {
        Some(masked) => Cow::Owned(masked),
        None => scrubbed.map_or(Cow::Borrowed(text), Cow::Owned),
    }
}

/// The text with telephones and e-mail addresses masked; `None` when there are none.
pub(super) fn mask_contacts(text: &str) -> Option<String> {
    let mut cuts = telephones(text);
    cuts.extend(addresses(text));
    if cuts.is_empty() {
        return None;
    }
    cuts.sort_by_key(|(range, _)| range.start);
    let mut end = 0;
    cuts.retain(|(range, _)| {
        let is_apart = range.start >= end;
        if is_apart {
            end = range.end;
        }
        is_apart
    });
    Some(spans::replace(text, &cuts))
}

/// Telephones of this country (ten digits after `+7`, `7` or `8`, or ten from a 9), and any after a plus. Numbers of
/// towns without their code look like any number and stay.
fn telephones(text: &str) -> Vec<(Range<usize>, String)> {
    let groups = spans::groups(text, 10);
    let mut cuts = Vec::new();
    let mut at = 0;
    while at < groups.len() {
        match telephone(text, &groups[at..]) {
            Some((taken, range)) => {
                let masked = mask_phone(&text[range.clone()]);
                cuts.push((range, masked));
                at += taken;
            }
            None => at += 1,
        }
    }
    cuts
}

fn telephone(text: &str, groups: &[Group]) -> Option<(usize, Range<usize>)> {
    let head = &text[..groups[0].start];
    let has_plus = head.ends_with('+') || head.ends_with("+(");
    let first = text.as_bytes()[groups[0].start];
    let mut total = 0;
    let mut found = None;
    for (index, group) in groups.iter().enumerate() {
        if index > 0 && !joins(&text[groups[index - 1].end..group.start]) {
            break;
        }
        total += group.len();
        let is_telephone = match total {
            11 => matches!(first, b'7' | b'8') || has_plus,
            10 => first == b'9' || has_plus,
            12..=15 => has_plus,
            _ => false,
        };
        if total > 15 {
            break;
        }
        if is_telephone {
            found = Some((index + 1, groups[0].start..group.end));
        }
    }
    found
}

fn joins(between: &str) -> bool {
    !between.is_empty()
        && between.chars().count() <= 3
        && between
            .chars()
            .all(|c| matches!(c, ' ' | '-' | '(' | ')' | '\u{a0}' | '–' | '\u{2011}'))
}

/// E-mail addresses with Latin names; the domain may be Russian.
fn addresses(text: &str) -> Vec<(Range<usize>, String)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let mut cuts = Vec::new();
    for (at, _) in text.match_indices('@') {
        let name = text[..at].chars().rev().take_while(|c| is_name(*c)).count();
        let tail: String = text[at + 1..].chars().take_while(|c| is_domain(*c)).collect();
        let domain = tail.trim_end_matches(['.', '-']);
        if name == 0 || !domain.contains('.') {
            continue;
        }
        let range = at - name..at + 1 + domain.len();
        let masked = mask_email(&text[range.clone()]);
        cuts.push((range, masked));
    }
    cuts
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
    fn a_veil_hides_what_slipped_through() {
        let veiled = veil("row 7: «112-233-445 95», a@b.ru");
        assert!(!veiled.contains("233") && !veiled.contains("a@b"), "{veiled}");
        assert!(matches!(veil("row 7: no number"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[0-9 @.+()\\-а-яa-z]{0,60}") {
            let _ = veil(&text);
        }
    }
}
