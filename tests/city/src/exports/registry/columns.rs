//! Headers and cells of each system. The first column is the number, the second can be overwritten freely.

use fastrand::Rng;

use super::{Life, RegistrySpec, System};
use crate::exports::incident::{Cell, sample_voice};

const BODIES: &[&str] = &[
    "Администрация города",
    "Управление дорог",
    "Управляющая  компания «Уют»",
    "Отдел образования",
];
const STREETS: &[&str] = &["Тихая", "Заречная", "Яблоневая"];
const DISTRICTS: &[&str] = &["Ленинский", "Свердловский", "Кировский"];

/// Headers in the order of [`rows`]. Odd versions spell some of them otherwise.
pub fn headers(system: System, version: u32) -> Vec<String> {
    let names: &[&str] = match system {
        System::Pos => POS,
        System::Uv => UV,
        System::Fz59 => FZ59,
        System::Votes => VOTES,
        System::Mss => MSS,
    };
    let spelled = |name: &&str| {
        if version % 2 == 1 {
            format!(" {}: ", name.to_uppercase().replace('Ё', "Е"))
        } else {
            format!("*{name}")
        }
    };
    names.iter().map(spelled).collect()
}

const POS: &[&str] = &[
    "Номер",
    "ФИО координатора",
    "Номер ЕПГУ",
    "Источник",
    "Верхнеуровневый ЛКО",
    "Категория",
    "Подкатегория",
    "Факт",
    "Организация, в которую поступило сообщение",
    "Организация, в которой находится сообщение",
    "Дата поступления",
    "Дата планируемого завершения работ",
    "Дата фактического завершения работ",
    "Стадия",
    "Статус",
    "Просрочено",
    "Фаст-трек",
    "Заявитель выбрал подачу по 59-ФЗ",
    "Тип решения",
    "Оценка ответа заявителем",
    "Повторное рассмотрение",
    "ФИО исполнителя",
];
const UV: &[&str] = &[
    "Номер сообщения",
    "Ответ",
    "Дата создания",
    "Автор",
    "Телефон",
    "Исполнитель",
    "Категория",
    "Тема",
    "Сезонная тема",
    "Текст сообщения",
    "Адрес",
    "Район",
    "Координаты",
    "Статус",
    "Срок ответа",
    "Опровержение",
    "Опровержение возможно до",
    "Оценка",
];
const FZ59: &[&str] = &[
    "Регистрационный номер",
    "Вид обращения",
    "Дата регистрации",
    "Способ поступления",
    "Заявитель",
    "Тип заявителя",
    "Телефон",
    "Почтовый адрес",
    "Количество заявителей",
    "Краткое содержание",
    "Тематика",
    "Исполнитель",
    "Перенаправлено в",
    "Срок исполнения",
    "Продлено до",
    "Статус",
];
const VOTES: &[&str] = &[
    "Номер голосования",
    "Вид голосования",
    "Название голосования",
    "Вариант ответа",
    "Голосов",
    "Доля голосов",
    "Всего участников",
    "Муниципалитет",
    "Дата начала",
    "Дата окончания",
];
const MSS: &[&str] = &["Учётный №", "Площадка", "Когда", "Суть", "Раздел", "Состояние"];

fn text(value: impl Into<String>) -> Cell {
    Cell::Text(value.into())
}

/// A mark for "nothing": snapshots write it in different ways.
fn nothing(version: u32) -> Cell {
    if version == 0 { Cell::Empty } else { text("-") }
}

fn yes_no(value: bool) -> Cell {
    text(if value { "Да" } else { "Нет" })
}

