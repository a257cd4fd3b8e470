//! Labelled history: messages of the past with the answer that people gave.
//!
//! The texts are personal data: they stay in memory, and nothing prints them unless asked to, and then masked.

use std::path::Path;

use priem_message::{EventType, Kind, Message, MessageData, Regime, html, text};
use priem_tables::PlainTable;

/// One message with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// Row as a spreadsheet shows it.
    pub row: u64,
    /// Plain text: markup is gone.
    pub text: String,
    /// What people decided, as the file writes it.
    pub label: String,
}

/// Reads a CSV or XLSX file with a column of texts (plain or HTML) and a column of labels. Rows with an empty label are
/// left out; an empty text is not: rules meet such messages too.
///
/// # Errors
/// One sentence: the file can't be read, or a column is not there.
pub fn read(path: &Path, text_column: &str, label_column: &str) -> Result<Vec<Labelled>, String> {
    let table =
        PlainTable::read(path, &std::env::temp_dir()).map_err(|error| format!("{}: {error}", path.display()))?;
    let column = |name: &str| {
        table.column(name).ok_or_else(|| {
            format!(
                "{}: нет столбца «{name}»; есть: {}",
                path.display(),
                table.header.join(", ")
            )
        })
    };
    let (text_at, label_at) = (column(text_column)?, column(label_column)?);
    let cell = |cells: &[String], at: usize| cells.get(at).map(|cell| cell.trim().to_owned()).unwrap_or_default();
    let rows = table.rows.iter().map(|(row, cells)| Labelled {
        row: *row,
        text: plain(&cell(cells, text_at)),
        label: cell(cells, label_at),
    });
    Ok(rows.filter(|row| !row.label.is_empty()).collect())
}

/// Text without markup; ПОС writes back-ticks for the quotes of attributes, and escapes markup twice at times.
fn plain(source: &str) -> String {
    let once = html::to_text(source);
    if text::has_html(&once) || once.contains("&nbsp;") {
        return html::to_text(&once);
    }
    once
}

/// A message with nothing but a text, as from a channel that gives no topic.
pub fn message(text: &str) -> Message {
    let mut data = MessageData::new("telegram", Kind::Direct, Regime::OpenSourceMessage);
    data.connector = "history".into();
    data.external.id = "history".into();
    data.body.text = text.to_owned();
    Message::new(EventType::Received, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_words_stay() {
        assert_eq!(plain("<p style=`color: red`>Яма&nbsp;у дома</p>"), "Яма у дома");
        assert_eq!(plain("&lt;p&gt;Яма&lt;/p&gt;"), "Яма");
        assert_eq!(plain("5 < 6"), "5 < 6");
    }

    #[test]
    fn a_missing_column_names_those_there_are() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.csv");
        std::fs::write(&file, "текст,код\nЯма,1\nБез ответа,\n").expect("written");
        let error = read(&file, "текст", "отрасль").expect_err("no such column");
        assert!(error.contains("«отрасль»") && error.contains("текст, код"), "{error}");
        let rows = read(&file, "текст", "код").expect("rows");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].row, rows[0].label.as_str()), (2, "1"));
    }
}
