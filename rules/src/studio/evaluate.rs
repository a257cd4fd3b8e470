//! Rules against labelled history: how often they decide, how often they are right, and where they are wrong.
//!
//! Figures: *coverage* = decided / rows, *precision* = right / decided, *accuracy* = right / rows. A row is decided when
//! the rules set a sector, and right when that sector is among those its label accepts.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::{history::Labelled, labels::LabelMap, mask};
use crate::RuleSet;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Version of the rules.
    pub rules_version: String,
    /// Rows that count.
    pub rows: usize,
    /// Those for which the rules set a sector.
    pub decided: usize,
    /// Those for which it was an accepted one.
    pub right: usize,
    /// decided / rows.
    pub coverage: f64,
    /// right / decided.
    pub precision: f64,
    /// right / rows.
    pub accuracy: f64,
    /// Rows left out because their label means no sector.
    pub not_counted: usize,
    /// Labels that the map does not know, with their rows; left out.
    pub unknown_labels: BTreeMap<String, usize>,
    /// By sector of the rules.
    pub sectors: Vec<SectorFigures>,
    /// By label of the history.
    pub labels: Vec<LabelFigures>,
    /// Rules that decided, those with most mistakes first.
    pub rules: Vec<RuleFigures>,
    /// Wrong decisions with their texts masked; empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub misses: Vec<Miss>,
}

/// How one sector of the rules did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SectorFigures {
    /// Its id.
    pub sector: String,
    /// Rows the rules gave it.
    pub decided: usize,
    /// Of them right.
    pub right: usize,
    /// right / decided.
    pub precision: f64,
    /// Rows whose label means this sector first of all.
    pub expected: usize,
    /// Of those, rows decided as any sector their label accepts, / expected.
    pub recall: f64,
}

/// Where the rows of one label went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelFigures {
    /// The label.
    pub label: String,
    /// Its rows.
    pub rows: usize,
    /// Of them right.
    pub right: usize,
    /// Rows by decided sector; `none` stands for no decision.
    pub decided_as: BTreeMap<String, usize>,
}

/// How one rule did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleFigures {
    /// The rule that set the sector.
    pub rule: String,
    /// Rows it decided.
    pub decided: usize,
    /// Of them wrong.
    pub wrong: usize,
}

/// A wrong decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Miss {
    /// Row of the file.
    pub row: u64,
    /// Label of the history.
    pub label: String,
    /// What the rules decided; `none` for nothing.
    pub sector: String,
    /// The rule that set it.
    pub rule: String,
    /// Masked beginning of the text.
    pub excerpt: String,
}

/// No decision.
const NONE: &str = "none";

/// Decides every row. `excerpts` is how many wrong decisions to keep with their texts masked.
pub fn evaluate(rules: &RuleSet, history: &[Labelled], labels: &LabelMap, excerpts: usize) -> Evaluation {
    let mut tally = Tally::default();
    for item in history {
        let Some(accepted) = labels.accepted(&item.label) else {
            *tally.unknown.entry(item.label.clone()).or_default() += 1;
            continue;
        };
        if accepted.is_empty() {
            tally.not_counted += 1;
            continue;
        }
        let mut message = super::history::message(&item.text);
        let decision = rules.decide(&mut message, Timestamp::UNIX_EPOCH);
        let sector = decision.main().sector.clone();
        let rule = sector
            .as_ref()
            .and_then(|_| rules.sector_rule(&decision))
            .unwrap_or_default();
        tally.take(item, &accepted, sector, rule, excerpts);
    }
    tally.finish(rules.version())
}

#[derive(Default)]
struct Tally {
    not_counted: usize,
    unknown: BTreeMap<String, usize>,
    rows: usize,
    decided: usize,
    right: usize,
    /// decided, right, expected, found
    sectors: BTreeMap<String, [usize; 4]>,
    labels: BTreeMap<String, LabelFigures>,
    rules: BTreeMap<String, (usize, usize)>,
    misses: Vec<Miss>,
}

impl Tally {
    fn take(&mut self, item: &Labelled, accepted: &[String], sector: Option<String>, rule: &str, excerpts: usize) {
        let right = sector.as_ref().is_some_and(|sector| accepted.contains(sector));
        self.rows += 1;
        self.decided += usize::from(sector.is_some());
        self.right += usize::from(right);
        let expected = self.sectors.entry(accepted[0].clone()).or_default();
        expected[2] += 1;
        expected[3] += usize::from(right);
        if let Some(sector) = &sector {
            let figures = self.sectors.entry(sector.clone()).or_default();
            figures[0] += 1;
            figures[1] += usize::from(right);
            let by_rule = self.rules.entry(rule.to_owned()).or_default();
            by_rule.0 += 1;
            by_rule.1 += usize::from(!right);
        }
        let shown = sector.unwrap_or_else(|| NONE.into());
        let label = self.labels.entry(item.label.clone()).or_insert_with(|| LabelFigures {
            label: item.label.clone(),
            rows: 0,
            right: 0,
            decided_as: BTreeMap::new(),
        });
        label.rows += 1;
        label.right += usize::from(right);
        *label.decided_as.entry(shown.clone()).or_default() += 1;
        if !right && self.misses.len() < excerpts {
            self.misses.push(Miss {
                row: item.row,
                label: item.label.clone(),
                sector: shown,
                rule: rule.to_owned(),
                excerpt: mask::excerpt(&item.text),
            });
        }
    }

