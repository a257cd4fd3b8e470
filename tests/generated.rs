//! Files that are made from the code must say what the code says. `PRIEM_UPDATE=1` rewrites them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fmt::Write, path::Path};

use priem::{runtime::registry, settings, telemetry::Metrics};

fn agrees(path: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("PRIEM_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let cure = "rewrite it with PRIEM_UPDATE=1 cargo test -p priem --test generated";
    assert!(
        kept == made,
        "{} does not say what the code says; {cure}",
        path.display()
    );
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

#[test]
fn message_schema() {
    agrees(
        "config/schemas/message.schema.json",
        &pretty(&priem_sdk::message::json_schema()),
    );
}

#[test]
fn config_schema() {
    agrees(
        "config/schemas/config.schema.json",
        &pretty(&settings::json_schema(registry())),
    );
}

#[test]
fn rules_schema() {
    agrees("config/schemas/rules.schema.json", &pretty(&priem_rules::json_schema()));
}

#[test]
fn manifest_schema() {
    agrees(
        "config/schemas/manifest.schema.json",
        &pretty(&priem_connectors::manifest::model::json_schema()),
    );
}

/// The table of helpers in the integrator's guide stands between its own headings.
#[test]
fn helpers_of_manifests() {
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manifest.md")).unwrap();
    let (before, rest) = guide.split_once("<!-- helpers: generated -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of helpers -->").unwrap();
    let mut table = String::from("\n| filter | gives |\n| --- | --- |\n");
    for (name, gives) in priem_connectors::manifest::jq::REFERENCE {
        writeln!(table, "| `{name}` | {} |", gives.replace('|', "\\|")).unwrap();
    }
    let made = format!("{before}<!-- helpers: generated -->\n{table}\n<!-- end of helpers -->{after}");
    agrees("docs/manifest.md", &made);
}

#[test]
fn config_reference() {
    agrees("config/reference.md", &settings::reference::markdown(registry()));
}

#[test]
fn manifest_reference() {
    agrees("config/manifests/reference.md", &settings::reference::manifests());
}

#[test]
fn metrics_reference() {
    let mut text = String::from(
        "# Metrics\n\n<!-- Generated: PRIEM_UPDATE=1 cargo test -p priem --test generated -->\n\n\
         | name | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for (name, kind, labels, help) in Metrics::names() {
        let kind = match kind {
            "counter" | "counters" => "counter",
            "gauge" | "gauges" => "gauge",
            _ => "histogram",
        };
        writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    agrees("docs/metrics.md", &text);
}

/// The commented default is a valid start: as it is, and with every commented line taken in.
#[test]
fn the_default_settings_are_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/priem.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    settings::parse(&text, &path, []).unwrap();
    let taken_in: String = text
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(code) if code.starts_with(|first: char| !first.is_whitespace()) || code.starts_with("  ") => {
                format!("{}{code}\n", &line[..line.len() - line.trim_start().len()])
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = settings::parse(&taken_in, &path, []).unwrap_or_else(|error| panic!("{error}\n{taken_in}"));
    assert_eq!(settings.connectors.len(), 2);
    assert!(settings.amqp.is_some() && settings.http.webhooks.is_some());
}

/// Paths in backticks, as `src/a.rs` or `src/{a,b}.rs`, in the guides of those who change the code.
#[test]
fn paths_named_for_newcomers_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let top: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| format!("{}/", entry.file_name().to_string_lossy()))
        .collect();
    let mut named = 0;
    for guide in ["docs/architecture.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(guide)).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let paths = quoted.filter(|path| top.iter().any(|folder| path.starts_with(folder.as_str())));
        for path in paths.filter(|path| !path.contains([' ', '*', '<']) && !path.contains("NAME")) {
            for path in alternatives(path) {
                named += 1;
                assert!(root.join(&path).exists(), "{guide} names {path}, which is not there");
            }
        }
    }
    assert!(named > 50, "{named}");
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn alternatives(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| {
        let (list, after) = rest.split_once('}')?;
        Some((before, list, after))
    });
    match parts {
        None => vec![path.to_owned()],
        Some((before, list, after)) => list.split(',').map(|one| format!("{before}{one}{after}")).collect(),
    }
}
