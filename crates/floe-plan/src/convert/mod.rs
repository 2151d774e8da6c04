//! The one table of conversions: how a value that comes from outside becomes a value of a column.
//!
//! CSV fields, JSON numbers and strings, columns of Parquet and Arrow, and literals of SQL all go by it: a value **fits
//! exactly**, is **widened without loss**, or is **refused**. Nothing is rounded, cut or shifted, with one exception that
//! every reader of text makes: a text with a fraction or an exponent means the nearest `double`.
//!
//! | column | takes |
//! |---|---|
//! | `boolean` | booleans; the texts true, false, t, f, yes, no, y, n, on, off, 1, 0 |
//! | `int`, `long` | every number that is whole and in range, however it is written or stored: 2, 2.0, 2e0 |
//! | `decimal(p, s)` | every number with at most `s` digits after the point, trailing zeros aside, and `p` in all |
//! | `double` | whole numbers that a double has; of texts with a fraction or exponent the nearest; not what would be infinite, nor zero for what is not |
//! | `float` | as `double`, with at most nine significant digits unless it is exact |
//! | `date` | dates; timestamps without zone at midnight |
//! | `time` | times of day, finer than microseconds only in zeros |
//! | `timestamp` | timestamps without zone or offset, finer than the column only in zeros; dates; numbers with [`Epoch`] |
//! | `timestamptz` | instants, finer than the column only in zeros; texts without zone are of UTC; numbers with [`Epoch`] |
//! | `string` | texts; a `uuid` as its text |
//! | `uuid` | 16 bytes; texts of 32 hexadecimal digits, with hyphens or without |
//! | `fixed(n)`, `binary` | bytes, `n` of them; as text in hexadecimal |
//!
//! A number that is stored as a float, or written with an exponent, tells which integer it is only up to 10^16; beyond
//! that, integers and decimals refuse it. A stored float counts as the shortest text that means it, so that a column gives the
//! same from Parquet as from CSV.

mod number;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod typed;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use text::parse;
pub(crate) use typed::casts_if_exact;
#[cfg(test)]
pub(crate) use typed::casts_safely;
pub use typed::{Fit, convert, fit, type_name};

/// What a number in a timestamp column counts since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Epoch {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl Epoch {
    /// How many decimal digits of a second one of these is: 0, 3, 6 or 9.
    pub(crate) fn digits(self) -> i64 {
        match self {
            Self::Seconds => 0,
            Self::Milliseconds => 3,
            Self::Microseconds => 6,
            Self::Nanoseconds => 9,
        }
    }
}

/// How values are converted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConvertOptions {
    /// What numbers in timestamp columns count; they are refused if this is absent.
    pub epoch: Option<Epoch>,
}

/// A value that does not fit its column. Says where it is and what is wrong with it, never what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit {
    /// The row of the array that was converted, counted from 0.
    pub row: usize,
    /// What is wrong, where that can be told: `it has a fraction`.
    pub why: Option<&'static str>,
}

impl Unfit {
    pub(crate) fn new(row: usize, why: &'static str) -> Self {
        Self { row, why: Some(why) }
    }

    /// Not a value of this type at all.
    pub(crate) fn unreadable(row: usize) -> Self {
        Self { row, why: None }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why.unwrap_or("it cannot be read as such"))
    }
}

/// What is wrong with values.
pub(crate) mod why {
    pub(crate) const RANGE: &str = "it is out of range";
    pub(crate) const FRACTION: &str = "it has a fraction";
    pub(crate) const SCALE: &str = "it has more digits after the point";
    pub(crate) const FLOAT: &str =
        "it is a floating-point number beyond 10^16, which does not tell all its digits";
    pub(crate) const EXACT: &str = "it is a whole number that this type has no exact value for";
    pub(crate) const DIGITS: &str = "it has more digits than this type can hold";
    pub(crate) const SMALL: &str = "it is too small, and would become zero";
    pub(crate) const TIME: &str = "it has a time of day";
    pub(crate) const OFFSET: &str = "it has an offset, and the column has no zone";
    pub(crate) const FINER: &str = "it is finer than the column can hold";
    pub(crate) const EPOCH: &str = "it is a number, and what it counts is not said (--epoch s, ms, us or ns)";
    pub(crate) const LEAP: &str = "it is a leap second";
    pub(crate) const LENGTH: &str = "it has another length";
}
