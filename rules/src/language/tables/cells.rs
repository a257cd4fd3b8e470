//! Every row of a table, cell by cell. All findings are collected.

use priem_message::Recipient;
use priem_tables::dates::day_in_full;

use super::columns::{Column, Columns};
use super::sheet::{Sheet, plain};
use crate::clock::dates::Dates;
use crate::engine::fields::Field;
use crate::engine::model::add_new;
use crate::engine::model::{Copy, Target};
use crate::engine::places::Territories;
use crate::language::rules::is_queue;
use priem_yaml::nearest;

/// Cells that mean «any», besides an empty one.
const ANY: &[&str] = &["-", "–", "—", "*", "все", "любая", "любой", "любое"];
/// What a formula that failed shows, in both languages of the editor.
const FAILED: &[&str] = &[
    "#n/a",
    "#н/д",
    "#ref!",
    "#ссылка!",
    "#value!",
    "#знач!",
    "#div/0!",
    "#дел/0!",
    "#name?",
    "#имя?",
    "#null!",
    "#пусто!",
    "#num!",
    "#число!",
];

/// A row that was understood.
#[derive(Debug)]
pub(super) struct Row {
    /// As the spreadsheet shows it.
    pub(super) number: u64,
    /// Values of which one must fit; empty: any.
    pub(super) territory: Vec<String>,
    /// Ids of sectors.
    pub(super) sector: Vec<String>,
    pub(super) topic: Vec<String>,
    pub(super) dates: Dates,
    pub(super) target: Target,
    /// What it asks for, in Russian.
    pub(super) shown: String,
    /// Column that errors about the whole row point at.
    pub(super) place: usize,
}

/// What the rules say that cells are checked against.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    /// Ids and Russian names.
    pub(super) sectors: &'k [(String, String)],
    /// Described territories, when any are.
    pub(super) territories: Option<&'k Territories>,
    /// Whether the rules have a clock.
    pub(super) has_zone: bool,
}

/// Reads every row; `common` is what all of them inherit. Rows with an error are left out.
pub(super) fn rows(sheet: &mut Sheet<'_>, known: Known<'_>, common: &Target) -> Vec<Row> {
    let columns = Columns::read(sheet);
    if !columns.has_key() {
        // Every row would be an error of its own.
        return Vec::new();
    }
    let rows = sheet.rows;
    if rows.is_empty() {
        let row = sheet.header.0;
        sheet.row_error(
            row,
            "под шапкой нет ни одной строки",
            "заполните таблицу или уберите её из правил",
        );
    }
    let has_dates = |(_, cells): &(u64, Vec<String>)| {
        let places = [columns.place(Column::From), columns.place(Column::Until)];
        places
            .into_iter()
            .flatten()
            .any(|at| cells.get(at).is_some_and(|cell| !cell.trim().is_empty()))
    };
    if !known.has_zone
        && let Some((row, _)) = rows.iter().find(|row| has_dates(row))
    {
        sheet.row_error(
            *row,
            "у строки есть даты действия, но в правилах не задан часовой пояс",
            "добавьте в один из файлов правил строку «zone: Asia/Yekaterinburg»",
        );
    }
    let mut read = Vec::with_capacity(rows.len());
    for (number, cells) in rows {
        if repeats(sheet.header.1, cells) {
            sheet.row_error(
                *number,
                "повторяет шапку таблицы",
                "удалите эту строку: шапка бывает одна",
            );
            continue;
        }
        let before = sheet.errors.len();
        let mut reading = Reading {
            sheet,
            columns: &columns,
            number: *number,
            cells,
        };
        let row = reading.row(known, common);
        if sheet.errors.len() == before {
            read.push(row);
        }
    }
    read
}

/// Whether a row says what the header says.
fn repeats(header: &[String], cells: &[String]) -> bool {
    let says_the_same = |(at, cell): (usize, &String)| {
        cell.trim().is_empty() || header.get(at).is_some_and(|header| plain(header) == plain(cell))
    };
    cells.iter().enumerate().all(says_the_same)
}

/// Whether a cell shows a formula that failed.
fn is_failed(text: &str) -> bool {
    text.trim_start().starts_with('#') && FAILED.contains(&plain(text).as_str())
}

/// One row being read.
struct Reading<'s, 't, 'c> {
    sheet: &'s mut Sheet<'t>,
    columns: &'c Columns,
    number: u64,
    cells: &'t [String],
}