/// The rows of a message (of a vote: one for each option) with their keys.
pub fn rows(spec: &RegistrySpec, number: u64) -> Vec<(String, Vec<Cell>)> {
    let mut rng = Rng::with_seed(spec.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let life = Life::new(number, spec.version);
    let day = (2026, rng.i8(1..=6), rng.i8(1..=20));
    let row = Row {
        number,
        version: spec.version,
        life,
        day,
        time: (rng.i8(0..24), rng.i8(0..60)),
        body: BODIES[rng.usize(..BODIES.len())],
        other_body: "Министерство транспорта",
        address: format!("ул. {}, {}", STREETS[rng.usize(..STREETS.len())], rng.u8(1..90)),
        district: DISTRICTS[rng.usize(..DISTRICTS.len())],
    };
    match spec.system {
        System::Pos => vec![row.pos()],
        System::Uv => vec![row.uv()],
        System::Fz59 => vec![row.fz59()],
        System::Votes => row.votes(),
        System::Mss => vec![row.mss()],
    }
}

struct Row {
    number: u64,
    version: u32,
    life: Life,
    day: (i16, i8, i8),
    time: (i8, i8),
    body: &'static str,
    other_body: &'static str,
    address: String,
    district: &'static str,
}

impl Row {
    fn later(&self, days: i8) -> Cell {
        let (year, month, day) = self.day;
        Cell::Moment((year, month, day + days), None)
    }

    fn current_body(&self) -> &'static str {
        if self.life.forwarded {
            self.other_body
        } else {
            self.body
        }
    }

    fn rating(&self) -> Cell {
        self.life
            .rating
            .map_or(nothing(self.version), |rating| text(rating.to_string()))
    }

    fn pos(&self) -> (String, Vec<Cell>) {
        let voice = sample_voice(self.number);
        let key = (2_400_000 + self.number).to_string();
        let (stage, status) = [
            ("Координация", "На рассмотрении"),
            ("Исполнение", "В работе"),
            ("Утверждение", "Закрыто"),
        ][self.life.step as usize];
        let is_done = self.life.step == 2;
        let cells = vec![
            text(key.as_str()),
            // Staff change from snapshot to snapshot; that is no change of the message.
            text(format!("Сидорова  Анна  ({})", self.version)),
            text(format!("ЕПГУ-{}", 9_000 + self.number)),
            text(if self.number.is_multiple_of(2) {
                "Госуслуги"
            } else {
                "Виджет"
            }),
            text("Правительство края"),
            text(voice.group),
            text(voice.topic),
            nothing(self.version),
            text(self.body),
            text(self.current_body()),
            Cell::Moment(self.day, None),
            self.later(8),
            if is_done { self.later(5) } else { nothing(self.version) },
            text(stage),
            text(status),
            yes_no(false),
            yes_no(self.number.is_multiple_of(4)),
            if self.number.is_multiple_of(9) {
                text("Да, по 59-ФЗ")
            } else {
                text("Нет")
            },
            if is_done {
                text("Решено")
            } else {
                nothing(self.version)
            },
            self.rating(),
            yes_no(self.life.reopened),
            text("Петров  Пётр"),
        ];
        (key, cells)
    }

    fn uv(&self) -> (String, Vec<Cell>) {
        let voice = sample_voice(self.number);
        let key = (510_000 + self.number).to_string();
        let status = ["Новое", "В работе", "Решено"][self.life.step as usize];
        let answered = self.life.step == 2;
        let cells = vec![
            text(key.as_str()),
            if answered {
                text("Здравствуйте! Сделано; спасибо.")
            } else {
                Cell::Empty
            },
            Cell::Moment(self.day, Some(self.time)),
            text("Вера  П."),
            text("+7 900 000-00-01"),
            text(self.current_body()),
            text("Дворы"),
            text(voice.topic),
            yes_no(self.number.is_multiple_of(4)),
            text(format!("{}<br/>Сколько&nbsp;ждать?", voice.text)),
            text(self.address.as_str()),
            text(self.district),
            text("58.01, 56.25"),
            text(status),
            self.later(6),
            if self.life.reopened {
                self.later(7)
            } else {
                nothing(self.version)
            },
            if answered { self.later(8) } else { nothing(self.version) },
            self.rating(),
        ];
        (key, cells)
    }

    fn fz59(&self) -> (String, Vec<Cell>) {
        let voice = sample_voice(self.number);
        let key = format!("Г-{}/26", 100 + self.number);
        let status = ["Зарегистрировано", "На исполнении", "Дан ответ"][self.life.step as usize];
        let is_company = self.number.is_multiple_of(6);
        let cells = vec![
            text(key.as_str()),
            text("Жалоба"),
            Cell::Moment(self.day, None),
            text("ЕПГУ"),
            text(if is_company {
                "ООО «Ромашка»"
            } else {
                "Кузнецова Мария"
            }),
            text(if is_company {
                "Юридическое лицо"
            } else {
                "Физическое лицо"
            }),
            text("+7 900 000-00-02"),
            text("614000, г. Пермь, ул. Тихая, 1"),
            text(if self.number.is_multiple_of(8) { "12" } else { "1" }),
            text(format!("Прошу принять меры: \"{}\"; жду ответа", voice.text)),
            text(voice.topic),
            text(self.body),
            if self.life.forwarded {
                text(self.other_body)
            } else {
                nothing(self.version)
            },
            self.later(7),
            if self.number.is_multiple_of(10) {
                self.later(8)
            } else {
                nothing(self.version)
            },
            text(status),
        ];
        (key, cells)
    }

    fn votes(&self) -> Vec<(String, Vec<Cell>)> {
        let number = format!("Г{}", 30 + self.number);
        let counts = [10 + self.number, 1000 + u64::from(self.life.step)];
        let all: u64 = counts.iter().sum();
        let options = ["Сквер", "Спортивная площадка"];
        let row = |(option, count): (&str, u64)| {
            let share = (count * 1000 / all) as f64 / 10.0;
            let cells = vec![
                text(number.as_str()),
                text("Рейтинговое голосование"),
                text(format!("Что построить на ул. Тихой, участок {}?", self.number)),
                text(option),
                // As people write thousands.
                text(if count >= 1000 {
                    format!("{}\u{a0}{:03}", count / 1000, count % 1000)
                } else {
                    count.to_string()
                }),
                text(format!("{share:.1} %").replace('.', ",")),
                text(all.to_string()),
                text("Город Пермь"),
                Cell::Moment(self.day, None),
                self.later(8),
            ];
            (format!("{number}/{option}"), cells)
        };
        options.into_iter().zip(counts).map(row).collect()
    }

    fn mss(&self) -> (String, Vec<Cell>) {
        let voice = sample_voice(self.number);
        let key = format!("МСС-{}", self.number);
        let status = ["Принято", "В работе", "Готово"][self.life.step as usize];
        let cells = vec![
            text(key.as_str()),
            text("ВКонтакте"),
            Cell::Moment(self.day, Some(self.time)),
            text(format!("[id{}|Оля], {}", self.number, voice.text)),
            text(voice.group),
            text(status),
        ];
        (key, cells)
    }
}
