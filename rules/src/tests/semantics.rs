//! What rules mean, one test per promise of the language.

use std::path::PathBuf;

use jiff::Timestamp;
use priem_message::{
    Deadline, DeadlineBasis, DeadlineStage, DeadlineUnit, EventType, Kind, Message, MessageData, Regime, Topic,
};

use crate::{Decision, RuleSet};

pub(crate) const ROUTE: &str =
    "route: { id: root, name: Координатор, to: { organisation: МЦУ, role: координатор }, queue: q.root }\n";

pub(crate) fn files(texts: &[&str]) -> Vec<(PathBuf, String)> {
    let named = texts.iter().enumerate();
    named
        .map(|(at, text)| (PathBuf::from(format!("{at}.yaml")), format!("version: 1\n{text}")))
        .collect()
}

pub(crate) fn rules(text: &str) -> RuleSet {
    let route = if text.contains("\nroute:") || text.starts_with("route:") {
        ""
    } else {
        ROUTE
    };
    RuleSet::parse(&files(&[&format!("{text}{route}")])).expect("valid rules")
}

fn message(text: &str) -> Message {
    let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
    data.body.text = text.into();
    data.times.received = now();
    Message::new(EventType::Received, data)
}

fn now() -> Timestamp {
    "2026-01-15T05:00:00Z".parse().expect("instant")
}

fn decide(rules: &RuleSet, text: &str) -> Decision {
    rules.decide(&mut message(text), now())
}

#[test]
fn all_entries_contribute_and_the_first_to_set_a_field_wins() {
    let rules = rules(
        "classify:
  - { id: snow, name: Снег, when: { text: [снег] }, set: { sector: roads, tags: [winter] } }
  - { id: yard, name: Двор, when: { text: [двор] }, set: { sector: housing, priority: 6, tags: [yard, winter] } }
",
    );
    let decision = decide(&rules, "Снег во дворе");
    let main = decision.main();
    assert_eq!(main.sector.as_deref(), Some("roads"));
    assert_eq!(
        (main.priority, &main.tags),
        (6, &vec!["winter".to_owned(), "yard".to_owned()])
    );
    assert_eq!(main.matched, ["snow", "yard", "root"]);
    let told = main.explanation.join("\n");
    assert!(
        told.contains("Правило «Снег» (snow): в тексте есть «Снег» → отрасль «roads»"),
        "{told}"
    );
    assert!(
        told.contains("отрасль «roads»") && told.contains("не применена: раньше сработало правило «Снег» (snow)"),
        "{told}"
    );
}

#[test]
fn words_around_a_message_are_a_condition_of_their_own() {
    let rules = rules(
        "classify:
  - { id: heat, name: Тепло, when: { context: [отопление] }, set: { sector: housing } }
  - { id: bus, name: Автобус, when: { context: { all: [автобус], none: [трамвай] } }, set: { sector: transport } }
",
    );
    let sector = |text: &str, quote: Option<&str>, topic: Option<&str>| {
        let mut message = message(text);
        message.data.body.quote = quote.map(Into::into);
        message.data.topic = topic.map(|name| Topic::of_levels("chat_topics", &[name.to_owned()]));
        rules.decide(&mut message, now()).main().clone()
    };
    let heat = sector("нет второй день", None, Some("Отопление на Полевой"));
    assert_eq!(heat.sector.as_deref(), Some("housing"));
    let told = heat.explanation.join("\n");
    assert!(told.contains("в контексте есть «Отопление»"), "{told}");
    assert_eq!(
        sector("и у нас", Some("Где автобус?"), None).sector.as_deref(),
        Some("transport")
    );
    assert_eq!(sector("и у нас", Some("Где автобус и трамвай?"), None).sector, None);
    assert_eq!(
        sector("отопление", None, None).sector,
        None,
        "its own words are no context"
    );
}