impl<'t> Reading<'_, 't, '_> {
    fn row(&mut self, known: Known<'_>, common: &Target) -> Row {
        self.check_cells();
        let territory = self.values(Column::Territory, Field::Territory);
        self.check_territories(known.territories, &territory);
        let (sector, sector_names) = self.sectors(known.sectors);
        let topic = self.values(Column::Topic, Field::Topic);
        let dates = self.dates();
        let mut shown = Vec::new();
        for (what, values) in [("территория", &territory), ("отрасль", &sector_names), ("тема", &topic)]
        {
            if !values.is_empty() {
                shown.push(format!("{what} «{}»", values.join("» или «")));
            }
        }
        if shown.is_empty() {
            shown.push("для всех".to_owned());
        }
        if !dates.is_always() {
            shown.push(format!("действует {}", dates.shown()));
        }
        let keys = [Column::Territory, Column::Sector, Column::Topic];
        Row {
            number: self.number,
            territory,
            sector,
            topic,
            dates,
            target: self.target(common),
            shown: shown.join(", "),
            place: keys.iter().find_map(|key| self.columns.place(*key)).unwrap_or(0),
        }
    }

    /// Cells without a column, and formulas that failed.
    fn check_cells(&mut self) {
        for (at, cell) in self.cells.iter().enumerate() {
            if cell.trim().is_empty() {
                continue;
            }
            let header = self.sheet.header.1.get(at);
            if header.is_none_or(|header| header.trim().is_empty()) {
                self.error(
                    at,
                    "у столбца нет заголовка",
                    "впишите заголовок в шапку или очистите ячейку",
                );
            } else if is_failed(cell) && self.columns.at(at) != Some(Column::Note) {
                self.error(
                    at,
                    format!("формула с ошибкой «{}»", cell.trim()),
                    "исправьте формулу или впишите значение",
                );
            }
        }
    }

    fn error(&mut self, column: usize, problem: impl std::fmt::Display, cure: impl Into<String>) {
        let quote = self.cells.get(column).map_or("", String::as_str);
        self.sheet.cell_error(self.number, column, quote, problem, cure);
    }

    /// Place and text of a cell that says something.
    fn text(&self, column: Column) -> Option<(usize, &'t str)> {
        let place = self.columns.place(column)?;
        let text = self.cells.get(place)?.trim();
        (!text.is_empty() && !is_failed(text)).then_some((place, text))
    }

    /// Values of a cell, parted by «;» or lines; none means any.
    fn written(&self, column: Column) -> Option<(usize, Vec<&'t str>)> {
        let (place, text) = self.text(column)?;
        let values = text.split([';', '\n']).map(str::trim);
        let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
        if values.iter().all(|value| ANY.contains(&plain(value).as_str())) {
            return None;
        }
        Some((place, values))
    }

    fn values(&mut self, column: Column, field: Field) -> Vec<String> {
        let Some((place, written)) = self.written(column) else {
            return Vec::new();
        };
        let mut values = Vec::new();
        for value in written {
            if field.normalise(value).is_empty() {
                let what = column.header();
                self.error(
                    place,
                    format!("«{what}»: в «{value}» нет ни одной буквы"),
                    "впишите название или очистите ячейку: пустая значит «любая»",
                );
            } else {
                add_new(&mut values, [value.to_owned()]);
            }
        }
        values
    }

    /// Reports territories that no file describes, when any are described.
    fn check_territories(&mut self, known: Option<&Territories>, values: &[String]) {
        let Some((known, place)) = known.zip(self.columns.place(Column::Territory)) else {
            return;
        };
        for value in values.iter().filter(|value| known.meant(value).is_none()) {
            let cure = match nearest(value, known.gazetteer().known()) {
                Some(near) if near != value => format!("возможно, вы имели в виду «{near}»"),
                Some(_) => "так называется несколько территорий: впишите код".to_owned(),
                None => "опишите её в разделе territories или исправьте ячейку".to_owned(),
            };
            self.error(place, format!("территория «{value}» не описана в правилах"), cure);
        }
    }

    /// Ids and Russian names of the sectors of a cell.
    fn sectors(&mut self, known: &[(String, String)]) -> (Vec<String>, Vec<String>) {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        let Some((place, written)) = self.written(Column::Sector) else {
            return (ids, names);
        };
        for value in written {
            let wanted = plain(value);
            let found = known
                .iter()
                .find(|(id, name)| plain(id) == wanted || plain(name) == wanted);
            match found {
                Some((id, name)) => {
                    add_new(&mut ids, [id.clone()]);
                    add_new(&mut names, [name.clone()]);
                }
                None if known.is_empty() => {
                    add_new(&mut ids, [value.to_owned()]);
                    add_new(&mut names, [value.to_owned()]);
                }
                None => {
                    let spellings = known.iter().flat_map(|(id, name)| [id.as_str(), name.as_str()]);
                    let cure = match nearest(value, spellings) {
                        Some(name) => format!("возможно, вы имели в виду «{name}»"),
                        None => {
                            let names: Vec<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
                            format!(
                                "впишите код или название из раздела sectors: {}; несколько — через «;»",
                                names.join(", ")
                            )
                        }
                    };
                    self.error(place, format!("отрасль «{value}» не объявлена в правилах"), cure);
                }
            }
        }
        (ids, names)
    }

