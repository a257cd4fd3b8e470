//! Which attachments get a reference and are fetched. Pure: the pipeline and the follower ask the same question about the
//! same message and must get the same answer.

use std::collections::HashSet;

use priem_sdk::{
    Message,
    message::{Attachment, AttachmentKind},
};
use uuid::Uuid;

use super::AttachmentSettings;

/// Attachments of one message beyond this are left alone.
const MOST_OF_A_MESSAGE: usize = 50;

/// The rule.
#[derive(Debug, Clone)]
pub struct Policy {
    kinds: HashSet<AttachmentKind>,
    max_bytes: u64,
}

impl Policy {
    /// The rule of the settings.
    pub(super) fn new(settings: &AttachmentSettings) -> Self {
        Self {
            kinds: settings.kinds.iter().copied().collect(),
            max_bytes: settings.max_bytes,
        }
    }

    /// Writes the references into a message that is about to be published.
    pub fn mark(&self, message: &mut Message) {
        let event = message.id;
        for (number, attachment) in message.data.attachments.iter_mut().enumerate() {
            if self.wants(number, attachment) {
                attachment.stored = Some(reference(event, number));
            }
        }
    }

    /// The attachments of a message that are fetched, with their numbers.
    pub(super) fn wanted<'a>(&self, message: &'a Message) -> impl Iterator<Item = (usize, &'a Attachment)> {
        let all = message.data.attachments.iter().enumerate();
        all.filter(|(number, attachment)| self.wants(*number, attachment))
    }

    fn wants(&self, number: usize, attachment: &Attachment) -> bool {
        let is_small = attachment.size.is_none_or(|size| size <= self.max_bytes);
        let has_source = attachment.url.is_some() || (attachment.needs_token && attachment.external_id.is_some());
        number < MOST_OF_A_MESSAGE && is_small && has_source && self.kinds.contains(&attachment.kind)
    }
}

/// `<event id>/<number>`.
fn reference(event: Uuid, number: usize) -> String {
    format!("{event}/{number}")
}

#[cfg(test)]
mod tests {
    use priem_sdk::{
        EventType, MessageData,
        message::{Kind, Regime},
    };

    use super::*;

    #[test]
    fn only_files_that_will_be_fetched_get_a_reference() {
        let policy = Policy::new(&AttachmentSettings::default());
        let with = |change: fn(&mut Attachment)| {
            let mut attachment = Attachment::new(AttachmentKind::Photo);
            attachment.url = Some("https://i.oneme.ru/1".into());
            change(&mut attachment);
            attachment
        };
        let mut data = MessageData::new("max", Kind::Direct, Regime::OpenSourceMessage);
        data.external.id = "m".into();
        data.attachments = vec![
            with(|_| {}),
            with(|attachment| attachment.kind = AttachmentKind::Link),
            with(|attachment| attachment.size = Some(u64::MAX)),
            with(|attachment| attachment.url = None),
            with(|attachment| {
                attachment.url = None;
                attachment.needs_token = true;
                attachment.external_id = Some("file-id".into());
            }),
        ];
        let mut message = Message::new(EventType::Received, data);
        policy.mark(&mut message);
        let marked: Vec<bool> = message
            .data
            .attachments
            .iter()
            .map(|one| one.stored.is_some())
            .collect();
        assert_eq!(marked, [true, false, false, false, true]);
        assert_eq!(message.data.attachments[4].stored, Some(format!("{}/4", message.id)));
        let numbers: Vec<usize> = policy.wanted(&message).map(|(number, _)| number).collect();
        assert_eq!(numbers, [0, 4]);
    }
}
