//! What an author sees when something is wrong: file, line, the line itself, the cure.

use std::path::PathBuf;

use crate::tests::semantics::{ROUTE, files, rules};
use crate::{RuleErrors, RuleSet};

fn refused(texts: &[&str]) -> RuleErrors {
    RuleSet::parse(&files(texts)).expect_err("refused")
}

#[test]
fn an_error_quotes_the_line_and_says_the_cure() {
    let errors = refused(&[&format!(
        "classify:\n  - id: snow\n    name: Снег\n    when: {{ chanel: telegram }}\n    set: {{ sector: roads }}\n{ROUTE}"
    )]);
    let told = errors.to_string();
    assert!(told.contains("0.yaml:5: условие: неизвестный ключ «chanel»"), "{told}");
    assert!(told.contains("   5 |     when: { chanel: telegram }"), "{told}");
    assert!(told.contains("возможно, вы имели в виду «channel»"), "{told}");
}

#[test]
fn every_kind_of_mistake_has_its_message() {
    let rule = |when: &str, set: &str| {
        format!(
            "words: {{ winter: [снег] }}\nsectors: {{ roads: Дороги }}\nclassify:\n  - {{ id: a, name: А, when: {when}, set: {set} }}\n{ROUTE}"
        )
    };
    let deadline =
        |body: &str| format!("zone: Asia/Yekaterinburg\ndeadlines:\n  - {{ id: d, name: Д, {body} }}\n{ROUTE}");
    let cases: Vec<(String, &str)> = vec![
        (rule("{ text: [$wintr] }", "{ sector: roads }"), "«$winter»"),
        (rule("{ text: [во*] }", "{ sector: roads }"), "короче трёх букв"),
        (rule("{ text: [яма~] }", "{ sector: roads }"), "от 6 букв"),
        (rule("{ season: зима }", "{ sector: roads }"), "непонятное время «зима»"),
        (
            rule("{ hours: \"9:00–18:00\" }", "{ sector: roads }"),
            "не задан часовой пояс",
        ),
        (rule("{ older_than: 3 }", "{ sector: roads }"), "число и единица"),
        (
            rule("{ satisfaction: bad }", "{ sector: roads }"),
            "неизвестное значение «bad»",
        ),
        (
            rule("{ status: in_wrok }", "{ sector: roads }"),
            "имели в виду «in_work»",
        ),
        (
            format!("{ROUTE}tests: [{{ name: т, given: {{ status: in_wrok }}, expect: {{ queue: q }} }}]\n"),
            "имели в виду «in_work»",
        ),
        (
            rule("{ use: зима }", "{ sector: roads }"),
            "опишите его в разделе conditions",
        ),
        (rule("{ text: [снег] }", "{ queue: \"a b\" }"), "не годится"),
        (
            format!("conditions: {{ a: {{ use: b }}, b: {{ not: {{ use: [a] }} }} }}\n{ROUTE}"),
            "ссылается на себя: a → b → a",
        ),
        (
            format!("words: {{ a: [$b], b: [снег, $a] }}\n{ROUTE}"),
            "ссылается на себя: a → b → a",
        ),
        (format!("words: {{ a: [$c] }}\n{ROUTE}"), "нет списка слов «c»"),
        (
            format!("conditions: {{ a: {{ kind: post }} }}\nwords: {{ a: [$a] }}\n{ROUTE}"),
            "a → a",
        ),
        (
            rule("{ use: roads }", "{ sector: roads }") + "conditions: { roads: { any: [{ sector: roads }] } }\n",
            "годится только в route и deadlines",
        ),
        (rule("{ text: [снег] }", "{ sector: rods }"), "«roads»"),
        (rule("{ text: [снег] }", "{ }"), "ничего не задаёт"),
        (rule("{ }", "{ sector: roads }"), "пустое условие"),
        (rule("{ kind: dirct }", "{ sector: roads }"), "«direct»"),
        (rule("{ sector: roads }", "{ sector: roads }"), "ещё не известно"),
        (rule("{ municipality: Пермь }", "{ sector: roads }"), "внутри place"),
        (rule("{ place: { oktmo: 57701 } }", "{ sector: roads }"), "в кавычки"),
        (rule("{ text: [снег] }", "{ sector: roads, priority: 12 }"), "от 0 до 9"),
        (rule("{ any: [] }", "{ sector: roads }"), "пустой список"),
        (
            deadline("stage: answer, working_days: 3, calendar_days: 3"),
            "задана дважды",
        ),
        (
            deadline("stage: answer, working_days: 3, roll: next"),
            "roll переносит только",
        ),
        (deadline("stage: answer, calendar_days: 3, roll: nxt"), "«next»"),
        (deadline("stage: answer, calendar_days: 3, margin: { }"), "margin"),
        (
            deadline("stage: answer, calendar_days: 3, margin: { days: 1 }"),
            "calendar_days",
        ),
        (
            format!("calendar: [{{ year: 2026, holidays: [2027-01-01] }}]\n{ROUTE}"),
            "не день 2026 года",
        ),
        (format!("calendar: [{{ holidays: [2026-01-01] }}]\n{ROUTE}"), "нет года"),
        (
            format!("calendar: [{{ year: 2026, holidays: [2026-03-20/2026-03-22], working: [2026-03-21] }}]\n{ROUTE}"),
            "2026-03-21: один список называет день и выходным, и рабочим",
        ),
        (
            format!("work_day: {{ from: \"18:00\", to: \"9:00\" }}\n{ROUTE}"),
            "кончается раньше",
        ),
        (
            format!("work_day: {{ from: \"9.00\", to: \"18:00\" }}\n{ROUTE}"),
            "не время",
        ),
        (
            format!("work_day: {{ from: \"9:00\", to: \"18:00\", pause: \"8:00-9:00\" }}\n{ROUTE}"),
            "не перерыв",
        ),
        (deadline("stage: answr, calendar_days: 3"), "«answer»"),
        (deadline("stage: answer"), "нет длительности"),
        (
            deadline("stage: answer, calendar_days: 3").replace("zone: Asia/Yekaterinburg\n", ""),
            "часовой пояс",
        ),
        (
            deadline("stage: answer, calendar_days: 3").replace("Yekaterinburg", "Permm"),
            "неизвестный часовой пояс",
        ),
        ("classify: []\n".into(), "нет дерева маршрутов"),
        (ROUTE.replace("queue: q.root", "queue: \"q *\""), "не годится"),
        (ROUTE.replace(", queue: q.root", ""), "нет ключа queue"),
        (
            ROUTE.replace("id: root,", "id: root, when: { channel: vk },"),
            "не бывает условия",
        ),
        (
            ROUTE.replace("q.root }", "q.root, routes: [{ id: x, name: Х }] }"),
            "закрыл бы все маршруты",
        ),
        (
            ROUTE.replace(
                "q.root }",
                "q.root, routes: [{ id: root, name: Х, when: { channel: vk } }] }",
            ),
            "уже занят: 0.yaml:2",
        ),
        (ROUTE.replace("id: root", "id: Корень"), "латинские"),
        ("route: [\n".into(), "не читается как YAML"),
        (
            format!("{ROUTE}tests: [{{ name: т, given: {{ at: вчера }}, expect: {{ queue: q }} }}]\n"),
            "не дата и время",
        ),
        (
            format!("{ROUTE}tests: [{{ name: т, given: {{}}, expect: {{ quue: q }} }}]\n"),
            "«queue»",
        ),
    ];
    for (text, wanted) in cases {
        let told = refused(&[&text]).to_string();
        assert!(told.contains(wanted), "{wanted}:\n{told}\n{text}");
    }
}

