//! Standard error that can't stop, slow down or end the daemon.
//!
//! A log line is worth less than a message of a citizen. A line that can't be written (a closed pipe, a full disk, a
//! journald that was restarted) or would make the caller wait (a reader that does not read) is counted and let go; the
//! next line tries again.

use std::{
    io::{ErrorKind, Write},
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// Most bytes a pipe that polls writable takes without waiting: `PIPE_BUF` of Linux.
const PIECE: usize = 4096;
/// How long a line waits for a reader that is slow; the lines after a lost one don't wait.
const PATIENCE: Duration = Duration::from_millis(100);

/// Lines lost and not yet taken by [`take_lost`].
static LOST: AtomicU64 = AtomicU64::new(0);
/// One line at a time.
static OUTPUT: Mutex<Output> = Mutex::new(Output::new());

/// How many lines were lost since the last call: for a counter.
pub(super) fn take_lost() -> u64 {
    LOST.swap(0, Ordering::Relaxed)
}

/// Writes a whole line, or counts it as lost.
pub(super) fn put(line: &[u8]) {
    if !OUTPUT.lock().put(&mut std::io::stderr(), line) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is known of the output from one line to the next.
#[derive(Debug)]
struct Output {
    /// The last line was lost: the next one does not wait.
    in_trouble: bool,
    /// A line was written in part: the next one begins on a line of its own.
    cut: bool,
}

impl Output {
    const fn new() -> Self {
        Self {
            in_trouble: false,
            cut: false,
        }
    }

    /// Whether the whole line was written.
    fn put(&mut self, out: &mut (impl Write + AsFd), line: &[u8]) -> bool {
        let patience = if self.in_trouble { Duration::ZERO } else { PATIENCE };
        let begin: &[u8] = if self.cut { b"\n" } else { b"" };
        let mut done = self.all(out, begin, patience).is_ok();
        if done {
            self.cut = false;
            done = match self.all(out, line, patience) {
                Ok(()) => true,
                Err(written) => {
                    self.cut = written > 0;
                    false
                }
            };
        }
        self.in_trouble = !done;
        done
    }

    /// Writes everything, or says how much was written.
    fn all(&self, out: &mut (impl Write + AsFd), bytes: &[u8], patience: Duration) -> Result<(), usize> {
        let mut written = 0;
        while written < bytes.len() {
            if !is_writable(out, patience) {
                return Err(written);
            }
            let piece = &bytes[written..bytes.len().min(written + PIECE)];
            match out.write(piece) {
                Ok(0) => return Err(written),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(written),
            }
        }
        Ok(())
    }
}

/// Whether a piece can be written now or soon without waiting. A broken output counts as writable: the write says so.
fn is_writable(out: &impl AsFd, patience: Duration) -> bool {
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    loop {
        let mut polled = [PollFd::new(out, PollFlags::OUT)];
        match poll(&mut polled, Some(&limit)) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            // What can't be polled is written as ever.
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, pipe},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn a_reader_that_is_gone_costs_lines_and_nothing_else() {
        let (reader, mut writer) = pipe().unwrap();
        let mut output = Output::new();
        assert!(output.put(&mut writer, b"one\n"));
        drop(reader);
        assert!(!output.put(&mut writer, b"two\n") && !output.put(&mut writer, b"three\n"));
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(!Output::new().put(&mut { ours }, b"line\n"));
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        assert!(!Output::new().put(&mut full, b"line\n"));
    }

    #[test]
    fn a_reader_that_does_not_read_is_not_waited_for_and_gets_whole_lines_again() {
        let (mut reader, mut writer) = pipe().unwrap();
        let mut output = Output::new();
        let line = [vec![b'x'; 10_000], b"\n".to_vec()].concat();
        let mut kept = 0;
        while output.put(&mut writer, &line) {
            kept += 1;
        }
        assert!(kept > 0 && output.cut, "the pipe took {kept} lines and a part of one");
        assert!(!output.put(&mut writer, &line), "still full");
        let mut some = vec![0; 65_536];
        let count = reader.read(&mut some).unwrap();
        some.truncate(count);
        assert!(output.put(&mut writer, b"after\n"), "there is room again");
        drop(writer);
        reader.read_to_end(&mut some).unwrap();
        let text = String::from_utf8(some).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.last(), Some(&"after"), "on a line of its own");
        assert!(lines[..kept].iter().all(|one| one.len() == 10_000));
    }
}
