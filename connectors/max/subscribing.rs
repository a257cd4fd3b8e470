//! Webhook subscriptions: ours is kept, those of others are never touched without leave, and polling has none beside it.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use priem_sdk::{
    ConnectorError, Cx, Secret,
    webhook::{Hook, host_of},
};
use tracing::{debug, info};

use super::{Max, check};

/// How often polling looks whether somebody has subscribed a webhook: answers would stay empty without a word.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Whether this process has subscribed before.
#[derive(Default)]
pub(super) struct Registered(bool);

impl Max {
    /// Polling stays empty without a word while a webhook is subscribed; now and then we ask.
    pub(super) async fn look_for_webhooks(&self) -> Result<(), ConnectorError> {
        let is_due = {
            let mut looked_at = self.looked_at.lock();
            let is_due = looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
            if is_due {
                *looked_at = Some(Instant::now());
            }
            is_due
        };
        if !is_due {
            return Ok(());
        }
        // A server that can't say refuses the polls, or has none.
        match self.client.subscriptions().await.ok().as_deref() {
            Some([subscription, ..]) => Err(in_the_way(&subscription.url)),
            _ => Ok(()),
        }
    }

    /// Polling: no webhook may be subscribed. Our own from an earlier mode goes, somebody else's only when allowed.
    pub(super) async fn clear_the_way(&self, cx: &Cx) -> Result<(), ConnectorError> {
        let subscriptions = match self.client.subscriptions().await.map_err(ConnectorError::from) {
            Ok(subscriptions) => subscriptions,
            Err(error @ (ConnectorError::RateLimited { .. } | ConnectorError::AuthRejected { .. })) => {
                return Err(error);
            }
            Err(error) => {
                debug!(connector = %self.id, %error, "the server does not say whether a webhook is subscribed");
                return Ok(());
            }
        };
        for subscription in subscriptions {
            if !self.is_ours(&subscription.url) && !cx.take_over {
                return Err(in_the_way(&subscription.url));
            }
            self.client.unsubscribe(&subscription.url).await?;
            info!(connector = %self.id, host = host_of(&subscription.url), "webhook subscription removed");
        }
        Ok(())
    }

    /// Webhook: our address is subscribed for everything, older ones of ours are not. Others receive their own copy
    /// and are nobody's trouble.
    pub(super) async fn subscribe_hook(
        &self,
        hook: &Hook,
        secret: &Secret<String>,
        registered: &mut Registered,
    ) -> Result<(), ConnectorError> {
        let subscriptions = self.client.subscriptions().await?;
        let ours = subscriptions.iter().find(|one| hook.is_at(&one.url));
        let is_complete = ours.is_some_and(|one| check::missing_kinds(one).is_empty());
        // The secret of a subscription is never told, so each process says ours once.
        if !is_complete || !registered.0 {
            self.client.subscribe(hook.url(), secret).await?;
        }
        let was_dropped = registered.0 && ours.is_none();
        registered.0 = true;
        let stale = subscriptions
            .iter()
            .filter(|one| !hook.is_at(&one.url) && hook.is_ours(&one.url));
        for subscription in stale {
            self.client.unsubscribe(&subscription.url).await?;
        }
        if was_dropped {
            self.catch_up.store(true, Ordering::Release);
            return Err(ConnectorError::Gap {
                what: "MAX had removed our webhook (it does after 8 hours without a successful delivery); it is subscribed \
                       again, and the history of known chats is read"
                    .into(),
            });
        }
        Ok(())
    }
}

fn in_the_way(url: &str) -> ConnectorError {
    ConnectorError::Misconfigured {
        hint: format!(
            "a webhook at {} is subscribed for this bot, so nothing can be polled: use mode: webhook, or let Priem remove \
             it with --take-over",
            host_of(url)
        ),
    }
}
