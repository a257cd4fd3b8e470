//! One message against few and many rules: Priem, a regular expression for each rule, a CEL program for each rule.
//!
//! All three get the same words and must find the same rules, which is checked before anything is measured. Each figure
//! is the best of many short batches: what other programs on the machine take is left out. Memory is what a fresh
//! process grows by.

use std::{fmt::Write as _, hint::black_box, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use jiff::Timestamp;
use priem_message::{EventType, Kind, Message, MessageData, Regime};
use priem_rules::RuleSet;
use regex::{Regex, RegexBuilder};
use serde::Serialize;

/// Name of the hidden subcommand that measures memory.
const MEMORY: &str = "memory";

const FEW: usize = 10;
const MANY: usize = 10_000;

/// 500 characters, as people write.
const TEXT: &str = "Добрый день! Обращаюсь уже 3-й раз за эту зиму. Во дворе дома по улице Советской до сих пор не \
убран снег, сугробы выше колена, пройти с коляской к детскому саду невозможно. Тротуар превратился в каток, вчера \
упала пожилая соседка. Дворника не видели две недели, диспетчер управляющей компании трубку не берёт. На проезжей части \
под снегом глубокие ямы, машины бьются каждый день. Просим наконец прислать технику, посыпать дорожки песком и \
ответить, кто отвечает за уборку. Жители надеются на помощь.";

/// Words of the text that the first rules ask for, as they stand in it: the other engines know no forms of words.
const FOUND: [&str; 5] = ["снег", "тротуар", "ямы", "дворника", "сугробы"];

const SYLLABLES: [&str; 16] = [
    "ба", "ве", "ги", "до", "жу", "за", "ки", "ло", "му", "на", "пе", "ри", "со", "ту", "фа", "хо",
];

#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    /// The last line is one JSON document
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    #[command(name = MEMORY, hide = true)]
    Memory,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Memory) => print_memory(),
        None => run(arguments.json),
    }
}

#[derive(Debug, Serialize)]
struct Figures {
    us_10: f64,
    us_10000: f64,
    ratio: f64,
    compile_ms: f64,
    memory_mb: f64,
    regex_us_10000: f64,
    cel_us_10000: f64,
}

/// A made-up word of four syllables, different for every number.
fn made_up(mut number: usize) -> String {
    let mut word = String::new();
    for _ in 0..4 {
        word.push_str(SYLLABLES[number % SYLLABLES.len()]);
        number /= SYLLABLES.len();
    }
    word
}

/// Three to five words of a rule.
fn words(rule: usize) -> Vec<String> {
    let count = 3 + rule % 3;
    let mut words: Vec<String> = (0..count).map(|part| made_up(rule * 5 + part + 1)).collect();
    if let Some(found) = FOUND.get(rule) {
        words[0] = (*found).to_owned();
    }
    words
}

fn rule_file(count: usize) -> [(PathBuf, String); 1] {
    let mut text = String::from("version: 1\nclassify:\n");
    for rule in 0..count {
        let words = words(rule).join(", ");
        let _ = writeln!(
            text,
            "  - id: rule-{rule}\n    name: Правило {rule}\n    when: {{ text: [{words}] }}\n    set: {{ sector: s{} }}",
            rule % 40
        );
    }
    text.push_str("route:\n  id: root\n  name: Координатор\n  to: { organisation: МЦУ }\n  queue: q\n");
    [(PathBuf::from("rules.yaml"), text)]
}

fn message() -> Message {
    let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
    data.body.text = TEXT.into();
    Message::new(EventType::Received, data)
}

