//! Literals as a caller writes them, before they meet a column's type.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// A literal of an unbound filter. `Debug` shows its kind only, `Display` writes it as filter text.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Literal {
    /// `TRUE`, `FALSE`
    Boolean(bool),
    /// `42`
    Integer(i128),
    /// `1.50`: the unscaled digits and how many of them stand after the point.
    Decimal {
        /// All digits as one number.
        unscaled: i128,
        /// Digits after the point.
        scale: u8,
    },
    /// `1e3`, `DOUBLE 'NaN'`
    Double(f64),
    /// `'text'`
    String(String),
    /// `X'0af3'`
    Bytes(Vec<u8>),
    /// `DATE '2024-02-29'`
    Date(NaiveDate),
    /// `TIME '12:30:00.5'`
    Time(NaiveTime),
    /// `TIMESTAMP '2024-02-29T12:30:00'`
    Timestamp(NaiveDateTime),
    /// `TIMESTAMP '2024-02-29T12:30:00Z'`
    TimestampTz(DateTime<Utc>),
}

impl Literal {
    /// What kind of literal it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Decimal { .. } => "a decimal number",
            Self::Double(_) => "a floating-point number",
            Self::String(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "a date",
            Self::Time(_) => "a time",
            Self::Timestamp(_) => "a timestamp without zone",
            Self::TimestampTz(_) => "a timestamp with zone",
        }
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Literal({})", self.kind())
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(true) => f.write_str("TRUE"),
            Self::Boolean(false) => f.write_str("FALSE"),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Decimal { unscaled, scale } => {
                let scale = usize::from(*scale);
                let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                let sign = if *unscaled < 0 { "-" } else { "" };
                write!(f, "{sign}{whole}.{fraction}")
            }
            Self::Double(v) if v.is_finite() => write!(f, "{v:e}"),
            Self::Double(v) => write!(f, "DOUBLE '{v}'"),
            Self::String(v) => write!(f, "'{}'", v.replace('\'', "''")),
            Self::Bytes(v) => {
                f.write_str("X'")?;
                v.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                f.write_str("'")
            }
            Self::Date(v) => write!(f, "DATE '{v}'"),
            Self::Time(v) => write!(f, "TIME '{v}'"),
            Self::Timestamp(v) => write!(f, "TIMESTAMP '{v:?}'"),
            Self::TimestampTz(v) => write!(f, "TIMESTAMP '{v:?}'"),
        }
    }
}

macro_rules! from {
    ($($from:ty => |$v:ident| $to:expr;)*) => {
        $(impl From<$from> for Literal {
            fn from($v: $from) -> Self {
                $to
            }
        })*
    };
}

from! {
    bool => |v| Self::Boolean(v);
    i8 => |v| Self::Integer(v.into());
    i16 => |v| Self::Integer(v.into());
    i32 => |v| Self::Integer(v.into());
    i64 => |v| Self::Integer(v.into());
    i128 => |v| Self::Integer(v);
    u8 => |v| Self::Integer(v.into());
    u16 => |v| Self::Integer(v.into());
    u32 => |v| Self::Integer(v.into());
    u64 => |v| Self::Integer(v.into());
    f32 => |v| Self::Double(v.into());
    f64 => |v| Self::Double(v);
    &str => |v| Self::String(v.to_owned());
    String => |v| Self::String(v);
    Vec<u8> => |v| Self::Bytes(v);
    &[u8] => |v| Self::Bytes(v.to_vec());
    uuid::Uuid => |v| Self::Bytes(v.as_bytes().to_vec());
    NaiveDate => |v| Self::Date(v);
    NaiveTime => |v| Self::Time(v);
    NaiveDateTime => |v| Self::Timestamp(v);
    DateTime<Utc> => |v| Self::TimestampTz(v);
}
