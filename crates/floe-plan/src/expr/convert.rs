//! Converting literals to the type of a column.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use iceberg::spec::PrimitiveType;

use super::lexer::exact_number;
use super::{Literal, Value};

/// Where a literal lies among the values of a type.
#[derive(Debug, Clone, PartialEq)]
pub enum Fit {
    /// It is this value.
    Exact(Value),
    /// It is no value of the type and lies directly above this one: 1.5 above the `int` 1.
    Above(Value),
    /// It is less than every value.
    BelowAll,
    /// It is greater than every value.
    AboveAll,
}

/// Converts `literal` to type `ty`.
///
/// # Errors
/// A hint on how to write it, when a literal of this kind does not go with the type.
pub fn fit_literal(literal: &Literal, ty: &PrimitiveType) -> Result<Fit, &'static str> {
    use PrimitiveType as T;
    match ty {
        T::Boolean => match literal {
            Literal::Boolean(v) => Ok(Fit::Exact(Value::Boolean(*v))),
            _ => Err("use TRUE or FALSE"),
        },
        T::Int => integer(literal, i32::MIN.into(), i32::MAX.into()),
        T::Long => integer(literal, i64::MIN, i64::MAX),
        T::Float | T::Double if matches!(literal, Literal::Integer(_)) => {
            let Literal::Integer(v) = literal else { return Err("use a number") };
            Ok(whole(*v, matches!(ty, T::Float)))
        }
        T::Float => float(literal).map(|v| {
            // As the column would have stored it; a number beyond its range stays what it is.
            let narrow = f64::from(v as f32);
            Fit::Exact(Value::Float(if narrow.is_finite() || !v.is_finite() { narrow } else { v }))
        }),
        T::Double => float(literal).map(|v| Fit::Exact(Value::Float(v))),
        T::Decimal { precision, scale } => decimal(literal, *precision, *scale),
        T::Date => match literal {
            Literal::Date(v) => Ok(date(*v)),
            Literal::String(v) => parse_date(v).map(date).ok_or("write it as DATE 'YYYY-MM-DD'"),
            _ => Err("write it as DATE 'YYYY-MM-DD'"),
        },
        T::Time => match literal {
            Literal::Time(v) => Ok(time(*v)),
            Literal::String(v) => parse_time(v).map(time).ok_or("write it as TIME 'HH:MM:SS.ffffff'"),
            _ => Err("write it as TIME 'HH:MM:SS.ffffff'"),
        },
        T::Timestamp | T::TimestampNs => {
            let hint = "write it without a zone: TIMESTAMP 'YYYY-MM-DDTHH:MM:SS.ffffff'";
            let at = match literal {
                Literal::Timestamp(v) => Some(*v),
                Literal::Date(v) => Some(v.and_time(NaiveTime::MIN)),
                Literal::String(v) => {
                    parse_timestamp(v).or_else(|| parse_date(v).map(|d| d.and_time(NaiveTime::MIN)))
                }
                _ => None,
            };
            at.map(|v| timestamp(v.and_utc(), ty)).ok_or(hint)
        }
        T::Timestamptz | T::TimestamptzNs => {
            let hint = "write it with a zone: TIMESTAMP 'YYYY-MM-DDTHH:MM:SS.ffffffZ'";
            let at = match literal {
                Literal::TimestampTz(v) => Some(*v),
                Literal::String(v) => parse_timestamptz(v),
                _ => None,
            };
            at.map(|v| timestamp(v, ty)).ok_or(hint)
        }
        T::String => match literal {
            Literal::String(v) => Ok(Fit::Exact(Value::String(v.clone()))),
            _ => Err("write text in single quotes"),
        },
        T::Uuid => match literal {
            Literal::String(v) => uuid::Uuid::try_parse(v)
                .map(|v| Fit::Exact(Value::Bytes(v.as_bytes().to_vec())))
                .map_err(|_| "write it as '00000000-0000-0000-0000-000000000000'"),
            Literal::Bytes(v) if v.len() == 16 => Ok(Fit::Exact(Value::Bytes(v.clone()))),
            _ => Err("write it as '00000000-0000-0000-0000-000000000000'"),
        },
        T::Fixed(length) => match literal {
            Literal::Bytes(v) if v.len() as u64 == *length => Ok(Fit::Exact(Value::Bytes(v.clone()))),
            _ => Err("write it as X'…', with exactly as many bytes as the column has"),
        },
        T::Binary => match literal {
            Literal::Bytes(v) => Ok(Fit::Exact(Value::Bytes(v.clone()))),
            _ => Err("write it as X'…'"),
        },
    }
}

fn integer(literal: &Literal, min: i64, max: i64) -> Result<Fit, &'static str> {
    let (floor, exact) = match literal {
        Literal::Integer(v) => (*v, true),
        Literal::Decimal { unscaled, scale } => floor_div(*unscaled, u32::from(*scale)),
        // The cast saturates, which is far outside of any column's range.
        Literal::Double(v) if !v.is_nan() => (v.floor() as i128, v.floor() == *v),
        _ => return Err("use a number"),
    };
    Ok(if floor > max.into() {
        Fit::AboveAll
    } else if floor < min.into() {
        Fit::BelowAll
    } else if exact {
        Fit::Exact(Value::Integer(floor as i64))
    } else {
        Fit::Above(Value::Integer(floor as i64))
    })
}

