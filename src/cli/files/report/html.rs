//! The report as one HTML file: no scripts, no addresses, everything escaped. It opens from a disk without a network.

use super::sections::Section;

const STYLE: &str = "body{font:15px/1.45 sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1b1b}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ccc}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;\
border-bottom:1px solid #e4e4e4}th{background:#f3f3f3}p{margin:.3rem 0;white-space:pre-line}.none{color:#777}\
@media print{body{margin:0;max-width:none}h2{break-after:avoid}}";

/// Renders the whole page.
pub fn render(sections: &[Section]) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"ru\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Приём: взгляд на выгрузки</title><style>{STYLE}</style></head><body>\n<h1>Взгляд на выгрузки</h1>\n"
    );
    for section in sections {
        out.push_str(&format!("<h2>{}</h2>\n", escape(&section.title)));
        for note in &section.notes {
            out.push_str(&format!("<p>{}</p>\n", escape(note)));
        }
        if section.rows.is_empty() {
            out.push_str("<p class=\"none\">Нет.</p>\n");
            continue;
        }
        out.push_str("<table><thead><tr>");
        for title in &section.header {
            out.push_str(&format!("<th>{}</th>", escape(title)));
        }
        out.push_str("</tr></thead><tbody>\n");
        for row in &section.rows {
            out.push_str("<tr>");
            for cell in row {
                out.push_str(&format!("<td>{}</td>", escape(cell)));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table>\n");
    }
    out.push_str("</body></html>\n");
    out
}

/// Text as HTML text or a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_file_becomes_markup() {
        let section = Section {
            title: "<script>alert(1)</script>".into(),
            notes: vec!["\"><img src=x onerror=alert(2)>".into()],
            header: vec!["a"],
            rows: vec![vec!["<b>'&\u{0}</b>".into()]],
        };
        let page = render(&[section]);
        assert!(
            !page.contains("<script") && !page.contains("<img") && !page.contains("<b>"),
            "{page}"
        );
        assert!(page.contains("&lt;b&gt;&#39;&amp; &lt;/b&gt;"), "{page}");
    }
}
