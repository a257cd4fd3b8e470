//! What the labels of a history mean in sectors of the rules.
//!
//! Foreign classifiers are cut differently: one label may fit several sectors, or none at all, and then its rows are
//! not counted.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

/// Sectors that are right for each label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelMap {
    labels: BTreeMap<String, Vec<String>>,
    /// No file was given: a label is its own sector.
    identity: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    labels: BTreeMap<String, Sectors>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sectors {
    One(String),
    Many(Vec<String>),
}

/// Stands for «not counted».
const NONE: &str = "none";

impl LabelMap {
    /// Labels are ids of sectors already.
    pub fn identity() -> Self {
        Self {
            labels: BTreeMap::new(),
            identity: true,
        }
    }

    /// Reads a map file.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads the text of a map file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = priem_yaml::from_str(text).map_err(|error| error.to_string())?;
        if file.version != 1 {
            return Err(format!("версия {} не поддерживается, нужна version: 1", file.version));
        }
        let labels = file.labels.into_iter().map(|(label, sectors)| {
            let sectors = match sectors {
                Sectors::One(one) if one == NONE => Vec::new(),
                Sectors::One(one) => vec![one],
                Sectors::Many(many) => many,
            };
            (label, sectors)
        });
        Ok(Self {
            labels: labels.collect(),
            identity: false,
        })
    }

    /// Sectors that are right for a label, the first is the best; empty when its rows are not counted, `None` when the
    /// map does not know it.
    pub fn accepted(&self, label: &str) -> Option<Vec<String>> {
        if self.identity {
            return Some(vec![label.to_owned()]);
        }
        self.labels.get(label).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_several_or_none() {
        let map = LabelMap::parse("version: 1\nlabels:\n  '3': [housing, waste]\n  '0': roads\n  '12': none\n")
            .expect("a map");
        assert_eq!(map.accepted("3").expect("known"), ["housing", "waste"]);
        assert_eq!(map.accepted("0").expect("known"), ["roads"]);
        assert_eq!(map.accepted("12").expect("known"), Vec::<String>::new());
        assert_eq!(map.accepted("99"), None);
        assert_eq!(LabelMap::identity().accepted("roads").expect("known"), ["roads"]);
    }

    #[test]
    fn a_slip_is_named() {
        assert!(LabelMap::parse("version: 2\nlabels: {}").is_err());
        assert!(
            LabelMap::parse("version: 1\nlabel: {}")
                .expect_err("refused")
                .contains("label")
        );
    }
}
