//! Files made to fill the memory: refused with a reason that says where and what, in memory that does not grow, and out
//! of the inbox.

use std::collections::BTreeSet;

use priem_tables::limits;

use super::{Host, container::Container};

use crate::testing::peak_growth;

/// More memory than before at most, whatever the file is made of.
const FLAT: u64 = 48 * 1024 * 1024;

const MIB: usize = 1024 * 1024;

const ROOT: &str =
    r#"<Relationships><Relationship Id="r1" Type="x/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const LINKS: &str = r#"<Relationships><Relationship Id="r1" Type="x/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r3" Type="x/styles" Target="styles.xml"/></Relationships>"#;

const SHEETS: &str = r#"<workbook xmlns:r="r"><sheets><sheet name="Лист1" sheetId="1" r:id="r1"/></sheets></workbook>"#;

const SHEET: &str = "<worksheet><sheetData>";

const SHEET_END: &str = "</sheetData></worksheet>";

/// A workbook without its sheet.
fn book() -> Container {
    Container::default()
        .text("_rels/.rels", ROOT)
        .text("xl/workbook.xml", SHEETS)
        .text("xl/_rels/workbook.xml.rels", LINKS)
}

fn inline(column: char, row: u32, text: &str) -> String {
    format!("<c r=\"{column}{row}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

fn header() -> String {
    let titles = ["Номер инцидента", "Тема", "Текст инцидента"];
    let cells = ('A'..).zip(titles).map(|(column, title)| inline(column, 1, title));
    format!("<row r=\"1\">{}</row>", cells.collect::<String>())
}

fn row(number: u32, text: &str) -> String {
    let (key, topic, text) = (
        inline('A', number, &format!("77000{number}")),
        inline('B', number, "Ямы"),
        inline('C', number, text),
    );
    format!("<row r=\"{number}\">{key}{topic}{text}</row>")
}

/// Drops a file and reads everything. The report beside the failed file.
fn refused(name: &str, bytes: &[u8]) -> (Host, String) {
    let mut host = Host::new(|_| {});
    host.drop_text(name, bytes);
    let ((), grown) = peak_growth(|| host.run());
    assert!(grown < FLAT, "{name}: {grown} bytes more at the worst moment");
    assert_eq!(host.names("inbox"), BTreeSet::new());
    let report = std::fs::read_to_string(host.path("failed", &format!("{name}.report.txt"))).expect("a report");
    (host, report)
}

#[test]
fn a_cell_of_a_gigabyte_is_refused_where_it_stands() {
    let text = "A".repeat(MIB);
    let before = format!(
        "{SHEET}{}{}<row r=\"3\"><c r=\"A3\" t=\"inlineStr\"><is><t>",
        header(),
        row(2, "яма")
    );
    let file = book()
        .part("xl/worksheets/sheet1.xml", &before, &text, 1500, "</t></is></c></row>")
        .finish();
    assert!(file.len() < 4 * MIB, "{}", file.len());
    let (host, report) = refused("bomb.xlsx", &file);
    for word in [
        "bomb.xlsx",
        "лист «Лист1»",
        "строка 3",
        "4194304",
        "file_over_limit",
        "принято строк: 1",
    ] {
        assert!(report.contains(word), "{word}: {report}");
    }
    assert_eq!(host.good(), ["770002"], "what stood before it is imported");
    assert!(
        host.problems()[0].contains("sheet `Лист1`, row 3"),
        "{:?}",
        host.problems()
    );
}

#[test]
fn a_row_that_breaks_in_its_own_start_is_told_by_its_own_number() {
    let before = format!("{SHEET}{}{}<row spans=\"", header(), row(2, "яма"));
    let file = book()
        .part("xl/worksheets/sheet1.xml", &before, &"1".repeat(MIB), 6, "\"></row>")
        .finish();
    let (host, report) = refused("start.xlsx", &file);
    assert!(report.contains("лист «Лист1», строка 3"), "{report}");
    assert_eq!(host.good(), ["770002"]);
    // The first row of all.
    let sheet = format!("{SHEET}<row spans=\"{}\"></row>{SHEET_END}", "1".repeat(5 * MIB));
    let (_, report) = refused("first.xlsx", &book().text("xl/worksheets/sheet1.xml", &sheet).finish());
    assert!(report.contains("строка 1:"), "{report}");
}

#[test]
fn no_piece_of_any_part_grows_beyond_the_limit() {
    let filler = "a".repeat(MIB);
    let good_sheet = format!("{SHEET}{}{}{SHEET_END}", header(), row(2, "яма"));
    let with_sheet = |sheet: &str| book().text("xl/worksheets/sheet1.xml", sheet);
    let files: Vec<(&str, Container, &str)> = vec![
        (
            "attribute",
            book().part("xl/worksheets/sheet1.xml", "<worksheet a=\"", &filler, 300, "\"/>"),
            "длиннее 4194304",
        ),
        (
            "comment",
            book().part("xl/worksheets/sheet1.xml", &format!("{SHEET}<!--"), &filler, 300, "-->"),
            "длиннее 4194304",
        ),
        (
            "instruction",
            book().part("xl/worksheets/sheet1.xml", "<?x ", &filler, 300, "?>"),
            "длиннее 4194304",
        ),
        (
            "cdata",
            book().part(
                "xl/worksheets/sheet1.xml",
                &format!("{SHEET}<row><c t=\"str\"><v><![CDATA["),
                &filler,
                300,
                "]]></v></c></row>",
            ),
            "длиннее 4194304",
        ),
        (
            "shared-string",
            with_sheet(&good_sheet).part("xl/sharedStrings.xml", "<sst><si><t>", &filler, 300, "</t></si></sst>"),
            "длиннее 4194304",
        ),
        (
            "runs-of-a-string",
            with_sheet(&good_sheet).part(
                "xl/sharedStrings.xml",
                "<sst><si>",
                &format!("<r><t>{}</t></r>", "b".repeat(MIB / 8)),
                3000,
                "</si></sst>",
            ),
            "одна ячейка длиннее 4194304",
        ),
        (
            "styles",
            with_sheet(&good_sheet).part(
                "xl/styles.xml",
                "<styleSheet><cellXfs>",
                &"<xf/>".repeat(1000),
                300,
                "</cellXfs></styleSheet>",
            ),
            "больше 200000 стилей",
        ),
        (
            "style-bytes",
            with_sheet(&good_sheet).part(
                "xl/styles.xml",
                "<styleSheet>",
                &format!("<!--{}-->", "c".repeat(MIB / 2)),
                100,
                "</styleSheet>",
            ),
            "больше 16777216 байт",
        ),
        (
            "sheets",
            Container::default()
                .text("_rels/.rels", ROOT)
                .part(
                    "xl/workbook.xml",
                    "<workbook xmlns:r=\"r\"><sheets>",
                    "<sheet name=\"S\" r:id=\"r1\"/>",
                    100_000,
                    "</sheets></workbook>",
                )
                .text("xl/_rels/workbook.xml.rels", LINKS),
            "больше 256 листов",
        ),
        (
            "links",
            {
                let links: String = (0..20_000)
                    .map(|n| format!("<Relationship Id=\"i{n}\" Type=\"t\" Target=\"a\"/>"))
                    .collect();
                Container::default()
                    .text("_rels/.rels", ROOT)
                    .text("xl/workbook.xml", SHEETS)
                    .text("xl/_rels/workbook.xml.rels", &format!("<Relationships>{links}"))
            },
            "больше 10000 частей",
        ),
        (
            "depth",
            book().part("xl/worksheets/sheet1.xml", SHEET, &"<a>".repeat(10_000), 1000, ""),
            "глубже 256",
        ),
        (
            "name",
            book().text("xl/worksheets/sheet1.xml", &format!("{SHEET}<{}>", "n".repeat(2000))),
            "имя тега длиннее",
        ),
        (
            "ratio",
            book().part(
                "xl/worksheets/sheet1.xml",
                SHEET,
                &format!("<!--{}-->", "d".repeat(MIB - 100)),
                3000,
                SHEET_END,
            ),
            "в 200 раз",
        ),
    ];
    for (name, container, words) in files {
        let name = format!("{name}.xlsx");
        let (_, report) = refused(&name, &container.finish());
        assert!(
            report.contains(words) && report.contains("file_over_limit"),
            "{name}: {report}"
        );
    }
}

#[test]
fn a_container_of_countless_parts_is_refused_by_its_list() {
    for (parts, words) in [(12_000, "больше 10000 частей"), (60_000, "оглавление архива больше")]
    {
        let mut container = book();
        for number in 0..parts {
            container.entry(&format!("part-with-a-name-of-some-length-{number}"), &[3, 0], 0, 0);
        }
        let (_, report) = refused("parts.xlsx", &container.finish());
        assert!(report.contains(words), "{parts}: {report}");
    }
}

#[test]
fn sizes_that_lie_are_damage_and_cost_nothing() {
    let mut container = book();
    container.entry("xl/worksheets/sheet1.xml", &[3, 0], u32::MAX - 1, 0);
    let (_, report) = refused("lies.xlsx", &container.finish());
    assert!(report.contains("file_damaged"), "{report}");
}

/// A row that is too long costs itself only: the file goes on.
#[test]
fn a_row_too_long_is_quarantined_and_the_rest_goes_on() {
    let long = "ж".repeat(limits::MOST_CHARACTERS);
    let cells: String = ('A'..='Z').map(|column| inline(column, 3, &long)).collect();
    let sheet = format!(
        "{SHEET}{}{}<row r=\"3\">{cells}</row>{}{SHEET_END}",
        header(),
        row(2, "яма"),
        row(4, "снег")
    );
    let mut host = Host::new(|_| {});
    host.drop_text("long.xlsx", book().text("xl/worksheets/sheet1.xml", &sheet).finish());
    host.run();
    assert_eq!(host.done().len(), 1);
    assert_eq!(host.good(), ["770002", "770004"]);
    let limit = limits::LONGEST_ROW.to_string();
    assert!(
        host.problems()[0].contains("row 3") && host.problems()[0].contains(&limit),
        "{:?}",
        host.problems()
    );
}

#[test]
fn a_csv_without_end_of_cell_or_with_countless_cells_costs_no_memory() {
    let mut host = Host::new(|_| {});
    let text = format!(
        "Номер инцидента;Тема;Текст инцидента\n770001;Ямы;яма\n770002;Ямы;\"{}\n{}\n770003;Снег;ряд\n",
        "x".repeat(96 * MIB),
        ";".repeat(900_000),
    );
    host.drop_text("long.csv", &text);
    drop(text);
    let ((), grown) = peak_growth(|| host.run());
    assert!(grown < FLAT, "{grown} bytes more at the worst moment");
    assert_eq!(host.done().len(), 1);
    assert_eq!(host.good(), ["770001", "770003"]);
    assert!(
        host.problems().iter().any(|problem| problem.contains("longer than")),
        "{:?}",
        host.problems()
    );
    assert!(
        host.problems().iter().any(|problem| problem.contains("16384 cells")),
        "{:?}",
        host.problems()
    );
}

/// What one text in every row costs whoever stores the rows: bytes of the good rows.
fn stored(host: &Host) -> usize {
    let rows = host.stored.values().flatten().filter(|item| item.problem.is_none());
    rows.map(|item| item.body.len()).sum()
}

#[test]
fn one_text_named_by_every_row_ends_the_file_where_it_gives_far_more_than_its_size() {
    let text = "ж".repeat(limits::MOST_CHARACTERS);
    let rows: String = (2..=3000)
        .map(|number| {
            let key = inline('A', number, &format!("77{number:04}"));
            format!("<row r=\"{number}\">{key}<c r=\"C{number}\" t=\"s\"><v>0</v></c></row>")
        })
        .collect();
    let file = book()
        .text("xl/sharedStrings.xml", &format!("<sst><si><t>{text}</t></si></sst>"))
        .text(
            "xl/worksheets/sheet1.xml",
            &format!("{SHEET}{}{rows}{SHEET_END}", header()),
        )
        .finish();
    let limit = usize::try_from(limits::FREE_TEXTS).expect("small");
    assert!(file.len() * 200 < limit, "{}", file.len());
    // A process that starts anew in the middle counts on.
    for restarts in [false, true] {
        let mut host = Host::new(|settings| settings.rows_per_page = 10);
        host.drop_text("amplified.xlsx", &file);
        for number in 0..130 {
            let page = host.poll();
            host.store(page);
            if restarts && number == 20 {
                host.restart();
            }
        }
        assert_eq!(host.names("failed").len(), 2, "restarts: {restarts}");
        let good = host.good().len();
        // A few bytes of each row are not of the text.
        assert!(
            (limit / 66_000..limit / text.len()).contains(&good),
            "what stood before it is imported: {good}"
        );
        assert!(stored(&host) < limit + limit / 10, "{}", stored(&host));
        let report = std::fs::read_to_string(host.path("failed", "amplified.xlsx.report.txt")).expect("a report");
        for words in [
            &format!("лист «Лист1», строка {}", good + 2),
            "67108864 байт текста",
            &format!("принято строк: {good}"),
            "file_over_limit",
        ] {
            assert!(report.contains(words), "{words}: {report}");
        }
    }
}

#[test]
fn a_header_as_long_as_a_text_is_counted_with_every_row_that_repeats_it() {
    let mut text = format!("Номер инцидента;Тема;Текст инцидента;{}\n", "h".repeat(30_000));
    for number in 0..3000 {
        text.push_str(&format!("77{number:04};Ямы;яма;x\n"));
    }
    let mut host = Host::new(|_| {});
    host.drop_text("header.csv", &text);
    host.run();
    let limit = limits::most_texts(text.len() as u64);
    assert!((stored(&host) as u64) < limit + limit / 10, "{}", stored(&host));
    assert_eq!(host.names("failed").len(), 2);
    let problems = host.problems();
    assert!(
        problems[0].contains("row 2232") && problems[0].contains("bytes of text"),
        "{problems:?}"
    );
}

/// What packs best among honest files stays far below the ratio, however long they are: every cell but the number is a shared word.
#[test]
fn a_registry_of_repeated_words_is_no_bomb() {
    let words: String = (0..40)
        .map(|n| format!("<si><t>Категория обращения {n}</t></si>"))
        .collect();
    let columns: Vec<char> = ('B'..='Z').collect();
    let titles: String = columns
        .iter()
        .map(|c| inline(*c, 1, &format!("Показатель реестра {c}")))
        .collect();
    let rows: String = (2..=2_000_u32)
        .map(|number| {
            let key = inline('A', number, &format!("77{number:05}"));
            let cells: String = columns
                .iter()
                .map(|c| format!("<c r=\"{c}{number}\" t=\"s\"><v>{}</v></c>", (number + *c as u32) % 40))
                .collect();
            format!("<row r=\"{number}\">{key}{cells}<c r=\"AA{number}\" t=\"s\"><v>0</v></c></row>")
        })
        .collect();
    let first = format!(
        "<row r=\"1\">{}{titles}<c r=\"AA1\" t=\"inlineStr\"><is><t>Тема</t></is></c><c r=\"AB1\" t=\"inlineStr\"><is><t>Текст инцидента</t></is></c></row>",
        inline('A', 1, "Номер инцидента")
    );
    let file = book()
        .text("xl/sharedStrings.xml", &format!("<sst>{words}</sst>"))
        .text("xl/worksheets/sheet1.xml", &format!("{SHEET}{first}{rows}{SHEET_END}"))
        .finish();
    let mut host = Host::new(|settings| settings.rows_per_page = 1000);
    let size = file.len() as u64;
    host.drop_text("words.xlsx", file);
    let mut texts = 0;
    while host.done().is_empty() && host.names("failed").is_empty() {
        let page = host.poll();
        texts = texts.max(super::super::cursor::FileCursor::decode(&page.next).map_or(0, |cursor| cursor.texts));
        host.store(page);
        host.acknowledge();
    }
    assert_eq!(host.good().len(), 1_999);
    assert!(texts < size * limits::MOST_RATIO / 2, "{texts} of {size}");
}
