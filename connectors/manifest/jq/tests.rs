//! The language within its bounds, and what its errors say.

use serde_json::{Value, json};

use super::*;

fn all(source: &str, input: &Value) -> Result<Vec<Value>, FilterError> {
    Filter::compile(source, "test").expect("compiles").all(input)
}

fn one(source: &str, input: &Value) -> Value {
    let filter = Filter::compile(source, "test").unwrap_or_else(|error| panic!("{source}: {error}"));
    filter.one(input).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn problem(source: &str, input: &Value) -> String {
    all(source, input).expect_err("fails").problem
}

fn wrong(source: &str) -> String {
    Filter::compile(source, "message")
        .expect_err("does not compile")
        .to_string()
}

#[test]
fn filters_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Filter>();
    shared::<Input>();
}

#[test]
fn the_language_works() {
    let record = json!({"a": [1, 2.5, "x", null, true], "n": 9_007_199_254_740_993_i64, "u": u64::MAX});
    assert_eq!(one(".", &record), record);
    assert_eq!(all(".a[]", &record).expect("runs").len(), 5);
    assert_eq!(one(".a | map(select(isnumber)) | add", &record), json!(3.5));
    assert_eq!(one("[range(3)] | map(. * 2)", &Value::Null), json!([0, 2, 4]));
    assert_eq!(one("[limit(3; repeat(1))] | length", &Value::Null), json!(3));
    assert_eq!(one(r#""а-б" | split("-") | join("+")"#, &Value::Null), json!("а+б"));
    assert_eq!(one(r#".a[]? |= . | .a[0] |= 7 | .a[0]"#, &record), json!(7));
    assert_eq!(
        one(r#""Дело №15" | capture("№(?<n>[0-9]+)").n"#, &Value::Null),
        json!("15")
    );
    assert_eq!(one("to_entries | from_entries", &record), record);
    assert_eq!(one("[paths] | length", &json!({"a": [1]})), json!(2));
    assert_eq!(
        one("walk(if isnumber then . + 1 end)", &json!({"a": [1]})),
        json!({"a": [2]})
    );
}

#[test]
fn nothing_outside_is_in_reach() {
    for source in [
        "now",
        "env",
        "$ENV",
        "input",
        "inputs",
        "debug",
        "halt",
        "stderr",
        "localtime",
        "input_filename",
        r#"import "a" as a; ."#,
        r#"include "a"; ."#,
        "$__prog_args",
    ] {
        assert!(Filter::compile(source, "test").is_err(), "{source}");
    }
}

#[test]
fn endless_work_stops() {
    for source in [
        "def f: f; f",
        "def f: f | f; f",
        "def f: try f catch f; f",
        "[repeat(1)]",
        "repeat(empty)",
        "[range(0; infinite)]",
        "last(range(0; 1; 0))",
        "until(false; .)",
        "[recurse(.)]",
        "reduce repeat(1) as $x (0; . + $x)",
        "def f: [f]; f",
        "def f: [.] | f; f",
        "def f: {a: .} | f; f",
        "last(repeat([.]))",
        "def f: 1 + f; f",
        "def f: f + 1; f",
        "def f(g): f(g | g); f(.)",
        "path(repeat(.))",
        "repeat(.) |= 1",
        "[limit(1e18; repeat(1))]",
        ". as $a | [$a[] | $a[] | $a[] | $a[] | $a[] | $a[]]",
    ] {
        let input = Value::Array(vec![json!(1); 200]);
        let problem = problem(source, &input);
        assert!(
            problem.contains("too many steps") || problem.contains("too deeply") || problem.contains("more than"),
            "{source}: {problem}"
        );
    }
}

#[test]
fn more_than_one_output_is_told_from_one() {
    let filter = Filter::compile(".[]", "id").expect("compiles");
    assert_eq!(filter.one(&json!([7])).expect("one"), json!(7));
    assert_eq!(
        filter.one(&json!([])).expect_err("none").to_string(),
        "id: gave nothing, one value is needed"
    );
    assert_eq!(
        filter.one(&json!([1, 2, 3])).expect_err("many").to_string(),
        "id: gave several values, one is needed"
    );
    assert!(problem("range(200000)", &Value::Null).contains("more than 100000 values"));
}

#[test]
fn errors_never_show_the_record() {
    let record = json!({"name": "Анна Петрова", "phone": "+79024700001", "n": 5});
    for source in [
        ".name.first",
        ".name | keys",
        ".name - .n",
        ".name | tonumber",
        ".name | fromjson",
        ".name | error",
        "error(.)",
        r#"error("unknown name: \(.name)")"#,
        ".name[0:1] |= 5",
        "(.name | length) |= 5",
        ".name | test(\"[\")",
        "{(.n): 1} | .",
        ".name | implode",
        ".name | @base64d",
        ".name | strptime(\"%d\")",
        ".name | ltrimstr(5)",
    ] {
        if let Err(error) = all(source, &record) {
            let shown = error.to_string();
            assert!(
                !shown.contains("Анна") && !shown.contains("Петров") && !shown.contains("7902"),
                "{source}: {shown}"
            );
        }
    }
    assert_eq!(problem(r#"error("unknown name: \(.name)")"#, &record), "unknown name:…");
    assert_eq!(problem(r#"error("no district")"#, &record), "no district");
    assert!(problem(".name.first", &record).contains("without such keys"));
}

#[test]
fn a_wrong_filter_is_shown_its_place_and_cure() {
    assert_eq!(
        wrong(""),
        "message: the filter is empty; write `.` for the value itself"
    );
    assert_eq!(
        wrong("{\n  id: .id,\n  text: ]\n}"),
        "message: line 3, column 9: expected closing brace, found `]`"
    );
    assert_eq!(
        wrong("{a: .a}\n| html_txt"),
        "message: line 2: unknown filter `html_txt`, did you mean `html_text`?"
    );
    assert_eq!(
        wrong("ru_date(1)"),
        "message: line 1: unknown filter `ru_date` with 1 arguments; it takes 2"
    );
    assert!(wrong("now").contains("clock"));
    assert!(wrong("$x").contains("unknown variable `$x`"));
    assert!(wrong(&"(".repeat(20_000)).starts_with("message: "));
    assert!(wrong(&"-".repeat(20_000)).starts_with("message: "));
    assert!(wrong(&format!("{}.", "[.] | ".repeat(4000))).contains("nested deeper"));
    assert!(wrong(&"x".repeat(40_000)).contains("longer than"));
}

#[test]
fn deep_and_huge_values_are_errors_and_nothing_worse() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(problem("fromjson", &json!(deep)), "fromjson: the text is no JSON");
    assert!(problem("reduce range(300) as $i (0; [.])", &Value::Null).contains("nested deeper"));
    let links: Vec<Value> = (0..50_000).map(Value::from).collect();
    assert!(problem("reduce .[] as $i (null; {next: ., item: $i})", &json!(links)).contains("nested deeper"));
    assert_eq!(
        one("reduce .[] as $i (null; {next: ., item: $i}) | .item", &json!(links)),
        json!(49_999)
    );
    let path: Vec<Value> = vec![json!(0); 50_000];
    assert!(problem(". as $path | null | setpath($path; 1)", &json!(path)).len() < 200);
    let nested = format!("{}.{}", "[".repeat(140), "]".repeat(140));
    assert!(problem(&nested, &Value::Null).contains("nested deeper"));
    assert_eq!(one(&format!("{}.", ". | ".repeat(140)), &json!(1)), json!(1));
    assert!(problem("\"x\" * 1e18", &Value::Null).len() < 200);
    assert_eq!(
        problem("{(\"a\"): 1} | with_entries(.key = 5)", &Value::Null),
        "the result has a key that is no text"
    );
}

#[test]
fn tables_answer_and_never_fail() {
    let tables = json!({"status": {"NEW": "new", "7": "closed"}});
    let tables = Tables::new(tables.as_object().expect("an object"));
    let one = |source: &str, input: Value| {
        Filter::compile_with(source, "test", &tables)
            .expect("compiles")
            .one(&input)
            .expect("runs")
    };
    assert_eq!(one(r#"lookup("status"; .; "other")"#, json!("NEW")), json!("new"));
    assert_eq!(one(r#"lookup("status"; .; "other")"#, json!(7)), json!("closed"));
    assert_eq!(one(r#"lookup("status"; .; "other")"#, json!("X")), json!("other"));
    assert_eq!(one(r#"lookup("no such"; .)"#, json!({"a": 1})), Value::Null);
    assert_eq!(
        one(r#"status("status"; .)"#, json!("X")),
        json!({"common": "other", "raw": "X"})
    );
    assert_eq!(one("$tables.status.NEW", Value::Null), json!("new"));
}

#[test]
fn the_helpers_do_what_the_reference_says() {
    let date = one(
        r#"ru_date("dd.mm.yyyy[ hh:mm]"; "Asia/Yekaterinburg")"#,
        &json!("05.01.2026"),
    );
    assert_eq!(
        date,
        json!({"value": "2026-01-05", "precision": "date", "zone": "Asia/Yekaterinburg", "source_text": "05.01.2026"})
    );
    assert_eq!(
        one(r#"ru_date("dd.mm.yyyy"; "Europe/Moscow")"#, &json!(null)),
        Value::Null
    );
    assert!(problem(r#"ru_date("dd.mm.yyyy"; "Perm")"#, &json!("1")).contains("IANA"));
    assert!(problem(r#"ru_date("dd/mm"; "Europe/Moscow")"#, &json!("1")).contains("pattern"));
    assert_eq!(
        one(r#"iso_date("Europe/Moscow").value"#, &json!("2026-01-05T07:00:00Z")),
        json!("2026-01-05T10:00:00+03:00")
    );
    assert_eq!(
        one(r#"epoch_date("UTC").precision"#, &json!(1767609000)),
        json!("second")
    );
    assert_eq!(
        one(
            r#"ru_date("dd.mm.yyyy"; "Asia/Yekaterinburg") | deadline("answer")"#,
            &json!("05.01.2026")
        ),
        json!({"stage": "answer", "due_at": "2026-01-05T18:59:59Z", "zone": "Asia/Yekaterinburg", "basis": "source", "unit": "calendar_days"})
    );
    assert_eq!(one("html_text", &json!("<p>Яма</p>")), json!("Яма"));
    assert_eq!(
        one("[phone, mask_phone]", &json!("89024700001")),
        json!(["+79024700001", "+7******0001"])
    );
    assert_eq!(
        one(
            "full_name",
            &json!({"surname": "Петрова ", "name": "Анна", "patronymic": null})
        ),
        json!("Петрова Анна")
    );
    assert_eq!(
        one("fias", &json!([null, "", "C52EA942-555E-45C6-9751-58897717B02F"])),
        json!("c52ea942-555e-45c6-9751-58897717b02f")
    );
    assert_eq!(one("oktmo", &json!(57701000)), json!("57701000"));
    assert_eq!(one("geo", &json!("58.01, 56.25")), json!({"lat": 58.01, "lon": 56.25}));
    assert_eq!(one("geo", &json!({"geoLat": "0", "geoLon": "0"})), Value::Null);
    assert_eq!(
        one("[.[] | present]", &json!(["-", " a ", "", 5])),
        json!([null, "a", null, 5])
    );
    assert_eq!(one("[.[] | as_list]", &json!([null, 1, [2]])), json!([[], [1], [2]]));
    assert_eq!(
        one(
            "compact",
            &json!({"a": null, "b": {"c": null}, "d": [null, 1], "e": ""})
        ),
        json!({"d": [1], "e": ""})
    );
    assert_eq!(
        one("[node(5; \"Дороги\"), node(6; null)]", &Value::Null),
        json!([{"id": "5", "name": "Дороги"}])
    );
    assert_eq!(one("digest", &json!({"a": 1})).as_str().map(str::len), Some(32));
}

#[test]
fn every_helper_is_in_the_reference_and_exists() {
    let listed: Vec<&str> = REFERENCE
        .iter()
        .map(|(name, _)| name.split('(').next().unwrap_or_default())
        .collect();
    let mut ours: Vec<&str> = stdlib::definitions().iter().map(|definition| definition.name).collect();
    ours.extend(
        stdlib::natives()
            .iter()
            .map(|(name, _, _)| *name)
            .filter(|name| *name != "fromjson"),
    );
    for name in &ours {
        assert!(listed.contains(name), "{name} is not in the reference");
    }
    for name in &listed {
        assert!(ours.contains(name), "{name} does not exist");
    }
}
