//! Reads the folder and decides every message as the daemon would.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use priem_connectors::files::{FilesSettings, probe};
use priem_sdk::{
    ConfigError, Message,
    message::{CommonStatus, DeadlineStage, Flags, Topic},
};

use super::{
    duplicates::{self, Key},
    model::{Bad, Cluster, Destination, Due, FileReport, Member, Report, Unknown},
    privacy,
};
use priem_rules::RuleSet;

/// Entries of each list that are shown one by one; the rest are counted.
pub const LISTED: usize = 200;

/// What to look for, and when.
pub struct Question<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// The moment that counts as now.
    pub now: Timestamp,
    /// Terms that end within this time are near.
    pub near: SignedDuration,
    /// The rules.
    pub rules: &'a RuleSet,
    /// How files are read.
    pub settings: &'a FilesSettings,
    /// Zone in which terms are shown.
    pub zone: &'a TimeZone,
}

/// One message as the report needs it.
struct Seen {
    member: Member,
    /// As of when its file speaks; known once the file is read.
    as_of: Option<DateTime>,
    destination: (String, String, String),
    is_default_route: bool,
    due: Option<(Timestamp, &'static str)>,
    excerpt: String,
    unknown_topic: Option<String>,
    unknown_status: Option<String>,
    keys: Vec<Key>,
}

/// Reads every file of the folder. Of an object the row of the newest file wins, of one age the last: exports of two days
/// are not counted twice.
///
/// # Errors
/// When the folder can't be read, or the settings don't fit.
pub fn gather(question: &Question<'_>) -> Result<Result<Report, io::Error>, ConfigError> {
    let (files, left_alone) = match exports(question.folder) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let mut report = Report::new(question.now, question.zone, question.rules.version());
    report.left_alone = left_alone;
    let mut seen: Vec<Seen> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Whoever put files there is not the one who runs this: links are told, not followed.
        let opened = probe::open_listed(&path);
        let mut of_file = Vec::new();
        let mut on_message = |row: u64, message: &Message| {
            let object = (message.data.channel.clone(), message.subject.clone());
            of_file.push((object, look(question, &name, row, message)));
        };
        let probed = probe::walk(
            opened.as_ref(),
            &name,
            question.settings,
            0,
            &mut |_, _| {},
            &mut on_message,
        )?;
        for (object, mut one) in of_file {
            one.as_of = probed.as_of;
            match places.entry(object) {
                Entry::Occupied(place) => {
                    let known = &mut seen[*place.get()];
                    report.repeated_rows += 1;
                    if one.as_of.is_none() || one.as_of >= known.as_of {
                        *known = one;
                    }
                }
                Entry::Vacant(place) => {
                    place.insert(seen.len());
                    seen.push(one);
                }
            }
        }
        let bad = probed.problems.iter().map(|problem| Bad {
            file: name.clone(),
            row: problem.row,
            why: problem.why_ru.clone(),
        });
        report.bad_rows.extend(bad);
        report.bad_rows_in_all += probed.bad_rows;
        report.files.push(FileReport::from(probed));
    }
    report.messages = seen.len() as u64;
    summarise(&mut report, question, &seen);
    Ok(Ok(report))
}

/// Files of the folder by name, and everything else in it with the reason why it is no export: nothing in the folder goes
/// unnamed.
fn exports(folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>), io::Error> {
    let (mut files, mut left_alone) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match probe::never_read(&entry.file_name(), is_folder) {
            Some(why) => left_alone.push(format!(
                "{} — {why}",
                entry.file_name().to_string_lossy().escape_debug()
            )),
            None => files.push(entry.path()),
        }
    }
    files.sort();
    left_alone.sort();
    Ok((files, left_alone))
}

