use super::*;

fn top(text: &str) -> Vec<Entry> {
    match parse(text).expect("parses").value {
        Value::Map(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn refused(text: &str) -> NotYaml {
    parse(text).expect_err(text)
}

#[test]
fn every_key_and_value_knows_its_line() {
    let top = top("version: 1\nclassify:\n  - id: snow\n    when:\n      text: [снег, 5]\n");
    assert_eq!((top[0].key.as_str(), top[0].line), ("version", 1));
    let rules = top[1].node.value.as_list().expect("a list");
    let rule = rules[0].value.as_map().expect("a map");
    assert_eq!((rule[1].key.as_str(), rule[1].line), ("when", 4));
    assert_eq!(rule[1].node.line, 4, "a mapping stands where its key does");
    let when = rule[1].node.value.as_map().expect("a map");
    assert_eq!(when[0].node.line, 5);
    let words = when[0].node.value.as_list().expect("a list");
    assert_eq!(words[0].scalar().expect("a scalar").text(), "снег");
}

#[test]
fn broken_syntax_and_repeated_keys_name_the_line() {
    assert_eq!(refused("a: 1\nb: [1, 2\nc: 3\n").line.min(3), 3);
    let twice = refused("a: 1\nb: 2\na: 3\n");
    let key = "a".to_owned();
    assert_eq!((twice.line, twice.problem), (3, Problem::Twice { key, first: 1 }));
    let many: String = (0..40).map(|at| format!("k{at}: 1\n")).collect();
    assert!(parse(&many).is_ok());
    for (key, first) in [("k3", 4), ("k16", 17), ("k17", 18), ("k39", 40)] {
        let twice = refused(&format!("{many}{key}: 2\n"));
        let key = key.to_owned();
        assert_eq!((twice.line, twice.problem), (41, Problem::Twice { key, first }));
    }
    assert_eq!(refused("a: 1\n---\nb: 2\n").problem, Problem::SecondDocument);
    assert_eq!(refused("? [a]\n: 1\n").problem, Problem::KeyIsNoText);
    let tab = refused("a:\n\tb: 1\n");
    assert_eq!(tab.line, 2);
    assert!(tab.problem.ru().contains("табуляцией"), "{tab}: {}", tab.problem.ru());
}

#[test]
fn quotes_and_a_tag_make_text() {
    for written in ["\"57701\"", "'57701'", "!!str 57701", "|\n  57701"] {
        let top = top(&format!("a: {written}\n"));
        let scalar = top[0].node.scalar().expect("a scalar");
        assert_eq!((scalar.integer(), scalar.text().trim()), (None, "57701"), "{written}");
    }
    assert_eq!(
        top("a: 57701\n")[0].node.scalar().expect("a scalar").integer(),
        Some(57701)
    );
    assert!(top("\u{feff}a:\r\n")[0].node.value.is_nothing());
}

#[test]
fn merge_keys_take_in_what_is_not_there() {
    let top = top(
        "base: &base { a: 1, b: 2 }\none:\n  b: 3\n  <<: *base\ntwo:\n  <<: [{ a: 4 }, *base]\n  <<: { c: 5 }\n\
                   text: { \"<<\": 6 }\n",
    );
    let numbers = |at: usize| -> Vec<(String, i64)> {
        let entries = top[at].node.value.as_map().expect("a map");
        let number = |entry: &Entry| entry.node.scalar().and_then(Scalar::integer).expect("a number");
        entries
            .iter()
            .map(|entry| (entry.key.to_string(), number(entry)))
            .collect()
    };
    let named = |pairs: &[(&str, i64)]| -> Vec<(String, i64)> {
        pairs
            .iter()
            .map(|(name, number)| ((*name).to_owned(), *number))
            .collect()
    };
    assert_eq!(numbers(1), named(&[("b", 3), ("a", 1)]));
    assert_eq!(numbers(2), named(&[("a", 4), ("b", 2), ("c", 5)]));
    assert_eq!(numbers(3), named(&[("<<", 6)]));
    let refused = refused("a: 1\nb:\n  <<: text\n");
    assert_eq!((refused.line, refused.problem), (3, Problem::MergesNoMapping));
}

#[test]
fn a_repeated_part_is_copied_and_can_not_run_away() {
    let top = top("a: &x [1, 2]\nb: *x\n");
    assert_eq!(top[0].node.value, top[1].node.value);
    let mut laughs = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
    for at in 1..9 {
        let before = at - 1;
        let ten = vec![format!("*a{before}"); 10].join(", ");
        laughs.push_str(&format!("a{at}: &a{at} [{ten}]\n"));
    }
    assert_eq!(refused(&laughs).problem, Problem::TooLarge);
    assert_eq!(refused("a: *x\n").line, 1);
}

#[test]
fn a_path_is_found_and_put() {
    let mut tree = parse("a:\n  b: [1, { c: 2 }]\n").expect("parses");
    assert_eq!(tree.line_of(&["a", "b", "[1]", "c"]), 2);
    assert_eq!(tree.line_of(&["a", "missing"]), 1);
    let path = ["a", "d", "e"].map(str::to_owned);
    tree.put(&path, Node::nothing(Node::OUTSIDE));
    assert_eq!(tree.line_of(&["a", "d", "e"]), Node::OUTSIDE);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_a_panic(text in "[a-z0-9:{}\\[\\]&*<>\"' \n-]{0,60}") {
        let _ = parse(&text);
    }
}
