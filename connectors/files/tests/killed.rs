//! The process dies over a file: twice over the same page, and the file goes to `failed/`; what stood before is imported.

use jiff::SignedDuration;
use priem_sdk::{Page, Wait};

use super::Host;

fn text(rows: usize) -> String {
    let mut text = String::from("Номер инцидента;Тема;Текст инцидента\n");
    for row in 1..=rows {
        text.push_str(&format!("77{row:04};Ямы;яма {row}\n"));
    }
    text
}

/// The note as a process leaves it that dies while it reads, `deaths` having happened before.
fn die(host: &Host, file: &str, row: u64, deaths: u32) {
    let metadata = std::fs::metadata(host.path("inbox", file)).expect("there");
    let stamp = super::super::cursor::Stamp::of(&metadata);
    let note = format!(
        "{deaths} 00000000000000aa {file:?} {} {} row {row}\n",
        stamp.size, stamp.mtime
    );
    std::fs::write(host.folder.path().join(".in-hand"), note).expect("written");
}

/// What the last process died over is left alone for some seconds; then it is read.
fn poll_patiently(host: &Host) -> Page {
    let page = host.poll();
    assert!(
        page.items.is_empty(),
        "not at once: a kill at the start would accuse it"
    );
    let Wait::For(rest) = page.wait else {
        panic!("no time is given: {:?}", page.wait);
    };
    std::thread::sleep(rest);
    host.poll()
}

#[test]
fn a_page_the_process_died_over_twice_ends_the_file_and_nothing_else() {
    let mut host = Host::new(|settings| settings.rows_per_page = 10);
    host.drop_text("deadly.csv", text(25));
    let page = host.poll();
    host.store(page);
    assert_eq!(host.good().len(), 10);
    // Once: read again.
    die(&host, "deadly.csv", 11, 0);
    host.restart();
    let page = poll_patiently(&host);
    assert_eq!(page.items.len(), 10, "one death is no reason");
    // Twice over the page that begins behind row 11; before the journal had the page above.
    die(&host, "deadly.csv", 11, 1);
    host.restart();
    host.drop_text("good.csv", text(3).replace("77000", "88000"));
    host.run();
    assert_eq!(host.names("failed").len(), 2, "{:?}", host.names("failed"));
    assert_eq!(host.done().len(), 1);
    assert_eq!(host.good().len(), 13);
    let report = std::fs::read_to_string(host.path("failed", "deadly.csv.report.txt")).expect("a report");
    for words in [
        "после строки 11",
        "дважды аварийно",
        "принято строк: 10",
        "file_killed_process",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    // Put in again by a person, it is read again.
    std::fs::rename(host.path("failed", "deadly.csv"), host.path("inbox", "deadly.csv")).expect("moved");
    host.run();
    assert_eq!(host.good().len(), 28);
    assert_eq!(
        std::fs::read_to_string(host.folder.path().join(".in-hand"))
            .expect("a note")
            .lines()
            .next(),
        Some("")
    );
}

#[test]
fn a_file_nobody_can_even_open_twice_is_put_away_too() {
    let mut host = Host::new(|settings| settings.settle_broken = SignedDuration::ZERO);
    host.drop_text("deadly.xlsx", b"PK\x03\x04");
    die(&host, "deadly.xlsx", 0, 1);
    host.restart();
    host.run();
    assert_eq!(host.names("failed").len(), 2);
    assert!(host.problems()[0].contains("killed twice"), "{:?}", host.problems());
}
