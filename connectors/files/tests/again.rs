//! The same file again, and the same number twice in one file.

use std::fs;

use super::Host;

const HEADER: &str = "Номер;Источник;Организация, в которой находится сообщение;Статус;Оценка ответа заявителем\n";

fn host() -> Host {
    Host::new(|settings| settings.mapping = "pos".into())
}

fn versions(host: &Host) -> usize {
    host.stored.values().map(Vec::len).sum()
}

#[test]
fn the_same_bytes_again_change_nothing_whatever_came_between() {
    let mut host = host();
    let first = format!("{HEADER}30001;Виджет;Отдел;В работе;\n30002;Виджет;Отдел;В работе;\n");
    let second = format!("{HEADER}30001;Виджет;Отдел;Закрыто;5\n30002;Виджет;Отдел;В работе;\n");
    host.drop_text("1.csv", &first);
    host.run();
    host.drop_text("2.csv", &second);
    host.run();
    let before = versions(&host);
    assert_eq!(host.stored["30001#status"].len(), 2);
    host.restart();
    host.drop_text("1 (копия).csv", &first);
    host.run();
    assert_eq!(versions(&host), before, "the status does not go back");
    let report = fs::read_to_string(host.path("done", "1 (копия).csv.report.txt")).expect("a report");
    assert!(report.contains("уже принимался"), "{report}");
    assert_eq!(host.names("inbox").len(), 0);
    // Understood in another way, it is read.
    host.settings.zone = "Europe/Moscow".into();
    host.restart();
    host.drop_text("1.csv", &first);
    host.run();
    assert_eq!(host.stored["30001#status"].len(), 3);
}

#[test]
fn refused_files_and_links_between_do_not_forget_what_was_read() {
    let mut host = host();
    let first = format!("{HEADER}30001;Виджет;Отдел;В работе;\n");
    host.drop_text("1.csv", &first);
    host.run();
    host.drop_text("2.csv", format!("{HEADER}30001;Виджет;Отдел;Закрыто;\n"));
    host.run();
    std::os::unix::fs::symlink("/etc/hostname", host.path("inbox", "link.csv")).expect("linked");
    host.run();
    host.drop_text("3.pdf", "%PDF");
    host.run();
    host.drop_text("4.csv", "а;б;в\n1;2;3\n");
    host.run();
    let before = versions(&host);
    host.drop_text("1.csv", &first);
    host.run();
    assert_eq!(versions(&host), before);
}

#[test]
fn a_number_twice_in_one_file_is_told_and_the_file_again_changes_nothing() {
    let mut host = host();
    let text = format!(
        "{HEADER}30001;Виджет;Отдел;В работе;\n30001;Виджет;Другой отдел;В работе;\n30002;Виджет;Отдел;В работе;\n30002;Виджет;Отдел;В работе;\n30003;Виджет;Отдел;В работе;\n30003;Виджет;Отдел;Закрыто;\n"
    );
    for name in ["a.csv", "b.csv", "c.csv"] {
        host.drop_text(name, &text);
        host.run();
    }
    assert_eq!(host.stored["30001"].len(), 2, "one received, one updated");
    assert_eq!(host.stored["30002"].len(), 1, "the same row twice is one");
    assert_eq!(host.stored["30003#status"].len(), 2, "the status alone differs");
    let report = fs::read_to_string(host.path("done", "a.csv.report.txt")).expect("a report");
    assert!(report.contains("который в этом файле уже был: 2."), "{report}");
}
