//! Processor time, for saying where it goes. Rates move with whatever else runs on the machine; time for a message
//! moves much less.

use std::{collections::HashMap, time::Duration};

/// Processor time of a process so far; zero when it is gone.
pub fn of_process(pid: u32) -> Duration {
    read(pid).map_or(Duration::ZERO, |one| one.used)
}

/// Processor time of this process so far.
pub fn of_this_process() -> Duration {
    of_process(std::process::id())
}

/// Processor time so far of the broker's virtual machine below this process.
pub fn of_broker() -> Duration {
    let Ok(folder) = std::fs::read_dir("/proc") else {
        return Duration::ZERO;
    };
    let all: HashMap<u32, Process> = folder
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, read(pid)?)))
        .collect();
    let ours = std::process::id();
    all.values()
        .filter(|process| process.name == "beam.smp" && descends(&all, process.parent, ours))
        .map(|process| process.used)
        .sum()
}

/// Microseconds for each of `count`.
pub fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

struct Process {
    name: String,
    parent: u32,
    used: Duration,
}

fn descends(all: &HashMap<u32, Process>, mut pid: u32, from: u32) -> bool {
    while pid != from {
        match all.get(&pid) {
            Some(process) => pid = process.parent,
            None => return false,
        }
    }
    true
}

fn read(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    // utime and stime, in ticks of 10 ms.
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Process {
        name: head.split_once('(')?.1.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        used: Duration::from_millis(ticks * 10),
    })
}
