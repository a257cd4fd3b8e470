//! The embedded default: one CloudEvents JSON object per line, to a file or to standard output.
//!
//! Invariants: a message is settled only after its whole line is written and, for files, synced; a failed write goes on
//! at the exact byte where it stopped, so lines are never torn by a full disk; a line torn by a crash is closed with a
//! line feed when the file is opened again, and its message comes once more because it was never settled.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use priem_sdk::CheckReport;
use rustix::fs::{Mode, OFlags};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{BrokerState, CHANNEL_HEADER, Outcome, Outgoing, Settled, settings::NdjsonSettings};
use crate::{rights, telemetry::Metrics};

/// Batches of the pipeline that wait in front of the writer and are written and synced together.
pub(super) const BATCHES: usize = 8;

/// Writes what the pipeline hands over.
pub(super) struct Writer {
    settings: NdjsonSettings,
    metrics: Metrics,
    settled: mpsc::Sender<Vec<Settled>>,
    state: watch::Sender<BrokerState>,
    shutdown: CancellationToken,
}

impl Writer {
    pub(super) fn new(
        settings: NdjsonSettings,
        metrics: Metrics,
        settled: mpsc::Sender<Vec<Settled>>,
        state: watch::Sender<BrokerState>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            settings,
            metrics,
            settled,
            state,
            shutdown,
        }
    }

    /// Runs until nobody hands over any more. After shutdown what can't be written is left to the journal.
    pub(super) async fn run(self, mut incoming: mpsc::Receiver<Vec<Outgoing>>) {
        let mut output = Output::new(self.settings.clone());
        // A file that can't be opened should show before the first message comes.
        let Some(opened) = self.persist(output, Vec::new()).await else {
            return;
        };
        output = opened;
        loop {
            let mut batches = Vec::with_capacity(BATCHES);
            if incoming.recv_many(&mut batches, BATCHES).await == 0 {
                return;
            }
            let batch: Vec<Outgoing> = batches.into_iter().flatten().collect();
            let mut bytes = Vec::with_capacity(batch.iter().map(|outgoing| outgoing.body.len() + 1).sum());
            for outgoing in &batch {
                bytes.extend_from_slice(&outgoing.body);
                bytes.push(b'\n');
            }
            let Some(written) = self.persist(output, bytes).await else {
                return;
            };
            output = written;
            let mut settled = Vec::with_capacity(batch.len());
            for outgoing in batch {
                let channel = outgoing.headers.iter().find(|(name, _)| *name == CHANNEL_HEADER);
                let channel = channel.map(|(_, value)| value.as_str()).unwrap_or_default();
                let channel = self.metrics.channel(channel);
                self.metrics
                    .published
                    .with_label_values(&[channel, outgoing.routing_key.as_str()])
                    .inc();
                settled.push(Settled {
                    token: outgoing.token,
                    outcome: Outcome::Confirmed,
                });
            }
            // Fails only when the pipeline is gone; the lines then come again after the next start.
            let _ = self.settled.send(settled).await;
        }
    }

    /// Writes and syncs, again and again until it works. `None`: shutdown came first.
    async fn persist(&self, mut output: Output, mut bytes: Vec<u8>) -> Option<Output> {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .with_jitter()
            .without_max_times()
            .build();
        let mut done = 0;
        loop {
            let attempt = tokio::task::spawn_blocking(move || {
                let result = output.write(&bytes, &mut done);
                (output, bytes, done, result)
            });
            let result;
            (output, bytes, done, result) = match attempt.await {
                Ok(attempt) => attempt,
                // The runtime stops before the write began: nothing is settled, so it comes again after the next start.
                Err(stopped) if stopped.is_cancelled() => return None,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            };
            let error = match result {
                Ok(()) => {
                    self.works();
                    return Some(output);
                }
                Err(error) => error,
            };
            self.fails(&error);
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = tokio::time::sleep(pauses.next().expect("the pauses never end")) => {}
            }
        }
    }

    fn works(&self) {
        self.metrics.broker_connected.set(1);
        self.state.send_if_modified(|state| {
            let changed = *state != BrokerState::Connected;
            if changed {
                info!(path = %self.settings.path.display(), "publishing to NDJSON");
                *state = BrokerState::Connected;
            }
            changed
        });
    }

    fn fails(&self, error: &io::Error) {
        self.metrics.broker_connected.set(0);
        let why = format!("{}: {error}", self.settings.path.display());
        self.state.send_if_modified(|state| {
            if matches!(state, BrokerState::Disconnected { why: known, .. } if *known == why) {
                return false;
            }
            warn!(%why, "can't write NDJSON; messages stay in the journal");
            *state = BrokerState::Disconnected {
                since: Timestamp::now(),
                why,
            };
            true
        });
    }
}

/// The file or standard output.
struct Output {
    settings: NdjsonSettings,
    file: Option<File>,
}

impl Output {
    fn new(settings: NdjsonSettings) -> Self {
        Self { settings, file: None }
    }

    /// Writes `bytes` from `done` on; `done` moves with every byte written.
    fn write(&mut self, bytes: &[u8], done: &mut usize) -> io::Result<()> {
        if self.settings.path == Path::new("-") {
            let mut stdout = io::stdout().lock();
            write_from(&mut stdout, bytes, done)?;
            return stdout.flush();
        }
        if *done == 0 && self.was_renamed_away() {
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            missing => missing.insert(open(&self.settings.path)?),
        };
        write_from(file, bytes, done)?;
        if self.settings.fsync
            && let Err(error) = file.sync_data()
        {
            // After a failed sync nobody knows what reached the disk: write the batch again, to a fresh handle.
            self.file = None;
            *done = 0;
            return Err(error);
        }
        Ok(())
    }

