//! One record of a platform: is it whole?

use bytes::Bytes;

use super::{halves, mark, mend};
use crate::{contract::Item, error::NormalizeError};

/// A record with the harmless repairs done, and what can't be repaired.
///
/// Half an emoji costs one sign and a byte order mark nothing. Bytes that are no UTF-8 stand for letters nobody knows any
/// more: such a record is kept as it came, for a person; only its ids are taken from the readable rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// What its ids are read from.
    pub body: Bytes,
    damaged: Option<Bytes>,
}

impl Sound {
    /// Looks at a record as it came.
    pub fn of(body: Bytes) -> Self {
        let came = mark::without(&body);
        if std::str::from_utf8(&came).is_err() {
            return Self {
                body: String::from_utf8_lossy(&came).into_owned().into(),
                damaged: Some(body),
            };
        }
        let has_halves = !halves(&came).is_empty();
        let mended = has_halves.then(|| mend(&came)).flatten();
        Self {
            body: mended.map_or(came, Bytes::from),
            damaged: None,
        }
    }

    /// The item that `read` makes of a record.
    pub fn item(body: Bytes, read: impl FnOnce(Bytes) -> Item) -> Item {
        let sound = Self::of(body);
        let item = read(sound.body.clone());
        sound.hold(item)
    }

    /// The item made of [`Sound::body`], held whole as it came when it is damaged.
    #[must_use]
    pub fn hold(self, mut item: Item) -> Item {
        if let Some(body) = self.damaged {
            item.body = body;
            item.problem = Some(NormalizeError::new(
                "not_utf8",
                "the text is not UTF-8: letters in it are lost; tried again by hand it is published with \u{fffd} in their place",
            ));
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(body: Bytes) -> Item {
        Item {
            problem: None,
            ..Item::malformed("test", body, NormalizeError::new("x", "x"))
        }
    }

    fn made(body: &'static [u8]) -> Item {
        Sound::item(Bytes::from_static(body), item)
    }

    #[test]
    fn what_costs_a_sign_is_mended_and_what_costs_letters_is_held() {
        for (body, kept) in [
            (&b"\xEF\xBB\xBF{\"a\":1}"[..], &b"{\"a\":1}"[..]),
            (b"{\"a\":\"\\ud83d\"}", b"{\"a\":\"\\ufffd\"}"),
            (b"{\"a\":\"x\"}", b"{\"a\":\"x\"}"),
        ] {
            let made = made(body);
            assert_eq!((&made.body[..], made.problem), (kept, None));
        }
        let damaged = b"{\"a\":\"\xD0\"}";
        let made = made(damaged);
        assert_eq!(&made.body[..], damaged);
        assert_eq!(made.problem.map(|problem| problem.reason), Some("not_utf8"));
    }
}