fn look(question: &Question<'_>, file: &str, row: u64, message: &Message) -> Seen {
    let mut message = message.clone();
    let keys = duplicates::keys(&message);
    let decision = question.rules.decide(&mut message, question.now);
    let routing = decision.main();
    let data = &message.data;
    let is_finished = data.times.closed.is_some()
        || data
            .status
            .as_ref()
            .is_some_and(|status| status.common.is_over(data.legal.regime) == Some(true));
    let due = data
        .deadlines
        .iter()
        .filter(|deadline| deadline.stage != DeadlineStage::RefuteWindow && !is_finished)
        .min_by_key(|deadline| deadline.due_at)
        .map(|deadline| (deadline.due_at, deadline.basis.ru()));
    let recipient = routing.recipient.ru();
    let sector = routing
        .sector
        .as_deref()
        .map_or("—", |sector| question.rules.sector_name(sector));
    let is_unknown = data.flags.other.iter().any(|flag| flag == Flags::UNKNOWN_TOPIC);
    let status = data
        .status
        .as_ref()
        .filter(|status| status.common == CommonStatus::Other && !status.raw.is_empty());
    Seen {
        destination: (sector.to_owned(), recipient, routing.queue.clone()),
        is_default_route: decision.default_route,
        due,
        excerpt: privacy::excerpt(&data.body.text),
        unknown_topic: data.topic.as_ref().filter(|_| is_unknown).map(Topic::path_text),
        unknown_status: status.map(|status| status.raw.clone()),
        keys,
        as_of: None,
        member: Member {
            channel: data.channel.clone(),
            id: message.subject.clone(),
            file: file.to_owned(),
            row,
        },
    }
}

fn summarise(report: &mut Report, question: &Question<'_>, seen: &[Seen]) {
    let mut destinations: BTreeMap<&(String, String, String), u64> = BTreeMap::new();
    let mut topics: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut statuses: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut signs: BTreeMap<Key, BTreeSet<usize>> = BTreeMap::new();
    let mut due: Vec<(Timestamp, &Seen, &'static str)> = Vec::new();
    for (place, one) in seen.iter().enumerate() {
        *destinations.entry(&one.destination).or_default() += 1;
        report.default_route += u64::from(one.is_default_route);
        if let Some(topic) = &one.unknown_topic {
            *topics.entry((&one.member.channel, topic)).or_default() += 1;
        }
        if let Some(status) = &one.unknown_status {
            *statuses.entry((&one.member.channel, status)).or_default() += 1;
        }
        for key in &one.keys {
            signs.entry(key.clone()).or_default().insert(place);
        }
        due.extend(one.due.map(|(at, basis)| (at, one, basis)));
    }
    report.destinations = destinations
        .into_iter()
        .map(|((sector, recipient, queue), messages)| Destination {
            sector: sector.clone(),
            recipient: recipient.clone(),
            queue: queue.clone(),
            messages,
        })
        .collect();
    report.destinations.sort_by_key(|one| std::cmp::Reverse(one.messages));
    report.unknown_topics = unknown(topics);
    report.unknown_statuses = unknown(statuses);
    due.sort_by_key(|(at, one, _)| (*at, &one.member.id));
    let near_until = question.now.checked_add(question.near).unwrap_or(Timestamp::MAX);
    for (at, one, basis) in due {
        let (list, count) = if at < question.now {
            (&mut report.overdue, &mut report.overdue_in_all)
        } else if at <= near_until {
            (&mut report.near, &mut report.near_in_all)
        } else {
            continue;
        };
        *count += 1;
        if list.len() < LISTED {
            list.push(Due {
                message: one.member.clone(),
                due_at: at,
                due_local: question.zone.to_datetime(at).strftime("%d.%m.%Y %H:%M").to_string(),
                basis,
                recipient: one.destination.1.clone(),
                excerpt: one.excerpt.clone(),
            });
        }
    }
    for (key, members) in duplicates::groups(&signs) {
        let channels: BTreeSet<&str> = members
            .iter()
            .map(|place| seen[*place].member.channel.as_str())
            .collect();
        report.duplicates.push(Cluster {
            reason: key.name(),
            reason_ru: key.russian(),
            across_systems: channels.len() > 1,
            excerpt: members
                .first()
                .map(|place| seen[*place].excerpt.clone())
                .unwrap_or_default(),
            messages: members.iter().map(|place| seen[*place].member.clone()).collect(),
        });
    }
    report.duplicates_in_all = report.duplicates.len() as u64;
    report
        .duplicates
        .sort_by_key(|cluster| (!cluster.across_systems, cluster.reason, cluster.messages[0].id.clone()));
    report.duplicates.truncate(LISTED);
}

fn unknown(counts: BTreeMap<(&str, &str), u64>) -> Vec<Unknown> {
    let mut list: Vec<Unknown> = counts
        .into_iter()
        .map(|((channel, name), messages)| Unknown {
            channel: channel.to_owned(),
            name: privacy::excerpt(name),
            messages,
        })
        .collect();
    list.sort_by_key(|one| std::cmp::Reverse(one.messages));
    list
}
