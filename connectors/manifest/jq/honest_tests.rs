//! The meter is honest: what a filter takes at the worst moment is at most twice what it is told it may, whatever kind of
//! value it makes of a long input. Each kind is a test of its own: memory that one freed would hide what another takes.

use serde_json::{Value, json};

use super::*;
use crate::testing::peak_growth;

/// What the filters of these tests may take.
const MEMORY: u64 = 64 * 1024 * 1024;
/// What they really take, at most: the memory counts beside the filter, and a vector that grows lies in memory twice.
const REALLY: u64 = 2 * MEMORY;

/// Runs a filter over a million numbers (`.l`) and three million letters (`$t`).
fn run(source: &str) {
    let numbers: Vec<Value> = (0..1_000_000).map(Value::from).collect();
    let input = Input::new(&json!({"l": numbers, "t": "a".repeat(3_000_000)}));
    let tables = Tables::default().with_memory(MEMORY);
    let source = format!(".t as $t | .l as $l | {source}");
    let filter = Filter::compile_with(&source, "message", &tables).unwrap_or_else(|error| panic!("{source}: {error}"));
    let (outcome, grown) = peak_growth(|| filter.all_of(&input));
    let what = match &outcome {
        Ok(_) => "well".to_owned(),
        Err(error) => error.to_string(),
    };
    let mib = grown / (1024 * 1024);
    println!("{source}: {mib} MiB, {what}");
    assert!(grown < REALLY, "{source}: {mib} MiB more at the worst moment; {what}");
    assert!(
        outcome.is_ok() || what.contains("bytes of memory") || what.contains("too many steps"),
        "{what}"
    );
}

macro_rules! honest {
    ($($name:ident: $source:expr;)+) => {
        $(
            #[test]
            fn $name() {
                run($source);
            }
        )+
    };
}

honest! {
    gsub_of_nothing: r#"$t | gsub(""; "b") | length"#;
    gsub_of_every_letter: r#"$t | gsub("a"; "b") | length"#;
    gsub_of_spaces: r#"$t | gsub("\\s*"; " ") | length"#;
    scans: r#"[$t | scan(".")] | length"#;
    offsets_of_matches: r#"[$t | match("a"; "g").offset] | length"#;
    matches_with_groups: r#"[$t | match("(a)(?<n>a)(b)?"; "g")] | length"#;
    captures: r#"[$t | capture("(?<n>a)"; "g")] | length"#;
    splits_by_pattern: r#"[$t | splits("a")] | length"#;
    splits_by_letter: r#"$t | split("a") | length"#;
    splits_by_nothing: r#"$t | split("") | length"#;
    letters_as_numbers: "[range(9) as $i | $t | explode] | length";
    numbers_as_letters: "[range(9) as $i | $l | map(97) | implode] | length";
    arrays_of_nothing: "[$l[] | []] | length";
    arrays_of_one: "[$l[] | [.]] | length";
    objects_of_nothing: "[$l[] | {}] | length";
    objects_of_one: "[$l[] | {a: .}] | length";
    objects_of_five: "[$l[] | {a: ., b: ., c: ., d: ., e: .}] | length";
    texts: "[$l[] | tostring] | length";
    texts_joined: r#"[$l[] | "\(.), \(.)"] | length"#;
    texts_changed: "[$l[] | tostring | ascii_upcase] | length";
    texts_packed: "[$l[] | tostring | @base64] | length";
    texts_parsed: "[$l[] | tostring | fromjson] | length";
    texts_cut: "[$l[] | $t[1:3]] | length";
    long_text_packed: "[range(9) as $i | $t | @base64, @html, @uri] | length";
    bytes: "[range(99) as $i | $t | tobytes] | length";
    one_long_text_repeated: r#"[range(99) as $i | "ab" * 1000000] | length"#;
    groups: "$l | group_by(.) | length";
    sorted: "$l | sort_by([., .]) | length";
    sorted_by_text: "$l | sort_by(tostring) | length";
    distinct: "$l | unique_by(tostring) | length";
    entries_of_an_object: "reduce $l[] as $n ({}; .[$n | tostring] = $n) | to_entries | length";
    sum_of_arrays: "[$l[:100000][] | [., .]] | add | length";
    long_arrays_reversed: "[range(9) as $i | $l | reverse] | length";
    paths_of_all: "[$l | paths] | length";
    all_as_text: "[range(9) as $i | $l | tojson] | length";
    parsed_arrays_of_nothing: r#""[" + ("[]," * 2000000) + "1]" | fromjson | length"#;
    parsed_objects_of_nothing: r#""[" + ("{}," * 2000000) + "1]" | fromjson | length"#;
    parsed_objects_of_one: r#""[" + ("{\"a\":1}," * 900000) + "1]" | fromjson | length"#;
    parsed_numbers: r#""[" + ("1," * 3000000) + "1]" | fromjson | length"#;
    a_result_of_numbers: "$l, $l, $l";
    a_result_of_objects: "[$l[:200000][] | {a: .}]";
    a_result_of_texts: r#"[$l[:400000][] | "a"]"#;
    changed_in_place: "$l | map_values([.]) | length";
    repeated: r#"[limit(1000000; repeat("x"))] | length"#;
}