#[test]
fn the_first_fitting_sibling_wins_and_children_inherit() {
    let rules = rules(
        "classify:
  - { id: pit, name: Ямы, when: { text: [яма] }, set: { sector: roads } }
route:
  id: root
  name: Координатор
  to: { organisation: МЦУ, role: координатор }
  queue: q.root
  tags: [city]
  routes:
    - id: roads
      name: Дороги
      when: { sector: roads }
      to: { organisation: Дорожники }
      queue: q.roads
      priority: 5
      also: [{ to: { organisation: Штаб }, queue: q.staff }]
      routes:
        - { id: bridge, name: Мосты, when: { text: [мост] }, queue: q.bridge, tags: [bridge] }
    - { id: late, name: Позже, when: { text: [яма] }, queue: q.late }
",
    );
    let decision = decide(&rules, "Яма на мосту");
    let main = decision.main();
    assert_eq!(
        (main.queue.as_str(), main.recipient.organisation.as_str(), main.priority),
        ("q.bridge", "Дорожники", 5)
    );
    assert_eq!(main.tags, ["city", "bridge"]);
    assert_eq!(main.matched, ["pit", "root", "roads", "bridge"]);
    assert!(!decision.default_route && !main.copy);
    let copy = &decision.routes[1];
    assert_eq!(
        (copy.queue.as_str(), copy.copy, copy.sector.as_deref()),
        ("q.staff", true, Some("roads"))
    );
    assert_eq!(decide(&rules, "Яма").main().queue, "q.roads");
}

#[test]
fn nothing_is_unroutable() {
    let decision = decide(&rules(""), "");
    assert!(decision.default_route);
    assert_eq!(decision.main().queue, "q.root");
    assert!(
        decision
            .main()
            .explanation
            .join(" ")
            .contains("маршрут по умолчанию «Координатор» (root)")
    );
}

#[test]
fn deadlines_first_per_stage_and_never_over_the_source() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
deadlines:
  - { id: fast, name: Быстро, when: { text: [авария] }, stage: answer, calendar_hours: 4 }
  - { id: day, name: Сутки, stage: answer, calendar_hours: 24, basis: default }
  - { id: reg, name: Регистрация, stage: register, calendar_days: 3, basis: law }
",
    );
    let mut urgent = message("Авария!");
    let decision = rules.decide(&mut urgent, now());
    assert_eq!(decision.deadlines[0].due_at.to_string(), "2026-01-15T09:00:00Z");
    assert_eq!(decision.deadlines[1].due_at.to_string(), "2026-01-18T18:59:59Z");
    assert_eq!(urgent.data.deadlines, decision.deadlines);
    assert!(
        decision
            .main()
            .explanation
            .iter()
            .any(|line| line.contains("до 15.01.2026 14:00 по правилу «Быстро» (fast)"))
    );

    let mut given = message("Авария!");
    let source = Deadline {
        stage: DeadlineStage::Answer,
        due_at: now(),
        zone: "UTC".into(),
        basis: DeadlineBasis::Source,
        rule: None,
        unit: DeadlineUnit::CalendarDays,
        internal_due_at: None,
        calendar_missing: false,
    };
    given.data.deadlines.push(source.clone());
    let decision = rules.decide(&mut given, now());
    assert_eq!(decision.deadlines.len(), 1);
    assert_eq!(given.data.deadlines[0], source);
}

#[test]
fn working_time_rolls_margins_and_missing_calendars() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
include: [calendar-2026]
calendar: [{ year: 2026, name: Регион, holidays: [2026-01-16] }]
work_day: { from: \"08:00\", to: \"17:00\", pause: \"12:00-13:00\" }
deadlines:
  - { id: reaction, name: Реакция, stage: first_reaction, working_hours: 8, margin: { working_hours: 2 } }
  - { id: answer, name: Ответ, stage: answer, working_days: 3, margin: { working_days: 1 } }
  - { id: register, name: Регистрация, stage: register, calendar_days: 3, roll: next }
  - { id: forward, name: Передача, stage: forward, calendar_days: 3, roll: previous }
  - { id: final, name: Итог, stage: final, working_days: 300 }
",
    );
    // Thursday, 15 January, 10:00; the Friday after it is a holiday of the region.
    let decision = rules.decide(&mut message("Авария!"), now());
    let found = |stage| {
        let mut deadlines = decision.deadlines.iter();
        let deadline = deadlines.find(|deadline| deadline.stage == stage).expect("a deadline");
        let local = |at: jiff::Timestamp| {
            at.in_tz("Asia/Yekaterinburg")
                .expect("a zone")
                .strftime("%d.%m %H:%M")
                .to_string()
        };
        (
            local(deadline.due_at),
            deadline.internal_due_at.map(local),
            deadline.calendar_missing,
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        found(DeadlineStage::FirstReaction),
        ("19.01 10:00".into(), some("19.01 08:00"), false)
    );
    assert_eq!(
        found(DeadlineStage::Answer),
        ("21.01 23:59".into(), some("20.01 23:59"), false)
    );
    assert_eq!(found(DeadlineStage::Register), ("19.01 23:59".into(), None, false));
    assert_eq!(found(DeadlineStage::Forward), ("15.01 23:59".into(), None, false));
    assert!(found(DeadlineStage::Final).2, "2027 has no calendar here");
    let said = decision.main().explanation.join("\n");
    assert!(said.contains("Внутренний срок: до 19.01.2026 08:00"), "{said}");
    assert!(said.contains("производственного календаря на этот год нет"), "{said}");
}

