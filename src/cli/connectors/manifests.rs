//! `priem connectors test|new`: what an integrator works with.

use std::path::{Path, PathBuf};

use anyhow::Context;
use priem_connectors::manifest::{LoadError, load, scaffold};
use serde_json::json;

use crate::cli::{DONE, ENVIRONMENT, FINDING, USAGE, output};

const AFTER_TEST: &str = "\
Examples:
  priem connectors test manifests/portal.yaml
  priem connectors test manifests/*.yaml --json

Exit codes: 0 all fixtures hold, 1 one fails, 2 a manifest is wrong, 3 a file can't be read.";

const AFTER_NEW: &str = "\
Examples:
  priem connectors new region-portal                 writes region-portal.yaml
  priem connectors new region-portal --dir manifests writes manifests/region-portal.yaml
  priem connectors new region-chat --rust            writes connectors/region_chat/ (from the root of the sources)

Nothing that exists is written over.";

/// Arguments of `priem connectors test`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_TEST)]
pub struct TestArgs {
    /// Manifest files
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// JSON instead of text, with the messages that came
    #[arg(long)]
    json: bool,
}

/// Arguments of `priem connectors new`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_NEW)]
pub struct NewArgs {
    /// Name of the channel: a-z, 0-9 and -
    name: String,
    /// A folder with a connector in Rust instead of a manifest
    #[arg(long)]
    rust: bool,
    /// Folder to write into [default: the working directory; `connectors` with --rust]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the fixtures and prints what came of them.
pub fn test(arguments: &TestArgs) -> anyhow::Result<u8> {
    let mut code = DONE;
    let mut results = Vec::new();
    for path in &arguments.manifests {
        let (result, found) = match load(path) {
            Ok(loaded) => {
                let outcome = loaded.prove();
                let found = if outcome.failed() == 0 { DONE } else { FINDING };
                if !arguments.json {
                    output::lines(&outcome.render())?;
                }
                (json!({"file": path, "outcome": outcome, "ok": found == DONE}), found)
            }
            Err(error) => {
                if !arguments.json {
                    output::say!("error: {error}");
                }
                let found = match error {
                    LoadError::Unreadable(_) => ENVIRONMENT,
                    LoadError::Wrong(_) | LoadError::Entry(_) => USAGE,
                };
                (json!({"file": path, "error": error.to_string(), "ok": false}), found)
            }
        };
        results.push(result);
        code = code.max(found);
    }
    if arguments.json {
        output::json(&results)?;
    }
    Ok(code)
}

/// Writes what there is to start from.
pub fn new(arguments: &NewArgs) -> anyhow::Result<u8> {
    let name = arguments.name.as_str();
    if !scaffold::is_name(name) {
        output::say!("error: `{name}` is no name: use a-z, 0-9 and -, beginning with a letter, 40 characters at most");
        return Ok(USAGE);
    }
    let (folder, files) = if arguments.rust {
        let connectors = arguments.dir.clone().unwrap_or_else(|| "connectors".into());
        if !connectors.is_dir() {
            let shown = connectors.display();
            output::say!("error: no folder {shown}: run it in the root of the sources, or name the folder with --dir");
            return Ok(ENVIRONMENT);
        }
        let folder = connectors.join(name.replace('-', "_"));
        let files = scaffold::rust(name);
        (
            folder,
            files.into_iter().map(|(file, text)| (file.to_owned(), text)).collect(),
        )
    } else {
        let folder = arguments.dir.clone().unwrap_or_default();
        (folder, vec![(format!("{name}.yaml"), scaffold::manifest(name))])
    };
    write(&folder, &files, name, arguments.rust)
}

fn write(folder: &Path, files: &[(String, String)], name: &str, rust: bool) -> anyhow::Result<u8> {
    let standing = files
        .iter()
        .map(|(file, _)| folder.join(file))
        .find(|path| path.exists());
    if let Some(path) = standing {
        output::say!("error: {} exists; nothing was written", path.display());
        return Ok(ENVIRONMENT);
    }
    if !folder.as_os_str().is_empty() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut said = String::new();
    for (file, text) in files {
        let path = folder.join(file);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        said.push_str(&format!("wrote {}\n", path.display()));
    }
    said.push_str(&if rust {
        let module = name.replace('-', "_");
        format!(
            "next: add `pub mod {module};` and `{module}::TYPE` to connectors/lib.rs, then\n      \
             cargo test -p priem-connectors --test conformance"
        )
    } else {
        let path = folder.join(format!("{name}.yaml"));
        format!("next: priem connectors test {}", path.display())
    });
    output::lines(&said)?;
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_in(folder: &Path, name: &str, rust: bool) -> u8 {
        new(&NewArgs {
            name: name.into(),
            rust,
            dir: Some(folder.to_owned()),
        })
        .expect("runs")
    }

    fn test_of(path: PathBuf) -> u8 {
        test(&TestArgs {
            manifests: vec![path],
            json: false,
        })
        .expect("runs")
    }

    #[test]
    fn what_new_writes_test_accepts() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(new_in(folder.path(), "region-7", false), DONE);
        let path = folder.path().join("region-7.yaml");
        assert_eq!(test_of(path.clone()), DONE);
        assert_eq!(new_in(folder.path(), "region-7", false), ENVIRONMENT);
        let text = std::fs::read_to_string(&path).expect("written");
        std::fs::write(&path, text.replace("status: WORK\n", "status: NEW\n")).expect("write");
        assert_eq!(test_of(path.clone()), FINDING);
        std::fs::write(&path, text.replace("message:", "mesage:")).expect("write");
        assert_eq!(test_of(path), USAGE);
        assert_eq!(test_of(folder.path().join("absent.yaml")), ENVIRONMENT);
        assert_eq!(new_in(folder.path(), "Регион", false), USAGE);
    }

    #[test]
    fn a_connector_in_rust_is_a_whole_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(new_in(folder.path(), "region-chat", true), DONE);
        assert!(folder.path().join("region_chat/mod.rs").exists());
        assert!(folder.path().join("region_chat/conformance.rs").exists());
        assert_eq!(new_in(&folder.path().join("absent"), "region-chat", true), ENVIRONMENT);
    }
}
