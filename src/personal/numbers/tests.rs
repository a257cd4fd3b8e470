use proptest::prelude::*;

use super::*;

fn after(text: &str) -> String {
    scrub(text).map_or_else(|| text.to_owned(), |(text, _)| text)
}

#[test]
fn numbers_of_people_go() {
    for text in [
        "Мой СНИЛС 112-233-445 95, помогите",
        "112-233-445 95",
        "11223344595 это я",
        "112 233 445 95",
        "снилс: 112-233-445-96 с опиской",
        "(СНИЛС) 11223344500",
        "Страховой номер 112–233–445 95",
    ] {
        let left = after(text);
        assert!(left.contains(SNILS) && !left.contains("233"), "{text} → {left}");
    }
    for text in [
        "полис 2200770239005013",
        "Полис ОМС № 1234 5678 9012 3456",
        "ЕНП 12 3456 7890123456",
        "карта 4111 1111 1111 1111",
    ] {
        let left = after(text);
        assert!(left.contains(POLICY), "{text} → {left}");
    }
    for text in [
        "Дата рождения: 12.03.1985",
        "родилась 1 мая 1950 года",
        "Иванова А. А., 12.03.1985 г.р.",
        "12/03/85 г. р., живу на Мира",
        "д.р. 1985-03-12",
        "пенсионерка 1940 г.р.",
        "1940 года рождения",
        "год рождения: 1980",
        "Дата рождения — 1980",
        "родился в 1980 году",
        "родилась она в 1980",
        "1980 (год рождения)",
        "01.02.1980 (дата рождения)",
        "01.02.1980 (дата рождения), подано 02.03.2026",
        "01.02.1980 - дата рождения",
        "01.02.1980 д.р.",
        "01.02.1980 рождения",
        "01.02.1980 года рожд.",
        "дата рождения 1 февр 1980",
        "дата рождения 1 фев. 1980",
        "01-фев-1980 дата рождения",
        "дата рождения: 1.II.1980",
        "дата рождения 01 Feb 1980",
        "ДР 01.02.1980",
        "день рождения: 01.02.1980",
    ] {
        let left = after(text);
        assert!(
            left.contains(BIRTH) && !left.contains("19") && !left.contains("85"),
            "{text} → {left}"
        );
    }
}

#[test]
fn ordinary_numbers_stay() {
    for text in [
        "Звоните 8 912 345-67-89 или +7 (912) 345-67-89",
        "89123456789",
        "СНИЛС не помню, мой телефон 8 912 345 67 89",
        "Лицевой счёт 59000123456, дом 12, кв. 345",
        "ИНН 590200000000, ОГРН 1025900000000",
        "Заявка 20260312-11223344596 от 12.03.2026",
        "С 12.03.2026 по 15 марта 2026 года нет воды",
        "День рождения города 12.06.2026",
        "Счёт 40817810099910004312",
        "Томский проезд, 1234567890123456 без контрольной",
        "112-233-445 96 без слова и с чужой контрольной",
        "в 2026 году, с 1990 года",
        "кадастровый 59:01:4410123:45",
        "Иванов, Петров и др. 12.03.2026 подали",
        "день рождения посёлка, 2026",
        "У соседки родился сын, и вот уже с весны 2026 года она одна",
    ] {
        assert_eq!(scrub(text), None, "{text}");
    }
}

#[test]
fn a_date_before_words_of_another_date_stays() {
    let left = after("Обращение от 01.02.2026, дата рождения: 05.06.1980");
    assert_eq!(left, format!("Обращение от 01.02.2026, дата рождения: {BIRTH}"));
}

#[test]
fn letters_typed_in_place_of_digits_hide_no_number() {
    for text in [
        "СНИЛС 112-233-445 9S5, то есть 112-233-445 95",
        "мой СНИЛС ll2-2ЗЗ-445 95",
        "СНИЛС: 112-233-44О 95",
        "полис ОМС 77О0 0000 0000 000З",
    ] {
        let (left, _) = scrub(text).unwrap_or_else(|| panic!("{text} stays"));
        assert!(left.contains("удал"), "{left}");
        assert!(
            !left.contains("2ЗЗ") && !left.contains("44О") && !left.contains("77О0"),
            "{left}"
        );
    }
    // A letter beside a number of a house is no digit of anything.
    assert_eq!(scrub("д. 3О, кв. 1З, подъезд 2"), None);
}