#[test]
fn deciding_twice_changes_nothing() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
classify:
  - { id: pit, name: Ямы, when: { text: [яма] }, set: { sector: roads, topic: Дороги / Ямы, flags: [pit, collective], hint: looks_like_fz59 } }
  - { id: trap, name: Ловушка, when: { topic: Ямы }, set: { tags: [wrong] } }
deadlines:
  - { id: day, name: Сутки, stage: answer, calendar_hours: 24 }
",
    );
    let mut once = message("Яма");
    let first = rules.decide(&mut once, now());
    let mut twice = once.clone();
    assert_eq!(rules.decide(&mut twice, now()), first);
    assert_eq!(once, twice);
    let topic = once.data.topic.expect("a topic");
    assert_eq!((topic.classifier.as_str(), topic.path.len()), ("rules", 2));
    assert_eq!(once.data.legal.hint.as_deref(), Some("looks_like_fz59"));
    assert!(once.data.flags.collective && once.data.flags.other == ["pit"]);
    assert!(first.main().tags.is_empty(), "conditions see topics of the source only");
}

#[test]
fn conditions_nest() {
    let rules = rules(
        "words: { winter: [снег, наледь] }
classify:
  - id: x
    name: Проверка
    when:
      channel: [vk, telegram]
      any:
        - text: { any: [$winter, гололед], none: [турнир] }
        - all: [{ kind: post }, { not: { author: staff } }]
      place: { known: false }
    set: { sector: hit }
",
    );
    let hit = |edit: &dyn Fn(&mut MessageData)| {
        let mut message = message("Снег");
        edit(&mut message.data);
        rules.decide(&mut message, now()).main().sector.is_some()
    };
    assert!(hit(&|_| {}));
    assert!(hit(&|data| data.body.text = "ГОЛОЛЁД".into()));
    assert!(!hit(&|data| data.body.text = "Снег и турнир".into()));
    assert!(!hit(&|data| data.channel = "ok".into()));
    assert!(!hit(&|data| data.place.municipality = Some("Пермь".into())));
    assert!(!hit(&|data| data.body.text = String::new()));
    assert!(hit(&|data| {
        data.body.text = String::new();
        data.kind = Kind::Post;
    }));
    assert!(!hit(&|data| {
        data.body.text = String::new();
        data.kind = Kind::Post;
        data.author.kind = priem_message::AuthorKind::Staff;
    }));
}

#[test]
fn a_rule_may_name_recipient_queue_copies_and_policies() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
classify:
  - id: mine
    name: Мина
    when: { text: [мина] }
    set: { to: { organisation: ЕДДС, role: дежурный }, queue: q.duty, also: [{ to: { organisation: Штаб }, queue: q.staff }],
           deadline_policy: fast, personal_data: strict, stop: true }
  - { id: late, name: Поздно, when: { text: [мина] }, set: { sector: late, queue: q.late } }
route:
  id: root
  name: Координатор
  to: { organisation: МЦУ }
  queue: q.root
  deadline_policy: slow
  routes:
    - { id: yard, name: Двор, when: { text: [двор] }, queue: q.yard, personal_data: open }
deadlines:
  - { id: fast, name: Быстро, when: { deadline_policy: fast }, stage: answer, calendar_hours: 1 }
  - { id: slow, name: Медленно, when: { deadline_policy: slow }, stage: answer, calendar_hours: 99 }
