//! `check`: the bot as MAX sees it. Changes nothing, shows neither token nor webhook path.

use priem_sdk::{
    CheckReport, ConnectorError,
    webhook::{Hook, host_of},
};

use super::{
    Max,
    api::{Me, Subscription},
    client::{Client, Trouble},
    config::ChatSettings,
    kinds,
};

/// The right without which a bot sees nothing of a group or channel but what names it.
const READ_ALL: &str = "read_all_messages";

/// Asks MAX about the bot, its webhooks and its chats.
pub(super) async fn check(max: &Max) -> Result<CheckReport, ConnectorError> {
    let (client, chats) = (&max.client, &max.settings.chats);
    let mut report = CheckReport::default();
    let me = match client.me().await {
        Ok(me) => me,
        Err(Trouble::Decision(ConnectorError::AuthRejected { hint })) => {
            report.fail("token", "MAX does not know this token", hint);
            return Ok(report);
        }
        Err(Trouble::Decision(ConnectorError::Transient { why })) if is_unknown_issuer(&why) => {
            report.fail("tls", why, CERTIFICATE_CURE);
            return Ok(report);
        }
        Err(other) => return Err(other.into()),
    };
    look_at_bot(&me, &mut report);
    let subscriptions = client.subscriptions().await?;
    match max.hook() {
        Ok(hook) => look_at_webhook(&subscriptions, hook, &mut report),
        Err(_) => look_at_polling(&subscriptions, max, &mut report),
    }
    for chat in chats {
        look_at_chat(client, chat, &mut report).await?;
    }
    if chats.is_empty() {
        report.ok("chats", "none listed: rights in groups and channels are not looked at");
    }
    Ok(report)
}

const CERTIFICATE_CURE: &str = "the platform's certificate ends at the Russian Trusted Root CA (Минцифры): download it \
    from gosuslugi.ru/crt and name the PEM file in `http.extra_root_certificates`";

/// The words of rustls for a chain that ends at nobody we trust.
fn is_unknown_issuer(why: &str) -> bool {
    ["UnknownIssuer", "unknown issuer", "UnknownCA", "not trusted"]
        .iter()
        .any(|words| why.contains(words))
}

fn look_at_bot(me: &Me, report: &mut CheckReport) {
    let name = me.username.as_deref().unwrap_or("without a name");
    if me.is_bot {
        report.ok("token", format!("@{name}, id {}", me.user_id));
    } else {
        report.fail(
            "token",
            format!("@{name} is not a bot"),
            "take the token of a bot from the partner cabinet (business.max.ru)",
        );
    }
}

fn look_at_polling(subscriptions: &[Subscription], max: &Max, report: &mut CheckReport) {
    if subscriptions.is_empty() {
        report.ok("webhook", "none, as polling needs it");
        report.warn(
            "mode",
            "long polling: MAX keeps what is not fetched for about a day and recommends webhooks for production",
            "use mode: webhook when the listener has a public address",
        );
    }
    for subscription in subscriptions {
        if max.is_ours(&subscription.url) {
            report.warn(
                "webhook",
                "our own of an earlier mode: webhook is still subscribed; nothing can be polled while it is",
                "nothing to do: the daemon removes it when it starts",
            );
        } else {
            report.fail(
                "webhook",
                format!(
                    "a webhook at {} is subscribed; nothing can be polled while it is",
                    host_of(&subscription.url)
                ),
                "use mode: webhook, or run once with --take-over to remove it",
            );
        }
    }
}

fn look_at_webhook(subscriptions: &[Subscription], hook: &Hook, report: &mut CheckReport) {
    match subscriptions.iter().find(|one| hook.is_at(&one.url)) {
        None => report.warn(
            "webhook",
            "not subscribed; MAX drops a subscription after 8 hours without a successful delivery",
            "nothing to do if the daemon is not running: it subscribes when it starts; otherwise look at the listener's \
             certificate, address and log",
        ),
        Some(subscription) => {
            report.ok("webhook", "subscribed at our address");
            let missing = missing_kinds(subscription);
            if !missing.is_empty() {
                report.warn(
                    "update_types",
                    format!("not sent to us: {}", missing.join(", ")),
                    "nothing to do: the daemon subscribes to everything when it starts",
                );
            }
        }
    }
    for other in subscriptions.iter().filter(|one| !hook.is_at(&one.url)) {
        if hook.is_ours(&other.url) {
            report.warn(
                "webhook",
                "an older address of ours is subscribed too",
                "nothing to do: the daemon removes it when it starts",
            );
        } else {
            report.warn(
                "webhook",
                format!("{} receives every message of this bot too", host_of(&other.url)),
                "make sure you know this program; Priem leaves its subscription alone",
            );
        }
    }
}

/// Kinds with a citizen's words a subscription leaves out. No list means everything.
pub(super) fn missing_kinds(subscription: &Subscription) -> Vec<&'static str> {
    let Some(have) = subscription.update_types.as_ref().filter(|have| !have.is_empty()) else {
        return Vec::new();
    };
    kinds::WITH_WORDS
        .into_iter()
        .filter(|kind| !have.iter().any(|one| one == kind))
        .collect()
}

async fn look_at_chat(client: &Client, chat: &ChatSettings, report: &mut CheckReport) -> Result<(), ConnectorError> {
    let mut name = chat.id.to_string();
    let found = match client.chat(chat.id).await {
        Ok(found) => found,
        Err(Trouble::Refused { message, .. }) => {
            report.fail(
                "chat",
                format!("{name}: {message}"),
                "add the bot to this chat, or mend the id",
            );
            return Ok(());
        }
        Err(Trouble::Decision(error)) => return Err(error),
    };
    if let Some(known) = chat.name.as_deref().or(found.title.as_deref()) {
        name = format!("{name} ({known})");
    }
    if !matches!(found.status.as_str(), "" | "active") {
        report.fail(
            "chat",
            format!("{name}: the bot is {}", found.status),
            "add the bot to this chat again",
        );
        return Ok(());
    }
    let membership = match client.membership(chat.id).await {
        Ok(membership) => membership,
        Err(Trouble::Refused { message, .. }) => {
            report.fail("chat", format!("{name}: {message}"), "add the bot to this chat again");
            return Ok(());
        }
        Err(Trouble::Decision(error)) => return Err(error),
    };
    let permissions = membership.permissions.unwrap_or_default();
    let reads_all = membership.is_owner || permissions.iter().any(|have| have == READ_ALL);
    let kind = found.kind;
    match (membership.is_admin || membership.is_owner, reads_all) {
        (true, true) => report.ok("chat", format!("{name}: {kind}, administrator who reads all messages")),
        (true, false) => report.fail(
            "chat",
            format!("{name}: {kind}, administrator without the right {READ_ALL}: nothing is heard"),
            "in the chat's settings, among administrators, give the bot the right to read all messages",
        ),
        (false, _) => report.fail(
            "chat",
            format!("{name}: {kind}, a mere member: nothing is heard"),
            "make the bot an administrator with the right to read all messages",
        ),
    }
    Ok(())
}
