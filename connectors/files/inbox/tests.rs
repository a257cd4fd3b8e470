use std::{fs, os::unix::fs::symlink, sync::Barrier};

use super::*;

struct Place {
    root: tempfile::TempDir,
    inbox: Inbox,
    held: Arc<Held>,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("folder");
        let inbox = Inbox::new(root.path().into(), Duration::ZERO, Duration::ZERO);
        let held = inbox.held().expect("folders");
        Self { root, inbox, held }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    /// A cursor that says this file came to its end.
    fn ended(&self, name: &str, end: End) -> FileCursor {
        let entry = self.held.inbox.entry(name).expect("looked").expect("is there");
        let mut cursor = FileCursor::start(name.into(), entry.stamp, "00".into());
        cursor.end = Some(end);
        cursor
    }

    fn put_away(&self, cursor: &FileCursor) {
        let report = |_: Option<&Source>| (cursor.end != Some(End::Done)).then(|| "why".to_owned());
        self.inbox.put_away(&self.held, cursor, report).expect("put away");
    }
}

fn failed() -> End {
    End::Failed {
        reason: "file_unsupported".into(),
        report: "why".into(),
    }
}

#[test]
fn a_file_that_another_thread_put_away_first_is_no_error_and_leaves_no_report() {
    let place = Place::new();
    fs::write(place.path("inbox/a.pdf"), "%PDF").expect("a file");
    let cursor = place.ended("a.pdf", failed());
    let faster = |_: Option<&Source>| {
        fs::rename(place.path("inbox/a.pdf"), place.path("elsewhere.pdf")).expect("moved");
        Some("why".to_owned())
    };
    place
        .inbox
        .put_away(&place.held, &cursor, faster)
        .expect("nothing left to do");
    assert!(place.names("failed").is_empty());
}

#[test]
fn one_file_put_away_twice_at_once_is_put_away_once() {
    let place = Place::new();
    let again = Inbox::new(place.root.path().to_owned(), Duration::ZERO, Duration::ZERO);
    let held = again.held().expect("held");
    for round in 0..200 {
        let name = format!("{round}.pdf");
        fs::write(place.path("inbox").join(&name), "%PDF").expect("a file");
        let cursor = place.ended(&name, failed());
        let start = Barrier::new(2);
        let put_away = |inbox: &Inbox, held: &Held| {
            start.wait();
            inbox.put_away(held, &cursor, |_| Some("why".to_owned()))
        };
        std::thread::scope(|scope| {
            let one = scope.spawn(|| put_away(&place.inbox, &place.held));
            put_away(&again, &held).expect("put away");
            one.join().expect("no panic").expect("put away");
        });
    }
    let names = place.names("failed");
    assert_eq!(names.len(), 400, "{names:?}");
}

#[test]
fn a_file_that_cannot_be_moved_is_an_error() {
    let place = Place::new();
    fs::write(place.path("inbox/a.csv"), "1").expect("a file");
    let cursor = place.ended("a.csv", End::Done);
    fs::remove_dir(place.path("done")).expect("removed");
    let refused = place.inbox.put_away(&place.held, &cursor, |_| None);
    assert_eq!(refused.expect_err("nowhere to go").path, place.path("done"));
}

#[test]
fn a_link_is_removed_with_a_report_and_its_target_untouched() {
    let place = Place::new();
    fs::write(place.path("secret"), "words").expect("a file");
    symlink(place.path("secret"), place.path("inbox/a.csv")).expect("linked");
    fs::hard_link(place.path("secret"), place.path("inbox/b.csv")).expect("linked");
    let look = place.inbox.look(&place.held.inbox, SystemTime::now()).expect("looked");
    assert_eq!(look.ready, None);
    let mut refused: Vec<_> = look
        .refused
        .iter()
        .map(|one| (one.file.as_str(), one.refusal))
        .collect();
    refused.sort_by_key(|(name, _)| *name);
    assert_eq!(refused, [("a.csv", Refusal::Link), ("b.csv", Refusal::SecondName)]);
    for (name, _) in refused {
        place.put_away(&place.ended(name, failed()));
    }
    assert!(place.names("inbox").is_empty());
    assert_eq!(place.names("failed"), ["a.csv.report.txt", "b.csv", "b.csv.report.txt"]);
    assert_eq!(fs::read_to_string(place.path("secret")).expect("read"), "words");
}

