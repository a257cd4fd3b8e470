//! Telegram: private messages to a bot, groups, channels and their discussion groups, business accounts.
//!
//! Long polling and webhook deliver the same updates, so both make the same items and the mode can be changed at any
//! time without doubles. The server confirms (and forgets) updates by the *next* `getUpdates`, which the host makes
//! only after the journal commit: nothing is lost, a crash brings the same updates again under the same keys.

mod api;
mod attachments;
mod check;
mod client;
mod config;
mod conformance;
mod files;
mod glance;
mod hearing;
mod normalize;
mod split;
#[cfg(test)]
mod tests;
mod text;
mod wordless;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use priem_sdk::{
    Admission, BuildContext, CheckReport, ConfigError, Connector, ConnectorError, ConnectorType, Cursor, Cx,
    FileSource, HookRequest, HttpOptions, Message, NormalizeError, Page, RawItem, Receipt, Refusal, Reply, Secret,
    Stream, Wait,
    http::Hold,
    message::Attachment,
    registry,
    unheard::Unheard,
    webhook::{Hook, host_of},
};
use serde_json::json;
use tracing::debug;

pub use config::{ChatSettings, PollSettings, TelegramSettings, WebhookSettings};

/// Registry entry.
pub const TYPE: ConnectorType = ConnectorType {
    name: "telegram",
    title: "Telegram",
    summary: "Messages to a bot, in its groups and channels and to business accounts, by long polling or webhook.",
    schema: || schemars::schema_for!(TelegramSettings),
    example: include_str!("example.yaml"),
    build,
    conformance: conformance::subject,
};

/// Header that holds the secret token of a delivery.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Name of the only stream.
const STREAM: &str = "updates";
/// Our own pace; a long poll needs far less.
const REQUESTS_PER_SECOND: u32 = 5;
/// Pause when a batch came without a single usable id, so that asking again is no busy loop.
const NO_IDS_PAUSE: Duration = Duration::from_secs(5);

/// Update kinds asked for: those with a citizen's words, and those that tell whether we hear.
const ALLOWED_UPDATES: [&str; 9] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "my_chat_member",
];

/// One bot.
struct Telegram {
    client: client::Client,
    settings: TelegramSettings,
    /// With the secret to register.
    hook: Option<(Hook, Secret<String>)>,
    allowed: Vec<&'static str>,
    policy: normalize::Policy,
    hold: Hold,
    hearing: hearing::Hearing,
}