",
    );
    let decision = decide(&rules, "Мина во дворе");
    let main = decision.main();
    assert_eq!(
        (
            main.recipient.organisation.as_str(),
            main.queue.as_str(),
            main.sector.as_deref()
        ),
        ("ЕДДС", "q.duty", None)
    );
    assert_eq!(
        (main.deadline_policy.as_deref(), main.personal_data.as_deref()),
        (Some("fast"), Some("strict"))
    );
    assert_eq!(main.matched, ["mine", "root", "yard", "fast"]);
    assert_eq!(decision.routes[1].queue, "q.staff");
    assert!(!decide(&rules, "Мина").default_route, "a rule named the recipient");
    let told = main.explanation.join("\n");
    assert!(
        told.contains("Адресата назвало правило «Мина» (mine): ЕДДС, дежурный"),
        "{told}"
    );
    assert!(
        told.contains("порядок сроков «fast»") && told.contains("(stop)"),
        "{told}"
    );
    let why = rules.why(&message("Мина"), now(), "late").expect("known").render_ru();
    assert!(why.contains("правило «Мина» (mine) остановило классификацию"), "{why}");

    let decision = decide(&rules, "Двор");
    let main = decision.main();
    assert_eq!(main.matched, ["root", "yard", "slow"]);
    assert_eq!(
        (main.deadline_policy.as_deref(), main.personal_data.as_deref()),
        (Some("slow"), Some("open"))
    );
}

#[test]
fn named_lists_and_conditions_are_put_in() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
words: { winter: [$snow, гололед], snow: [снег, сугроб] }
conditions:
  evening: { hours: \"18:00–9:00\" }
  winter: { season: \"15.10–15.04\", text: [$winter] }
  urgent: { use: [winter, evening], not: { use: post } }
  post: { kind: post }
classify:
  - { id: x, name: Проверка, when: { use: urgent }, set: { sector: hit } }
",
    );
    // 10:00 and 20:00 in Perm.
    let hit = |text: &str, at: &str, kind: Kind| {
        let mut message = message(text);
        message.data.kind = kind;
        message.data.times.received = at.parse().expect("instant");
        rules.decide(&mut message, now()).main().sector.is_some()
    };
    assert!(hit("Сугробы", "2026-01-15T15:00:00Z", Kind::Direct));
    assert!(hit("Гололёд", "2026-01-15T15:00:00Z", Kind::Direct));
    assert!(!hit("Сугробы", "2026-01-15T05:00:00Z", Kind::Direct), "working hours");
    assert!(!hit("Сугробы", "2026-06-15T15:00:00Z", Kind::Direct), "summer");
    assert!(!hit("Сугробы", "2026-01-15T15:00:00Z", Kind::Post));
    let told = rules.explain(&message("Сугробы"), now()).render_ru();
    assert!(told.contains("время суток: 10:00, а нужно 18:00–9:00"), "{told}");
}

