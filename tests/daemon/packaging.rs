//! What is installed on a server is checked with the tools that will read it there.
//!
//! A missing tool skips its check with a message, unless `PRIEM_TEST_REQUIRE_TOOLS` is set, as `scripts/test.sh` does:
//! there nothing is skipped in silence.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Highest exposure `systemd-analyze security` may report, in tenths: 2.0 of 10, where "OK" ends at 4.9.
const EXPOSURE_TENTHS: u32 = 20;

const COMMAND_LINE: &str = "ExecStart=/usr/bin/priem run --config /etc/priem/priem.yaml";

fn systemd_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// Runs a tool; `None` when this machine doesn't have it and may do without.
fn run_tool(tool: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if std::env::var_os("PRIEM_TEST_REQUIRE_TOOLS").is_none() => {
            eprintln!("skipped: {tool} does not run here ({error}); scripts/test.sh installs it");
            None
        }
        Err(error) => panic!("{tool} is required by PRIEM_TEST_REQUIRE_TOOLS and does not run: {error}"),
    }
}

fn text(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    format!("{stdout}{}", String::from_utf8_lossy(&output.stderr))
}

/// The unit and its example drop-in as systemd would find them, with the daemon just built as the command: systemd
/// refuses a command that isn't there.
fn installed_unit(root: &Path) -> PathBuf {
    let unit = fs::read_to_string(systemd_file("priem.service")).unwrap();
    assert!(
        unit.lines().any(|line| line == COMMAND_LINE),
        "the unit must run {COMMAND_LINE}"
    );
    let path = root.join("priem.service");
    // A command at the beginning only: other lines speak of the folder of the documents.
    fs::write(
        &path,
        unit.replace("=/usr/bin/priem ", concat!("=", env!("CARGO_BIN_EXE_priem"), " ")),
    )
    .unwrap();
    let drop_ins = root.join("priem.service.d");
    fs::create_dir(&drop_ins).unwrap();
    fs::copy(
        systemd_file("priem.service.d/secrets.conf.example"),
        drop_ins.join("secrets.conf"),
    )
    .unwrap();
    path
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let root = tempfile::tempdir().unwrap();
    let unit = installed_unit(root.path());
    let arguments = ["verify", "--man=no", "--recursive-errors=no", unit.to_str().unwrap()];
    let Some(output) = run_tool("systemd-analyze", &arguments) else {
        return;
    };
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    // A key systemd doesn't know is only a warning to it; to us it is a mistake.
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("priem")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// A unit without these takes the machine with it, or leaves citizens' words in a core dump.
#[test]
fn the_unit_bounds_memory_and_leaves_no_core_dump() {
    let unit = fs::read_to_string(systemd_file("priem.service")).unwrap();
    let value = |key: &str| {
        let lines: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(key)).collect();
        assert_eq!(lines.len(), 1, "{key} stands once");
        lines[0].to_owned()
    };
    let megabytes = |text: String| -> u32 {
        match text.strip_suffix('G') {
            Some(gigabytes) => gigabytes.parse::<u32>().unwrap() * 1024,
            None => text.strip_suffix('M').unwrap().parse().unwrap(),
        }
    };
    let (high, max) = (megabytes(value("MemoryHigh=")), megabytes(value("MemoryMax=")));
    assert!(high < max, "slowed down before it is killed");
    // One filter of a manifest may take 256 MiB, values of one body as much.
    assert!(high >= 1024, "{high} MB");
    assert_eq!(value("LimitCORE="), "0");
}

#[test]
fn the_unit_is_locked_in() {
    let root = tempfile::tempdir().unwrap();
    let unit = installed_unit(root.path());
    let threshold = format!("--threshold={EXPOSURE_TENTHS}");
    let arguments = [
        "security",
        "--offline=true",
        "--no-pager",
        &threshold,
        unit.to_str().unwrap(),
    ];
    let Some(output) = run_tool("systemd-analyze", &arguments) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn no_core_dump_holds_what_citizens_wrote() {
    let unit = std::fs::read_to_string(systemd_file("priem.service")).unwrap();
    assert!(unit.lines().any(|line| line == "LimitCORE=0"), "{unit}");
}

#[test]
fn folders_belong_to_whom_they_should() {
    let root = tempfile::tempdir().unwrap();
    if fs::metadata(root.path()).unwrap().uid() != 0 {
        eprintln!("skipped: only root can give folders to another user");
        return;
    }
    fs::create_dir(root.path().join("etc")).unwrap();
    let at_root = format!("--root={}", root.path().display());
    let sysusers = systemd_file("priem.sysusers.conf");
    let Some(output) = run_tool("systemd-sysusers", &[&at_root, sysusers.to_str().unwrap()]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user: Vec<&str> = passwd
        .lines()
        .find(|line| line.starts_with("priem:"))
        .unwrap()
        .split(':')
        .collect();
    assert_eq!((user[5], user[6]), ("/var/lib/priem", "/usr/sbin/nologin"));
    let priem: u32 = user[2].parse().unwrap();

    let tmpfiles = systemd_file("priem.tmpfiles.conf");
    let Some(output) = run_tool("systemd-tmpfiles", &["--create", &at_root, tmpfiles.to_str().unwrap()]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    let expected = [
        ("etc/priem", 0, 0o750),
        ("etc/priem/secrets", 0, 0o700),
        ("var/lib/priem", priem, 0o750),
        ("var/lib/priem/journal", priem, 0o700),
        ("var/lib/priem/messages.ndjson", priem, 0o600),
        ("var/lib/priem/files", priem, 0o750),
        ("var/lib/priem/files/incident", priem, 0o2750),
        ("var/lib/priem/files/incident/inbox", priem, 0o2770),
        ("var/lib/priem/files/incident/done", priem, 0o2750),
        ("var/lib/priem/files/incident/failed", priem, 0o2750),
    ];
    for (path, owner, mode) in expected {
        let metadata = fs::metadata(root.path().join(path)).unwrap();
        let seen = (metadata.uid(), metadata.permissions().mode() & 0o7777);
        assert_eq!(seen, (owner, mode), "{path}: owner {}, mode {:o}", seen.0, seen.1);
    }
}

/// Settings with which the service starts must name folders that are made for it, with the rights they need.
#[test]
fn settings_and_tmpfiles_name_the_same_places() {
    let tmpfiles = fs::read_to_string(systemd_file("priem.tmpfiles.conf")).unwrap();
    let made: Vec<&str> = tmpfiles
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for file in [
        "config/priem.yaml",
        "config/examples/telegram-polling.yaml",
        "config/examples/telegram-webhook-behind-nginx.yaml",
        "connectors/files/example.yaml",
        "connectors/files/README.md",
        "docs/operations.md",
    ] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for line in text.lines() {
            let line = line.trim_start_matches(['#', ' ']);
            let places = ["dir: /var/", "folder: /var/", "path: /var/", "journal: { dir: /var/"];
            if !places.iter().any(|start| line.starts_with(start)) {
                continue;
            }
            let place = &line[line.find('/').unwrap()..];
            let place = place.split([' ', '}']).next().unwrap();
            assert!(made.contains(&place), "{file}: {place} is not in priem.tmpfiles.conf");
            named += 1;
        }
    }
    assert!(named >= 7, "{named} places");
    let settings = root.join("config/priem.yaml");
    let settings = priem::settings::parse(&fs::read_to_string(&settings).unwrap(), &settings, []).unwrap();
    assert_eq!(settings.journal.dir, Path::new("/var/lib/priem/journal"));
    assert_eq!(settings.ndjson.path, Path::new("/var/lib/priem/messages.ndjson"));
}
