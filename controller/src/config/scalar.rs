//! Values that are written as one text, number or boolean, and are validated while they are deserialized.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A type whose values are written as one text, number or boolean.
pub(super) trait Scalar: Sized {
    /// The allowed values, for messages.
    const ALLOWED: &'static str;

    /// Whether a number or boolean without quotes is parsed like a text.
    const UNQUOTED: bool = false;

    /// Whether an empty text is parsed, too.
    const MAY_BE_EMPTY: bool = false;

    /// Parses a text.
    fn parse(text: &str) -> Result<Self, Refusal>;
}

/// Why a text is not a value.
pub(super) enum Refusal {
    /// It is not one of the allowed values.
    NotAllowed,
    /// A reason that repeats the text; it is not shown if the text contained variables.
    Because(String),
    /// A description that does not repeat the text.
    Described(String),
}

/// A value that was validated while it was deserialized.
pub(super) struct Valid<T>(pub(super) T);

/// The value of an optional key.
pub(super) fn value<T>(written: Option<Valid<T>>) -> Option<T> {
    written.map(|Valid(value)| value)
}

/// The text of an optional key, unless it is empty: charts write an empty text for none.
pub(super) fn filled(written: Option<Valid<String>>) -> Option<String> {
    value(written).filter(|text| !text.is_empty())
}

impl<'de, T: Scalar> Deserialize<'de> for Valid<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ScalarVisitor(PhantomData))
            .map(Self)
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: Scalar> ScalarVisitor<T> {
    fn unquoted<E: Error>(&self, text: &str, found: Unexpected<'_>) -> Result<T, E> {
        let value = T::UNQUOTED.then(|| T::parse(text).ok()).flatten();
        value.ok_or_else(|| E::invalid_value(found, self))
    }
}

impl<T: Scalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::ALLOWED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        if text.is_empty() && !T::MAY_BE_EMPTY {
            return Err(E::invalid_value(Unexpected::Str(text), &self));
        }
        T::parse(text).map_err(|refusal| match refusal {
            Refusal::NotAllowed => E::invalid_value(Unexpected::Str(""), &self),
            Refusal::Because(reason) => E::invalid_value(Unexpected::Other(&reason), &self),
            Refusal::Described(found) => E::invalid_type(Unexpected::Other(&found), &self),
        })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.unquoted(&number.to_string(), Unexpected::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<T, E> {
        self.unquoted(&flag.to_string(), Unexpected::Bool(flag))
    }
}
