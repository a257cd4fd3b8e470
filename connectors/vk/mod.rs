//! VK (ВКонтакте): messages to communities, posts and comments on their walls, discussions, photos and videos.
//!
//! Events come by Bots Long Poll (one stream a community) or Callback API (one address for all), and both are backed by
//! catch-up: dialogues are read again with the communities' keys, walls with a service key or a user's token. All of
//! them make the same items under the same keys, so ways can be mixed and changed without doubles.
//!
//! Every community has its own key, pace and trouble: what happens to one never stops another.

mod api;
mod attachments;
mod callback;
mod catchup;
mod check;
mod client;
mod communities;
mod config;
mod conformance;
mod errors;
mod event;
mod geo;
mod hearing;
mod keys;
mod longpoll;
mod names;
mod normalize;
mod others;
mod split;
#[cfg(test)]
mod tests;
mod token;
mod words;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use jiff::Timestamp;
use priem_sdk::{
    Admission, BuildContext, CheckReport, ConfigError, Connector, ConnectorError, ConnectorType, Cursor, Cx,
    HookRequest, Item, Message, NormalizeError, Page, RawItem, Receipt, Refusal, Stream, StreamKind,
    bot::OwnWords,
    contract::ConnectorId,
    http::{Hold, HttpOptions},
    registry,
    unheard::Unheard,
};
use tracing::info;

use catchup::{CatchUp, Sort};
use client::{Call, Client, VERSION};
use communities::{Communities, Community};
pub use config::{
    CallbackSettings, CatchUpSettings, CatchUpToken, CommunitySettings, LongPollSettings, Mode, VkSettings,
};
use token::{Token, TokenKind};

/// Registry entry.
pub const TYPE: ConnectorType = ConnectorType {
    name: "vk",
    title: "ВКонтакте",
    summary: "Messages to communities, posts, comments and discussions, by Long Poll, Callback API and catch-up.",
    schema: || schemars::schema_for!(VkSettings),
    example: include_str!("example.yaml"),
    build,
    conformance: conformance::subject,
};

const LONGPOLL: &str = "longpoll";
const CALLBACK: &str = "callback";
const MESSAGES: &str = "messages";
const WALLS: &str = "walls";

/// Calls a second with a community's key, and with any other token. VK takes 20 and 3, and counts where they arrive: the
/// network may push calls together that were sent apart, so a pace at the limit breaks it now and then.
const COMMUNITY_RATE: u32 = 16;
const OTHER_RATE: u32 = 2;

/// The communities of one entry.
struct Vk {
    settings: VkSettings,
    communities: Communities,
    client: Client,
    hook: Option<callback::Hook>,
    sessions: longpoll::Sessions,
    messages: CatchUp,
    walls: CatchUp,
    catch_up_token: Option<Arc<Token>>,
    names: names::Names,
    policy: normalize::Policy,
    hold: Hold,
    id: ConnectorId,
    unheard: Unheard,
}

