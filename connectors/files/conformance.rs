//! What the conformance kit examines: rows of every fate, and a folder to read with crashes at every step.

use std::{fs, sync::Arc};

use jiff::{SignedDuration, civil::DateTime};
use priem_sdk::{
    Connector, Cx, Item,
    conformance::{BoxFuture, Expected, FaultSample, ItemSample, PollSubject, Subject},
    contract::ConnectorId,
};

use priem_tables::{Fault, RawRow, RowFault, dates::Order};

use super::{
    FilesConnector, FilesSettings, INBOX,
    items::{self, RowContext},
    layout::Layout,
    problem::FileProblem,
};

const HEADER: &[&str] = &[
    "Номер инцидента",
    "Дата создания",
    "Текст инцидента",
    "Тема",
    "Муниципалитет",
    "Служебное",
];
const GOOD: &[&str] = &[
    "770001",
    "05.01.2026 10:30",
    "[id1|Анна], яма<br>у дома",
    "★ Ямы",
    "Омск г.о.",
    "x",
];
/// Rows of the first file to poll: good, changed, without a number, with too few cells.
const FILE: &str = "\
Номер инцидента;Тема;Текст инцидента
770001;Ямы;яма
770001;Ямы;яма засыпана
;Ямы;без номера
770002;мало
770003;Снег;\"два
ряда\"
";
/// Different keys in the poller's files: three versions, two bad rows, and the file that is no export.
const DIFFERENT_ITEMS: usize = 6;

/// The subject.
pub fn subject() -> Subject {
    let connector = connector(FilesSettings::new("/nowhere"));
    let mut subject = Subject::new(connector, ConnectorId::new("files"));
    subject.items = samples();
    subject.poller = Some(|| poller(false));
    subject.faults = vec![FaultSample {
        name: "a file where the inbox should be",
        poller: || poller(true),
        kind: "misconfigured",
    }];
    subject.waivers = vec![
        ("secrets.never_said", "the settings hold no secret"),
        (
            "poll.fault_kinds",
            "a folder has no credentials and no limit of requests; what goes wrong with it needs a human",
        ),
    ];
    subject
}

fn connector(settings: FilesSettings) -> Arc<dyn Connector> {
    Arc::new(FilesConnector::new(settings).expect("the defaults are valid"))
}

fn samples() -> Vec<ItemSample> {
    let checked = FilesSettings::new("/nowhere")
        .validate()
        .expect("the defaults are valid");
    let texts = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let header = RawRow::good(1, texts(HEADER));
    let layout = Layout::find(&[header], &checked.mappings, &checked.named).expect("the header is known");
    let context = RowContext {
        file: "выгрузка.xlsx",
        sheet: Some("Лист1"),
        layout: &layout,
        zone: &checked.zone,
        order: Order::Unsaid,
        until: DateTime::MAX,
    };
    let item = |row: &RawRow| items::row_items(&context, row).items.remove(0);
    let sample = |name, item: Item, expected| ItemSample { name, item, expected };
    let mut nameless = texts(GOOD);
    nameless[0].clear();
    vec![
        sample("a good row", item(&RawRow::good(2, texts(GOOD))), Expected::Messages(1)),
        sample(
            "a row with a number only",
            item(&RawRow::good(3, texts(&["770002"]))),
            Expected::Quarantine("bad_row"),
        ),
        sample(
            "a row without its number",
            item(&RawRow::good(4, nameless)),
            Expected::Quarantine("bad_row"),
        ),
        sample(
            "a row that can't be split",
            item(&RawRow::broken(5, RowFault::Quotes, b"1;\"2")),
            Expected::Quarantine("bad_row"),
        ),
        sample(
            "a file that can't be read",
            items::file_item(
                "x.pdf",
                "00",
                &FileProblem::Table(Fault::Unsupported("neither XLSX nor CSV")),
            ),
            Expected::Quarantine("file_unsupported"),
        ),
    ]
}

/// A fresh drop folder with two files; `blocked`: a file stands where the inbox should be.
fn poller(blocked: bool) -> BoxFuture<PollSubject> {
    Box::pin(async move {
        let folder = tempfile::tempdir().expect("the temporary folder of the system can be written");
        let inbox = folder.path().join("inbox");
        let written = if blocked {
            fs::write(&inbox, "in the way")
        } else {
            fs::create_dir(&inbox)
                .and_then(|()| fs::write(inbox.join("a.csv"), FILE))
                .and_then(|()| fs::write(inbox.join("b.pdf"), "%PDF"))
        };
        written.expect("a fresh folder can be written");
        let mut settings = FilesSettings::new(folder.path());
        settings.settle = SignedDuration::ZERO;
        settings.every = SignedDuration::from_millis(1);
        settings.rows_per_page = 2;
        PollSubject {
            open: Box::new(move || connector(settings.clone())),
            cx: Cx {
                id: ConnectorId::new("files"),
                take_over: false,
            },
            stream: INBOX,
            items: DIFFERENT_ITEMS,
            keep: Box::new(folder),
        }
    })
}
