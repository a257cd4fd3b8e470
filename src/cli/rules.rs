//! `priem rules check|test|lint|evaluate|preview|learn|explain`: what rule authors work with. Everything they read is Russian.

mod evaluate;
mod learn;
mod lint;
mod preview;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use priem_sdk::message::{EventType, Kind, Message, MessageData, Place, Regime, Topic, TopicNode};
use serde_json::json;

use crate::routing::{RuleErrors, RuleSet};

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
    Explain(Box<ExplainArgs>),
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

#[derive(Debug, Args)]
struct ExplainArgs {
    /// Folder with rule files (*.yaml)
    dir: Option<PathBuf>,
    /// Text of the message
    #[arg(long, conflicts_with = "message", required_unless_present = "message")]
    text: Option<String>,
    /// Message as JSON (a file, or - for the standard input)
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    #[command(flatten)]
    fields: FieldArgs,
    /// Also show what this rule, route or deadline sees, even if it was not looked at
    #[arg(long, value_name = "ID")]
    why_not: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Fields of the message made from `--text`.
#[derive(Debug, Args)]
struct FieldArgs {
    /// Channel
    #[arg(long, default_value = "telegram", conflicts_with = "message")]
    channel: String,
    /// Kind of message: direct, comment, post, review, portal, incident, vote
    #[arg(long, value_parser = word::<Kind>, default_value = "direct", conflicts_with = "message")]
    kind: Kind,
    /// Legal regime: fz59, pos_message, open_source_message, portal_message
    #[arg(long, value_parser = word::<Regime>, default_value = "open_source_message", conflicts_with = "message")]
    regime: Regime,
    /// Topic of the source, levels parted by ' / '
    #[arg(long, conflicts_with = "message")]
    topic: Option<String>,
    /// Municipality
    #[arg(long, conflicts_with = "message")]
    municipality: Option<String>,
    /// District of the city
    #[arg(long, conflicts_with = "message")]
    city_district: Option<String>,
}

/// Reads a word of the message schema.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(json!(text)).map_err(|error| error.to_string())
}

/// Runs the command; `default_rules_dir` is the folder of the settings, `config` the settings file that was named.
/// Returns the exit code.
///
/// # Errors
/// When the standard output can't be written.
pub fn run(args: RulesArgs, default_rules_dir: Option<&Path>, config: Option<&Path>) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    if let RulesCommand::Preview(args) = &args.command {
        return preview::run(&mut out, args, default_rules_dir, config);
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
        RulesCommand::Explain(args) => explain(out, &args, default_rules_dir),
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

fn explain(out: &mut dyn Write, args: &ExplainArgs, default: Option<&Path>) -> Result<u8> {
    let rules = match load(args.dir.as_deref(), default) {
        Ok(rules) => rules,
        Err(errors) => return report_errors(out, &errors, args.json),
    };
    let now = Timestamp::now();
    let message = match read_message(args, now) {
        Ok(message) => message,
        Err((code, error)) => {
            writeln!(out, "сообщение не читается: {error:#}")?;
            return Ok(code);
        }
    };
    let why_not = match args.why_not.as_deref().map(|id| (id, rules.why(&message, now, id))) {
        Some((id, None)) => {
            let guess = match rules.nearest_id(id) {
                Some(near) => format!(", возможно, вы имели в виду «{near}»"),
                None => String::new(),
            };
            writeln!(out, "правила «{id}» нет{guess}")?;
            return Ok(USAGE);
        }
        Some((_, trace)) => trace,
        None => None,
    };
    let explanation = rules.explain(&message, now);
    if args.json {
        let mut answer = serde_json::to_value(&explanation)?;
        if let Some(trace) = why_not {
            answer["why_not"] = serde_json::to_value(trace)?;
        }
        writeln!(out, "{answer}")?;
    } else {
        write!(out, "{}", explanation.render_ru())?;
        if let Some(trace) = why_not {
            write!(out, "\nПочему не «{}»\n{}", trace.id, trace.render_ru())?;
        }
    }
    Ok(DONE)
}

/// The message to explain, or the exit code and the reason.
fn read_message(args: &ExplainArgs, now: Timestamp) -> Result<Message, (u8, anyhow::Error)> {
    let Some(path) = &args.message else {
        return Ok(message_from(args, now));
    };
    let text = read_text(path).map_err(|error| (ENVIRONMENT, error))?;
    serde_json::from_str(&text)
        .context("нужен JSON сообщения версии 1, как в очереди (priem schema message)")
        .map_err(|error| (FINDING, error))
}

fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("стандартный ввод")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    }
    Ok(text)
}

fn message_from(args: &ExplainArgs, now: Timestamp) -> Message {
    let fields = &args.fields;
    let mut data = MessageData::new(&fields.channel, fields.kind, fields.regime);
    data.connector = "explain".into();
    data.external.id = "explain".into();
    data.times.received = now;
    data.body.text = args.text.clone().unwrap_or_default();
    data.place = Place {
        municipality: fields.municipality.clone(),
        city_district: fields.city_district.clone(),
        ..Place::default()
    }
    .with_precision();
    data.topic = fields.topic.as_ref().map(|path| Topic {
        classifier: fields.channel.clone(),
        version: None,
        path: path
            .split(" / ")
            .map(|level| TopicNode {
                id: None,
                name: level.trim().to_owned(),
            })
            .collect(),
        starred: false,
    });
    Message::new(EventType::Received, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

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
