//! The loop around one polled stream: when to ask, what to do with each decision a connector takes, and the one order
//! that matters: store, then move on, then acknowledge.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use parking_lot::Mutex;
use priem_sdk::{Connector, ConnectorError, Cx, Page, StreamKind, Wait, contract::Progress};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    http::Source,
    intake::Intake,
    journal::{Journal, JournalError},
    telemetry::{Metrics, unix_now},
};

/// Pause before a connector that needs a human is tried again: recovery needs no restart.
const HUMAN_PAUSE: Duration = Duration::from_secs(60);

/// How often the registration of a webhook is looked after.
const REGISTRATION_PAUSE: Duration = Duration::from_secs(600);

/// Progress of a long import is logged this often.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// One stream of one connector.
pub struct Poller {
    /// The connector.
    pub connector: Arc<dyn Connector>,
    /// What it is lent.
    pub cx: Cx,
    /// Name of the stream.
    pub stream: &'static str,
    /// A polled stream is asked; a webhook's registration is only looked after.
    pub kind: StreamKind,
    /// Where items go.
    pub intake: Intake,
    /// Where cursors are.
    pub journal: Journal,
    /// What is counted.
    pub metrics: Metrics,
    /// What health is told.
    pub source: Arc<Source>,
    /// Pauses after trouble, the shortest and the longest.
    pub pauses: (Duration, Duration),
    /// When progress of an import was last reported.
    pub reported: Mutex<Option<Instant>>,
}

impl Poller {
    /// Runs until shutdown.
    pub async fn run(&self, shutdown: &CancellationToken) {
        let mut pauses = self.fresh_pauses();
        let mut subscribed = false;
        loop {
            let turn = tokio::select! {
                () = shutdown.cancelled() => return,
                turn = self.turn(&mut subscribed) => turn,
            };
            let pause = match turn {
                Ok(wait) => {
                    pauses = self.fresh_pauses();
                    match wait {
                        Wait::Now => continue,
                        Wait::For(pause) => pause,
                    }
                }
                Err(trouble) => {
                    subscribed &= !matches!(trouble, Trouble::Source(ConnectorError::Misconfigured { .. }));
                    self.pause_after(&trouble, &mut pauses)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Asks once and stores what came. Dropped at shutdown: what was handed to the journal is committed with its
    /// cursor, and acknowledged at the next start.
    async fn turn(&self, subscribed: &mut bool) -> Result<Wait, Trouble> {
        if self.kind == StreamKind::Webhook {
            self.connector.subscribe(&self.cx).await?;
            self.succeeded(false);
            return Ok(Wait::For(REGISTRATION_PAUSE));
        }
        let cursor = self.journal.cursor(&self.cx.id, self.stream).await?;
        if !*subscribed {
            self.connector.subscribe(&self.cx).await?;
            if let Some(cursor) = &cursor {
                // The process may have died between a commit and its acknowledgement.
                self.connector.acknowledge(&self.cx, self.stream, cursor).await?;
            }
            *subscribed = true;
        }
        let before = cursor.unwrap_or_default();
        let Page {
            items,
            next,
            wait,
            progress,
            ..
        } = self.connector.poll(&self.cx, self.stream, &before).await?;
        self.succeeded(!items.is_empty());
        if items.is_empty() && next == before {
            return Ok(wait);
        }
        self.report(progress.as_ref());
        self.intake
            .store(&self.cx.id, self.stream, items, Some(next.clone()))
            .await?;
        self.connector.acknowledge(&self.cx, self.stream, &next).await?;
        Ok(wait)
    }

    fn succeeded(&self, new_items: bool) {
        self.source.set_trouble(None);
        self.source.exchanged(new_items);
        let id = self.cx.id.as_str();
        let up = self.metrics.connector_up.with_label_values(&[id]);
        if up.get() != 1 {
            info!(connector = id, stream = self.stream, "source is heard");
            up.set(1);
        }
        self.metrics
            .last_exchange
            .with_label_values(&[id, self.stream])
            .set(unix_now());
        self.count_poll("ok");
    }

    /// Looking after a webhook's registration is no poll.
    fn count_poll(&self, result: &str) {
        if self.kind == StreamKind::Poll {
            self.metrics
                .polls
                .with_label_values(&[self.cx.id.as_str(), self.stream, result])
                .inc();
        }
    }

    fn report(&self, progress: Option<&Progress>) {
        let Some(Progress {
            what,
            done,
            total,
            unit,
        }) = progress
        else {
            return;
        };
        let mut reported = self.reported.lock();
        if *total != Some(*done) && reported.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        *reported = Some(Instant::now());
        info!(
            connector = self.cx.id.as_str(),
            file = what,
            done,
            total,
            unit,
            "import goes on"
        );
    }

    /// How long to wait after trouble, and who must hear of it.
    fn pause_after(&self, trouble: &Trouble, pauses: &mut impl Iterator<Item = Duration>) -> Duration {
        let (connector, stream) = (self.cx.id.as_str(), self.stream);
        self.count_poll(trouble.kind());
        self.source.set_trouble(Some(trouble.to_string()));
        let growing = pauses.next().unwrap_or(self.pauses.1);
        match trouble {
            Trouble::Source(ConnectorError::RateLimited { retry_after }) => {
                self.metrics.rate_limit_waits.with_label_values(&[connector]).inc();
                warn!(
                    connector,
                    stream,
                    seconds = retry_after.as_secs(),
                    "source asks to wait"
                );
                *retry_after
            }
            Trouble::Source(
                problem @ (ConnectorError::AuthRejected { .. }
                | ConnectorError::Misconfigured { .. }
                | ConnectorError::Unsupported(_)),
            ) => {
                self.metrics.connector_up.with_label_values(&[connector]).set(0);
                error!(connector, stream, error = %problem, "source needs a human");
                HUMAN_PAUSE
            }
            Trouble::Source(gap @ ConnectorError::Gap { .. }) => {
                self.metrics.gaps.with_label_values(&[connector]).inc();
                error!(connector, stream, error = %gap, "source lost events");
                growing
            }
            Trouble::Source(error) => {
                warn!(connector, stream, %error, pause_ms = growing.as_millis(), "poll failed");
                growing
            }
            Trouble::Journal(error) => {
                warn!(connector, stream, %error, pause_ms = growing.as_millis(), "source is paused");
                growing
            }
        }
    }

    fn fresh_pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.pauses.0)
            .with_max_delay(self.pauses.1)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

/// What stopped a turn.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Source(#[from] ConnectorError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Trouble {
    fn kind(&self) -> &'static str {
        match self {
            Self::Source(error) => error.kind(),
            Self::Journal(_) => "journal",
        }
    }
}
