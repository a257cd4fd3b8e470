//! The value filters work on: that of the library, with every operation asking the [meter] first.
//!
//! Only what makes new memory is written anew here; everything else is passed on. Where an operation can't say no (a
//! collection, a text), it stops and gives null: the run is over then and its results are not looked at.

use std::{
    cmp::Ordering,
    fmt::{self, Write as _},
    ops::{Add, Div, Mul, Neg, Range, Rem, Sub},
};

use bytes::Bytes;
use jaq_core::{Exn, ValR, ValT, ValX, box_iter::BoxIter, ops::Math, path::Opt};
use jaq_json::{Map, Num, Rc, Val};
use jaq_std::ValT as StdValT;

use super::{compare, meter};

/// An array beside its places: the block that is shared, and that of its places with room for the first four.
pub(super) const ARRAY: usize = 128;
/// An object beside its entries: the block that is shared, its table, and room for the first entries.
pub(super) const OBJECT: usize = 288;
/// Place of a value in an array that grows.
pub(super) const SLOT: usize = 32;
/// Place of an entry in an object that grows.
pub(super) const ENTRY: usize = 128;
/// What is taken for each sign that is written beside its bytes: writing is work as well.
const PIECE: usize = 16;
/// A text beside its bytes.
pub(super) const TEXT: usize = 96;
/// Largest whole number, bits; longer ones are nobody's id or sum, and cost more than they say.
const LONGEST_NUMBER: u64 = 4096;

/// Errors of filters.
pub(super) type Error = jaq_core::Error<Bounded>;

/// What a filter can't do because it is over.
const OVER: &str = "the filter is over";
const STRANGE_KEY: &str = "cannot use a list or object as key of an object";

/// A value of a filter.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounded(pub(super) Val);

/// The error of an operation that was refused.
pub(super) fn refused() -> Error {
    Error::str(OVER)
}

/// The end of a run that no `try` catches.
fn halted<'a>() -> Exn<'a, Bounded> {
    Exn::halt(1)
}

pub(super) fn ensure(granted: bool) -> Result<(), Error> {
    if granted { Ok(()) } else { Err(refused()) }
}

impl Bounded {
    /// A text that was just made.
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        if meter::take_text(text.len() + TEXT) {
            Self(Val::utf8_str(text))
        } else {
            Self::default()
        }
    }

    /// A value that was just made by a filter of ours.
    pub(super) fn made(value: Val) -> Self {
        match value {
            Val::TStr(text) => Self::text(*text),
            value => Self(value),
        }
    }

    /// An array of values whose places were taken.
    pub(super) fn array(values: Vec<Val>) -> Self {
        Self(Val::Arr(Rc::new(values)))
    }
}

/// Takes what a change of an array costs: its places, when others hold it too and it must be copied.
fn take_copy<T>(shared: &Rc<T>, places: usize, place: usize) -> Result<(), Error> {
    let is_shared = Rc::strong_count(shared) > 1;
    ensure(!is_shared || meter::take(OBJECT + places.saturating_mul(place)))
}

fn is_container(value: &Val) -> bool {
    matches!(value, Val::Arr(_) | Val::Obj(_))
}

impl fmt::Display for Bounded {
    /// Writes as much as there is room for: a value that shares its parts may be exponentially long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Limited<'f, 'g>(&'f mut fmt::Formatter<'g>);
        impl fmt::Write for Limited<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                if !meter::take(text.len() + PIECE) {
                    return Err(fmt::Error);
                }
                self.0.write_str(text)
            }
        }
        // An error here would be a panic above; the meter knows.
        let _ = write!(Limited(f), "{}", self.0);
        Ok(())
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        compare::same(&self.0, &other.0)
    }
}

impl Eq for Bounded {}

