//! Which of several messages on one matter goes where the rules say. Pure: the same message, the same choice.

use priem_sdk::{Message, message::Routing};

use super::{DuplicateRoute, DuplicateSettings};

/// Tag of a duplicate in `routing.tags`.
const TAG: &str = "дубликат";

/// The rule of the settings.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    route: DuplicateRoute,
    prefer: Vec<String>,
    information_queue: String,
}

impl Choice {
    /// Compiles the settings, which are valid.
    pub fn new(settings: &DuplicateSettings) -> Self {
        Self {
            route: settings.route,
            prefer: settings.prefer.clone(),
            information_queue: settings.information_queue.clone().unwrap_or_default(),
        }
    }

    /// Marks the routings of a duplicate, and sends it for information when another one is the main one.
    pub fn apply(&self, message: &Message, routes: &mut Vec<Routing>) {
        let relation = &message.data.relation;
        let (Some(of), Some(reason)) = (&relation.duplicate_of, &relation.reason) else {
            return;
        };
        let is_main = self.is_main(&message.data.channel, &relation.seen_in);
        if !is_main {
            routes.truncate(1);
        }
        for routing in routes {
            if !routing.tags.iter().any(|tag| tag == TAG) {
                routing.tags.push(TAG.to_owned());
            }
            let channels = relation.seen_in.join(", ");
            let why = reason_ru(reason);
            routing
                .explanation
                .push(format!("Похоже на дубликат ({why}): событие {of}, каналы: {channels}."));
            if !is_main {
                self.information_queue.clone_into(&mut routing.queue);
                routing
                    .explanation
                    .push("Отправлено для сведения: по этому вопросу уже работают.".into());
            }
        }
    }

    fn is_main(&self, channel: &str, before: &[String]) -> bool {
        match self.route {
            DuplicateRoute::All => true,
            DuplicateRoute::First => false,
            DuplicateRoute::Prefer => before.iter().all(|other| self.rank(channel) < self.rank(other)),
        }
    }

    fn rank(&self, channel: &str) -> usize {
        self.prefer
            .iter()
            .position(|known| known == channel)
            .unwrap_or(self.prefer.len())
    }
}

fn reason_ru(reason: &str) -> &'static str {
    match reason {
        "same_id" => "тот же номер",
        "same_link" => "та же ссылка",
        "same_text_and_author" => "тот же текст и автор",
        "same_text_and_place" => "тот же текст и место",
        _ => "тот же текст",
    }
}

#[cfg(test)]
mod tests {
    use priem_sdk::{
        EventType, MessageData,
        message::{Kind, Regime},
    };

    use super::*;

    fn routed(route: DuplicateRoute, channel: &str, before: &[&str]) -> Vec<Routing> {
        let choice = Choice::new(&DuplicateSettings {
            route,
            prefer: vec!["pos".into(), "vk".into()],
            information_queue: Some("info".into()),
            ..DuplicateSettings::default()
        });
        let mut data = MessageData::new(channel, Kind::Comment, Regime::OpenSourceMessage);
        if !before.is_empty() {
            data.relation.duplicate_of = Some("e".into());
            data.relation.reason = Some("same_link".into());
            data.relation.seen_in = before.iter().map(|channel| (*channel).to_owned()).collect();
        }
        let own = |queue: &str| Routing {
            queue: queue.into(),
            ..Routing::default()
        };
        let mut routes = vec![own("roads"), own("copy")];
        choice.apply(&Message::new(EventType::Received, data), &mut routes);
        routes
    }

    fn queues(routes: &[Routing]) -> Vec<&str> {
        routes.iter().map(|routing| routing.queue.as_str()).collect()
    }

    #[test]
    fn the_setting_decides_which_one_is_worked_on() {
        use DuplicateRoute::{All, First, Prefer};
        let cases: [(DuplicateRoute, &str, &[&str], &[&str]); 7] = [
            (First, "vk", &[], &["roads", "copy"]),
            (All, "vk", &["incident"], &["roads", "copy"]),
            (First, "vk", &["incident"], &["info"]),
            (Prefer, "vk", &["incident"], &["roads", "copy"]),
            (Prefer, "vk", &["incident", "pos"], &["info"]),
            (Prefer, "vk", &["vk"], &["info"]),
            (Prefer, "incident", &["telegram"], &["info"]),
        ];
        for (route, channel, before, wanted) in cases {
            let routes = routed(route, channel, before);
            assert_eq!(queues(&routes), wanted, "{route:?} {channel} {before:?}");
            let marked = routes
                .iter()
                .all(|routing| routing.tags == [TAG] && !routing.explanation.is_empty());
            assert_eq!(marked, !before.is_empty());
        }
    }
}
