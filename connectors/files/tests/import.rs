//! Files become items: whole, once, whatever dies.

use super::{super::config, *};

#[test]
fn a_collection_of_every_kind_and_layout_comes_in_whole() {
    let mut host = Host::new(|settings| settings.rows_per_page = 7);
    let inbox = host.folder.path().join("inbox");
    let manifests = exports::write_collection(&inbox, 11, 60, &mut sample_voice).expect("written");
    for (index, manifest) in manifests.iter().enumerate() {
        // The order of snapshots is the order of their times.
        age(&manifest.path, Duration::from_secs(1000 - index as u64));
    }
    host.run();

    let numbered: BTreeSet<&String> = manifests.iter().flat_map(|manifest| &manifest.numbers).collect();
    let found: BTreeSet<&String> = host
        .good()
        .into_iter()
        .filter(|key| !key.starts_with("blake3:"))
        .collect();
    assert_eq!(found, numbered);
    assert_eq!(host.good().len() - found.len(), 60, "the layout without numbers");
    assert_eq!(host.names("inbox"), BTreeSet::new());
    assert_eq!(host.done().len(), manifests.len());
    assert_eq!(host.names("failed"), BTreeSet::new());

    let bad: u64 = manifests.iter().map(|manifest| manifest.bad_rows).sum();
    assert_eq!(host.problems().len() as u64, bad, "{:?}", host.problems());
    let changed = host.stored.values().filter(|versions| versions.len() == 2).count();
    assert_eq!(changed as u64, manifests.last().expect("manifests").changes);
    assert!(host.stored.values().all(|versions| versions.len() <= 2));
    let rows: u64 = manifests
        .iter()
        .map(|manifest| manifest.good_rows + manifest.bad_rows)
        .sum();
    let versions: usize = host.stored.values().map(Vec::len).sum();
    assert_eq!(rows, (versions + host.unchanged) as u64, "no row is lost");
}

#[test]
fn a_changed_row_is_an_update_and_an_equal_one_is_nothing() {
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{HEADER}770001;05.01.2026;Яма;Город Пермь;тайна\n"));
    host.run();
    // Elsewhere in another file, in another order, with another spelling of the date and another internal note.
    host.drop_text(
        "b.csv",
        "Текст инцидента;Муниципалитет;Номер инцидента;Дата создания;Пометка\nx;y;770002;;\nЯма;Город Пермь;770001;2026-01-05;другая\n",
    );
    host.run();
    assert_eq!(host.stored["770001"].len(), 1);
    host.drop_text(
        "c.csv",
        format!("{HEADER}770001;05.01.2026;Яма засыпана;Город Пермь;\n"),
    );
    host.run();
    let events: Vec<EventType> = host.messages("770001").iter().map(|message| message.event).collect();
    assert_eq!(events, [EventType::Received, EventType::Updated]);
}

#[test]
fn the_raw_row_keeps_everything_and_the_message_only_what_is_known() {
    let mut host = Host::new(|_| {});
    host.drop_text("a.csv", format!("{HEADER}770001;05.01.2026;Яма;Город Пермь;тайна\n"));
    host.run();
    let body: serde_json::Value = serde_json::from_slice(&host.stored["770001"][0].body).expect("JSON");
    assert_eq!(body["cells"]["Внутренняя пометка"], "тайна");
    assert_eq!((&body["file"], &body["row"]), (&"a.csv".into(), &2.into()));
    let message = serde_json::to_string(&host.messages("770001")[0]).expect("JSON");
    assert!(!message.contains("тайна"), "{message}");
}

