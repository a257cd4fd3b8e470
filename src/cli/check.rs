//! `priem check`: everything that can be proven before the daemon starts. Changes nothing, here or remote.

use std::path::Path;

use clap::Args;
use priem_sdk::{CheckReport, ConnectorError, Cx};
use serde::Serialize;

use super::{DONE, FINDING, USAGE, output};
use crate::{
    http::Certificates,
    journal,
    publish::{self, settings::PublishSettings},
    runtime::{build::Built, registry},
    visible,
};

const AFTER_HELP: &str = "\
Examples:
  priem check -c priem.yaml        settings, rules, broker and every connector
  priem check telegram-bot         one connector
  priem check --offline --json     in a pipeline, without network

Exit codes: 0 all is well (warnings too), 1 something failed, 2 the settings are wrong, 3 a file can't be read.";

/// Arguments of `priem check`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CheckArgs {
    /// Only this connector, by its name in the settings
    connector: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    /// Ask nobody: only settings, secrets and rules
    #[arg(long)]
    offline: bool,
}

#[derive(Serialize)]
struct Section {
    name: String,
    #[serde(flatten)]
    report: CheckReport,
}

/// Checks and prints.
pub fn run(arguments: CheckArgs, config: &Path) -> anyhow::Result<u8> {
    let built = Built::from_file(config, registry())?;
    if let Some(name) = &arguments.connector
        && !built.connectors.keys().any(|id| id.as_str() == name)
    {
        let mut known: Vec<&str> = built.connectors.keys().map(|id| id.as_str()).collect();
        known.sort_unstable();
        output::say!(
            "error: no connector `{name}` in {} (or it is disabled); there are: {}",
            config.display(),
            known.join(", ")
        );
        return Ok(USAGE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sections = runtime.block_on(sections(&arguments, &built));
    let failed = sections.iter().any(|section| section.report.failed());
    if arguments.json {
        output::json(&sections)?;
    } else {
        output::lines(&render(&sections))?;
    }
    Ok(if failed { FINDING } else { DONE })
}

async fn sections(arguments: &CheckArgs, built: &Built) -> Vec<Section> {
    let mut sections = Vec::new();
    if arguments.connector.is_none() {
        sections.push(Section {
            name: "rules".into(),
            report: rules(built),
        });
        sections.push(Section {
            name: "journal".into(),
            report: journal::check(&built.settings.journal),
        });
        if let Some(report) = listeners(built) {
            sections.push(Section {
                name: "http".into(),
                report,
            });
        }
        let settings = PublishSettings {
            amqp: built.settings.amqp.clone(),
            ndjson: built.settings.ndjson.clone(),
        };
        let report = match arguments.offline {
            true => publish::check_offline(&settings),
            false => publish::check(&settings).await,
        };
        sections.push(Section {
            name: "broker".into(),
            report,
        });
    }
    let mut connectors: Vec<_> = built.connectors.iter().collect();
    connectors.sort_by_key(|(id, _)| id.as_str());
    for (id, connector) in connectors {
        if arguments.connector.as_deref().is_some_and(|name| name != id.as_str()) {
            continue;
        }
        if arguments.offline {
            let mut report = CheckReport::default();
            report.ok("settings", "complete, secrets can be read");
            sections.push(Section {
                name: id.to_string(),
                report,
            });
            continue;
        }
        let cx = Cx {
            id: id.clone(),
            take_over: false,
        };
        let report = connector.check(&cx).await.unwrap_or_else(|error| {
            let mut report = CheckReport::default();
            match error {
                ConnectorError::Transient { .. } => report.fail(
                    "connection",
                    error.to_string(),
                    "the platform can't be reached: look at DNS, proxy (http.proxy) and firewall",
                ),
                _ => report.fail("exchange", error.to_string(), "mend what is named here and check again"),
            }
            report
        });
        sections.push(Section {
            name: id.to_string(),
            report,
        });
    }
    sections
}

/// What the daemon reads before it listens: without it, it does not start.
fn listeners(built: &Built) -> Option<CheckReport> {
    let webhooks = built.settings.http.webhooks.as_ref()?;
    let tls = webhooks.tls.as_ref()?;
    let mut report = CheckReport::default();
    match Certificates::load(tls, &built.base_dir) {
        Ok(_) => report.ok("webhooks.tls", "certificate and key can be read"),
        Err(error) => report.fail(
            "webhooks.tls",
            error.to_string(),
            "mend the file or its name; the daemon needs it",
        ),
    }
    Some(report)
}

fn rules(built: &Built) -> CheckReport {
    let mut report = CheckReport::default();
    let tests = built.rules.run_tests();
    let detail = format!(
        "version {}, {} tests, {} failed",
        built.rules.version(),
        tests.total,
        tests.failures.len()
    );
    if tests.passed() {
        report.ok("tests", detail);
    } else {
        report.fail("tests", detail, "run `priem rules test` to see which and why");
    }
    report
}

fn render(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        text.push_str(&section.name);
        text.push('\n');
        for finding in &section.report.findings {
            let mark = match finding.outcome {
                "ok" => "ok     ",
                "warning" => "WARNING",
                _ => "FAILED ",
            };
            text.push_str(&format!(
                "  {mark}  {}: {}\n",
                visible::line(finding.what),
                visible::line(&finding.detail)
            ));
            if let Some(cure) = &finding.cure {
                text.push_str(&format!("           → {}\n", visible::line(cure)));
            }
        }
    }
    text
}
