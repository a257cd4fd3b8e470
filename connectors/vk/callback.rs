//! Callback API: one address for all communities.
//!
//! The proof is the `secret` inside the body, so the body is read before anything is believed, but nothing in it is used
//! until community and secret hold. The secret is taken out before the event is stored. The answer to an event is
//! exactly `ok`, to a confirmation exactly the community's line: VK counts anything else as failure, and `remove` would
//! delete the server.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;
use priem_sdk::{
    BuildContext, ConfigError, ConnectorError, HookRequest, Receipt, Refusal, Reply, Secret, json,
    webhook::{PathSecret, SourceNetworks, require_method},
};
use tracing::info;

use super::{
    api::{AddedServer, CallbackEvents, CallbackServer, ConfirmationCode, Items, is_set},
    client::{Call, Client, Trouble, VERSION},
    communities::{Communities, Community},
    config::CallbackSettings,
    event, split,
    token::Token,
};

/// Title of our server in the community's settings; VK takes 14 characters.
const TITLE: &str = "Priem";

/// The webhook with its secrets read.
#[derive(Debug)]
pub(super) struct Hook {
    path: Option<PathSecret>,
    source_networks: SourceNetworks,
    /// Register the server ourselves.
    pub register: bool,
    /// The address VK calls.
    url: Secret<String>,
    /// Confirmation lines VK told us, by community.
    confirmations: Mutex<BTreeMap<i64, String>>,
}

/// The part of the body the proof needs. Nothing else in it can spoil the proof.
struct Proof {
    kind: String,
    group_id: i64,
    secret: Option<String>,
}

impl Proof {
    fn of(body: &Bytes) -> Option<Self> {
        let event = json::Members::of(body)?;
        Some(Self {
            kind: event.read("type")?,
            group_id: event.number("group_id")?,
            secret: event.read("secret"),
        })
    }
}

impl Hook {
    /// Reads the path's secret and builds the address.
    pub fn new(settings: &CallbackSettings, context: &BuildContext) -> Result<Self, ConfigError> {
        let base = context.require_hooks_base("callback", "longpoll")?;
        let secret = context.secret_if("callback.path", settings.path.as_ref())?;
        let (path, url) = match &secret {
            None => (None, base.trim_end_matches('/').to_owned()),
            Some(secret) => {
                let path = PathSecret::new(secret, "callback.path")?;
                (Some(path), format!("{base}{}", secret.expose()))
            }
        };
        Ok(Self {
            path,
            source_networks: settings.source_networks.clone(),
            register: settings.register,
            url: Secret::new(url),
            confirmations: Mutex::default(),
        })
    }

    /// Whether a server of a community calls us.
    pub fn is_ours(&self, url: &str) -> bool {
        url == self.url.expose().as_str()
    }

    /// What of the proof stands in the head: network, path, method.
    pub fn require_head(&self, head: &HookRequest) -> Result<(), Refusal> {
        self.source_networks.require(head.peer)?;
        if let Some(path) = &self.path {
            path.require(&head.path)?;
        }
        require_method(head, "POST")
    }

    /// Proves the sender and splits the body.
    pub fn receive(&self, request: &HookRequest, communities: &Communities) -> Result<Receipt, Refusal> {
        self.require_head(request)?;
        let proof = Proof::of(&request.body).ok_or(Refusal::Unauthenticated)?;
        let community = communities.get(&proof.group_id).ok_or(Refusal::Forbidden)?;
        let expected = community.callback.as_ref().ok_or(Refusal::Forbidden)?;
        match &proof.secret {
            Some(given) if !expected.proof.matches(given.as_bytes()) => return Err(Refusal::Forbidden),
            // The first confirmation may come before VK has our secret; it only gets a line that is worth nothing.
            None if proof.kind != "confirmation" => return Err(Refusal::Unauthenticated),
            _ => {}
        }
        if proof.kind == "confirmation" {
            return Ok(self.confirm(community));
        }
        Ok(Receipt {
            items: vec![split::item(without_secret(&request.body))],
            reply: text(200, "ok".into()),
        })
    }

    fn confirm(&self, community: &Community) -> Receipt {
        let told = self.confirmations.lock().get(&community.id).cloned();
        let reply = match community.confirmation.clone().or(told) {
            Some(line) => text(200, line),
            // Not asked for yet: VK shows the failure, and the button can be pressed again.
            None => text(503, String::new()),
        };
        Receipt {
            items: Vec::new(),
            reply,
        }
    }

