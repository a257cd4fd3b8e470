//! Codes and names in the fields of a message.

use foldhash::HashMap;
use priem_message::{Message, TerritoryFoundBy as FoundBy};

use super::{Id, Kind, Territory, grid::Grid};
use crate::words::normal;

/// Shortest beginning of an ОКТМО code.
const OKTMO_MIN: usize = 2;

/// One map from a spelling to the territories it may mean.
type Names = HashMap<String, Vec<Id>>;

/// Everything that is looked up by a field of the message.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    fias: Names,
    oktmo: Names,
    regions: Names,
    municipalities: Names,
    districts: Names,
    settlements: Names,
    every: Names,
    connectors: Names,
    subchannels: Names,
    organisations: Names,
}

impl Lookup {
    /// Takes the codes and names of a territory.
    pub(super) fn add(&mut self, id: Id, territory: &Territory) {
        for code in &territory.fias {
            put(&mut self.fias, code.to_lowercase(), id);
        }
        for code in &territory.oktmo {
            put(&mut self.oktmo, code.clone(), id);
        }
        for name in std::iter::once(&territory.name).chain(&territory.names) {
            let full = normal::name(name);
            let bare = normal::bare_place(&full);
            let maps: &mut [&mut Names] = match territory.kind {
                Kind::Region => &mut [&mut self.regions],
                Kind::Municipality => &mut [&mut self.municipalities, &mut self.settlements],
                Kind::District => &mut [&mut self.districts],
                Kind::Settlement => &mut [&mut self.settlements, &mut self.districts],
            };
            for name in std::iter::once(full).chain(bare) {
                put(&mut self.every, name.clone(), id);
                for map in &mut *maps {
                    put(map, name.clone(), id);
                }
            }
        }
        for subchannel in &territory.subchannels {
            put(&mut self.subchannels, subchannel.to_lowercase(), id);
        }
        for connector in &territory.connectors {
            put(&mut self.connectors, connector.to_lowercase(), id);
        }
        for body in &territory.organisations {
            put(&mut self.organisations, normal::name(body), id);
        }
    }

    /// Territories with such a name, of any kind.
    pub(super) fn any_name(&self, written: &str) -> &[Id] {
        by_name(&self.every, written)
    }

    /// Calls `take` with what each field says, from the most trusted one on.
    pub(super) fn each(&self, message: &Message, grid: &Grid, take: &mut dyn FnMut(FoundBy, &str, &[Id])) {
        let place = &message.data.place;
        let mut say = |by: FoundBy, saw: &str, ids: &[Id]| {
            if !ids.is_empty() {
                take(by, saw, ids);
            }
        };
        if let Some(code) = &place.fias {
            say(FoundBy::Fias, code, exact(&self.fias, &code.to_lowercase()));
        }
        if let Some(code) = &place.oktmo {
            say(FoundBy::Oktmo, code, self.by_oktmo(code));
        }
        if let Some(name) = &place.city_district {
            say(FoundBy::District, name, by_name(&self.districts, name));
        }
        if let Some(point) = place.geo {
            let saw = format!("{:.4}, {:.4}", point.lat, point.lon);
            say(FoundBy::Point, &saw, &grid.at(point.lon, point.lat));
        }
        let fields = [
            (FoundBy::Settlement, &place.settlement, &self.settlements),
            (FoundBy::Municipality, &place.municipality, &self.municipalities),
            (FoundBy::Region, &place.region, &self.regions),
        ];
        for (by, field, names) in fields {
            if let Some(name) = field {
                say(by, name, by_name(names, name));
            }
        }
    }

    /// What is known of the source itself: the body the message was sent to, its subchannel, its connector.
    pub(super) fn own_of_source(&self, message: &Message, take: &mut dyn FnMut(&str, &[Id])) {
        let data = &message.data;
        let bodies = [&data.organisation.received, &data.organisation.current];
        for body in bodies.into_iter().flatten() {
            let ids = exact(&self.organisations, &normal::name(&body.name));
            if !ids.is_empty() {
                take(&body.name, ids);
            }
        }
        if let Some(subchannel) = &data.subchannel {
            let ids = exact(&self.subchannels, &subchannel.to_lowercase());
            if !ids.is_empty() {
                take(subchannel, ids);
            }
        }
        let ids = exact(&self.connectors, &data.connector.to_lowercase());
        if !ids.is_empty() {
            take(&data.connector, ids);
        }
    }

    /// The longest known beginning of a code.
    fn by_oktmo(&self, code: &str) -> &[Id] {
        let digits: String = code.chars().filter(char::is_ascii_digit).collect();
        let lengths = (OKTMO_MIN..=digits.len()).rev();
        lengths
            .map(|length| exact(&self.oktmo, &digits[..length]))
            .find(|ids| !ids.is_empty())
            .unwrap_or_default()
    }
}

fn put(map: &mut Names, key: String, id: Id) {
    let ids = map.entry(key).or_default();
    if !ids.contains(&id) {
        ids.push(id);
    }
}

fn exact<'m>(map: &'m Names, key: &str) -> &'m [Id] {
    map.get(key).map_or(&[], Vec::as_slice)
}

/// By the whole name, else by the bare one: «Город Пермь» is «Пермь».
fn by_name<'m>(map: &'m Names, written: &str) -> &'m [Id] {
    let name = normal::name(written);
    let ids = exact(map, &name);
    if ids.is_empty()
        && let Some(bare) = normal::bare_place(&name)
    {
        return exact(map, &bare);
    }
    ids
}
