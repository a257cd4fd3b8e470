//! `priem rules check|test|lint|evaluate|preview|learn|explain`: what rule authors work with. Everything they read is Russian.

mod evaluate;
mod explain;
mod learn;
mod lint;
mod preview;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::output;
use priem_rules::{RuleErrors, RuleSet};

/// Done.
const DONE: u8 = 0;
/// The rules are wrong or a test failed.
const FINDING: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// A folder or file can't be read.
const ENVIRONMENT: u8 = 3;

/// Check, test, measure, compare and explain the auto-rules (автоправила).
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:
  priem rules check config/rules
  priem rules test --coverage --junit rules.xml
  priem rules explain --text 'На Ленина третий день нет воды'
  priem rules explain --text 'Ямы во дворе' --channel incident --topic 'Дороги / Ямы' --why-not roads-yards
  priem rules explain --text 'Ямы во дворе' --why-not recipients       (a table; recipients:12 is its row 12)
  priem rules explain --id 9c131010-bd57-5707-a73b-02eaea073130    (a stored message, by the rules of today)
  sed -n 1p messages.ndjson | priem rules explain --message -

Without DIR: the folder of the settings, else the rules built in.
Exit codes: 0 done, 1 a finding, 2 usage, 3 environment.")]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Read the rules and their tables, resolve every reference, run the tests beside them
    Check(SetArgs),
    /// Run the tests beside the rules
    Test(TestArgs),
    /// Prove what the rules can never do: dead, shadowed, conflicting entries, useless and suspicious words
    Lint(lint::LintArgs),
    /// Measure the rules on labelled history: coverage, precision, recall, where they are wrong
    Evaluate(evaluate::EvaluateArgs),
    /// Compare new rules with those in force over messages of the past
    Preview(preview::PreviewArgs),
    /// Propose rules from labelled history, as YAML to edit
    Learn(learn::LearnArgs),
    /// Show step by step why a message goes where it goes
    Explain(Box<explain::ExplainArgs>),
}