    fn dates(&mut self) -> Dates {
        let dates = Dates {
            from: self.day(Column::From),
            until: self.day(Column::Until),
        };
        if !dates.is_possible()
            && let Some((place, _)) = self.text(Column::Until)
        {
            self.error(
                place,
                format!("действует {}: конец раньше начала", dates.shown()),
                "исправьте одну из дат",
            );
        }
        dates
    }

    fn day(&mut self, column: Column) -> Option<jiff::civil::Date> {
        let (place, text) = self.text(column)?;
        // A day of a spreadsheet may come with its midnight.
        let day = day_in_full(text.strip_suffix("T00:00:00").unwrap_or(text));
        if day.is_none() {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            let cure = if is_number {
                "задайте ячейке формат даты: сейчас это число"
            } else {
                "напишите день, месяц и год целиком: 31.12.2026"
            };
            self.error(place, format!("«{}»: непонятная дата «{text}»", column.header()), cure);
        }
        day
    }

    fn target(&mut self, common: &Target) -> Target {
        let mut target = common.clone();
        if let Some(recipient) = self.recipient(Column::Organisation, Column::Role, Some(&common.recipient)) {
            target.recipient = recipient;
        }
        if let Some(queue) = self.queue(Column::Queue) {
            target.queue = queue;
        }
        if let Some((place, text)) = self.text(Column::Priority) {
            match text.parse::<u8>() {
                Ok(priority) if priority <= 9 => target.priority = Some(priority),
                _ => self.error(
                    place,
                    format!("срочность «{text}» не годится"),
                    "напишите целое число от 0 до 9",
                ),
            }
        }
        let queue = self.queue(Column::CopyQueue);
        match (self.recipient(Column::Copy, Column::CopyRole, None), queue) {
            (Some(recipient), Some(queue)) => add_new(&mut target.also, [Copy { recipient, queue }]),
            (None, None) => {}
            (given, _) => {
                let (filled, missing) = if given.is_some() {
                    (Column::Copy, Column::CopyQueue)
                } else {
                    (Column::CopyQueue, Column::Copy)
                };
                // A queue that is no queue is told already.
                if self.text(missing).is_none() {
                    let place = self.columns.place(missing).or(self.columns.place(filled)).unwrap_or(0);
                    let problem = format!("заполнен столбец «{}», а «{}» нет", filled.header(), missing.header());
                    self.error(place, problem, "у копии нужны и организация, и очередь");
                }
            }
        }
        target
    }

    /// An organisation with its role. A column that is there must be filled, unless it is that of a copy.
    fn recipient(&mut self, organisation: Column, role: Column, parent: Option<&Recipient>) -> Option<Recipient> {
        let role = self.text(role);
        let of_role = |role: Option<(usize, &str)>| role.map(|(_, text)| text.to_owned());
        if let Some((_, name)) = self.text(organisation) {
            return Some(Recipient {
                organisation: name.to_owned(),
                role: of_role(role),
            });
        }
        match (self.columns.place(organisation), parent) {
            (Some(place), Some(_)) => {
                // A formula that failed is told already.
                if self.cells.get(place).is_none_or(|cell| cell.trim().is_empty()) {
                    self.error(
                        place,
                        "организация не названа",
                        "впишите организацию-получателя или удалите строку",
                    );
                }
                None
            }
            (None, Some(parent)) => role.is_some().then(|| Recipient {
                organisation: parent.organisation.clone(),
                role: of_role(role),
            }),
            (_, None) => {
                if let Some((place, _)) = role {
                    self.error(
                        place,
                        "роль копии без организации",
                        "впишите организацию копии или очистите роль",
                    );
                }
                None
            }
        }
    }

    fn queue(&mut self, column: Column) -> Option<String> {
        let (place, text) = self.text(column)?;
        if !is_queue(text) {
            self.error(
                place,
                format!("ключ маршрутизации «{text}» не годится"),
                "без пробелов, «*» и «#», до 255 байт; например mcu.roads",
            );
            return None;
        }
        Some(text.to_owned())
    }
}
