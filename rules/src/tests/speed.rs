//! A quick look at the cost per message, for people; the benchmark with ratios is in `benches/`.
//!
//! `cargo test --release -p priem --lib routing::speed -- --ignored --nocapture`

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use priem_message::{EventType, Kind, Message, MessageData, Regime};

use crate::RuleSet;

/// About 500 characters, as people write.
const TEXT: &str = "Добрый день! Обращаюсь уже третий раз за эту зиму. Во дворе дома по улице Советской до сих пор не \
убран снег, сугробы выше колена, пройти с коляской к детскому саду невозможно. Тротуар превратился в каток, вчера \
упала пожилая соседка. Дворника не видели две недели, диспетчер управляющей компании трубку не берёт. На проезжей части \
под снегом глубокие ямы, машины бьются каждый день. Просим наконец прислать технику, посыпать дорожки песком и \
ответить, кто отвечает за уборку. Жители дома надеются на вашу помощь!";

const SYLLABLES: [&str; 16] = [
    "ба", "ве", "ги", "до", "жу", "за", "ки", "ло", "му", "на", "пе", "ри", "со", "ту", "фа", "хо",
];

/// A made-up word, different for every number.
fn word(mut number: usize) -> String {
    let mut word = String::new();
    for _ in 0..4 {
        word.push_str(SYLLABLES[number % SYLLABLES.len()]);
        number /= SYLLABLES.len();
    }
    word
}

fn rule_file(count: usize) -> String {
    let mut text = String::from("version: 1\nclassify:\n");
    let known = ["снег", "тротуар", "яма", "дворник", "сугроб"];
    for at in 0..count {
        let own = known
            .get(at)
            .map_or_else(|| word(at * 7 + 1), |word| (*word).to_owned());
        let more: Vec<String> = (2..5).map(|part| word(at * 7 + part)).collect();
        let when = format!("{{ text: [{own}, {}] }}", more.join(", "));
        let _ = writeln!(
            text,
            "  - {{ id: r{at}, name: П, when: {when}, set: {{ sector: s{at}, tags: [t{}] }} }}",
            at % 9
        );
    }
    text.push_str("route:\n  id: root\n  name: К\n  to: { organisation: М }\n  queue: q\n  routes:\n");
    for at in 0..count {
        let _ = writeln!(
            text,
            "    - {{ id: q{at}, name: Н, when: {{ sector: s{at} }}, queue: q.{at} }}"
        );
    }
    text
}

#[test]
#[ignore = "prints figures, proves nothing"]
fn cost_per_message() {
    let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
    data.body.text = TEXT.into();
    let mut message = Message::new(EventType::Received, data);
    for count in [10, 100, 1_000, 10_000] {
        let files = [(PathBuf::from("speed.yaml"), rule_file(count))];
        let started = Instant::now();
        let tree = priem_yaml::parse(&files[0].1).expect("valid YAML");
        let parsed = started.elapsed();
        drop(tree);
        let started = Instant::now();
        let rules = RuleSet::parse(&files).expect("valid rules");
        let compiled = started.elapsed();
        // Short batches and the best of many: what other programs on the machine take is left out.
        let rounds: u32 = 50;
        let mut best = f64::MAX;
        for _ in 0..1_000 {
            let started = Instant::now();
            for _ in 0..rounds {
                std::hint::black_box(rules.decide(&mut message, Timestamp::UNIX_EPOCH));
            }
            best = best.min(started.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
        }
        println!(
            "{count:>6} rules and as many routes: {best:.1} µs a message, compiled in {compiled:?}, YAML alone {parsed:?}"
        );
    }
    println!("text of {} characters", TEXT.chars().count());
}
