//! What is no file of ours, or no row: refused with a reason.

use super::*;

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
    assert_eq!(host.done().len(), 1);
}
