//! No statement walks a growing table: held by every test that runs one.
//!
//! In builds with debug assertions each connection of the journal tells every statement it runs, and when a thread runs one
//! for the first time its query plan is looked at, on an empty database of the same tables. A plan that reads a whole table or
//! sorts one, where the table grows with messages, ends the process with the statement and the plan. So a new statement
//! needs no test of its own to be caught; any test that runs it does. Release builds look at nothing.
//!
//! What must walk says so: `/* walks: why */` in its text. That is for an operator's commands that read everything
//! (`verify`, `export`) and never for the writer.

use rusqlite::Connection;

/// Tables whose size does not grow with messages. All others do.
#[cfg(debug_assertions)]
const SMALL: &[&str] = &[
    "meta",
    "connector",
    "cursor",
    "outlet",
    "book",
    "key_sorted",
    "tally",
    "measured",
    "growth",
    "held_count",
    "clock_count",
    "sqlite_sequence",
    "sqlite_master",
    "sqlite_schema",
];
/// Marks a statement that may walk.
#[cfg(debug_assertions)]
const WALKS: &str = "/* walks: ";

/// Looks at what this connection runs.
#[cfg(not(debug_assertions))]
pub(super) fn watch(_: &Connection) {}

#[cfg(test)]
pub(super) use watched::STEPS;
#[cfg(debug_assertions)]
pub(super) use watched::watch;

#[cfg(debug_assertions)]
mod watched {
    use std::{
        cell::RefCell,
        collections::HashMap,
        sync::atomic::{AtomicU64, Ordering},
    };

    use rusqlite::{
        StatementStatus,
        trace::{TraceEvent, TraceEventCodes},
    };

    use super::{super::schema, Connection, SMALL, WALKS};

