//! From conditions over rows to filters over metadata.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use iceberg::spec::Schema;

use super::super::row_expr::RowExpr;
use crate::expr::{CompareOp, Expr, Literal};

/// A filter over columns of the table that is true wherever the condition is; as narrow as filters can say it.
pub(super) fn weaker(condition: &RowExpr, schema: &Schema) -> Expr {
    let filter = weaken(condition, schema);
    // One that nests too deeply says nothing.
    if filter.bind(schema, true).is_ok() { filter } else { Expr::True }
}

fn weaken(condition: &RowExpr, schema: &Schema) -> Expr {
    match condition {
        RowExpr::And(parts) => Expr::all(parts.iter().map(|part| weaken(part, schema))),
        RowExpr::Or(parts) => Expr::any(parts.iter().map(|part| weaken(part, schema))),
        other => exact(other, schema).unwrap_or(Expr::True),
    }
}

/// The same condition as a filter: true, false and unknown for the same rows.
fn exact(condition: &RowExpr, schema: &Schema) -> Option<Expr> {
    Some(match condition {
        RowExpr::Literal(array) if array.data_type() == &DataType::Boolean && array.is_valid(0) => {
            if array.as_boolean().value(0) { Expr::True } else { Expr::False }
        }
        RowExpr::Target(_) => Expr::column(column(condition, schema)?).is_true(),
        RowExpr::Not(inner) => !exact(inner, schema)?,
        RowExpr::And(parts) => Expr::all(all(parts, schema)?),
        RowExpr::Or(parts) => Expr::any(all(parts, schema)?),
        RowExpr::IsNull(value) => Expr::column(column(value, schema)?).is_null(),
        RowExpr::IsNan(value) => Expr::column(column(value, schema)?).is_nan(),
        RowExpr::Compare(op, a, b) => {
            compare(*op, a, b, schema).or_else(|| compare(op.mirrored(), b, a, schema))?
        }
        RowExpr::Distinct(a, b) => distinct(a, b, schema).or_else(|| distinct(b, a, schema))?,
        RowExpr::In(value, list) if list.null_count() == 0 => {
            let items = (0..list.len()).map(|row| literal(list, row)).collect::<Option<Vec<_>>>()?;
            Expr::column(column(value, schema)?).is_in(items)
        }
        RowExpr::Like { value, pattern, ignore_case: false } => {
            let RowExpr::Literal(pattern) = pattern.as_ref() else { return None };
            let pattern = pattern.as_string_opt::<i32>().filter(|pattern| pattern.is_valid(0))?.value(0);
            let prefix = pattern.strip_suffix('%')?;
            if prefix.contains(['%', '_', '\\']) {
                return None;
            }
            Expr::column(column(value, schema)?).starts_with(prefix)
        }
        _ => return None,
    })
}

fn all(parts: &[RowExpr], schema: &Schema) -> Option<Vec<Expr>> {
    parts.iter().map(|part| exact(part, schema)).collect()
}

fn compare(op: CompareOp, value: &RowExpr, with: &RowExpr, schema: &Schema) -> Option<Expr> {
    let RowExpr::Literal(array) = with else { return None };
    Some(Expr::column(column(value, schema)?).compare(op, literal(array, 0)?))
}

fn distinct(value: &RowExpr, from: &RowExpr, schema: &Schema) -> Option<Expr> {
    let RowExpr::Literal(array) = from else { return None };
    let column = || column(value, schema).map(Expr::column);
    if array.is_null(0) {
        return Some(column()?.is_not_null());
    }
    match literal(array, 0)? {
        Literal::Double(v) if v.is_nan() => None,
        literal => Some(column()?.is_null().or(column()?.not_eq(literal))),
    }
}

/// The name of a column of the table that is looked at as it is, or as a type that has all its values.
fn column(expr: &RowExpr, schema: &Schema) -> Option<String> {
    match expr {
        RowExpr::Target(id) => {
            schema.field_by_id(*id).filter(|field| field.field_type.is_primitive())?;
            // Quoted as filters quote names.
            schema.name_by_field_id(*id).map(str::to_owned)
        }
        RowExpr::Cast { value, to } => {
            let RowExpr::Target(id) = value.as_ref() else { return None };
            let from = schema.field_by_id(*id)?.field_type.as_primitive_type()?.clone();
            use iceberg::spec::PrimitiveType as P;
            let keeps = match (from, to) {
                (P::Int, DataType::Int64 | DataType::Float64) | (P::Float, DataType::Float64) => true,
                (P::Int, DataType::Decimal128(p, s)) => i32::from(*p) - i32::from(*s) >= 10,
                (P::Long, DataType::Decimal128(p, s)) => i32::from(*p) - i32::from(*s) >= 19,
                _ => false,
            };
            if keeps { column(value, schema) } else { None }
        }
        _ => None,
    }
}

fn literal(array: &ArrayRef, row: usize) -> Option<Literal> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Boolean => Literal::Boolean(array.as_boolean().value(row)),
        DataType::Int32 => Literal::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Literal::Integer(array.as_primitive::<Int64Type>().value(row).into()),
        DataType::Float32 => Literal::Double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Literal::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Literal::Decimal {
            unscaled: array.as_primitive::<Decimal128Type>().value(row),
            scale: u8::try_from(*scale).ok()?,
        },
        DataType::Utf8 => Literal::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeBinary => Literal::Bytes(array.as_binary::<i64>().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => Literal::Bytes(array.as_fixed_size_binary().value(row).to_vec()),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            Literal::Date(NaiveDate::from_epoch_days(days)?)
        }
        DataType::Time64(_) => {
            let micros = array.as_primitive::<Time64MicrosecondType>().value(row);
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds as u32, rest as u32 * 1000)?;
            Literal::Time(time)
        }
        DataType::Timestamp(unit, zone) => {
            let at: DateTime<Utc> = match unit {
                TimeUnit::Microsecond => DateTime::from_timestamp_micros(
                    array.as_primitive::<TimestampMicrosecondType>().value(row),
                )?,
                TimeUnit::Nanosecond => {
                    DateTime::from_timestamp_nanos(array.as_primitive::<TimestampNanosecondType>().value(row))
                }
                _ => return None,
            };
            if zone.is_some() { Literal::TimestampTz(at) } else { Literal::Timestamp(at.naive_utc()) }
        }
        _ => return None,
    })
}
