//! Whoever may put files into the drop folder's `inbox/` gets nothing else by it: no row of a file they can't read, no
//! file of the daemon written or replaced.
//!
//! As root two users are played, the daemon's and a clerk's who is in the daemon's group; otherwise one user shows that
//! links are refused whoever made them.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{Installation, json, priem, text, until};

/// The user the daemon runs as, and its group.
const DAEMON: u32 = 64_001;
/// A member of the daemon's group.
const CLERK: u32 = 64_002;

const SECRET: &str = "S3cretBrokerPassw0rd;and more";
const EXPORT: &str = "Номер инцидента;Текст инцидента;Тема\n1;яма;Ямы\n2;свалка;Мусор\n3;лёд;Снег\n";
const SETTINGS: &str = "\
version: 1
journal: { dir: '{folder}/var/journal' }
http: { admin: { listen: '127.0.0.1:{admin}' } }
ndjson: { path: '{folder}/var/messages.ndjson' }
connectors:
  incident: { type: files, folder: '{folder}/var/files/incident', mapping: incident, settle: 0s, every: 50ms }
";

/// An installation in which the group may write into the whole drop folder, as early versions had it.
struct Scene {
    daemon: Installation,
    two_users: bool,
}

impl Scene {
    fn new(settings: &str) -> Self {
        let mut daemon = Installation::new(settings);
        let root = daemon.folder.path().to_owned();
        let two_users = fs::metadata(&root).unwrap().uid() == 0 && can_run_as(DAEMON);
        for folder in [
            "secrets",
            "var",
            "var/files",
            "var/files/incident",
            "var/files/incident/inbox",
        ] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        fs::write(root.join("secrets/amqp-password"), SECRET).unwrap();
        if two_users {
            for folder in ["secrets", "secrets/amqp-password", "var"] {
                chown(root.join(folder), Some(DAEMON), Some(DAEMON)).unwrap();
            }
            for folder in ["var/files", "var/files/incident", "var/files/incident/inbox"] {
                chown(root.join(folder), Some(DAEMON), Some(DAEMON)).unwrap();
            }
            daemon.wrap(&["setpriv", "--reuid=64001", "--regid=64001", "--clear-groups"]);
        }
        let mode =
            |place: &str, mode: u32| fs::set_permissions(root.join(place), fs::Permissions::from_mode(mode)).unwrap();
        mode("", 0o755);
        mode("secrets", 0o700);
        mode("secrets/amqp-password", 0o600);
        mode("var", 0o750);
        for folder in ["var/files", "var/files/incident", "var/files/incident/inbox"] {
            mode(folder, 0o2770);
        }
        Self { daemon, two_users }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.daemon.folder.path().join(name)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.place("var/files/incident").join(name)
    }

    /// What the clerk types.
    fn clerk(&self, script: &str) -> String {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("umask 007; {script}"));
        shell.current_dir(self.folder("")).stderr(Stdio::inherit());
        if self.two_users {
            shell.uid(CLERK).gid(DAEMON);
        }
        text(&shell.output().unwrap())
    }

    async fn refused(&self) -> f64 {
        self.daemon
            .metric("priem_quarantined_items_total", "reason=\"file_refused\"")
            .await
    }
}

