//! Comments that vanish are told from those that are only not listed, with few calls.

use priem_city::ok::Sent;

use super::*;

/// Reads everything again in every round.
fn eager(probes: u32) -> Value {
    json!({"discussions": {"every": "1ms", "recheck_every": "1ms", "recheck_days": 2, "probes": probes}})
}

struct Talk {
    city: OkCity,
    group: Group,
    connector: Arc<dyn Connector>,
    journal: Journal,
    cursor: Cursor,
}

impl Talk {
    async fn new(settings: Value) -> Self {
        let (city, group, _) = city().await;
        Self {
            connector: planted().against(city.api_url(), settings),
            group,
            city,
            journal: Journal::default(),
            cursor: Cursor::start(),
        }
    }

    fn comments(&self, topic: &str, count: u64) -> Vec<Sent> {
        (0..count)
            .map(|number| {
                self.city.advance(Duration::from_secs(1));
                self.group
                    .comment("GROUP_TOPIC", topic, number, "Житель", &format!("слово {number}"))
            })
            .collect()
    }

    async fn round(&mut self) {
        // Recent discussions are read again once more than a millisecond of our clock has passed.
        let before = jiff::Timestamp::now().as_millisecond();
        while jiff::Timestamp::now().as_millisecond() <= before + 1 {
            tokio::task::yield_now().await;
        }
        let cursor = self.cursor.clone();
        self.cursor = round(&self.connector, TALK, &mut self.journal, cursor)
            .await
            .expect("a round");
    }

    fn assert_heard(&self) {
        assert_heard(&self.city, GROUP, &self.journal.published(&self.connector), false);
        assert_eq!(self.city.violations(), [""; 0]);
    }

    fn questions(&self) -> usize {
        self.city.calls("discussions.getComment")
    }
}

#[tokio::test]
async fn a_vanished_comment_is_taken_back_and_one_that_is_not_listed_is_not() {
    let mut talk = Talk::new(eager(20)).await;
    let topic = talk.group.post_as_group("Субботник");
    let all = talk.comments(&topic, 6);
    talk.group.comment_as_group("GROUP_TOPIC", &topic, "Спасибо");
    talk.round().await;
    assert_eq!(talk.questions(), 0, "nothing is missing");
    talk.group.vanish(&all[1]);
    talk.group.hide(&all[3], true);
    talk.round().await;
    talk.assert_heard();
    assert_eq!(talk.questions(), 2);
    let published = talk.journal.published(&talk.connector);
    let deleted = published.iter().filter(|(_, event, _)| *event == EventType::Deleted);
    assert_eq!(deleted.count(), 1);
    // It is shown again, with other words: no harm was done.
    talk.group.edit(&all[3], "другое");
    talk.group.hide(&all[3], false);
    talk.round().await;
    talk.assert_heard();
    assert_eq!(talk.questions(), 2, "and there is nothing to ask any more");
}

#[tokio::test]
async fn all_known_comments_of_a_discussion_may_vanish() {
    let mut talk = Talk::new(eager(20)).await;
    let topic = talk.group.post_as_group("Субботник");
    let all = talk.comments(&topic, 2);
    talk.round().await;
    talk.group.vanish(&all[0]);
    talk.group.vanish(&all[1]);
    talk.round().await;
    talk.assert_heard();
}

#[tokio::test]
async fn an_edit_that_no_list_shows_is_learnt_by_the_way() {
    let mut talk = Talk::new(eager(20)).await;
    let topic = talk.group.post_as_group("Субботник");
    let all = talk.comments(&topic, 3);
    talk.round().await;
    talk.group.hide(&all[0], true);
    talk.group.edit(&all[0], "другое");
    talk.round().await;
    talk.assert_heard();
}

#[tokio::test]
async fn calls_are_bounded_and_nobody_is_forgotten_behind_those_that_stay_hidden() {
    let mut talk = Talk::new(eager(2)).await;
    let topic = talk.group.post_as_group("Субботник");
    let all = talk.comments(&topic, 9);
    talk.round().await;
    for hidden in &all[..6] {
        talk.group.hide(hidden, true);
    }
    talk.group.vanish(&all[6]);
    for times in 1..=4 {
        talk.round().await;
        assert_eq!(talk.questions(), 2 * times);
    }
    talk.assert_heard();
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let mut talk = Talk::new(eager(20)).await;
    let topic = talk.group.post_as_group("Субботник");
    let all = talk.comments(&topic, 3);
    talk.round().await;
    talk.group.vanish(&all[2]);
    let setup = planted();
    talk.connector = setup.against(talk.city.api_url(), eager(20));
    talk.round().await;
    talk.assert_heard();
}

#[tokio::test]
async fn without_the_right_to_ask_everything_else_goes_on() {
    for (probes, questions) in [(20, 1), (0, 0)] {
        let mut talk = Talk::new(eager(probes)).await;
        let topic = talk.group.post_as_group("Субботник");
        let all = talk.comments(&topic, 3);
        talk.round().await;
        talk.city.forbid(&["discussions.getComment"]);
        talk.group.hide(&all[0], true);
        talk.group.hide(&all[1], true);
        talk.comments(&topic, 1);
        talk.round().await;
        talk.assert_heard();
        assert_eq!(talk.questions(), questions);
    }
}
