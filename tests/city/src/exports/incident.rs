//! One invented incident: everything about it follows from the seed and its number.

use fastrand::Rng;

use super::Layout;
use crate::voices;

/// A citizen's words and the classifier's answer to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// The words.
    pub text: String,
    /// Topic group.
    pub group: String,
    /// Topic.
    pub topic: String,
}

/// What the export's classifier says to a sector of [`voices`]: group and topic, in words of exports.
const TOPICS: &[(&str, &str, &str)] = &[
    ("roads", "Дороги", "Ямы на дорогах"),
    ("heating", "ЖКХ", "Нет отопления"),
    ("snow", "Благоустройство", "Уборка снега"),
    ("lamps", "Благоустройство", "Освещение улиц"),
    ("buses", "Общественный транспорт", "Расписание"),
    ("clinics", "Здравоохранение", "Запись к врачу"),
    ("schools", "Образование", "Школы"),
    ("waste", "Обращение с отходами", "Вывоз мусора"),
    ("water", "ЖКХ", "Водоснабжение"),
    ("yards", "Благоустройство", "Дворы"),
    ("dogs", "Экология", "Безнадзорные животные"),
    ("playgrounds", "Благоустройство", "Детские площадки"),
    ("trees", "Благоустройство", "Деревья"),
    ("noise", "Безопасность и правопорядок", "Шум"),
];
/// For voices of no sector.
const OTHER_TOPIC: (&str, &str) = ("ЦУР", "Прочее");

const EXECUTORS: &[&str] = &[
    "Управление дорог",
    "Управление жилищного хозяйства",
    "Департамент транспорта",
    "Отдел образования",
    "Городская больница",
    "Оператор по отходам",
];
const PLACES: &[(&str, &str)] = &[
    ("Омск г.о.", "Омск"),
    ("Город Пермь", "Пермь"),
    ("городской округ Березники", "Березники"),
    ("Лысьвенский ГО", "Лысьва"),
];
const STREETS: &[&str] = &["Тихая", "Заречная", "Яблоневая", "Мостовая", "Светлая", "Полевая"];
const NAMES: &[&str] = &["Анна", "Пётр", "Оля", "Рустам", "Вера"];
const STEPS: &[&str] = &["В работе", "Согласование ответа", "Новый"];
const TAGS: &[&str] = &["", "двор", "повторное, двор", "зима"];

/// One of the city's voices by number, with its number in the text, so that no two are equal.
pub fn sample_voice(number: u64) -> Voice {
    let all = voices::all();
    let spoken = all[usize::try_from(number % all.len() as u64).unwrap_or(0)];
    let (group, topic) = TOPICS
        .iter()
        .find(|(sector, _, _)| *sector == spoken.sector)
        .map_or(OTHER_TOPIC, |(_, group, topic)| (*group, *topic));
    Voice {
        text: format!("{} (заявка {number})", spoken.text),
        group: group.into(),
        topic: topic.into(),
    }
}

/// One row before it is laid out.
pub(super) struct Incident {
    pub number: String,
    pub day: (i16, i8, i8),
    pub time: (i8, i8),
    pub closed: Option<(i16, i8, i8)>,
    pub step: &'static str,
    pub outcome: &'static str,
    pub executor: &'static str,
    pub department: &'static str,
    pub municipality: &'static str,
    pub settlement: &'static str,
    pub street: &'static str,
    pub house: String,
    pub kind: &'static str,
    pub tags: &'static str,
    pub voice: Voice,
    pub starred: bool,
    pub answer: String,
}

impl Incident {
    /// The incident of a number, as it is in a version.
    pub fn new(seed: u64, number: u64, changed: bool, voice: Voice) -> Self {
        let mut rng = Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let day = (2026, rng.i8(1..=6), rng.i8(1..=28));
        let (municipality, settlement) = PLACES[rng.usize(..PLACES.len())];
        let mut incident = Self {
            number: (7_000_000 + number).to_string(),
            day,
            time: (rng.i8(0..24), rng.i8(0..60)),
            closed: None,
            step: STEPS[rng.usize(..STEPS.len())],
            outcome: "",
            executor: EXECUTORS[rng.usize(..EXECUTORS.len())],
            department: "Сектор обращений",
            municipality,
            settlement,
            street: STREETS[rng.usize(..STREETS.len())],
            house: format!("{}{}", rng.u8(1..120), if rng.u8(..9) == 0 { "а" } else { "" }),
            kind: if rng.bool() {
                "Решаемый"
            } else {
                "Не решаемый"
            },
            tags: TAGS[rng.usize(..TAGS.len())],
            starred: rng.u8(..4) == 0,
            answer: String::new(),
            voice: marked_up(voice, &mut rng),
        };
        if changed {
            incident.step = "Готово";
            incident.outcome = "Решено";
            incident.closed = Some((day.0, day.1 + 1, day.2));
            incident.answer = "Здравствуйте! Работы выполнены.".into();
        }
        incident
    }

