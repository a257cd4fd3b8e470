//! `check`: every community as VK sees it. Changes nothing, shows no key and no address.

use futures::{StreamExt, stream};
use priem_sdk::{CheckReport, ConnectorError};
use serde_json::Value;

use super::{
    api::{Group, Groups, LongPollSettings, TokenPermissions, User},
    callback::{self, Hook},
    client::{Call, Client, Trouble},
    communities::{Communities, Community},
    config::{CatchUpSettings, Mode},
    event,
    token::{Token, TokenKind},
};

/// Communities asked at the same time.
const AT_ONCE: usize = 8;
/// With more communities than this, those without trouble share one line.
const MOST_LINES: usize = 20;
/// Rights a community's key needs, by VK's names.
const RIGHTS: [(&str, &str); 2] = [
    ("manage", "управление сообществом"),
    ("messages", "сообщения сообщества"),
];
/// Where in the community's settings the cure is.
const LONGPOLL_PAGE: &str = "community → «Управление» → «Работа с API» → «Long Poll API» → «Типы событий»";
const CALLBACK_PAGE: &str = "community → «Управление» → «Работа с API» → «Callback API»";

/// What `check` looks at.
pub(super) struct View<'a> {
    pub client: &'a Client,
    pub communities: &'a Communities,
    pub mode: Mode,
    pub hook: Option<&'a Hook>,
    pub catch_up: &'a CatchUpSettings,
    pub catch_up_token: Option<&'a Token>,
    pub switches_on_events: bool,
}

impl View<'_> {
    /// Asks VK about every community and the token of catch-up.
    pub async fn check(&self) -> Result<CheckReport, ConnectorError> {
        let looks: Vec<_> = self
            .communities
            .values()
            .map(|community| self.look(community))
            .collect();
        let mut looks: Vec<(i64, Result<CheckReport, ConnectorError>)> =
            stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        looks.sort_by_key(|(id, _)| *id);
        let mut report = CheckReport::default();
        let many = looks.len() > MOST_LINES;
        let (mut fine, all) = (0, looks.len());
        let mut unreachable = None;
        for (id, look) in looks {
            match look {
                Ok(one) => {
                    let quiet = one.findings.iter().all(|finding| finding.outcome == "ok");
                    fine += usize::from(quiet);
                    if !(many && quiet) {
                        report.findings.extend(one.findings);
                    }
                }
                Err(error) => {
                    report.fail(
                        "community",
                        format!("{id}: {error}"),
                        "try again; if it stays, look at the network and at VK",
                    );
                    unreachable = Some(error);
                }
            }
        }
        if let (Some(error), 0) = (unreachable, fine)
            && report.findings.len() == all
        {
            return Err(error);
        }
        if many && fine > 0 {
            report.ok("communities", format!("{fine} of {all} as they should be"));
        }
        self.catch_up(&mut report).await?;
        Ok(report)
    }

    async fn look(&self, community: &Community) -> (i64, Result<CheckReport, ConnectorError>) {
        (community.id, self.community(community).await)
    }

    async fn community(&self, community: &Community) -> Result<CheckReport, ConnectorError> {
        let mut report = CheckReport::default();
        let Some(token) = &community.token else {
            report.ok("community", format!("{}: without a key", community.title()));
            return Ok(report);
        };
        let title = community.title();
        if !self.token(token, community, &title, &mut report).await? {
            return Ok(report);
        }
        match (self.mode, self.hook) {
            (Mode::Longpoll, _) => self.long_poll(token, community, &title, &mut report).await?,
            (Mode::Callback, Some(hook)) => self.callback(hook, token, community, &title, &mut report).await?,
            _ => {}
        }
        Ok(report)
    }

    /// Whether the key is good and belongs to the community.
    async fn token(
        &self,
        token: &Token,
        community: &Community,
        title: &str,
        report: &mut CheckReport,
    ) -> Result<bool, ConnectorError> {
        let groups: Option<Groups> = heard(
            self.client.call(token, &Call::new("groups.getById", [])).await,
            title,
            report,
        )?;
        let Some(groups) = groups else { return Ok(false) };
        match groups.into_list().first() {
            Some(Group { id, name, .. }) if *id == community.id => report.ok("token", format!("{title}: «{name}»")),
            Some(Group { id, .. }) => {
                report.fail(
                    "token",
                    format!("{title}: the key belongs to community {id}"),
                    "give each community its own key",
                );
                return Ok(false);
            }
            None => {
                report.fail(
                    "token",
                    format!("{title}: the key belongs to no community"),
                    "make a community key",
                );
                return Ok(false);
            }
        }
        let permissions = self
            .client
            .call(token, &Call::new("groups.getTokenPermissions", []))
            .await;
        let permissions: Option<TokenPermissions> = heard(permissions, title, report)?;
        let Some(permissions) = permissions else {
            return Ok(false);
        };
        let missing: Vec<&str> = RIGHTS
            .iter()
            .filter(|(right, _)| !permissions.permissions.iter().any(|have| have.name == *right))
            .map(|(_, name)| *name)
            .collect();
        if missing.is_empty() {
            report.ok("rights", format!("{title}: manage, messages"));
        } else {
            report.fail(
                "rights",
                format!("{title}: the key lacks «{}»", missing.join("», «")),
                "community → «Управление» → «Работа с API» → «Ключи доступа»: make a new key with these rights",
            );
        }
        Ok(true)
    }

    async fn long_poll(
        &self,
        token: &Token,
        community: &Community,
        title: &str,
        report: &mut CheckReport,
    ) -> Result<(), ConnectorError> {
        let settings: Option<LongPollSettings> =
            heard(settings(self.client, token, community.id).await, title, report)?;
        let Some(settings) = settings else { return Ok(()) };
        let itself = if self.switches_on_events {
            " (the daemon does it when it starts)"
        } else {
            ""
        };
        if !settings.is_enabled {
            report.fail(
                "events",
                format!("{title}: Long Poll is switched off{itself}"),
                format!("{LONGPOLL_PAGE}, or set switch_on_events: true"),
            );
            return Ok(());
        }
        look_at_version(settings.api_version.as_deref(), title, report);
        look_at_events(&settings.events, title, LONGPOLL_PAGE, report);
        Ok(())
    }

    async fn callback(
        &self,
        hook: &Hook,
        token: &Token,
        community: &Community,
        title: &str,
        report: &mut CheckReport,
    ) -> Result<(), ConnectorError> {
        let Some(servers) = heard(callback::servers(self.client, token, community.id).await, title, report)? else {
            return Ok(());
        };
        let Some(server) = servers.iter().find(|server| hook.is_ours(&server.url)) else {
            let (detail, cure) = (format!("{title}: our server is not registered"), CALLBACK_PAGE);
            if hook.register {
                report.warn(
                    "callback",
                    detail,
                    "nothing to do: the daemon registers it when it starts",
                );
            } else {
                report.fail("callback", detail, format!("{cure}, or set callback.register: true"));
            }
            return Ok(());
        };
        match server.status.as_str() {
            "ok" => report.ok("callback", format!("{title}: our server is confirmed")),
            "failed" => report.fail(
                "callback",
                format!("{title}: VK has stopped sending after repeated failures"),
                format!("{CALLBACK_PAGE}: press «Подтвердить»; see why our answers failed"),
            ),
            status => report.warn(
                "callback",
                format!(
                    "{title}: our server is not confirmed yet ({})",
                    super::errors::bounded(status)
                ),
                format!("{CALLBACK_PAGE}: press «Подтвердить» while the daemon runs"),
            ),
        }
        let events = heard(
            callback::events(self.client, token, community.id, server.id).await,
            title,
            report,
        )?;
        if let Some(events) = events {
            look_at_version(events.api_version.as_deref(), title, report);
            look_at_events(&events.events, title, CALLBACK_PAGE, report);
        }
        Ok(())
    }

    async fn catch_up(&self, report: &mut CheckReport) -> Result<(), ConnectorError> {
        let Some(token) = self.catch_up_token else {
            report.warn(
                "catch_up",
                "no token: walls, comments and discussions missed during an outage stay missed",
                "give `catch_up.token` a service key: community keys can't read walls",
            );
            return Ok(());
        };
        if token.kind == TokenKind::User {
            let me: Option<Vec<User>> = heard(
                self.client.call(token, &Call::new("users.get", [])).await,
                "catch_up",
                report,
            )?;
            if let Some(me) = me {
                match me.first() {
                    Some(me) => report.ok("catch_up", format!("token of user {}", me.id)),
                    None => report.fail("catch_up", "the token belongs to nobody", "make a new user's token"),
                }
            }
            return Ok(());
        }
        let Some(first) = self.communities.keys().next() else {
            return Ok(());
        };
        let call = Call::new("wall.get", [("owner_id", format!("-{first}")), ("count", "1".into())]);
        let wall: Option<Value> = heard(self.client.call(token, &call).await, "catch_up", report)?;
        if wall.is_some() {
            let boards = if self.catch_up.boards { " and discussions" } else { "" };
            report.ok("catch_up", format!("service key, reads walls{boards}"));
        }
        Ok(())
    }
}