#[test]
fn a_file_that_took_the_name_of_another_is_not_put_away_unread() {
    let place = Place::new();
    fs::write(place.path("inbox/a.csv"), "read").expect("a file");
    fs::write(place.path("new.csv"), "unread").expect("a file");
    let cursor = place.ended("a.csv", End::Done);
    // Between the look and the move.
    let replaced = |_: Option<&Source>| {
        fs::rename(place.path("new.csv"), place.path("inbox/a.csv")).expect("replaced");
        None
    };
    place
        .inbox
        .put_away(&place.held, &cursor, replaced)
        .expect("nothing lost");
    assert!(place.names("done").is_empty());
    assert_eq!(fs::read_to_string(place.path("inbox/a.csv")).expect("read"), "unread");
}

#[test]
fn a_file_of_the_same_size_and_time_is_another_file() {
    let place = Place::new();
    fs::write(place.path("inbox/a.csv"), "1111").expect("a file");
    let cursor = place.ended("a.csv", End::Done);
    fs::write(place.path("b.csv"), "2222").expect("a file");
    let time = fs::metadata(place.path("inbox/a.csv")).and_then(|found| found.modified());
    let twin = fs::File::options().write(true).open(place.path("b.csv")).expect("open");
    twin.set_modified(time.expect("a time")).expect("the same time");
    fs::rename(place.path("b.csv"), place.path("inbox/a.csv")).expect("replaced");
    place.put_away(&cursor);
    assert_eq!(place.names("inbox"), ["a.csv"]);
    // A cursor of an earlier version knows size and time only.
    let mut old = cursor;
    (old.stamp.inode, old.stamp.ctime) = (0, 0);
    place.put_away(&old);
    assert_eq!(place.names("done"), ["a.csv"]);
}

#[test]
fn a_folder_replaced_by_a_link_is_refused_and_by_a_folder_is_taken() {
    let place = Place::new();
    fs::create_dir(place.path("private")).expect("made");
    for name in ["inbox", "done", "failed"] {
        fs::rename(place.path(name), place.path("old")).expect("moved");
        symlink(place.path("private"), place.path(name)).expect("linked");
        let refused = place.inbox.held().expect_err("a link");
        assert_eq!(refused.path, place.path(name));
        assert!(matches!(refused.why, Why::Link { .. }), "{refused}");
        fs::remove_file(place.path(name)).expect("removed");
        let again = place.inbox.held().expect("made anew");
        assert!(
            !again
                .base
                .child(name, None)
                .expect("there")
                .is(&place.held.base.child("old", None).expect("there"))
        );
        fs::remove_dir(place.path("old")).expect("removed");
    }
    assert!(place.names("private").is_empty());
}

#[test]
fn names_that_are_too_long_or_taken_stop_nothing() {
    let place = Place::new();
    let name = format!("{}я.csv", "ж".repeat(124));
    assert_eq!(name.len(), 254);
    for _ in 0..2 {
        fs::write(place.path("inbox").join(&name), "1").expect("a file");
        place.put_away(&place.ended(&name, failed()));
    }
    assert_eq!(place.names("failed").len(), 4);
    fs::write(place.path("inbox/journal.sqlite-journal"), "1").expect("a file");
    place.put_away(&place.ended("journal.sqlite-journal", failed()));
    assert!(place.path("failed/journal.sqlite-journal.report.txt").exists());
    // A report that a crash left behind is written anew.
    fs::remove_file(place.path("failed/journal.sqlite-journal")).expect("removed");
    fs::write(place.path("inbox/journal.sqlite-journal"), "1").expect("a file");
    place.put_away(&place.ended("journal.sqlite-journal", failed()));
    assert_eq!(place.names("failed").len(), 6);
}

#[test]
fn the_report_of_a_long_name_is_as_long_as_the_file_system_takes() {
    let name = format!("{}.csv", "ж".repeat(69));
    assert_eq!(report_name(&name, 255), format!("{name}{REPORT}"));
    for longest in [143, 152, 100] {
        let beside = report_name(&name, longest);
        assert!(
            beside.len() <= longest && beside.len() + 2 > longest && beside.ends_with(REPORT),
            "{beside}"
        );
    }
    assert_ne!(report_name(&name, 143), report_name(&format!("{name}x"), 143));
    let place = Place::new();
    assert!((64..=255).contains(&place.held.done.longest_name()));
}

#[test]
fn control_characters_in_a_name_leave_it_alone() {
    let place = Place::new();
    fs::write(place.path("inbox/a\n\u{1b}[31m.csv"), "1").expect("a file");
    let look = place.inbox.look(&place.held.inbox, SystemTime::now()).expect("looked");
    assert_eq!((look.ready, look.left.names), (None, 1));
    assert_eq!(look.left.shown, ["a\\n\\u{1b}[31m.csv"]);
}
