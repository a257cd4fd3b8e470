//! The closed words of the schema in Russian, as staff and the duty officer read them. One place, so that the explanation
//! of a decision, an event about a deadline and a report can't call one thing by two names.

use crate::{DeadlineBasis, DeadlineStage, DeadlineUnit, PlacePrecision, Recipient, TerritoryFoundBy};

impl DeadlineStage {
    /// The stage: «первая реакция».
    pub fn ru(self) -> &'static str {
        match self {
            Self::Register => "регистрация",
            Self::Forward => "переадресация",
            Self::FirstReaction => "первая реакция",
            Self::Answer => "ответ",
            Self::Final => "окончательный ответ",
            Self::RefuteWindow => "оспаривание ответа",
        }
    }
}

impl DeadlineBasis {
    /// Who set the term: «закон».
    pub fn ru(self) -> &'static str {
        match self {
            Self::Source => "источник",
            Self::Rule | Self::Default => "правило",
            Self::Law => "закон",
        }
    }
}

impl Recipient {
    /// «Министерство транспорта, координатор».
    pub fn ru(&self) -> String {
        match &self.role {
            Some(role) => format!("{}, {role}", self.organisation),
            None => self.organisation.clone(),
        }
    }
}

impl DeadlineUnit {
    /// What is counted: «рабочие дни».
    pub fn ru(self) -> &'static str {
        match self {
            Self::CalendarDays => "календарные дни",
            Self::WorkingDays => "рабочие дни",
            Self::CalendarHours => "календарные часы",
            Self::WorkingHours => "рабочие часы",
        }
    }
}

impl PlacePrecision {
    /// How exact a place is: «известен дом».
    pub fn ru(self) -> &'static str {
        match self {
            Self::House => "известен дом",
            Self::Point => "известна точка",
            Self::Street => "известна улица",
            Self::Settlement => "известен район или населённый пункт",
            Self::Municipality => "известен муниципалитет",
            Self::Region => "известен регион",
            Self::Words => "только слова",
            Self::Unknown => "неизвестно",
        }
    }
}

impl TerritoryFoundBy {
    /// By what a territory was found: «по улице в тексте».
    pub fn ru(self) -> &'static str {
        match self {
            Self::Fias => "по коду ФИАС",
            Self::Oktmo => "по коду ОКТМО",
            Self::District => "по району, который назвал источник",
            Self::Point => "по координатам",
            Self::Settlement => "по населённому пункту, который назвал источник",
            Self::Municipality => "по муниципалитету, который назвал источник",
            Self::Region => "по региону, который назвал источник",
            Self::Street => "по улице, которую назвал источник",
            Self::TextName => "по названию в тексте",
            Self::TextStreet => "по улице в тексте",
            Self::Source => "по территории самого источника",
            Self::Rule => "по правилу",
        }
    }
}
