//! Threads that stand for something else: comments below a channel's post are written below a copy of it in a group.
//!
//! Only who answers the copy itself is told whose copy it is. All others of the thread answer one another, and a thread of
//! an ordinary group looks the same. So a message takes over the thread of what it answers, and what was found out about a
//! thread is remembered; after a restart the journal is asked, answer by answer, up to the first.

use std::collections::HashMap;

use parking_lot::Mutex;
use priem_sdk::{Message, contract::ConnectorId, message::External};
use tracing::warn;

use super::{parcel::Batch, processor::Processor, stages::normalise};
use crate::journal::{Journal, Newest};

/// Threads remembered, at most; then all are forgotten and asked for again.
const MOST: usize = 16_384;
/// Answers followed, at most.
const MOST_STEPS: usize = 32;

/// Connector, conversation, number of the thread.
type Number = (ConnectorId, String, String);

/// What a thread stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    thread: String,
    subchannel: Option<String>,
}

/// What is known of threads; `None` for those that stand for nothing.
#[derive(Default)]
pub(super) struct Threads(Mutex<HashMap<Number, Option<Root>>>);

impl Threads {
    /// Names the threads of a batch.
    pub(super) async fn name(&self, journal: &Journal, processor: &Processor, batch: &mut Batch) {
        for parcel in batch.parcels.iter_mut().filter(|parcel| parcel.end.is_none()) {
            let connector = &parcel.record.raw.connector;
            for letter in &mut parcel.letters {
                let message = &mut letter.message;
                let Some(number) = number(connector, message) else {
                    continue;
                };
                if let Some(root) = root_of(message, &number) {
                    self.learn(number, Some(root));
                    continue;
                }
                let known = self.0.lock().get(&number).cloned();
                let root = match known {
                    Some(root) => root,
                    None => {
                        let root = search(journal, processor, message, &number).await;
                        self.learn(number, root.clone());
                        root
                    }
                };
                if let Some(Root { thread, subchannel }) = root {
                    message.data.external.thread = Some(thread);
                    message.data.subchannel = subchannel;
                }
            }
        }
    }

    fn learn(&self, number: Number, root: Option<Root>) {
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(number, root);
    }
}

fn number(connector: &ConnectorId, message: &Message) -> Option<Number> {
    let data = &message.data;
    let number = data.extra.get(External::THREAD_NUMBER)?.as_str()?;
    let conversation = data.external.conversation.clone()?;
    Some((connector.clone(), conversation, number.to_owned()))
}

/// What the thread of a message stands for, when the message itself says it.
fn root_of(message: &Message, number: &Number) -> Option<Root> {
    let thread = message
        .data
        .external
        .thread
        .clone()
        .filter(|thread| *thread != number.2)?;
    Some(Root {
        thread,
        subchannel: message.data.subchannel.clone(),
    })
}

/// Goes from answer to answer, as far as they are stored.
async fn search(journal: &Journal, processor: &Processor, message: &Message, of: &Number) -> Option<Root> {
    let mut parent = message.data.external.parent.clone()?;
    for _ in 0..MOST_STEPS {
        let record = match journal.look(Newest(vec![(of.0.clone(), parent)])).await {
            Ok(found) => found.into_iter().next()??,
            Err(error) => {
                warn!(%error, "what a thread stands for can't be looked up; its messages go on without");
                return None;
            }
        };
        let messages = normalise::messages(&processor.connectors, &record).ok()?;
        let answered = messages.into_iter().next()?;
        if number(&of.0, &answered).as_ref() != Some(of) {
            return None;
        }
        if let Some(root) = root_of(&answered, of) {
            return Some(root);
        }
        parent = answered.data.external.parent?;
    }
    None
}