fn build(settings: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Connector>, ConfigError> {
    let settings: TelegramSettings = registry::settings(settings)?;
    settings.validate()?;
    let token = settings.read_token(context)?;
    let hook = settings.read_hook(context)?;
    let defaults = HttpOptions {
        requests_per_second: NonZeroU32::new(REQUESTS_PER_SECOND),
        burst: NonZeroU32::new(REQUESTS_PER_SECOND).unwrap_or(NonZeroU32::MIN),
        ..HttpOptions::default()
    };
    let http = context.http(&settings.http, defaults)?;
    let mut allowed = ALLOWED_UPDATES.to_vec();
    if settings.guest_messages {
        allowed.push("guest_message");
    }
    Ok(Arc::new(Telegram {
        client: client::Client::new(http, &settings.api_url, token),
        hearing: hearing::Hearing::new(
            context.id.clone(),
            settings.policy().only_chats,
            settings.chats.iter().map(|chat| chat.id),
        ),
        policy: settings.policy(),
        hold: Hold::new(Duration::from_secs(settings.poll.timeout_s)),
        hook,
        allowed,
        settings,
    }))
}

impl Telegram {
    fn hook(&self) -> Result<&Hook, Refusal> {
        self.hook.as_ref().map(|(hook, _)| hook).ok_or(Refusal::NotFound)
    }

    /// Polling: no webhook may be set. A server that can't say whether there is one refuses the polls if there is.
    async fn clear_the_way(&self, cx: &Cx) -> Result<(), ConnectorError> {
        let info = match self.client.get_webhook_info().await.map_err(ConnectorError::from) {
            Ok(info) => info,
            Err(error @ ConnectorError::RateLimited { .. }) => return Err(error),
            Err(error) => {
                debug!(%error, "the server does not say whether a webhook is set");
                return Ok(());
            }
        };
        match info.url.as_str() {
            "" => Ok(()),
            _ if cx.take_over => Ok(self.client.delete_webhook().await?),
            url => Err(ConnectorError::Misconfigured {
                hint: format!(
                    "a webhook at {} is set for this bot, so polling is refused: use mode: webhook, or let Priem remove \
                     it with --take-over",
                    host_of(url)
                ),
            }),
        }
    }
}

#[async_trait::async_trait]
impl Connector for Telegram {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream::new(STREAM, self.settings.mode)]
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        let expected = check::Expectation {
            hook: self.hook().ok(),
            allowed: &self.allowed,
            chats: &self.settings.chats,
        };
        check::check(&self.client, &expected).await
    }

    async fn subscribe(&self, cx: &Cx) -> Result<(), ConnectorError> {
        self.hearing.resolve(&self.client).await;
        let (Some((hook, secret)), Some(webhook)) = (&self.hook, &self.settings.webhook) else {
            return self.clear_the_way(cx).await;
        };
        let info = self.client.get_webhook_info().await?;
        if !info.url.is_empty() && !hook.is_ours(&info.url) && !cx.take_over {
            return Err(ConnectorError::Misconfigured {
                hint: format!(
                    "the webhook of this bot belongs to {}: stop that program, or replace its registration with \
                     --take-over",
                    host_of(&info.url)
                ),
            });
        }
        let arguments = json!({
            "url": hook.url().expose(),
            "secret_token": secret.expose(),
            "max_connections": webhook.max_connections,
            "allowed_updates": self.allowed,
            "drop_pending_updates": false,
        });
        Ok(self.client.set_webhook(&arguments).await?)
    }

    async fn poll(&self, _cx: &Cx, _stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let offset = match cursor.0.as_str() {
            "" => None,
            text => Some(offset(text)?),
        };
        self.hearing.resolve(&self.client).await;
        let hold = self.hold.now();
        let response = self
            .client
            .get_updates(offset, self.settings.poll.limit, &self.hold, &self.allowed)
            .await?;
        let is_hasty = response.as_ref().is_some_and(|response| response.is_hasty(hold));
        let updates = match response {
            Some(response) => self.client.updates(&response)?,
            None => Vec::new(),
        };
        Ok(Page {
            is_hasty,
            ..page(updates, cursor, |update| self.hearing.split(update))
        })
    }

    fn unheard(&self) -> Option<&Unheard> {
        Some(&self.hearing.unheard)
    }

    fn admit(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        self.hook()?.require(head).map(|()| Admission::Proven)
    }

    fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        self.hook()?.require(request)?;
        Ok(Receipt {
            items: vec![self.hearing.split(request.body.clone()).item],
            // Telegram executes a method named in the answer: the answer stays empty.
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
            only_chats: None,
            business_outgoing: true,
        };
        normalize::normalize(raw, &everything).ok()?.into_iter().next()
    }
}

fn offset(text: &str) -> Result<i64, ConnectorError> {
    text.parse()
        .ok()
        .filter(|offset| *offset >= 0)
        .ok_or_else(|| ConnectorError::Misconfigured {
            hint: format!("the stored cursor {text:?} is not an offset of getUpdates"),
        })
}

/// Splits a batch. The next offset follows the *last* update received, whatever its number: ids restart at random
/// after a quiet week, so a higher stored offset means nothing.
///
/// Updates without a readable id are stored like all others, and ids grow from one to the next: the last of several has
/// an id that is higher than the one read before them by their number at least, so this much is confirmed and no more.
fn page(updates: Vec<Bytes>, cursor: &Cursor, split: impl Fn(Bytes) -> split::Split) -> Page {
    let mut page = Page {
        next: cursor.clone(),
        ..Page::default()
    };
    let is_empty = updates.is_empty();
    let mut next = cursor.0.parse::<i64>().ok();
    let mut has_ids = false;
    for update in updates {
        let split = split(update);
        has_ids |= split.update_id.is_some();
        next = match split.update_id {
            Some(id) => Some(id.saturating_add(1).max(0)),
            None => next.map(|next| next.saturating_add(1)),
        };
        page.items.push(split.item);
    }
    if let Some(next) = next.filter(|_| !is_empty) {
        page.next = Cursor(next.to_string());
    }
    if !is_empty && !has_ids {
        page.wait = Wait::For(NO_IDS_PAUSE);
    }
    page
}
