//! Which territory a message is about: from codes, names, coordinates and streets to one answer that says how it was
//! found.
//!
//! A pure function over the message; files are read by `crate::language`. What is trusted more sets the bounds, what is
//! trusted less may only make the answer narrower («Пермь» from the source, «на Мотовилихинском» in the text: the
//! district). What stays ambiguous becomes the smallest territory that holds all candidates, never a guess.
//!
//! Everything is looked up in hash maps, a trie of word stems and a grid over the polygons: the cost of a message
//! follows its length, not the number of territories and streets.

mod geojson;
mod grid;
mod house;
mod lookup;
mod polygon;
mod search;
mod surroundings;
mod text;
mod trie;
mod words;

#[cfg(test)]
mod tests;

use foldhash::HashMap;
use priem_message::{Message, Place as GivenPlace, PlacePrecision, TerritoryFoundBy as FoundBy};

pub(crate) use geojson::{Document, Selection};
pub(crate) use house::HouseRange;
pub(crate) use polygon::Polygon;

use grid::Grid;
use lookup::Lookup;
use search::Search;
use text::Streets;

use crate::words::normal;

/// Number of a territory inside one gazetteer.
pub(crate) type Id = u32;

/// What sort of territory it is: which fields of a place its names are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A region of the country.
    Region,
    /// A municipality; its name may also stand in the field of the settlement.
    Municipality,
    /// A district of a city.
    District,
    /// A town or village; its name may also stand in the field of the city district.
    Settlement,
}

impl Kind {
    /// Words of the files, with the kinds.
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("region", Self::Region),
        ("municipality", Self::Municipality),
        ("district", Self::District),
        ("settlement", Self::Settlement),
    ];
}

/// A territory as a file describes it.
#[derive(Debug, Clone)]
pub(crate) struct Territory {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Id of the territory it lies in.
    pub(crate) inside: Option<String>,
    /// Beginnings of ОКТМО codes.
    pub(crate) oktmo: Vec<String>,
    /// ФИАС/ГАР ids.
    pub(crate) fias: Vec<String>,
    /// Spellings in the fields of a source, beside `name`.
    pub(crate) names: Vec<String>,
    /// Names that mean this territory when they stand in a text.
    pub(crate) text: Vec<String>,
    pub(crate) streets: Vec<Street>,
    pub(crate) polygons: Vec<Polygon>,
    /// Subchannels (groups, chats, communities) whose messages are about this territory when nothing else is known.
    pub(crate) subchannels: Vec<String>,
    /// Connectors whose messages are about this territory when nothing else is known.
    pub(crate) connectors: Vec<String>,
    /// Bodies whose messages are about this territory when nothing else is known.
    pub(crate) organisations: Vec<String>,
}

/// A street, or a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Street {
    pub(crate) name: String,
    /// Only these houses; empty: all.
    pub(crate) houses: Vec<HouseRange>,
}

/// A territory and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) territory: Id,
    pub(crate) by: FoundBy,
    /// The code, name or words it was found by.
    pub(crate) saw: String,
}

/// What was found out about the place of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sought {
    pub(crate) found: Option<Found>,
    /// How exact the words are, when they say more than the fields of the message.
    pub(crate) precision: Option<PlacePrecision>,
}

/// What is wrong between territories; each alone was read well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Position of the territory in the list.
    pub(crate) at: usize,
    /// What is wrong, in Russian.
    pub(crate) problem: String,
    /// What to do, in Russian.
    pub(crate) cure: String,
}

/// All territories of a rule set, compiled.
#[derive(Debug, Default)]
pub(crate) struct Gazetteer {
    places: Vec<Place>,
    /// By the id as a name is compared: case and marks don't matter.
    ids: HashMap<String, Id>,
    lookup: Lookup,
    streets: Streets,
    grid: Grid,
}

/// What is kept of a territory itself.
#[derive(Debug)]
struct Place {
    id: String,
    name: String,
    kind: Kind,
    parent: Option<Id>,
}

impl Gazetteer {
    /// Compiles territories.
    ///
    /// # Errors
    /// References that lead nowhere or in a circle.
    pub(crate) fn new(territories: Vec<Territory>) -> Result<Self, Vec<Mistake>> {
        let ids: HashMap<String, Id> = (0..)
            .zip(&territories)
            .map(|(at, it)| (normal::name(&it.id), at))
            .collect();
        let parents: Vec<Option<Id>> = territories
            .iter()
            .map(|it| {
                it.inside
                    .as_ref()
                    .and_then(|parent| ids.get(&normal::name(parent)))
                    .copied()
            })
            .collect();
        let mistakes = mistakes(&territories, &parents);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut gazetteer = Self { ids, ..Self::default() };
        for (at, mut territory) in (0..).zip(territories) {
            gazetteer.lookup.add(at, &territory);
            gazetteer.streets.add(at, &territory);
            for polygon in territory.polygons.drain(..) {
                gazetteer.grid.add(at, polygon);
            }
            gazetteer.places.push(Place {
                id: territory.id,
                name: territory.name,
                kind: territory.kind,
                parent: parents[at as usize],
            });
        }
        Ok(gazetteer)
    }

