//! What `priem connectors new` writes: a manifest, or the folder of a connector in Rust. Both pass their tests as they
//! are.

/// A file to be written: its path below the folder, and what is in it.
pub type NewFile = (String, String);

const MANIFEST: &str = include_str!("scaffold.yaml");

/// A manifest to start from; `priem connectors test` finds nothing wrong with it.
pub fn manifest(name: &str) -> String {
    MANIFEST
        .replace("CHANNEL", &name.replace('-', "_"))
        .replace("NAME", name)
}

/// Whether a name can be that of a connector: `a-z`, `0-9`, `-`, from a letter.
pub fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
