//! Registration of the webhooks, one for each group.
//!
//! OK sends to every registered address, so somebody else's registration is not in our way and stays untouched, unless
//! the operator said to take over. It drops an address after eight hours without a success, so ours is looked for at
//! every turn of the host, registered again when it is missing, and refreshed when it has grown old.

use jiff::Timestamp;
use priem_sdk::{ConnectorError, Cx, Secret, webhook::Hook};

use super::{Group, api::bare_id, client::Graph, errors::Trouble};

/// Kinds of deliveries asked for. The last two hold no citizen's words, but tell that we are heard.
pub(super) const KINDS: [&str; 3] = ["MESSAGE_CREATED", "MESSAGE_CALLBACK", "CHAT_SYSTEM"];
/// Age at which our own registration is refreshed, ms: well before the eight hours after which the platform may drop it.
const OLD: i64 = 6 * 60 * 60 * 1000;

/// Registers every group. One group's trouble does not keep the others from being registered; the first is reported.
pub(super) async fn subscribe(groups: &[Group], hook: &Hook, cx: &Cx) -> Result<(), ConnectorError> {
    let mut first = None;
    for group in groups {
        let Some(graph) = &group.graph else { continue };
        if let Err(trouble) = subscribe_group(graph, &group.id, hook, cx.take_over).await {
            first.get_or_insert(trouble.decision(&format!("group {}", group.id)));
        }
    }
    first.map_or(Ok(()), Err)
}

async fn subscribe_group(graph: &Graph, group: &str, hook: &Hook, take_over: bool) -> Result<(), Trouble> {
    let info = graph.info().await?;
    if let Some(other) = info.group_id.text().map(bare_id).filter(|id| *id != group) {
        return Err(ConnectorError::Misconfigured {
            hint: format!("the token of group {group} belongs to group {other}: give each group its own token"),
        }
        .into());
    }
    let url = address_of(group, hook);
    let mut ours = None;
    for subscription in graph.subscriptions().await? {
        let Some(address) = subscription.url.text() else {
            continue;
        };
        if address == url.expose() {
            ours = Some(subscription.time.number());
        } else if take_over || is_ours_of(group, address, hook) {
            graph.unsubscribe(address).await?;
        }
    }
    let is_fresh = |time: Option<i64>| time.is_none_or(|time| Timestamp::now().as_millisecond() - time < OLD);
    match ours {
        Some(time) if is_fresh(time) => Ok(()),
        _ => graph.subscribe(&url, &KINDS).await,
    }
}

/// The address OK calls for a group.
pub(super) fn address_of(group: &str, hook: &Hook) -> Secret<String> {
    Secret::new(format!("{}/{group}", hook.url().expose()))
}

/// Our own address of this group with an older path secret: its deliveries would be refused.
pub(super) fn is_ours_of(group: &str, address: &str, hook: &Hook) -> bool {
    address
        .rsplit_once('/')
        .is_some_and(|(rest, last)| last == group && hook.is_ours(rest))
}
