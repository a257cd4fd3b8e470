//! Classifiers of topics: reference data in files, with editions and former names, never enums in code.
//!
//! A classifier never changes what the source wrote: it adds the stable id of the topic group and the edition a name
//! comes from. A name it does not know goes on with the flag [`Flags::UNKNOWN_TOPIC`], which the host counts.

use std::{collections::HashMap, path::Path};

use priem_sdk::{
    ConfigError, MessageData,
    message::{Flags, Topic},
};
use serde::Deserialize;

use super::fold::plain_header;

/// The classifier of «Инцидент менеджмент» that ships with Priem.
const INCIDENT: &str = include_str!("../../config/classifiers/incident.yaml");
/// The only version of the format.
const FORMAT_VERSION: u32 = 1;
/// Larger files are no classifiers, bytes.
const LARGEST_FILE: u64 = 8 * 1024 * 1024;

/// The classifiers of one connector, by [`Topic::classifier`].
#[derive(Debug, Clone)]
pub struct Classifiers(Vec<Classifier>);

/// One classifier, compiled.
#[derive(Debug, Clone)]
struct Classifier {
    name: String,
    groups: Vec<Group>,
    /// Group names as compared, former ones too, to the group and the edition.
    by_name: HashMap<String, (usize, String)>,
    lists_topics: bool,
}

#[derive(Debug, Clone)]
struct Group {
    id: String,
    /// Topic names as compared, to the edition; empty: any topic will do.
    topics: HashMap<String, String>,
}

/// A classifier file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileFormat {
    version: u32,
    classifier: String,
    edition: String,
    groups: Vec<FileGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGroup {
    id: String,
    name: String,
    #[serde(default)]
    aliases: Vec<FileAlias>,
    #[serde(default)]
    topics: Vec<FileTopic>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTopic {
    name: String,
    #[serde(default)]
    aliases: Vec<FileAlias>,
}

/// A former name and the edition that had it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAlias {
    name: String,
    edition: String,
}

impl Default for Classifiers {
    /// Those that ship with Priem.
    fn default() -> Self {
        let shipped = Classifier::parse(INCIDENT).expect("a test reads the classifier that ships");
        Self(vec![shipped])
    }
}

impl Classifiers {
    /// Reads classifier files; the one that ships applies where they have none.
    ///
    /// # Errors
    /// The file, the line where there is one, and the cure.
    pub fn load(files: &[impl AsRef<Path>]) -> Result<Self, ConfigError> {
        let mut own: Vec<Classifier> = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            let file = file.as_ref();
            let wrong =
                |what: String| ConfigError::new(format!("classifiers[{index}]"), format!("{}: {what}", file.display()));
            let classifier = read(file).and_then(|text| Classifier::parse(&text)).map_err(wrong)?;
            if own.iter().any(|other| other.name == classifier.name) {
                return Err(wrong(format!("a second file for the classifier `{}`", classifier.name)));
            }
            own.push(classifier);
        }
        let shipped = Self::default().0.into_iter();
        let missing: Vec<Classifier> = shipped
            .filter(|shipped| !own.iter().any(|other| other.name == shipped.name))
            .collect();
        own.extend(missing);
        Ok(Self(own))
    }

    /// Adds ids and the edition to the topic of a message, and the flag when its name is not known. Messages without a
    /// topic or with another classifier stay as they are.
    pub fn apply(&self, data: &mut MessageData) {
        let Some(topic) = &mut data.topic else {
            return;
        };
        let Some(classifier) = self.0.iter().find(|known| known.name == topic.classifier) else {
            return;
        };
        if !classifier.apply(topic) && !data.flags.other.iter().any(|flag| flag == Flags::UNKNOWN_TOPIC) {
            data.flags.other.push(Flags::UNKNOWN_TOPIC.to_owned());
        }
    }
}

impl Classifier {
    fn parse(text: &str) -> Result<Self, String> {
        let file: FileFormat = priem_yaml::from_str(text).map_err(|error| error.to_string())?;
        if file.version != FORMAT_VERSION {
            return Err(format!("version {} is unknown, write `version: 1`", file.version));
        }
        if file.groups.is_empty() {
            return Err("no groups: every topic would be unknown".into());
        }
        let mut by_name = HashMap::new();
        let mut groups = Vec::with_capacity(file.groups.len());
        for (index, group) in file.groups.iter().enumerate() {
            if groups.iter().any(|known: &Group| known.id == group.id) {
                return Err(format!("the id `{}` is given to two groups", group.id));
            }
            for (name, edition) in names(&group.name, &group.aliases, &file.edition) {
                if by_name
                    .insert(plain_header(name), (index, edition.to_owned()))
                    .is_some()
                {
                    return Err(format!("«{name}» is named twice: case, `ё` and stars do not count"));
                }
            }
            let mut topics = HashMap::new();
            for topic in &group.topics {
                for (name, edition) in names(&topic.name, &topic.aliases, &file.edition) {
                    if topics.insert(plain_header(name), edition.to_owned()).is_some() {
                        return Err(format!("«{name}» is named twice in the group «{}»", group.name));
                    }
                }
            }
            groups.push(Group {
                id: group.id.clone(),
                topics,
            });
        }
        Ok(Self {
            name: file.classifier,
            lists_topics: groups.iter().any(|group| !group.topics.is_empty()),
            groups,
            by_name,
        })
    }