/// Whether this process can start another as that user, and that user can run the daemon just built.
fn can_run_as(user: u32) -> bool {
    let daemon = Command::new(env!("CARGO_BIN_EXE_priem"))
        .arg("--version")
        .stdout(Stdio::null())
        .uid(user)
        .status();
    let setpriv = Command::new("setpriv").arg("--version").stdout(Stdio::null()).status();
    let can = [daemon, setpriv]
        .into_iter()
        .all(|status| status.is_ok_and(|status| status.success()));
    assert!(
        can || std::env::var_os("PRIEM_TEST_REQUIRE_TOOLS").is_none(),
        "PRIEM_TEST_REQUIRE_TOOLS: setpriv is missing, or the build can't be run by another user"
    );
    can
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[tokio::test]
async fn links_pipes_and_second_names_are_refused_told_and_counted() {
    let mut scene = Scene::new(SETTINGS);
    scene.daemon.start().await;
    fs::write(scene.folder("inbox/good.csv"), EXPORT).unwrap();
    if scene.two_users {
        chown(scene.folder("inbox/good.csv"), Some(CLERK), Some(DAEMON)).unwrap();
    }
    until("the export is read", async || scene.folder("done/good.csv").exists()).await;
    until("its messages are out", async || {
        fs::read_to_string(scene.place("var/messages.ndjson")).is_ok_and(|text| text.lines().count() == 3)
    })
    .await;
    let messages = fs::read(scene.place("var/messages.ndjson")).unwrap();
    let journal = names(&scene.place("var/journal"));
    if scene.two_users {
        let read = scene.clerk("cat ../../../secrets/amqp-password ../../messages.ndjson 2>&1 | grep -v denied");
        assert_eq!(read, "", "what is shown below would show nothing");
    }

    scene.clerk(
        "ln -s ../../../../secrets/amqp-password inbox/a.csv; ln -s \"$PWD/../../messages.ndjson\" inbox/b.csv; \
         ln -s missing inbox/c.csv; ln -s ../../../journal inbox/d.csv; mkfifo inbox/pipe.csv; \
         printf 'a;b\\n1;2\\n' > mine.csv; ln mine.csv inbox/hard.csv",
    );
    until("all are refused", async || scene.refused().await >= 6.0).await;
    until("all have left the inbox", async || {
        names(&scene.folder("inbox")).is_empty()
    })
    .await;
    assert_eq!(
        names(&scene.folder("failed")),
        [
            "a.csv.report.txt",
            "b.csv.report.txt",
            "c.csv.report.txt",
            "d.csv.report.txt",
            "hard.csv",
            "hard.csv.report.txt",
            "pipe.csv.report.txt"
        ]
    );
    let reports = scene.clerk("cat failed/*.report.txt");
    assert!(
        reports.contains("Это ссылка, а не файл") && reports.contains("file_refused"),
        "{reports}"
    );
    assert!(!reports.contains("S3cret") && !reports.contains("яма"), "{reports}");
    for report in fs::read_dir(scene.folder("failed")).unwrap() {
        let report = report.unwrap();
        let mode = report.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{report:?}");
    }
    let log = scene.daemon.log();
    assert!(log.contains("refused: a symbolic link is not read"), "{log}");
    assert!(
        log.contains("chmod go-w"),
        "the rights of early versions are told: {log}"
    );
    let held = json(&scene.daemon.priem(&["quarantine", "list", "--json"])).to_string();
    assert_eq!(held.matches("\"file_refused\"").count(), 6, "{held}");
    assert!(!held.contains("S3cret"), "{held}");
    assert_eq!(fs::read(scene.place("var/messages.ndjson")).unwrap(), messages);
    assert_eq!(
        fs::read_to_string(scene.place("secrets/amqp-password")).unwrap(),
        SECRET
    );
    assert_eq!(names(&scene.place("var/journal")), journal);
    scene.daemon.stop().await;
}

#[tokio::test]
async fn a_folder_replaced_by_a_link_leads_nowhere_and_the_journal_stays_sound() {
    let nowhere = SETTINGS.replace("messages.ndjson", "nowhere/out.ndjson");
    let mut scene = Scene::new(&nowhere);
    scene.daemon.spawn();
    scene.daemon.metric_reaches("priem_connector_up", "incident", 1.0).await;
    fs::write(scene.folder("inbox/good.csv"), EXPORT).unwrap();
    if scene.two_users {
        chown(scene.folder("inbox/good.csv"), Some(CLERK), Some(DAEMON)).unwrap();
    }
    until("the export is read", async || scene.folder("done/good.csv").exists()).await;
    let before = names(&scene.place("var/journal"));

    // A rollback header that says "the database had one page".
    let mut header = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for number in [0_u32, 12_345, 1, 512, 4096] {
        header.extend(number.to_be_bytes());
    }
    header.resize(512, 0);
    fs::write(scene.place("header"), header).unwrap();
    fs::set_permissions(scene.place("header"), fs::Permissions::from_mode(0o644)).unwrap();
    scene.clerk(
        "mv failed failed.old; ln -s \"$PWD/../../journal\" failed; \
         cp ../../../header inbox/x.part; mv inbox/x.part inbox/journal.sqlite-journal",
    );
    until("it is told", async || {
        scene.daemon.metric("priem_connector_up", "incident").await == 0.0
    })
    .await;
    let log = scene.daemon.log();
    assert!(log.contains("a symbolic link made by user"), "{log}");
    assert_eq!(names(&scene.place("var/journal")), before);

    scene.daemon.kill();
    scene.daemon.spawn();
    until("the next start tells it too", async || {
        scene.daemon.log().matches("a symbolic link made by user").count() > 1
    })
    .await;
    scene.daemon.kill();
    assert!(!names(&scene.place("var/journal")).contains(&"journal.sqlite-journal".to_owned()));
    let verified = scene.daemon.priem(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", text(&verified));
    assert_eq!(scene.daemon.stats()["pending"], 3);

    // The duty officer mends it; the file is refused as what it is.
    fs::remove_file(scene.folder("failed")).unwrap();
    fs::rename(scene.folder("failed.old"), scene.folder("failed")).unwrap();
    scene.daemon.spawn();
    until("the rest is read", async || {
        scene.folder("failed/journal.sqlite-journal").exists()
    })
    .await;
    scene.daemon.kill();
    assert_eq!(scene.daemon.stats()["quarantined"]["file_unsupported"], 1);
    assert_eq!(scene.daemon.stats()["pending"], 3);
}

#[tokio::test]
async fn a_folder_replaced_by_another_is_told_and_taken() {
    let mut scene = Scene::new(SETTINGS);
    scene.daemon.start().await;
    until("it knows the first folder", async || {
        scene.daemon.log().contains("source is heard")
    })
    .await;
    // The daemon makes a folder that is missing, so the new one must come in the place of an empty one, too.
    scene.clerk("mkdir inbox.new; chmod 2770 inbox.new; mv inbox inbox.old; mv -T inbox.new inbox");
    fs::write(scene.folder("inbox/good.csv"), EXPORT).unwrap();
    if scene.two_users {
        chown(scene.folder("inbox/good.csv"), Some(CLERK), Some(DAEMON)).unwrap();
    }
    until("it is read from the new folder", async || {
        scene.folder("done/good.csv").exists()
    })
    .await;
    assert!(
        scene.daemon.log().contains("was replaced by another"),
        "{}",
        scene.daemon.log()
    );
    scene.daemon.stop().await;
}

#[test]
fn two_sources_of_one_folder_are_refused_by_name() {
    let more = "  twice: { type: files, folder: '{folder}/var/../var/files/./incident/', mapping: pos }\n";
    let scene = Scene::new(&format!("{SETTINGS}{more}"));
    for command in ["check", "run"] {
        let refused = scene.daemon.priem(&[command]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("connectors.twice.folder") && said.contains("connectors.incident"),
            "{said}"
        );
    }
}

#[test]
fn a_report_of_a_folder_follows_no_link_of_whoever_filled_it() {
    let root = tempfile::tempdir().unwrap();
    let (folder, secret) = (root.path().join("exports"), root.path().join("secret"));
    fs::create_dir(&folder).unwrap();
    fs::write(&secret, SECRET).unwrap();
    fs::write(folder.join("good.csv"), EXPORT).unwrap();
    symlink(&secret, folder.join("link.csv")).unwrap();
    let html = root.path().join("report.html");
    let made = priem(&[
        "files",
        "report",
        folder.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ]);
    let page = fs::read_to_string(html).unwrap();
    for said in [text(&made), page] {
        assert!(
            !said.contains("S3cret") && said.contains("Это ссылка, а не файл"),
            "{said}"
        );
    }
}

#[test]
fn a_journal_that_others_can_write_into_is_refused() {
    let scene = Scene::new(SETTINGS);
    let journal = scene.place("var/journal");
    fs::create_dir(&journal).unwrap();
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o770)).unwrap();
    for command in ["run", "check"] {
        let refused = scene.daemon.priem(&[command]);
        let said = format!("{}{}", text(&refused), String::from_utf8_lossy(&refused.stderr));
        assert!(
            !refused.status.success() && said.contains("chmod go-w"),
            "{command}: {said}"
        );
    }
    assert_eq!(names(&journal), Vec::<String>::new());
}