impl PartialOrd for Bounded {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bounded {
    fn cmp(&self, other: &Self) -> Ordering {
        compare::order(&self.0, &other.0)
    }
}

impl From<bool> for Bounded {
    fn from(value: bool) -> Self {
        Self(value.into())
    }
}

impl From<isize> for Bounded {
    fn from(value: isize) -> Self {
        Self(value.into())
    }
}

impl From<usize> for Bounded {
    fn from(value: usize) -> Self {
        Self(value.into())
    }
}

impl From<f64> for Bounded {
    fn from(value: f64) -> Self {
        Self(value.into())
    }
}

impl From<String> for Bounded {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Range<Option<Self>>> for Bounded {
    fn from(range: Range<Option<Self>>) -> Self {
        Self(Val::from(range.start.map(|start| start.0)..range.end.map(|end| end.0)))
    }
}

impl FromIterator<Self> for Bounded {
    fn from_iter<T: IntoIterator<Item = Self>>(iter: T) -> Self {
        let mut values = Vec::new();
        if !meter::take(ARRAY) {
            return Self::default();
        }
        for value in iter {
            if !meter::take(SLOT) {
                return Self::default();
            }
            values.push(value.0);
        }
        Self::array(values)
    }
}

impl ValT for Bounded {
    fn from_num(text: &str) -> ValR<Self> {
        Val::from_num(text)
            .map(Self)
            .map_err(|_| Error::str("cannot parse a text as number"))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(iter: I) -> ValR<Self> {
        let mut map = Map::default();
        ensure(meter::take(OBJECT))?;
        for (key, value) in iter {
            if is_container(&key.0) {
                return Err(Error::str(STRANGE_KEY));
            }
            ensure(meter::take(ENTRY))?;
            map.insert(key.0, value.0);
        }
        Ok(Self(Val::obj(map)))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self.0 {
            Val::Arr(values) => {
                Box::new((0..values.len()).map(move |index| Ok((Self::from(index), Self(values[index].clone())))))
            }
            Val::Obj(map) => Box::new((0..map.len()).filter_map(move |index| {
                let (key, value) = map.get_index(index)?;
                Some(Ok((Self(key.clone()), Self(value.clone()))))
            })),
            _ => Box::new(std::iter::once(Err(not_iterable(self)))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self.0 {
            Val::Arr(values) => match Rc::try_unwrap(values) {
                Ok(own) => Box::new(own.into_iter().map(|value| Ok(Self(value)))),
                Err(shared) => Box::new((0..shared.len()).map(move |index| Ok(Self(shared[index].clone())))),
            },
            Val::Obj(map) => Box::new((0..map.len()).filter_map(move |index| {
                let (_, value) = map.get_index(index)?;
                Some(Ok(Self(value.clone())))
            })),
            _ => Box::new(std::iter::once(Err(not_iterable(self)))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        match (&self.0, &index.0) {
            (Val::Arr(_), Val::Arr(part)) if part.is_empty() => Ok(Self::array(Vec::new())),
            (Val::Arr(whole), Val::Arr(part)) => {
                let mut found = Vec::new();
                ensure(meter::take(ARRAY))?;
                for (at, window) in whole.windows(part.len()).enumerate() {
                    if compare::same_all(window, part) {
                        ensure(meter::take(SLOT))?;
                        found.push(Val::from(at));
                    }
                }
                Ok(Self::array(found))
            }
            (Val::BStr(_) | Val::TStr(_) | Val::Arr(_), Val::Obj(bounds)) => {
                let bound = |name: &str| bounds.get(&Val::utf8_str(name.to_owned())).cloned().map(Self);
                let (start, end) = (bound("start"), bound("end"));
                self.range(start.as_ref()..end.as_ref())
            }
            // No such key, and hashing it may take for ever.
            (Val::Obj(_), key) if is_container(key) => Ok(Self::default()),
            _ => match self.0.clone().index(&index.0) {
                Ok(found) => Ok(Self(found)),
                Err(_) => Err(Error::index(self, index.clone())),
            },
        }
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        let (start, end) = (bound(range.start)?, bound(range.end)?);
        match self.0 {
            Val::Arr(values) => {
                let cut = span(values.len(), start, end);
                ensure(meter::take(ARRAY + cut.len().saturating_mul(SLOT)))?;
                Ok(Self::array(values[cut].to_vec()))
            }
            Val::BStr(bytes) => {
                ensure(meter::take(TEXT))?;
                let cut = span(bytes.len(), start, end);
                Ok(Self(Val::byte_str(bytes.slice(cut))))
            }
            Val::TStr(text) => {
                ensure(meter::take(TEXT))?;
                let cut = char_span(&text, start, end);
                Ok(Self(Val::utf8_str(text.slice(cut))))
            }
            _ => Err(Error::typ(self, "rangeable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self.0 {
            Val::Arr(values) => {
                let mut made = Vec::new();
                ensure(meter::take(ARRAY))?;
                for value in Self(Val::Arr(values)).values() {
                    for output in f(value?) {
                        let output = output?;
                        if !meter::take(SLOT) {
                            return Err(halted());
                        }
                        made.push(output.0);
                    }
                }
                Ok(Self::array(made))
            }
            Val::Obj(map) => {
                let mut made = Map::default();
                ensure(meter::take(OBJECT))?;
                for (key, value) in map.iter() {
                    if !meter::take(ENTRY) {
                        return Err(halted());
                    }
                    if let Some(output) = f(Self(value.clone())).next() {
                        made.insert(key.clone(), output?.0);
                    }
                }
                Ok(Self(Val::obj(made)))
            }
            _ => opt.fail(self, |value| Exn::from(not_iterable(value))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        mut self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        if let (Val::BStr(_) | Val::TStr(_) | Val::Arr(_), Val::Obj(bounds)) = (&self.0, &index.0) {
            let at = |name: &str| bounds.get(&Val::utf8_str(name.to_owned())).cloned().map(Self);
            let (start, end) = (at("start"), at("end"));
            return self.map_range(start.as_ref()..end.as_ref(), opt, f);
        }
        match self.0 {
            Val::Obj(ref mut map) => {
                if is_container(&index.0) {
                    return Err(Exn::from(Error::str(STRANGE_KEY)));
                }
                take_copy(map, map.len(), ENTRY)?;
                let known = map.contains_key(&index.0);
                ensure(known || meter::take(ENTRY))?;
                let map = Rc::make_mut(map);
                let before = map.get_mut(&index.0).map(std::mem::take).unwrap_or_default();
                match f(Self(before)).next().transpose()? {
                    Some(after) => {
                        map.insert(index.0.clone(), after.0);
                    }
                    None if known => {
                        map.swap_remove(&index.0);
                    }
                    None => {}
                }
                Ok(self)
            }
            Val::Arr(ref mut values) => {
                let at = StdValT::as_isize(&index.0);
                let Some(at) = at.and_then(|at| place(values.len(), at)) else {
                    return opt.fail(self, |_| Exn::from(Error::str("index out of bounds")));
                };
                take_copy(values, values.len(), SLOT)?;
                let values = Rc::make_mut(values);
                let before = std::mem::take(&mut values[at]);
                match f(Self(before)).next().transpose()? {
                    Some(after) => values[at] = after.0,
                    None => {
                        values.remove(at);
                    }
                }
                Ok(self)
            }
            _ => opt.fail(self, |value| Exn::from(not_iterable(value))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let bounds = bound(range.start).and_then(|start| Ok((start, bound(range.end)?)));
        let (start, end) = match bounds {
            Ok(bounds) => bounds,
            Err(error) => return opt.fail(self, |_| Exn::from(error)),
        };
        match self.0 {
            Val::Arr(values) => {
                let cut = span(values.len(), start, end);
                ensure(meter::take(2 * ARRAY + values.len().saturating_mul(SLOT)))?;
                let part = Self::array(values[cut.clone()].to_vec());
                let made = match f(part).next().transpose()? {
                    None => Rc::default(),
                    Some(Self(Val::Arr(made))) => made,
                    Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
                };
                ensure(meter::take(made.len().saturating_mul(SLOT)))?;
                let mut whole = values[..cut.start].to_vec();
                whole.extend_from_slice(&made);
                whole.extend_from_slice(&values[cut.end..]);
                Ok(Self::array(whole))
            }
            Val::TStr(text) => {
                let cut = char_span(&text, start, end);
                let made = match f(Self(Val::utf8_str(text.slice(cut.clone())))).next().transpose()? {
                    None => Bytes::new(),
                    Some(Self(Val::TStr(made))) => *made,
                    Some(other) => return Err(Exn::from(Error::typ(other, "string"))),
                };
                ensure(meter::take_text(text.len() + made.len()))?;
                let mut whole = Vec::with_capacity(text.len() + made.len());
                whole.extend_from_slice(&text[..cut.start]);
                whole.extend_from_slice(&made);
                whole.extend_from_slice(&text[cut.end..]);
                Ok(Self(Val::utf8_str(whole)))
            }
            _ => opt.fail(self, |value| Exn::from(Error::typ(value, "array"))),
        }
    }

    fn as_bool(&self) -> bool {
        self.0.as_bool()
    }

    fn into_string(self) -> Self {
        match self.0 {
            Val::BStr(text) | Val::TStr(text) => Self(Val::TStr(text)),
            // Written within the meter already.
            _ => Self(Val::utf8_str(self.to_string())),
        }
    }
}

fn not_iterable(value: Bounded) -> Error {
    Error::typ(value, "iterable (array or object)")
}

fn bound(value: Option<&Bounded>) -> Result<Option<isize>, Error> {
    match value {
        None | Some(Bounded(Val::Null)) => Ok(None),
        Some(value) => match StdValT::as_isize(&value.0) {
            Some(bound) => Ok(Some(bound)),
            None => Err(Error::typ(value.clone(), "integer")),
        },
    }
}

/// Position that counts from the end when negative.
fn place(length: usize, at: isize) -> Option<usize> {
    let place = if at < 0 {
        length.checked_sub(at.unsigned_abs())?
    } else {
        at.unsigned_abs()
    };
    (place < length).then_some(place)
}

fn span(length: usize, start: Option<isize>, end: Option<isize>) -> Range<usize> {
    let at = |bound: isize| {
        if bound < 0 {
            length.saturating_sub(bound.unsigned_abs())
        } else {
            bound.unsigned_abs().min(length)
        }
    };
    let start = start.map_or(0, at);
    start..end.map_or(length, at).max(start)
}

/// The bytes of a span of characters; bytes that are no text count one each.
fn char_span(text: &[u8], start: Option<isize>, end: Option<isize>) -> Range<usize> {
    let is_start = |at: &usize| *at == 0 || !matches!(text[*at], 0x80..=0xBF);
    let at = |bound: isize| {
        let mut starts = (0..text.len()).filter(is_start);
        match bound {
            0 => 0,
            bound if bound < 0 => starts.nth_back(bound.unsigned_abs() - 1).unwrap_or(0),
            bound => starts.nth(bound.unsigned_abs()).unwrap_or(text.len()),
        }
    };
    let start = start.map_or(0, at);
    start..end.map_or(text.len(), at).max(start)
}

fn bits(number: &Num) -> u64 {
    match number {
        Num::BigInt(number) => number.bits(),
        Num::Int(_) | Num::Float(_) => 64,
        Num::Dec(text) => text.len() as u64,
    }
}

/// Whether the result of an operation on whole numbers stays within reason.
fn ensure_number(bits: u64) -> Result<(), Error> {
    ensure(bits <= LONGEST_NUMBER || meter::too_much())
}

impl Add for Bounded {
    type Output = ValR<Self>;

    fn add(self, right: Self) -> ValR<Self> {
        match (&self.0, &right.0) {
            (Val::Null, _) => return Ok(right),
            (_, Val::Null) => return Ok(self),
            (Val::Num(left), Val::Num(right)) => ensure_number(bits(left).max(bits(right)) + 1)?,
            (Val::TStr(left), Val::TStr(right)) | (Val::BStr(left), Val::BStr(right)) => {
                let copied = if left.is_unique() { 0 } else { left.len() };
                ensure(meter::take(copied))?;
                ensure(meter::take_text(right.len()) && meter::has_text_room(left.len() + right.len()))?;
            }
            (Val::Arr(left), Val::Arr(right)) => {
                take_copy(left, left.len(), SLOT)?;
                ensure(meter::take(right.len().saturating_mul(SLOT)))?;
            }
            (Val::Obj(left), Val::Obj(right)) => {
                take_copy(left, left.len(), ENTRY)?;
                ensure(meter::take(right.len().saturating_mul(ENTRY)))?;
            }
            _ => return Err(Error::math(self, Math::Add, right)),
        }
        (self.0 + right.0).map(Self).map_err(|_| refused())
    }
}

impl Sub for Bounded {
    type Output = ValR<Self>;

    fn sub(self, right: Self) -> ValR<Self> {
        match (&self.0, &right.0) {
            (Val::Num(left), Val::Num(right)) => ensure_number(bits(left).max(bits(right)) + 1)?,
            (Val::Arr(left), Val::Arr(right)) => {
                ensure(meter::take(ARRAY + (left.len() + right.len()).saturating_mul(SLOT)))?;
                let without: std::collections::BTreeSet<compare::Ordered<'_>> =
                    right.iter().map(compare::Ordered).collect();
                let kept = left.iter().filter(|value| !without.contains(&compare::Ordered(value)));
                return Ok(Self::array(kept.cloned().collect()));
            }
            _ => return Err(Error::math(self, Math::Sub, right)),
        }
        (self.0 - right.0).map(Self).map_err(|_| refused())
    }
}

impl Mul for Bounded {
    type Output = ValR<Self>;

    fn mul(self, right: Self) -> ValR<Self> {
        match (&self.0, &right.0) {
            (Val::Num(left), Val::Num(right)) => {
                let is_whole = |number: &Num| matches!(number, Num::Int(_) | Num::BigInt(_));
                if is_whole(left) && is_whole(right) {
                    ensure_number(bits(left) + bits(right))?;
                }
            }
            (Val::TStr(text) | Val::BStr(text), Val::Num(times))
            | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
                let times = match times {
                    Num::Int(times) => usize::try_from(*times).unwrap_or(0),
                    Num::BigInt(_) => usize::MAX,
                    Num::Float(_) | Num::Dec(_) => return Err(Error::math(self, Math::Mul, right)),
                };
                ensure(meter::take_text(text.len().saturating_mul(times)))?;
                if text.is_empty() && times > 0 {
                    // Nothing, however often.
                    return Ok(Self(Val::utf8_str("")));
                }
            }
            (Val::Obj(_), Val::Obj(_)) => {
                return merge(&self.0, &right.0).map(Self);
            }
            _ => return Err(Error::math(self, Math::Mul, right)),
        }
        (self.0 * right.0).map(Self).map_err(|_| refused())
    }
}

/// Puts one object over another, deeply.
fn merge(under: &Val, over: &Val) -> Result<Val, Error> {
    let (Val::Obj(under), Val::Obj(over)) = (under, over) else {
        return Ok(over.clone());
    };
    ensure(meter::take(OBJECT + (under.len() + over.len()).saturating_mul(ENTRY)))?;
    ensure(meter::step())?;
    let mut merged = Map::clone(under);
    for (key, value) in over.iter() {
        let value = match merged.get(key) {
            Some(before) => merge(before, value)?,
            None => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    Ok(Val::obj(merged))
}

impl Div for Bounded {
    type Output = ValR<Self>;

    fn div(self, right: Self) -> ValR<Self> {
        match (&self.0, &right.0) {
            (Val::Num(_), Val::Num(_)) => {}
            (Val::TStr(text), Val::TStr(parts)) | (Val::BStr(text), Val::BStr(parts)) => {
                let pieces = text.len() / parts.len().max(1) + 1;
                // No text gives more pieces than that; what they really are is taken below.
                ensure(meter::has_room(pieces.saturating_mul(SLOT + TEXT)))?;
                let split = (self.0 / right.0).map_err(|_| refused())?;
                let Val::Arr(made) = &split else { return Err(refused()) };
                ensure(meter::take(made.len().saturating_mul(SLOT + TEXT)))?;
                return Ok(Self(split));
            }
            _ => return Err(Error::math(self, Math::Div, right)),
        }
        (self.0 / right.0).map(Self).map_err(|_| refused())
    }
}

impl Rem for Bounded {
    type Output = ValR<Self>;

    fn rem(self, right: Self) -> ValR<Self> {
        match (&self.0, &right.0) {
            (Val::Num(_), Val::Num(_)) => match self.0.clone() % right.0.clone() {
                Ok(rest) => Ok(Self(rest)),
                Err(_) => Err(Error::math(self, Math::Rem, right)),
            },
            _ => Err(Error::math(self, Math::Rem, right)),
        }
    }
}

impl Neg for Bounded {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        match &self.0 {
            Val::Num(_) => (-self.0).map(Self).map_err(|_| refused()),
            _ => Err(Error::typ(self, "number")),
        }
    }
}

impl StdValT for Bounded {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self.0 {
            Val::Arr(ref values) if meter::take(values.len().saturating_mul(SLOT)) => {
                Ok(values.iter().cloned().map(Self).collect())
            }
            _ => Err(self),
        }
    }

    fn is_int(&self) -> bool {
        self.0.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        self.0.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.0.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_bytes()
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        if meter::take(TEXT) {
            Self(self.0.as_sub_str(sub))
        } else {
            Self::default()
        }
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(Bytes::from_owner(bytes))
    }
}
