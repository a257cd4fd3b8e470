//! As much of PromQL as is needed to find the metrics and labels an expression names.
//!
//! Whether the expression is well-formed is promtool's business.

use std::collections::{BTreeMap, BTreeSet};

use priem::telemetry::metrics::Metrics;

/// Labels Prometheus itself adds when it scrapes.
const SCRAPE_LABELS: [&str; 2] = ["instance", "job"];

/// Series that Prometheus will store, with the labels of each.
pub fn known_series() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut series = BTreeMap::new();
    for (name, kind, labels, _) in Metrics::names() {
        let labels: BTreeSet<&str> = labels.iter().copied().chain(SCRAPE_LABELS).collect();
        if !matches!(kind, "seconds" | "items" | "seconds_by") {
            series.insert(name.to_owned(), labels);
            continue;
        }
        series.insert(format!("{name}_sum"), labels.clone());
        series.insert(format!("{name}_count"), labels.clone());
        series.insert(format!("{name}_bucket"), labels.into_iter().chain(["le"]).collect());
    }
    series
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Every `priem_…` in a text, with the label names of the selector that follows it. Quoted text counts too.
pub fn mentions(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("priem_") {
        if text[..start].chars().next_back().is_some_and(is_name_character) {
            continue;
        }
        let rest = &text[start..];
        let end = rest
            .find(|character| !is_name_character(character))
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        found.push((name, rest.strip_prefix('{').map(selector_labels).unwrap_or_default()));
    }
    found
}

/// Label names of `a="x", b=~"y"}…`.
fn selector_labels(selector: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    let mut rest = selector;
    while let Some((label, value)) = rest.split_once('=') {
        if label.contains('}') {
            break;
        }
        labels.push(label.trim_end_matches('!').trim());
        let Some((_, after)) = value.split_once('"').and_then(|(_, quoted)| quoted.split_once('"')) else {
            break;
        };
        rest = after.trim_start_matches([',', ' ']);
    }
    labels
}

/// Label names in `by (…)`, `on (…)` and the like.
fn grouping_labels(expression: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    for keyword in ["by", "without", "on", "ignoring", "group_left", "group_right"] {
        for (start, _) in expression.match_indices(keyword) {
            let inside_word = expression[..start].chars().next_back().is_some_and(is_name_character);
            let Some(list) = expression[start + keyword.len()..].trim_start().strip_prefix('(') else {
                continue;
            };
            if !inside_word {
                labels.extend(
                    list.split(')')
                        .next()
                        .unwrap()
                        .split(',')
                        .map(str::trim)
                        .filter(|label| !label.is_empty()),
                );
            }
        }
    }
    labels
}

/// Label names in `{{ $labels.x }}` of alerts and `{{x}}` of legends.
fn template_labels(text: &str) -> Vec<&str> {
    text.split("{{")
        .skip(1)
        .filter_map(|rest| rest.split("}}").next())
        .map(str::trim)
        .filter_map(|inside| match inside.strip_prefix('$') {
            Some(variable) => variable.strip_prefix("labels."),
            None => Some(inside),
        })
        .collect()
}

/// Problems of one PromQL expression and of the templates that show its result.
pub fn problems(place: &str, expression: &str, templates: &[&str]) -> Vec<String> {
    let known = known_series();
    let mut problems = Vec::new();
    let mut available: BTreeSet<&str> = SCRAPE_LABELS.into();
    for (name, labels) in mentions(expression) {
        let Some(own) = known.get(name) else {
            problems.push(format!("{place}: `{name}` is not exported"));
            continue;
        };
        available.extend(own);
        let unknown = labels.into_iter().filter(|label| !own.contains(label));
        problems.extend(unknown.map(|label| format!("{place}: `{name}` has no label `{label}`")));
    }
    let shown = templates.iter().flat_map(|template| template_labels(template));
    for label in grouping_labels(expression).into_iter().chain(shown) {
        if !available.contains(label) {
            problems.push(format!("{place}: no metric of the expression has the label `{label}`"));
        }
    }
    problems
}

#[test]
fn the_checks_themselves_notice_mistakes() {
    let wrong = [
        ("priem_no_such_total > 0", ""),
        ("rate(priem_confirm_seconds[5m])", ""),
        (r#"priem_polls_total{conector="x"}"#, ""),
        ("sum by (stream, chanel) (priem_polls_total)", ""),
        ("priem_polls_total", "{{ $labels.queue }}"),
        ("priem_polls_total", "{{queue}}"),
    ];
    for (expression, template) in wrong {
        assert_eq!(
            problems("here", expression, &[template]).len(),
            1,
            "{expression} {template}"
        );
    }
    let right = r#"sum by (le, instance) (rate(priem_delivery_seconds_bucket{connector!="a,b", le=~"1|2"}[5m])) > 1"#;
    assert_eq!(
        problems("here", right, &["{{ $value | humanize1024 }} {{ $labels.instance }}"]),
        Vec::<String>::new()
    );
}
