//! Parts of the starter set that a rule set of one's own can stand on: `include: [sectors, text]`. `themes` are the
//! conditions of `text` to use by name.
//!
//! An included part takes its place among the files by its name, so that `05-own.yaml` comes before the words of
//! `20-text.yaml` and `30-routes.yaml` after them. Its tests stay at home: they know the starter set's routes.

use std::path::{Path, PathBuf};

use super::{compile::read_includes, load, themes};

/// Folder that the file names of included parts are shown with.
const FOLDER: &str = "built-in";

/// Name, file name, text.
type Part = (&'static str, &'static str, fn() -> &'static str);

/// What can be included.
pub(crate) const PARTS: [Part; 9] = [
    ("sectors", "10-sectors.yaml", || {
        include_str!("../../../config/rules/10-sectors.yaml")
    }),
    ("text", "20-text.yaml", || {
        include_str!("../../../config/rules/20-text.yaml")
    }),
    ("themes", "15-themes.yaml", themes::text),
    ("deadlines", "40-deadlines.yaml", || {
        include_str!("../../../config/rules/40-deadlines.yaml")
    }),
    ("calendar-2026", "calendar-2026.yaml", || {
        include_str!("../../../config/calendars/ru-2026.yaml")
    }),
    ("territories-perm-krai", "territories-perm-krai.yaml", || {
        include_str!("../../../config/territories/perm-krai.yaml")
    }),
    ("territories-perm", "territories-perm.yaml", || {
        include_str!("../../../config/territories/perm.yaml")
    }),
    ("territories-oktyabrsky", "territories-oktyabrsky.yaml", || {
        include_str!("../../../config/territories/oktyabrsky.yaml")
    }),
    ("territories-sosnovoborsk", "territories-sosnovoborsk.yaml", || {
        include_str!("../../../config/territories/sosnovoborsk.yaml")
    }),
];

/// The files with the parts that any of them includes, each once, in the order of their names. Unknown names are left
/// to the reader, which knows the line.
pub(crate) fn expand(files: &[(PathBuf, String)]) -> Vec<(PathBuf, String)> {
    let mut all = files.to_vec();
    let mut looked_at = 0;
    while looked_at < all.len() {
        if load::is_geojson(&all[looked_at].0) {
            looked_at += 1;
            continue;
        }
        for name in read_includes(&all[looked_at].1) {
            let Some((_, file, text)) = PARTS.iter().find(|(part, ..)| *part == name) else {
                continue;
            };
            let path = Path::new(FOLDER).join(file);
            if !all.iter().any(|(known, _)| *known == path) {
                all.push((path, text().to_owned()));
            }
        }
        looked_at += 1;
    }
    if all.len() > files.len() {
        all.sort_by(|(one, _), (other, _)| one.file_name().cmp(&other.file_name()));
    }
    all
}

/// Whether a file is an included part.
pub(crate) fn is_part(path: &Path) -> bool {
    path.parent() == Some(Path::new(FOLDER)) && PARTS.iter().any(|(_, file, _)| path.ends_with(file))
}

#[cfg(test)]
mod tests {
    use crate::RuleSet;

    use super::*;

    fn parse(files: &[(&str, &str)]) -> Result<RuleSet, String> {
        let files: Vec<(PathBuf, String)> = files
            .iter()
            .map(|(path, text)| (path.into(), (*text).to_owned()))
            .collect();
        RuleSet::parse(&files).map_err(|errors| errors.to_string())
    }

    const ROUTES: &str = "version: 1\ninclude: [sectors, text]\nroute:\n  id: all\n  name: Все\n  to: { organisation: МЦУ }\n  queue: q\n";

    #[test]
    fn own_entries_stand_before_and_after_the_parts_by_the_names_of_their_files() {
        let own =
            "version: 1\nclassify:\n  - { id: own, name: Своё, when: { text: [свое] }, set: { sector: roads } }\n";
        let ids = |name: &str| {
            let rules = parse(&[("30-routes.yaml", ROUTES), (name, own)]).expect("valid");
            let ids: Vec<String> = rules.rule_ids().map(str::to_owned).collect();
            let at = |wanted: &str| ids.iter().position(|id| id == wanted).expect("there");
            (at("own"), at("topic-roads"), at("text-health"))
        };
        let (own_first, sectors, text) = ids("05-own.yaml");
        assert!(own_first < sectors && sectors < text);
        let (own_between, sectors, text) = ids("15-own.yaml");
        assert!(sectors < own_between && own_between < text);
    }

    #[test]
    fn a_part_brings_no_tests_and_comes_once() {
        let again = "version: 1\ninclude: [text]\n";
        let rules = parse(&[("30-routes.yaml", ROUTES), ("40-again.yaml", again)]).expect("valid");
        assert_eq!(rules.run_tests().total, 0);
    }

    #[test]
    fn an_unknown_part_is_an_error_with_its_line_and_the_nearest_name() {
        let wrong = ROUTES.replace("[sectors, text]", "[sector]");
        let error = parse(&[("30-routes.yaml", &wrong)]).expect_err("unknown");
        assert!(
            error.contains("30-routes.yaml:2") && error.contains("sectors"),
            "{error}"
        );
    }
}
