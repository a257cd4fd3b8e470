//! A journal that can't be written: the disk is full, a limit is reached, files may not grow, the file system is
//! read-only, another daemon has it. Refused while it lasts, recovered without a restart, nothing acknowledged lost.
//!
//! A real full disk is a small tmpfs and needs the right to mount; without it those tests say so and leave the proof to
//! the one with a file size limit, which needs no rights.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use priem_city::broker::Broker;

use crate::support::{
    Installation, PATIENCE,
    flow::{self, HOOK_PATH, HOOK_SECRET, HOOK_TOKEN, Ledger, QUEUE, Writers},
    http, until,
};

/// A small disk of its own, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` without the right to mount.
    fn mount(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let disk = Self(folder);
        let done = mount(
            &["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "priem-test"],
            disk.path(),
        );
        if !done {
            println!("not run: no right to mount a small disk; the test with a file size limit covers the answers");
        }
        done.then_some(disk)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills the disk up to `left` bytes.
    fn fill(&self, left: u64) {
        let stat = Command::new("df")
            .args(["-B1", "--output=avail"])
            .arg(self.path())
            .output()
            .expect("df");
        let free: u64 = String::from_utf8_lossy(&stat.stdout)
            .lines()
            .nth(1)
            .expect("a line")
            .trim()
            .parse()
            .expect("bytes");
        let mut filler = std::fs::File::create(self.path().join("filler")).expect("a file");
        let piece = [0; 4096];
        let mut wanted = free.saturating_sub(left);
        // The daemon writes too: the disk may be full before we are through.
        while wanted > 0 && filler.write_all(&piece[..piece.len().min(wanted as usize)]).is_ok() {
            wanted = wanted.saturating_sub(piece.len() as u64);
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("the filler goes");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Not mounted, when mounting failed.
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.path())
            .stderr(Stdio::null())
            .status();
    }
}

fn mount(arguments: &[&str], on: &Path) -> bool {
    let done = Command::new("mount")
        .args(arguments)
        .arg(on)
        .stderr(Stdio::null())
        .status();
    done.is_ok_and(|status| status.success())
}

/// One delivery of our own: status and `Retry-After`.
async fn deliver(daemon: &Installation, body: &'static str) -> (u16, Option<String>) {
    let answer = http()
        .post(format!("http://127.0.0.1:{}/hooks/hook/{HOOK_PATH}", daemon.hooks))
        .header("x-telegram-bot-api-secret-token", HOOK_SECRET)
        .body(body)
        .send()
        .await
        .expect("an answer");
    let retry_after = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    (answer.status().as_u16(), retry_after)
}

/// The answers of a journal that takes nothing: 503 for deliveries, not ready because of the journal, a metric.
async fn assert_refusing(daemon: &Installation) {
    let (status, retry_after) = deliver(daemon, "{\"update_id\": 1}").await;
    assert_eq!((status, retry_after.as_deref()), (503, Some("30")));
    until("not ready", async || {
        matches!(daemon.get("/health/ready").await, Some((503, _)))
    })
    .await;
    let (_, body) = daemon.get("/health/ready").await.expect("an answer");
    let report: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(report["not_met"][0]["condition"], "journal", "{body}");
    assert_eq!(daemon.metric("priem_journal_writable", "").await, 0.0);
    assert!(matches!(daemon.get("/health/live").await, Some((200, _))), "it lives");
    assert!(daemon.log().contains("journal refuses new items"), "{}", daemon.log());
}

/// Citizens write until the daemon refuses, the reason goes away, everything arrives; gives what came out.
async fn refused_and_recovered(
    daemon: &mut Installation,
    prevent: impl FnOnce(&Installation),
    allow: impl FnOnce(&Installation),
) -> Ledger {
    let city = flow::telegram().await;
    let bot = city.bot(HOOK_TOKEN);
    let (mut ledger, mut writers) = (Ledger::default(), Writers::new(bot.clone(), "hook", 5));
    daemon.configure(
        &std::fs::read_to_string(daemon.config())
            .expect("settings")
            .replace("{api}", &city.api_url()),
    );
    daemon.start().await;
    writers.keep_waiting(20, &mut ledger);
    bot.wait_until(|bot| bot.delivered() >= 10).await;
    prevent(daemon);
    until("a refusal", async || {
        writers.keep_waiting(20, &mut ledger);
        daemon.metric("priem_webhook_answers_total", "status=\"503\"").await > 0.0
    })
    .await;
    assert_refusing(daemon).await;
    daemon.assert_running();
    let refused = bot.pending();
    assert!(refused > 0, "what is refused stays with the platform");

    allow(daemon);
    until("ready again", async || {
        matches!(daemon.get("/health/ready").await, Some((200, _)))
    })
    .await;
    let waited = tokio::time::timeout(PATIENCE, bot.wait_until(|bot| bot.pending() == 0)).await;
    assert!(waited.is_ok(), "{} updates are left:\n{}", bot.pending(), daemon.log());
    assert_eq!(daemon.metric("priem_journal_writable", "").await, 1.0);
    assert!(daemon.log().contains("journal takes new items again"));
    until("nothing is pending", async || daemon.stats()["pending"] == 0).await;
    daemon.assert_running();
    daemon.stop().await;
    assert!(daemon.priem(&["journal", "verify"]).status.success());
    assert_eq!(city.violations(), [""; 0]);
    ledger
}

/// Installs a webhook daemon whose journal is on the disk.
fn on_disk(disk: &Disk, min_free_bytes: u64) -> Installation {
    let journal = format!(
        "journal: {{ dir: \"{}\", min_free_bytes: {min_free_bytes} }}",
        disk.path().display()
    );
    let settings = flow::settings(None).replace("journal: { dir: journal, min_free_bytes: 0 }", &journal);
    assert!(settings.contains(&journal));
    flow::install(&(settings + &flow::hook("{api}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = Disk::mount(12 << 20) else { return };
    let mut daemon = on_disk(&disk, 0);
    let ledger = refused_and_recovered(&mut daemon, |_| disk.fill(0), |_| disk.free()).await;
    let settlement = ledger.settle_lines(&daemon.folder.path().join("out.ndjson"));
    settlement.assert_each_once(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_on_free_space_refuses_before_the_disk_is_full() {
    let Some(disk) = Disk::mount(12 << 20) else { return };
    let mut daemon = on_disk(&disk, 4 << 20);
    let ledger = refused_and_recovered(&mut daemon, |_| disk.fill(3 << 20), |_| disk.free()).await;
    assert!(
        daemon.log().contains("journal.min_free_bytes is 4194304"),
        "the log names the limit and the figures"
    );
    let settlement = ledger.settle_lines(&daemon.folder.path().join("out.ndjson"));
    settlement.assert_each_once(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_turns_read_only_refuses_and_recovers() {
    let broker = Broker::start().await.expect("a broker");
    let mut daemon = flow::install(&(flow::settings(Some(&broker)) + &flow::hook("{api}")));
    // Beyond the limit the kernel sends SIGXFSZ before it fails the write: a disk sends nothing. The log goes through a
    // pipe, because the limit holds for every file.
    daemon.wrap(&["bash", "-c", "trap '' XFSZ; exec \"$@\" 2> >(exec cat >&2)", "bash"]);
    let limit = |daemon: &Installation, limit: &str| {
        let done = Command::new("prlimit")
            .args(["--pid", &daemon.pid().to_string(), limit])
            .status()
            .expect("prlimit");
        assert!(done.success());
    };
    let ledger = refused_and_recovered(
        &mut daemon,
        |daemon| limit(daemon, "--fsize=0:unlimited"),
        |daemon| limit(daemon, "--fsize=unlimited:unlimited"),
    )
    .await;
    let settlement = ledger.settle(&broker.drain(QUEUE).await.expect("the queue"));
    settlement.assert_each_once(&ledger);
}

/// Starts a daemon that can't start; exit code and what it says.
async fn refused_start(daemon: &mut Installation) -> (i32, String) {
    daemon.spawn();
    let code = daemon.ended().await;
    (code, daemon.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_journal_at_start_is_named() {
    let Some(disk) = Disk::mount(4 << 20) else { return };
    assert!(mount(&["-o", "remount,ro"], disk.path()), "a read-only disk");
    let mut daemon = on_disk(&disk, 0);
    daemon.configure(
        &std::fs::read_to_string(daemon.config())
            .expect("settings")
            .replace("{api}", "http://127.0.0.1:9"),
    );
    let (code, said) = refused_start(&mut daemon).await;
    assert_eq!(code, 3, "{said}");
    let folder = disk.path().display().to_string();
    assert!(
        said.contains(&folder) && said.contains("Read-only file system"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_can_only_read_says_what_it_needs() {
    let Some(disk) = Disk::mount(4 << 20) else { return };
    let city = flow::telegram().await;
    let mut daemon = on_disk(&disk, 0);
    daemon.configure(
        &std::fs::read_to_string(daemon.config())
            .expect("settings")
            .replace("{api}", &city.api_url()),
    );
    daemon.start().await;
    daemon.stop().await;
    assert!(mount(&["-o", "remount,ro"], disk.path()), "a read-only disk");
    for arguments in [["journal", "stats"], ["journal", "verify"], ["quarantine", "list"]] {
        let output = daemon.priem(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains("journal.sqlite") && said.contains("sudo -u priem"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_journal_is_refused() {
    let settings = flow::settings(None);
    let mut first = flow::install(&settings);
    first.start().await;
    let elsewhere = settings.replace("dir: journal", &format!("dir: \"{}\"", first.journal().display()));
    let mut second = flow::install(&elsewhere);
    let (code, said) = refused_start(&mut second).await;
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("in use by another priem") && said.contains(&first.journal().display().to_string()),
        "{said}"
    );
    // The first one does not care, and its journal can still be looked at.
    first.assert_running();
    assert_eq!(first.stats()["pending"], 0);
    first.stop().await;
    second.start().await;
    second.stop().await;
}