#[test]
fn whatever_dies_between_two_steps_every_row_comes_once() {
    for (name, format) in [
        (
            "x.csv",
            Format::Csv {
                encoding: Encoding::Windows1251,
                delimiter: b';',
            },
        ),
        (
            "x.xlsx",
            Format::Xlsx {
                shared_strings: true,
                dates_as_numbers: true,
            },
        ),
    ] {
        let mut plan = ExportSpec::new(3, 43).with_trouble().format(format);
        plan.title_rows = 2;
        let write = |host: &Host| exports::write(&host.path("inbox", name), &plan, &mut sample_voice).expect("written");
        let mut whole = Host::new(|settings| settings.rows_per_page = 5);
        let manifest = write(&whole);
        whole.run();
        let expected: Vec<&String> = whole.stored.keys().collect();
        assert_eq!(expected.len() as u64, 43 + manifest.bad_rows);

        // A crash after step `crash`: 0 after poll, 1 after commit, 2 after acknowledge.
        for crash in 0..3 {
            let mut host = Host::new(|settings| settings.rows_per_page = 5);
            write(&host);
            for _ in 0..1000 {
                let page = host.poll();
                let idle = page.items.is_empty() && page.wait != Wait::Now;
                if crash == 0 {
                    // The page is lost with the process; the next one is the same.
                    host.restart();
                    assert_eq!(host.poll().items, page.items);
                }
                host.store(page);
                if crash == 1 {
                    host.restart();
                } else {
                    host.acknowledge();
                    if crash == 2 {
                        host.restart();
                        host.acknowledge();
                    }
                }
                if idle {
                    break;
                }
            }
            assert_eq!(
                host.stored.keys().collect::<Vec<_>>(),
                expected,
                "{name}, crash {crash}"
            );
            assert_eq!(host.unchanged, whole.unchanged, "{name}, crash {crash}: nothing twice");
            assert_eq!(host.done(), BTreeSet::from([name.to_owned()]));
        }
    }
}

#[test]
fn encodings_and_delimiters_are_found_out() {
    let row = "770001;05.01.2026;Ёлка, съезд;Город Пермь;\n";
    let text = format!("{HEADER}{row}").replace("Ёлка, съезд", "\"Ёлка, съезд\"");
    for delimiter in [";", ",", "\t"] {
        let text = text.replace(';', delimiter);
        let (windows, _, _) = encoding_rs::WINDOWS_1251.encode(&text);
        let with_mark = format!("\u{feff}{text}");
        for bytes in [text.as_bytes(), with_mark.as_bytes(), &windows] {
            let mut host = Host::new(|_| {});
            host.drop_text("a.csv", bytes);
            host.run();
            assert_eq!(host.problems(), [""; 0]);
            assert_eq!(host.messages("770001")[0].data.body.text, "Ёлка, съезд");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any bytes under a header: no panic, and everything written there comes out in some item.
    #[test]
    fn any_bytes_are_items_or_reported_problems(
        bytes in prop::collection::vec(
            prop_oneof![8 => prop::sample::select(b";;;;\"\n\r1 x".to_vec()), 1 => 128u8..], 0..400),
        pages in 1usize..5,
    ) {
        let mut host = Host::new(|settings| {
            settings.rows_per_page = pages;
            settings.encoding = config::EncodingSetting::Utf8;
        });
        let mut text = HEADER.as_bytes().to_vec();
        text.extend(&bytes);
        host.drop_text("a.csv", &text);
        let letters = |text: &str| text.matches(['1', 'x']).count();
        let mut seen = 0;
        loop {
            let page = host.poll();
            for item in &page.items {
                let body: serde_json::Value = serde_json::from_slice(&item.body).expect("JSON");
                seen += body["line"].as_str().map_or(0, letters);
                let cells = body["cells"].as_object().into_iter().flatten();
                seen += cells.filter_map(|(_, cell)| cell.as_str()).map(letters).sum::<usize>();
                let result = host.connector.normalize(&raw(item, 0));
                prop_assert_eq!(result.is_err(), item.problem.is_some());
            }
            let idle = page.items.is_empty() && page.wait != Wait::Now;
            host.store(page);
            if idle {
                break;
            }
        }
        prop_assert_eq!(seen, bytes.iter().filter(|byte| matches!(byte, b'1' | b'x')).count());
        prop_assert_eq!(host.names("inbox"), BTreeSet::new());
    }

    /// Any bytes as any kind of file: no panic, and the file ends up somewhere with a word about it.
    #[test]
    fn any_file_ends_up_somewhere(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\xD0\xCF\x11\xE0", b"\xEF\xBB\xBF"]),
        name in prop::sample::select(vec!["a.csv", "a.xlsx", "a.txt", "a"]),
    ) {
        let mut host = Host::new(|settings| settings.settle_broken = SignedDuration::ZERO);
        host.drop_text(name, [start, &bytes].concat());
        host.run();
        prop_assert_eq!(host.names("inbox"), BTreeSet::new());
        prop_assert_eq!(host.problems().len(), 1);
    }
}