#[test]
fn broken_yaml_is_told_in_russian_and_once() {
    for text in [
        "route: [\n",
        "route: { id: root\nwords: {}\n",
        "route:\n  name: Дороги: ямы\n",
        "route:\n\tid: root\n",
        "route:\n  name: \"Дороги\n",
        "route:\n  id: root\n name: Все\n",
    ] {
        let errors = refused(&[text]);
        let told = &errors.0[0].problem;
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert!(told.contains("не читается как YAML"), "{told}");
        assert!(!told.chars().any(|letter| letter.is_ascii_lowercase()), "{told}");
    }
    let twice = refused(&["words: { w: [а] }\nwords: { v: [б] }\n"]).to_string();
    assert!(
        twice.contains("ключ «words» повторяется, впервые он в строке 2"),
        "{twice}"
    );
}

#[test]
fn named_conditions_can_not_multiply_without_end() {
    let mut text = String::from("conditions:\n  c0: { text: [снег] }\n");
    for at in 1..40 {
        let before = at - 1;
        text.push_str(&format!(
            "  c{at}: {{ all: [{{ use: c{before} }}, {{ use: c{before} }}] }}\n"
        ));
    }
    let told = refused(&[&format!("{text}{ROUTE}")]).to_string();
    assert!(told.contains("умножают друг друга"), "{told}");
}

