//! Territories through the whole engine: rule files in, decisions, explanations and errors out.

use std::path::PathBuf;

use jiff::Timestamp;
use priem_message::{EventType, Kind, Message, MessageData, PlacePrecision, Regime, TerritoryFoundBy as FoundBy};

use crate::{Level, RuleSet};

const TERRITORIES: &str = r#"
version: 1
territories:
  - { id: krai, name: Край, kind: region, oktmo: "57" }
  - id: city
    name: Город
    kind: municipality
    inside: krai
    oktmo: "57701"
    text: [Градск]
  - id: city.north
    name: Северный район
    kind: district
    inside: city
    text: [Мотовилихинский]
    streets: [{ name: ул. Ленина, houses: ["1-57 нечётные"] }, Уральская]
    polygons: { file: border.geojson, where: { district: Северный } }
  - id: city.south
    name: Южный район
    kind: district
    inside: city
    streets: [{ name: ул. Ленина, houses: ["59-99 нечётные"] }]
    polygons: { file: border.geojson, where: { district: Южный } }
"#;

const ADDITION: &str = "
version: 1
territories:
  - { id: city.south, streets: [Полевая], connectors: [south-chat] }
";

/// Two invented squares.
const BORDER: &str = r#"{"type":"FeatureCollection","features":[
    {"type":"Feature","properties":{"district":"Северный"},"geometry":{"type":"Polygon","coordinates":[[[56,58],[57,58],[57,59],[56,59],[56,58]]]}},
    {"type":"Feature","properties":{"district":"Южный"},"geometry":{"type":"Polygon","coordinates":[[[56,57],[57,57],[57,58],[56,58],[56,57]]]}}
]}"#;

const RULES: &str = r#"
version: 1
classify:
  - { id: pit-in-city, name: Яма в городе, when: { text: [яма], territory: city }, set: { tags: [city-pit] } }
  - { id: by-address, name: Есть дом, when: { place: { precision: house } }, set: { tags: [exact] } }
  - { id: known, name: Место известно, when: { place: { known: true } }, set: { tags: [known] } }
  - { id: fair, name: Ярмарка, when: { text: [ярмарка] }, set: { territory: Южный район } }
route:
  id: root
  name: Корень
  to: { organisation: МЦУ }
  queue: root
  routes:
    - { id: north, name: Север, when: { territory: city.north }, queue: north }
    - { id: city, name: Город, when: { territory: Город }, queue: city }
    - { id: krai, name: Край, when: { territory: krai }, queue: krai }
tests:
  - { name: название, given: { text: "На Мотовилихинском яма" }, expect: { territory: city.north, territory_found_by: text_name, place_precision: settlement, queue: north, tags: [city-pit, known] } }
  - { name: дом, given: { text: "Яма, ул. Ленина, 61" }, expect: { territory: city.south, territory_found_by: text_street, place_precision: house, queue: city, tags: [city-pit, exact, known] } }
  - { name: дом без номера, given: { text: "Яма на Ленина" }, expect: { territory: city, place_precision: street, queue: city } }
  - { name: код, given: { text: Яма, place: { oktmo: "57999" } }, expect: { territory: krai, territory_found_by: oktmo, place_precision: none, queue: krai, tags: [known] } }
  - { name: точка, given: { text: Яма, place: { point: "57.5, 56.5" } }, expect: { territory: city.south, territory_found_by: point, queue: city } }
  - { name: правило важнее, given: { text: "На Мотовилихинском ярмарка" }, expect: { territory: city.south, territory_found_by: rule, queue: city } }
  - { name: неизвестно, given: { text: Яма }, expect: { territory: none, territory_found_by: none, queue: root, tags: none } }
  - { name: дополнение, given: { text: "Яма на Полевой" }, expect: { territory: city.south, queue: city } }
  - { name: источник, given: { text: Яма, connector: south-chat }, expect: { territory: city.south, territory_found_by: source, place_precision: none, queue: city } }
"#;

fn parse(files: &[(&str, &str)]) -> Result<RuleSet, String> {
    let files: Vec<(PathBuf, String)> = files
        .iter()
        .map(|(name, text)| (PathBuf::from(name), (*text).to_owned()))
        .collect();
    RuleSet::parse(&files).map_err(|errors| errors.to_string())
}

fn rules() -> RuleSet {
    let files = [
        ("05-addition.yaml", ADDITION),
        ("10-territories.yaml", TERRITORIES),
        ("30-routes.yaml", RULES),
        ("border.geojson", BORDER),
    ];
    parse(&files).expect("valid")
}

fn message(text: &str) -> Message {
    let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
    data.body.text = text.into();
    Message::new(EventType::Received, data)
}

#[test]
fn cases_beside_the_rules_see_territories() {
    let report = rules().run_tests();
    assert!(report.passed() && report.total == 9, "{}", report.render_ru());
}

