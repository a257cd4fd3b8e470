//! Tables as people keep them: what they decide, what is wrong with their cells, and that they decide as rules do.

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;
use priem_message::{EventType, Kind, Message, MessageData, Regime, Topic};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};

use crate::engine::decision::Decision;
use crate::{RuleErrors, RuleSet};

const RULES: &str = "version: 1
zone: Asia/Yekaterinburg
sectors: { roads: Дороги, housing: ЖКХ, waste: Обращение с отходами }
classify:
  - { id: pits, name: Ямы, when: { text: [яма] }, set: { sector: roads } }
  - { id: homes, name: Дома, when: { text: [подъезд] }, set: { sector: housing } }
  - { id: in-leninsky, name: Л, when: { place: { city_district: Ленинский } }, set: { territory: Ленинский } }
  - { id: in-kirovsky, name: К, when: { place: { city_district: Кировский } }, set: { territory: Кировский } }
route:
  id: head
  name: Руководитель
  to: { organisation: МЦУ, role: руководитель }
  queue: mcu.head
  routes:
    - { id: staff, name: Записи органов, when: { author: staff }, queue: mcu.staff }
    - { id: recipients, name: Получатели, table: recipients.csv, tags: [by-table] }
    - { id: rest, name: Дороги без хозяина, when: { sector: roads }, queue: mcu.roads }
";

const TABLE: &str = "\
Территория;Отрасль;Тема;Организация;Роль;Очередь;Приоритет;Действует с;Действует по;Примечание
Ленинский;;;Администрация Ленинского района;;leninsky;;;;
Ленинский;Дороги;;Дорожная служба района;диспетчер;leninsky.roads;2;;30.06.2026;до передачи
Ленинский;Дороги;;Городская дорожная служба;;city.roads;2;01.07.2026;;
любая;жкх;;УЖКХ;;housing;;;;
Ленинский;;Дороги / Ямы;Ремонтная бригада;;pits;;;;
";

fn folder(rules: &str, table: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.yaml"), rules).expect("written");
    std::fs::write(folder.path().join("recipients.csv"), table).expect("written");
    folder
}

