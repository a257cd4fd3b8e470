use super::*;
use crate::journal::testing::Tables;

fn tell(connection: &Connection, at: i64, real_now: i64, wanted: Wanted) -> rusqlite::Result<(Vec<Item>, Told)> {
    let look = Tell {
        at,
        wanted,
        decided_up_to: 0,
    };
    look.tell(connection, real_now)
}

const WANTED: Wanted = Wanted {
    approaching: true,
    overdue: true,
};

fn watch(tables: &mut Tables, watched: &Watched, now: i64) {
    let note = Note {
        watched: vec![watched.clone()],
        noted: || {},
    };
    tables.run(note, now);
}

fn next(tables: &Tables) -> Option<i64> {
    Next.look(&tables.connection).unwrap()
}

fn running(tables: &Tables, at: i64) -> Running {
    Count { at }.look(&tables.connection).unwrap()
}

fn clock(stage: &'static str, approach_at: i64, due_at: i64) -> Clock {
    Clock {
        stage,
        due_at,
        approach_at,
        first: Some(approach_at),
        deadline: Bytes::from_static(b"{}"),
    }
}

fn open(seq: i64, clocks: &[Clock]) -> Watched {
    Watched {
        connector: "pos".into(),
        external_id: "1".into(),
        seq,
        came_before: seq > 1,
        state: WatchedState::Open {
            subject: Bytes::from_static(b"{}"),
            clocks: clocks.to_vec(),
        },
    }
}

fn ended(seq: i64) -> Watched {
    Watched {
        state: WatchedState::Ended,
        ..open(seq, &[])
    }
}

fn names(tables: &Tables, now: i64) -> Vec<String> {
    let (items, _) = tell(&tables.connection, now, now, WANTED).unwrap();
    items.into_iter().filter_map(|item| item.revision).collect()
}

#[test]
fn each_clock_tells_twice_and_then_never_again() {
    let mut tables = Tables::new();
    watch(&mut tables, &open(1, &[clock("answer", 10, 20)]), 0);
    assert_eq!(next(&tables), Some(10));
    assert_eq!(names(&tables, 9), [""; 0]);
    assert_eq!(names(&tables, 10), ["answer@1970-01-01T00:00:00.00002Z/approaching"]);
    assert_eq!(names(&tables, 19), [""; 0]);
    assert_eq!(names(&tables, 20), ["answer@1970-01-01T00:00:00.00002Z/overdue"]);
    assert_eq!(next(&tables), None);
    watch(&mut tables, &open(2, &[clock("answer", 10, 20)]), 0);
    assert_eq!(names(&tables, 99), [""; 0], "a newer version with the same clock");
    assert_eq!(running(&tables, 99), Running { open: 1, overdue: 1 });
}

#[test]
fn what_was_slept_through_is_told_once_as_overdue() {
    let mut tables = Tables::new();
    watch(&mut tables, &open(1, &[clock("answer", 10, 20)]), 0);
    let (items, told) = tell(&tables.connection, 1_000, 1_000, WANTED).unwrap();
    assert_eq!((items.len(), told.approaching, told.overdue), (1, 0, 1));
}

#[test]
fn an_answer_stops_the_clocks_and_an_older_version_does_not_start_them_again() {
    let mut tables = Tables::new();
    watch(
        &mut tables,
        &open(1, &[clock("answer", 10, 20), clock("register", 5, 6)]),
        0,
    );
    watch(&mut tables, &ended(3), 0);
    watch(&mut tables, &open(2, &[clock("answer", 10, 20)]), 0);
    assert_eq!(names(&tables, 99), [""; 0]);
    assert_eq!(running(&tables, 99), Running::default());
    watch(&mut tables, &open(4, &[clock("answer", 40, 50)]), 0);
    assert_eq!(names(&tables, 45).len(), 1, "taken up again");
}