#[derive(Debug, Args)]
struct SetArgs {
    /// Folder with rule files (*.yaml)
    dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct TestArgs {
    #[command(flatten)]
    set: SetArgs,
    /// Also show how many tests each rule, route and deadline took part in
    #[arg(long)]
    coverage: bool,
    /// Also write the results as JUnit XML, for a CI system
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs the command; `default_rules_dir` is the folder of the settings, `config` the settings file that was named.
/// Returns the exit code.
///
/// # Errors
/// When the standard output can't be written.
pub fn run(args: RulesArgs, default_rules_dir: Option<&Path>, config: Option<&Path>) -> Result<u8> {
    let mut out = output::Out::new();
    match &args.command {
        RulesCommand::Preview(args) => return preview::run(&mut out, args, default_rules_dir, config),
        RulesCommand::Explain(args) => return explain::run(&mut out, args, default_rules_dir, config),
        _ => {}
    }
    run_to(&mut out, args, default_rules_dir)
}

fn run_to(out: &mut dyn Write, args: RulesArgs, default_rules_dir: Option<&Path>) -> Result<u8> {
    match args.command {
        RulesCommand::Check(set) => check(out, &set, default_rules_dir),
        RulesCommand::Test(args) => test(out, &args, default_rules_dir),
        RulesCommand::Lint(args) => lint::run(out, &args, default_rules_dir),
        RulesCommand::Evaluate(args) => evaluate::run(out, &args, default_rules_dir),
        RulesCommand::Preview(args) => preview::run(out, &args, default_rules_dir, None),
        RulesCommand::Learn(args) => learn::run(out, &args),
        RulesCommand::Explain(args) => explain::run(out, &args, default_rules_dir, None),
    }
}

fn load(dir: Option<&Path>, default: Option<&Path>) -> Result<RuleSet, RuleErrors> {
    match dir.or(default) {
        Some(dir) => RuleSet::load(dir),
        None => Ok(RuleSet::starter()),
    }
}

/// Prints what is wrong with the rules. A finding about a whole file or folder is the environment's.
fn report_errors(out: &mut dyn Write, errors: &RuleErrors, as_json: bool) -> Result<u8> {
    if as_json {
        writeln!(out, "{}", json!({ "ok": false, "errors": errors.0 }))?;
    } else {
        writeln!(out, "{errors}\n\nОшибок: {}", errors.0.len())?;
    }
    Ok(if errors.0.iter().any(|error| error.environment) {
        ENVIRONMENT
    } else {
        FINDING
    })
}

fn check(out: &mut dyn Write, args: &SetArgs, default: Option<&Path>) -> Result<u8> {
    let rules = match load(args.dir.as_deref(), default) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let report = rules.run_tests();
    let count = rules.rule_ids().count();
    let warnings = rules.warnings();
    if args.json {
        let answer = json!({
            "ok": report.passed(), "version": rules.version(), "rules": count, "warnings": warnings, "tests": report,
        });
        writeln!(out, "{answer}")?;
    } else {
        writeln!(out, "Правила прочитаны: записей {count}, версия {}", rules.version())?;
        for (id, name, rows) in rules.tables() {
            writeln!(out, "Таблица «{name}» ({id}): строк {rows}")?;
        }
        for warning in &warnings {
            writeln!(out, "предупреждение: {warning}")?;
        }
        write!(out, "{}", report.render_ru())?;
    }
    Ok(if report.passed() { DONE } else { FINDING })
}

fn test(out: &mut dyn Write, args: &TestArgs, default: Option<&Path>) -> Result<u8> {
    let TestArgs { set, coverage, junit } = args;
    let rules = match load(set.dir.as_deref(), default) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, set.json),
    };
    let report = rules.run_tests();
    if set.json {
        let answer = json!({ "ok": report.passed(), "version": rules.version(), "tests": report });
        writeln!(out, "{answer}")?;
    } else {
        if *coverage {
            write!(out, "{}", report.render_coverage_ru())?;
        }
        write!(out, "{}", report.render_ru())?;
    }
    if let Some(path) = junit
        && let Err(error) = std::fs::write(path, report.junit())
    {
        writeln!(out, "{}: не записан: {error}", path.display())?;
        return Ok(ENVIRONMENT);
    }
    Ok(if report.passed() { DONE } else { FINDING })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use priem_sdk::message::{EventType, Kind, Message, MessageData, Regime};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        rules: RulesArgs,
    }

    fn run(args: &[&str]) -> (u8, String) {
        let cli = Cli::try_parse_from(std::iter::once(&"rules").chain(args)).expect("arguments");
        let mut out = Vec::new();
        let code = run_to(&mut out, cli.rules, None).expect("runs");
        (code, String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn the_starter_set_checks_clean() {
        let (code, out) = run(&["check"]);
        assert_eq!(code, DONE, "{out}");
        assert!(
            out.contains("Правила прочитаны") && out.contains("не прошло: 0"),
            "{out}"
        );
        let (code, out) = run(&["test", "--json"]);
        let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((code, &answer["ok"]), (DONE, &json!(true)));
    }

    #[test]
    fn a_bad_file_is_a_finding_and_a_missing_folder_the_environment() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.yaml"), "version: 1\nrote: {}\n").expect("written");
        let folder = dir.path().to_str().expect("UTF-8");
        let (code, out) = run(&["check", folder]);
        assert_eq!(code, FINDING, "{out}");
        assert!(out.contains("a.yaml:2") && out.contains("«route»"), "{out}");
        let (code, out) = run(&["check", &format!("{folder}/none"), "--json"]);
        assert_eq!(code, ENVIRONMENT, "{out}");
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
    }

    #[test]
    fn a_failing_test_is_a_finding() {
        let dir = tempfile::tempdir().expect("a folder");
        let text = "version: 1
route: { id: root, name: Все, to: { organisation: МЦУ }, queue: q }
tests: [{ name: мимо, given: { text: а }, expect: { queue: другая } }]
";
        std::fs::write(dir.path().join("a.yaml"), text).expect("written");
        let (code, out) = run(&["test", dir.path().to_str().expect("UTF-8")]);
        assert_eq!(code, FINDING, "{out}");
        assert!(out.contains("ожидали «другая», получили «q»"), "{out}");

        let folder = dir.path().to_str().expect("UTF-8");
        let xml = format!("{folder}/rules.xml");
        let (code, out) = run(&["test", folder, "--coverage", "--junit", &xml]);
        assert_eq!(code, FINDING, "{out}");
        assert!(out.contains("1  root: Все") && out.contains("записей: 1 из 1"), "{out}");
        assert!(
            std::fs::read_to_string(&xml)
                .expect("written")
                .contains("failures=\"1\"")
        );
        let (code, out) = run(&["test", folder, "--junit", &format!("{folder}/none/rules.xml")]);
        assert_eq!(code, ENVIRONMENT, "{out}");
    }

    #[test]
    fn a_text_and_a_message_are_explained_alike() {
        let (code, out) = run(&["explain", "--text", "Яма на дороге", "--why-not", "roads"]);
        assert_eq!(code, DONE, "{out}");
        assert!(
            out.contains("Шаг 1. Классификация") && out.contains("Отрасль: Дороги") && out.contains("Почему не"),
            "{out}"
        );

        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("message.json");
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.body.text = "Яма на дороге".into();
        let message = serde_json::to_string(&Message::new(EventType::Received, data)).expect("serialises");
        std::fs::write(&file, message).expect("written");
        let (code, out) = run(&["explain", "--json", "--message", file.to_str().expect("UTF-8")]);
        let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((code, &answer["routes"][0]["sector"]), (DONE, &json!("roads")));

        std::fs::write(&file, "{}").expect("written");
        assert_eq!(run(&["explain", "--message", file.to_str().expect("UTF-8")]).0, FINDING);
        assert_eq!(run(&["explain", "--message", "/nowhere/at/all"]).0, ENVIRONMENT);
        let (code, out) = run(&["explain", "--text", "а", "--why-not", "rods"]);
        assert_eq!(code, USAGE);
        assert!(
            out.contains("правила «rods» нет, возможно, вы имели в виду «roads»"),
            "{out}"
        );
    }
}
