//! The territories of a rule set: the gazetteer, and the facts that hold inside each territory.
//!
//! «Территория — perm» holds for everything inside perm, so a territory makes true the facts of all it lies in.

use priem_message::{Message, PlacePrecision};

use crate::engine::facts::Facts;
use crate::engine::vocabulary::FactId;
use crate::territory::{Found, Gazetteer, Id, found_ru, is_personal};

/// The territories that the files describe.
#[derive(Debug)]
pub(crate) struct Territories {
    gazetteer: Gazetteer,
    /// By territory: the facts of itself and of everything it lies in.
    facts: Vec<Box<[FactId]>>,
}

impl Territories {
    /// Takes the gazetteer; facts follow in [`Territories::connect`], when all conditions are read.
    pub(crate) fn new(gazetteer: Gazetteer) -> Self {
        Self {
            facts: Vec::new(),
            gazetteer,
        }
    }

    /// Takes the values that conditions ask about, in their normal spelling.
    pub(crate) fn connect<'v>(&mut self, values: impl Iterator<Item = (&'v str, FactId)>) {
        let mut own: Vec<Vec<FactId>> = vec![Vec::new(); self.gazetteer.len()];
        for (value, fact) in values {
            if let Some(id) = self.gazetteer.meant(value) {
                own[id as usize].push(fact);
            }
        }
        self.facts = (0..)
            .zip(&own)
            .map(|(id, _)| {
                let all = self.gazetteer.with_ancestors(id);
                all.flat_map(|id| own[id as usize].iter().copied()).collect()
            })
            .collect();
    }

    /// Looks for the territory of a message and adds what holds there.
    pub(crate) fn add_to(&self, message: &Message, facts: &mut Facts<'_>) {
        let sought = self.gazetteer.find(message);
        if let Some(found) = &sought.found {
            let holding = self.facts_of(found.territory).iter();
            holding.for_each(|&fact| facts.push_value(fact));
        }
        let shown = sought.found.as_ref().map(|found| self.shown(found.territory));
        facts.set_place(SeenPlace {
            found: sought.found,
            precision: sought.precision,
            shown,
        });
    }

    /// Facts that hold inside a territory.
    pub(crate) fn facts_of(&self, territory: Id) -> &[FactId] {
        self.facts.get(territory as usize).map_or(&[], |facts| facts)
    }

    /// The one territory that an id or a name means.
    pub(crate) fn meant(&self, written: &str) -> Option<Id> {
        self.gazetteer.meant(written)
    }

    /// The gazetteer itself, for suggestions and for lint.
    pub(crate) fn gazetteer(&self) -> &Gazetteer {
        &self.gazetteer
    }

    /// Stable id of a territory.
    pub(crate) fn id_of(&self, territory: Id) -> &str {
        self.gazetteer.id_of(territory)
    }

    /// «Мотовилихинский район (perm-motovilikhinsky)».
    pub(crate) fn shown(&self, territory: Id) -> String {
        format!("{} ({})", self.gazetteer.name_of(territory), self.id_of(territory))
    }

    /// The same with everything it lies in: «… → Пермь → Пермский край».
    pub(crate) fn shown_with_ancestors(&self, territory: Id) -> String {
        let names = self.gazetteer.with_ancestors(territory).skip(1);
        let mut shown = self.shown(territory);
        for id in names {
            shown.push_str(", ");
            shown.push_str(self.gazetteer.name_of(id));
        }
        shown
    }

    /// The sentence that travels with the message; addresses stay out of it.
    pub(crate) fn sentence(&self, found: &Found) -> String {
        let saw = Some(found.saw.as_str()).filter(|_| !is_personal(found.by));
        format!(
            "Территория «{}»: {}.",
            self.shown(found.territory),
            found_ru(found.by, saw)
        )
    }
}

/// What the place of a message came to, for conditions and explanations.
#[derive(Debug, Default)]
pub(crate) struct SeenPlace {
    /// The territory, when it was found.
    pub(crate) found: Option<Found>,
    /// How exact the words are, when they say more than the fields.
    pub(crate) precision: Option<PlacePrecision>,
    /// The territory as explanations show it.
    pub(crate) shown: Option<String>,
}