fn build(settings: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Connector>, ConfigError> {
    let settings: VkSettings = registry::settings(settings)?;
    settings.validate()?;
    let communities = communities::read(&settings, context)?;
    let hook = match (settings.mode, &settings.callback) {
        (Mode::Callback, Some(callback)) => Some(callback::Hook::new(callback, context)?),
        _ => None,
    };
    let catch_up = &settings.catch_up;
    let catch_up_token = context
        .secret_if("catch_up.token", catch_up.token.as_ref())?
        .map(|secret| {
            let kind = match catch_up.token_kind {
                CatchUpToken::Service => TokenKind::Service,
                CatchUpToken::User => TokenKind::User,
            };
            Token::new(secret, kind, "the token of catch_up".into())
        });
    let http = |rate: u32| {
        let defaults = HttpOptions {
            requests_per_second: NonZeroU32::new(rate),
            // VK counts whole seconds: a burst on top of the rate would break its limit.
            burst: NonZeroU32::MIN,
            ..HttpOptions::default()
        };
        context.http(&settings.http, defaults)
    };
    let mut tokens: Vec<Arc<Token>> = communities.values().filter_map(|one| one.token.clone()).collect();
    if tokens.is_empty() {
        tokens.extend(catch_up_token.clone());
    }
    Ok(Arc::new(Vk {
        id: context.id.clone(),
        unheard: Unheard::default(),
        client: Client::new(http(COMMUNITY_RATE)?, http(OTHER_RATE)?, &settings.api_url),
        messages: CatchUp::new(Sort::Messages, None, catch_up),
        walls: CatchUp::new(Sort::Walls, catch_up_token.clone(), catch_up),
        names: names::Names::new(tokens),
        policy: normalize::Policy {
            own_words: settings.own_words == OwnWords::Publish,
        },
        sessions: longpoll::Sessions::default(),
        hold: Hold::new(Duration::from_secs(settings.longpoll.wait_s)),
        settings,
        communities,
        hook,
        catch_up_token,
    }))
}

impl Vk {
    fn community(&self, key: &str) -> Result<&Community, ConnectorError> {
        let community = key.parse().ok().and_then(|id: i64| self.communities.get(&id));
        community.ok_or_else(|| ConnectorError::Misconfigured {
            hint: format!("there is no community {key:?} in the settings"),
        })
    }

    async fn long_poll(&self, key: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let community = self.community(key)?;
        let Some(token) = &community.token else {
            return Err(ConnectorError::Misconfigured {
                hint: format!("community {key} has no key"),
            });
        };
        let source = longpoll::Source {
            client: &self.client,
            sessions: &self.sessions,
            token,
            group: community.id,
            hold: &self.hold,
        };
        let page = source.poll(cursor).await?;
        if page.gap.is_some() {
            self.messages.start_again(community.id);
            self.walls.start_again(community.id);
        }
        self.look_at(&page.items);
        Ok(page)
    }

    /// Looks at what came for what is for us: VK cuts long messages for bots, and their dialogues are read again, where
    /// they stand whole; and it says when we are put out of a conversation.
    fn look_at(&self, items: &[Item]) {
        for item in items {
            hearing::note(&self.unheard, &self.id, &item.body);
        }
        for item in items.iter().filter(|item| split::is_cropped(&item.body)) {
            let group = item
                .conversation
                .as_deref()
                .and_then(|name| name.strip_prefix("im")?.split_once('_'));
            if let Some(group) = group.and_then(|(group, _)| group.parse().ok()) {
                self.messages.start_again(group);
            }
        }
    }

    /// Switches on Long Poll and the types of events we need, and leaves the others as they are.
    async fn switch_on(&self, community: &Community) -> Result<(), ConnectorError> {
        let Some(token) = &community.token else { return Ok(()) };
        let now = check::settings(&self.client, token, community.id).await?;
        let missing = callback::missing(&now.events);
        if now.is_enabled && missing.is_empty() && now.api_version.as_deref() == Some(VERSION) {
            return Ok(());
        }
        let mut call = Call::new(
            "groups.setLongPollSettings",
            [
                ("group_id", community.id.to_string()),
                ("enabled", "1".into()),
                ("api_version", VERSION.into()),
            ],
        );
        call.params.extend(missing.iter().map(|name| (*name, "1".to_owned())));
        self.client.change::<serde_json::Value>(token, &call).await?;
        info!(
            community = community.id,
            types = missing.len(),
            "events are switched on"
        );
        Ok(())
    }
}

#[async_trait::async_trait]
impl Connector for Vk {
    fn streams(&self) -> Vec<Stream> {
        let of_each = |name, kind| {
            let each = self.communities.keys();
            each.map(move |id| Stream::keyed(name, id.to_string(), kind)).collect()
        };
        let mut streams: Vec<Stream> = match self.settings.mode {
            Mode::Walls => Vec::new(),
            Mode::Longpoll => of_each(LONGPOLL, StreamKind::Poll),
            Mode::Callback => of_each(CALLBACK, StreamKind::Webhook),
        };
        if self.communities.values().any(|community| community.token.is_some()) && self.settings.mode != Mode::Walls {
            streams.push(Stream::new(MESSAGES, StreamKind::Poll));
        }
        if self.catch_up_token.is_some() {
            streams.push(Stream::new(WALLS, StreamKind::Poll));
        }
        streams
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        let view = check::View {
            client: &self.client,
            communities: &self.communities,
            mode: self.settings.mode,
            hook: self.hook.as_ref(),
            catch_up: &self.settings.catch_up,
            catch_up_token: self.catch_up_token.as_deref(),
            switches_on_events: self.settings.switch_on_events,
        };
        view.check().await
    }

    async fn subscribe_stream(&self, _cx: &Cx, stream: &str) -> Result<(), ConnectorError> {
        match (stream.split_once('/'), &self.hook) {
            (Some((CALLBACK, key)), Some(hook)) => hook.subscribe(&self.client, self.community(key)?).await,
            (Some((LONGPOLL, key)), _) if self.settings.switch_on_events => self.switch_on(self.community(key)?).await,
            _ => Ok(()),
        }
    }

    async fn poll(&self, _cx: &Cx, stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        match stream.split_once('/') {
            Some((LONGPOLL, key)) => self.long_poll(key, cursor).await,
            None if stream == MESSAGES => {
                self.messages
                    .poll(&self.client, &self.communities, cursor, Timestamp::now())
                    .await
            }
            None if stream == WALLS => {
                self.walls
                    .poll(&self.client, &self.communities, cursor, Timestamp::now())
                    .await
            }
            _ => Err(ConnectorError::Unsupported("poll")),
        }
    }

    fn unheard(&self) -> Option<&Unheard> {
        Some(&self.unheard)
    }

    fn admit(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        // The secret stands in the body.
        let hook = self.hook.as_ref().ok_or(Refusal::NotFound)?;
        hook.require_head(head).map(|()| Admission::ProofInBody)
    }

    fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        let hook = self.hook.as_ref().ok_or(Refusal::NotFound)?;
        let receipt = hook.receive(request, &self.communities)?;
        self.look_at(&receipt.items);
        Ok(receipt)
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        normalize::normalize(raw, self.policy)
    }

    fn answered(&self, raw: &RawItem) -> Option<Message> {
        let everything = normalize::Policy { own_words: true };
        normalize::normalize(raw, everything).ok()?.into_iter().next()
    }

    async fn acknowledge(&self, _cx: &Cx, stream: &str, cursor: &Cursor) -> Result<(), ConnectorError> {
        match stream {
            MESSAGES => self.messages.acknowledge(cursor),
            WALLS => self.walls.acknowledge(cursor),
            _ => {}
        }
        Ok(())
    }

    fn enriches(&self) -> bool {
        self.settings.author_names && self.names.can_ask()
    }

    async fn enrich(&self, _cx: &Cx, messages: &mut [Message]) {
        self.names.fill(&self.client, messages).await;
    }
}
