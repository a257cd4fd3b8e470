//! What `priem connectors new` writes: a manifest, or the folder of a connector in Rust. Both pass their tests as they
//! are: the manifest is the conformance subject of this connector, the Rust connector is compiled and examined in the
//! tests of this crate.

/// A file to be written: its name, and what is in it.
pub type NewFile = (&'static str, String);

const MANIFEST: &str = include_str!("scaffold/manifest.yaml");

macro_rules! rust_files {
    ($($name:literal),+) => {
        [$(($name, include_str!(concat!("scaffold/newchannel/", $name)))),+]
    };
}

const RUST: [(&str, &str); 7] = rust_files![
    "mod.rs",
    "config.rs",
    "api.rs",
    "normalize.rs",
    "conformance.rs",
    "example.yaml",
    "README.md"
];

/// A manifest to start from; `priem connectors test` finds nothing wrong with it.
pub fn manifest(name: &str) -> String {
    MANIFEST
        .replace("CHANNEL", &name.replace('-', "_"))
        .replace("NAME", name)
}

/// The files of a connector in Rust. The folder's name is a module's name: `-` becomes `_`.
pub fn rust(name: &str) -> Vec<NewFile> {
    let module = name.replace('-', "_");
    let type_name: String = name.split('-').map(capitalised).collect();
    RUST.iter()
        .map(|(file, text)| {
            (
                *file,
                text.replace("Newchannel", &type_name).replace("newchannel", &module),
            )
        })
        .collect()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Whether a name can be that of a connector: `a-z`, `0-9`, `-`, from a letter, 40 characters at most.
pub fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
#[path = "scaffold/newchannel/mod.rs"]
mod newchannel;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_connector_in_rust_keeps_the_contract() {
        let report = priem_sdk::conformance::run(&newchannel::TYPE).await;
        assert!(!report.failed(), "{report}");
    }

    #[test]
    fn names_are_put_in_everywhere() {
        for (file, text) in rust("region-7") {
            assert!(!text.to_lowercase().contains("newchannel"), "{file}");
        }
        let (_, module) = rust("region-7").swap_remove(0);
        assert!(module.contains("struct Region7 {"), "{module}");
        assert!(is_name("region-7") && !is_name("7") && !is_name("Регион") && !is_name("a-") && !is_name(""));
    }
}
