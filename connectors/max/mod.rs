//! MAX: private messages to a bot, groups, channels and the comments below their posts.
//!
//! Long polling and webhook deliver the same updates, so both make the same items and the mode can be changed at any
//! time without doubles. Sending a marker acknowledges everything before it for good; the host sends the marker of an
//! answer only after the journal commit of its updates. What was not delivered is read from the history of known
//! chats, under the same keys.

mod api;
mod attachments;
mod check;
mod client;
mod config;
mod conformance;
mod files;
mod hearing;
mod history;
mod kinds;
mod normalize;
mod split;
mod subscribing;
#[cfg(test)]
mod tests;
mod text;
mod titles;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use parking_lot::Mutex;
use priem_sdk::{
    Admission, BuildContext, CheckReport, ConfigError, Connector, ConnectorError, ConnectorType, Cursor, Cx,
    FileSource, HookRequest, HttpOptions, Message, NormalizeError, Page, RawItem, Receipt, Refusal, Reply, Secret,
    Stream, StreamKind, Wait,
    contract::ConnectorId,
    http::Hold,
    message::Attachment,
    registry,
    unheard::Unheard,
    webhook::{Hook, is_below},
};
use tracing::warn;

pub use config::{Bots, ChatSettings, HistorySettings, MaxSettings, PollSettings, WebhookSettings};

/// Registry entry.
pub const TYPE: ConnectorType = ConnectorType {
    name: "max",
    title: "MAX",
    summary: "Messages to a bot and in its groups and channels, by webhook or long polling, with the history of known \
              chats.",
    schema: || schemars::schema_for!(MaxSettings),
    example: include_str!("example.yaml"),
    build,
    conformance: conformance::subject,
};

/// Header that holds the secret of a delivery.
const SECRET_HEADER: &str = "x-max-bot-api-secret";
/// Stream of updates, polled or by webhook.
const UPDATES: &str = "updates";
/// Stream of what was not delivered.
const HISTORY: &str = "history";
/// Our own pace; the platform allows 30. A process that replaces another one within a second knows nothing of its calls.
const REQUESTS_PER_SECOND: u32 = 15;
/// Requests that may go at once before the pace applies.
const BURST: u32 = 5;
/// How often the subscription of our webhook is looked after.
const SUBSCRIPTION_PERIOD: Duration = Duration::from_secs(300);
/// Pause when the server gave updates and no way on, so that asking again is no busy loop.
const NO_MARKER_PAUSE: Duration = Duration::from_secs(5);
/// A delivery from a network that is not on the list is logged this often.
const WARN_EVERY: Duration = Duration::from_secs(3600);

/// One bot.
struct Max {
    id: ConnectorId,
    client: client::Client,
    settings: MaxSettings,
    listed: Vec<i64>,
    /// With the secret to register.
    hook: Option<(Hook, Secret<String>)>,
    /// Address of every webhook of this connector up to its secret part.
    own_base: Option<String>,
    policy: normalize::Policy,
    /// One registration at a time: two streams ask for it.
    registering: tokio::sync::Mutex<subscribing::Registered>,
    /// Everything must be read from the history: after a start, and when the platform had dropped our subscription.
    catch_up: AtomicBool,
    /// Why the token was refused in the last exchange of the main stream: the history need not ask to know.
    refused: Mutex<Option<String>>,
    titles: titles::Titles,
    notices: Mutex<history::Notices>,
    told: Mutex<history::Told>,
    looked_at: Mutex<Option<Instant>>,
    warned_at: Mutex<Option<Instant>>,
    hold: Hold,
    unheard: Unheard,
}

