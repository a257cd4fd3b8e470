use super::super::schema;
use super::*;

const WANTED: Wanted = Wanted {
    approaching: true,
    overdue: true,
};

fn journal() -> (Connection, HashKey) {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::prepare(&mut connection).unwrap();
    let key = dedupe::hash_key(&connection).unwrap();
    (connection, key)
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
        standing: Standing::Open {
            subject: Bytes::from_static(b"{}"),
            clocks: clocks.to_vec(),
        },
    }
}

fn ended(seq: i64) -> Watched {
    Watched {
        standing: Standing::Ended,
        ..open(seq, &[])
    }
}

fn names(connection: &Connection, now: i64) -> Vec<String> {
    let (items, _) = tell(connection, now, now, WANTED).unwrap();
    items.into_iter().filter_map(|item| item.revision).collect()
}

#[test]
fn each_clock_tells_twice_and_then_never_again() {
    let (connection, key) = journal();
    watch(&connection, &key, &open(1, &[clock("answer", 10, 20)]), 0).unwrap();
    assert_eq!(next(&connection).unwrap(), Some(10));
    assert_eq!(names(&connection, 9), [""; 0]);
    assert_eq!(
        names(&connection, 10),
        ["answer@1970-01-01T00:00:00.00002Z/approaching"]
    );
    assert_eq!(names(&connection, 19), [""; 0]);
    assert_eq!(names(&connection, 20), ["answer@1970-01-01T00:00:00.00002Z/overdue"]);
    assert_eq!(next(&connection).unwrap(), None);
    watch(&connection, &key, &open(2, &[clock("answer", 10, 20)]), 0).unwrap();
    assert_eq!(names(&connection, 99), [""; 0], "a newer version with the same clock");
    assert_eq!(running(&connection, 99).unwrap(), Running { open: 1, overdue: 1 });
}

#[test]
fn what_was_slept_through_is_told_once_as_overdue() {
    let (connection, key) = journal();
    watch(&connection, &key, &open(1, &[clock("answer", 10, 20)]), 0).unwrap();
    let (items, told) = tell(&connection, 1_000, 1_000, WANTED).unwrap();
    assert_eq!((items.len(), told.approaching, told.overdue), (1, 0, 1));
}

#[test]
fn an_answer_stops_the_clocks_and_an_older_version_does_not_start_them_again() {
    let (connection, key) = journal();
    watch(
        &connection,
        &key,
        &open(1, &[clock("answer", 10, 20), clock("register", 5, 6)]),
        0,
    )
    .unwrap();
    watch(&connection, &key, &ended(3), 0).unwrap();
    watch(&connection, &key, &open(2, &[clock("answer", 10, 20)]), 0).unwrap();
    assert_eq!(names(&connection, 99), [""; 0]);
    assert_eq!(running(&connection, 99).unwrap(), Running::default());
    watch(&connection, &key, &open(4, &[clock("answer", 40, 50)]), 0).unwrap();
    assert_eq!(names(&connection, 45).len(), 1, "taken up again");
}

#[test]
fn a_closed_row_that_was_never_open_takes_no_place() {
    let (connection, key) = journal();
    watch(&connection, &key, &ended(1), 0).unwrap();
    let rows: i64 = connection
        .query_row("SELECT count(*) FROM watched", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn a_newer_version_moves_its_clock() {
    let (connection, key) = journal();
    watch(&connection, &key, &open(1, &[clock("answer", 10, 20)]), 0).unwrap();
    assert_eq!(names(&connection, 15).len(), 1);
    watch(&connection, &key, &open(2, &[clock("answer", 100, 120)]), 0).unwrap();
    assert_eq!(names(&connection, 50), [""; 0]);
    assert_eq!(
        names(&connection, 110),
        ["answer@1970-01-01T00:00:00.00012Z/approaching"]
    );
    let sooner = clock("answer", 60, 120);
    watch(&connection, &key, &open(3, &[sooner]), 0).unwrap();
    assert_eq!(names(&connection, 119), [""; 0], "the approach was told already");
    assert_eq!(names(&connection, 120).len(), 1);
}

#[test]
fn what_was_overdue_for_long_at_first_sight_is_counted_and_not_told() {
    let (connection, key) = journal();
    let old = Clock {
        first: None,
        ..clock("answer", 10, 20)
    };
    watch(&connection, &key, &open(1, std::slice::from_ref(&old)), 1_000).unwrap();
    watch(&connection, &key, &open(2, &[old]), 1_000).unwrap();
    assert_eq!(names(&connection, 1_000), [""; 0]);
    assert_eq!(running(&connection, 1_000).unwrap(), Running { open: 1, overdue: 1 });
}

#[test]
fn what_is_not_wanted_is_passed_over() {
    let (connection, key) = journal();
    watch(&connection, &key, &open(1, &[clock("answer", 10, 20)]), 0).unwrap();
    let wanted = Wanted {
        approaching: false,
        ..WANTED
    };
    assert_eq!(tell(&connection, 10, 10, wanted).unwrap().0.len(), 0);
    assert_eq!(tell(&connection, 20, 20, wanted).unwrap().0.len(), 1);
}

#[test]
fn nothing_is_told_while_the_answer_may_wait_for_publication() {
    let (connection, key) = journal();
    watch(&connection, &key, &open(1, &[clock("answer", 10, 20)]), 0).unwrap();
    connection
        .execute_batch(
            "INSERT INTO raw (connector, stream, external_id, revision, ordinal, format, received_at, body) \
             VALUES (1, 's', '1', '1', 0, 'f', 0, x''); INSERT INTO pending (seq) VALUES (1);",
        )
        .unwrap();
    let later = BACKLOG_MICROSECONDS + 1;
    let (items, told) = tell(&connection, later, later, WANTED).unwrap();
    assert!(items.is_empty() && told.held_back);
    connection.execute_batch("DELETE FROM pending").unwrap();
    assert_eq!(names(&connection, later).len(), 1);
}

#[test]
fn more_than_fit_into_one_commit_come_in_several() {
    let (connection, key) = journal();
    for number in 0..TOGETHER + 1 {
        let watched = Watched {
            external_id: number.to_string(),
            ..open(1, &[clock("answer", 10, 20)])
        };
        watch(&connection, &key, &watched, 0).unwrap();
    }
    let (items, told) = tell(&connection, 20, 20, WANTED).unwrap();
    assert!(items.len() == TOGETHER && told.more);
    let (items, told) = tell(&connection, 20, 20, WANTED).unwrap();
    assert!(items.len() == 1 && !told.more);
}

#[test]
fn clocks_go_when_their_object_is_forgotten() {
    let (connection, key) = journal();
    watch(&connection, &key, &open(1, &[clock("answer", 10, 20)]), 0).unwrap();
    dedupe::forget(&connection, dedupe::Swept::Watched, &Bytes::new(), 20).unwrap();
    assert_eq!(running(&connection, 0).unwrap().open, 1, "until it is due");
    dedupe::forget(&connection, dedupe::Swept::Watched, &Bytes::new(), 21).unwrap();
    assert_eq!(running(&connection, 0).unwrap(), Running::default());
}