    /// Topic as the export writes it.
    pub fn topic(&self) -> String {
        if self.starred {
            format!("★ {}", self.voice.topic)
        } else {
            self.voice.topic.clone()
        }
    }
}

/// Adds what networks and the export leave in texts.
fn marked_up(mut voice: Voice, rng: &mut Rng) -> Voice {
    let name = NAMES[rng.usize(..NAMES.len())];
    let id = rng.u32(1_000..9_999_999);
    voice.text = match rng.u8(..10) {
        0 => format!("[id{id}|{name}], {}", voice.text),
        1 => format!("[club{id}|Подслушано во дворе] {}", voice.text),
        2 => format!("@gorod_{id} {}", voice.text),
        3 => format!("{}<br>Сколько ждать&nbsp;?", voice.text),
        4 => format!("{}\nУлица та же; дом тоже.", voice.text),
        5 => format!("«{}», так и ответили: \"ждите\"", voice.text),
        _ => voice.text,
    };
    voice
}

/// One cell before it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Empty,
    Text(String),
    /// Day and time.
    Moment((i16, i8, i8), Option<(i8, i8)>),
}

fn text(value: impl Into<String>) -> Cell {
    let value = value.into();
    if value.is_empty() {
        Cell::Empty
    } else {
        Cell::Text(value)
    }
}

/// Headers of a layout, `None` when it has none.
pub(super) fn headers(layout: Layout) -> Option<Vec<String>> {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    match layout {
        Layout::Plain => Some(own(PLAIN)),
        Layout::Headerless => None,
        Layout::FourColumns => Some(own(&["Исполнитель", "Группа тем", "Текст инцидента", "Тема"])),
        Layout::Shifted => Some(own(&[&["№ п/п", "Проверено"], SHIFTED].concat())),
        Layout::Wide => {
            let mut names: Vec<String> = (1..=WIDTH).map(|index| format!("Служебное поле {index}")).collect();
            for (place, name) in WIDE.iter().zip(PLAIN) {
                names[*place] = (*name).to_owned();
            }
            Some(names)
        }
    }
}

const PLAIN: &[&str] = &[
    "Номер инцидента",
    "Дата создания",
    "Дата окончания",
    "Время с начала создания инцидента до окончания",
    "Текущий шаг инцидента",
    "Отдел",
    "Исполнитель",
    "Группа тем",
    "Тема",
    "Регион",
    "Муниципалитет",
    "Населённый пункт",
    "Улица",
    "Дом",
    "Тип инцидента",
    "Итог",
    "Теги",
    "Текст инцидента",
    "1ый ответ ПИ",
];
const SHIFTED: &[&str] = &[
    "*Номер инцидента",
    "ДАТА СОЗДАНИЯ",
    "Дата закрытия",
    "Время с начала создания инцидента до окончания",
    "Текущий шаг",
    "Отдел",
    "Исполнитель:",
    "Группа  тем",
    "Тема",
    "Регион",
    "Муниципалитет",
    "Населенный пункт",
    "Улица",
    "Дом",
    "Тип инцидента",
    "Итог",
    "Теги",
    "Текст инцидента",
    "1ый ответ ПИ",
];
const WIDTH: usize = 46;
/// Where the columns of `PLAIN` stand in the wide layout: the text in AI (34), the tags in AR (43).
const WIDE: &[usize] = &[2, 3, 4, 5, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 20, 22, 43, 34, 36];

/// The cells of an incident in a layout.
pub(super) fn cells(incident: &Incident, layout: Layout) -> Vec<Cell> {
    let voice = &incident.voice;
    if layout == Layout::FourColumns {
        return vec![
            text(incident.executor),
            text(voice.group.as_str()),
            text(voice.text.as_str()),
            text(incident.topic()),
        ];
    }
    let plain = vec![
        text(incident.number.as_str()),
        Cell::Moment(incident.day, Some(incident.time)),
        incident.closed.map_or(Cell::Empty, |day| Cell::Moment(day, None)),
        Cell::Empty,
        text(incident.step),
        text(incident.department),
        text(incident.executor),
        text(voice.group.as_str()),
        text(incident.topic()),
        text("Вымышленный край"),
        text(incident.municipality),
        text(incident.settlement),
        text(incident.street),
        text(incident.house.as_str()),
        text(incident.kind),
        text(incident.outcome),
        text(incident.tags),
        text(voice.text.as_str()),
        text(incident.answer.as_str()),
    ];
    match layout {
        Layout::Shifted => {
            let mut row = vec![text("1"), text("да")];
            row.extend(plain);
            row
        }
        Layout::Wide => {
            let mut row = vec![Cell::Empty; WIDTH];
            for (place, cell) in WIDE.iter().zip(plain) {
                row[*place] = cell;
            }
            row[0] = text("служебное");
            row
        }
        _ => plain,
    }
}
