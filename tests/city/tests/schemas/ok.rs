//! Одноклассники publish no schema of their payloads: there is only a list of error codes. So the simulator's errors are
//! compared, code by code with the platform's word for each; its payloads rest on the examples of the API documentation
//! alone, and a pilot must confirm them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{folder, read_json, settle};

/// Every `error(code, "WORD …")` of the simulator.
fn said() -> BTreeSet<(i64, String)> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ok");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(sources).expect("the simulator's sources") {
        let text = std::fs::read_to_string(entry.expect("entry").path()).expect("a source");
        for call in text.split("error(").skip(1) {
            let Some((code, rest)) = call.split_once(", \"") else {
                continue;
            };
            let (Ok(code), Some((words, _))) = (code.parse(), rest.split_once('"')) else {
                continue;
            };
            let word = words.split([' ', ':']).next().unwrap_or_default();
            found.insert((code, word.to_owned()));
        }
    }
    found
}

#[test]
fn the_errors_of_ok_are_those_of_the_platform() {
    let said = said();
    assert!(said.len() >= 10, "the errors of the simulator are not found: {said:?}");
    let Some(folder) = folder("ok") else { return };
    let list = read_json(&folder.join("error-codes.json"));
    let errors = list["errors"].as_array().expect("a list of errors");
    let label = |error: &serde_json::Value| Some((error["code"].as_i64()?, error["label"].as_str()?.to_owned()));
    let known: BTreeMap<i64, String> = errors.iter().filter_map(label).collect();
    let wrong = said
        .iter()
        .filter(|(code, word)| known.get(code) != Some(word))
        .map(|(code, word)| format!("{code} {word}, listed: {:?}", known.get(code)));
    settle(wrong.collect(), &[]);
}
