//! The drop folder as the host drives it: pages, crashes at every step, broken files.

mod again;
mod bombs;
mod books;
mod killed;
mod registries;
mod wild;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use priem_city::exports::{self, Encoding, ExportSpec, Format, Layout, sample_voice};
use priem_sdk::{
    Connector, ConnectorError, Cursor, Cx, EventType, Item, Message, Page, RawItem, Wait, contract::ConnectorId,
};
use proptest::prelude::*;

use super::{FilesConnector, FilesSettings, probe};

/// A drop folder and a journal of the barest kind, driven as the host drives a connector.
struct Host {
    folder: tempfile::TempDir,
    settings: FilesSettings,
    connector: FilesConnector,
    cursor: Cursor,
    /// Stored versions by key: fingerprint, body, number of the version.
    stored: BTreeMap<String, Vec<Item>>,
    unchanged: usize,
}

fn cx() -> Cx {
    Cx {
        id: ConnectorId::new("files"),
        take_over: false,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime")
}

impl Host {
    fn new(change: impl FnOnce(&mut FilesSettings)) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut settings = FilesSettings::new(folder.path());
        settings.settle = SignedDuration::ZERO;
        change(&mut settings);
        let connector = FilesConnector::new(settings.clone()).expect("settings");
        for name in ["inbox", "done", "failed"] {
            fs::create_dir_all(folder.path().join(name)).expect("folders");
        }
        Self {
            folder,
            settings,
            connector,
            cursor: Cursor::start(),
            stored: BTreeMap::new(),
            unchanged: 0,
        }
    }

    fn path(&self, place: &str, name: &str) -> PathBuf {
        self.folder.path().join(place).join(name)
    }

    fn drop_text(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path("inbox", name), text).expect("write");
    }

    /// The process dies and starts again.
    fn restart(&mut self) {
        self.connector = FilesConnector::new(self.settings.clone()).expect("settings");
    }

    fn try_poll(&self) -> Result<Page, ConnectorError> {
        runtime().block_on(self.connector.poll(&cx(), "inbox", &self.cursor))
    }

    fn poll(&self) -> Page {
        self.try_poll().expect("a page")
    }

    /// One commit: items and cursor together.
    fn store(&mut self, page: Page) {
        for item in page.items {
            let versions = self.stored.entry(item.external_id.clone()).or_default();
            let newest = versions.last();
            let same_revision = item.revision.is_some() && newest.is_some_and(|old| old.revision == item.revision);
            let same_content =
                item.fingerprint.is_some() && newest.is_some_and(|old| old.fingerprint == item.fingerprint);
            if same_revision || same_content {
                self.unchanged += 1;
            } else {
                versions.push(item);
            }
        }
        self.cursor = page.next;
    }

    fn acknowledge(&self) {
        let done = runtime().block_on(self.connector.acknowledge(&cx(), "inbox", &self.cursor));
        done.expect("acknowledged");
    }

    /// Polls until there is nothing to do.
    fn run(&mut self) {
        for _ in 0..100_000 {
            let page = self.poll();
            let idle = page.items.is_empty() && page.wait != Wait::Now;
            self.store(page);
            self.acknowledge();
            if idle {
                return;
            }
        }
        panic!("the import never ends");
    }

    fn names(&self, place: &str) -> BTreeSet<String> {
        fs::read_dir(self.folder.path().join(place))
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("a name"))
            .collect()
    }

    fn good(&self) -> Vec<&String> {
        let good = self.stored.iter().filter(|(_, versions)| versions[0].problem.is_none());
        good.map(|(key, _)| key).collect()
    }

    fn problems(&self) -> Vec<String> {
        self.stored
            .values()
            .flatten()
            .filter_map(|item| item.problem.as_ref())
            .map(ToString::to_string)
            .collect()
    }

    /// Messages of all versions of an object.
    fn messages(&self, key: &str) -> Vec<Message> {
        (0u32..)
            .zip(&self.stored[key])
            .flat_map(|(ordinal, item)| {
                let raw = raw(item, ordinal);
                self.connector.normalize(&raw).expect("messages")
            })
            .collect()
    }
}

