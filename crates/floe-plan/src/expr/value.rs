//! Values in the domain of a column's type: what bounds, partition values and literals are compared as.

use std::cmp::Ordering;
use std::fmt;

use iceberg::spec::{Datum, PrimitiveLiteral, PrimitiveType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of a primitive column.
///
/// One variant stands for several Iceberg types, so that a bound written as `int` compares with a column that
/// is `long` by now. `Debug` shows the kind only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// `boolean`
    Boolean(bool),
    /// `int`, `long`; `date` in days; `time` in microseconds; timestamps in the column's own unit.
    Integer(i64),
    /// `float` (widened, which is exact) and `double`.
    Float(#[serde(serialize_with = "float_out", deserialize_with = "float_in")] f64),
    /// `decimal`, unscaled, with the column's scale.
    Decimal(#[serde(serialize_with = "decimal_out", deserialize_with = "decimal_in")] i128),
    /// `string`
    String(String),
    /// `uuid`, `fixed`, `binary`
    Bytes(Vec<u8>),
}

impl Value {
    /// A value of a metadata literal for a column of type `target`, which may have been widened since the
    /// literal was written; `written` is the type it was written as, where known. `None` if it does not fit.
    pub fn from_literal(
        literal: &PrimitiveLiteral,
        written: Option<&PrimitiveType>,
        target: &PrimitiveType,
    ) -> Option<Self> {
        use PrimitiveType as T;
        Some(match (literal, target) {
            (PrimitiveLiteral::Boolean(v), T::Boolean) => Self::Boolean(*v),
            (PrimitiveLiteral::Int(v), T::Int | T::Long | T::Date) => Self::Integer((*v).into()),
            (PrimitiveLiteral::Int(days), T::Timestamp | T::TimestampNs)
                if written.is_none_or(|t| *t == T::Date) =>
            {
                Self::Integer(i64::from(*days).checked_mul(units_per_day(target)?)?)
            }
            (
                PrimitiveLiteral::Long(v),
                T::Long | T::Time | T::Timestamp | T::Timestamptz | T::TimestampNs | T::TimestamptzNs,
            ) => Self::Integer(*v),
            (PrimitiveLiteral::Long(v), T::Int | T::Date) => Self::Integer(*v),
            (PrimitiveLiteral::Float(v), T::Float | T::Double) => Self::Float(v.into_inner().into()),
            (PrimitiveLiteral::Double(v), T::Float | T::Double) => Self::Float(v.into_inner()),
            (PrimitiveLiteral::Int128(v), T::Decimal { scale, .. }) => match written {
                Some(T::Decimal { scale: was, .. }) if was != scale => return None,
                _ => Self::Decimal(*v),
            },
            (PrimitiveLiteral::String(v), T::String) => Self::String(v.clone()),
            (PrimitiveLiteral::UInt128(v), T::Uuid) => Self::Bytes(v.to_be_bytes().to_vec()),
            (PrimitiveLiteral::Binary(v), T::Binary | T::Fixed(_) | T::Uuid) => Self::Bytes(v.clone()),
            _ => return None,
        })
    }

    /// As [`Value::from_literal`], for a bound that knows its own type.
    pub fn from_datum(datum: &Datum, target: &PrimitiveType) -> Option<Self> {
        Self::from_literal(datum.literal(), Some(datum.data_type()), target)
    }

    /// Reads a bound in the spec's single-value serialization (Appendix D). Bounds of a narrower type that the
    /// column had before (`int` for `long`, `float` for `double`, `date` for `timestamp`) are widened. `None`
    /// if the bytes cannot be such a value.
    pub fn from_bytes(bytes: &[u8], target: &PrimitiveType) -> Option<Self> {
        use PrimitiveType as T;
        Some(match target {
            T::Boolean => Self::Boolean(*bytes.first()? != 0),
            T::Int | T::Date => Self::Integer(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            T::Long | T::Time | T::Timestamptz | T::TimestamptzNs => Self::Integer(long(bytes)?),
            T::Timestamp | T::TimestampNs if bytes.len() == 4 => {
                Self::Integer(long(bytes)?.checked_mul(units_per_day(target)?)?)
            }
            T::Timestamp | T::TimestampNs => Self::Integer(long(bytes)?),
            T::Float | T::Double => Self::Float(match bytes.len() {
                4 => f32::from_le_bytes(bytes.try_into().ok()?).into(),
                _ => f64::from_le_bytes(bytes.try_into().ok()?),
            }),
            T::Decimal { .. } => {
                if bytes.is_empty() || bytes.len() > 16 {
                    return None;
                }
                let mut full = if bytes[0] & 0x80 == 0 { [0; 16] } else { [0xff; 16] };
                full[16 - bytes.len()..].copy_from_slice(bytes);
                Self::Decimal(i128::from_be_bytes(full))
            }
            T::String => Self::String(std::str::from_utf8(bytes).ok()?.to_owned()),
            T::Uuid if bytes.len() != 16 => return None,
            T::Uuid | T::Fixed(_) | T::Binary => Self::Bytes(bytes.to_vec()),
        })
    }

    /// The value as an Iceberg datum of type `ty`; `None` if it is not of that type.
    pub fn to_datum(&self, ty: &PrimitiveType) -> Option<Datum> {
        use PrimitiveType as T;
        Some(match (self, ty) {
            (Self::Boolean(v), T::Boolean) => Datum::bool(*v),
            (Self::Integer(v), T::Int) => Datum::int(i32::try_from(*v).ok()?),
            (Self::Integer(v), T::Long) => Datum::long(*v),
            (Self::Integer(v), T::Date) => Datum::date(i32::try_from(*v).ok()?),
            (Self::Integer(v), T::Time) => Datum::time_micros(*v).ok()?,
            (Self::Integer(v), T::Timestamp) => Datum::timestamp_micros(*v),
            (Self::Integer(v), T::Timestamptz) => Datum::timestamptz_micros(*v),
            (Self::Integer(v), T::TimestampNs) => Datum::timestamp_nanos(*v),
            (Self::Integer(v), T::TimestamptzNs) => Datum::timestamptz_nanos(*v),
            (Self::Float(v), T::Float) => Datum::float(*v as f32),
            (Self::Float(v), T::Double) => Datum::double(*v),
            (Self::Decimal(v), T::Decimal { .. }) => {
                Datum::try_from_bytes(&v.to_be_bytes(), ty.clone()).ok()?
            }
            (Self::String(v), T::String) => Datum::string(v),
            (Self::Bytes(v), T::Uuid) => Datum::uuid(uuid::Uuid::from_slice(v).ok()?),
            (Self::Bytes(v), T::Fixed(_)) => Datum::fixed(v.iter().copied()),
            (Self::Bytes(v), T::Binary) => Datum::binary(v.iter().copied()),
            _ => return None,
        })
    }

    /// Whether it is a float that is not a number.
    pub fn is_nan(&self) -> bool {
        matches!(self, Self::Float(v) if v.is_nan())
    }

    /// The bytes that a string or byte value is ordered by.
    pub fn as_ordered_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(v) => Some(v.as_bytes()),
            Self::Bytes(v) => Some(v),
            _ => None,
        }
    }

    /// A total order for sorting lists of one column's values; NaN last.
    pub(super) fn total_cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            _ => self.partial_cmp(other).unwrap_or(Ordering::Equal),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Decimal(_) => "decimal",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// How many of a timestamp type's units a day has.
pub(crate) fn units_per_day(ty: &PrimitiveType) -> Option<i64> {
    match ty {
        PrimitiveType::Timestamp | PrimitiveType::Timestamptz => Some(86_400_000_000),
        PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => Some(86_400_000_000_000),
        _ => None,
    }
}

fn long(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        4 => i32::from_le_bytes(bytes.try_into().ok()?).into(),
        _ => i64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// Floats as IEEE: NaN is not comparable, `-0.0` equals `0.0`. Strings and bytes by their bytes. Values of
/// different kinds are not comparable.
impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.partial_cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.partial_cmp(b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.partial_cmp(b),
            (Self::String(a), Self::String(b)) => a.partial_cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.kind())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum FloatText {
    Number(f64),
    Text(String),
}

/// JSON has no NaN and no infinities, and some readers lose the sign of zero: those travel as text.
fn float_out<S: Serializer>(v: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let plain = v.is_finite() && (*v != 0.0 || v.is_sign_positive());
    if plain { FloatText::Number(*v) } else { FloatText::Text(v.to_string()) }.serialize(serializer)
}

fn float_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match FloatText::deserialize(deserializer)? {
        FloatText::Number(v) => Ok(v),
        FloatText::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn decimal_out<S: Serializer>(v: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(v)
}

fn decimal_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
