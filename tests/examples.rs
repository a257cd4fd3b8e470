//! Every example configuration is accepted as it stands, with secrets where systemd would put them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{path::Path, process::Command};

const SECRETS: &[(&str, &str)] = &[
    ("rabbitmq-password", "planted"),
    ("telegram-token", "7000001:AAplantedPlantedPlantedPlantedPlante"),
    ("telegram-path", "0123456789abcdef0123456789abcdef0123456789abcdef"),
    ("telegram-secret", "abcdef0123456789abcdef0123456789abcdef0123456789"),
];

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
        let workplace = tempfile::tempdir().unwrap();
        let config = workplace.path().join(source.file_name().unwrap());
        std::fs::copy(&source, &config).unwrap();
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
