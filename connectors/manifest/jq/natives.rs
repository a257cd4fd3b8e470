//! Native filters of the library that reach into values, anew for values with a meter, and gates before those that may
//! make far more than they are given.

use jaq_core::{
    Cv, Native, ValT,
    box_iter::box_once,
    native::{Fun, bome, unary, v},
};
use jaq_json::{Num, Val};
use jaq_std::ValT as _;

use super::{
    bounded::{Bounded, Error, SLOT, refused},
    compare,
    guard::Kind,
    meter,
};

/// Longest text one sign of a date format becomes.
const DATE_SIGN: usize = 128;

/// Gates and what they stand before, in jq: the native ones are renamed by `prelude`.
pub(super) const GATES: &str = "
    def range($from; $to; $by): __range($from; $to; $by) | __step;
    def strftime($format): __room_for_date($format) | __strftime($format);
";

/// The native filters that [`GATES`] stand before.
pub(super) const GATED: [(&str, &str); 2] = [("range", "__range"), ("strftime", "__strftime")];

/// The filters.
pub(super) fn natives() -> Vec<Fun<Kind>> {
    vec![
        (
            "tojson",
            v(0),
            Native::new(|cv: Cv<'_, Kind>| bome(Ok(Bounded(Val::utf8_str(cv.1.to_string()))))),
        ),
        (
            "tobytes",
            v(0),
            Native::new(|cv: Cv<'_, Kind>| {
                let mut bytes = Vec::new();
                bome(match push_bytes(&cv.1.0, &mut bytes) {
                    Some(()) => Ok(Bounded(Val::byte_str(bytes))),
                    None => Err(Error::str("cannot use a value as bytes")),
                })
            }),
        ),
        ("length", v(0), Native::new(|cv: Cv<'_, Kind>| bome(length(cv.1)))),
        (
            "contains",
            v(1),
            Native::new(|cv: Cv<'_, Kind>| unary(cv, |whole, part| Ok(compare::contains(&whole.0, &part.0).into()))),
        ),
        ("has", v(1), Native::new(|cv: Cv<'_, Kind>| unary(cv, has))),
        (
            "indices",
            v(1),
            Native::new(|cv: Cv<'_, Kind>| unary(cv, |whole, part| indices(whole, &part))),
        ),
        (
            "bsearch",
            v(1),
            Native::new(|cv: Cv<'_, Kind>| {
                unary(cv, |list, wanted| match &list.0 {
                    Val::Arr(values) => {
                        let found = values.binary_search_by(|value| compare::order(value, &wanted.0));
                        let place = |at: usize| isize::try_from(at).unwrap_or(isize::MAX);
                        Ok(found.map_or_else(|at| -1 - place(at), place).into())
                    }
                    _ => Err(Error::typ(list, "array")),
                })
            }),
        ),
        (
            "__room_for_date",
            v(1),
            Native::new(|mut cv: Cv<'_, Kind>| {
                let format = cv.0.pop_var();
                let signs = format.as_bytes().map_or(0, <[u8]>::len);
                let room = meter::has_room(signs.saturating_mul(DATE_SIGN));
                box_once(if room { Ok(cv.1) } else { Err(refused().into()) })
            }),
        ),
    ]
}

/// Appends the bytes a value stands for; nothing when it stands for none.
fn push_bytes(value: &Val, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Val::Num(_) => {
            let byte = value.as_isize().and_then(|byte| u8::try_from(byte).ok())?;
            meter::take(1).then(|| out.push(byte))
        }
        Val::BStr(bytes) | Val::TStr(bytes) => meter::take_text(bytes.len()).then(|| out.extend_from_slice(bytes)),
        Val::Arr(values) => values
            .iter()
            .try_for_each(|value| meter::step().then_some(()).and_then(|()| push_bytes(value, out))),
        _ => None,
    }
}

fn length(value: Bounded) -> Result<Bounded, Error> {
    Ok(Bounded::from(match &value.0 {
        Val::Null => 0,
        Val::TStr(text) => match std::str::from_utf8(text) {
            Ok(text) => text.chars().count(),
            Err(_) => String::from_utf8_lossy(text).chars().count(),
        },
        Val::BStr(bytes) => bytes.len(),
        Val::Arr(values) => values.len(),
        Val::Obj(map) => map.len(),
        Val::Num(Num::Int(number)) => number.unsigned_abs(),
        Val::Num(Num::BigInt(_)) => {
            let is_negative = value < Bounded::from(0_usize);
            return if is_negative { -value } else { Ok(value) };
        }
        Val::Num(_) => return Ok(Bounded::from(value.as_f64().unwrap_or(f64::NAN).abs())),
        Val::Bool(_) => return Err(Error::str("cannot use a truth value as something with a length")),
    }))
}

/// Whether a value has a key or position.
fn has(value: Bounded, key: Bounded) -> Result<Bounded, Error> {
    Ok(Bounded::from(match (&value.0, &key.0) {
        (Val::Null, _) => false,
        (Val::Obj(_), Val::Arr(_) | Val::Obj(_)) => false,
        (Val::Obj(map), key) => map.contains_key(key),
        (Val::Arr(values), Val::Num(_)) if key.is_int() => {
            let length = isize::try_from(values.len()).unwrap_or(isize::MAX);
            key.as_isize().is_some_and(|at| (-length..length).contains(&at))
        }
        (Val::Arr(_) | Val::TStr(_) | Val::BStr(_), _) => value.index(&key)?.0 != Val::Null,
        _ => return Err(Error::index(value, key)),
    }))
}

/// Where a part stands in a text (counted in characters) or list.
fn indices(whole: Bounded, part: &Bounded) -> Result<Bounded, Error> {
    let mut found = Vec::new();
    let mut note = |at: usize| {
        if !meter::take(SLOT) {
            return Err(refused());
        }
        found.push(Val::from(at));
        Ok(())
    };
    match (&whole.0, &part.0) {
        (Val::TStr(_) | Val::BStr(_), Val::TStr(part) | Val::BStr(part)) if part.is_empty() => {}
        (Val::TStr(text), Val::TStr(part)) => {
            if !meter::steps((text.len() as u64).saturating_mul(1 + part.len() as u64 / 64) / 64) {
                return Err(refused());
            }
            let is_start = |at: usize| !matches!(text[at], 0x80..=0xBF);
            for (number, at) in (0..text.len()).filter(|at| is_start(*at)).enumerate() {
                if text[at..].starts_with(part) {
                    note(number)?;
                }
            }
        }
        (Val::BStr(text), Val::BStr(part)) => {
            for (at, window) in text.windows(part.len()).enumerate() {
                if window == &part[..] {
                    note(at)?;
                }
            }
        }
        (Val::Arr(_), Val::Arr(part)) if part.is_empty() => {}
        (Val::Arr(_), Val::Arr(_)) => return whole.index(part),
        (Val::Arr(values), part) => {
            for (at, value) in values.iter().enumerate() {
                if compare::same(value, part) {
                    note(at)?;
                }
            }
        }
        _ => return Err(Error::index(whole, part.clone())),
    }
    Ok(found.into_iter().map(Bounded).collect())
}