    fn finish(self, version: &str) -> Evaluation {
        let mut rules: Vec<RuleFigures> = self
            .rules
            .into_iter()
            .map(|(rule, (decided, wrong))| RuleFigures { rule, decided, wrong })
            .collect();
        rules.sort_by(|a, b| b.wrong.cmp(&a.wrong).then_with(|| a.rule.cmp(&b.rule)));
        let sectors = self.sectors.into_iter().map(|(sector, figures)| SectorFigures {
            sector,
            decided: figures[0],
            right: figures[1],
            precision: share(figures[1], figures[0]),
            expected: figures[2],
            recall: share(figures[3], figures[2]),
        });
        Evaluation {
            rules_version: version.to_owned(),
            rows: self.rows,
            decided: self.decided,
            right: self.right,
            coverage: share(self.decided, self.rows),
            precision: share(self.right, self.decided),
            accuracy: share(self.right, self.rows),
            not_counted: self.not_counted,
            unknown_labels: self.unknown,
            sectors: sectors.collect(),
            labels: self.labels.into_values().collect(),
            rules,
            misses: self.misses,
        }
    }
}

/// A share rounded to four digits; 0 of nothing is 0.
pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0
}

impl Evaluation {
    /// The figures as Russian text.
    pub fn render_ru(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "Сообщений: {}; отрасль определена: {} ({}); верно из них: {} (точность {}); верно из всех: {}",
            self.rows,
            self.decided,
            percent(self.coverage),
            self.right,
            percent(self.precision),
            percent(self.accuracy)
        );
        if self.not_counted > 0 {
            let _ = writeln!(out, "Не считались (метка не означает отрасли): {}", self.not_counted);
        }
        if !self.unknown_labels.is_empty() {
            let list: Vec<String> = self
                .unknown_labels
                .iter()
                .map(|(label, n)| format!("«{label}» ({n})"))
                .collect();
            let _ = writeln!(out, "Меток нет в файле соответствия, не считались: {}", list.join(", "));
        }
        let _ = writeln!(out, "\nПо отраслям (решено, верно, точность; ожидалось, полнота):");
        for sector in &self.sectors {
            let _ = writeln!(
                out,
                "  {:<14} {:>5} {:>5} {:>6}   {:>5} {:>6}",
                sector.sector,
                sector.decided,
                sector.right,
                percent(sector.precision),
                sector.expected,
                percent(sector.recall)
            );
        }
        let _ = writeln!(
            out,
            "\nКуда ушли сообщения каждой метки (всего, верно: отрасль × число):"
        );
        for label in &self.labels {
            let mut split: Vec<(&String, &usize)> = label.decided_as.iter().collect();
            split.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
            let split: Vec<String> = split.iter().map(|(sector, n)| format!("{sector} {n}")).collect();
            let _ = writeln!(
                out,
                "  {:<14} {:>5} {:>5}: {}",
                label.label,
                label.rows,
                label.right,
                split.join(", ")
            );
        }
        let _ = writeln!(out, "\nПравила, которые ошибались чаще (решило, ошиблось):");
        for rule in self.rules.iter().filter(|rule| rule.wrong > 0).take(20) {
            let _ = writeln!(out, "  {:<24} {:>5} {:>5}", rule.rule, rule.decided, rule.wrong);
        }
        for miss in &self.misses {
            let _ = writeln!(
                out,
                "  строка {}: метка «{}», решено «{}» ({}): {}",
                miss.row, miss.label, miss.sector, miss.rule, miss.excerpt
            );
        }
        out
    }
}

/// «82,5 %».
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0).replace('.', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(row: u64, text: &str, label: &str) -> Labelled {
        Labelled {
            row,
            text: text.into(),
            label: label.into(),
        }
    }

    #[test]
    fn figures_follow_their_definitions() {
        let history = [
            labelled(2, "Огромные ямы на дороге", "0"),
            labelled(3, "Огромные ямы на дороге", "9"),
            labelled(4, "Спасибо", "0"),
            labelled(5, "Проверка", "12"),
            labelled(6, "Проверка", "77"),
        ];
        let labels = LabelMap::parse("version: 1\nlabels: { '0': roads, '9': [energy], '12': none }").expect("a map");
        let found = evaluate(&RuleSet::starter(), &history, &labels, 5);
        assert_eq!((found.rows, found.decided, found.right), (3, 2, 1));
        assert!((found.coverage - 0.6667).abs() < 1e-9 && (found.precision - 0.5).abs() < 1e-9);
        assert_eq!((found.not_counted, found.unknown_labels["77"]), (1, 1));
        assert_eq!(found.misses.len(), 2);
        assert_eq!(found.rules[0].rule, "text-roads");
        assert!(found.render_ru().contains("66,7 %"), "{}", found.render_ru());
    }

    #[test]
    fn nothing_is_no_division_by_zero() {
        let found = evaluate(&RuleSet::starter(), &[], &LabelMap::identity(), 0);
        assert_eq!((found.coverage, found.precision), (0.0, 0.0));
    }
}
