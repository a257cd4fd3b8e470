//! Dashboards, alerts, their tests and the runbook speak only of metrics and labels that exist, and of each other.
//!
//! The truth is the table in `src/telemetry/metrics.rs`. A name that is not in it would draw an empty panel or an alert
//! that never fires, and nobody would notice until the night it was needed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod promql;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use priem::telemetry::metrics::Metrics;
use promql::{known_series, mentions, problems};
use serde_json::Value;

/// What the person on duty finds in every section of the runbook.
const RUNBOOK_PARTS: [&str; 4] = [
    "**Что случилось.**",
    "**Чем грозит.**",
    "**Что проверить.**",
    "**Как лечить.**",
];

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn yaml(relative: &str) -> Value {
    priem_yaml::from_str(&read(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn files_in_dashboards(ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path("dashboards"))
        .unwrap()
        .map(|entry| format!("dashboards/{}", entry.unwrap().file_name().into_string().unwrap()))
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no dashboards/*{ending}");
    names
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list_of<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn alerts() -> Vec<Value> {
    let rules: Vec<Value> = list_of(&yaml("dashboards/alerts.yaml"), "groups")
        .iter()
        .flat_map(|group| list_of(group, "rules").to_vec())
        .collect();
    assert!(!rules.is_empty());
    rules
}

#[test]
fn boards_use_only_metrics_that_exist() {
    for file in files_in_dashboards(".json") {
        let board: Value = serde_json::from_str(&read(&file)).unwrap();
        let mut found = Vec::new();
        for panel in list_of(&board, "panels") {
            for target in list_of(panel, "targets") {
                let place = format!("{file}: {}", text_of(panel, "title"));
                let expression = text_of(target, "expr");
                assert!(
                    !mentions(expression).is_empty(),
                    "{place}: no metric of ours in `{expression}`"
                );
                found.extend(problems(
                    &place,
                    expression,
                    &[&text_of(target, "legendFormat").replace("__auto", "")],
                ));
            }
        }
        for variable in list_of(&board["templating"], "list") {
            let definition = text_of(variable, "definition");
            found.extend(problems(
                &format!("{file}: variable {}", text_of(variable, "name")),
                definition,
                &[],
            ));
        }
        for annotation in list_of(&board["annotations"], "list") {
            found.extend(problems(
                &format!("{file}: annotation"),
                text_of(annotation, "expr"),
                &[],
            ));
        }
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn boards_have_the_shape_grafana_10_provisions() {
    for file in files_in_dashboards(".json") {
        let board: Value = serde_json::from_str(&read(&file)).unwrap();
        assert!(
            board["schemaVersion"].as_u64().unwrap() >= 38,
            "{file}: schemaVersion of Grafana 10"
        );
        assert!(
            board.get("id").is_none(),
            "{file}: a provisioned board must not carry an id"
        );
        assert!(
            !text_of(&board, "uid").is_empty() && !text_of(&board, "title").is_empty(),
            "{file}: uid and title"
        );
        let variables = list_of(&board["templating"], "list");
        assert!(
            variables
                .iter()
                .any(|variable| variable["type"] == "datasource" && variable["name"] == "datasource"),
            "{file}: a variable for the data source"
        );
        let mut ids = BTreeSet::new();
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for panel in list_of(&board, "panels") {
            let title = text_of(panel, "title").to_owned();
            assert!(
                !title.is_empty() && ids.insert(panel["id"].as_u64().unwrap()),
                "{file}: {title}: title and own id"
            );
            let kind = text_of(panel, "type");
            assert!(
                ["row", "timeseries", "stat", "table"].contains(&kind),
                "{file}: {title}: type {kind}"
            );
            if kind != "row" {
                assert!(
                    !text_of(panel, "description").is_empty(),
                    "{file}: {title}: a description"
                );
                let sources = list_of(panel, "targets").iter().chain([panel]);
                for source in sources {
                    assert_eq!(source["datasource"]["uid"], "${datasource}", "{file}: {title}");
                }
            }
            let [x, y, width, height] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(
                width > 0 && height > 0 && x + width <= 24,
                "{file}: {title}: outside of 24 columns"
            );
            for cell in (x..x + width).flat_map(|column| (y..y + height).map(move |line| (column, line))) {
                if let Some(other) = taken.insert(cell, title.clone()) {
                    panic!("{file}: «{title}» lies on «{other}»");
                }
            }
        }
    }
}

#[test]
fn alerts_use_only_metrics_that_exist_and_say_what_to_do() {
    let runbook = read("docs/runbook.md");
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = text_of(&alert, "alert").to_owned();
        let annotations = &alert["annotations"];
        let templates = [text_of(annotations, "summary"), text_of(annotations, "description")];
        found.extend(problems(&name, text_of(&alert, "expr"), &templates));
        if !["critical", "warning", "info"].contains(&text_of(&alert["labels"], "severity")) {
            found.push(format!("{name}: severity must be critical, warning or info"));
        }
        if templates.contains(&"") {
            found.push(format!(
                "{name}: summary and description are for the person who is woken"
            ));
        }
        if text_of(annotations, "runbook") != format!("docs/runbook.md#{name}") {
            found.push(format!("{name}: runbook must be docs/runbook.md#{name}"));
        }
        let section = runbook
            .split(&format!("<a id=\"{name}\"></a>"))
            .nth(1)
            .unwrap_or_default();
        let section = section.split("<a id=").next().unwrap_or_default();
        for part in RUNBOOK_PARTS {
            if !section.contains(part) {
                found.push(format!("{name}: its section in docs/runbook.md lacks {part}"));
            }
        }
        if !names.insert(name.clone()) {
            found.push(format!("{name}: two alerts of one name"));
        }
    }
    let sections = runbook
        .split("<a id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    found.extend(
        sections
            .filter(|section| !names.contains(*section))
            .map(|section| format!("{section}: a section without alert")),
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_alert_is_tested_to_fire_and_to_stay_silent() {
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    let mut found = Vec::new();
    for file in files_in_dashboards(".test.yaml") {
        for case in list_of(&yaml(&file), "tests") {
            for series in list_of(case, "input_series") {
                found.extend(problems(
                    &format!("{file}: {}", text_of(case, "name")),
                    text_of(series, "series"),
                    &[],
                ));
            }
            for check in list_of(case, "alert_rule_test") {
                let outcome = if list_of(check, "exp_alerts").is_empty() {
                    &mut silent
                } else {
                    &mut fires
                };
                outcome.insert(text_of(check, "alertname").to_owned());
            }
            for check in list_of(case, "promql_expr_test") {
                let alert = text_of(check, "expr")
                    .split("alertname=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                let outcome = if list_of(check, "exp_samples").is_empty() {
                    &mut silent
                } else {
                    &mut fires
                };
                outcome.insert(alert.unwrap_or_default().to_owned());
            }
        }
    }
    let names: BTreeSet<String> = alerts()
        .iter()
        .map(|alert| text_of(alert, "alert").to_owned())
        .collect();
    found.extend(
        names
            .difference(&fires)
            .map(|name| format!("{name}: no test in which it fires")),
    );
    found.extend(
        names
            .difference(&silent)
            .map(|name| format!("{name}: no test in which it stays silent")),
    );
    found.extend(
        fires
            .union(&silent)
            .filter(|name| !names.contains(*name))
            .map(|name| format!("{name}: no such alert")),
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn guides_name_only_metrics_that_exist() {
    let known = known_series();
    let plain: BTreeSet<&str> = Metrics::names().into_iter().map(|(name, ..)| name).collect();
    for file in ["docs/runbook.md", "docs/operations.md"] {
        for (name, _) in mentions(&read(file)) {
            assert!(
                plain.contains(name) || known.contains_key(name),
                "{file}: `{name}` is not exported"
            );
        }
    }
}

/// Sentences in string literals of all Rust files below a folder. A literal without a space is a label, not a log line.
fn sentences(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            found.extend(sentences(&entry));
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&entry).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let literals = code.flat_map(|line| line.split('"').skip(1).step_by(2));
            found.extend(literals.filter(|literal| literal.contains(' ')).map(ToOwned::to_owned));
        }
    }
    found
}

/// Words the runbook greps logs for: what follows `grep`, quoted or one word.
fn grepped(guide: &str) -> BTreeSet<String> {
    let flat = guide.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.split("| grep ")
        .skip(1)
        .map(|rest| match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split('\'').next().unwrap().to_owned(),
            None => rest.split([' ', '`']).next().unwrap().to_owned(),
        })
        .collect()
}

#[test]
fn the_runbook_greps_only_for_words_that_are_logged() {
    let mut logged = sentences(&path("src"));
    logged.extend(sentences(&path("connectors")));
    let mut words = grepped(&read("docs/runbook.md"));
    assert!(words.len() >= 4, "{words:?}");
    // What the runbook says about an error inside `poll failed`.
    words.insert("temporary trouble".into());
    words.retain(|word| !logged.iter().any(|sentence| sentence.contains(word.as_str())));
    assert!(words.is_empty(), "no log line of src/ or connectors/ holds {words:?}");
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let rules = path("dashboards/alerts.yaml");
    let tests: Vec<PathBuf> = files_in_dashboards(".test.yaml")
        .iter()
        .map(|file| path(file))
        .collect();
    for (verb, files) in [("check", vec![rules]), ("test", tests)] {
        let output = match Command::new("promtool").args([verb, "rules"]).args(files).output() {
            Ok(output) => output,
            Err(error) if std::env::var_os("PRIEM_TEST_REQUIRE_TOOLS").is_none() => {
                eprintln!("skipped: promtool does not run here ({error}); scripts/test.sh installs it");
                return;
            }
            Err(error) => panic!("promtool is required by PRIEM_TEST_REQUIRE_TOOLS and does not run: {error}"),
        };
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "promtool {verb} rules:\n{}",
            String::from_utf8_lossy(&said)
        );
    }
}