/// Measures and prints.
fn run(json: bool) -> anyhow::Result<()> {
    ensure!(
        TEXT.chars().count() == 500,
        "the text has {} characters",
        TEXT.chars().count()
    );
    let (few, many) = (rule_file(FEW), rule_file(MANY));
    let compile_ms = best(20, 1, || {
        black_box(RuleSet::parse(&many).is_ok());
    }) / 1000.0;
    let us_10 = decide(&RuleSet::parse(&few)?)?;
    let us_10000 = decide(&RuleSet::parse(&many)?)?;
    let regex = [FEW, MANY].map(regexes);
    let cel = [FEW, MANY].map(programs);
    let [regex_10, regex_10000] = regex.map(|us| us.context("regular expressions"));
    let [cel_10, cel_10000] = cel.map(|us| us.context("CEL"));
    let (regex_10, regex_us_10000, cel_10, cel_us_10000) = (regex_10?, regex_10000?, cel_10?, cel_10000?);
    let figures = Figures {
        us_10: rounded(us_10),
        us_10000: rounded(us_10000),
        ratio: rounded(us_10000 / us_10),
        compile_ms: rounded(compile_ms),
        memory_mb: rounded(memory_of_a_child()?),
        regex_us_10000: rounded(regex_us_10000),
        cel_us_10000: rounded(cel_us_10000),
    };
    println!("one message of 500 characters, µs        10 rules   10 000 rules");
    println!("Priem, with the explanation            {us_10:>10.1} {us_10000:>14.1}");
    println!("a regular expression for each rule     {regex_10:>10.1} {regex_us_10000:>14.1}");
    println!("a CEL program for each rule            {cel_10:>10.1} {cel_us_10000:>14.1}");
    println!(
        "10 000 rules: compiled in {compile_ms:.0} ms from {:.1} MB of YAML, {:.1} MB of memory",
        many[0].1.len() as f64 / 1e6,
        figures.memory_mb
    );
    if json {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// Microseconds of one call: the best batch of many.
fn best(batches: usize, calls: u32, mut call: impl FnMut()) -> f64 {
    let batch = |_| {
        let started = Instant::now();
        (0..calls).for_each(|_| call());
        started.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    };
    (0..batches).map(batch).fold(f64::MAX, f64::min)
}

fn decide(rules: &RuleSet) -> anyhow::Result<f64> {
    let mut message = message();
    let decision = rules.decide(&mut message, Timestamp::UNIX_EPOCH);
    let found = decision.main().matched.len() - 1;
    ensure!(found == FOUND.len(), "Priem found {found} rules");
    Ok(best(2_000, 20, || {
        black_box(rules.decide(&mut message, Timestamp::UNIX_EPOCH));
    }))
}

/// How such rules are often written: each its expression, one after the other.
fn regexes(count: usize) -> anyhow::Result<f64> {
    let compile = |rule| {
        RegexBuilder::new(&format!(r"\b(?:{})\b", words(rule).join("|")))
            .case_insensitive(true)
            .build()
    };
    let rules: Vec<Regex> = (0..count).map(compile).collect::<Result<_, _>>()?;
    let found = || rules.iter().filter(|rule| rule.is_match(TEXT)).count();
    ensure!(found() == FOUND.len(), "{} rules were found", found());
    Ok(best(if count == FEW { 200 } else { 5 }, 1, || {
        black_box(found());
    }))
}

/// Each rule a compiled CEL program over the lower-case text.
fn programs(count: usize) -> anyhow::Result<f64> {
    let source = |rule| {
        let parts: Vec<String> = words(rule)
            .iter()
            .map(|word| format!("text.contains('{word}')"))
            .collect();
        parts.join(" || ")
    };
    let compile = |rule| cel::Program::compile(&source(rule)).map_err(|error| anyhow::anyhow!("{error}"));
    let rules: Vec<cel::Program> = (0..count).map(compile).collect::<Result<_, _>>()?;
    let text = TEXT.to_lowercase();
    let found = || {
        let mut context = cel::Context::default();
        context.add_variable_from_value("text", text.clone());
        let holds = |rule: &&cel::Program| matches!(rule.execute(&context), Ok(cel::Value::Bool(true)));
        rules.iter().filter(holds).count()
    };
    ensure!(found() == FOUND.len(), "{} rules were found", found());
    Ok(best(if count == FEW { 200 } else { 5 }, 1, || {
        black_box(found());
    }))
}

/// Megabytes that a fresh process grows by when it compiles the rules and drops their text.
fn memory_of_a_child() -> anyhow::Result<f64> {
    // As the service is started (systemd/priem.service): what is free is given back at once.
    let output = Command::new(std::env::current_exe()?)
        .arg(MEMORY)
        .env("MALLOC_TRIM_THRESHOLD_", "131072")
        .output()?;
    ensure!(output.status.success(), "the child failed");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The child's part: prints the megabytes.
fn print_memory() -> anyhow::Result<()> {
    // Warms up what every process needs once: time zones, threads, the reader.
    RuleSet::parse(&rule_file(FEW))?;
    let before = resident_mb()?;
    let files = rule_file(MANY);
    let rules = RuleSet::parse(&files)?;
    drop(files);
    let after = resident_mb()?;
    ensure!(rules.rule_ids().count() > MANY, "rules are missing");
    println!("{}", after - before);
    Ok(())
}

fn resident_mb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    Ok(kilobytes.context("VmRSS")? * 1024.0 / 1e6)
}
