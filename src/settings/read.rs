//! Reads the tree into settings. The setting decides what a scalar is: text gets the words as they are written, a number
//! or a switch only what is one.

use std::fmt;

use priem_sdk::registry::unknown;
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor},
    forward_to_deserialize_any,
};

use super::tree::{Entry, Node, Origin, Scalar, Value};

/// Why a value can't be read, and where it stands.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) problem: String,
    /// Set by the innermost value around the problem.
    pub(super) origin: Option<Origin>,
}

impl Wrong {
    /// The same, at this place when no place inside it is known.
    fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self {
            problem: problem.to_string(),
            origin: None,
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(unknown(field, expected))
    }
}

/// What a scalar is when nobody says what it should be: YAML 1.2, but a number with leading zeros is text.
enum Meaning {
    Nothing,
    Switch(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

impl Scalar {
    fn meaning(&self) -> Meaning {
        if !self.plain {
            return Meaning::Text;
        }
        if self.is_null() {
            return Meaning::Nothing;
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" => return Meaning::Switch(true),
            "false" | "False" | "FALSE" => return Meaning::Switch(false),
            _ => {}
        }
        let digits = self.text.strip_prefix(['-', '+']).unwrap_or(&self.text);
        if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') || self.has_leading_zeros() {
            return Meaning::Text;
        }
        if let Ok(number) = self.text.parse() {
            return Meaning::Unsigned(number);
        }
        if let Ok(number) = self.text.parse() {
            return Meaning::Signed(number);
        }
        match self.text.parse() {
            Ok(number) if digits.bytes().any(|byte| byte.is_ascii_digit()) => Meaning::Float(number),
            _ => Meaning::Text,
        }
    }

    fn has_leading_zeros(&self) -> bool {
        let digits = self.text.strip_prefix(['-', '+']).unwrap_or(&self.text);
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit()
    }

    /// Whether nobody could take it for text.
    pub(super) fn is_no_text(&self) -> bool {
        !matches!(self.meaning(), Meaning::Text | Meaning::Nothing)
    }

    /// A switch, in all the words of YAML 1.1.
    pub(super) fn switch(&self) -> Option<bool> {
        if !self.plain {
            return None;
        }
        match self.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }

    fn visit<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Wrong> {
        match self.meaning() {
            Meaning::Nothing => visitor.visit_unit(),
            Meaning::Switch(value) => visitor.visit_bool(value),
            Meaning::Unsigned(value) => visitor.visit_u64(value),
            Meaning::Signed(value) => visitor.visit_i64(value),
            Meaning::Float(value) => visitor.visit_f64(value),
            Meaning::Text => visitor.visit_str(&self.text),
        }
    }

    fn visit_number<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Wrong> {
        if self.plain && self.has_leading_zeros() {
            return Err(de::Error::custom("a number has no leading zeros: drop them"));
        }
        self.visit(visitor)
    }
}

impl Node {
    fn read<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.value {
            Value::Scalar(scalar) => scalar.visit(visitor),
            Value::List(list) => visitor.visit_seq(List(list.iter())),
            Value::Map(entries) => visitor.visit_map(Map::new(entries)),
        }
    }

    fn located<T>(&self, outcome: Result<T, Wrong>) -> Result<T, Wrong> {
        outcome.map_err(|wrong| wrong.at(&self.origin))
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.located(match &self.value {
                Value::Scalar(scalar) => scalar.visit_number(visitor),
                _ => self.read(visitor),
            })
        })*
    };
}

macro_rules! texts {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.located(match &self.value {
                Value::Scalar(scalar) if !scalar.is_null() => visitor.visit_str(&scalar.text),
                _ => self.read(visitor),
            })
        })*
    };
}

macro_rules! maps {
    ($($method:ident($($argument:ident: $kind:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $kind,)* visitor: V) -> Result<V::Value, Wrong> {
            self.located(match &self.value {
                // A section with every line of it commented out.
                Value::Scalar(scalar) if scalar.is_null() => visitor.visit_map(Map::new(&[])),
                _ => self.read(visitor),
            })
        })*
    };
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.located(self.read(visitor))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let switch = match &self.value {
            Value::Scalar(scalar) => scalar.switch(),
            _ => None,
        };
        self.located(match switch {
            Some(value) => visitor.visit_bool(value),
            None => self.read(visitor),
        })
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    maps! {
        deserialize_map()
        deserialize_struct(_name: &'static str, _fields: &'static [&'static str])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.located(match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        self.located(visitor.visit_newtype_struct(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.located(match &self.value {
            Value::Scalar(scalar) => visitor.visit_enum(scalar.text.as_str().into_deserializer()),
            Value::Map(entries) if entries.len() == 1 => visitor.visit_enum(Choice(&entries[0])),
            _ => self.read(visitor),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct seq tuple tuple_struct }
}

struct List<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

struct Map<'de> {
    entries: std::slice::Iter<'de, Entry>,
    current: Option<&'de Entry>,
}

impl<'de> Map<'de> {
    fn new(entries: &'de [Entry]) -> Self {
        Self {
            entries: entries.iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key: de::value::StrDeserializer<'de, Wrong> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|wrong| wrong.at(&entry.origin))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        let Some(entry) = self.current.take() else {
            return Err(de::Error::custom("a value without a key"));
        };
        seed.deserialize(&entry.node)
    }
}

/// An alternative with what belongs to it: `{ file: … }`.
struct Choice<'de>(&'de Entry);

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Wrong;
    type Variant = &'de Node;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, &'de Node), Wrong> {
        let name: de::value::StrDeserializer<'de, Wrong> = self.0.key.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|wrong| wrong.at(&self.0.origin))?;
        Ok((variant, &self.0.node))
    }
}

impl<'de> VariantAccess<'de> for &'de Node {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_struct("", fields, visitor)
    }
}