#[test]
fn no_form_of_digits_and_no_separator_hides_a_number() {
    let snils = "112-233-445 95";
    let keycaps: String = snils
        .chars()
        .map(|letter| match letter.is_ascii_digit() {
            true => format!("{letter}\u{fe0f}\u{20e3}"),
            false => letter.to_string(),
        })
        .collect();
    let parted = |by: &str| snils.replace(['-', ' '], by);
    let letters = |by: &str| snils.chars().map(|letter| format!("{letter}{by}")).collect::<String>();
    let mut written = vec![
        keycaps,
        letters("\u{200b}"),
        letters("\u{336}"),
        letters(" ").replace(" - ", " "),
    ];
    written.extend(
        [
            "  ",
            "\n",
            "\r\n",
            "\t",
            ".",
            "\u{2009}",
            "\u{2212}",
            "\u{ad}",
            "\u{ad}-",
            "\u{a0}",
            "\u{200b}",
            " - ",
            "_",
            "/",
            "➖",
            "&nbsp;",
            "&#8209;",
            "<b>",
            " </span> <span class=\"n\">",
            " , ",
            "\u{202e}",
        ]
        .map(parted),
    );
    for zero in ['０', '𝟎', '𝟶', '٠'] {
        let digits = snils.chars().map(|letter| match letter.to_digit(10) {
            Some(value) => char::from_u32(zero as u32 + value).expect("a digit"),
            None => letter,
        });
        written.push(digits.collect());
    }
    for written in written {
        for text in [format!("номер {written} прошу"), format!("CНИЛC {written}")] {
            let (left, removed) = scrub(&text).unwrap_or_else(|| panic!("{text:?} is left"));
            assert_eq!(removed, 1, "{text:?} → {left:?}");
            assert!(!left.contains(['4', '４', '𝟒', '𝟺', '٤']), "{text:?} → {left:?}");
        }
    }
    for by in ["  ", "\n", "\t", ".", "\u{ad}", "\u{a0}", " - ", ", ", "&nbsp;", "<br>"] {
        let policy = ["1234", "5678", "9012", "3452"].join(by);
        for text in [
            format!("полис ОМС {policy}"),
            format!("OMC: {policy}"),
            format!("номер {policy}"),
        ] {
            assert!(after(&text).contains(POLICY), "{text:?}");
        }
    }
    for text in [
        "дата\nрождения\n01.02.1980",
        "дата\u{a0}рождения 01.02.1980",
        "дaтa рoждeния 01.02.1980",
        "ДАТА  РОЖДЕНИЯ: 01 02 1980",
        "дата рождения 01. 02. 1980",
        "дата рождения 01\u{ad}02\u{ad}1980",
        "дата рождения ０１．０２．１９８０",
        "дата рождения 01021980",
        "дата-рождения 1980\u{2212}02\u{2212}01",
        "родился 1-го февраля 1980",
        "д. р. 01.02.80",
        "01.02.1980 г.\u{a0}р.",
    ] {
        let left = after(text);
        assert!(
            left.contains(BIRTH) && !left.contains("80") && !left.contains("８"),
            "{text:?} → {left:?}"
        );
    }
}

#[test]
fn what_only_looks_alike_stays() {
    for text in [
        "Цена 112 233 445 руб. 96 коп., скидка 15 %",
        "Смета 112 233 445,95 руб.; 112 233 445,95 ₽",
        "12.03.2026 9:15 авария, 12.03.2026 10:45 устранена",
        "Работаем 09:00-18:00, 10:00-17:00, обед 13:00-14:00",
        "Выделено в 2019, 2020, 2021, 2022 годах",
        "учебные годы 2024-2025 2025-2026",
        "в 2020 г. Россия, с 2021 г., р. Кама",
        "кадастровые 59:01:4410123:45, 59:01:4410123:46",
        "инциденты 59000123, 59000124, 59000125",
        "счёт 40817 810 0 9991 0004312",
        "д. Рябинино, ул. Мира, 12, 5.03.2026 отключили",
        "Справки: (342) 212-34-56, 8-800-555-35-35, 112",
        "показания 00123.456, 00124.789; 10 м² × 3",
        "координаты 58.010455, 56.229443",
        "маршруты 1, 2, 3, 5, 10, 12, 14, 41, 50",
        "IP 192.168.100.26, версия 1.2.3",
    ] {
        assert_eq!(scrub(text), None, "{text}");
    }
}

/// Every word is behind its sign, or the sign would hide it.
#[test]
fn signs_are_in_all_words() {
    for (words, signs) in [
        (&WORDS.snils, SNILS_SIGNS),
        (&WORDS.policy, POLICY_SIGNS),
        (&WORDS.birth_before, BIRTH_SIGNS),
    ] {
        for word in words {
            assert!(signs.iter().any(|sign| word.contains(sign)), "{word}");
        }
    }
}

#[test]
fn hostile_texts_come_to_an_end() {
    for piece in [
        "1",
        "1 ",
        "11-",
        "снилс 1 ",
        "<a",
        "&#49",
        "\u{200b}1",
        "1...............",
        "12.12.",
    ] {
        let text = piece.repeat(20_000);
        let _ = scrub(&text);
    }
}

