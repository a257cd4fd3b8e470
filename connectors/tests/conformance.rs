//! Every connector of the registry keeps the contract, and every connector's folder is in the registry.

use std::{collections::BTreeSet, path::Path};

use priem_connectors::CONNECTORS;
use priem_sdk::conformance;

/// Folders beside the connectors that are none.
const OTHER_FOLDERS: &[&str] = &["sdk", "tests"];

#[tokio::test]
async fn every_connector_keeps_the_contract() {
    let mut failures = String::new();
    for kind in CONNECTORS {
        let report = conformance::run(kind).await;
        println!("{report}");
        if report.failed() {
            failures.push_str(&report.to_string());
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn the_list_and_the_folders_agree() {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the folder of this crate");
    let folders: BTreeSet<String> = entries
        .map(|entry| entry.expect("a readable entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !OTHER_FOLDERS.contains(&name.as_str()))
        .collect();
    let listed: BTreeSet<String> = CONNECTORS.iter().map(|kind| kind.name.to_owned()).collect();
    assert_eq!(listed.len(), CONNECTORS.len(), "a connector is listed twice");
    assert_eq!(
        folders, listed,
        "each folder needs its line in connectors/lib.rs, each line its folder"
    );
}