#[test]
fn conditions_about_the_source_and_the_answer() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
classify:
  - { id: v, name: Версия, when: { classifier_version: \"2025\" }, set: { tags: [v] } }
  - { id: bad, name: Недоволен, when: { satisfaction: [low, middle] }, set: { tags: [bad] } }
  - { id: silent, name: Без оценки, when: { satisfaction: none }, set: { tags: [silent] } }
  - { id: old, name: Давно, when: { older_than: 3 дня }, set: { tags: [old] } }
  - { id: new, name: Недавно, when: { younger_than: 24 часа }, set: { tags: [new] } }
  - { id: house, name: Дом, when: { place: { precision: house } }, set: { tags: [house] } }
  - { id: words, name: Слова, when: { place: { precision: [words, unknown] } }, set: { tags: [words] } }
  - { id: day, name: Четверг, when: { weekday: [чт] }, set: { tags: [thursday] } }
tests:
  - { name: новое, given: { topic: Дороги, classifier_version: \"2025\", place: { municipality: Пермь, street: Ленина, house: \"5\" } },
      expect: { rules: [v, silent, new, house, day], tags: [v] } }
  - { name: старое, given: { satisfaction: 2 из 5, place: { text: у магазина }, written: 2026-01-10 10:00 },
      expect: { rules: [bad, old, words], deadline_policy: none, personal_data: none } }
",
    );
    let report = rules.run_tests();
    assert!(report.passed() && report.total == 2, "{}", report.render_ru());
    let mut old = message("");
    old.data.satisfaction = Some(priem_message::Satisfaction { score: 3.0, scale: 5.0 });
    let now = "2026-01-20T05:00:00Z".parse().expect("instant");
    let told = rules.explain(&old, now).render_ru();
    assert!(told.contains("сколько прошло (больше): 5 дн."), "{told}");
    assert!(told.contains("оценка ответа: middle"), "{told}");
}

#[test]
fn typos_and_the_wrong_layout_are_forgiven_where_the_rule_says_so() {
    let rules = rules(
        "classify:
  - { id: strict, name: Строго, when: { text: [отопление] }, set: { tags: [strict] } }
  - { id: loose, name: Мягко, when: { text: { any: [отопление, яма], typos: true } }, set: { tags: [loose] } }
",
    );
    let tags = |text: &str| decide(&rules, text).main().tags.clone();
    assert_eq!(tags("Отопление"), ["strict", "loose"]);
    assert_eq!(tags("Нет отоплнения"), ["loose"]);
    assert_eq!(tags("Ytn jnjgktybz"), ["strict", "loose"]);
    assert_eq!(tags("Яла"), [""; 0], "short words are not guessed");
    let told = rules.explain(&message("Нет отоплнения"), now()).render_ru();
    assert!(told.contains("в тексте есть «отоплнения» (ищем «отопление»)"), "{told}");
}

#[test]
fn oktmo_matches_by_its_beginning() {
    let rules =
        rules("classify: [{ id: p, name: Пермь, when: { place: { oktmo: \"57701\" } }, set: { territory: Пермь } }]\n");
    let mut perm = message("");
    perm.data.place.oktmo = Some("57701000001".into());
    assert_eq!(
        rules.decide(&mut perm, now()).main().territory.as_deref(),
        Some("Пермь")
    );
    let mut other = message("");
    other.data.place.oktmo = Some("57702000".into());
    assert_eq!(rules.decide(&mut other, now()).main().territory, None);
}

#[test]
fn the_version_follows_the_texts() {
    let version = |text: &str| RuleSet::parse(&files(&[text])).expect("valid").version().to_owned();
    assert_eq!(version(ROUTE), version(ROUTE));
    assert_ne!(version(ROUTE), version(&format!("{ROUTE}# comment\n")));
    assert_eq!(version(ROUTE).len(), 12);
}

#[test]
fn the_explanation_says_what_was_seen_and_wanted() {
    let rules = rules(
        "classify:
  - { id: pit, name: Ямы, when: { text: [яма], channel: incident }, set: { sector: roads } }
  - { id: snow, name: Снег, when: { text: { any: [снег], none: [праздник] } }, set: { sector: winter } }
",
    );
    let message = message("Ямы и снег у гражданки Ивановой");
    let told = rules.explain(&message, now()).render_ru();
    assert!(told.contains("✗ Правило «Ямы» (pit) не сработало"), "{told}");
    assert!(told.contains("канал: telegram, а нужно incident"), "{told}");
    assert!(
        told.contains("✓ Правило «Снег» (snow) сработало") && told.contains("в тексте есть «снег»"),
        "{told}"
    );
    assert!(told.contains("Отрасль: winter") && !told.contains("Ивановой"), "{told}");
    let why = rules.why(&message, now(), "pit").expect("known").render_ru();
    assert!(why.contains("не выполнена"), "{why}");
    assert!(rules.why(&message, now(), "nobody").is_none());
}

#[test]
fn why_not_this_route() {
    let rules = rules(
        "route:
  id: root
  name: Координатор
  to: { organisation: МЦУ }
  queue: q
  routes:
    - { id: a, name: А, when: { text: [снег] }, queue: q.a }
    - { id: b, name: Б, when: { text: [двор] }, queue: q.b }
",
    );
    let why = rules.why(&message("Снег во дворе"), now(), "b").expect("known");
    assert!(
        why.holds && why.effects[0].contains("первым подошёл маршрут «А» (a)"),
        "{why:?}"
    );
}

#[test]
fn the_starter_set_passes_its_own_tests() {
    let rules = RuleSet::starter();
    let report = rules.run_tests();
    assert!(report.passed() && report.total >= 40, "{}", report.render_ru());
    assert!(report.untested.is_empty(), "{}", report.render_ru());
    let folder =
        RuleSet::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/rules")).expect("loads");
    assert_eq!(
        folder.version(),
        rules.version(),
        "STARTER lists every file of config/rules"
    );
}

#[test]
fn the_guide_tells_the_truth() {
    let guide = include_str!("../../../docs/rules.md");
    let example = guide
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let rules = RuleSet::parse(&[(PathBuf::from("rules.md"), example.to_owned())]).expect("the example is valid");
    let report = rules.run_tests();
    assert!(report.passed() && report.total == 1, "{}", report.render_ru());
    for field in crate::engine::fields::Field::ALL {
        assert!(
            guide.contains(&format!("`{}`", field.key())),
            "the guide does not name {}",
            field.key()
        );
    }
}

#[test]
fn a_rule_set_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<RuleSet>();
}

