//! When a file is taken from the inbox and when it leaves it.

use super::*;

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
fn nothing_is_overwritten_and_other_files_wait_their_turn() {
    let mut host = Host::new(|_| {});
    for number in 1..4 {
        host.drop_text("a.csv", format!("{HEADER}77000{number};;x;;\n"));
        host.run();
    }
    assert_eq!(
        host.done(),
        BTreeSet::from(["a.csv", "a (2).csv", "a (3).csv"].map(str::to_owned))
    );
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
        assert_eq!(host.done(), BTreeSet::from(["a.csv".to_owned()]));
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
    assert_eq!(host.done().len(), 1);
}

/// Moves a file back as `mv` does. Clocks of file systems are coarse: until it shows that it was moved.
fn put_back(host: &Host, name: &str) {
    let (from, to) = (host.path("failed", name), host.path("inbox", name));
    let ctime = |path: &Path| {
        let found = fs::metadata(path).expect("there");
        (found.ctime(), found.ctime_nsec())
    };
    let before = ctime(&from);
    fs::rename(&from, &to).expect("moved");
    while ctime(&to) == before {
        fs::rename(&to, &from).expect("moved");
        fs::rename(&from, &to).expect("moved");
    }
}

#[test]
fn a_file_put_back_from_failed_is_read_with_the_corrected_settings() {
    for restarted in [false, true] {
        let mut host = Host::new(|_| {});
        host.drop_text("a.csv", "Шифр;Суть;Тема\n770001;яма;Ямы\n");
        host.run();
        assert_eq!((host.names("failed").len(), host.done().len()), (2, 0));
        if restarted {
            host.settings.headers = BTreeMap::from([
                ("Шифр".to_owned(), "number".to_owned()),
                ("Суть".to_owned(), "text".to_owned()),
            ]);
            host.restart();
        }
        put_back(&host, "a.csv");
        host.acknowledge();
        assert_eq!(host.names("inbox").len(), 1, "not put away by its old end");
        host.run();
        if restarted {
            assert_eq!(host.good().len(), 1);
            assert_eq!(host.names("failed"), BTreeSet::new(), "its report is gone, too");
        } else {
            assert_eq!(host.names("failed").len(), 2);
        }
    }
}

#[test]
fn a_file_written_on_after_it_was_put_away_is_read_again() {
    use std::io::Write as _;
    for restarted in [false, true] {
        let mut host = Host::new(|_| {});
        host.drop_text("a.csv", format!("{HEADER}770001;;x;;\n"));
        let mut writer = fs::OpenOptions::new()
            .append(true)
            .open(host.path("inbox", "a.csv"))
            .expect("open");
        host.run();
        assert_eq!((host.good().len(), host.done().len()), (1, 1));
        writer.write_all("770002;;y;;\n".as_bytes()).expect("written");
        if restarted {
            host.restart();
            host.acknowledge();
        }
        host.run();
        assert_eq!(host.good().len(), 2);
        assert_eq!(
            (host.unchanged, host.names("inbox").len(), host.done().len()),
            (1, 0, 1)
        );
    }
}
