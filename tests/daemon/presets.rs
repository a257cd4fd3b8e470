//! The presets of municipalities: each is read, its tests pass, and the daemon runs with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use priem_city::exports::{self, ExportSpec, sample_voice};
use serde_json::Value;

use crate::support::{Installation, priem, text, until};

/// Folders below `config/presets`.
fn presets() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/presets");
    let entries = std::fs::read_dir(folder).expect("presets");
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let path = entry.expect("entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn all_five_founding_municipalities_have_one_and_every_rule_of_it_is_tested() {
    let presets = presets();
    assert_eq!(presets.len(), 5, "{presets:?}");
    for preset in presets {
        let output = priem(&["rules", "check", &preset.join("rules").display().to_string()]);
        let said = text(&output);
        assert!(output.status.success(), "{}:\n{said}", preset.display());
        assert!(!said.contains("Не проверены"), "{}:\n{said}", preset.display());
    }
}

/// An export names the city only; the district stands in the text.
#[tokio::test(flavor = "multi_thread")]
async fn a_district_in_the_text_leads_to_its_territorial_body() {
    const ROWS: [(&str, &str, &str, &str); 5] = [
        (
            "1",
            "На Мотовилихинском на дороге огромная яма",
            "mcu.motovilikhinsky",
            "text_name",
        ),
        (
            "2",
            "На дороге огромная яма, ул. Героев Хасана, 5",
            "mcu.sverdlovsky",
            "text_street",
        ),
        (
            "3",
            "На дороге огромная яма в Индустриальном районе",
            "mcu.industrialny",
            "text_name",
        ),
        (
            "4",
            "На дороге огромная яма в Новых Лядах",
            "mcu.novye-lyady",
            "text_name",
        ),
        ("5", "На дороге огромная яма", "mcu.infrastructure", "municipality"),
    ];
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/presets/perm");
    let settings = std::fs::read_to_string(preset.join("priem.yaml")).expect("settings");
    let mut daemon =
        Installation::new(&(settings + "    settle: 0s\nhttp: { admin: { listen: \"127.0.0.1:{admin}\" } }\n"));
    copy(&preset.join("rules"), &daemon.folder.path().join("rules"));
    let inbox = daemon.folder.path().join("exports/inbox");
    std::fs::create_dir_all(&inbox).expect("a folder");
    let mut export = "Номер инцидента;Дата создания;Текст инцидента;Муниципалитет\n".to_owned();
    for (number, words, ..) in ROWS {
        export += &format!("{number};2026-01-05;{words};Город Пермь\n");
    }
    std::fs::write(inbox.join("export.csv"), export).expect("an export");
    daemon.start().await;
    let out = daemon.folder.path().join("messages.ndjson");
    let mut events: Vec<Value> = Vec::new();
    until("every row is published", async || {
        let lines = std::fs::read_to_string(&out).unwrap_or_default();
        let all = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events = all.filter(|event| event["data"]["routing"]["copy"] != true).collect();
        events.len() == ROWS.len()
    })
    .await;
    daemon.stop().await;
    for (_, words, queue, found_by) in ROWS {
        let event = events.iter().find(|event| event["data"]["body"]["text"] == words);
        let routing = &event.unwrap_or_else(|| panic!("{words} is lost"))["data"]["routing"];
        assert_eq!(routing["queue"], queue, "{words}: {routing}");
        assert_eq!(routing["territory_found_by"], found_by, "{words}: {routing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_runs_with_each_and_sends_every_row_to_a_recipient_of_it() {
    for preset in presets() {
        let name = preset.file_name().expect("a name").display().to_string();
        let settings = std::fs::read_to_string(preset.join("priem.yaml")).expect("settings");
        let mut daemon =
            Installation::new(&(settings + "    settle: 0s\nhttp: { admin: { listen: \"127.0.0.1:{admin}\" } }\n"));
        copy(&preset.join("rules"), &daemon.folder.path().join("rules"));
        let inbox = daemon.folder.path().join("exports/inbox");
        std::fs::create_dir_all(&inbox).expect("a folder");
        let written =
            exports::write(&inbox.join("export.xlsx"), &ExportSpec::new(7, 60), &mut sample_voice).expect("an export");
        daemon.start().await;
        let out = daemon.folder.path().join("messages.ndjson");
        let mut by_id: BTreeMap<String, Value> = BTreeMap::new();
        until("every row is published", async || {
            let lines = std::fs::read_to_string(&out).unwrap_or_default();
            let events = lines
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            by_id = events
                .filter(|event| event["data"]["routing"]["copy"] != true)
                .filter_map(|event| Some((event["id"].as_str()?.to_owned(), event)))
                .collect();
            by_id.len() as u64 == written.good_rows
        })
        .await;
        daemon.stop().await;

        // Routes and the tables beside them.
        let files = std::fs::read_dir(preset.join("rules")).expect("rules");
        let rules: String = files
            .map(|entry| std::fs::read_to_string(entry.expect("entry").path()).expect("text"))
            .collect();
        let queues: BTreeSet<&str> = by_id
            .values()
            .map(|event| event["data"]["routing"]["queue"].as_str().expect("a queue"))
            .collect();
        // Berezniki sends by source, the others by sector too.
        assert!(
            queues.len() > 1 || name == "berezniki",
            "{name}: all went to {queues:?}"
        );
        assert!(queues.iter().all(|queue| rules.contains(queue)), "{name}: {queues:?}");
        assert!(
            by_id
                .values()
                .all(|event| event["data"]["routing"]["recipient"]["role"].is_string()),
            "{name}: a recipient without a role"
        );
    }
}
