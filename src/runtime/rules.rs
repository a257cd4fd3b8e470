//! How other rules take the place of those in force without a stop.
//!
//! Invariants: a set that can't be read or whose tests fail never comes into force, the one before goes on; two reloads
//! never run at once.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use priem_rules::{RuleErrors, RuleSet, TestReport};

use crate::{
    delivery::RulesInForce,
    http::{Reload, ReloadReport, ReloadResult},
    privacy::Policy,
    telemetry::{Metrics, unix_now},
};

/// Problems named in a report; the rest is counted.
const NAMED_PROBLEMS: usize = 10;

/// The rules of the daemon: those in force and where others come from.
pub struct Rules {
    in_force: Arc<RulesInForce>,
    /// Folder of the settings; without one the rules are built in and never change.
    dir: Option<PathBuf>,
    config_hash: String,
    /// New rules must fit it.
    privacy: Arc<Policy>,
    metrics: Metrics,
    one_at_a_time: Mutex<()>,
}

impl Rules {
    /// Puts rules into force. `dir` is where a reload reads them from.
    pub fn new(rules: Arc<RuleSet>, dir: Option<PathBuf>, config_hash: String, metrics: Metrics) -> Self {
        let labels = [env!("CARGO_PKG_VERSION"), config_hash.as_str(), rules.version()];
        metrics.info.with_label_values(&labels).set(1);
        metrics.rules_loaded.set(unix_now());
        metrics.rules_reload_ok.set(1);
        Self {
            in_force: Arc::new(RulesInForce::new(rules, metrics.clone())),
            dir,
            config_hash,
            privacy: Arc::default(),
            metrics,
            one_at_a_time: Mutex::new(()),
        }
    }

    /// The same, refusing rules that don't fit a policy of personal data.
    #[must_use]
    pub fn with_privacy(mut self, policy: Arc<Policy>) -> Self {
        self.privacy = policy;
        self
    }

    /// The rules in force, for those who decide.
    pub fn in_force(&self) -> Arc<RulesInForce> {
        Arc::clone(&self.in_force)
    }

    /// Reads the folder again, runs the tests, and puts the new set into force. A bad one is refused.
    pub async fn reload(&self) -> ReloadReport {
        let _one = self.one_at_a_time.lock().await;
        let report = match self.read().await {
            Ok(rules) => self.take(rules),
            Err(problems) => self.refuse(problems),
        };
        let ok = report.result != ReloadResult::Refused;
        self.metrics.rules_reload_ok.set(i64::from(ok));
        self.metrics
            .rules_reloads
            .with_label_values(&[report.result.as_str()])
            .inc();
        report
    }

    async fn read(&self) -> Result<RuleSet, Vec<String>> {
        let Some(dir) = self.dir.clone() else {
            return Ok(RuleSet::starter());
        };
        // Ten thousand rules with their tests take a while; messages go on meanwhile.
        let privacy = Arc::clone(&self.privacy);
        let read = tokio::task::spawn_blocking(move || fitting(checked(RuleSet::load(&dir))?, &privacy));
        match read.await {
            Ok(read) => read,
            Err(error) => Err(vec![format!("проверка правил прервалась: {error}")]),
        }
    }

    fn take(&self, rules: RuleSet) -> ReloadReport {
        let before = self.in_force.now().rules.version().to_owned();
        let count = rules.rule_ids().count();
        if rules.version() == before {
            info!(version = before, "the rules have not changed");
            return report(ReloadResult::Unchanged, before, count, Vec::new());
        }
        let version = rules.version().to_owned();
        self.in_force.replace(rules);
        let package = env!("CARGO_PKG_VERSION");
        let labels = |version| [package, self.config_hash.as_str(), version];
        // Absent only when somebody else removed it; the gauge is gone either way.
        let _ = self.metrics.info.remove_label_values(&labels(before.as_str()));
        self.metrics.info.with_label_values(&labels(version.as_str())).set(1);
        self.metrics.rules_loaded.set(unix_now());
        info!(version, before, rules = count, "new rules are in force");
        report(ReloadResult::Applied, version, count, Vec::new())
    }

