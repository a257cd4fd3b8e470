//! Every example configuration is accepted as it stands, with secrets where systemd would put them, and so is every
//! piece of settings or rules that a guide shows.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use priem::settings;
use priem_rules::RuleSet;

/// The names of credentials, one set everywhere: what an operator copies from one place fits the other.
const SECRETS: &[(&str, &str)] = &[
    ("amqp-password", "planted"),
    (
        "privacy-hash-key",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ),
    (
        "privacy-encrypt-key",
        "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
    ),
    ("telegram-token", "7000001:AAplantedPlantedPlantedPlantedPlante"),
    ("telegram-hook-path", "0123456789abcdef0123456789abcdef0123456789abcdef"),
    (
        "telegram-hook-secret",
        "abcdef0123456789abcdef0123456789abcdef0123456789",
    ),
    ("ok-group-token", "planted-group-token"),
    ("ok-hook-path", "0123456789abcdef0123456789abcdef0123456789abcdef"),
    ("ok-app-secret", "PLANTEDAPPSECRET"),
    ("ok-access-token", "planted-access-token"),
    ("ok-session-secret", "planted-session-secret"),
    ("ok-refresh-token", "planted-refresh-token"),
    ("vk-community", "vk1.a.plantedPlantedPlantedPlantedPlanted"),
    ("vk-service", "plantedplantedplantedplantedplanted"),
    ("vk-callback", "planted-callback-secret"),
    ("max-token", "plantedPlantedPlantedPlantedPlanted"),
    ("max-hook-path", "23456789abcdef0123456789abcdef0123456789abcdef01"),
    ("pos-client-id", "planted-client"),
    ("pos-client-secret", "planted-client-secret"),
    ("pos-username", "planted-user"),
    ("pos-password", "planted-password-of-pos"),
    ("smev-hook-path", "456789abcdef0123456789abcdef0123456789abcdef0123"),
    ("smev-hook-secret", "ef0123456789abcdef0123456789abcdef0123456789abcd"),
    ("uv-hook-path", "56789abcdef0123456789abcdef0123456789abcdef01234"),
    ("uv-hook-secret", "planteduv56789abcdef0123456789abcdef012"),
    ("mss-hook-path", "6789abcdef0123456789abcdef0123456789abcdef012345"),
    ("mss-hook-secret", "plantedmss6789abcdef0123456789abcdef0123"),
    ("votes-hook-path", "789abcdef0123456789abcdef0123456789abcdef0123456"),
    ("votes-hook-secret", "plantedvotes789abcdef0123456789abcdef01234"),
    ("portal-token", "planted-portal-token"),
    ("portal-hook-path", "3456789abcdef0123456789abcdef0123456789abcdef012"),
    ("portal-hook-secret", "def0123456789abcdef0123456789abcdef0123456789abc"),
    ("max-hook-secret", "cdef0123456789abcdef0123456789abcdef0123456789ab"),
];

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &Path) -> String {
    std::fs::read_to_string(relative).unwrap_or_else(|error| panic!("{}: {error}", relative.display()))
}

/// Paths of files with an ending in a folder and, when asked, in its folders.
fn files_in(folder: &str, ending: &str, deep: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path(folder)).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() && deep {
            found.extend(files_in(entry.to_str().unwrap(), ending, false));
        } else if entry.to_str().unwrap().ends_with(ending) {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// The guides in which settings are shown.
fn guides() -> Vec<PathBuf> {
    let mut guides = vec![path("README.md")];
    guides.extend(files_in("docs", ".md", false));
    guides.extend(files_in("connectors", "README.md", true));
    assert!(guides.len() >= 7, "{guides:?}");
    guides
}

/// The ```yaml blocks of a guide with their lines, without the indentation of a list they stand in.
fn yaml_blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() != "```yaml" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let block: String = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != "```")
            .map(|line| format!("{}\n", line.get(indent..).unwrap_or_default()))
            .collect();
        blocks.push((number + 1, block));
    }
    blocks
}

