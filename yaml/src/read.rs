//! Reads the tree into types by serde. The type decides what a scalar is: text gets the words as they are written, a
//! number or a switch only what is one.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor},
    forward_to_deserialize_any,
};

use crate::{Entry, Meaning, Node, Scalar, Value, parse};

/// Why a value can't be read, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Why.
    pub cause: Cause,
    /// See [`Node::line`]; set by the innermost value around the problem.
    pub line: Option<u32>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A key that the type does not have.
    UnknownKey {
        /// As written.
        key: String,
        /// Those it has.
        known: &'static [&'static str],
    },
    /// A word that is none of the type's alternatives.
    UnknownWord {
        /// As written.
        word: String,
        /// Those it has.
        known: &'static [&'static str],
    },
    /// Anything else, in serde's words.
    Other(String),
}

/// Reads a text of YAML into a type.
///
/// # Errors
/// The line and what is wrong there.
pub fn from_str<T: de::DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let tree = parse(text).map_err(|not_yaml| Wrong {
        cause: Cause::Other(not_yaml.problem.to_string()),
        line: Some(not_yaml.line),
    })?;
    T::deserialize(&tree)
}

impl Wrong {
    /// The same, at this line when no place inside it is known.
    fn at(mut self, line: u32) -> Self {
        self.line.get_or_insert(line);
        self
    }
}

impl From<Cause> for Wrong {
    fn from(cause: Cause) -> Self {
        Self { cause, line: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, known } => write!(f, "unknown key `{key}`, known keys: {}", known.join(", ")),
            Self::UnknownWord { word, known } => write!(f, "unknown value `{word}`, known: {}", known.join(", ")),
            Self::Other(said) => f.write_str(said),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.cause),
            None => self.cause.fmt(f),
        }
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Cause::Other(problem.to_string()).into()
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let key = key.to_owned();
        Cause::UnknownKey { key, known }.into()
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let word = word.to_owned();
        Cause::UnknownWord { word, known }.into()
    }
}

impl Scalar {
    fn visit<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Wrong> {
        match self.meaning() {
            Meaning::Nothing => visitor.visit_unit(),
            Meaning::Switch(value) => visitor.visit_bool(value),
            Meaning::Unsigned(value) => visitor.visit_u64(value),
            Meaning::Signed(value) => visitor.visit_i64(value),
            Meaning::Float(value) => visitor.visit_f64(value),
            Meaning::Text => visitor.visit_str(self.text()),
        }
    }

    fn visit_number<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Wrong> {
        if self.has_leading_zeros() {
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
        outcome.map_err(|wrong| wrong.at(self.line))
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
                Value::Scalar(scalar) if !scalar.is_null() => visitor.visit_str(scalar.text()),
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
                Value::List(_) => Err(de::Error::custom("expected keys with values (`key: value`) here")),
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
            Value::Scalar(scalar) => visitor.visit_enum(scalar.text().into_deserializer()),
            Value::Map(entries) if entries.len() == 1 => visitor.visit_enum(Choice(&entries[0])),
            _ => self.read(visitor),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.located(match &self.value {
            Value::Map(_) => Err(de::Error::custom("expected a list (`[ … ]`, or lines with `- `) here")),
            // A list with every entry of it commented out.
            Value::Scalar(scalar) if scalar.is_null() => visitor.visit_seq(List([].iter())),
            _ => self.read(visitor),
        })
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct tuple tuple_struct }
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
        seed.deserialize(key).map(Some).map_err(|wrong| wrong.at(entry.line))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        let Some(entry) = self.current.take() else {
            return Err(de::Error::custom("a value without a key"));
        };
        seed.deserialize(&entry.node).map_err(|wrong| wrong.at(entry.node.line))
    }
}

/// An alternative with what belongs to it: `{ file: … }`.
struct Choice<'de>(&'de Entry);

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Wrong;
    type Variant = &'de Node;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, &'de Node), Wrong> {
        let name: de::value::StrDeserializer<'de, Wrong> = self.0.key.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|wrong| wrong.at(self.0.line))?;
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