    fn refuse(&self, problems: Vec<String>) -> ReloadReport {
        let current = self.in_force.now();
        let version = current.rules.version().to_owned();
        for problem in problems.iter().take(NAMED_PROBLEMS) {
            warn!(problem, "what is wrong with the new rules");
        }
        error!(
            problems = problems.len(),
            in_force = version,
            "the new rules are refused, those before go on; run `priem rules check`"
        );
        report(
            ReloadResult::Refused,
            version,
            current.rules.rule_ids().count(),
            problems,
        )
    }
}

#[async_trait]
impl Reload for Rules {
    async fn reload(&self) -> ReloadReport {
        self.reload().await
    }
}

fn report(result: ReloadResult, version: String, rules: usize, problems: Vec<String>) -> ReloadReport {
    ReloadReport {
        result,
        version,
        rules,
        problems,
    }
}

/// Rules whose tests pass, or what is wrong, each with its file, line and name.
fn checked(read: Result<RuleSet, RuleErrors>) -> Result<RuleSet, Vec<String>> {
    let rules = read.map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let tests = rules.run_tests();
    if tests.passed() { Ok(rules) } else { Err(failed(&tests)) }
}

/// Rules under which no more personal data leaves than the settings mean.
fn fitting(rules: RuleSet, privacy: &Policy) -> Result<RuleSet, Vec<String>> {
    let is_rule = |id: &str| rules.rule_ids().any(|known| known == id);
    let misfits = privacy.misfits(&is_rule, rules.personal_data_names());
    if misfits.is_empty() { Ok(rules) } else { Err(misfits) }
}