#[test]
fn settings_and_rules_in_guides_are_accepted() {
    let keys = [
        "version:",
        "connectors:",
        "journal:",
        "http:",
        "amqp:",
        "ndjson:",
        "rules:",
        "log:",
    ];
    let (mut shown, mut ruled) = (0, 0);
    for guide in guides() {
        for (line, block) in yaml_blocks(&read(&guide)) {
            let place = format!("{}:{line}", guide.display());
            if block.lines().any(|line| line == "classify:") {
                let folder = tempfile::tempdir().unwrap();
                std::fs::write(folder.path().join("shown.yaml"), &block).unwrap();
                let rules = RuleSet::load(folder.path()).unwrap_or_else(|error| panic!("{place}: {error}"));
                assert!(rules.run_tests().passed(), "{place}: its tests fail");
                ruled += 1;
            } else if keys.iter().any(|key| block.starts_with(key)) {
                settings::parse(&block, &guide, []).unwrap_or_else(|error| panic!("block at {place}: {error}"));
                shown += 1;
            }
        }
    }
    assert!(shown >= 7 && ruled >= 1, "{shown} blocks of settings, {ruled} of rules");
}

#[test]
fn credentials_are_called_the_same_everywhere() {
    let known: BTreeSet<&str> = SECRETS.iter().map(|(name, _)| *name).collect();
    let mut sources = guides();
    sources.push(path("config/priem.yaml"));
    sources.extend(files_in("config/examples", ".yaml", false));
    sources.extend(files_in("config/manifests", ".yaml", false));
    sources.extend(files_in("connectors", "example.yaml", true));
    for source in sources {
        let text = read(&source);
        for rest in text.split("{ credential: ").skip(1) {
            let name = rest.split(" }").next().unwrap();
            let placeholder = !name.is_ascii() || ["…", "NAME"].contains(&name);
            assert!(
                placeholder || known.contains(name),
                "{}: credential `{name}`",
                source.display()
            );
        }
    }
    let drop_in = read(&path("systemd/priem.service.d/secrets.conf.example"));
    let offered: BTreeSet<&str> = drop_in
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix("LoadCredential="))
        .map(|line| {
            let (name, file) = line.split_once(':').unwrap();
            assert_eq!(file, format!("/etc/priem/secrets/{name}"));
            name
        })
        .collect();
    assert_eq!(offered, known);
}

/// The certificate and key that the examples name.
fn self_signed(folder: &Path) {
    let pair = rcgen::generate_simple_self_signed(["priem.example.ru".to_owned()]).unwrap();
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("fullchain.pem"), pair.cert.pem()).unwrap();
    std::fs::write(folder.join("privkey.pem"), pair.signing_key.serialize_pem()).unwrap();
}

#[test]
fn every_example_is_accepted() {
    let credentials = tempfile::tempdir().unwrap();
    for (name, secret) in SECRETS {
        std::fs::write(credentials.path().join(name), secret).unwrap();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = entry.unwrap().path();
        // A map of labels for `rules evaluate`, not settings; a test of that command reads it.
        if source.ends_with("pos-sector-labels.yaml") {
            continue;
        }
        let workplace = tempfile::tempdir().unwrap();
        // As they lie here: what an example names relative to itself must be where it says.
        std::fs::create_dir(workplace.path().join("examples")).unwrap();
        let config = workplace.path().join("examples").join(source.file_name().unwrap());
        let certificates = workplace.path().join("certificates").display().to_string();
        let text = read(&source).replace("/etc/priem/certificates", &certificates);
        std::fs::write(&config, text).unwrap();
        self_signed(Path::new(&certificates));
        let manifests = workplace.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        for manifest in files_in("config/manifests", ".yaml", false) {
            std::fs::copy(&manifest, manifests.join(manifest.file_name().unwrap())).unwrap();
        }
        let output = Command::new(env!("CARGO_BIN_EXE_priem"))
            .args(["check", "--offline", "--config"])
            .arg(&config)
            .env("CREDENTIALS_DIRECTORY", credentials.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{said}", source.display());
        assert!(!said.contains("planted"), "a secret is printed:\n{said}");
        checked += 1;
    }
    assert!(checked >= 3);
}