fn load(rules: &str, table: &str) -> RuleSet {
    RuleSet::load(folder(rules, table).path()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(table: &str) -> String {
    refused_with(RULES, table).to_string()
}

fn refused_with(rules: &str, table: &str) -> RuleErrors {
    RuleSet::load(folder(rules, table).path()).expect_err("refused")
}

fn message(district: &str, text: &str) -> Message {
    let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
    data.body.text = text.into();
    data.place.city_district = Some(district.into()).filter(|district: &String| !district.is_empty());
    Message::new(EventType::Received, data)
}

fn decide_at(rules: &RuleSet, message: &Message, now: &str) -> Decision {
    rules.decide(&mut message.clone(), now.parse().expect("instant"))
}

const JUNE: &str = "2026-06-01T00:00:00Z";

fn queue(rules: &RuleSet, district: &str, text: &str) -> String {
    decide_at(rules, &message(district, text), JUNE).main().queue.clone()
}

#[test]
fn the_more_precise_row_wins_wherever_it_stands_and_what_no_row_fits_goes_on() {
    let rules = load(RULES, TABLE);
    assert_eq!(queue(&rules, "Ленинский", "яма"), "leninsky.roads");
    assert_eq!(queue(&rules, "Ленинский", "подъезд"), "leninsky");
    assert_eq!(queue(&rules, "Кировский", "подъезд"), "housing");
    assert_eq!(queue(&rules, "Кировский", "яма"), "mcu.roads");
    assert_eq!(queue(&rules, "Кировский", "спасибо"), "mcu.head");
    let mut pits = message("Ленинский", "яма");
    pits.data.topic = Some(Topic::of_levels("incident", &["Дороги".into(), "Ямы".into()]));
    let decision = decide_at(&rules, &pits, JUNE);
    let main = decision.main();
    assert_eq!(main.queue, "pits");
    assert_eq!(main.recipient.organisation, "Ремонтная бригада");
    assert_eq!(
        main.recipient.role, None,
        "the role is not that of another organisation"
    );
    assert_eq!(main.tags, ["by-table"]);
    assert_eq!(main.matched.last().map(String::as_str), Some("recipients:6"));
}

#[test]
fn a_row_is_in_force_to_the_last_minute_of_its_last_day_by_the_clock_of_the_rules() {
    let rules = load(RULES, TABLE);
    let pits = message("Ленинский", "яма");
    // Midnight in Yekaterinburg.
    let before = decide_at(&rules, &pits, "2026-06-30T18:59:59Z");
    assert_eq!(before.main().queue, "leninsky.roads");
    assert_eq!(before.main().priority, 2);
    assert_eq!(
        decide_at(&rules, &pits, "2026-06-30T19:00:00Z").main().queue,
        "city.roads"
    );
}

#[test]
fn a_condition_on_dates_is_one_of_the_language() {
    let rules = RULES.replace(
        "when: { author: staff }",
        "when: { dates: [\"по 01.01.2026\", \"03.06.2026–04.06.2026\"] }",
    );
    let rules = load(&rules, TABLE);
    let at = |now| decide_at(&rules, &message("", ""), now).main().queue.clone();
    assert_eq!(at("2026-01-01T18:59:59Z"), "mcu.staff");
    assert_eq!(at("2026-01-01T19:00:00Z"), "mcu.head");
    assert_eq!(at("2026-06-04T18:00:00Z"), "mcu.staff");
    let wrong = RULES.replace("when: { author: staff }", "when: { dates: \"31.12.26\" }");
    let error = refused_with(&wrong, TABLE).to_string();
    assert!(
        error.contains("непонятные дни «31.12.26»") && error.contains("01.07.2026"),
        "{error}"
    );
}

#[test]
fn the_explanation_names_the_table_the_row_and_what_is_written_in_it() {
    let rules = load(RULES, TABLE);
    let pits = message("Ленинский", "яма");
    let now: Timestamp = JUNE.parse().expect("instant");
    let said = rules.explain(&pits, now).render_ru();
    let row = "таблица «Получатели», строка 3: территория «Ленинский», отрасль «Дороги», действует по 30.06.2026";
    assert!(said.contains(row), "{said}");
    assert!(
        said.contains("recipients.csv:3") && said.contains("строк в таблице: 5"),
        "{said}"
    );
    assert!(said.contains("они уступили: 2"), "{said}");
    let decision = decide_at(&rules, &pits, JUNE);
    let sentences = decision.main().explanation.join("\n");
    assert!(
        sentences.contains(row) && sentences.contains("Дорожная служба района, диспетчер"),
        "{sentences}"
    );

    let why_row = rules.why(&pits, now, "recipients:4").expect("known").render_ru();
    assert!(
        why_row.contains("сегодня 01.06.2026, а действует с 01.07.2026"),
        "{why_row}"
    );
    let why_table = rules
        .why(&message("Кировский", "яма"), now, "recipients")
        .expect("known")
        .render_ru();
    assert!(
        why_table.contains("ни одна строка не подошла") && why_table.contains("ближе всех"),
        "{why_table}"
    );
    let mut staff = pits.clone();
    staff.data.author.kind = priem_message::AuthorKind::Staff;
    let why_not = rules.why(&staff, now, "recipients").expect("known").render_ru();
    assert!(
        why_not.contains("подошла бы") && why_not.contains("выше подошёл маршрут «Записи органов»"),
        "{why_not}"
    );
}

#[test]
fn a_table_counts_as_one_rule_in_tests_and_metrics() {
    let case = "tests:\n  - name: Т\n    given: { text: яма, place: { city_district: Ленинский }, at: \"2026-06-01 10:00\" }\n    \
                expect: { route: recipients, rules: [recipients, \"recipients:3\"], queue: leninsky.roads }\n";
    let rules = load(&format!("{RULES}{case}"), TABLE);
    let report = rules.run_tests();
    assert!(report.passed(), "{}", report.render_ru());
    let ids: Vec<&str> = rules.rule_ids().collect();
    assert!(
        ids.contains(&"recipients") && !ids.iter().any(|id| id.contains(':')),
        "{ids:?}"
    );
    let table = report
        .coverage
        .iter()
        .find(|entry| entry.id == "recipients")
        .expect("covered");
    assert_eq!(table.tests, 1);
    assert_eq!(rules.tables(), [("recipients", "Получатели", 5)]);
    let named = case.replace("route: recipients", "route: \"recipients:3\"");
    assert!(load(&format!("{RULES}{named}"), TABLE).run_tests().passed());
}

#[test]
fn a_changed_cell_is_another_version_of_the_rules() {
    let folder = folder(RULES, TABLE);
    let version = || RuleSet::load(folder.path()).expect("valid").version().to_owned();
    let before = version();
    assert_eq!(before, version());
    std::fs::write(
        folder.path().join("recipients.csv"),
        TABLE.replace("УЖКХ", "ЖКХ города"),
    )
    .expect("written");
    assert_ne!(before, version());
}

#[test]
fn everything_wrong_is_told_at_once_each_with_its_cell_and_cure() {
    let said = refused(
        "Территория;Отрасль;Организация;Очередь;Приоритет;Действует с;Действует по;Примечания\n\
         Ленинский;Дорги;А;q;3;;;\n\
         Ленинский;ЖКХ;;q q;10;01.07.26;;\n\
         \n\
         Территория;Отрасль;Организация;Очередь;Приоритет;Действует с;Действует по;Примечания\n\
         ;waste;Б;q;;31.12.2026;01.12.2026;\n\
         Кировский;#Н/Д;Б;q;;46022;;;лишнее\n",
    );
    for wanted in [
        "recipients.csv:1: ячейка H1: неизвестный столбец «Примечания»",
        "возможно, вы имели в виду «Примечание»",
        "recipients.csv:2: ячейка B2: отрасль «Дорги» не объявлена",
        "возможно, вы имели в виду «Дороги»",
        "ячейка C3: организация не названа",
        "ячейка D3: ключ маршрутизации «q q» не годится",
        "ячейка E3: срочность «10» не годится",
        "ячейка F3: «Действует с»: непонятная дата «01.07.26»",
        "день, месяц и год целиком",
        "строка 5: повторяет шапку",
        "ячейка G6: действует с 31.12.2026 по 01.12.2026: конец раньше начала",
        "ячейка B7: формула с ошибкой «#Н/Д»",
        "ячейка F7: «Действует с»: непонятная дата «46022»",
        "задайте ячейке формат даты",
        "ячейка I7: у столбца нет заголовка",
    ] {
        assert!(said.contains(wanted), "{wanted}\n---\n{said}");
    }
}

#[test]
fn two_rows_that_ask_for_the_same_on_the_same_day_are_refused_with_both_cells() {
    let same = |first: &str, second: &str| {
        format!("Отрасль;Территория;Получатель;Действует с;Действует по\n{first}\nЖКХ;Кировский;Б;;\n{second}\n")
    };
    let said = refused(&same(
        "Дороги;Ленинский;А;;30.06.2026",
        "roads; ленинский;В;30.06.2026;",
    ));
    assert!(
        said.contains("ячейка B4: строка спрашивает о том же, что строка 2 (ячейка B2)"),
        "{said}"
    );
    load(
        RULES,
        &same("Дороги;Ленинский;А;;30.06.2026", "roads;Ленинский;В;01.07.2026;"),
    );
    let listed = refused(&same(
        "\"Дороги; ЖКХ\";Ленинский;А;;",
        "ЖКХ;\"Кировский;Ленинский\";В;;",
    ));
    assert!(
        listed.contains("строка 2") && listed.matches("спрашивает о том же").count() == 1,
        "{listed}"
    );
}

#[test]
fn a_table_without_the_columns_it_needs_says_which() {
    let said = refused("Роль\nдиспетчер\n");
    assert!(
        said.contains("«Территория», «Отрасль», «Тема»") && said.contains("«Организация»"),
        "{said}"
    );
    assert!(refused("Территория;Организация\n").contains("нет ни одной строки"));
    assert!(refused("Отрасль;Отрасль;Организация\nЖКХ;ЖКХ;А\n").contains("ячейка B1: столбец «Отрасль» уже есть: A1"));
    assert!(refused("Отрасль;Организация;Копия\nЖКХ;А;Б\n").contains("у копии нужны и организация, и очередь"));
}

#[test]
fn what_the_rule_file_says_wrong_about_a_table_is_told_with_its_line() {
    let said = |from: &str, to: &str| refused_with(&RULES.replace(from, to), TABLE).to_string();
    let missing = said("table: recipients.csv", "table: receivers.csv");
    assert!(
        missing.contains("a.yaml:16") && missing.contains("receivers.csv нет"),
        "{missing}"
    );
    assert!(said("tags: [by-table]", "sheet: Лист1").contains("уберите строку sheet"));
    assert!(said("tags: [by-table]", "when: { kind: direct }").contains("у таблицы не бывает «when»"));
    assert!(said("zone: Asia/Yekaterinburg\n", "").contains("не задан часовой пояс"));
    let without_folder = RuleSet::parse(&[("a.yaml".into(), RULES.to_owned())]).expect_err("no folder");
    assert!(without_folder.to_string().contains("у этих правил нет папки"));
}

#[test]
fn the_encodings_and_delimiters_of_spreadsheets_are_read() {
    let folder = folder(RULES, &format!("\u{feff}{TABLE}"));
    let table = folder.path().join("recipients.csv");
    let version = || {
        RuleSet::load(folder.path())
            .unwrap_or_else(|error| panic!("{error}"))
            .version()
            .to_owned()
    };
    let with_mark = version();
    std::fs::write(&table, TABLE.replace(';', "\t")).expect("written");
    assert_eq!(version(), with_mark);
    let cp1251: Vec<u8> = TABLE.chars().map(in_cp1251).collect();
    std::fs::write(&table, cp1251).expect("written");
    assert_eq!(version(), with_mark);
}

fn in_cp1251(letter: char) -> u8 {
    let code = u32::from(letter);
    let byte = match letter {
        'А'..='я' => code - u32::from('А') + 0xC0,
        _ => code,
    };
    u8::try_from(byte).expect("a letter of windows-1251")
}

/// The same table as a workbook, with titles above it and days as days of a spreadsheet.
fn write_book(path: &Path, merge: bool) {
    let mut book = Workbook::new();
    let first = book.add_worksheet().set_name("Титул").expect("a name");
    first.write(0, 0, "Таблица получателей").expect("a cell");
    let sheet = book.add_worksheet().set_name("2026").expect("a name");
    let day = Format::new().set_num_format("dd.mm.yyyy");
    sheet
        .merge_range(0, 0, 0, 5, "Получатели на 2026 год", &Format::new())
        .expect("a title");
    for (at, line) in TABLE.lines().enumerate() {
        // The title takes a row, an empty row follows the header.
        let row = u32::try_from(at).expect("small") + if at == 0 { 1 } else { 2 };
        for (column, cell) in (0u16..).zip(line.split(';')) {
            let mut parts = cell.split('.').map(str::parse::<u16>);
            match (parts.next(), parts.next(), parts.next()) {
                (Some(Ok(d)), Some(Ok(m)), Some(Ok(y))) => {
                    let (d, m) = (u8::try_from(d).expect("a day"), u8::try_from(m).expect("a month"));
                    let date = ExcelDateTime::from_ymd(y, m, d).expect("a day");
                    sheet.write_with_format(row, column, date, &day).expect("a cell");
                }
                _ if !cell.is_empty() => {
                    sheet.write(row, column, cell).expect("a cell");
                }
                _ => {}
            }
        }
    }
    if merge {
        sheet
            .merge_range(3, 0, 4, 0, "Ленинский", &Format::new())
            .expect("merged");
        let failed = Formula::new("=VLOOKUP(1,A1:A2,1)").set_result("#N/A");
        sheet.write_formula(7, 1, failed).expect("a formula");
    }
    book.save(path).expect("saved");
}

#[test]
fn a_workbook_decides_as_the_csv_does() {
    let by_csv = load(RULES, TABLE);
    let rules = RULES.replace("table: recipients.csv", "table: recipients.xlsx, sheet: 2026");
    let folder = folder(&rules, "");
    write_book(&folder.path().join("recipients.xlsx"), false);
    let by_book = RuleSet::load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(by_book.tables()[0].2, 5);
    for district in ["Ленинский", "Кировский", ""] {
        for text in ["яма", "подъезд", "спасибо"] {
            for now in ["2026-06-30T18:59:59Z", "2026-06-30T19:00:00Z"] {
                let one = decide_at(&by_csv, &message(district, text), now);
                let other = decide_at(&by_book, &message(district, text), now);
                assert_eq!(one.main().recipient, other.main().recipient);
                assert_eq!(
                    (&one.main().queue, one.main().priority),
                    (&other.main().queue, other.main().priority)
                );
            }
        }
    }
}

#[test]
fn merged_cells_failed_formulas_and_unknown_sheets_are_refused() {
    let rules = RULES.replace("table: recipients.csv", "table: recipients.xlsx, sheet: 2026");
    let folder = folder(&rules, "");
    write_book(&folder.path().join("recipients.xlsx"), true);
    let said = RuleSet::load(folder.path()).expect_err("refused").to_string();
    assert!(said.contains("лист «2026», ячейки A4:A5 объединены"), "{said}");
    assert!(!said.contains("A1:F1"), "a title may be merged: {said}");
    assert!(
        said.contains("лист «2026», ячейка B8: формула с ошибкой «#N/A»"),
        "{said}"
    );
    std::fs::write(
        folder.path().join("a.yaml"),
        rules.replace("sheet: 2026", "sheet: 2027"),
    )
    .expect("written");
    let said = RuleSet::load(folder.path()).expect_err("refused").to_string();
    assert!(said.contains("нет листа «2027», есть «Титул», «2026»"), "{said}");
}

#[test]
fn the_table_of_the_guide_is_read_and_decides_as_the_guide_says() {
    let guide = include_str!("../../../../docs/rules.md");
    let (_, rest) = guide.split_once("```csv\n").expect("a table");
    let (table, _) = rest.split_once("```").expect("its end");
    let rules = load(RULES, table);
    assert_eq!(queue(&rules, "Ленинский", "яма"), "mcu.leninsky.roads");
    assert_eq!(queue(&rules, "Ленинский", "подъезд"), "mcu.leninsky");
    assert_eq!(queue(&rules, "Кировский", "подъезд"), "mcu.housing");
}

#[test]
fn lint_speaks_of_a_table_once() {
    let table = TABLE.replace("любая;жкх", "Ленинскй;жкх");
    let findings = load(RULES, &format!("{table}Мотовилихинский;;;М;;m;;;;\n")).lint();
    let rows: Vec<_> = findings.iter().filter(|finding| finding.kind == "dead-rows").collect();
    assert_eq!(rows.len(), 1, "{findings:?}");
    assert!(
        rows[0].text.contains(": 5, 7.") && rows[0].id == "recipients",
        "{}",
        rows[0].text
    );
    assert!(!findings.iter().any(|finding| finding.id.contains(':')), "{findings:?}");
}

const TERRITORIES: [&str; 2] = ["Ленинский", "Кировский"];
const SECTORS: [(&str, &str, &str); 2] = [("roads", "Дороги", "яма"), ("housing", "ЖКХ", "подъезд")];
const TOPICS: [&str; 2] = ["Дороги / Ямы", "Дороги / Снег"];
/// Days of validity as the cells and as the condition have them.
const DAYS: [(&str, &str, &str); 3] = [
    ("", "", ""),
    ("", "30.06.2026", "по 30.06.2026"),
    ("01.07.2026", "", "с 01.07.2026"),
];

/// Which territory, sector, topic and days a row names.
type Cells = (Option<usize>, Option<usize>, Option<usize>, usize);

fn cells() -> impl Strategy<Value = Vec<Cells>> {
    let two = || prop::option::of(0..2usize);
    prop::collection::vec((two(), two(), two(), 0..3usize), 1..16).prop_map(|rows| {
        let mut kept: Vec<Cells> = Vec::new();
        for row in rows {
            let meets = |other: &Cells| {
                (other.0, other.1, other.2) == (row.0, row.1, row.2) && !matches!((other.3, row.3), (1, 2) | (2, 1))
            };
            if !kept.iter().any(meets) {
                kept.push(row);
            }
        }
        kept
    })
}

fn as_table(rows: &[Cells]) -> String {
    let mut out = String::from("Организация;Тема;Отрасль;Территория;Действует с;Действует по;Очередь;Приоритет\n");
    for (at, (territory, sector, topic, days)) in rows.iter().enumerate() {
        let territory = territory.map_or("", |at| TERRITORIES[at]);
        let sector = sector.map_or("", |at| SECTORS[at].1);
        let topic = topic.map_or("", |at| TOPICS[at]);
        let (from, until, _) = DAYS[*days];
        let _ = writeln!(
            out,
            "О{at};{topic};{sector};{territory};{from};{until};q.{at};{}",
            at % 10
        );
    }
    out
}

/// The same as routes written by hand, in the order that the documentation promises.
fn as_routes(rows: &[Cells]) -> String {
    let named = |row: &Cells| (row.0.is_some(), row.2.is_some(), row.1.is_some());
    let order = [
        (true, true, true),
        (true, true, false),
        (true, false, true),
        (true, false, false),
        (false, true, true),
        (false, true, false),
        (false, false, true),
        (false, false, false),
    ];
    let mut out = String::new();
    for wanted in order {
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| named(row) == wanted) {
            let mut parts = vec!["not: { channel: never }".to_owned()];
            parts.extend(row.0.map(|at| format!("territory: {}", TERRITORIES[at])));
            parts.extend(row.1.map(|at| format!("sector: {}", SECTORS[at].0)));
            parts.extend(row.2.map(|at| format!("topic: \"{}\"", TOPICS[at])));
            parts.extend((row.3 > 0).then(|| format!("dates: \"{}\"", DAYS[row.3].2)));
            let _ = writeln!(
                out,
                "    - {{ id: r{at}, name: Р, when: {{ {} }}, to: {{ organisation: О{at} }}, queue: q.{at}, priority: {}, tags: [by-table] }}",
                parts.join(", "),
                at % 10
            );
        }
    }
    out
}

fn messages() -> impl Strategy<Value = (Message, &'static str)> {
    let district = prop::sample::select(vec!["", TERRITORIES[0], TERRITORIES[1]]);
    let text = prop::sample::select(vec!["", SECTORS[0].2, SECTORS[1].2]);
    let topic = prop::option::of(prop::sample::select(TOPICS.to_vec()));
    let now = prop::sample::select(vec!["2026-06-30T18:59:59Z", "2026-06-30T19:00:00Z"]);
    (district, text, topic, now).prop_map(|(district, text, topic, now)| {
        let mut message = message(district, text);
        message.data.topic = topic.map(|topic| {
            let levels: Vec<String> = topic.split(" / ").map(str::to_owned).collect();
            Topic::of_levels("incident", &levels)
        });
        (message, now)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_set_and_its_table_form_decide_alike(
        rows in cells(),
        messages in prop::collection::vec(messages(), 1..12),
    ) {
        let line = RULES.lines().find(|line| line.contains("table:")).expect("the table");
        let by_table = load(RULES, &as_table(&rows));
        let by_rules = load(&RULES.replace(&format!("{line}\n"), &as_routes(&rows)), "");
        for (message, now) in &messages {
            let one = decide_at(&by_table, message, now);
            let other = decide_at(&by_rules, message, now);
            prop_assert_eq!(one.default_route, other.default_route);
            let (one, other) = (one.main(), other.main());
            prop_assert_eq!(&one.recipient, &other.recipient);
            prop_assert_eq!((&one.queue, one.priority, &one.tags), (&other.queue, other.priority, &other.tags));
            let explanation = by_table.explain(message, now.parse().expect("instant"));
            prop_assert_eq!(&explanation.routes[0], one);
        }
    }
}

/// `cargo test --release -p priem --lib routing::tables -- --ignored --nocapture`
#[test]
#[ignore = "prints figures, proves nothing"]
fn cost_per_message() {
    let mut text = "Жалуемся на яму у дома, просим принять меры. ".repeat(11);
    text.truncate(text.char_indices().nth(500).map_or(text.len(), |(at, _)| at));
    let mut pits = message("Ленинский", &text);
    pits.data.topic = Some(Topic::of_levels("incident", &["Дороги".into(), "Тема 57".into()]));
    for (territories, topics) in [(1, 10), (10, 10), (10, 100), (100, 100), (10_000, 1), (1, 10_000)] {
        let mut table = String::from("Территория;Тема;Организация;Действует по\n");
        for territory in 0..territories {
            let territory = if territory == territories / 2 {
                "Ленинский".to_owned()
            } else {
                format!("Т{territory}")
            };
            for topic in 0..topics {
                // Every row has a last day of its own: days must cost nothing either.
                let year = 2027 + (topic % 60);
                let _ = writeln!(
                    table,
                    "{territory};Тема {topic};О{topic};{:02}.{:02}.{year}",
                    topic % 28 + 1,
                    topic % 12 + 1
                );
            }
        }
        let folder = folder(RULES, &table);
        let started = std::time::Instant::now();
        let rules = RuleSet::load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        let loaded = started.elapsed();
        let (mut best, mut linear) = (f64::MAX, f64::MAX);
        let now: Timestamp = JUNE.parse().expect("instant");
        for _ in 0..200 {
            let started = std::time::Instant::now();
            for _ in 0..20 {
                std::hint::black_box(rules.decide(&mut pits, now));
            }
            best = best.min(started.elapsed().as_secs_f64() * 1e6 / 20.0);
            let facts = rules.compiled.vocabulary.facts_at(&pits, now);
            let started = std::time::Instant::now();
            let mut children = rules.compiled.route.children.iter();
            let found = children.find(|child| child.head.when.as_ref().is_none_or(|when| when.holds(&facts)));
            std::hint::black_box(found);
            linear = linear.min(started.elapsed().as_secs_f64() * 1e6);
        }
        println!(
            "{:>6} rows ({territories} × {topics}): {best:.1} µs a message (walking the rows one by one alone: {linear:.1}), \
             loaded in {loaded:?}",
            territories * topics
        );
    }
}