    /// Steps of SQLite's machine taken by all watched statements of this process: work that no clock and no neighbour
    /// changes.
    pub(in super::super) static STEPS: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        /// Steps of each statement, as it counts them itself: from its making on.
        static TAKEN: RefCell<HashMap<String, i32>> = RefCell::default();
        /// The same tables, empty. Not watched itself.
        static EMPTY: RefCell<Option<Connection>> = const { RefCell::new(None) };
    }

    pub(in super::super) fn watch(connection: &Connection) {
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(look));
    }

    fn look(event: TraceEvent<'_>) {
        let TraceEvent::Profile(statement, _) = event else {
            return;
        };
        let text = statement.sql();
        let steps = statement.get_status(StatementStatus::VmStep);
        let before = TAKEN.with_borrow_mut(|taken| Some(std::mem::replace(taken.get_mut(&*text)?, steps)));
        // Made anew, it counts from zero.
        let before = before.filter(|before| *before <= steps);
        STEPS.fetch_add(
            u64::try_from(steps - before.unwrap_or(0)).unwrap_or(0),
            Ordering::Relaxed,
        );
        if before.is_some() {
            return;
        }
        TAKEN.with_borrow_mut(|taken| taken.insert(text.to_string(), steps));
        if let Err(problem) = judge(&text) {
            eprintln!("a statement of the journal walks or sorts a growing table:\n{text}\n{problem}");
            std::process::abort();
        }
    }

    /// Whether a statement may run.
    pub(super) fn judge(text: &str) -> Result<(), String> {
        let verb = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if text.contains(WALKS) || !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&verb.as_str()) {
            return Ok(());
        }
        EMPTY.with_borrow_mut(|empty| {
            let empty = empty.get_or_insert_with(|| {
                let mut connection = Connection::open_in_memory().expect("memory can be had");
                schema::migrate(&mut connection).expect("the tables can be made");
                connection
            });
            let mut explain = match empty.prepare(&format!("EXPLAIN QUERY PLAN {text}")) {
                Ok(explain) => explain,
                // A table of a test's own.
                Err(_) => return Ok(()),
            };
            let mut rows = explain.raw_query();
            let mut plan = Vec::new();
            while let Ok(Some(row)) = rows.next() {
                plan.push(row.get::<_, String>(3).unwrap_or_default());
            }
            drop(rows);
            let bad = plan.iter().any(|step| walks(text, step));
            if bad { Err(plan.join("\n")) } else { Ok(()) }
        })
    }

    /// Whether a step of a plan reads all of a growing table, or sorts.
    fn walks(text: &str, step: &str) -> bool {
        if let Some(scanned) = step.strip_prefix("SCAN ") {
            let name = scanned.split_whitespace().next().unwrap_or_default();
            return !is_harmless(text, name);
        }
        // An index made for this one statement; the least or greatest of a column without an index.
        if step.contains("AUTOMATIC") || (step.starts_with("SEARCH ") && !step.contains(" USING ")) {
            return true;
        }
        step.starts_with("USE TEMP B-TREE") && !only_small(text)
    }

    /// A small table, or what is no table: a constant row, a subquery (whose own steps are looked at).
    fn is_harmless(text: &str, name: &str) -> bool {
        if SMALL.contains(&name)
            || name.ends_with("-ROW")
            || ["CONSTANT", "(subquery"]
                .iter()
                .any(|harmless| name.starts_with(harmless))
        {
            return true;
        }
        // An alias: `FROM table alias`.
        let words: Vec<&str> = text
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .collect();
        words.windows(2).any(|pair| pair[1] == name && SMALL.contains(&pair[0]))
    }

    /// Whether a statement names small tables only.
    fn only_small(text: &str) -> bool {
        let words: Vec<&str> = text.split_whitespace().collect();
        words
            .windows(2)
            .filter(|pair| pair[0] == "FROM" || pair[0] == "JOIN")
            .all(|pair| SMALL.contains(&pair[1]))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{super::schema, STEPS, watched::judge};

    #[test]
    fn what_walks_or_sorts_a_growing_table_is_refused() {
        for bad in [
            "DELETE FROM decision WHERE seq IN (SELECT seq FROM decision d WHERE at < 1 AND NOT EXISTS \
             (SELECT 1 FROM raw WHERE raw.seq = d.seq) ORDER BY seq LIMIT 2)",
            "SELECT * FROM decision d WHERE d.event_id = x'00'",
            "SELECT * FROM settled WHERE seq IN (SELECT seq FROM raw WHERE external_id = 'a')",
            "SELECT channel, count(*) FROM decision GROUP BY 1",
            "SELECT reason, count(*) FROM held WHERE kind = 'quarantined' GROUP BY 1",
            "SELECT count(*) FROM pending",
            "SELECT min(received_at) FROM raw",
            "SELECT count(*) FROM clock",
            "SELECT r.seq FROM pending p JOIN raw r ON r.seq = p.seq ORDER BY p.position LIMIT 1",
            "SELECT seq FROM settled WHERE seq = 1 ORDER BY at",
            "UPDATE raw SET revision = '' WHERE external_id = 'a'",
            "SELECT 1 FROM outlet JOIN phrase ON phrase.text = outlet.queue",
        ] {
            assert!(judge(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_looked_up_or_small_may_run() {
        for good in [
            "SELECT * FROM settled WHERE seq = 1 ORDER BY id",
            "SELECT count(*) FROM (SELECT 1 FROM seen WHERE key > x'' LIMIT 10)",
            "SELECT c.name FROM cursor s JOIN connector c ON c.id = s.connector ORDER BY 1",
            "SELECT queue, sum(events) FROM outlet GROUP BY 1",
            "SELECT count(*) FROM raw /* walks: verify */",
            "PRAGMA integrity_check",
        ] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn steps_of_watched_statements_are_counted() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        let look = |limit: i64| {
            let before = STEPS.load(Ordering::Relaxed);
            connection
                .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM pending WHERE position > 0 LIMIT ?1)")
                .unwrap()
                .query_row([limit], |_| Ok(()))
                .unwrap();
            STEPS.load(Ordering::Relaxed) - before
        };
        for seq in 0..1_000 {
            connection
                .prepare_cached("INSERT INTO pending (seq) VALUES (?1)")
                .unwrap()
                .execute([seq])
                .unwrap();
        }
        let (few, many, again) = (look(10), look(1_000), look(10));
        assert!(few > 10 && many > 20 * few && again < 2 * few, "{few}, {many}, {again}");
    }
}
