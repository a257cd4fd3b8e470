//! Manifests as files: errors with their place, fixtures that hold and that do not, and every manifest we ship.

use std::path::{Path, PathBuf};

use priem_sdk::{BuildContext, Connector, contract::ConnectorId};
use serde_json::{Value, json};

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("x.yaml");
    std::fs::write(&path, text).expect("write");
    path
}

/// The error of a manifest, without the folder in front.
fn wrong(text: &str) -> String {
    let folder = folder();
    let path = written(folder.path(), text);
    let error = load(&path).expect_err("wrong").to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

/// A manifest with some of its lines changed.
fn changed(from: &str, to: &str) -> String {
    let text = scaffold::manifest("portal");
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn what_is_written_for_a_start_holds() {
    let folder = folder();
    let loaded = load(&written(folder.path(), &scaffold::manifest("region-7"))).expect("valid");
    let outcome = loaded.prove();
    assert_eq!(outcome.failed(), 0, "{}", outcome.render());
    assert!(outcome.fixtures.len() >= 4);
    assert_eq!(
        (loaded.manifest.name.as_str(), loaded.manifest.channel.as_str()),
        ("region-7", "region_7")
    );
}

#[test]
fn every_manifest_we_ship_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/manifests");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of manifests") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let loaded = load(&path).unwrap_or_else(|error| panic!("{error}"));
        let outcome = loaded.prove();
        assert!(
            outcome.failed() == 0 && !outcome.fixtures.is_empty(),
            "{}",
            outcome.render()
        );
        if let Some(poll) = &loaded.manifest.poll {
            assert!(
                poll.base_url.is_empty(),
                "{}: a shipped manifest points at a host",
                path.display()
            );
        }
        seen += 1;
    }
    assert!(seen >= 1);
}

/// Number of the first line that holds this.
fn line(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).expect(part) + 1
}

#[test]
fn errors_name_file_line_key_and_cure() {
    for (from, to, problem) in [
        (
            "message: |",
            "mesage: |",
            "unknown key `mesage`, did you mean `message`?",
        ),
        ("  every: 1m", "  evry: 1m", "unknown key `evry`, did you mean `every`?"),
        (
            "id: .id\n",
            "id: .id |\n",
            "id: line 1, column 6: expected term, found the end",
        ),
        ("version: 1\n", "version: 2\n", "version: this build reads version 1"),
        (
            "channel: portal\n",
            "channel: Portal X\n",
            "channel: use a-z, 0-9 and _, 64 characters at most",
        ),
    ] {
        let text = changed(from, to);
        assert_eq!(
            wrong(&text),
            format!("x.yaml:{}: {problem}", line(&text, to.trim_end()))
        );
    }
    let text = changed("(.text | html_text)", "(.text | html_txt)");
    let inside = line(&text, "html_txt") - line(&text, "message: |");
    assert_eq!(
        wrong(&text),
        format!(
            "x.yaml:{}: message: line {inside}: unknown filter `html_txt`, did you mean `html_text`?",
            line(&text, "html_txt")
        )
    );
    assert!(wrong("version: 1\nname: x\nchannel: x\nid: .id\nmessage: .\n").contains("needs `poll:`"));
    assert!(wrong("").starts_with("x.yaml"));
    assert!(wrong("[1, 2").starts_with("x.yaml"));
    assert!(wrong(&changed("id: .id\n", "")).contains("id"));
    let folder = folder();
    let error = load(&folder.path().join("absent.yaml"))
        .expect_err("absent")
        .to_string();
    assert!(error.contains("absent.yaml"), "{error}");
}

#[test]
fn mistakes_that_would_show_late_or_never_are_told_at_once() {
    for (from, to, problem) in [
        (
            "format: json ",
            "format: jsn ",
            "format: unknown value `jsn`, did you mean `json`? Known: json, xml, form, csv",
        ),
        (
            "status(\"status\"; .status)",
            "status(\"stats\"; .status)",
            "there is no table `stats`, did you mean `status`?",
        ),
        (
            "  items: if type == \"array\" then .[] else . end",
            "  items: if type == \"array\" then .[] else .",
            "webhook.items: line 1, column 35: expected end",
        ),
        (
            "  bearer: { credential: portal-hook-token }",
            "  reply: { status: 500 }",
            "webhook.reply.status: must be 2xx",
        ),
        (
            "tables:\n  status:\n    NEW: new\n    WORK: in_work\n    DONE: answered\n",
            "tables: [ new ]\n",
            "tables: expected keys with values (`key: value`) here",
        ),
        (
            "    WORK: in_work\n",
            "    WORK: in_wrok\n",
            "tables.status.WORK: unknown value `in_wrok`, did you mean `in_work`?",
        ),
        ("  every: 1m", "   every: 1m", "look at the indentation"),
    ] {
        let text = changed(from, to);
        let said = wrong(&text);
        let place = format!(
            "x.yaml:{}: ",
            line(&text, to.trim_end().lines().next().expect("a line"))
        );
        assert!(said.contains(problem) && said.starts_with("x.yaml:"), "{to}: {said}");
        if !to.contains("every") {
            assert!(said.starts_with(&place), "{to}: {said}");
        }
        assert!(!said.contains("at line"), "{said}");
    }
}

