//! The conditions of the starter set's text rules as named conditions, for rules of one's own: `include: [themes]`, then
//! `use: text-roads`. Nothing is decided by the part itself.
//!
//! Made from `20-text.yaml`, so that the two never differ. Its word lists get the prefix `theme-`: a set may include
//! `text` and `themes` at once.

use std::{fmt::Write, sync::LazyLock};

/// The rules it is made from.
const SOURCE: &str = include_str!("../../../config/rules/20-text.yaml");
/// Stands before the names of the word lists.
const PREFIX: &str = "theme-";

static THEMES: LazyLock<(String, Vec<Theme>)> = LazyLock::new(|| convert(SOURCE));

/// One named condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// Its name: the id of the starter set's rule.
    pub id: String,
    /// Russian name of that rule.
    pub name: String,
    /// Sector that rule sets.
    pub sector: String,
}

/// The themes that set a sector, in the order of the starter set: of two that hold, the first one counts there.
pub fn themes() -> &'static [Theme] {
    &THEMES.1
}

/// The part as a rule file.
pub(crate) fn text() -> &'static str {
    &THEMES.0
}

/// Word lists with their new names, and the condition of every rule that sets a sector. Relies on the layout of the
/// source, which the tests check: sections at the margin, `- id:` two spaces in, keys of a rule four.
fn convert(source: &str) -> (String, Vec<Theme>) {
    let renamed = source.replace('$', &format!("${PREFIX}"));
    let (mut words, mut conditions) = (String::new(), String::new());
    let mut found = Vec::new();
    for section in renamed.split("\n\n") {
        let mut rule: Option<Theme> = None;
        let mut when = String::new();
        let (mut in_words, mut in_when) = (false, false);
        for line in section.lines() {
            let bare = line.trim_start();
            let depth = line.len() - bare.len();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            if depth == 0 {
                in_words = line.starts_with("words:");
                continue;
            }
            if in_words {
                let _ = writeln!(words, "  {PREFIX}{bare}");
                continue;
            }
            if let Some(id) = line.strip_prefix("  - id: ") {
                rule = Some(Theme {
                    id: id.trim().to_owned(),
                    name: String::new(),
                    sector: String::new(),
                });
                continue;
            }
            let Some(rule) = rule.as_mut() else { continue };
            if depth == 4 {
                in_when = bare.starts_with("when:");
                if in_when {
                    when = bare.trim_start_matches("when:").to_owned();
                    when.push('\n');
                } else if let Some(name) = bare.strip_prefix("name: ") {
                    rule.name = name.trim().to_owned();
                } else if let Some((_, sector)) = bare.split_once("sector: ") {
                    rule.sector = sector.split([',', ' ', '}']).next().unwrap_or_default().to_owned();
                }
            } else if in_when {
                when.push_str(line);
                when.push('\n');
            }
        }
        if let Some(rule) = rule.filter(|rule| !rule.sector.is_empty()) {
            let _ = write!(conditions, "  {}:{when}", rule.id);
            found.push(rule);
        }
    }
    (format!("version: 1\nwords:\n{words}conditions:\n{conditions}"), found)
}

#[cfg(test)]
mod tests {
    use priem_message::{EventType, Kind, Message, MessageData, Regime};

    use super::*;
    use crate::RuleSet;

    /// Rules that stand in the source and set a sector.
    #[test]
    fn every_rule_with_a_sector_becomes_a_condition() {
        let expected = SOURCE
            .split("\ntests:")
            .next()
            .map_or(0, |rules| rules.matches("set: { sector: ").count());
        assert_eq!(themes().len(), expected);
        assert!(themes().iter().all(|theme| !theme.name.is_empty()));
    }

    #[test]
    fn rules_over_the_themes_decide_as_the_starter_set() {
        let mut file = "version: 1\ninclude: [text, themes]\nclassify:\n".to_owned();
        for theme in themes() {
            let _ = writeln!(
                file,
                "  - {{ id: own-{0}, name: Я, when: {{ use: {0} }}, set: {{ tags: [own-{0}] }} }}",
                theme.id
            );
        }
        file.push_str("route: { id: r, name: К, to: { organisation: М }, queue: q }\n");
        let rules = RuleSet::parse(&[("99-own.yaml".into(), file)]).expect("valid with both parts");
        for text in [
            "Огромные ямы на дороге",
            "Машины стоят на газоне, паркуются где хотят",
            "Тротуара нет, на проезжей части ямы, автобус не останавливается",
            "Стая бродячих собак у школы",
            "Второй день моргает светофор",
        ] {
            let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
            data.body.text = text.to_owned();
            let mut message = Message::new(EventType::Received, data);
            let decision = rules.decide(&mut message, jiff::Timestamp::UNIX_EPOCH);
            let matched = &decision.main().matched;
            for theme in themes() {
                let own = matched.contains(&format!("own-{}", theme.id));
                assert_eq!(own, matched.contains(&theme.id), "{text}: {}", theme.id);
            }
        }
    }
}
