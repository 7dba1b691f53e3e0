//! Values that are written as one text, number or boolean, and checked as they are read.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A type whose values are written as one text, number or boolean.
pub(super) trait Scalar: Sized {
    /// What may be written, for messages.
    const ALLOWED: &'static str;

    /// Reads a non-empty string; by itself a number that is written as text, as in the environment.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let number = text.trim().parse().ok().and_then(Self::from_number);
        number.ok_or(Refusal::NotAllowed)
    }

    /// Reads a number.
    fn from_number(_: u64) -> Option<Self> {
        None
    }

    /// Reads a boolean.
    fn from_flag(_: bool) -> Option<Self> {
        None
    }

    /// What an empty text stands for.
    fn from_nothing() -> Option<Self> {
        None
    }
}

/// Why a text is no value.
pub(super) enum Refusal {
    /// It is none of those that are allowed.
    NotAllowed,
    /// A reason that repeats the text; it is not shown where a variable was replaced.
    Because(String),
    /// A description that does not repeat the text.
    Described(String),
}

/// A value that was checked as it was read.
pub(super) struct Valid<T>(pub(super) T);

impl<'de, T: Scalar> Deserialize<'de> for Valid<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ScalarVisitor(PhantomData))
            .map(Self)
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: Scalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::ALLOWED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        if text.is_empty() {
            return T::from_nothing().ok_or_else(|| E::invalid_value(Unexpected::Str(""), &self));
        }
        T::parse(text).map_err(|refusal| match refusal {
            Refusal::NotAllowed => E::invalid_value(Unexpected::Str(""), &self),
            Refusal::Because(reason) => E::invalid_value(Unexpected::Other(&reason), &self),
            Refusal::Described(found) => E::invalid_type(Unexpected::Other(&found), &self),
        })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        u64::try_from(number)
            .ok()
            .and_then(T::from_number)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<T, E> {
        T::from_flag(flag).ok_or_else(|| E::invalid_value(Unexpected::Bool(flag), &self))
    }
}