    /// Whether the names are known.
    fn apply(&self, topic: &mut Topic) -> bool {
        let Some(first) = topic.path.first_mut() else {
            return true;
        };
        let Some((index, edition)) = self.by_name.get(&plain_header(&first.name)) else {
            // A file without the column of groups has the topic first; then only listed topics can be judged.
            let is_alone = topic.path.len() == 1;
            return is_alone && (!self.lists_topics || self.has_topic(&topic.path[0].name));
        };
        let group = &self.groups[*index];
        first.id.get_or_insert_with(|| group.id.clone());
        topic.version.get_or_insert_with(|| edition.clone());
        match topic.path.get(1) {
            Some(second) if !group.topics.is_empty() => group.topics.contains_key(&plain_header(&second.name)),
            _ => true,
        }
    }

    fn has_topic(&self, name: &str) -> bool {
        let plain = plain_header(name);
        self.groups.iter().any(|group| group.topics.contains_key(&plain))
    }
}

/// A name of the current edition and its former ones.
fn names<'a>(name: &'a str, aliases: &'a [FileAlias], edition: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let former = aliases
        .iter()
        .map(|alias| (alias.name.as_str(), alias.edition.as_str()));
    std::iter::once((name, edition)).chain(former)
}

fn read(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > LARGEST_FILE {
        return Err(format!("{size} bytes are too much for a classifier"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use priem_sdk::message::{Kind, Regime, TopicNode};

    use super::*;

    fn classified(classifiers: &Classifiers, path: &[&str]) -> MessageData {
        let mut data = MessageData::new("incident", Kind::Incident, Regime::OpenSourceMessage);
        let node = |name: &&str| TopicNode {
            id: None,
            name: (*name).into(),
        };
        data.topic = Some(Topic {
            classifier: "incident".into(),
            version: None,
            path: path.iter().map(node).collect(),
            starred: false,
        });
        classifiers.apply(&mut data);
        data
    }

    fn load(text: &str) -> Result<Classifiers, String> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("own.yaml");
        std::fs::write(&path, text).expect("written");
        Classifiers::load(&[path]).map_err(|error| error.to_string())
    }

    #[test]
    fn every_pair_of_the_drift_has_one_id_and_its_own_edition() {
        let shipped = Classifiers::default();
        for (old, new, id) in [
            ("Здравоохранение/Медицина", "Здравоохранение", "health"),
            ("Коронавирус", "Здравоохранение", "health"),
            ("Мусор/Свалки/ТКО", "Обращение с отходами", "waste"),
            ("Электроснабжение", "Энергетика", "energy"),
            ("Безопасность", "Безопасность и правопорядок", "safety"),
            ("Торговля", "Экономика и бизнес", "economy"),
        ] {
            for (name, edition) in [(old, "2023"), (new, "2025")] {
                let data = classified(&shipped, &[name, "Любая"]);
                let topic = data.topic.expect("a topic");
                assert_eq!(topic.path[0].id.as_deref(), Some(id), "{name}");
                assert_eq!(topic.path[0].name, name, "what the source wrote stays");
                assert_eq!(topic.version.as_deref(), Some(edition), "{name}");
                assert!(data.flags.is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn an_unknown_group_goes_on_with_a_flag() {
        let data = classified(&Classifiers::default(), &["Космос", "Спутники"]);
        assert_eq!(data.flags.other, [Flags::UNKNOWN_TOPIC]);
        let topic = data.topic.expect("a topic");
        assert_eq!((topic.path_text().as_str(), topic.version), ("Космос / Спутники", None));
    }

    #[test]
    fn listed_topics_are_judged_and_unlisted_are_not() {
        let own = load(
            "version: 1\nclassifier: incident\nedition: '2026'\ngroups:\n  - id: roads\n    name: Дороги\n    topics:\n      - { name: Ямы во дворах, aliases: [{ name: Ямы, edition: '2023' }] }\n  - { id: housing, name: ЖКХ }\n",
        )
        .expect("loads");
        let is_unknown = |path: &[&str]| !classified(&own, path).flags.is_empty();
        assert!(!is_unknown(&["дороги", "★ Ямы во дворах"]));
        assert!(!is_unknown(&["Дороги", "Ямы"]));
        assert!(is_unknown(&["Дороги", "Разметка"]));
        assert!(!is_unknown(&["ЖКХ", "Что угодно"]));
        assert!(
            is_unknown(&["Здравоохранение", "Приём"]),
            "the own file replaces the one that ships"
        );
        assert!(
            !is_unknown(&["Ямы"]) && is_unknown(&["Разметка"]),
            "a topic without its group"
        );
    }

    #[test]
    fn mistakes_name_the_file_and_the_cure() {
        for (text, wanted) in [
            (
                "version: 2\nclassifier: pos\nedition: a\ngroups: []\n",
                "version 2 is unknown",
            ),
            ("version: 1\nclassifier: pos\nedition: a\ngroups: []\n", "no groups"),
            (
                "version: 1\nclassifier: pos\nedition: a\ngroups: [{ id: a, name: Ёлки }, { id: b, name: елки }]\n",
                "named twice",
            ),
            (
                "version: 1\nclassifier: pos\nedition: a\ngroups: [{ id: a, name: А }, { id: a, name: Б }]\n",
                "two groups",
            ),
            ("version: 1\nclassifier: pos\nedition: a\ngroup: []\n", "group"),
        ] {
            let error = load(text).expect_err("wrong");
            assert!(
                error.starts_with("classifiers[0]: ") && error.contains("own.yaml"),
                "{error}"
            );
            assert!(error.contains(wanted), "{error}");
        }
    }
}
