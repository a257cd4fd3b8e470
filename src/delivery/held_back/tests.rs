use futures::FutureExt;

use super::*;

/// Nothing is on its way.
struct Nothing;

impl QueuesInFlight for Nothing {
    fn each(&self, _: &mut dyn FnMut(&str, Timestamp)) {}
}

fn held_back() -> HeldBack {
    let metrics = Metrics::new();
    HeldBack::new(Queues::new(metrics.clone()), metrics)
}

#[test]
fn a_queue_read_to_the_end_leaves_nothing_more_aside() {
    let held_back = held_back();
    held_back.leave("mcu.roads", 5, Timestamp::now());
    held_back.look(5);
    let mut room = held_back.room(&Nothing).expect("something is aside");
    assert!(!room.take("mcu.roads"), "nothing overtakes what is aside");
    let visit = held_back.visit(&Nothing).expect("there is room");
    assert_eq!((visit.from, visit.until), (5, 5));
    held_back.visited(&visit, 6, 1, None);
    // All of it is settled before anything new comes: nobody would ever wake the reader for what is left aside now.
    assert_eq!(held_back.visit(&Nothing), None);
    assert!(!held_back.is_reading_again());
    assert!(held_back.room(&Nothing).is_none());
}

#[test]
fn what_goes_round_keeps_its_queue_aside() {
    let held_back = held_back();
    held_back.leave("mcu.roads", 5, Timestamp::now());
    held_back.depart(vec![4, 5], [5].into_iter());
    held_back.look(5);
    assert_eq!(held_back.visit(&Nothing), None, "item 4 may leave something before 5");
    assert!(held_back.is_reading_again());
    held_back.arrive(vec![4]);
    assert!(held_back.visit(&Nothing).is_some());
}

#[test]
fn what_is_left_after_the_trouble_is_over_wakes_the_reader() {
    let held_back = held_back();
    held_back.leave("mcu.roads", 1, Timestamp::now());
    held_back.make_room();
    assert!(held_back.room_made().now_or_never().is_some());
    assert!(held_back.room_made().now_or_never().is_none());
}