    /// Whether a name has a word beside those for sorts of streets.
    pub(crate) fn is_name(name: &str) -> bool {
        Streets::is_name(name)
    }

    /// Number of territories.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Fills the fields of a place so that it lies in the territory. `None` when a field holds something else.
    pub(crate) fn describe(&self, territory: Id, place: &mut GivenPlace) -> Option<()> {
        for id in self.with_ancestors(territory) {
            let Place { kind, name, .. } = &self.places[id as usize];
            let field = match kind {
                Kind::Region => &mut place.region,
                Kind::Municipality => &mut place.municipality,
                Kind::District => &mut place.city_district,
                Kind::Settlement => &mut place.settlement,
            };
            if field.as_ref().is_some_and(|known| known != name) {
                return None;
            }
            *field = Some(name.clone());
        }
        Some(())
    }

    /// The territory with an id.
    pub(crate) fn by_id(&self, id: &str) -> Option<Id> {
        self.ids.get(&normal::name(id)).copied()
    }

    /// The one territory that `written` means: an id or a name; `None` when there is none or more than one.
    pub(crate) fn meant(&self, written: &str) -> Option<Id> {
        self.by_id(written).or_else(|| match self.lookup.any_name(written) {
            [one] => Some(*one),
            _ => None,
        })
    }

    /// Ids and names of all territories, for suggestions.
    pub(crate) fn known(&self) -> impl Iterator<Item = &str> {
        self.places
            .iter()
            .flat_map(|place| [place.id.as_str(), place.name.as_str()])
    }

    /// Stable id of a territory.
    pub(crate) fn id_of(&self, territory: Id) -> &str {
        &self.places[territory as usize].id
    }

    /// Russian name of a territory.
    pub(crate) fn name_of(&self, territory: Id) -> &str {
        &self.places[territory as usize].name
    }

    /// A territory and everything it lies in, from the narrowest.
    pub(crate) fn with_ancestors(&self, territory: Id) -> impl Iterator<Item = Id> {
        std::iter::successors(Some(territory), |&id| self.places[id as usize].parent)
    }

    /// Whether `inner` is `outer` or lies in it.
    pub(crate) fn is_inside(&self, inner: Id, outer: Id) -> bool {
        self.with_ancestors(inner).any(|id| id == outer)
    }

    /// The territory of a message, and how exact its words are.
    pub(crate) fn find(&self, message: &Message) -> Sought {
        let mut search = Search::new(self);
        self.lookup.each(message, &self.grid, &mut |by, saw, ids| {
            search.narrow(by, saw, ids);
        });
        self.streets
            .each(message, &mut |mentions| search.narrow_by_text(mentions));
        self.lookup.own_of_source(message, &mut |saw, ids| {
            search.narrow(FoundBy::Source, saw, ids);
        });
        search.answer(message.data.place.precision)
    }

    /// The smallest territory that holds all of these.
    fn common(&self, ids: impl IntoIterator<Item = Id>) -> Option<Id> {
        let mut ids = ids.into_iter();
        let first = ids.next()?;
        ids.try_fold(first, |common, id| {
            self.with_ancestors(common).find(|&outer| self.is_inside(id, outer))
        })
    }
}

fn mistakes(territories: &[Territory], parents: &[Option<Id>]) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (at, territory) in territories.iter().enumerate() {
        let Some(inside) = &territory.inside else { continue };
        if parents[at].is_none() {
            found.push(Mistake {
                at,
                problem: format!(
                    "территория «{}» лежит в «{inside}», а такой территории нет",
                    territory.id
                ),
                cure: "исправьте код в inside или опишите эту территорию".into(),
            });
            continue;
        }
        let ancestors = std::iter::successors(parents[at], |&id| parents[id as usize]);
        if ancestors.take(territories.len()).any(|id| id as usize == at) {
            found.push(Mistake {
                at,
                problem: format!("территория «{}» по строкам inside лежит сама в себе", territory.id),
                cure: "разорвите круг: уберите inside у самой широкой территории".into(),
            });
        }
    }
    found
}

/// How it was found, in Russian: «по улице в тексте («Ленина, 96»)». Without `saw` only the kind of the clue.
pub(crate) fn found_ru(by: FoundBy, saw: Option<&str>) -> String {
    match saw {
        Some(saw) if !saw.is_empty() => format!("{} («{saw}»)", by.ru()),
        _ => by.ru().to_owned(),
    }
}

/// Whether the clue is part of somebody's address or whereabouts: it is shown to who sees the message, and stays out of
/// what travels with it.
pub(crate) fn is_personal(by: FoundBy) -> bool {
    matches!(
        by,
        FoundBy::Fias | FoundBy::Point | FoundBy::Street | FoundBy::TextStreet
    )
}
