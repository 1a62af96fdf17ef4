//! Small value types that fix how a quantity is written in JSON.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A code address, written as a lower-case hex string (`"0x1a2f0"`).
///
/// JSON numbers are doubles to most readers and lose integers above 2^53; kernel addresses are above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub u64);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Address;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address as a hex string like \"0x1a2f0\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
                text.strip_prefix("0x")
                    .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                    .map(Address)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^0x[0-9a-f]{1,16}$" })
    }
}

/// A measured quantity whose unit its metric's name gives: an integer where the metric counts or sums,
/// a fraction where it is a ratio or a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Quantity {
    /// Bytes, counts, nanoseconds.
    Integer(u64),
    /// Ratios and rates.
    Fraction(f64),
}

impl Quantity {
    /// The quantity as a double, for comparing and drawing.
    pub fn as_f64(self) -> f64 {
        match self {
            Quantity::Integer(n) => n as f64,
            Quantity::Fraction(x) => x,
        }
    }
}

/// How a figure was come by. The rule of the whole kit: every number says which of the three it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Read from the kernel or the program, exact but for what is said to be lost.
    Measured,
    /// Derived from samples or from a stand-in; the reason says how.
    Estimated,
    /// Not known; the value is `null`, never 0.
    Unavailable,
}

/// What a session can say about one quantity, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capability {
    /// Measured, estimated or unavailable.
    pub status: Status,
    /// How it was come by, or why it is not there. Always given unless `measured` needs no words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Capability {
    /// Measured, with nothing to add.
    pub fn measured() -> Self {
        Capability { status: Status::Measured, reason: None }
    }

    /// Estimated in the way `reason` tells.
    pub fn estimated(reason: impl Into<String>) -> Self {
        Capability { status: Status::Estimated, reason: Some(reason.into()) }
    }

    /// Unavailable for `reason`.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Capability { status: Status::Unavailable, reason: Some(reason.into()) }
    }
}
