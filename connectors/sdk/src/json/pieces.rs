//! JSON taken apart before anything in it is read: where one value ends and the next begins. Only quotation marks,
//! brackets and commas are looked at, without recursion, so that a text that is not UTF-8, a value nested a hundred
//! thousand deep or a number of a strange form stays in its own piece, and the pieces beside it are read.

use bytes::Bytes;
use memchr::memchr2;
use serde::de::DeserializeOwned;

use super::{from_slice, mark};

/// Members of an object as they came: names and raw values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(Vec<(Bytes, Bytes)>);

impl Members {
    /// The members of the object that is the whole body, a byte order mark aside; nothing when it is none, or was cut
    /// off on the way.
    pub fn of(body: &Bytes) -> Option<Self> {
        let body = &mark::without(body);
        let mut members = Vec::new();
        for piece in pieces(body, b'{', b'}')? {
            let name = string_end(&piece)?;
            let value = piece[name..].trim_ascii_start().strip_prefix(b":")?.trim_ascii();
            members.push((piece.slice(1..name - 1), piece.slice_ref(value)));
        }
        Some(Self(members))
    }

    /// Whether there is a member of this name, whatever it holds.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| &known[..] == name.as_bytes())
    }

    /// The raw value of a member; nothing for an explicit null, too. Of several of one name the last counts.
    pub fn raw(&self, name: &str) -> Option<&Bytes> {
        let found = self.0.iter().rev().find(|(known, _)| &known[..] == name.as_bytes());
        found.map(|(_, value)| value).filter(|value| &value[..] != b"null")
    }

    /// The value of a member, when it can be read as what is asked for.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        from_slice(self.raw(name)?).ok()
    }

    /// A whole number, also one that came as a text.
    pub fn number(&self, name: &str) -> Option<i64> {
        let value = self.raw(name)?;
        let digits = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        std::str::from_utf8(digits.unwrap_or(value)).ok()?.trim().parse().ok()
    }

    /// Every member that is a whole number, also one that came as a text.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, i64)> {
        let names = self.0.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok());
        names.filter_map(|name| Some((name, self.number(name)?)))
    }

    /// The members of a member that is an object.
    pub fn object(&self, name: &str) -> Option<Self> {
        Self::of(self.raw(name)?)
    }

    /// The raw elements of a member that is a list; an explicit null has none.
    pub fn list(&self, name: &str) -> Option<Vec<Bytes>> {
        match self.raw(name) {
            Some(value) => elements(value),
            None => self.has(name).then(Vec::new),
        }
    }

    /// As much of the object as can be read: members that can't are left out.
    pub fn readable<T: DeserializeOwned + Default>(&self) -> T {
        let reads = |member: &&(Bytes, Bytes)| from_slice::<T>(&written([*member])).is_ok();
        let readable = written(self.0.iter().filter(reads));
        from_slice(&readable).unwrap_or_default()
    }

    /// The object without one member, byte for byte.
    pub fn without(&self, name: &str) -> Bytes {
        written(self.0.iter().filter(|(known, _)| &known[..] != name.as_bytes()))
    }
}

/// An object of these members, byte for byte.
fn written<'a>(members: impl IntoIterator<Item = &'a (Bytes, Bytes)>) -> Bytes {
    let mut body = vec![b'{'];
    for (name, value) in members {
        if body.len() > 1 {
            body.push(b',');
        }
        body.push(b'"');
        body.extend_from_slice(name);
        body.extend_from_slice(b"\":");
        body.extend_from_slice(value);
    }
    body.push(b'}');
    body.into()
}

/// Reads as much of a record as can be read: one that is damaged in one place still says where it belongs and when it was
/// made.
pub fn readable<T: DeserializeOwned + Default>(body: &Bytes) -> T {
    let read = from_slice(body).ok();
    read.unwrap_or_else(|| Members::of(body).unwrap_or_default().readable())
}

/// The raw elements of the list that is the whole body; nothing when it is none, or was cut off on the way.
pub fn elements(body: &Bytes) -> Option<Vec<Bytes>> {
    pieces(body, b'[', b']')
}