fn decimal(literal: &Literal, precision: u32, scale: u32) -> Result<Fit, &'static str> {
    let hint = "use a number";
    let text;
    let (unscaled, from) = match literal {
        Literal::Integer(v) => (*v, 0),
        Literal::Decimal { unscaled, scale } => (*unscaled, u32::from(*scale)),
        Literal::String(v) => match exact_number(v.trim()).ok_or(hint)? {
            Literal::Decimal { unscaled, scale } => (unscaled, u32::from(scale)),
            Literal::Integer(v) => (v, 0),
            _ => return Err(hint),
        },
        Literal::Double(v) if v.is_infinite() => {
            return Ok(if *v > 0.0 { Fit::AboveAll } else { Fit::BelowAll });
        }
        Literal::Double(v) if !v.is_nan() => {
            text = v.to_string();
            match exact_number(&text) {
                Some(Literal::Decimal { unscaled, scale }) => (unscaled, u32::from(scale)),
                Some(Literal::Integer(v)) => (v, 0),
                _ if v.abs() > 1.0 => return Ok(if *v > 0.0 { Fit::AboveAll } else { Fit::BelowAll }),
                _ => return Ok(Fit::Above(Value::Decimal(if *v < 0.0 { -1 } else { 0 }))),
            }
        }
        _ => return Err(hint),
    };
    let limit = 10_i128.checked_pow(precision).unwrap_or(i128::MAX);
    let (floor, exact) = if from > scale {
        floor_div(unscaled, from - scale)
    } else {
        match 10_i128.checked_pow(scale - from).and_then(|factor| unscaled.checked_mul(factor)) {
            Some(v) => (v, true),
            None => return Ok(if unscaled > 0 { Fit::AboveAll } else { Fit::BelowAll }),
        }
    };
    Ok(if floor >= limit {
        Fit::AboveAll
    } else if floor <= -limit && (floor < -limit || exact) {
        Fit::BelowAll
    } else if exact {
        Fit::Exact(Value::Decimal(floor))
    } else {
        Fit::Above(Value::Decimal(floor))
    })
}

/// `unscaled / 10^digits`, rounded down, and whether nothing was lost.
fn floor_div(unscaled: i128, digits: u32) -> (i128, bool) {
    match 10_i128.checked_pow(digits) {
        Some(divisor) => (unscaled.div_euclid(divisor), unscaled.rem_euclid(divisor) == 0),
        None => (if unscaled < 0 { -1 } else { 0 }, unscaled == 0),
    }
}

/// Where an integer lies among floats: beyond 2^24 and 2^53, some lie between two of them.
fn whole(v: i128, single: bool) -> Fit {
    let nearest = if single { f64::from(v as f32) } else { v as f64 };
    // What is as large as 2^127 stands above every integer.
    match (nearest as i128).cmp(&v) {
        std::cmp::Ordering::Equal => Fit::Exact(Value::Float(nearest)),
        std::cmp::Ordering::Less => Fit::Above(Value::Float(nearest)),
        std::cmp::Ordering::Greater if single => Fit::Above(Value::Float((v as f32).next_down().into())),
        std::cmp::Ordering::Greater => Fit::Above(Value::Float(nearest.next_down())),
    }
}

fn float(literal: &Literal) -> Result<f64, &'static str> {
    match literal {
        Literal::Integer(v) => Ok(*v as f64),
        // Through text, so that it is the nearest double.
        Literal::Decimal { .. } => literal.to_string().parse().map_err(|_| "use a number"),
        Literal::Double(v) => Ok(*v),
        _ => Err("use a number"),
    }
}

fn date(v: NaiveDate) -> Fit {
    Fit::Exact(Value::Integer(v.signed_duration_since(NaiveDate::default()).num_days()))
}

fn time(v: NaiveTime) -> Fit {
    scaled(i128::from(v.signed_duration_since(NaiveTime::MIN).num_nanoseconds().unwrap_or(0)), 1000)
}

fn timestamp(v: DateTime<Utc>, ty: &PrimitiveType) -> Fit {
    let nanos = i128::from(v.timestamp()) * 1_000_000_000 + i128::from(v.timestamp_subsec_nanos());
    let unit = if matches!(ty, PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs) { 1 } else { 1000 };
    scaled(nanos, unit)
}

fn scaled(nanos: i128, unit: i128) -> Fit {
    let floor = nanos.div_euclid(unit);
    match i64::try_from(floor) {
        Ok(v) if nanos.rem_euclid(unit) == 0 => Fit::Exact(Value::Integer(v)),
        Ok(v) => Fit::Above(Value::Integer(v)),
        Err(_) if floor > 0 => Fit::AboveAll,
        Err(_) => Fit::BelowAll,
    }
}

pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    text.trim().parse().ok()
}

pub(super) fn parse_time(text: &str) -> Option<NaiveTime> {
    text.trim().parse().ok()
}

pub(super) fn parse_timestamp(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    text.parse().ok().or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok())
}

pub(super) fn parse_timestamptz(text: &str) -> Option<DateTime<Utc>> {
    text.trim().parse().ok()
}