#[test]
fn the_decision_says_how_it_was_found_without_giving_the_address_away() {
    let mut pit = message("Яма, ул. Ленина, 61");
    let decision = rules().decide(&mut pit, Timestamp::UNIX_EPOCH);
    let main = decision.main();
    assert_eq!(main.territory.as_deref(), Some("city.south"));
    assert_eq!(main.territory_found_by, Some(FoundBy::TextStreet));
    assert_eq!(main.place_precision, Some(PlacePrecision::House));
    assert_eq!(
        main.explanation[0],
        "Территория «Южный район (city.south)»: по улице в тексте."
    );
    assert!(main.explanation.iter().all(|line| !line.contains("61")), "{main:?}");
    assert_eq!(
        pit.data.place.precision,
        PlacePrecision::Unknown,
        "the source's word stays"
    );
}

#[test]
fn the_explanation_shows_the_words_and_what_conditions_saw() {
    let rules = rules();
    let explanation = rules.explain(&message("Яма, ул. Ленина, 61"), Timestamp::UNIX_EPOCH);
    let text = explanation.render_ru();
    assert!(
        text.contains(
            "Южный район (city.south), Город, Край — по улице в тексте («ул. Ленина, 61»); точность места: известен дом (по \
             словам)"
        ),
        "{text}"
    );
    assert!(
        text.contains("территория: Южный район (city.south) — подходит"),
        "{text}"
    );
    assert!(text.contains("точность места: house (по тексту) — подходит"), "{text}");
    let nothing = rules.explain(&message("Яма"), Timestamp::UNIX_EPOCH).render_ru();
    assert!(nothing.contains("не определена"), "{nothing}");
    let why = rules
        .why(&message("Яма на Уральской"), Timestamp::UNIX_EPOCH, "krai")
        .expect("known");
    assert!(why.holds, "{}", why.render_ru());
}

#[test]
fn borders_are_part_of_the_version() {
    let files = |border: &str| {
        let version = parse(&[
            ("05-addition.yaml", ADDITION),
            ("10-territories.yaml", TERRITORIES),
            ("30-routes.yaml", RULES),
            ("border.geojson", border),
        ]);
        version.expect("valid").version().to_owned()
    };
    assert_ne!(files(BORDER), files(&BORDER.replace("59", "58.5")));
}

#[test]
fn without_territories_nothing_is_looked_for() {
    let rules = parse(&[(
        "a.yaml",
        "version: 1\nclassify: [{ id: a, name: А, when: { text: [яма] }, set: { territory: Север } }]\n\
         route: { id: r, name: К, to: { organisation: М }, queue: q, routes: [{ id: n, name: С, when: { territory: север }, queue: n }] }\n",
    )])
    .expect("valid");
    let decision = rules.decide(&mut message("яма на ул. Ленина, 5"), Timestamp::UNIX_EPOCH);
    let main = decision.main();
    assert_eq!((main.territory.as_deref(), main.queue.as_str()), (Some("Север"), "n"));
    assert_eq!(
        (main.territory_found_by, main.place_precision),
        (Some(FoundBy::Rule), None)
    );
    let explanation = rules.explain(&message("яма"), Timestamp::UNIX_EPOCH);
    assert!(explanation.territory.is_none() && !explanation.render_ru().contains("Территория\n"));
}

#[test]
fn mistakes_quote_the_line_and_say_the_cure() {
    let with = |addition: &str| {
        let text = format!("version: 1\nterritories:\n{addition}\n");
        parse(&[
            ("10-territories.yaml", TERRITORIES),
            ("20-wrong.yaml", &text),
            (
                "30-routes.yaml",
                "version: 1\nroute: { id: r, name: К, to: { organisation: М }, queue: q }\n",
            ),
            ("border.geojson", BORDER),
        ])
        .expect_err(addition)
    };
    for (addition, said) in [
        ("  - { id: a, name: А }", "kind: region"),
        ("  - { id: a, name: А, kind: town }", "неизвестное значение «town»"),
        ("  - { id: city, name: А, kind: district }", "уже описана"),
        ("  - { id: cityy, streets: [Мира] }", "возможно, вы имели в виду «city»"),
        ("  - { id: city, inside: krai }", "уберите эту строку"),
        ("  - { id: a, name: А, kind: district, inside: nowhere }", "«nowhere»"),
        ("  - { id: city, oktmo: 57701 }", "возьмите код в кавычки"),
        ("  - { id: city, oktmo: \"5770x\" }", "цифр"),
        ("  - { id: city, fias: 123 }", "8-4-4-4-12"),
        ("  - { id: city, streets: [улица] }", "не название улицы"),
        (
            "  - { id: city, streets: [{ name: Мира, houses: [много] }] }",
            "непонятные дома «много»",
        ),
        ("  - { id: city, streets: [{ houses: [1] }] }", "нет названия name"),
        (
            "  - { id: city, polygons: bordr.geojson }",
            "возможно, вы имели в виду «border.geojson»",
        ),
        (
            "  - { id: city, polygons: { file: border.geojson, where: { district: Восток } } }",
            "равно «Восток»",
        ),
        (
            "  - { id: city, street: [Мира] }",
            "возможно, вы имели в виду «streets»",
        ),
        ("  - { name: А }", "добавьте строку «id: …»"),
        ("  city", "ожидается список"),
    ] {
        let error = with(addition);
        assert!(error.contains(said), "{addition}: {error}");
        assert!(error.contains("20-wrong.yaml:3"), "{addition}: {error}");
        assert!(error.contains("как исправить"), "{addition}: {error}");
    }
}