/// `groups.getLongPollSettings`.
pub(super) async fn settings(client: &Client, token: &Token, group: i64) -> Result<LongPollSettings, Trouble> {
    let call = Call::new("groups.getLongPollSettings", [("group_id", group.to_string())]);
    client.call(token, &call).await
}

/// A refusal is a finding; trouble on the line ends this look.
fn heard<T>(answer: Result<T, Trouble>, title: &str, report: &mut CheckReport) -> Result<Option<T>, ConnectorError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(trouble) if trouble.is_passing() => Err(trouble.into()),
        Err(trouble) => {
            let (what, hint) = match ConnectorError::from(trouble) {
                ConnectorError::AuthRejected { hint } => ("token", hint),
                ConnectorError::Misconfigured { hint } => ("rights", hint),
                other => ("community", other.to_string()),
            };
            report.fail(what, format!("{title}: VK refused"), hint);
            Ok(None)
        }
    }
}

fn look_at_version(version: Option<&str>, title: &str, report: &mut CheckReport) {
    let number = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let Some(version) = version else { return };
    if number(version).is_some_and(|version| version < (5, 103)) {
        report.warn(
            "events",
            format!(
                "{title}: events come in the old version {}",
                super::errors::bounded(version)
            ),
            "choose version 5.199 in the settings of events: VK switches old versions off",
        );
    }
}

fn look_at_events(events: &serde_json::Map<String, Value>, title: &str, page: &str, report: &mut CheckReport) {
    let missing = callback::missing(events);
    if missing.is_empty() {
        report.ok("events", format!("{title}: all {} types are on", event::WANTED.len()));
    } else {
        report.warn(
            "events",
            format!("{title}: switched off and never sent: {}", missing.join(", ")),
            format!("{page}; or let the daemon do it (switch_on_events, callback.register)"),
        );
    }
}
