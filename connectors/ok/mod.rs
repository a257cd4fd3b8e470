//! Одноклассники: private messages to groups, their topics and the comments below everything in them.
//!
//! Three ways, one set of keys: the webhook (private messages, nothing signed: an unguessable path and the platform's
//! networks are the proof), the history of chats (what a delivery missed), the signed REST API (topics and comments,
//! which OK never pushes). What comes by two ways has one key and one fingerprint, so it is stored once.

mod api;
mod attachments;
mod check;
mod client;
mod config;
mod conformance;
mod discussions;
mod errors;
mod history;
mod lists;
mod names;
mod normalize;
mod session;
mod sign;
mod split;
mod subscribe;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod topic;
mod vanished;

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use priem_sdk::{
    Admission, BuildContext, CheckReport, ConfigError, Connector, ConnectorError, ConnectorType, Cursor, Cx,
    HookRequest, HttpOptions, Message, NormalizeError, Page, RawItem, Receipt, Refusal, Reply, Secret, Stream,
    StreamKind, bot::OwnWords, registry, webhook::Hook,
};

pub use config::{ApplicationSettings, DiscussionSettings, GroupSettings, OkSettings, WebhookSettings};

/// Registry entry.
pub const TYPE: ConnectorType = ConnectorType {
    name: "ok",
    title: "Одноклассники",
    summary: "Private messages to groups by webhook and history, topics and comments of groups by polling.",
    schema: || schemars::schema_for!(OkSettings),
    example: include_str!("example.yaml"),
    build,
    conformance: conformance::subject,
};

/// Deliveries of private messages, of all groups.
const WEBHOOK: &str = "webhook";
/// The history of private messages, for each group.
const HISTORY: &str = "history";
/// Topics and comments, for each group.
const DISCUSSIONS: &str = "discussions";
/// OK publishes no limits; one request a second for each token is what others live with.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN;
/// How often a token's life is prolonged: the platform allows it once a day.
const TOUCH_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// One group, with its own line to the Graph API when it has a token.
#[derive(Debug)]
struct Group {
    id: String,
    /// For operators: id and name.
    shown: String,
    graph: Option<client::Graph>,
}

/// Groups of one entry.
struct Odnoklassniki {
    settings: OkSettings,
    groups: Vec<Group>,
    hook: Option<Hook>,
    rest: Option<client::Rest>,
    names: names::Names,
    policy: normalize::Policy,
    /// When the application's token was last prolonged by this process.
    touched: Mutex<Option<Instant>>,
}

