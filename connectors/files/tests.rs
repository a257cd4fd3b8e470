//! The drop folder as the host drives it: pages, crashes at every step, broken files.

mod again;
mod asked;
mod bombs;
mod books;
mod cells;
mod container;
mod import;
mod killed;
mod kinds;
mod layouts;
mod moving;
mod numbers;
mod older;
mod refused;
mod registries;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use priem_city::exports::{self, Encoding, ExportSpec, Format, Layout, sample_voice};
use priem_sdk::{
    Connector, ConnectorError, Cursor, Cx, EventType, Item, Message, Page, RawItem, Wait,
    contract::ConnectorId,
    message::{CommonStatus, Precision},
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
    /// As of when the newest version of each speaks.
    as_of: BTreeMap<String, DateTime>,
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
            as_of: BTreeMap::new(),
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
        let mut older = 0;
        for item in page.items {
            let known_as_of = self.as_of.get(&item.external_id).copied();
            let versions = self.stored.entry(item.external_id.clone()).or_default();
            let newest = versions.last();
            let same_revision = item.revision.is_some() && newest.is_some_and(|old| old.revision == item.revision);
            let same_content =
                item.fingerprint.is_some() && newest.is_some_and(|old| old.fingerprint == item.fingerprint);
            let was_so = versions.iter().any(|old| old.fingerprint == item.fingerprint);
            let is_older = page
                .as_of
                .zip(known_as_of)
                .is_some_and(|(new, known)| new < known || new == known && was_so);
            if same_revision || same_content {
                self.unchanged += 1;
            } else if is_older && item.revision.is_none() {
                older += 1;
                continue;
            } else {
                versions.push(item.clone());
            }
            if let Some(as_of) = page.as_of.filter(|_| !same_content || known_as_of.is_none()) {
                self.as_of.insert(item.external_id, as_of);
            }
        }
        if older > 0 {
            self.connector.left_out("inbox", older);
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

    /// What lies in `done/` but for reports.
    fn done(&self) -> BTreeSet<String> {
        let mut names = self.names("done");
        names.retain(|name| !name.ends_with(".report.txt"));
        names
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
        received_at: Timestamp::constant(1_788_000_900, 0),
    }
}

fn age(path: &Path, by: Duration) {
    let file = fs::File::options().write(true).open(path).expect("open");
    file.set_modified(SystemTime::now() - by).expect("set the time");
}

const HEADER: &str = "Номер инцидента;Дата создания;Текст инцидента;Муниципалитет;Внутренняя пометка\n";

const INCIDENT: &str = "Номер инцидента;Дата создания;Группа тем;Тема;Текст инцидента\n";

const INCIDENT_HEADER: &[&str] = &[
    "Номер инцидента",
    "Дата создания",
    "Группа тем",
    "Тема",
    "Текст инцидента",
];

fn incidents(rows: &str) -> Host {
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{INCIDENT}{rows}"));
    host.run();
    host
}

fn pos(rows: &str) -> Host {
    let mut host = Host::new(|settings| settings.mapping = "pos".into());
    host.drop_text("a.csv", rows);
    host.run();
    host
}

/// Keys of rows, without those of their aspects.
fn keys(host: &Host) -> Vec<&str> {
    let keys = host.good().into_iter().map(String::as_str);
    keys.filter(|key| !key.contains('#')).collect()
}

fn report(host: &Host, name: &str) -> String {
    fs::read_to_string(host.path("done", &format!("{name}.report.txt"))).expect("a report")
}

fn probed(host: &Host, place: &str, name: &str, settings: &FilesSettings) -> String {
    let report = probe::probe(&host.path(place, name), settings, 0, &mut |_, _| {}).expect("settings");
    report.render()
}
