//! What leads from one part of a workbook to another.

use std::collections::HashMap;

use quick_xml::events::Event;

use crate::{
    book::{Sheet, Visibility},
    container::Container,
    fault::Fault,
    limits::{MOST_PARTS, Measure},
    xml::{Events, attribute, damaged},
};

/// The links of one part: kind and target by id.
#[derive(Debug, Default)]
pub(crate) struct Links {
    folder: String,
    known: HashMap<String, (String, String)>,
}

impl Links {
    /// The links of a part; of the container itself when it has no name.
    pub(crate) fn of(container: &Container, part: &str) -> Result<Self, Fault> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let mut links = Self {
            folder: folder.to_owned(),
            known: HashMap::new(),
        };
        let name = format!("{folder}/_rels/{file}.rels");
        let Some(source) = container.small_part(name.trim_start_matches('/'))? else {
            return Ok(links);
        };
        let mut events = Events::new(source);
        loop {
            match events.next()? {
                Event::Start(element) if element.local_name().as_ref() == "Relationship" => {
                    if let (Some(id), Some(kind), Some(target)) = (
                        attribute(&element, "Id"),
                        attribute(&element, "Type"),
                        attribute(&element, "Target"),
                    ) {
                        if links.known.len() == MOST_PARTS {
                            return Err(Fault::over(Measure::Parts, MOST_PARTS));
                        }
                        links.known.insert(id, (kind, resolve(folder, &target)));
                    }
                }
                Event::Eof => return Ok(links),
                _ => {}
            }
        }
    }

    /// The part that a link of this kind leads to.
    pub(crate) fn by_kind(&self, kind: &str) -> Option<String> {
        let found = self.known.values().find(|(known, _)| known.ends_with(kind));
        found.map(|(_, target)| target.clone())
    }

    /// The same, or where every program puts the part, when nothing leads there.
    pub(crate) fn by_kind_or_place(&self, container: &Container, kind: &str, name: &str) -> Option<String> {
        let usual = || Some(format!("{}/{name}", self.folder)).filter(|name| container.part(name).is_some());
        self.by_kind(kind).or_else(usual)
    }

    /// A sheet of the workbook's list, unless it is one of charts or dialogues.
    pub(crate) fn sheet(
        &self,
        container: &Container,
        name: String,
        visibility: Visibility,
        id: Option<&str>,
    ) -> Option<Sheet> {
        let mut sheet = Sheet::new(name, visibility);
        match id.and_then(|id| self.known.get(id)) {
            Some((kind, _)) if !kind.ends_with("/worksheet") => return None,
            Some((_, target)) => sheet.part.clone_from(target),
            None => {}
        }
        if container.part(&sheet.part).is_none() {
            sheet.unreadable = Some(damaged("a sheet is missing"));
        }
        Some(sheet)
    }
}

/// A target relative to a folder of the container.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}