const CALENDAR: &str = "zone: Asia/Yekaterinburg
calendar: [{ year: 2026, holidays: [2026-01-01/2026-01-09] }]
";

/// At noon in Perm on a day of 2026 or another year.
fn at_noon(day: &str) -> Message {
    let mut message = message("Вопрос");
    message.data.times.received = format!("{day}T07:00:00Z").parse().expect("instant");
    message
}

#[test]
fn working_time_knows_holidays() {
    let rules = rules(&format!(
        "{CALENDAR}classify:
  - {{ id: duty, name: Дежурный, when: {{ working_time: false }}, set: {{ tags: [duty] }} }}
  - {{ id: office, name: Приёмная, when: {{ working_time: true }}, set: {{ tags: [office] }} }}
"
    ));
    for (day, tag) in [("2026-01-05", "duty"), ("2026-01-12", "office"), ("2026-01-17", "duty")] {
        let decision = rules.decide(&mut at_noon(day), now());
        assert_eq!(decision.main().tags, [tag], "{day}");
        assert!(!decision.main().calendar_missing);
    }
    let told = rules.explain(&at_noon("2026-01-05"), now()).render_ru();
    assert!(told.contains("рабочее время: нет (05.01 12:00)"), "{told}");

    // Monday of a year without a calendar.
    let decision = rules.decide(&mut at_noon("2027-01-04"), now());
    assert_eq!(decision.main().tags, ["office"]);
    assert!(decision.main().calendar_missing);
    let told = decision.main().explanation.join("\n");
    assert!(told.contains("производственного календаря на этот год нет"), "{told}");
}

#[test]
fn a_bare_date_is_no_working_time_only_when_nobody_works() {
    let rules = rules(&format!(
        "{CALENDAR}classify:
  - {{ id: free, name: Нет, when: {{ working_time: false }}, set: {{ tags: [free] }} }}
  - {{ id: busy, name: Да, when: {{ working_time: true }}, set: {{ tags: [busy] }} }}
"
    ));
    let zone = jiff::tz::TimeZone::get("Asia/Yekaterinburg").expect("zone");
    let tags = |day: i8| {
        let mut message = message("Вопрос");
        let date = jiff::civil::date(2026, 1, day);
        message.data.times.occurred = Some(priem_message::Moment::from_date(date, &zone));
        rules.decide(&mut message, now()).main().tags.clone()
    };
    assert_eq!(tags(5), ["free"]);
    assert!(tags(12).is_empty());
}

#[test]
fn working_time_needs_a_clock() {
    let text =
        format!("classify:\n  - {{ id: a, name: А, when: {{ working_time: true }}, set: {{ tags: [a] }} }}\n{ROUTE}");
    let errors = RuleSet::parse(&files(&[&text])).expect_err("no zone").to_string();
    assert!(errors.contains("не задан часовой пояс"), "{errors}");
}

#[test]
fn a_deadline_may_depend_on_the_priority() {
    let rules = rules(
        "zone: Asia/Yekaterinburg
classify:
  - { id: flood, name: Потоп, when: { text: [потоп] }, set: { priority: 9 } }
route:
  id: root
  name: Координатор
  to: { organisation: МЦУ }
  queue: q.root
  routes:
    - { id: hot, name: Срочно, when: { priority: 9 }, queue: q.hot }
    - { id: yard, name: Двор, when: { text: [двор] }, queue: q.yard, priority: 7 }
deadlines:
  - { id: urgent, name: Срочный, when: { priority: [8, 9] }, stage: answer, calendar_hours: 3 }
  - { id: soon, name: Скорый, when: { priority: 7 }, stage: answer, calendar_hours: 8 }
  - { id: usual, name: Обычный, when: { priority: 4 }, stage: answer, calendar_hours: 24 }
",
    );
    for (text, queue, deadline) in [
        ("Потоп", "q.hot", "urgent"),
        ("Двор", "q.yard", "soon"),
        ("Вопрос", "q.root", "usual"),
    ] {
        let decision = decide(&rules, text);
        assert_eq!(decision.main().queue, queue);
        assert_eq!(decision.deadlines[0].rule.as_deref(), Some(deadline), "{text}");
    }
    let dead: Vec<String> = rules.lint().into_iter().map(|finding| finding.id).collect();
    assert!(dead.is_empty(), "{dead:?}");
}
