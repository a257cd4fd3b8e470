//! `check`: the bot as Telegram sees it. Changes nothing, shows neither token nor webhook path.

use priem_sdk::{
    CheckReport, ConnectorError,
    webhook::{Hook, host_of},
};

use super::{
    api::{Me, WebhookInfo},
    client::{Client, Trouble},
    config::ChatSettings,
};

/// Updates waiting beyond this look like a queue nobody empties.
const MANY_PENDING: i64 = 1000;

/// What `check` needs to know about the settings.
pub(super) struct Expectation<'a> {
    pub hook: Option<&'a Hook>,
    pub allowed: &'a [&'a str],
    pub chats: &'a [ChatSettings],
}

/// Asks Telegram about the bot, its webhook and its chats.
pub(super) async fn check(client: &Client, expected: &Expectation<'_>) -> Result<CheckReport, ConnectorError> {
    let mut report = CheckReport::default();
    let me = match client.get_me().await {
        Ok(me) => me,
        Err(Trouble::Decision(ConnectorError::AuthRejected { hint })) => {
            report.fail("token", "Telegram does not know this token", hint);
            return Ok(report);
        }
        Err(other) => return Err(other.into()),
    };
    look_at_bot(&me, &mut report);
    let info = client.get_webhook_info().await?;
    look_at_webhook(&info, expected, &mut report);
    for chat in expected.chats {
        look_at_chat(client, &me, chat, &mut report).await?;
    }
    Ok(report)
}

fn look_at_bot(me: &Me, report: &mut CheckReport) {
    let name = me.username.as_deref().unwrap_or("without a name");
    if me.is_bot {
        report.ok("token", format!("@{name}, id {}", me.id));
    } else {
        report.fail("token", format!("@{name} is not a bot"), "take a token from @BotFather");
    }
    match me.can_read_all_group_messages {
        Some(true) => report.ok("privacy", "reads all messages of its groups"),
        _ => report.warn(
            "privacy",
            "privacy mode is on: in groups the bot sees only commands, mentions and answers to itself",
            "make it an administrator of the group, or switch privacy off in @BotFather (/setprivacy) and add the bot to \
             the group again",
        ),
    }
    if me.can_join_groups == Some(false) {
        report.warn(
            "groups",
            "the bot can't be added to groups",
            "@BotFather: /setjoingroups",
        );
    }
    let yes_no = |value: Option<bool>| if value == Some(true) { "yes" } else { "no" };
    report.ok(
        "abilities",
        format!(
            "business accounts: {}, guest messages: {}",
            yes_no(me.can_connect_to_business),
            yes_no(me.supports_guest_queries)
        ),
    );
}

fn look_at_webhook(info: &WebhookInfo, expected: &Expectation<'_>, report: &mut CheckReport) {
    match (expected.hook, info.url.as_str()) {
        (None, "") => report.ok("webhook", "none, as polling needs it"),
        (None, url) => report.fail(
            "webhook",
            format!("a webhook at {} is set; polling is refused while it is", host_of(url)),
            "use mode: webhook, or run once with --take-over to remove it",
        ),
        (Some(hook), url) if hook.is_at(url) => report.ok("webhook", "registered at our address"),
        (Some(_), "") => report.warn(
            "webhook",
            "not registered yet",
            "nothing to do: the daemon registers it when it starts",
        ),
        (Some(hook), url) if hook.is_ours(url) => report.warn(
            "webhook",
            "registered at our address with an older path",
            "nothing to do: the daemon registers the new one when it starts",
        ),
        (Some(_), url) => report.fail(
            "webhook",
            format!("belongs to {}", host_of(url)),
            "stop the other program, or run once with --take-over to replace its registration",
        ),
    }
    let pending = info.pending_update_count;
    if pending > MANY_PENDING {
        report.warn(
            "pending",
            format!("{pending} updates wait; Telegram drops each after 24 hours"),
            "start the daemon, or see why it can't keep up",
        );
    } else {
        report.ok("pending", format!("{pending} updates wait"));
    }
    if let Some(message) = &info.last_error_message {
        let at = info
            .last_error_date
            .and_then(|at| jiff::Timestamp::from_second(at).ok());
        let when = at.map(|at| at.to_string()).unwrap_or_else(|| "an unknown time".into());
        let message: String = message.chars().take(200).collect();
        report.warn(
            "last_error",
            format!("the last delivery that failed was at {when}: {message}"),
            "look at the listener's certificate, address and log of that time",
        );
    }
    if let Some(at) = info
        .last_synchronization_error_date
        .and_then(|at| jiff::Timestamp::from_second(at).ok())
    {
        report.warn(
            "telegram",
            format!("Telegram itself had trouble fetching updates at {at}"),
            "nothing to do here; compare with other bots if it goes on",
        );
    }
    if let Some(allowed) = &info.allowed_updates {
        let missing: Vec<&str> = expected
            .allowed
            .iter()
            .copied()
            .filter(|kind| !allowed.iter().any(|have| have == kind))
            .collect();
        if !missing.is_empty() {
            report.warn(
                "allowed_updates",
                format!("not asked for until now: {}", missing.join(", ")),
                "nothing to do: the daemon asks for them when it starts; what came before is not sent later",
            );
        }
    }
}

async fn look_at_chat(
    client: &Client,
    me: &Me,
    chat: &ChatSettings,
    report: &mut CheckReport,
) -> Result<(), ConnectorError> {
    let name = match &chat.name {
        Some(name) => format!("{} ({name})", chat.id),
        None => chat.id.to_string(),
    };
    let found = match client.get_chat(chat.id).await {
        Ok(found) => found,
        Err(Trouble::Refused {
            migrated_to: Some(new), ..
        }) => {
            report.fail(
                "chat",
                format!("{name} has become the supergroup {new}"),
                format!("write `id: {new}` and move {} to `formerly`", chat.id),
            );
            return Ok(());
        }
        Err(Trouble::Refused { description, .. }) => {
            report.fail(
                "chat",
                format!("{name}: {description}"),
                "add the bot to this chat, or mend the id",
            );
            return Ok(());
        }
        Err(Trouble::Decision(error)) => return Err(error),
    };
    match client.get_chat_member(chat.id, me.id).await {
        Ok(member) => match member.status.as_str() {
            "administrator" | "creator" => report.ok("chat", format!("{name}: administrator, hears everything")),
            "member" if found.kind == "channel" => report.fail(
                "chat",
                format!("{name}: a mere member of a channel gets no posts"),
                "make the bot an administrator of the channel",
            ),
            "member" if me.can_read_all_group_messages != Some(true) => report.warn(
                "chat",
                format!("{name}: member with privacy mode on"),
                "make the bot an administrator, or switch privacy off in @BotFather and add it again",
            ),
            "member" | "restricted" => report.ok("chat", format!("{name}: {}", member.status)),
            status => report.fail(
                "chat",
                format!("{name}: the bot is {status}"),
                "add the bot to this chat again",
            ),
        },
        Err(Trouble::Refused { description, .. }) => {
            report.fail(
                "chat",
                format!("{name}: {description}"),
                "add the bot to this chat, or mend the id",
            );
        }
        Err(Trouble::Decision(error)) => return Err(error),
    }
    Ok(())
}