#[test]
fn a_channel_nobody_knows_is_a_warning() {
    let rules = rules(
        "classify:
  - { id: a, name: А, when: { not: { channel: [telegrm, VK] } }, set: { tags: [x] } }
  - { id: b, name: Б, when: { any: [{ channel: quokka }, { text: яма }] }, set: { tags: [y] } }
",
    );
    let told = rules.warnings();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("0.yaml:") && told[0].contains("канал «telegrm» неизвестен, возможно «telegram»"),
        "{told:?}"
    );
    assert!(told[1].contains("канал «quokka» неизвестен"), "{told:?}");
    assert_eq!(RuleSet::starter().warnings(), [""; 0]);
}

#[test]
fn what_is_forbidden_is_told_without_a_double_negation() {
    use priem_message::{EventType, Kind, Message, MessageData, Regime};
    let rules =
        rules("classify: [{ id: a, name: А, when: { text: { any: [яма], none: [снег] } }, set: { tags: [x] } }]\n");
    let told = |text: &str| {
        let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
        data.body.text = text.into();
        let message = Message::new(EventType::Received, data);
        let seen = rules.why(&message, jiff::Timestamp::UNIX_EPOCH, "a");
        seen.expect("a known rule").render_ru()
    };
    let clean = told("Яма");
    assert!(clean.contains("+ запрещённого нет ✓"), "{clean}");
    let dirty = told("Яма и снег");
    assert!(
        dirty.contains("- есть запрещённое: в тексте есть «снег» (ищем «снег») ✗"),
        "{dirty}"
    );
}

#[test]
fn several_files_are_one_set_with_one_tree() {
    let told = refused(&[ROUTE, &ROUTE.replace("id: root", "id: second")]).to_string();
    assert!(
        told.contains("1.yaml:2") && told.contains("уже есть: 0.yaml:2"),
        "{told}"
    );
    let one = "classify: [{ id: a, name: А, when: { text: [$w] }, set: { sector: s } }]\n";
    let rules = RuleSet::parse(&files(&[one, ROUTE, "words: { w: [снег] }\n"])).expect("valid");
    assert_eq!(rules.rule_ids().collect::<Vec<_>>(), ["a", "root"]);
    let missing = RuleSet::parse(&[(PathBuf::from("a.yaml"), ROUTE.to_owned())]).expect_err("no version");
    assert!(missing.to_string().contains("version: 1"));
}

#[test]
fn a_failing_test_says_what_was_expected_and_what_came() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
classify:
  - { id: pit, name: Ямы, when: { text: [яма] }, set: { sector: roads } }
deadlines:
  - { id: day, name: Сутки, stage: answer, calendar_hours: 24 }
tests:
  - { name: верный, given: { text: Ямы!, at: 2026-01-15 10:00 }, expect: { sector: roads, territory: none, rules: [pit], route: root,
      deadlines: { answer: day, register: none }, due: { answer: 2026-01-16 10:00 } } }
  - { name: неверный, given: { text: Лужи }, expect: { sector: roads, due: { answer: 2026-01-16 11:00 } } }
",
    );
    let report = rules.run_tests();
    assert_eq!((report.total, report.failures.len()), (2, 1), "{}", report.render_ru());
    let told = report.render_ru();
    assert!(
        told.contains("тест «неверный»") && told.contains("sector: ожидали «roads», а не получили ничего"),
        "{told}"
    );
    assert!(told.contains("получили «2026-01-16 10:00:00»"), "{told}");
}