fn build(settings: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Connector>, ConfigError> {
    let settings: OkSettings = registry::settings(settings)?;
    settings.validate()?;
    let tokens = settings.read_tokens(context)?;
    let application = settings.read_application(context)?;
    let hook = settings.read_hook(context)?;
    let defaults = HttpOptions {
        requests_per_second: Some(REQUESTS_PER_SECOND),
        ..HttpOptions::default()
    };
    let http = context.http(&settings.http, defaults)?;
    let group = |(group, token): (&GroupSettings, Option<Secret<String>>)| Group {
        id: group.id.clone(),
        shown: match &group.name {
            Some(name) => format!("{} ({name})", group.id),
            None => group.id.clone(),
        },
        graph: token.map(|token| client::Graph::new(http.clone(), &settings.api_url, &group.id, token)),
    };
    let groups = settings.groups.iter().zip(tokens).map(group).collect();
    let rest = application.map(|application| {
        let session = session::Sessions::new(http.clone(), &settings.api_url, application.first, application.renewal);
        client::Rest::new(http.clone(), &settings.api_url, &application.key, session)
    });
    Ok(Arc::new(Odnoklassniki {
        groups,
        hook,
        rest,
        names: names::Names::default(),
        policy: normalize::Policy {
            own_words: settings.own_words == OwnWords::Publish,
        },
        touched: Mutex::new(None),
        settings,
    }))
}

impl Odnoklassniki {
    fn group(&self, id: &str) -> Result<&Group, ConnectorError> {
        let found = self.groups.iter().find(|group| group.id == id);
        found.ok_or_else(|| ConnectorError::Misconfigured {
            hint: format!("group {id} is not in the settings any more"),
        })
    }

    /// Prolongs a long-lived token, which would end thirty days after its making. Best effort: a token that can't be
    /// prolonged still works, and when it ends the next call says so.
    async fn touch(&self, rest: &client::Rest) {
        {
            let mut touched = self.touched.lock();
            if touched.is_some_and(|at| at.elapsed() < TOUCH_EVERY) {
                return;
            }
            *touched = Some(Instant::now());
        }
        let _ = rest.call("auth.touchSession", &[]).await;
    }
}

#[async_trait::async_trait]
impl Connector for Odnoklassniki {
    fn streams(&self) -> Vec<Stream> {
        let hook = self.hook.iter().map(|_| Stream::new(WEBHOOK, StreamKind::Webhook));
        let polled = self.groups.iter().flat_map(|group| {
            let names = [(HISTORY, group.graph.is_some()), (DISCUSSIONS, self.rest.is_some())];
            let present = names.into_iter().filter(|(_, is_present)| *is_present);
            present.map(|(name, _)| Stream::keyed(name, group.id.clone(), StreamKind::Poll))
        });
        hook.chain(polled).collect()
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        let expected = check::Expectation {
            groups: &self.groups,
            hook: self.hook.as_ref(),
            rest: self.rest.as_ref(),
            topics: self.settings.discussions.topics,
        };
        check::check(&expected).await
    }

    async fn subscribe(&self, cx: &Cx) -> Result<(), ConnectorError> {
        match &self.hook {
            Some(hook) => subscribe::subscribe(&self.groups, hook, cx).await,
            None => Ok(()),
        }
    }

    async fn poll(&self, _cx: &Cx, stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let (name, id) = stream.split_once('/').ok_or(ConnectorError::Unsupported("poll"))?;
        let group = self.group(id)?;
        match (name, &group.graph, &self.rest) {
            (HISTORY, Some(graph), _) => {
                let settings = &self.settings;
                history::poll(graph, id, cursor, settings.first_days, settings.history_every).await
            }
            (DISCUSSIONS, _, Some(rest)) => {
                self.touch(rest).await;
                let asked = discussions::Asked {
                    rest,
                    group: id,
                    settings: &self.settings.discussions,
                    first_days: self.settings.first_days,
                    own_words: self.policy.own_words,
                };
                discussions::poll(&asked, cursor).await
            }
            _ => Err(ConnectorError::Unsupported("poll")),
        }
    }

    fn admit(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        let hook = self.hook.as_ref().ok_or(Refusal::NotFound)?;
        prove(hook, &self.groups, head).map(|_| Admission::Proven)
    }

    fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        let hook = self.hook.as_ref().ok_or(Refusal::NotFound)?;
        let group = prove(hook, &self.groups, request)?;
        Ok(Receipt {
            items: vec![split::message(group, request.body.clone())],
            reply: Reply::ok(),
        })
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        normalize::normalize(raw, self.policy)
    }

    fn answered(&self, raw: &RawItem) -> Option<Message> {
        let everything = normalize::Policy { own_words: true };
        normalize::normalize(raw, everything).ok()?.into_iter().next()
    }

    fn enriches(&self) -> bool {
        self.rest.is_some()
    }

    async fn enrich(&self, _cx: &Cx, messages: &mut [Message]) {
        if let Some(rest) = &self.rest {
            self.names.fill(rest, messages).await;
        }
    }
}

/// Proves the sender by network and path, and finds the group the path names.
fn prove<'a>(hook: &Hook, groups: &'a [Group], request: &HookRequest) -> Result<&'a str, Refusal> {
    let (secret, id) = request.path.trim_matches('/').rsplit_once('/').unwrap_or_default();
    hook.require_at(request, secret)?;
    let group = groups.iter().find(|group| group.id == id).ok_or(Refusal::WrongPath)?;
    Ok(&group.id)
}