    /// Learns the confirmation line of a community and, when the settings say so, registers our server there. Other
    /// servers of the community are left alone.
    pub async fn subscribe(&self, client: &Client, community: &Community) -> Result<(), ConnectorError> {
        let Some(token) = &community.token else { return Ok(()) };
        let group = community.id.to_string();
        if community.confirmation.is_none() {
            let call = Call::new("groups.getCallbackConfirmationCode", [("group_id", group.clone())]);
            let answer: ConfirmationCode = client.call(token, &call).await?;
            self.confirmations.lock().insert(community.id, answer.code);
        }
        let servers = servers(client, token, community.id).await?;
        let ours = servers.iter().find(|server| self.is_ours(&server.url));
        let server = match ours {
            Some(server) if server.status == "failed" => {
                return Err(ConnectorError::Misconfigured {
                    hint: format!(
                        "community {}: VK has stopped sending events after repeated failures; open the community's \
                         settings of Callback API and confirm the server again",
                        community.id
                    ),
                });
            }
            Some(server) => server.id,
            None if self.register => self.add(client, token, community).await?,
            None => {
                return Err(ConnectorError::Misconfigured {
                    hint: format!(
                        "community {}: our callback server is not among its servers; add it in the community's settings, \
                         or set `callback.register: true`",
                        community.id
                    ),
                });
            }
        };
        if self.register {
            switch_on(client, token, community.id, server).await?;
        }
        Ok(())
    }

    async fn add(&self, client: &Client, token: &Token, community: &Community) -> Result<i64, ConnectorError> {
        let secret = community.callback.as_ref().map(|secret| secret.text.expose().clone());
        let call = Call::new(
            "groups.addCallbackServer",
            [
                ("group_id", community.id.to_string()),
                ("url", self.url.expose().clone()),
                ("title", TITLE.into()),
                ("secret_key", secret.unwrap_or_default()),
            ],
        );
        let added: AddedServer = client.change(token, &call).await?;
        info!(community = community.id, "callback server is registered");
        Ok(added.server_id)
    }
}

/// Callback servers of a community.
pub(super) async fn servers(client: &Client, token: &Token, group: i64) -> Result<Vec<CallbackServer>, Trouble> {
    let call = Call::new("groups.getCallbackServers", [("group_id", group.to_string())]);
    Ok(client.call::<Items<CallbackServer>>(token, &call).await?.items)
}

/// Event types a server of a community gets.
pub(super) async fn events(client: &Client, token: &Token, group: i64, server: i64) -> Result<CallbackEvents, Trouble> {
    let call = Call::new(
        "groups.getCallbackSettings",
        [("group_id", group.to_string()), ("server_id", server.to_string())],
    );
    client.call(token, &call).await
}

/// Switches on what we need and leaves the rest as it is.
async fn switch_on(client: &Client, token: &Token, group: i64, server: i64) -> Result<(), ConnectorError> {
    let now = events(client, token, group, server).await?;
    let missing = missing(&now.events);
    if missing.is_empty() && now.api_version.as_deref() == Some(VERSION) {
        return Ok(());
    }
    let mut call = Call::new(
        "groups.setCallbackSettings",
        [
            ("group_id", group.to_string()),
            ("server_id", server.to_string()),
            ("api_version", VERSION.into()),
        ],
    );
    call.params
        .extend(missing.into_iter().map(|name| (name, "1".to_owned())));
    client.change::<serde_json::Value>(token, &call).await?;
    Ok(())
}

/// Event types we need that are switched off.
pub(super) fn missing(events: &serde_json::Map<String, serde_json::Value>) -> Vec<&'static str> {
    event::WANTED
        .into_iter()
        .filter(|name| !events.get(*name).is_some_and(is_set))
        .collect()
}

fn text(status: u16, body: String) -> Reply {
    Reply {
        status,
        content_type: "text/plain",
        body: body.into(),
    }
}

/// The body as it came, but for the secret.
fn without_secret(body: &Bytes) -> Bytes {
    match json::Members::of(body) {
        Some(members) if members.has("secret") => members.without("secret"),
        _ => body.clone(),
    }
}