fn raw(item: &Item, ordinal: u32) -> RawItem {
    RawItem {
        connector: ConnectorId::new("files"),
        external_id: item.external_id.clone(),
        revision: format!("c{ordinal}"),
        ordinal,
        format: item.format.into(),
        body: item.body.clone(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

fn age(path: &Path, by: Duration) {
    let file = fs::File::options().write(true).open(path).expect("open");
    file.set_modified(SystemTime::now() - by).expect("set the time");
}

const HEADER: &str = "Номер инцидента;Дата создания;Текст инцидента;Муниципалитет;Внутренняя пометка\n";

#[test]
fn a_collection_of_every_kind_and_layout_comes_in_whole() {
    let mut host = Host::new(|settings| settings.rows_per_page = 7);
    let inbox = host.folder.path().join("inbox");
    let manifests = exports::write_collection(&inbox, 11, 60, &mut sample_voice).expect("written");
    for (index, manifest) in manifests.iter().enumerate() {
        // The order of snapshots is the order of their times.
        age(&manifest.path, Duration::from_secs(1000 - index as u64));
    }
    host.run();

    let numbered: BTreeSet<&String> = manifests.iter().flat_map(|manifest| &manifest.numbers).collect();
    let found: BTreeSet<&String> = host
        .good()
        .into_iter()
        .filter(|key| !key.starts_with("blake3:"))
        .collect();
    assert_eq!(found, numbered);
    assert_eq!(host.good().len() - found.len(), 60, "the layout without numbers");
    assert_eq!(host.names("inbox"), BTreeSet::new());
    assert_eq!(host.names("done").len(), manifests.len());
    assert_eq!(host.names("failed"), BTreeSet::new());

    let bad: u64 = manifests.iter().map(|manifest| manifest.bad_rows).sum();
    assert_eq!(host.problems().len() as u64, bad, "{:?}", host.problems());
    let changed = host.stored.values().filter(|versions| versions.len() == 2).count();
    assert_eq!(changed as u64, manifests.last().expect("manifests").changes);
    assert!(host.stored.values().all(|versions| versions.len() <= 2));
    let rows: u64 = manifests
        .iter()
        .map(|manifest| manifest.good_rows + manifest.bad_rows)
        .sum();
    let versions: usize = host.stored.values().map(Vec::len).sum();
    assert_eq!(rows, (versions + host.unchanged) as u64, "no row is lost");
}

#[test]
fn a_changed_row_is_an_update_and_an_equal_one_is_nothing() {
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{HEADER}770001;05.01.2026;Яма;Город Пермь;тайна\n"));
    host.run();
    // Elsewhere in another file, in another order, with another spelling of the date and another internal note.
    host.drop_text(
        "b.csv",
        "Текст инцидента;Муниципалитет;Номер инцидента;Дата создания;Пометка\nx;y;770002;;\nЯма;Город Пермь;770001;2026-01-05;другая\n",
    );
    host.run();
    assert_eq!(host.stored["770001"].len(), 1);
    host.drop_text(
        "c.csv",
        format!("{HEADER}770001;05.01.2026;Яма засыпана;Город Пермь;\n"),
    );
    host.run();
    let events: Vec<EventType> = host.messages("770001").iter().map(|message| message.event).collect();
    assert_eq!(events, [EventType::Received, EventType::Updated]);
}

#[test]
fn the_raw_row_keeps_everything_and_the_message_only_what_is_known() {
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{HEADER}770001;05.01.2026;Яма;Город Пермь;тайна\n"));
    host.run();
    let body: serde_json::Value = serde_json::from_slice(&host.stored["770001"][0].body).expect("JSON");
    assert_eq!(body["cells"]["Внутренняя пометка"], "тайна");
    assert_eq!((&body["file"], &body["row"]), (&"a.csv".into(), &2.into()));
    let message = serde_json::to_string(&host.messages("770001")[0]).expect("JSON");
    assert!(!message.contains("тайна"), "{message}");
}

#[test]
fn whatever_dies_between_two_steps_every_row_comes_once() {
    for (name, format) in [
        (
            "x.csv",
            Format::Csv {
                encoding: Encoding::Windows1251,
                delimiter: b';',
            },
        ),
        (
            "x.xlsx",
            Format::Xlsx {
                shared_strings: true,
                dates_as_numbers: true,
            },
        ),
    ] {
        let mut plan = ExportSpec::new(3, 43).with_trouble().format(format);
        plan.title_rows = 2;
        let write = |host: &Host| exports::write(&host.path("inbox", name), &plan, &mut sample_voice).expect("written");
        let mut whole = Host::new(|settings| settings.rows_per_page = 5);
        let manifest = write(&whole);
        whole.run();
        let expected: Vec<&String> = whole.stored.keys().collect();
        assert_eq!(expected.len() as u64, 43 + manifest.bad_rows);

        // A crash after step `crash`: 0 after poll, 1 after commit, 2 after acknowledge.
        for crash in 0..3 {
            let mut host = Host::new(|settings| settings.rows_per_page = 5);
            write(&host);
            for _ in 0..1000 {
                let page = host.poll();
                let idle = page.items.is_empty() && page.wait != Wait::Now;
                if crash == 0 {
                    // The page is lost with the process; the next one is the same.
                    host.restart();
                    assert_eq!(host.poll().items, page.items);
                }
                host.store(page);
                if crash == 1 {
                    host.restart();
                } else {
                    host.acknowledge();
                    if crash == 2 {
                        host.restart();
                        host.acknowledge();
                    }
                }
                if idle {
                    break;
                }
            }
            assert_eq!(
                host.stored.keys().collect::<Vec<_>>(),
                expected,
                "{name}, crash {crash}"
            );
            assert_eq!(host.unchanged, whole.unchanged, "{name}, crash {crash}: nothing twice");
            assert_eq!(host.names("done"), BTreeSet::from([name.to_owned()]));
        }
    }
}

#[test]
fn a_file_is_not_moved_before_its_end_is_stored() {
    let host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{HEADER}770001;;x;;\n"));
    let page = host.poll();
    assert_eq!(page.items.len(), 1);
    assert_eq!(host.names("inbox").len(), 1, "the host has stored nothing yet");
}

#[test]
fn a_file_that_is_still_being_copied_is_left_alone() {
    let mut host = Host::new(|settings| settings.settle = SignedDuration::from_secs(60));
    host.drop_text("a.csv", format!("{HEADER}770001;;x;;\n"));
    let path = host.path("inbox", "a.csv");
    for _ in 0..3 {
        assert!(host.poll().items.is_empty(), "it was changed just now");
    }
    age(&path, Duration::from_secs(61));
    assert!(host.poll().items.is_empty(), "seen for the first time with this time");
    host.drop_text("a.csv", format!("{HEADER}770001;;x;;\n770002;;y;;\n"));
    age(&path, Duration::from_secs(61));
    assert!(host.poll().items.is_empty(), "it has grown");
    assert_eq!(host.poll().items.len(), 2);
    host.run();
    assert_eq!(host.good().len(), 2);
}

#[test]
fn a_workbook_without_its_end_is_waited_for_and_then_refused() {
    let mut host = Host::new(|_| {});
    let path = host.path("inbox", "a.xlsx");
    exports::write(&path, &ExportSpec::new(1, 500), &mut sample_voice).expect("written");
    exports::truncate(&path).expect("cut");
    assert!(host.poll().items.is_empty(), "the rest may still come");
    age(&path, Duration::from_secs(121));
    host.run();
    assert_eq!(host.problems().len(), 1);
    assert!(
        host.problems()[0].starts_with("file_damaged: "),
        "{:?}",
        host.problems()
    );
    assert_eq!(
        host.names("failed"),
        BTreeSet::from(["a.xlsx".to_owned(), "a.xlsx.report.txt".to_owned()])
    );
    let report = fs::read_to_string(host.path("failed", "a.xlsx.report.txt")).expect("report");
    assert!(report.contains("скопируйте или выгрузите файл заново"), "{report}");
}

#[test]
fn temporary_files_and_folders_are_ignored() {
    let mut host = Host::new(|_| {});
    for name in [
        ".a.csv",
        "~$a.xlsx",
        "a.csv.part",
        "a.csv.filepart",
        "a.crdownload",
        "a.tmp",
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
        ".~lock.a.ods#",
        "~WRL0001.tmp",
        "a.csv~",
    ] {
        host.drop_text(name, HEADER);
    }
    for folder in ["$RECYCLE.BIN", "System Volume Information", "__MACOSX", "@eaDir"] {
        fs::create_dir(host.path("inbox", folder)).expect("folder");
    }
    fs::create_dir(host.path("inbox", "folder.csv")).expect("folder");
    host.run();
    assert_eq!(host.names("inbox").len(), 17);
    assert!(host.stored.is_empty());
    assert_eq!(
        host.connector.left_alone().map(|left| left.count),
        Some(1),
        "the folder alone"
    );
}

#[test]
fn what_cannot_be_understood_is_refused_with_a_report() {
    for (name, content, reason, words) in [
        ("a.csv", "", "file_empty", "нет ни одной строки"),
        (
            "b.pdf",
            "%PDF-1.4",
            "file_unsupported",
            "не поддерживается: документ PDF.",
        ),
        ("c.xls", "\u{d0}", "file_unsupported", "не поддерживается"),
        (
            "d.csv",
            "а;б;в\n1;2;3\n",
            "file_unknown_layout",
            "строка 1: ячеек 3; A «а»",
        ),
        (
            "e.csv",
            "Регион;Улица;Дом\nx;y;1\n",
            "file_unknown_layout",
            "ни номера, ни текста",
        ),
        ("f.xlsx", "не книга", "file_damaged", "повреждена"),
        ("g.csv", "\u{0}\u{0}", "file_encoding", "Кодировка"),
    ] {
        let mut host = Host::new(|settings| settings.settle_broken = SignedDuration::ZERO);
        host.drop_text(name, content);
        host.run();
        let problems = host.problems();
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert!(problems[0].starts_with(&format!("{reason}: ")), "{name}: {problems:?}");
        let report = fs::read_to_string(host.path("failed", &format!("{name}.report.txt"))).expect("report");
        assert!(report.contains(words), "{name}: {report}");
        assert!(
            !host.cursor.0.contains("«а»"),
            "the cursor quotes nothing: {}",
            host.cursor.0
        );
        let item = host.stored.values().flatten().next().expect("an item");
        let again = host.connector.normalize(&raw(item, 0)).expect_err("still refused");
        assert_eq!(again.reason, reason);
    }
}

#[test]
fn a_file_without_a_header_is_refused_with_a_guess_and_taken_with_columns() {
    let spec = ExportSpec::new(2, 30).layout(Layout::Headerless);
    let mut host = Host::new(|_| {});
    exports::write(&host.path("inbox", "a.xlsx"), &spec, &mut sample_voice).expect("written");
    host.run();
    let report = fs::read_to_string(host.path("failed", "a.xlsx.report.txt")).expect("report");
    assert!(
        report.contains("columns: { A: number, B: created, H: topic_group, R: text }"),
        "{report}"
    );

    let mut host = Host::new(|settings| {
        let columns = [("A", "number"), ("B", "created"), ("H", "topic_group"), ("R", "text")];
        settings.columns = columns.map(|(column, field)| (column.into(), field.into())).into();
    });
    exports::write(&host.path("inbox", "a.xlsx"), &spec, &mut sample_voice).expect("written");
    host.run();
    assert_eq!(host.good().len(), 30);
    let message = &host.messages("7000001")[0];
    assert!(!message.data.body.text.is_empty() && message.data.topic.is_some());
}

#[test]
fn broken_rows_of_a_csv_cost_only_themselves() {
    let mut host = Host::new(|_| {});
    let mut text = HEADER.as_bytes().to_vec();
    text.extend("770001;;\"хорошая\nв две строки\";;\n".bytes());
    text.extend("770002;;мало\n".bytes());
    text.extend("770003;;\"кавычка не закрыта;;\n".bytes());
    text.extend("770004;;\"хорошая; с \"\"кавычками\"\"\";;\n".bytes());
    text.extend("770005;;\"лишнее\" после кавычки;;\n".bytes());
    text.extend(b"770006;;\xFF\xFE;;\n");
    text.extend(";;без номера;;\n".bytes());
    text.extend("очень длинный текст на месте номера, потому что строка сдвинута на колонку;;;;\n".bytes());
    text.extend("\n;;;;\n".bytes());
    text.extend("770007;;ул. \"Мира\" внутри;;\n".bytes());
    text.extend("770009;;разделитель; в тексте;;\n".bytes());
    text.extend("770008;;\"не закрыта до конца файла;;".bytes());
    host.drop_text("a.csv", text);
    host.run();
    assert_eq!(host.good(), ["770001", "770004", "770007"]);
    let mut problems = host.problems();
    problems.sort();
    assert_eq!(
        problems,
        [
            "bad_row: row 13: 6 cells instead of 5",
            "bad_row: row 14: broken quotation marks",
            "bad_row: row 3: 3 cells instead of 5",
            "bad_row: row 4: broken quotation marks",
            "bad_row: row 6: broken quotation marks",
            "bad_row: row 7: not valid UTF-8",
            "bad_row: row 8: the key column is empty: no number",
            "bad_row: row 9: the number cell holds 74 characters that are no number: shifted columns?",
        ]
    );
    for item in host.stored.values().flatten().filter(|item| item.problem.is_some()) {
        let error = host.connector.normalize(&raw(item, 0)).expect_err("still bad");
        assert_eq!(error.reason, "bad_row");
        let body: serde_json::Value = serde_json::from_slice(&item.body).expect("JSON");
        assert!(body["row"].is_u64() && body["file"] == "a.csv");
    }
}

#[test]
fn nothing_is_overwritten_and_other_files_wait_their_turn() {
    let mut host = Host::new(|_| {});
    for number in 1..4 {
        host.drop_text("a.csv", format!("{HEADER}77000{number};;x;;\n"));
        host.run();
    }
    assert_eq!(
        host.names("done"),
        BTreeSet::from(["a.csv", "a (2).csv", "a (3).csv"].map(str::to_owned))
    );
}

#[test]
fn files_that_are_refused_unread_are_told_apart_and_one_refused_again_is_told_once() {
    let mut host = Host::new(|settings| settings.max_file_bytes = 10);
    let time = SystemTime::now() - Duration::from_secs(3600);
    for name in ["perm.csv", "omsk.csv"] {
        host.drop_text(name, HEADER);
        let file = fs::File::options().write(true).open(host.path("inbox", name));
        file.and_then(|file| file.set_modified(time)).expect("the same time");
    }
    host.run();
    assert_eq!(host.problems().len(), 2, "{:?}", host.problems());
    assert_eq!(host.names("failed").len(), 4);
    // Put in again as it is.
    fs::rename(host.path("failed", "perm.csv"), host.path("inbox", "perm.csv")).expect("moved");
    host.run();
    assert_eq!(host.names("inbox").len(), 0);
    assert_eq!(host.stored.len(), 2, "{:?}", host.stored.keys());
}

#[test]
fn thousands_of_links_do_not_hold_up_a_file_and_all_are_told() {
    const LINKS: usize = 3000;
    let mut host = Host::new(|_| {});
    for number in 0..LINKS {
        symlink("/etc/hostname", host.path("inbox", &format!("link{number}.csv"))).expect("linked");
    }
    host.drop_text("good.csv", format!("{HEADER}770001;;x;;\n"));
    let mut pages = 0;
    let mut waited = None;
    loop {
        let page = host.poll();
        let idle = page.items.is_empty() && page.wait != Wait::Now;
        host.store(page);
        match pages {
            // A crash after the commit: the next process puts away what the cursor names.
            1 => host.restart(),
            _ => host.acknowledge(),
        }
        if idle {
            break;
        }
        pages += 1;
        if waited.is_none() && !host.good().is_empty() {
            waited = Some(pages);
        }
    }
    assert!(waited.is_some_and(|pages| pages <= 6), "{waited:?}");
    assert!(pages <= LINKS / 200 + 20, "{pages}");
    assert_eq!(host.problems().len(), LINKS);
    assert_eq!(host.names("inbox"), BTreeSet::new());
    assert_eq!(
        host.names("failed").len(),
        LINKS,
        "a report for each, the links are gone"
    );
    assert_eq!(host.names("done").len(), 1);
}

#[test]
fn a_file_removed_or_replaced_in_the_middle_is_told() {
    for replaced in [false, true] {
        let mut host = Host::new(|settings| settings.rows_per_page = 1);
        host.drop_text("a.csv", format!("{HEADER}770001;;x;;\n770002;;y;;\n"));
        let page = host.poll();
        host.store(page);
        fs::remove_file(host.path("inbox", "a.csv")).expect("removed");
        if replaced {
            host.drop_text("a.csv", format!("{HEADER}770003;;another file;;\n"));
        }
        host.run();
        assert_eq!(host.problems().len(), 1);
        assert!(host.problems()[0].starts_with("file_vanished"));
        assert_eq!(host.good().len(), if replaced { 2 } else { 1 });
        assert_eq!(host.names("inbox"), BTreeSet::new());
    }
}

#[test]
fn a_file_written_over_in_the_middle_is_told_and_read_anew_and_a_touched_one_goes_on() {
    let text = format!("{HEADER}770001;;x;;\n770002;;y;;\n770003;;z;;\n");
    for (content, problems, rows) in [
        (text.replace(";y;", ";w;"), 1, 3),
        (text.replace("770003;;z;;\n", ""), 1, 2),
        (text.clone(), 0, 3),
    ] {
        let mut host = Host::new(|settings| settings.rows_per_page = 1);
        host.drop_text("a.csv", &text);
        let page = host.poll();
        host.store(page);
        let inode = fs::metadata(host.path("inbox", "a.csv")).expect("there").ino();
        host.drop_text("a.csv", &content);
        age(&host.path("inbox", "a.csv"), Duration::from_secs(7));
        assert_eq!(fs::metadata(host.path("inbox", "a.csv")).expect("there").ino(), inode);
        host.run();
        assert_eq!(
            (host.problems().len(), host.good().len()),
            (problems, rows),
            "{:?}",
            host.problems()
        );
        assert_eq!(host.names("done"), BTreeSet::from(["a.csv".to_owned()]));
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_moved_is_not_read_again() {
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{HEADER}770001;;x;;\n"));
    // A file where the folder should be: holds for root too, unlike rights.
    fs::remove_dir(host.path("done", "")).expect("removed");
    let page = host.poll();
    host.store(page);
    fs::remove_dir(host.path("done", "")).expect("made by the poll");
    fs::write(host.folder.path().join("done"), "in the way").expect("write");
    for _ in 0..3 {
        let error = host.try_poll().expect_err("can't be moved");
        assert!(error.to_string().contains("done"), "{error}");
    }
    fs::remove_file(host.folder.path().join("done")).expect("removed");
    host.run();
    assert_eq!((host.good().len(), host.unchanged), (1, 0));
    assert_eq!(host.names("done").len(), 1);
}

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
fn encodings_and_delimiters_are_found_out() {
    let row = "770001;05.01.2026;Ёлка, съезд;Город Пермь;\n";
    let text = format!("{HEADER}{row}").replace("Ёлка, съезд", "\"Ёлка, съезд\"");
    for delimiter in [";", ",", "\t"] {
        let text = text.replace(';', delimiter);
        let (windows, _, _) = encoding_rs::WINDOWS_1251.encode(&text);
        let with_mark = format!("\u{feff}{text}");
        for bytes in [text.as_bytes(), with_mark.as_bytes(), &windows] {
            let mut host = Host::new(|_| {});
            host.drop_text("a.csv", bytes);
            host.run();
            assert_eq!(host.problems(), [""; 0]);
            assert_eq!(host.messages("770001")[0].data.body.text, "Ёлка, съезд");
        }
    }
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
    for mapping in super::mapping::MAPPINGS {
        let line = format!("  {:<9} {}\n", mapping.name, mapping.title);
        assert!(asked.contains(&line), "{line}: {asked}");
    }
    settings.mapping = super::mapping::AUTO.into();
    let found_none = text(&settings);
    assert!(
        !found_none.contains("--mapping auto") && !found_none.contains("Имена полей"),
        "{found_none}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any bytes under a header: no panic, and everything written there comes out in some item.
    #[test]
    fn any_bytes_are_items_or_reported_problems(
        bytes in prop::collection::vec(
            prop_oneof![8 => prop::sample::select(b";;;;\"\n\r1 x".to_vec()), 1 => 128u8..], 0..400),
        pages in 1usize..5,
    ) {
        let mut host = Host::new(|settings| {
            settings.rows_per_page = pages;
            settings.encoding = super::config::EncodingSetting::Utf8;
        });
        let mut text = HEADER.as_bytes().to_vec();
        text.extend(&bytes);
        host.drop_text("a.csv", &text);
        let letters = |text: &str| text.matches(['1', 'x']).count();
        let mut seen = 0;
        loop {
            let page = host.poll();
            for item in &page.items {
                let body: serde_json::Value = serde_json::from_slice(&item.body).expect("JSON");
                seen += body["line"].as_str().map_or(0, letters);
                let cells = body["cells"].as_object().into_iter().flatten();
                seen += cells.filter_map(|(_, cell)| cell.as_str()).map(letters).sum::<usize>();
                let result = host.connector.normalize(&raw(item, 0));
                prop_assert_eq!(result.is_err(), item.problem.is_some());
            }
            let idle = page.items.is_empty() && page.wait != Wait::Now;
            host.store(page);
            if idle {
                break;
            }
        }
        prop_assert_eq!(seen, bytes.iter().filter(|byte| matches!(byte, b'1' | b'x')).count());
        prop_assert_eq!(host.names("inbox"), BTreeSet::new());
    }

    /// Any bytes as any kind of file: no panic, and the file ends up somewhere with a word about it.
    #[test]
    fn any_file_ends_up_somewhere(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\xD0\xCF\x11\xE0", b"\xEF\xBB\xBF"]),
        name in prop::sample::select(vec!["a.csv", "a.xlsx", "a.txt", "a"]),
    ) {
        let mut host = Host::new(|settings| settings.settle_broken = SignedDuration::ZERO);
        host.drop_text(name, [start, &bytes].concat());
        host.run();
        prop_assert_eq!(host.names("inbox"), BTreeSet::new());
        prop_assert_eq!(host.problems().len(), 1);
    }
}