fn build(settings: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Connector>, ConfigError> {
    let settings: MaxSettings = registry::settings(settings)?;
    settings.validate()?;
    let token = settings.read_token(context)?;
    let hook = settings.read_hook(context)?;
    let defaults = HttpOptions {
        requests_per_second: NonZeroU32::new(REQUESTS_PER_SECOND),
        burst: NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN),
        ..HttpOptions::default()
    };
    let http = context.http(&settings.http, defaults)?;
    Ok(Arc::new(Max {
        id: context.id.clone(),
        client: client::Client::new(http, &settings.api_url, token),
        listed: settings.chats.iter().map(|chat| chat.id).collect(),
        policy: settings.policy(),
        hook,
        own_base: context.hooks_base(),
        registering: tokio::sync::Mutex::default(),
        catch_up: AtomicBool::new(true),
        refused: Mutex::default(),
        titles: titles::Titles::default(),
        notices: Mutex::default(),
        told: Mutex::default(),
        looked_at: Mutex::default(),
        warned_at: Mutex::default(),
        hold: Hold::new(Duration::from_secs(settings.poll.timeout_s)),
        unheard: Unheard::default(),
        settings,
    }))
}

impl Max {
    fn hook(&self) -> Result<&Hook, Refusal> {
        self.hook.as_ref().map(|(hook, _)| hook).ok_or(Refusal::NotFound)
    }

    /// Whether an address was made by this very connector, maybe with another path secret.
    fn is_ours(&self, url: &str) -> bool {
        self.own_base.as_deref().is_some_and(|base| is_below(base, url))
    }

    /// Notes the chat for the history, and what the update says of our own hearing.
    fn note(&self, split: &split::Split) {
        hearing::note(&self.unheard, &self.id, &split.item.body);
        if let Some(heard) = split.heard
            && self.settings.history.enabled
        {
            self.notices.lock().note(heard, self.settings.history.most_chats);
        }
    }

    /// Remembers whether the main stream's token holds.
    fn look_at<T>(&self, outcome: Result<T, ConnectorError>) -> Result<T, ConnectorError> {
        let hint = match &outcome {
            Ok(_) => None,
            Err(ConnectorError::AuthRejected { hint }) => Some(hint.clone()),
            Err(_) => return outcome,
        };
        *self.refused.lock() = hint;
        outcome
    }

    async fn poll_updates(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let marker = match cursor.0.as_str() {
            "" => None,
            text => Some(marker(text)?),
        };
        let poll = &self.settings.poll;
        // Without a marker the server gives the last update only and forgets the others: the call must not wait while
        // people write.
        let at_once = Hold::new(Duration::ZERO);
        let hold = if marker.is_some() { &self.hold } else { &at_once };
        let held = hold.now();
        let response = self.client.updates(marker, poll.limit, hold).await?;
        let is_hasty = response.as_ref().is_some_and(|response| response.is_hasty(held));
        let (answer, updates) = match response {
            Some(response) => self.client.members(&response, "updates")?,
            None => Default::default(),
        };
        let mut page = Page {
            next: cursor.clone(),
            is_hasty,
            // Counted from the answer: whatever the way costs, two calls arrive no closer than this.
            wait: Wait::For(poll.least_pause()),
            ..Page::default()
        };
        for update in updates {
            let split = split::update(update);
            self.note(&split);
            page.items.push(split.item);
        }
        // A null marker says nothing: the old one stays. Zero is a marker like any other.
        if let Some(marker) = answer.number("marker") {
            page.next = Cursor(marker.to_string());
        }
        if page.items.is_empty() {
            self.look_for_webhooks().await?;
        } else if page.next == *cursor {
            page.wait = Wait::For(NO_MARKER_PAUSE);
        }
        Ok(page)
    }