#[test]
fn one_word_takes_one_date() {
    let text = "дата рождения 12.03.1985, обратился 05.10.2026";
    assert_eq!(after(text), format!("дата рождения {BIRTH}, обратился 05.10.2026"));
}

fn control(digits: &[u8]) -> u32 {
    let sum: u32 = (0..9).map(|place| u32::from(digits[place]) * (9 - place as u32)).sum();
    match sum % 101 {
        100 => 0,
        other => other,
    }
}

const FORMS: usize = 7;

fn push_digit(text: &mut String, digit: u8, form: usize) {
    let from = |zero: char| char::from_u32(zero as u32 + u32::from(digit)).expect("a digit");
    let circled = |digit: u8| match digit {
        0 => '⓪',
        _ => char::from_u32('①' as u32 + u32::from(digit) - 1).expect("a digit"),
    };
    match form {
        0 => text.push(from('0')),
        1 => text.push(from('０')),
        2 => text.push(from('𝟎')),
        3 => text.push(from('𝟶')),
        4 => text.push(from('٠')),
        5 => text.push(circled(digit)),
        _ => text.extend([from('0'), '\u{fe0f}', '\u{20e3}']),
    }
}

/// Usual separators, and any other character that is neither letter nor digit.
fn sign() -> impl Strategy<Value = char> {
    let usual: Vec<char> = " -\n\t.,:;/_()\u{a0}\u{ad}\u{200b}\u{2009}\u{2011}–—\u{2212}\u{feff}•«»\u{202e}➖"
        .chars()
        .collect();
    let other = any::<char>().prop_filter("a sign", |letter| {
        !letter.is_alphanumeric() && !matches!(letter, '&' | '<' | '>')
    });
    prop_oneof![proptest::sample::select(usual), other]
}

proptest! {
    #[test]
    fn every_snils_is_found_wherever_it_stands(
        digits in proptest::collection::vec(0_u8..10, 9),
        words in "[а-яё ]{0,30}",
    ) {
        prop_assume!(digits.iter().any(|digit| *digit != 0));
        let text: String = digits.iter().map(u8::to_string).collect();
        let written = format!("{}-{}-{} {:02}", &text[..3], &text[3..6], &text[6..], control(&digits));
        let whole = format!("{words} {written}, {words}");
        let (left, removed) = scrub(&whole).expect("found");
        prop_assert_eq!(removed, 1);
        prop_assert!(!left.contains(&written));
    }

    /// Any run of up to eight signs that are neither letters nor digits, between any groups, with any digits.
    #[test]
    fn no_separator_between_groups_hides_a_number(
        digits in proptest::collection::vec(0_u8..10, 15),
        signs in proptest::collection::vec(proptest::collection::vec(sign(), 1..=8), 4),
        forms in proptest::collection::vec(0_usize..FORMS, 16),
        named: bool,
    ) {
        prop_assume!(digits[..9].iter().any(|digit| *digit != 0));
        let signs: Vec<String> = signs.iter().map(|run| run.iter().collect()).collect();
        let write = |digits: &[u8], cuts: &[usize]| {
            let mut text = String::new();
            for (place, digit) in digits.iter().enumerate() {
                if let Some(cut) = cuts.iter().position(|cut| *cut == place) {
                    text.push_str(&signs[cut]);
                }
                push_digit(&mut text, *digit, forms[place]);
            }
            text
        };
        let mut snils = digits[..9].to_vec();
        let control = control(&snils) as u8;
        snils.extend([control / 10, control % 10]);
        let mut policy = digits.clone();
        policy.push(0);
        policy[15] = (0..10).find(|last| luhn_holds(&[&policy[..15], &[*last]].concat())).expect("one of ten fits");
        let birth = [0, 1 + digits[0] % 9, 1, digits[1] % 3, 1, 9, digits[2], digits[3]];
        let (snils_words, policy_words) = if named { ("СНИЛC ", "полис ") } else { ("", "номер ") };
        for (text, number) in [
            (format!("{snils_words}{}", write(&snils, SNILS_CUTS)), &snils[..]),
            (format!("{policy_words}{}", write(&policy, POLICY_CUTS)), &policy[..]),
            (format!("дата{}рождения {}", signs[3], write(&birth, DATE_CUTS)), &birth[..]),
        ] {
            let (left, _) = scrub(&text).ok_or_else(|| TestCaseError::fail(format!("{text:?} is left")))?;
            let seen: String = left.chars().filter_map(priem_rules::words::spelling::digit).map(|digit| digit.to_string()).collect();
            let number: String = number.iter().map(u8::to_string).collect();
            prop_assert!(!seen.contains(&number), "{:?} → {:?}", text, left);
        }
    }

    #[test]
    fn any_text_is_survived(text in "[0-9 .\\-–а-яСНИЛС()/@+]{0,80}") {
        if let Some((left, removed)) = scrub(&text) {
            prop_assert!(removed > 0 && left.contains(" удал"));
        }
    }
}
