//! What `check` and `files probe` say.

use super::{super::mapping, *};

#[test]
fn what_is_never_read_is_told_by_the_connector_and_by_check_until_it_is_gone() {
    use std::os::unix::ffi::OsStrExt;

    let mut host = Host::new(|_| {});
    assert_eq!(host.connector.left_alone(), None);
    let inbox = host.folder.path().join("inbox");
    fs::create_dir(inbox.join("Выгрузки")).expect("folder");
    fs::create_dir(inbox.join(".snapshot")).expect("folder");
    let undecodable = inbox.join(std::ffi::OsStr::from_bytes(b"\xcf\xee\xf7\xf2\xe0.csv"));
    fs::write(&undecodable, HEADER).expect("write");
    host.run();
    let left = host.connector.left_alone().expect("two that are never read");
    assert_eq!(left.count, 2);
    assert!(left.why.contains("Выгрузки") && left.why.contains("каталогов 1") && left.why.contains("переименовать"));
    let report = runtime().block_on(host.connector.check(&cx())).expect("a report");
    let outcomes: HashMap<&str, &str> = report.findings.iter().map(|f| (f.what, f.outcome)).collect();
    assert_eq!((outcomes["folders"], outcomes["names"]), ("warning", "warning"));
    fs::remove_dir(inbox.join("Выгрузки")).expect("removed");
    fs::remove_file(undecodable).expect("removed");
    host.run();
    assert_eq!(host.connector.left_alone(), None);
}

#[test]
fn check_makes_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("of exports/drop");
    let connector = FilesConnector::new(FilesSettings::new(&missing)).expect("a connector");
    let report = runtime().block_on(connector.check(&cx())).expect("a report");
    let finding = &report.findings[0];
    assert!(!report.failed() && !missing.exists(), "`run` makes it: {report:?}");
    assert!(finding.detail.ends_with("made when the daemon starts"), "{report:?}");
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
    // Where `run` can't make it either, the cure is told.
    fs::write(folder.path().join("of exports"), "a file").expect("in the way");
    let report = runtime().block_on(connector.check(&cx())).expect("a report");
    assert!(report.failed(), "{report:?}");
    fs::remove_file(folder.path().join("of exports")).expect("removed");
    fs::create_dir_all(&missing).expect("the folder");
    let report = runtime().block_on(connector.check(&cx())).expect("a report");
    assert!(!report.failed(), "{report:?}");
    assert_eq!(fs::read_dir(&missing).expect("the folder").count(), 0);
}

#[test]
fn check_tells_what_stands_where() {
    let host = Host::new(|_| {});
    host.drop_text("a.csv", HEADER);
    fs::write(host.path("failed", "b.csv"), "x").expect("write");
    let report = runtime().block_on(host.connector.check(&cx())).expect("a report");
    assert!(!report.failed());
    let outcomes: HashMap<&str, &str> = report.findings.iter().map(|f| (f.what, f.outcome)).collect();
    assert_eq!(outcomes["inbox"], "ok");
    assert_eq!(outcomes["failed"], "warning");
    assert_eq!(host.names("inbox").len(), 1, "nothing stays behind");
}

#[test]
fn probe_prints_what_it_understood_and_what_not() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("выгрузка.csv");
    fs::write(
        &path,
        format!(
            "{HEADER}770001;05.01.2026 10:30;[id1|Анна], яма на дороге у самого дома номер пять;Омск г.о.;\n;;x;;\n"
        ),
    )
    .expect("write");
    let mut calls = 0;
    let report = probe::probe(&path, &FilesSettings::new(folder.path()), 3, &mut |_, _| calls += 1).expect("report");
    assert!(!report.is_clean() && calls > 0);
    insta::assert_snapshot!(report.render());
}

#[test]
fn a_file_of_another_system_gets_the_names_of_the_mappings() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("пос.csv");
    fs::write(&path, "Номер обращения ПОС;Кем создано;Чем кончилось\n1;2;3\n").expect("write");
    let mut settings = FilesSettings::new(folder.path());
    let text = |settings: &FilesSettings| {
        let report = probe::probe(&path, settings, 3, &mut |_, _| {}).expect("report");
        assert!(report.failure.is_some());
        report.render()
    };
    let asked = text(&settings);
    assert!(asked.contains("--mapping auto"), "{asked}");
    for mapping in mapping::MAPPINGS {
        let line = format!("  {:<9} {}\n", mapping.name, mapping.title);
        assert!(asked.contains(&line), "{line}: {asked}");
    }
    settings.mapping = mapping::AUTO.into();
    let found_none = text(&settings);
    assert!(
        !found_none.contains("--mapping auto") && !found_none.contains("Имена полей"),
        "{found_none}"
    );
}