    async fn poll_history(&self, cursor: &Cursor) -> Result<Page, ConnectorError> {
        if let Some(hint) = self.refused.lock().clone() {
            return Err(ConnectorError::AuthRejected { hint });
        }
        let history = &self.settings.history;
        let everything = self.catch_up.swap(false, Ordering::AcqRel);
        let milliseconds = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        let notices = std::mem::take(&mut *self.notices.lock());
        let order = history::Order {
            listed: &self.listed,
            notices: &notices,
            everything,
            now: Timestamp::now().as_millisecond(),
            every: milliseconds(history.every_s),
            look_back: milliseconds(history.look_back_h * 3600),
            most_chats: history.most_chats,
            skip_bots: !self.policy.bots,
        };
        match history::poll(&self.client, cursor, order).await {
            Ok((page, refused)) => {
                for (chat, why) in refused {
                    if self.listed.contains(&chat) && self.told.lock().first_time(chat) {
                        warn!(connector = %self.id, chat, why, "the history of a listed chat can't be read");
                    }
                }
                Ok(page)
            }
            Err(error) => {
                self.catch_up.fetch_or(everything, Ordering::AcqRel);
                self.notices.lock().take_back(notices, history.most_chats);
                Err(error)
            }
        }
    }

    /// Says, not too often, that a proven delivery came from a network that is not on the list.
    fn look_at_network(&self, request: &HookRequest) {
        let Some(webhook) = &self.settings.webhook else { return };
        let mut warned_at = self.warned_at.lock();
        if webhook.source_networks.require(request.peer).is_err()
            && warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY)
        {
            *warned_at = Some(Instant::now());
            warn!(
                connector = %self.id,
                "deliveries with the right secret come from outside of `webhook.source_networks`: compare the list with \
                 the platform's"
            );
        }
    }
}

fn marker(text: &str) -> Result<i64, ConnectorError> {
    text.parse().map_err(|_| ConnectorError::Misconfigured {
        hint: format!("the stored cursor {text:?} is not a marker of GET /updates"),
    })
}

#[async_trait::async_trait]
impl Connector for Max {
    fn streams(&self) -> Vec<Stream> {
        let mut streams = vec![Stream::new(UPDATES, self.settings.mode)];
        if self.settings.history.enabled {
            streams.push(Stream::new(HISTORY, StreamKind::Poll));
        }
        streams
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        check::check(self).await
    }

    async fn subscribe(&self, cx: &Cx) -> Result<(), ConnectorError> {
        let mut registered = self.registering.lock().await;
        let outcome = match &self.hook {
            None => self.clear_the_way(cx).await,
            Some((hook, secret)) => self.subscribe_hook(hook, secret, &mut registered).await,
        };
        self.look_at(outcome)
    }

    async fn subscribe_stream(&self, cx: &Cx, stream: &str) -> Result<(), ConnectorError> {
        // The history can be read whoever else listens.
        if stream == HISTORY {
            Ok(())
        } else {
            self.subscribe(cx).await
        }
    }

    fn subscription_period(&self) -> Duration {
        SUBSCRIPTION_PERIOD
    }

    async fn poll(&self, _cx: &Cx, stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        match stream {
            HISTORY => self.poll_history(cursor).await,
            _ => self.look_at(self.poll_updates(cursor).await),
        }
    }

    fn unheard(&self) -> Option<&Unheard> {
        Some(&self.unheard)
    }

    fn admit(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        self.hook()?.require(head).map(|()| Admission::Proven)
    }

    fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        self.hook()?.require(request)?;
        self.look_at_network(request);
        let split = split::update(request.body.clone());
        self.note(&split);
        Ok(Receipt {
            items: vec![split.item],
            // Exactly 200 counts.
            reply: Reply::ok(),
        })
    }

    async fn file(&self, _cx: &Cx, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
        files::source_of(&self.client, attachment).await
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        normalize::normalize(raw, &self.policy)
    }

    fn answered(&self, raw: &RawItem) -> Option<Message> {
        let everything = normalize::Policy {
            bots: true,
            only_chats: None,
        };
        normalize::normalize(raw, &everything).ok()?.into_iter().next()
    }

    fn enriches(&self) -> bool {
        true
    }

    async fn enrich(&self, _cx: &Cx, messages: &mut [Message]) {
        self.titles.fill(&self.client, messages).await;
    }
}
