//! Requests we refuse: strangers try every address, but a platform that is refused is a channel that is not heard. So it
//! is told: in the log at a bounded rate, and in health until the platform gets through.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use priem_sdk::Refusal;
use tracing::warn;

use crate::health::Condition;

/// Refusals for one reason are logged this often at most.
const LOG_EVERY: Duration = Duration::from_secs(600);
/// A refusal this old says nothing about now.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// Refusals of one connector.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When a reason was last logged, and how many refusals for it there were since.
    logged: BTreeMap<&'static str, (Option<Instant>, u64)>,
    /// The last refusal since the platform got through.
    last: Option<(Instant, Refusal, IpAddr)>,
}

impl Refusals {
    /// A request was refused.
    pub(super) fn note(&self, connector: &str, refusal: Refusal, sender: IpAddr, now: Instant) {
        let mut state = self.0.lock();
        state.last = Some((now, refusal, sender));
        let (at, count) = state.logged.entry(refusal.kind()).or_default();
        *count += 1;
        if at.is_some_and(|at| now.duration_since(at) < LOG_EVERY) {
            return;
        }
        let requests = std::mem::take(count);
        *at = Some(now);
        warn!(
            connector,
            reason = refusal.kind(),
            requests,
            sender = %sender,
            cure = cure(refusal),
            "webhook requests are refused"
        );
    }

    /// The platform got through.
    pub(super) fn proven(&self) {
        self.0.lock().last = None;
    }

    /// What health says.
    pub(super) fn condition(&self, now: Instant) -> Condition {
        match self.0.lock().last {
            Some((at, refusal, sender)) if now.duration_since(at) < FORGOTTEN_AFTER => Condition::Degraded {
                why: format!(
                    "refused: the last webhook request, from {sender}, was not taken ({refusal}); {}",
                    cure(refusal)
                ),
            },
            _ => Condition::Ready,
        }
    }
}

/// What to do when it was the platform.
fn cure(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::ForeignNetwork => {
            "if it was the platform: behind a proxy, add the proxy to `http.webhooks.trusted_proxies`, otherwise the \
             network to `source_networks` (за прокси? добавьте trusted_proxies)"
        }
        Refusal::WrongPath => {
            "if it was the platform: it calls another path than the settings say; register the webhook anew, and see that \
             the proxy does not change paths"
        }
        Refusal::Unauthenticated => {
            "if it was the platform: it sends no secret; register the webhook anew, and see that the proxy hands on its \
             headers"
        }
        Refusal::Forbidden => {
            "if it was the platform: it has another secret than the settings; register the webhook anew with this one"
        }
        Refusal::MethodNotAllowed | Refusal::NotFound => {
            "if it was the platform: it is set up for another way than the settings say; `priem check` compares them"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    #[test]
    fn health_says_refused_with_the_cure_until_the_platform_gets_through() {
        let refusals = Refusals::default();
        let now = Instant::now();
        assert_eq!(refusals.condition(now), Condition::Ready);
        refusals.note("a", Refusal::ForeignNetwork, SENDER, now);
        let Condition::Degraded { why } = refusals.condition(now) else {
            panic!("a refusal is told");
        };
        assert!(
            why.starts_with("refused") && why.contains("10.0.0.7") && why.contains("добавьте trusted_proxies"),
            "{why}"
        );
        assert_eq!(refusals.condition(now + FORGOTTEN_AFTER), Condition::Ready);
        refusals.proven();
        assert_eq!(refusals.condition(now), Condition::Ready);
    }

    #[test]
    fn each_reason_is_logged_now_and_then_and_none_is_not_counted() {
        let refusals = Refusals::default();
        let now = Instant::now();
        for _ in 0..5 {
            refusals.note("a", Refusal::WrongPath, SENDER, now);
            refusals.note("a", Refusal::Forbidden, SENDER, now);
        }
        let waiting =
            |refusals: &Refusals| -> Vec<u64> { refusals.0.lock().logged.values().map(|(_, count)| *count).collect() };
        assert_eq!(waiting(&refusals), [4, 4], "the first one was told");
        refusals.note("a", Refusal::WrongPath, SENDER, now + LOG_EVERY);
        assert_eq!(waiting(&refusals), [0, 4]);
    }
}
