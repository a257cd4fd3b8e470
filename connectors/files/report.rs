//! What is written beside a file in `failed/`, and in `done/` when something about it should be known: in Russian, for the
//! people who put it there.

use priem_tables::dates::Order;

use super::{cursor::FileCursor, notes::Note, problem::FileProblem, table::Table, when};

/// Bad rows named by their numbers.
pub const LISTED_ROWS: usize = 10;
/// Columns listed one by one.
const LISTED: usize = 40;

/// Beside a file that can't be read.
pub fn failed(standing: &FileCursor, problem: &FileProblem) -> String {
    let mut text = format!("Файл: {}\n\n{}\n", standing.file, problem.russian());
    if standing.good + standing.bad > 0 {
        text.push_str(&format!(
            "\nДо этого места принято строк: {}, отложено в карантин: {}.\n",
            standing.good, standing.bad
        ));
    }
    text.push_str(&format!("\nКод: {}\n", problem.reason()));
    text
}

/// Beside a file that was read to its end, when there is anything to tell of it but that. `opened`: the file once more, to
/// say what of it was guessed and left out.
/// `older`: changes that were left out.
pub fn done(standing: &FileCursor, older: u64, opened: Option<&Table>) -> Option<String> {
    if !standing.tell && older == 0 {
        return None;
    }
    let mut text = format!("Файл: {}\n\n", standing.file);
    if standing.again {
        text.push_str(
            "Этот файл уже принимался: его содержимое то же до последнего байта. Ничего не изменено.\n\
             Если файл нужно принять ещё раз, выгрузите его заново.\n",
        );
        return Some(text);
    }
    text.push_str(&format!(
        "Принято строк: {}, отложено в карантин: {}.\n",
        standing.good, standing.bad
    ));
    if standing.good + standing.bad == 0 {
        text.push_str(&format!("\n{}\n", FileProblem::NoRows.russian()));
    } else if standing.good == 0 {
        text.push_str("\nНи одна строка не принята.\n");
    }
    bad_rows(standing, &mut text);
    if standing.skipped > 0 {
        text.push_str(&format!(
            "Пропущено строк: {} (нумерация колонок, итоги и отметки программы под таблицей).\n",
            standing.skipped
        ));
    }
    if standing.twice > 0 {
        text.push_str(&format!(
            "Строк с номером, который в этом файле уже был: {}. Каждая принята как изменение предыдущей: последняя \
             действует. Проверьте, так ли это.\n",
            standing.twice
        ));
    }
    if standing.turned > 0 {
        text.push_str(&format!(
            "Ячеек адреса, которые Excel превратил в дату («5/1» в 5 января): {}. Что в них стояло, узнать нельзя: в адрес \
             сообщения они не попали. Перед вводом задайте колонке формат «Текстовый».\n",
            standing.turned
        ));
    }
    if standing.unread > 0 {
        text.push_str(&format!(
            "Ячеек, которые не удалось прочитать: {}. Это даты, которые ни на что не похожи или не могут быть верны (они остались \
             текстом, срок и время по ним не считаются), отметки не «да» и не «нет» и ошибки Excel («#Н/Д»). Какие это колонки, покажет priem files \
             probe; пишите дату как 31.12.2026 или 31.12.2026 14:30.\n",
            standing.unread
        ));
    }
    if older > 0 {
        let newest = standing.as_of.map_or(String::new(), |as_of| {
            format!(" (самая новая — {})", when::russian(as_of))
        });
        text.push_str(&format!(
            "Изменений, которые старше уже известного: {older}. Назад ничего не изменено: судя по датам{newest}, файл выгружен раньше \
             того, по которому эти номера уже известны, или в нём то, что уже сменилось. Новые номера приняты. Если это не \
             так, выгрузите файл заново.\n"
        ));
    }
    if standing.order == Order::MonthFirst {
        notes(&[Note::MonthFirst], &mut text);
    }
    if let Some(table) = opened {
        notes(&table.notes, &mut text);
        columns(table, &mut text);
    }
    Some(text)
}

fn bad_rows(standing: &FileCursor, text: &mut String) {
    if standing.bad == 0 {
        return;
    }
    let numbers: Vec<String> = standing.bad_rows.iter().map(u64::to_string).collect();
    let more = match standing.bad > numbers.len() as u64 {
        true => " …",
        false => "",
    };
    text.push_str(&format!(
        "Отложены строки {}{more}: почему, покажут priem quarantine list и priem files probe.\n",
        numbers.join(", ")
    ));
}

fn notes(notes: &[Note], text: &mut String) {
    for note in notes {
        text.push_str(&format!("\n- {}", note.russian()));
    }
    if !notes.is_empty() {
        text.push('\n');
    }
}

fn columns(table: &Table, text: &mut String) {
    let missing = table.layout.missing();
    if !missing.is_empty() {
        text.push_str(&format!("\nНет важных колонок: {}.\n", missing.join(", ")));
    }
    let unknown = table.layout.unknown_columns();
    if unknown.is_empty() {
        return;
    }
    let more = match unknown.len() > LISTED {
        true => format!(" и ещё {}", unknown.len() - LISTED),
        false => String::new(),
    };
    let listed = unknown.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    text.push_str(&format!(
        "\nНезнакомые колонки (хранятся в исходной строке, в сообщение не попадают): {listed}{more}.\n\
         Какие колонки программа знает: priem files columns {}\n",
        table.layout.mapping.name
    ));
}
