//! `check`: groups, tokens, rights and subscriptions as OK sees them. Changes nothing, shows neither tokens nor paths.

use jiff::Timestamp;
use priem_sdk::{
    CheckReport, ConnectorError,
    webhook::{Hook, host_of},
};

use super::{
    Group,
    api::{Named, bare_id},
    client::{Graph, Rest},
    errors::Trouble,
    lists, subscribe,
};

/// What `check` needs to know about the settings.
pub(super) struct Expectation<'a> {
    pub groups: &'a [Group],
    pub hook: Option<&'a Hook>,
    pub rest: Option<&'a Rest>,
    pub topics: bool,
}

/// Asks OK about everything the settings name.
pub(super) async fn check(expected: &Expectation<'_>) -> Result<CheckReport, ConnectorError> {
    let mut report = CheckReport::default();
    for group in expected.groups {
        match &group.graph {
            Some(graph) => look_at_messages(graph, group, expected.hook, &mut report).await?,
            None => report.warn(
                "messages",
                format!(
                    "{}: no token, so private messages to this group are not heard",
                    group.shown
                ),
                "take the group's token (settings of the group → work with the API) and give it as `token`",
            ),
        }
    }
    match expected.rest {
        Some(rest) => look_at_application(rest, expected, &mut report).await?,
        None => report.warn(
            "application",
            "not given: neither topics nor comments are read, and missing names of authors stay missing",
            "register an application and fill in `application`",
        ),
    }
    Ok(report)
}

/// Turns what a human must mend into a finding; what may pass by itself ends the check.
fn finding(report: &mut CheckReport, what: &'static str, shown: &str, trouble: Trouble) -> Result<(), ConnectorError> {
    match trouble.decision(shown) {
        ConnectorError::AuthRejected { hint } | ConnectorError::Misconfigured { hint } => {
            let (detail, cure) = hint
                .rsplit_once(": ")
                .unwrap_or((hint.as_str(), "look at the settings"));
            report.fail(what, format!("{shown}: {detail}"), cure);
            Ok(())
        }
        other => Err(other),
    }
}

async fn look_at_messages(
    graph: &Graph,
    group: &Group,
    hook: Option<&Hook>,
    report: &mut CheckReport,
) -> Result<(), ConnectorError> {
    let shown = group.shown.as_str();
    let info: Named = match graph.info().await {
        Ok(info) => info,
        Err(trouble) => return finding(report, "token", shown, trouble),
    };
    match info.group_id.text().map(bare_id) {
        Some(id) if id == group.id => report.ok("token", format!("{shown}: speaks for this group")),
        Some(other) => report.fail(
            "token",
            format!("{shown}: the token belongs to group {other}"),
            "give each group its own token",
        ),
        None => report.warn(
            "token",
            format!("{shown}: OK does not say which group the token belongs to"),
            "compare the name OK shows for it with the group",
        ),
    }
    if let Some(hook) = hook {
        match graph.subscriptions().await {
            Ok(found) => look_at_subscriptions(&found, group, hook, report),
            Err(trouble) => finding(report, "webhook", shown, trouble)?,
        }
    }
    match graph.chats(None).await {
        Ok((chats, _)) => report.ok(
            "history",
            format!("{shown}: can be read, {} chats on the first page", chats.len()),
        ),
        Err(trouble) => finding(report, "history", shown, trouble)?,
    }
    Ok(())
}

fn look_at_subscriptions(found: &[super::api::Subscription], group: &Group, hook: &Hook, report: &mut CheckReport) {
    let (shown, ours) = (&group.shown, subscribe::address_of(&group.id, hook));
    let mut registered = false;
    for subscription in found {
        let Some(url) = subscription.url.text() else { continue };
        if url == ours.expose() {
            registered = true;
            let since = subscription
                .time
                .number()
                .and_then(|at| Timestamp::from_millisecond(at).ok());
            let since = since.map_or_else(|| "an unknown time".into(), |at| at.to_string());
            report.ok("webhook", format!("{shown}: registered at our address since {since}"));
        } else if subscribe::is_ours_of(&group.id, url, hook) {
            report.warn(
                "webhook",
                format!("{shown}: our address with an older path is still registered"),
                "nothing to do: the daemon removes it when it starts",
            );
        } else {
            report.warn(
                "webhook",
                format!("{shown}: {} gets this group's messages too", host_of(url)),
                "fine when you know that program; --take-over removes its registration",
            );
        }
    }
    if !registered {
        report.warn(
            "webhook",
            format!("{shown}: not registered (OK drops an address after eight hours without a success)"),
            "nothing to do: the daemon registers it when it starts and looks after it every ten minutes",
        );
    }
}

async fn look_at_application(
    rest: &Rest,
    expected: &Expectation<'_>,
    report: &mut CheckReport,
) -> Result<(), ConnectorError> {
    let me: Named = match rest.ask("users.getCurrentUser", &[("fields", "uid")]).await {
        Ok(me) => me,
        Err(trouble) => return finding(report, "application", "access token", trouble),
    };
    report.ok(
        "application",
        format!(
            "the token speaks for account {}",
            me.uid.text().unwrap_or("without an id")
        ),
    );
    for group in expected.groups {
        let shown = group.shown.as_str();
        match rest.names("group.getInfo", &[&group.id]).await {
            Ok(found) if found.iter().any(|one| one.uid.text() == Some(&group.id)) => {
                report.ok("group", format!("{shown}: known"));
            }
            Ok(_) => report.fail(
                "group",
                format!("{shown}: OK does not know it"),
                "mend the id of the group",
            ),
            Err(trouble) => finding(report, "group", shown, trouble)?,
        }
        if expected.topics {
            match lists::topics_readable(rest, &group.id).await {
                Ok(0) => report.warn(
                    "topics",
                    format!("{shown}: no topic is shown"),
                    "fine for an empty group",
                ),
                Ok(_) => report.ok("topics", format!("{shown}: can be read")),
                Err(trouble) => finding(report, "topics", shown, trouble)?,
            }
        }
        match lists::shown(rest, &group.id).await {
            Ok((0, all)) => report.warn(
                "discussions",
                format!("{shown}: none among the {all} newest discussions this account is shown"),
                "make the account an administrator of the group: others are not shown the group's discussions; until \
                 then only comments below the newest topics are heard",
            ),
            Ok((count, all)) => report.ok("discussions", format!("{shown}: {count} of the {all} newest")),
            Err(trouble) => finding(report, "discussions", shown, trouble)?,
        }
    }
    Ok(())
}