#[test]
fn a_closed_row_that_was_never_open_takes_no_place() {
    let mut tables = Tables::new();
    watch(&mut tables, &ended(1), 0);
    let rows: i64 = tables
        .connection
        .query_row("SELECT count(*) FROM watched /* walks: a test */", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn a_newer_version_moves_its_clock() {
    let mut tables = Tables::new();
    watch(&mut tables, &open(1, &[clock("answer", 10, 20)]), 0);
    assert_eq!(names(&tables, 15).len(), 1);
    watch(&mut tables, &open(2, &[clock("answer", 100, 120)]), 0);
    assert_eq!(names(&tables, 50), [""; 0]);
    assert_eq!(names(&tables, 110), ["answer@1970-01-01T00:00:00.00012Z/approaching"]);
    let sooner = clock("answer", 60, 120);
    watch(&mut tables, &open(3, &[sooner]), 0);
    assert_eq!(names(&tables, 119), [""; 0], "the approach was told already");
    assert_eq!(names(&tables, 120).len(), 1);
}

#[test]
fn what_was_overdue_for_long_at_first_sight_is_counted_and_not_told() {
    let mut tables = Tables::new();
    let old = Clock {
        first: None,
        ..clock("answer", 10, 20)
    };
    watch(&mut tables, &open(1, std::slice::from_ref(&old)), 1_000);
    watch(&mut tables, &open(2, &[old]), 1_000);
    assert_eq!(names(&tables, 1_000), [""; 0]);
    assert_eq!(running(&tables, 1_000), Running { open: 1, overdue: 1 });
}

#[test]
fn what_is_not_wanted_is_passed_over() {
    let mut tables = Tables::new();
    watch(&mut tables, &open(1, &[clock("answer", 10, 20)]), 0);
    let wanted = Wanted {
        approaching: false,
        ..WANTED
    };
    assert_eq!(tell(&tables.connection, 10, 10, wanted).unwrap().0.len(), 0);
    assert_eq!(tell(&tables.connection, 20, 20, wanted).unwrap().0.len(), 1);
}

#[test]
fn nothing_is_told_while_the_answer_may_wait_to_be_decided() {
    let mut tables = Tables::new();
    watch(&mut tables, &open(1, &[clock("answer", 10, 20)]), 0);
    tables
        .connection
        .execute_batch(
            "INSERT INTO raw (connector, stream, external_id, revision, ordinal, format, received_at, body) \
             VALUES (1, 's', '1', '1', 0, 'f', 0, x''); INSERT INTO pending (seq) VALUES (1);",
        )
        .unwrap();
    let later = BACKLOG_MICROSECONDS + 1;
    let (items, told) = tell(&tables.connection, later, later, WANTED).unwrap();
    assert!(items.is_empty() && told.held_back);
    let decided = Tell {
        at: later,
        wanted: WANTED,
        decided_up_to: 1,
    };
    let (items, told) = decided.tell(&tables.connection, later).unwrap();
    assert_eq!(
        (items.len(), told.held_back),
        (1, false),
        "what is decided may wait for its queue"
    );
}

#[test]
fn more_than_fit_into_one_commit_come_in_several() {
    let mut tables = Tables::new();
    for number in 0..TOGETHER + 1 {
        let watched = Watched {
            external_id: number.to_string(),
            ..open(1, &[clock("answer", 10, 20)])
        };
        watch(&mut tables, &watched, 0);
    }
    let (items, told) = tell(&tables.connection, 20, 20, WANTED).unwrap();
    assert!(items.len() == TOGETHER && told.more);
    let (items, told) = tell(&tables.connection, 20, 20, WANTED).unwrap();
    assert!(items.len() == 1 && !told.more);
}

#[test]
fn clocks_go_when_their_object_is_forgotten() {
    let mut tables = Tables::new();
    watch(&mut tables, &open(1, &[clock("answer", 10, 20)]), 0);
    let sweep = |now| Forget::after(0).sweep(&tables.connection, now).unwrap();
    sweep(20);
    assert_eq!(running(&tables, 0).open, 1, "until it is due");
    sweep(21);
    assert_eq!(running(&tables, 0), Running::default());
}
