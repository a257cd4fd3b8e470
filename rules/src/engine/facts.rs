//! What holds for one message: a sorted list of fact numbers, with the places of words in the text.

use jiff::civil::Date;

use crate::engine::moment::Seen;
use crate::engine::places::SeenPlace;
use crate::engine::vocabulary::FactId;
use crate::words::normal::Span;

/// Position of a fact that is not a word.
const NOWHERE: u32 = u32::MAX;

/// The facts of one message.
#[derive(Debug)]
pub(crate) struct Facts<'m> {
    text: &'m str,
    words: Vec<Span>,
    /// Sorted by fact, then by position.
    list: Vec<(FactId, u32)>,
    /// When the message was written; only when a rule asks about time.
    moment: Option<Seen>,
    /// Day of the decision; only when a rule asks about it.
    today: Option<Date>,
    /// What the territories of the rules say about the place; empty without any.
    place: SeenPlace,
    /// The facts of what the message answers and where it stands; only when a rule asks about it.
    context: Vec<Facts<'m>>,
}

impl<'m> Facts<'m> {
    /// No facts yet.
    pub(crate) fn new(text: &'m str) -> Self {
        Self {
            text,
            words: Vec::with_capacity(text.len() / 12),
            list: Vec::with_capacity(32),
            moment: None,
            today: None,
            place: SeenPlace::default(),
            context: Vec::new(),
        }
    }

    /// The facts of each text around the message.
    pub(crate) fn context(&self) -> &[Self] {
        &self.context
    }

    /// Takes the facts of a text around the message.
    pub(crate) fn push_context(&mut self, context: Self) {
        self.context.push(context);
    }

    /// The text the words come from.
    pub(crate) fn text(&self) -> &'m str {
        self.text
    }

    /// Takes the next word of the text with the facts it makes true.
    pub(crate) fn push_word(&mut self, span: Span, facts: &[FactId]) {
        // A text of four billion words does not fit a message.
        let position = u32::try_from(self.words.len()).unwrap_or(NOWHERE - 1);
        self.words.push(span);
        self.list.extend(facts.iter().map(|&fact| (fact, position)));
    }

    /// Takes what a piece of the text between two places means when its words are read otherwise. Its first
    /// and its last word stand for the whole, so that phrases may go on either side.
    pub(crate) fn push_reading(&mut self, piece: Span, facts: &[FactId]) {
        let first = self.words.partition_point(|word| word.start < piece.start);
        let end = self.words.partition_point(|word| word.start < piece.end);
        let Some(last) = end.checked_sub(1).filter(|&last| first <= last) else {
            return;
        };
        if facts.is_empty() {
            return;
        }
        self.words[first..=last].fill(piece);
        for at in [first, last] {
            // As in `push_word`.
            let position = u32::try_from(at).unwrap_or(NOWHERE - 1);
            self.list.extend(facts.iter().map(|&fact| (fact, position)));
        }
    }

    /// Takes the moment of the message.
    pub(crate) fn set_moment(&mut self, moment: Seen) {
        self.moment = Some(moment);
    }

    /// When the message was written, if any rule asks about time.
    pub(crate) fn moment(&self) -> Option<&Seen> {
        self.moment.as_ref()
    }

    /// Takes the day of the decision.
    pub(crate) fn set_today(&mut self, today: Date) {
        self.today = Some(today);
    }

    /// The day of the decision by the clock of the rules, if any rule asks about it.
    pub(crate) fn today(&self) -> Option<Date> {
        self.today
    }

    /// Takes what the territories of the rules say.
    pub(crate) fn set_place(&mut self, place: SeenPlace) {
        self.place = place;
    }

    /// What the territories of the rules say about the place.
    pub(crate) fn place(&self) -> &SeenPlace {
        &self.place
    }

    /// Puts facts in the place of others. [`Facts::seal`] must follow.
    pub(crate) fn replace_values(&mut self, old: &[FactId], new: &[FactId]) {
        self.list.retain(|(fact, _)| !old.contains(fact));
        self.list.extend(new.iter().map(|&fact| (fact, NOWHERE)));
    }

    /// Takes a fact that is not a word. [`Facts::seal`] must follow.
    pub(crate) fn push_value(&mut self, fact: FactId) {
        self.list.push((fact, NOWHERE));
    }

    /// Makes the list ready for look-ups.
    pub(crate) fn seal(&mut self) {
        self.list.sort_unstable();
        self.list.dedup();
    }

    /// Whether the fact holds.
    pub(crate) fn has(&self, fact: FactId) -> bool {
        self.places(fact).next().is_some()
    }

    /// Positions of the words that make the fact true, ascending.
    pub(crate) fn places(&self, fact: FactId) -> impl Iterator<Item = u32> {
        let from = self.list.partition_point(|(id, _)| *id < fact);
        self.list[from..]
            .iter()
            .take_while(move |(id, _)| *id == fact)
            .map(|(_, position)| *position)
    }

    /// Whether any of the facts holds. `wanted` is sorted.
    pub(crate) fn has_any(&self, wanted: &[FactId]) -> bool {
        // Walk the shorter side: a table of thousands of values costs no more than the message has facts.
        if wanted.len() > self.list.len() {
            self.list.iter().any(|(id, _)| wanted.binary_search(id).is_ok())
        } else {
            wanted.iter().any(|&fact| self.has(fact))
        }
    }

    /// Every fact once, ascending.
    pub(crate) fn distinct(&self) -> impl Iterator<Item = FactId> {
        self.list.chunk_by(|a, b| a.0 == b.0).map(|group| group[0].0)
    }

    /// The word at a position, as written.
    pub(crate) fn word(&self, position: u32) -> &'m str {
        self.words
            .get(position as usize)
            .map_or("", |span| &self.text[span.start..span.end])
    }
}
