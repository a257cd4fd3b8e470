use std::os::unix::{fs::symlink, net::UnixListener};

use super::*;

fn held(root: &Path) -> Folder {
    Folder::configured(root, false).expect("a folder")
}

#[test]
fn only_a_file_with_one_name_is_opened_and_nothing_is_waited_for() {
    let root = tempfile::tempdir().expect("folder");
    let secret = root.path().join("secret");
    std::fs::write(&secret, "secret").expect("written");
    let inbox = root.path().join("inbox");
    std::fs::create_dir_all(inbox.join("folder")).expect("made");
    std::fs::write(inbox.join("plain"), "words").expect("written");
    symlink(&secret, inbox.join("link")).expect("linked");
    std::fs::hard_link(&secret, inbox.join("hard")).expect("linked");
    fs::mknodat(
        held(&inbox).descriptor.as_fd(),
        "pipe",
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    let _socket = UnixListener::bind(inbox.join("socket")).expect("a socket");
    let folder = held(&inbox);
    let refused = |name| folder.open(name).expect("opened").err();
    assert_eq!(refused("plain"), None);
    assert_eq!(refused("link"), Some(Refusal::Link));
    assert_eq!(refused("hard"), Some(Refusal::SecondName));
    assert_eq!(refused("pipe"), Some(Refusal::NoFile));
    assert_eq!(refused("socket"), Some(Refusal::NoFile));
    assert_eq!(refused("folder"), Some(Refusal::NoFile));
    for (name, kind) in [
        ("plain", Kind::File),
        ("folder", Kind::Folder),
        ("link", Kind::Refused(Refusal::Link)),
        ("hard", Kind::Refused(Refusal::SecondName)),
        ("pipe", Kind::Refused(Refusal::NoFile)),
        ("socket", Kind::Refused(Refusal::NoFile)),
    ] {
        assert_eq!(
            folder.entry(name).expect("looked").map(|entry| entry.kind),
            Some(kind),
            "{name}"
        );
    }
    for name in ["..", ".", "", "../secret", "/etc/passwd"] {
        assert!(folder.open(name).is_err() && folder.entry(name).is_err(), "{name}");
    }
}

#[test]
fn a_held_folder_stays_the_folder_it_was() {
    let root = tempfile::tempdir().expect("folder");
    let base = held(root.path());
    let failed = base.child("failed", Some(Mode::RWXU)).expect("made");
    std::fs::rename(root.path().join("failed"), root.path().join("old")).expect("moved");
    std::fs::create_dir(root.path().join("private")).expect("made");
    symlink(root.path().join("private"), root.path().join("failed")).expect("linked");
    failed.create("a.report.txt", b"why", Mode::RWXU).expect("written");
    assert!(root.path().join("old/a.report.txt").exists());
    let refused = base.child("failed", Some(Mode::RWXU)).expect_err("a link");
    assert!(matches!(refused.why, Why::Link { .. }), "{refused}");
}

#[test]
fn nothing_is_written_over_or_through_what_is_there() {
    let root = tempfile::tempdir().expect("folder");
    let folder = held(root.path());
    let target = root.path().join("target");
    std::fs::write(&target, "old").expect("written");
    symlink(&target, root.path().join("link")).expect("linked");
    symlink(root.path().join("missing"), root.path().join("dangling")).expect("linked");
    for name in ["target", "link", "dangling"] {
        assert!(folder.create(name, b"new", Mode::RWXU).is_err(), "{name}");
        assert!(folder.rename("target", &folder, name).is_err(), "{name}");
    }
    assert_eq!(std::fs::read_to_string(&target).expect("read"), "old");
    assert!(!root.path().join("missing").exists());
    folder.remove("link").expect("removed");
    assert!(target.exists());
}

#[test]
fn links_of_ones_own_lead_to_the_folder() {
    let root = tempfile::tempdir().expect("folder");
    std::fs::create_dir_all(root.path().join("disk/files")).expect("made");
    symlink("disk", root.path().join("mount")).expect("linked");
    symlink(root.path().join("mount/../mount"), root.path().join("way")).expect("linked");
    let folder = held(&root.path().join("way/files"));
    assert!(folder.is(&held(&root.path().join("disk/files"))));
    assert!(Folder::configured(&root.path().join("way/new/deep"), false).is_err());
    Folder::configured(&root.path().join("way/new/deep"), true).expect("made");
    assert!(root.path().join("disk/new/deep").is_dir());
    symlink("round", root.path().join("round")).expect("linked");
    assert!(Folder::configured(&root.path().join("round"), false).is_err());
}
