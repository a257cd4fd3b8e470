//! Which headers a mapping knows, in Russian: what an office asks its operator for.

use std::fmt::Write as _;

use super::mapping::{self, FieldKind, FieldSpec, Mapping, Role};

/// The headers of a mapping by its name, of all mappings with `auto`; nothing for a name that is none.
pub fn known(name: &str) -> Option<String> {
    if name == mapping::AUTO {
        let all: Vec<String> = mapping::MAPPINGS.iter().map(|mapping| describe(mapping)).collect();
        return Some(all.join("\n"));
    }
    mapping::by_name(name).map(describe)
}

/// Names of the mappings, for people who wrote another one.
pub fn names() -> Vec<&'static str> {
    let names = mapping::MAPPINGS.iter().map(|mapping| mapping.name);
    names.chain([mapping::AUTO]).collect()
}

/// Parts of the list, by what the absence of a column means.
const PARTS: &[(Role, &str)] = &[
    (Role::Key, "Номер: если колонка есть, он нужен в каждой строке"),
    (Role::Subject, "Текст"),
    (Role::Important, "Нужны правилам: без них обращение может уйти не тому"),
    (Role::Optional, "Если есть в выгрузке"),
    (
        Role::Volatile,
        "Узнаются, но в сообщение не идут или изменением строки не считаются",
    ),
];

fn describe(mapping: &Mapping) -> String {
    let mut out = String::new();
    // Writing into a string can't fail, so the results are dropped.
    let _ = writeln!(out, "{} (mapping: {})", mapping.title, mapping.name);
    let _ = writeln!(
        out,
        "В строке заголовков нужно не меньше {} знакомых названий, среди них {}.\n\
         Регистр, ё и е, пробелы, переносы строк, кавычки и запятые не важны; похожие латинские буквы читаются как русские.",
        mapping.header_fields,
        mapping.wanted()
    );
    for (role, title) in PARTS {
        let mut fields = mapping.fields.iter().filter(|spec| spec.role == *role).peekable();
        if fields.peek().is_none() {
            continue;
        }
        let _ = writeln!(out, "\n{title}:");
        for spec in fields {
            field(spec, &mut out);
        }
    }
    out
}

fn field(spec: &FieldSpec, out: &mut String) {
    let kind = match spec.kind {
        FieldKind::Date | FieldKind::Term => ", дата",
        FieldKind::Text | FieldKind::Place => "",
    };
    let _ = writeln!(out, "  «{}» (поле {}{kind})", spec.header, spec.name);
    let others: Vec<String> = spec.aliases.iter().map(|alias| format!("«{alias}»")).collect();
    if !others.is_empty() {
        let _ = writeln!(out, "      или {}", others.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_every_field_is_printed() {
        let all = known(mapping::AUTO).expect("all");
        for mapping in mapping::MAPPINGS {
            let text = known(mapping.name).expect("a mapping");
            assert!(all.contains(&text));
            for spec in mapping.fields {
                assert!(text.contains(&format!("поле {}", spec.name)), "{}", spec.name);
                for spelling in spec.spellings() {
                    assert!(text.contains(&format!("«{spelling}»")), "{spelling}");
                }
            }
        }
        assert_eq!(known("poz"), None);
    }
}