#[test]
fn rules_may_name_only_territories_that_are_described() {
    let route = |condition: &str, set: &str| {
        let text = format!(
            "version: 1\nclassify: [{{ id: a, name: А, when: {{ text: [яма] }}, set: {{ territory: {set} }} }}]\nroute: \
             {{ id: r, name: К, to: {{ organisation: М }}, queue: q, routes: [{{ id: n, name: Н, when: {{ territory: \
             {condition} }} }}] }}\n"
        );
        parse(&[
            ("10-t.yaml", TERRITORIES),
            ("30-r.yaml", &text),
            ("border.geojson", BORDER),
        ])
        .map(|_| ())
    };
    assert_eq!(route("city.north", "city.south"), Ok(()));
    assert_eq!(route("Северный район", "Южный район"), Ok(()));
    let error = route("city.nort", "city.south").expect_err("unknown");
    assert!(
        error.contains("30-r.yaml:3") && error.contains("возможно, вы имели в виду «city.north»"),
        "{error}"
    );
    let error = route("city.north", "Восточный район").expect_err("unknown");
    assert!(error.contains("30-r.yaml:2") && error.contains("не описана"), "{error}");
}

#[test]
fn lint_knows_what_lies_in_what() {
    let routes = |first: &str, second: &str| {
        let text = format!(
            "version: 1\nclassify: [{{ id: a, name: А, when: {{ text: [яма], territory: city }}, set: {{ tags: [a] }} \
             }}]\nroute: {{ id: r, name: К, to: {{ organisation: М }}, queue: q, routes: [{{ id: one, name: О, when: {{ \
             territory: {first} }} }}, {{ id: two, name: Д, when: {{ territory: {second} }} }}] }}\n"
        );
        let rules = parse(&[
            ("10-t.yaml", TERRITORIES),
            ("30-r.yaml", &text),
            ("border.geojson", BORDER),
        ]);
        let findings = rules.expect("valid").lint();
        let errors = findings.into_iter().filter(|finding| finding.level == Level::Error);
        errors
            .map(|finding| format!("{} {}", finding.kind, finding.id))
            .collect::<Vec<_>>()
    };
    assert_eq!(routes("city.north", "city"), Vec::<String>::new());
    assert_eq!(routes("city", "city.north"), ["dead-route two"]);
}

#[test]
fn the_parts_of_the_founding_municipalities_are_read() {
    for part in [
        "territories-perm",
        "territories-perm-krai",
        "territories-oktyabrsky",
        "territories-sosnovoborsk",
    ] {
        let text = format!(
            "version: 1\ninclude: [{part}]\nroute: {{ id: r, name: К, to: {{ organisation: М }}, queue: q }}\n"
        );
        let rules = parse(&[("30-r.yaml", &text)]).unwrap_or_else(|error| panic!("{part}: {error}"));
        let decision = rules.decide(&mut message("Снег"), Timestamp::UNIX_EPOCH);
        assert_eq!(decision.main().territory, None, "{part}");
    }
}

#[test]
fn common_words_and_surnames_name_no_town_of_the_region() {
    let text =
        "version: 1\ninclude: [territories-perm]\nroute: { id: r, name: К, to: { organisation: М }, queue: q }\n";
    let rules = parse(&[("30-r.yaml", text)]).expect("valid");
    let territory = |text: &str| {
        let decision = rules.decide(&mut message(text), Timestamp::UNIX_EPOCH);
        decision.main().territory.clone()
    };
    for text in [
        "осы в подъезде",
        "еловые ветки на тротуаре",
        "барды поют",
        "художник Верещагин",
        "кошка Чернушка пропала",
        "большая сосновая роща",
        "частые аварии",
        "коса и камень",
        "Чайковский и Чехов",
        "индустриальный парк",
        "жалуюсь на Леонова",
        "мира вам",
        "на губах",
    ] {
        assert_eq!(territory(text), None, "{text}");
    }
    for (text, id) in [
        ("в Осе нет света", "osa"),
        ("Усть-Кишерть забыта", "kishert"),
        ("г. Верещагино, ул. Неизвестная", "vereshchagino"),
        ("посёлок Новые Ляды", "perm-novye-lyady"),
        ("из новых лядов не уехать", "perm-novye-lyady"),
        ("Закамск без воды", "perm-kirovsky"),
        ("ЗАТО Звёздный", "zvezdny"),
        ("ЗАТО Звездный", "zvezdny"),
        ("в Свердловском районе Перми", "perm-sverdlovsky"),
        ("ул. Адмирала Ушакова, 55/2", "perm-kirovsky"),
        ("на улице 1905 года", "perm-motovilikhinsky"),
    ] {
        assert_eq!(territory(text).as_deref(), Some(id), "{text}");
    }
}
