//! No filter takes more memory than it may, whatever it does and whatever the record holds.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::peak_growth;

const MIB: u64 = 1024 * 1024;
/// What the filters of these tests may take.
const MEMORY: u64 = 32 * MIB;
/// More memory than before at most: what was counted, what the system hands out in larger pieces, the stacks.
const PEAK: u64 = 4 * MEMORY;

fn run(source: &str, input: &Value) -> Result<Vec<Value>, FilterError> {
    let tables = Tables::default().with_memory(MEMORY);
    let filter = Filter::compile_with(source, "message", &tables).unwrap_or_else(|error| panic!("{source}: {error}"));
    let (outcome, grown) = peak_growth(|| filter.all(input));
    assert!(grown < PEAK, "{source}: {grown} bytes more at the worst moment");
    outcome
}

#[test]
fn what_would_fill_the_memory_is_refused_before_it_is_taken() {
    let record = json!({"n": 900_000_000, "big": 1e300, "text": "слово ", "list": [1, "a", null]});
    let mut wrong = Vec::new();
    for source in [
        r#""x" * .n"#,
        ".text * 1000000000",
        r#".n * "x""#,
        r#"{a: ("x" * .n)}"#,
        r#"[("x" * .n)?] | length"#,
        r#"try ("x" * .n) catch "caught""#,
        r#"("x" * .n) // "nothing""#,
        r#""x" * 99999999999999999999999"#,
        r#"reduce range(40) as $i ("ab"; . + .)"#,
        r#"reduce range(60) as $i ([1]; . + .)"#,
        r#"reduce range(40) as $i ("ab"; [., .] | join("")) | length"#,
        r#"reduce range(40) as $i ("ab"; [., .] | add)"#,
        r#"reduce range(40) as $i ("ab"; "\(.)\(.)")"#,
        r#"reduce range(60) as $i ([]; [., .]) | tojson"#,
        r#"reduce range(60) as $i ([]; [., .]) | tostring | length"#,
        "reduce range(60) as $i ([]; [., .])",
        "reduce range(60) as $i ([]; [., .]) | .a",
        "reduce range(60) as $i ({}; {a: ., b: .}) | @json",
        "reduce range(60) as $i ({}; {a: ., b: .}) | . * .",
        "reduce range(60) as $i ({}; {a: ., b: .}) | walk(.)",
        "reduce range(60) as $i ([]; [., .]) | flatten",
        "reduce range(60) as $i ([]; [., .]) | [..] | length",
        "reduce range(60) as $i ([]; [., .]) | [paths] | length",
        "reduce range(60) as $i ([65]; [., .]) | tobytes | length",
        "reduce range(60) as $i ([]; [., .]) | digest",
        "[range(1e9)]",
        "[limit(1e9; repeat(1))] | length",
        "[repeat(\"x\")]",
        "last(foreach range(1e9) as $i ([]; . + [$i]))",
        "reduce range(1e9) as $i ({}; .[$i | tostring] = $i)",
        "[range(3000)] | [combinations(4)] | length",
        "[range(3000) as $a | range(3000) as $b | [$a, $b]]",
        "[(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)|(1,1)] | length",
        r#"("x" * 3000000) | [explode, explode, explode]"#,
        r#"("x" * 3000000) | [., ., ., .] | map(split("")) | length"#,
        r#"("'" * 3000000) | [range(9)] as $i | [$i[] as $j | @sh] | length"#,
        r#"("&" * 3000000) as $t | [range(9) | $t | @html] | length"#,
        r#"("x" * 3000000) | [match("((((((((((x))))))))))"; "g")] | length"#,
        r#"("x" * 3000000) | gsub("x"; "yyyyyyyyyyyyyyyyyyyyyyyy") | length"#,
        r#"("x" * 3000000) | [scan("x")] | length"#,
        r#"0 | strftime("%255Y" * 600000) | length"#,
        r#""[" + ("[]," * 1200000) + "1]" | fromjson | length"#,
        "reduce range(60) as $i (3; . * .)",
        "def f: [., .] | f; f",
        "def f: . + . | f; \"ab\" | f",
        "def f($x): [$x, $x] as $y | f($y); f([])",
        "[1, 2] | sort_by(range(1e9))",
        "[1] | group_by(range(1e9))",
        "[1] | min_by(range(1e9))",
        "[range(200000)] | [range(100) as $i | reverse] | length",
        "[range(2000)] as $a | [$a[] | $a | .[0] = 1] | length",
        "[range(2000)] as $a | [$a[] | $a | .[1:1] = [1, 2]] | length",
        r#"("x" * 2000000) as $t | [range(100) | $t | .[0:1] |= "yy"]"#,
        "reduce range(60) as $i ([]; [., .]) | implode",
        "[range(300000)] | map([., ., .] | tojson) | join(\", \") | [., .] | map(ascii_downcase) | map(ltrimstr(\"0\") + .)",
    ] {
        match run(source, &record) {
            Ok(outputs) => wrong.push(format!("{source}: {} outputs", outputs.len())),
            Err(error) => {
                let text = error.to_string();
                let is_bound = text.contains("bytes of memory") || text.contains("too many steps");
                if !is_bound || !text.starts_with("message: ") {
                    wrong.push(format!("{source}: {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Values that share their parts are looked at in bounded time.
#[test]
fn comparing_shared_values_takes_steps() {
    for source in [
        "(reduce range(60) as $i ([]; [., .])) as $a | (reduce range(60) as $i ([]; [., .])) as $b | $a == $b",
        "(reduce range(60) as $i ([]; [., .])) as $a | (reduce range(60) as $i ([]; [., .])) as $b | $a < $b",
        "(reduce range(60) as $i ([]; [., .])) as $a | (reduce range(60) as $i ([]; [., .])) as $b | $a | contains($b)",
        "(reduce range(60) as $i ([]; [., .])) as $a | (reduce range(60) as $i ([]; [., .])) as $b | [$a] - [$b]",
        "(reduce range(60) as $i ([]; [., .])) as $a | (reduce range(60) as $i ([]; [., .])) as $b | [$a, $b] | unique | length",
        "(reduce range(60) as $i ([]; [., .])) as $a | {} | has($a), .[$a], {($a): 1}",
    ] {
        match run(source, &Value::Null) {
            Ok(outputs) => panic!("{source}: {outputs:?}"),
            Err(error) => assert!(
                error.problem.contains("too many steps") || error.problem.contains("something it is not"),
                "{source}: {error}"
            ),
        }
    }
}

#[test]
fn what_changes_values_still_does_it_right() {
    let record = json!({"a": [3, 1, 2], "t": "Жаба", "o": {"x": {"y": 1}}});
    for (source, expected) in [
        (r#".t[0:1] |= "К" | .t"#, json!("Каба")),
        (".t[1:-1]", json!("аб")),
        (".t[-2:]", json!("ба")),
        (".t[9:], .t[:0]", json!("")),
        (".a[1:] = [7, 8, 9] | .a", json!([3, 7, 8, 9])),
        (".a[0] |= empty | .a", json!([1, 2])),
        (".a[-1] = 5 | .a", json!([3, 1, 5])),
        ("del(.o.x) | .o", json!({})),
        (".o * {x: {z: 2}} | .x", json!({"y": 1, "z": 2})),
        (".a - [1]", json!([3, 2])),
        (".a | sort, (map(-.) | sort | map(-.)) | length", json!(3)),
        (".a | index(1), (indices(2)[0])", json!(2)),
        (r#".t | index("б")"#, json!(2)),
        (r#""а, б" / ", ""#, json!(["а", "б"])),
        (r#""ab" * 3"#, json!("ababab")),
        (r#""ab" * 0"#, json!(null)),
        (r#"[.a[] as $x | .a[] as $y | $x * $y] | add"#, json!(36)),
        (".a | bsearch(9)", json!(-4)),
        (r#"[.a | has(0), has(3), has(-1)]"#, json!([true, false, true])),
        (".t | length", json!(4)),
        (r#"[.t | test("Ж"), (gsub("а"; "о"))]"#, json!([true, "Жобо"])),
        (
            r#""жaab" | [match("(a)(?<n>b)?"; "g") | {offset, length, string, in: [.captures[] | [.offset, .string, .name]]}]"#,
            json!([
                {"offset": 1, "length": 1, "string": "a", "in": [[1, "a", null]]},
                {"offset": 2, "length": 2, "string": "ab", "in": [[2, "a", null], [3, "b", "n"]]},
            ]),
        ),
        (r#""aЖbжc" | [splits("ж"; "i")], [splits("ж")] | length"#, json!(2)),
        (
            r#""ab" | sub("(?<x>.)"; "\(.x)\(.x)"), gsub(""; "-"), gsub(""; "-"; "n")"#,
            json!("ab"),
        ),
        (r#""ab" | gsub(""; "-")"#, json!("-a-b-")),
        (
            r#""абв" | [scan("."), scan("(.)(.)")] | tojson"#,
            json!(r#"["а","б","в",["а","б"]]"#),
        ),
        (r#""ab" | capture("(?<x>a)(?<y>c)?") | tojson"#, json!(r#"{"x":"a"}"#)),
        (r#"1700000000 | strftime("%Y")"#, json!("2023")),
        (".a | contains([1])", json!(true)),
        (r#".o | tojson | fromjson"#, json!({"x": {"y": 1}})),
        (
            "9007199254740993 * 9007199254740993 | tostring",
            json!("81129638414606699710187514626049"),
        ),
    ] {
        let outputs = run(source, &record).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(outputs.last(), Some(&expected), "{source}: {outputs:?}");
    }
}

/// Loops that change what they alone hold do not pay for copies.
#[test]
fn a_long_record_needs_a_small_part_of_what_may_be_taken() {
    let rows: Vec<Value> = (0..1000)
        .map(|row| json!({"id": row, "text": "Яма во дворе ".repeat(20), "code": row % 7, "tags": ["a", "b"]}))
        .collect();
    let record = json!({"rows": rows});
    for source in [
        ".rows | map({id, body: {text: .text}, tags}) | length",
        ".rows | group_by(.code) | map({key: .[0].code, n: length}) | length",
        "reduce .rows[] as $r ({}; .[$r.id | tostring] += 1) | length",
        "reduce .rows[] as $r (\"\"; . + $r.text) | length",
        "[.rows[] | select(.code == 3) | .text | ascii_upcase | gsub(\"О\"; \"0\")] | length",
        "walk(if isstring then ltrimstr(\"Я\") end) | compact | .rows | length",
    ] {
        run(source, &record).unwrap_or_else(|error| panic!("{source}: {error}"));
    }
}

/// Terms that make more of less, put together at random.
fn term() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        ".",
        ".n",
        ".text",
        ".list",
        ".list[]",
        "1",
        "9999999",
        "\"ab\"",
        "[., .]",
        "{a: ., b: .}",
        "..",
        "tojson",
        "tostring",
        "explode?",
        "keys?",
        "[.[]?]",
        "add?",
        "flatten?",
        "length?",
        "reverse?",
        "sort?",
        "to_entries?",
        "join(\", \")?",
        "[range(1000)]",
        "range(100)",
        "(. * 1000)?",
        "(. + .)?",
        "(. * .)?",
        "unique?",
        "paths",
        "@html",
        "@sh?",
        "@uri",
        "@base64",
        "ascii_downcase?",
        "split(\"\")?",
        "[match(\"(a)(b)?\"; \"g\")?]",
        "fromjson?",
        "transpose?",
        "[combinations]?",
        "tobytes?",
        "digest",
        "compact",
        "error?",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} | {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}, {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}) + ({b}))?")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}) * ({b}))?")),
            inner.clone().prop_map(|a| format!("[{a}]")),
            inner.clone().prop_map(|a| format!("\"\\({a})\\({a})\"")),
            inner
                .clone()
                .prop_map(|a| format!("(reduce range(30) as $i (.; {a}))?")),
            inner.clone().prop_map(|a| format!("[limit(100000; repeat({a}))]?")),
            inner.clone().prop_map(|a| format!("(try ({a}) catch .)")),
            inner.clone().prop_map(|a| format!("(.. |= ({a}))?")),
            inner.clone().prop_map(|a| format!("(def f: {a} | f; f)?")),
            inner.prop_map(|a| format!("(sort_by({a}))?")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn no_filter_takes_more_than_it_may(source in term()) {
        let record = json!({"n": 700_000_000, "text": "Яма & лужа", "list": [1, "a", [2, {"k": "v"}]]});
        // An outcome or an error; `run` looks at the memory.
        let _ = run(&source, &record);
    }
}
