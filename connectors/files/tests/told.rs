//! What is said of a file that was read.

use super::*;

#[test]
fn a_file_without_a_row_is_never_quiet() {
    let host = incidents("");
    assert_eq!(
        host.problems(),
        ["file_no_rows: the file has a header and no row of data"]
    );
    assert!(host.names("done").contains("a.csv"));
    assert!(report(&host, "a.csv").contains("ничего не принято"));
    let text = probed(&host, "done", "a.csv", &FilesSettings::new("/in"));
    assert!(text.contains("НИ ОДНА СТРОКА НЕ СТАНЕТ СООБЩЕНИЕМ"), "{text}");
}

#[test]
fn the_report_names_the_columns_that_were_left_out() {
    let mut host = Host::new(|_| {});
    host.drop_text(
        "a.csv",
        "Номер инцидента;Тема;Пометка;Текст инцидента\n550001;Ямы;x;яма\nИтого: 1;;;\n",
    );
    host.run();
    let text = report(&host, "a.csv");
    assert!(
        text.contains("C «Пометка»") && text.contains("priem files columns incident"),
        "{text}"
    );
}

#[test]
fn bad_rows_alone_unknown_columns_alone_and_unread_dates_are_told() {
    let host = incidents("550001;05.01.2026;Дороги;Ямы;яма\n;05.01.2026;Дороги;Ямы;яма\n");
    let text = report(&host, "a.csv");
    assert!(
        text.contains("Принято строк: 1, отложено в карантин: 1.") && text.contains("Отложены строки 3:"),
        "{text}"
    );
    let mut host = Host::new(|_| {});
    host.drop_text(
        "a.csv",
        "Номер инцидента;Тема;Пометка;Текст инцидента\n550001;Ямы;x;яма\n",
    );
    host.run();
    assert!(report(&host, "a.csv").contains("C «Пометка»"));
    let host = incidents("550001;вчера;Дороги;Ямы;яма\n550002;05.01.2026;Дороги;Ямы;яма\n");
    assert!(report(&host, "a.csv").contains("Дат, которые не удалось прочитать: 1."));
    let host = incidents("550001;05.01.2026;Дороги;Ямы;яма\n");
    assert!(!host.names("done").contains("a.csv.report.txt"), "nothing to tell");
}