/// What stands between the commas of the outermost brackets.
fn pieces(body: &Bytes, open: u8, close: u8) -> Option<Vec<Bytes>> {
    let text = &body[..];
    let whole = text.trim_ascii();
    let start = text.len() - text.trim_ascii_start().len();
    if whole.len() < 2 || whole.first() != Some(&open) || whole.last() != Some(&close) {
        return None;
    }
    let end = start + whole.len() - 1;
    let (mut found, mut from, mut at, mut depth) = (Vec::new(), start + 1, start + 1, 0_usize);
    while at < end {
        match text[at] {
            b'"' => {
                at += string_end(&text[at..end])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                push(&mut found, body.slice(from..at));
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    push(&mut found, body.slice(from..end));
    (depth == 0).then_some(found)
}

/// Nothing between two commas is no piece.
fn push(found: &mut Vec<Bytes>, piece: Bytes) {
    let inner = piece.trim_ascii();
    if !inner.is_empty() {
        found.push(piece.slice_ref(inner));
    }
}

/// Length of the text that begins here, with its quotation marks.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    if text.first() != Some(&b'"') {
        return None;
    }
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(body: &[u8]) -> Option<Vec<Bytes>> {
        elements(&Bytes::copy_from_slice(body))
    }

    #[test]
    fn damage_stays_in_its_own_piece() {
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        for damaged in [
            &b"{\"text\":\"\xD0\"}"[..],
            b"{\"text\":\"\\ud83d\"}",
            b"{\"text\":\"a\nb\\\\\"}",
            b"{\"text\":\"],[{\\\"\"}",
            b"{\"id\":NaN}",
            b"null",
            b"{\"id\":}",
            &deep,
        ] {
            let body = [b" [{\"id\":1}, ", damaged, b" ,{\"id\":3}]\n"].concat();
            let found = list(&body).expect("a list");
            assert_eq!(found, [&b"{\"id\":1}"[..], damaged, b"{\"id\":3}"]);
        }
    }

    #[test]
    fn a_damaged_record_is_read_as_far_as_it_goes() {
        #[derive(Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(default)]
        struct Known {
            id: i64,
            at: Option<i64>,
            words: String,
        }
        let damaged = Bytes::from_static(b"{\"id\":7,\"words\":NaN,\"at\":5,\"x\":[[}");
        assert_eq!(readable::<Known>(&damaged), Known::default(), "cut off");
        for (damaged, at) in [
            (&b"{\"id\":7,\"words\":NaN,\"at\":5,\"x\":{}}"[..], Some(5)),
            (b"{\"words\":\"a\nb\",\"id\":7,\"at\":[1]}", None),
        ] {
            let known = Known {
                id: 7,
                at,
                words: String::new(),
            };
            assert_eq!(readable::<Known>(&Bytes::from_static(damaged)), known);
        }
    }

    #[test]
    fn what_was_cut_off_is_no_list() {
        for body in [
            &b"[1,2"[..],
            b"[{\"a\":1]",
            b"[\"a]",
            b"[1]]",
            b"",
            b"{}",
            b"[{\"a\":[1}",
            b"[1}",
        ] {
            assert_eq!(list(body), None, "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(list(b"[]"), Some(Vec::new()));
    }

    #[test]
    fn members_are_found_whatever_stands_beside_them() {
        let body = Bytes::from_static(
            b"\xEF\xBB\xBF{\"ts\" : \"17\", \"broken\":\"\xFF\",\"none\":null,\"n\":\"x\",\"n\":-5,\"list\":[1,{}] }",
        );
        let members = Members::of(&body).expect("an object");
        assert_eq!((members.number("ts"), members.number("n")), (Some(17), Some(-5)));
        assert_eq!((members.raw("none"), members.list("none")), (None, Some(Vec::new())));
        assert_eq!(members.list("absent"), None);
        assert_eq!(members.raw("broken").expect("kept"), &b"\"\xFF\""[..]);
        assert_eq!(members.list("list").expect("a list").len(), 2);
        assert_eq!(
            members.without("n"),
            &b"{\"ts\":\"17\",\"broken\":\"\xFF\",\"none\":null,\"list\":[1,{}]}"[..]
        );
        for body in ["[]", "{\"a\"}", "{a:1}", "{\"a\":1", ""] {
            assert_eq!(Members::of(&Bytes::from_static(body.as_bytes())), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_apart_without_a_panic(body in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(br#"{}[]",:\ 1n"#.to_vec()),
            1 => any::<u8>(),
        ], 0..60)) {
            let body = Bytes::from(body);
            let _ = (elements(&body), Members::of(&body));
        }

        #[test]
        fn pieces_of_sound_json_are_its_values(values in prop::collection::vec("\\PC{0,8}", 0..6)) {
            let body = Bytes::from(serde_json::to_vec(&values).expect("JSON"));
            let found = elements(&body).expect("a list");
            let read: Vec<String> =
                found.iter().map(|piece| serde_json::from_slice(piece).expect("a text")).collect();
            prop_assert_eq!(read, values);
        }
    }
}
