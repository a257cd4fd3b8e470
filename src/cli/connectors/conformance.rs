//! `priem connectors conformance`: the conformance kit over the registry, for programs and for an acceptance protocol.
//!
//! The report is in Russian: people of the customer sign it.

use std::fmt::Write;

use jiff::Zoned;
use priem_sdk::conformance::{self, Outcome, Report};

use super::super::{DONE, FINDING, output};
use crate::runtime::registry;

/// Examines one kind, or all, and prints what was found.
pub(super) fn run(kind: Option<&str>, json: bool) -> anyhow::Result<u8> {
    let chosen: Vec<_> = registry()
        .iter()
        .filter(|known| kind.is_none_or(|kind| known.name == kind))
        .collect();
    if let (Some(kind), true) = (kind, chosen.is_empty()) {
        return Ok(super::unknown(kind));
    }
    // A panic in a connector is a finding, and the report says where it was.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let reports: Vec<Report> = runtime.block_on(async {
        let mut reports = Vec::new();
        for kind in chosen {
            if !json {
                output::say!("examining {} …", kind.name);
            }
            reports.push(conformance::run(kind).await);
        }
        reports
    });
    let _ = std::panic::take_hook();
    if json {
        let results: Vec<_> = reports.iter().flat_map(|report| &report.results).collect();
        output::json(&results)?;
    } else {
        output::lines(&protocol(&reports, &Zoned::now()))?;
    }
    Ok(if reports.iter().any(Report::failed) {
        FINDING
    } else {
        DONE
    })
}

/// The report as it is attached to an acceptance protocol.
fn protocol(reports: &[Report], now: &Zoned) -> String {
    let mut text = String::from("ПРОТОКОЛ ПРОВЕРКИ КОННЕКТОРОВ\n\n");
    line(
        &mut text,
        format_args!("Программа: Приём (Priem) {}", env!("CARGO_PKG_VERSION")),
    );
    line(
        &mut text,
        format_args!("Система: {}, {}", std::env::consts::OS, std::env::consts::ARCH),
    );
    line(&mut text, format_args!("Дата: {}", now.strftime("%d.%m.%Y %H:%M %:z")));
    let names: Vec<&str> = reports.iter().map(|report| report.title).collect();
    line(&mut text, format_args!("Проверены: {}", names.join(", ")));
    text.push_str(
        "\nПроверка выполняется без сети: вместо площадок отвечают местные имитаторы, ключи ненастоящие.\n\
         Команда для повторения: priem connectors conformance\n",
    );
    for report in reports {
        section(&mut text, report);
    }
    let failed = reports.iter().filter(|report| report.failed()).count();
    let verdict = match failed {
        0 => "все проверенные коннекторы соответствуют требованиям".to_owned(),
        _ => format!("НЕ СООТВЕТСТВУЮТ требованиям: {failed} из {}", reports.len()),
    };
    line(&mut text, format_args!("\nИтог: {verdict}."));
    text
}

fn section(text: &mut String, report: &Report) {
    line(text, format_args!("\n{} ({})\n", report.title, report.connector));
    for (number, result) in (1..).zip(&report.results) {
        let outcome = match result.outcome {
            Outcome::Ok => "выполнено",
            Outcome::Failed => "НЕ ВЫПОЛНЕНО",
            Outcome::Waived => "исключение",
            Outcome::NotApplicable => "не относится",
        };
        line(text, format_args!("{number:>3}. {}: {outcome}", result.title()));
        line(text, format_args!("     {}: {}", result.check, result.detail));
    }
    let count = |outcome| report.results.iter().filter(|result| result.outcome == outcome).count();
    line(
        text,
        format_args!(
            "\n     Выполнено {}, не выполнено {}, исключений {}, не относится {}.",
            count(Outcome::Ok),
            count(Outcome::Failed),
            count(Outcome::Waived),
            count(Outcome::NotApplicable)
        ),
    );
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string can't fail.
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
mod tests {
    use priem_sdk::conformance::CheckResult;

    use super::*;

    fn report(outcome: Outcome) -> Report {
        Report {
            connector: "vk",
            title: "ВКонтакте",
            results: vec![CheckResult {
                connector: "vk",
                check: "poll.crashes",
                outcome,
                detail: "29 items each time".into(),
            }],
        }
    }

    #[test]
    fn the_protocol_names_version_date_and_every_check_in_clear_words() {
        let now: Zoned = "2026-11-22T10:30:00+03:00[Europe/Moscow]".parse().unwrap();
        let text = protocol(&[report(Outcome::Ok)], &now);
        assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
        assert!(text.contains("Дата: 22.11.2026 10:30 +03:00"), "{text}");
        assert!(text.contains("Падение между любыми двумя шагами опроса"), "{text}");
        assert!(text.contains("poll.crashes: 29 items each time"), "{text}");
        assert!(
            text.ends_with("Итог: все проверенные коннекторы соответствуют требованиям.\n"),
            "{text}"
        );
        let text = protocol(&[report(Outcome::Ok), report(Outcome::Failed)], &now);
        assert!(text.contains("НЕ ВЫПОЛНЕНО"), "{text}");
        assert!(text.ends_with("НЕ СООТВЕТСТВУЮТ требованиям: 1 из 2.\n"), "{text}");
    }
}
