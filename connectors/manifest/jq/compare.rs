//! Order and equality of values, as the library has them, with a step for each value that is looked at: two values that
//! share their parts may have exponentially many.

use std::cmp::Ordering;

use jaq_json::{Map, Val};

use super::meter;

/// Bytes of a text that are compared in one step.
const BYTES_IN_STEP: usize = 64;

/// A value in its order.
#[derive(Debug)]
pub(super) struct Ordered<'a>(pub &'a Val);

impl PartialEq for Ordered<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered<'_> {}

impl PartialOrd for Ordered<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.0, other.0)
    }
}

/// Where a kind of value stands in the order of all.
fn rank(value: &Val) -> u8 {
    match value {
        Val::Null => 0,
        Val::Bool(_) => 1,
        Val::Num(_) => 2,
        Val::BStr(_) | Val::TStr(_) => 3,
        Val::Arr(_) => 4,
        Val::Obj(_) => 5,
    }
}

/// Takes the steps of one look at two values.
fn may_look(left: &Val, right: &Val) -> bool {
    let bytes = match (left, right) {
        (Val::BStr(left) | Val::TStr(left), Val::BStr(right) | Val::TStr(right)) => left.len().min(right.len()),
        _ => 0,
    };
    meter::steps(1 + (bytes / BYTES_IN_STEP) as u64)
}

/// The order of two values.
pub(super) fn order(left: &Val, right: &Val) -> Ordering {
    if !may_look(left, right) {
        return Ordering::Equal;
    }
    match (left, right) {
        (Val::Arr(left), Val::Arr(right)) => {
            let different = left
                .iter()
                .zip(right.iter())
                .map(|(left, right)| order(left, right))
                .find(|order| order.is_ne());
            different.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Val::Obj(left), Val::Obj(right)) => order_objects(left, right),
        _ if rank(left) == rank(right) => left.cmp(right),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn order_objects(left: &Map, right: &Map) -> Ordering {
    let sorted = |map: &Map| {
        let mut entries: Vec<(Val, Val)> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        // Keys are never lists or objects.
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        entries
    };
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    if !meter::has_room((left.len() + right.len()).saturating_mul(2 * size_of::<(Val, Val)>())) {
        return Ordering::Equal;
    }
    let (left, right) = (sorted(left), sorted(right));
    let keys = left.iter().map(|(key, _)| key).cmp(right.iter().map(|(key, _)| key));
    keys.then_with(|| {
        let mut values = left
            .iter()
            .zip(&right)
            .map(|((_, left), (_, right))| order(left, right));
        values.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    })
}

/// Whether two values are equal.
pub(super) fn same(left: &Val, right: &Val) -> bool {
    if !may_look(left, right) {
        return true;
    }
    match (left, right) {
        (Val::Arr(left), Val::Arr(right)) => same_all(left, right),
        (Val::Obj(left), Val::Obj(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (Val::Arr(_) | Val::Obj(_), _) | (_, Val::Arr(_) | Val::Obj(_)) => false,
        _ => left == right,
    }
}

/// Whether two lists are equal.
pub(super) fn same_all(left: &[Val], right: &[Val]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}

fn finds(whole: &[u8], part: &[u8]) -> bool {
    if let (Ok(whole), Ok(part)) = (std::str::from_utf8(whole), std::str::from_utf8(part)) {
        return meter::steps((whole.len() / BYTES_IN_STEP) as u64) && whole.contains(part);
    }
    meter::steps((whole.len() as u64 / BYTES_IN_STEP as u64).saturating_mul(part.len() as u64))
        && (part.is_empty() || whole.windows(part.len()).any(|window| window == part))
}

/// Whether a value holds another: a text its part, a list something that holds each, an object the same keys with values
/// that hold those.
pub(super) fn contains(whole: &Val, part: &Val) -> bool {
    if !may_look(whole, part) {
        return true;
    }
    match (whole, part) {
        (Val::BStr(whole), Val::BStr(part)) | (Val::TStr(whole), Val::TStr(part)) => finds(whole, part),
        (Val::Arr(whole), Val::Arr(parts)) => parts.iter().all(|part| whole.iter().any(|one| contains(one, part))),
        (Val::Obj(whole), Val::Obj(parts)) => parts
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|one| contains(one, part))),
        _ => same(whole, part),
    }
}