    fn was_renamed_away(&self) -> bool {
        let Some(file) = &self.file else { return false };
        match (file.metadata(), std::fs::symlink_metadata(&self.settings.path)) {
            (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()),
            _ => true,
        }
    }
}

fn write_from(output: &mut impl Write, bytes: &[u8], done: &mut usize) -> io::Result<()> {
    while *done < bytes.len() {
        match output.write(&bytes[*done..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Opens for appending; closes a line that a crash left torn, and syncs the name of a new file. A link or a file of
/// somebody else is refused: whoever put it there would choose where citizens' words go.
fn open(path: &Path) -> io::Result<File> {
    let is_new = std::fs::symlink_metadata(path).is_err();
    rights::folder_of_own_file(folder_of(path))?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Messages are personal data.
    let opened = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600));
    let mut file = File::from(opened.map_err(refused)?);
    rights::own_file(&file)?;
    let regular = file.metadata()?.is_file();
    if regular && file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            warn!(path = %path.display(), "the last line was torn by a crash; its message comes again");
            file.write_all(b"\n")?;
        }
    }
    if is_new {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn refused(error: rustix::io::Errno) -> io::Error {
    match error {
        rustix::io::Errno::LOOP => io::Error::other("a symbolic link; ndjson.path must name the file itself"),
        other => other.into(),
    }
}

/// Whether lines would go to the log of systemd: standard output is the stream `$JOURNAL_STREAM` (`device:inode`) names.
pub(super) fn is_system_journal(settings: &NdjsonSettings, journal_stream: Option<&str>) -> bool {
    if settings.path != Path::new("-") {
        return false;
    }
    let Ok(stdout) = rustix::fs::fstat(io::stdout()) else {
        return false;
    };
    journal_stream == Some(format!("{}:{}", stdout.st_dev, stdout.st_ino).as_str())
}

/// Looks at the file without creating it.
pub(super) fn check(settings: &NdjsonSettings, report: &mut CheckReport) {
    let path = &settings.path;
    if path == Path::new("-") {
        return report.warn(
            "ndjson",
            "messages with personal data go to standard output; under systemd that is the system journal",
            "set amqp or ndjson.path",
        );
    }
    let opened = || match std::fs::symlink_metadata(path) {
        Ok(_) => {
            rights::folder_of_own_file(folder_of(path))?;
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
            rights::own_file(&File::from(opened))
        }
        Err(_) => {
            let folder = folder_of(path);
            rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
            rights::folder_of_own_file(folder)
        }
    };
    match opened() {
        Ok(()) => report.ok("ndjson", path.display().to_string()),
        Err(error) => {
            report.fail(
                "ndjson",
                format!("{}: {error}", path.display()),
                "create the folder and let priem write there",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes, then fails once, like a disk that fills up.
    struct Full(Vec<u8>, usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1 == 0 {
                self.1 = usize::MAX;
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.1);
            self.1 -= taken;
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_tears_no_line() {
        let (mut disk, mut done) = (Full(Vec::new(), 7), 0);
        let bytes = b"{\"a\":1}\n{\"b\":2}\n";
        let error = write_from(&mut disk, bytes, &mut done).expect_err("the disk is full");
        assert_eq!((error.kind(), done), (io::ErrorKind::StorageFull, 7));
        write_from(&mut disk, bytes, &mut done).expect("room again");
        assert_eq!(disk.0, bytes);
    }

    #[test]
    fn the_log_of_systemd_is_recognised_by_its_stream() {
        let stdout = rustix::fs::fstat(io::stdout()).expect("standard output");
        let stream = format!("{}:{}", stdout.st_dev, stdout.st_ino);
        let mut settings = NdjsonSettings::default();
        assert!(is_system_journal(&settings, Some(&stream)));
        assert!(!is_system_journal(&settings, Some("0:0")) && !is_system_journal(&settings, None));
        settings.path = "out.ndjson".into();
        assert!(!is_system_journal(&settings, Some(&stream)));
    }

    #[test]
    fn a_new_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let file = open(&folder.path().join("out.ndjson")).expect("an open file");
        assert_eq!(file.metadata().expect("metadata").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_link_a_second_name_and_an_open_folder_are_refused() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "words\n").expect("a file");
        let is_refused = |name: &str| {
            let settings = NdjsonSettings {
                path: folder.path().join(name),
                ..NdjsonSettings::default()
            };
            let mut report = CheckReport::default();
            check(&settings, &mut report);
            assert_eq!(open(&settings.path).is_err(), report.failed(), "{name}");
            report.failed()
        };
        symlink(&secret, folder.path().join("link")).expect("linked");
        symlink(folder.path().join("nowhere"), folder.path().join("dangling")).expect("linked");
        assert!(is_refused("link") && is_refused("dangling"));
        assert!(!folder.path().join("nowhere").exists());
        assert!(!is_refused("secret"));
        std::fs::hard_link(&secret, folder.path().join("second")).expect("linked");
        assert!(is_refused("second"));
        let with = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode));
        with(0o770).expect("permissions");
        assert!(is_refused("new"));
        with(0o1777).expect("permissions");
        assert!(!is_refused("new"));
    }

    #[test]
    fn a_torn_line_is_closed_and_a_whole_one_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.ndjson");
        for (before, after) in [("", ""), ("{}\n", "{}\n"), ("{}\n{\"to", "{}\n{\"to\n")] {
            std::fs::write(&path, before).expect("a file");
            drop(open(&path).expect("an open file"));
            assert_eq!(std::fs::read_to_string(&path).expect("the file"), after);
        }
    }
}
