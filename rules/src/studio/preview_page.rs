//! A comparison of rules for people: lines for a terminal, and a page in one file to attach to an approval.

use std::fmt::Write;

use jiff::Zoned;

use super::{evaluate::percent, preview::Preview};

/// Moves printed in a terminal; the page has all.
const LISTED: usize = 30;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}\
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;\
border-bottom:1px solid #ccc}td.n{text-align:right;font-variant-numeric:tabular-nums}small{color:#555}\
details{margin:.3rem 0}@media print{details{break-inside:avoid}}";

fn share(part: usize, whole: usize) -> String {
    percent(super::evaluate::share(part, whole))
}

/// For a terminal.
pub fn text(preview: &Preview) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Правила {} → {}", preview.old_version, preview.new_version);
    let _ = writeln!(
        out,
        "Сообщений: {}; уйдут в другое место: {} ({}); изменятся на месте: {}",
        preview.messages,
        preview.moved,
        share(preview.moved, preview.messages),
        preview.changed
    );
    let _ = writeln!(
        out,
        "Только маршрут по умолчанию: было {}, станет {}",
        preview.default_old, preview.default_new
    );
    if preview.unreadable > 0 {
        let _ = writeln!(out, "Не удалось прочитать: {}", preview.unreadable);
    }
    for (what, count) in &preview.changes {
        let _ = writeln!(out, "Меняется {what}: {count}");
    }
    for found in preview.moves.iter().take(LISTED) {
        let _ = writeln!(
            out,
            "\n{:>6}  было:  {}\n        будет: {}",
            found.count,
            found.from.line(),
            found.to.line()
        );
        for sample in &found.samples {
            let _ = writeln!(out, "          · {}", sample.excerpt);
        }
    }
    if preview.moves.len() > LISTED {
        let _ = writeln!(out, "\n… и ещё направлений: {}", preview.moves.len() - LISTED);
    }
    out
}

/// A page without links, scripts and images.
pub fn html(preview: &Preview, made: &Zoned) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"ru\"><head><meta charset=\"utf-8\"><title>Сравнение автоправил</title>\
         <style>{STYLE}</style></head><body>\n<h1>Сравнение автоправил</h1>\n\
         <p>Действуют: <b>{}</b>. Предлагаются: <b>{}</b>. Составлено {}.</p>\n",
        escape(&preview.old_version),
        escape(&preview.new_version),
        made.strftime("%d.%m.%Y %H:%M %Z")
    );
    let rows = [
        ("Сообщений рассмотрено", preview.messages.to_string()),
        (
            "Уйдут в другое место",
            format!("{} ({})", preview.moved, share(preview.moved, preview.messages)),
        ),
        (
            "Останутся, но изменятся метки, срочность, сроки или копии",
            preview.changed.to_string(),
        ),
        ("Только маршрут по умолчанию, сейчас", preview.default_old.to_string()),
        ("Только маршрут по умолчанию, станет", preview.default_new.to_string()),
        ("Не удалось прочитать", preview.unreadable.to_string()),
    ];
    out.push_str("<table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><td>{name}</td><td class=n>{value}</td></tr>");
    }
    for (what, count) in &preview.changes {
        let _ = write!(
            out,
            "<tr><td>Меняется: {}</td><td class=n>{count}</td></tr>",
            escape(what)
        );
    }
    out.push_str("</table>\n<h2>Что куда перейдёт</h2>\n");
    if preview.moves.is_empty() {
        out.push_str("<p>Ничего: все сообщения остаются там же.</p>");
    } else {
        out.push_str("<table><tr><th>Сообщений</th><th>Было</th><th>Будет</th></tr>");
        for found in &preview.moves {
            let _ = write!(
                out,
                "<tr><td class=n>{}</td><td>{}</td><td>{}",
                found.count,
                escape(&found.from.line()),
                escape(&found.to.line())
            );
            if !found.samples.is_empty() {
                out.push_str("<details><summary>Примеры</summary>");
                for sample in &found.samples {
                    let _ = write!(
                        out,
                        "<p>{}<br><small>было: {}; будет: {}</small></p>",
                        escape(&sample.excerpt),
                        escape(&sample.old_rules.join(", ")),
                        escape(&sample.new_rules.join(", "))
                    );
                }
                out.push_str("</details>");
            }
            out.push_str("</td></tr>");
        }
        out.push_str("</table>");
    }
    out.push_str(
        "\n<p><small>Имена, числа и ссылки в примерах закрыты автоматически, по виду слов. Перед передачей за пределы \
         организации просмотрите примеры.</small></p>\n</body></html>\n",
    );
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        RuleSet,
        studio::{history, preview::Comparison},
    };

    fn preview() -> Preview {
        let set = |word: &str| {
            let text = format!(
                "version: 1\nclassify:\n  - {{ id: a, name: А, when: {{ text: {word} }}, set: {{ sector: roads }} }}\n\
                 route: {{ id: r, name: К, to: {{ organisation: «М» & <К> }}, queue: q }}\n"
            );
            RuleSet::parse(&[("a.yaml".into(), text)]).expect("valid rules")
        };
        let (old, new) = (set("яма"), set("снег"));
        let mut comparison = Comparison::new(&old, &new, 2);
        comparison.take(&history::message("Яма <b>у</b> дома"));
        comparison.finish()
    }

    #[test]
    fn the_page_stands_alone_and_is_escaped() {
        let made = "2026-01-15T10:00[Asia/Yekaterinburg]".parse().expect("a moment");
        let page = html(&preview(), &made);
        assert!(page.contains("&lt;К&gt;") && !page.contains("<К>"), "{page}");
        assert!(page.contains("15.01.2026 10:00"), "{page}");
        for outside in ["http://", "https://", "<script", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_lines_say_from_where_to_where() {
        let lines = text(&preview());
        assert!(
            lines.contains("было:  roads") && lines.contains("будет: без отрасли"),
            "{lines}"
        );
    }
}