#[test]
fn a_fixture_that_fails_says_what_is_different() {
    let text = changed("      status: WORK", "      status: NEW")
        .replace("text: Во дворе яма }", "text: Во дворе яма, html: x }")
        .replace("expect_error: id", "expect_error: nobody says this")
        .replace("ids: [ \"103\", \"104\" ]", "ids: [ \"103\" ]");
    let folder = folder();
    let outcome = load(&written(folder.path(), &text)).expect("valid").prove();
    assert_eq!(outcome.failed(), 3, "{}", outcome.render());
    let said = outcome.render();
    for line in [
        "FAILED  a whole record",
        "expect[0].status.common\n            - \"in_work\"\n            + \"new\"",
        "expect[0].body.html\n            - \"x\"\n",
        "ids\n            - [\"103\"]\n            + [\"103\",\"104\"]",
        "expect_error\n            - \"nobody says this\"\n            + \"no_id: id: must be a text or a number\"",
        "3 of 4 fixtures fail",
    ] {
        assert!(said.contains(line), "{line}\n--\n{said}");
    }
}

#[test]
fn exact_fixtures_look_at_everything() {
    let fixture = |exact: bool| {
        format!(
            "version: 1\nname: x\nchannel: x\nwebhook: {{ path: {{ env: X }} }}\nid: .id\nmessage: '{{body: {{text: .t}}}}'\n\
             fixtures:\n  - {{ name: a, record: {{ id: 1, t: a }}, exact: {exact}, expect: [ {{ body: {{ text: a }} }} ] }}\n"
        )
    };
    let folder = folder();
    let failed = |text: &str| load(&written(folder.path(), text)).expect("valid").prove().failed();
    assert_eq!((failed(&fixture(false)), failed(&fixture(true))), (0, 1));
}

fn built(entry: Value, folder: &Path) -> Result<Arc<dyn Connector>, String> {
    let context = BuildContext {
        id: ConnectorId::new("portal"),
        base_dir: folder.to_owned(),
        public_url: None,
    };
    (TYPE.build)(entry, &context).map_err(|error| error.to_string())
}

#[test]
fn the_entry_says_what_is_missing() {
    let folder = folder();
    written(folder.path(), &scaffold::manifest("portal"));
    for name in ["token", "path", "hook"] {
        std::fs::write(
            folder.path().join(name),
            "0123456789abcdef0123456789abcdef0123456789abcdef",
        )
        .expect("write");
    }
    let error = built(json!({"manifest": "x.yaml"}), folder.path())
        .err()
        .expect("no address");
    assert!(
        error.starts_with("base_url: the profile `portal` has no address yet"),
        "{error}"
    );
    let error = built(json!({"manifst": "x.yaml"}), folder.path())
        .err()
        .expect("misspelt");
    assert!(error.contains("did you mean `manifest`"), "{error}");
    let base = json!({"manifest": "x.yaml", "base_url": "https://portal.example.ru"});
    let error = built(base.clone(), folder.path()).err().expect("no secret");
    assert!(error.starts_with("poll.auth"), "{error}");
    let mut entry = base;
    entry["poll"] = json!({"auth": {"token": {"file": "token"}}});
    entry["webhook"] = json!({"path": {"file": "path"}, "bearer": {"file": "hook"}});
    let connector = built(entry.clone(), folder.path()).expect("complete");
    let streams: Vec<String> = connector.streams().iter().map(Stream::id).collect();
    assert_eq!(streams, ["list", "webhook"]);
    entry["poll"]["evry"] = json!("1m");
    let error = built(entry, folder.path()).err().expect("misspelt");
    assert!(error.contains("unknown key `evry`, did you mean `every`"), "{error}");
}