fn failed(tests: &TestReport) -> Vec<String> {
    let failures = tests.failures.iter().map(|failure| {
        let place = format!("{}:{}", failure.file.display(), failure.line);
        let differences = failure.differences.join("; ");
        format!("{place}: не прошёл тест «{}»: {differences}", failure.name)
    });
    failures.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::PrivacySettings;
    use jiff::Timestamp;
    use priem_sdk::message::{EventType, Kind, Message, MessageData, Regime, Topic, TopicNode};

    const GOOD: &str = "version: 1\nroute: { id: root, name: Все, to: { organisation: МЦУ }, queue: one }\n";

    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder, text);
        folder
    }

    fn write(folder: &tempfile::TempDir, text: &str) {
        std::fs::write(folder.path().join("rules.yaml"), text).expect("written");
    }

    fn in_force(folder: &tempfile::TempDir) -> Rules {
        let rules = Arc::new(RuleSet::load(folder.path()).expect("loads"));
        Rules::new(rules, Some(folder.path().to_owned()), "c0ffee".into(), Metrics::new())
    }

    #[tokio::test]
    async fn new_rules_come_into_force_and_bad_ones_do_not() {
        let folder = folder(GOOD);
        let rules = in_force(&folder);
        let first = rules.in_force.now().rules.version().to_owned();
        assert_eq!(rules.reload().await.result, ReloadResult::Unchanged);

        write(&folder, &GOOD.replace("one", "two"));
        let report = rules.reload().await;
        assert_eq!(report.result, ReloadResult::Applied);
        let second = rules.in_force.now().rules.version().to_owned();
        assert!(report.version == second && second != first);
        let shown = rules.metrics.render();
        assert!(shown.contains(&second) && !shown.contains(&first), "{shown}");

        write(&folder, &GOOD.replace("queue", "quue"));
        let report = rules.reload().await;
        assert_eq!(
            (report.result, report.version.as_str()),
            (ReloadResult::Refused, second.as_str())
        );
        assert!(report.problems[0].contains("rules.yaml:2") && report.problems[0].contains("«queue»"));
        assert_eq!(rules.metrics.rules_reload_ok.get(), 0);

        let failing = "tests: [{ name: мимо, given: { text: а }, expect: { queue: другая } }]\n";
        write(&folder, &format!("{GOOD}{failing}"));
        let report = rules.reload().await;
        assert_eq!(report.result, ReloadResult::Refused);
        assert!(
            report.problems[0].contains("rules.yaml:3: не прошёл тест «мимо»"),
            "{report:?}"
        );
        assert_eq!(rules.in_force.now().rules.version(), second);

        std::fs::remove_file(folder.path().join("rules.yaml")).expect("removed");
        assert_eq!(rules.reload().await.result, ReloadResult::Refused);
        write(&folder, GOOD);
        assert_eq!(rules.reload().await.result, ReloadResult::Applied);
        assert_eq!(rules.metrics.rules_reload_ok.get(), 1);
        assert_eq!(rules.metrics.rules_reloads.with_label_values(&["refused"]).get(), 3);
    }

    #[tokio::test]
    async fn an_edited_table_comes_into_force_and_a_bad_one_does_not() {
        let folder = folder(&GOOD.replace(" }\n", ", routes: [{ id: recipients, name: Т, table: t.csv }] }\n"));
        let table = |row: &str| {
            let text = format!("Тема;Организация;Очередь\n{row}\n");
            std::fs::write(folder.path().join("t.csv"), text).expect("written");
        };
        table("Дороги;Дорожники;roads");
        let rules = in_force(&folder);
        assert_eq!(rules.reload().await.result, ReloadResult::Unchanged);
        table("Дороги;Дорожники;streets");
        let report = rules.reload().await;
        assert_eq!(report.result, ReloadResult::Applied);
        table("Дороги;;streets");
        let refused = rules.reload().await;
        assert_eq!(
            (refused.result, &refused.version),
            (ReloadResult::Refused, &report.version)
        );
        assert!(
            refused.problems[0].contains("ячейка B2: организация не названа"),
            "{refused:?}"
        );

        let mut data = MessageData::new("incident", Kind::Direct, Regime::OpenSourceMessage);
        let levels = [TopicNode {
            id: None,
            name: "Дороги".into(),
        }];
        data.topic = Some(Topic {
            classifier: "incident".into(),
            version: None,
            path: levels.into(),
            starred: false,
        });
        let in_force = rules.in_force.now();
        let decision = in_force
            .rules
            .decide(&mut Message::new(EventType::Received, data), Timestamp::UNIX_EPOCH);
        assert_eq!(decision.main().queue, "streets");
        assert_eq!(decision.main().matched, ["root", "recipients", "recipients:2"]);
        decision.main().matched.iter().for_each(|id| in_force.count(id));
        let shown = rules.metrics.render();
        assert!(
            shown.contains("\"recipients\"") && !shown.contains("recipients:2"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn rules_that_would_let_personal_data_out_are_refused() {
        let folder = folder(GOOD);
        let settings =
            "overrides: [{ route: root, policy: { text: drop } }, { personal_data: strict, policy: { text: drop } }]";
        let settings: PrivacySettings = priem_yaml::from_str(settings).expect("settings");
        let policy = Policy::compile(&settings, &|_| true, &|_| None).expect("a policy");
        let rules = in_force(&folder).with_privacy(Arc::new(policy));

        write(&folder, &GOOD.replace("id: root", "id: top"));
        let report = rules.reload().await;
        assert_eq!(report.result, ReloadResult::Refused);
        assert!(report.problems[0].contains("«root»"), "{report:?}");
        for (name, result) in [("strikt", ReloadResult::Refused), ("strict", ReloadResult::Applied)] {
            write(
                &folder,
                &GOOD.replace("queue:", &format!("personal_data: {name}, queue:")),
            );
            let report = rules.reload().await;
            assert_eq!(report.result, result, "{report:?}");
            assert!(report.problems.iter().all(|problem| problem.contains("«strikt»")));
        }
    }

    #[tokio::test]
    async fn rules_built_in_do_not_change() {
        let rules = Arc::new(RuleSet::starter());
        let rules = Rules::new(rules, None, String::new(), Metrics::new());
        assert_eq!(rules.reload().await.result, ReloadResult::Unchanged);
    }
}
