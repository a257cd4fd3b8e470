//! The columns of a table by their Russian headers.

use super::sheet::{Sheet, cell, plain};
use priem_yaml::nearest;

/// What a column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Territory,
    Sector,
    Topic,
    Organisation,
    Role,
    Queue,
    Priority,
    From,
    Until,
    Copy,
    CopyRole,
    CopyQueue,
    Note,
}

/// Every header: the first of a column is the one that documentation and messages use.
const HEADERS: &[(Column, &[&str])] = &[
    (
        Column::Territory,
        &[
            "Территория",
            "Район",
            "Округ",
            "Муниципальное образование",
            "Территориальная единица",
        ],
    ),
    (Column::Sector, &["Отрасль", "Сфера", "Направление", "Отраслевой блок"]),
    (Column::Topic, &["Тема", "Тематика", "Категория"]),
    (
        Column::Organisation,
        &["Организация", "Получатель", "Исполнитель", "Ответственная организация"],
    ),
    (Column::Role, &["Роль"]),
    (Column::Queue, &["Очередь", "Ключ маршрутизации"]),
    (Column::Priority, &["Приоритет", "Срочность"]),
    (Column::From, &["Действует с", "Начало действия"]),
    (Column::Until, &["Действует по", "Окончание действия"]),
    (Column::Copy, &["Копия", "Копия организации"]),
    (Column::CopyRole, &["Роль копии"]),
    (Column::CopyQueue, &["Очередь копии"]),
    (Column::Note, &["Примечание", "Комментарий", "№", "№ п/п"]),
];

impl Column {
    /// The column of a header.
    pub(super) fn of(header: &str) -> Option<Self> {
        let wanted = plain(header.trim_end_matches([':', '*', ' ']));
        let mut headers = HEADERS.iter();
        headers
            .find(|(_, names)| names.iter().any(|name| plain(name) == wanted))
            .map(|(column, _)| *column)
    }

    /// Its header in messages.
    pub(super) fn header(self) -> &'static str {
        let mut headers = HEADERS.iter();
        let found = headers.find(|(column, _)| *column == self);
        found.expect("every column has a header").1[0]
    }
}

/// Where every column stands.
pub(super) struct Columns(Vec<Option<Column>>);

impl Columns {
    /// Reads the header. Reports columns that are unknown, come twice, or are missing.
    pub(super) fn read(sheet: &mut Sheet<'_>) -> Self {
        let (row, cells) = sheet.header;
        let mut columns = Self(Vec::with_capacity(cells.len()));
        for (at, header) in cells.iter().enumerate() {
            if plain(header).is_empty() {
                columns.0.push(None);
                continue;
            }
            let column = Column::of(header);
            match column {
                None => sheet.cell_error(
                    row,
                    at,
                    header,
                    format!("неизвестный столбец «{header}»"),
                    guess(header),
                ),
                Some(Column::Note) => {}
                Some(column) => {
                    if let Some(first) = columns.place(column) {
                        let problem = format!("столбец «{}» уже есть: {}", column.header(), cell(row, first));
                        sheet.cell_error(row, at, header, problem, "оставьте один из них");
                    }
                }
            }
            columns.0.push(column);
        }
        if !columns.has_key() {
            sheet.row_error(
                row,
                "в шапке нет ни одного из столбцов «Территория», «Отрасль», «Тема»",
                "добавьте столбец, по которому выбирается получатель; шапка — первая непустая строка",
            );
        }
        if !columns.has_any(&[Column::Organisation, Column::Queue, Column::Copy, Column::Priority]) {
            sheet.row_error(
                row,
                "в шапке нет столбца «Организация»: таблица никого не называет",
                "добавьте столбец «Организация» (или «Очередь», «Копия»)",
            );
        }
        columns
    }

    /// What stands in a column.
    pub(super) fn at(&self, place: usize) -> Option<Column> {
        self.0.get(place).copied().flatten()
    }

    /// Where a column stands.
    pub(super) fn place(&self, column: Column) -> Option<usize> {
        self.0.iter().position(|known| *known == Some(column))
    }

    /// Whether there is a column to choose by.
    pub(super) fn has_key(&self) -> bool {
        self.has_any(&[Column::Territory, Column::Sector, Column::Topic])
    }

    fn has_any(&self, wanted: &[Column]) -> bool {
        wanted.iter().any(|column| self.place(*column).is_some())
    }
}

fn guess(header: &str) -> String {
    let names = HEADERS.iter().flat_map(|(_, names)| names.iter().copied());
    match nearest(header.trim(), names) {
        Some(name) => format!("возможно, вы имели в виду «{name}»"),
        None => {
            let known: Vec<&str> = HEADERS.iter().map(|(_, names)| names[0]).collect();
            format!(
                "допустимо: {}; столбец для себя назовите «Примечание»",
                known.join(", ")
            )
        }
    }
}
