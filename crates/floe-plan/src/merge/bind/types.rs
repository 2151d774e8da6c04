//! Types of expressions, and fitting them to each other.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use floe_core::{Error, Result};
use iceberg::spec::PrimitiveType;

use super::super::evaluate::{adjusted, can_assign, cast, is_integer, is_number, type_name};
use super::super::row_expr::RowExpr;
use super::literal;
use crate::convert::{ConvertOptions, convert};

/// The zone of instants in Arrow.
const UTC: &str = "+00:00";

/// An expression and its type.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub(super) expr: RowExpr,
    pub(super) ty: DataType,
}

impl Typed {
    pub(super) fn new(expr: RowExpr, ty: DataType) -> Self {
        Self { expr, ty }
    }

    pub(super) fn literal(array: ArrayRef) -> Self {
        let ty = array.data_type().clone();
        Self { expr: RowExpr::Literal(array), ty }
    }

    pub(super) fn boolean(expr: RowExpr) -> Self {
        Self { expr, ty: DataType::Boolean }
    }

    fn as_literal(&self) -> Option<&ArrayRef> {
        match &self.expr {
            RowExpr::Literal(array) => Some(array),
            _ => None,
        }
    }

    fn is_text_literal(&self) -> bool {
        self.ty == DataType::Utf8 && self.as_literal().is_some()
    }

    /// A timestamp without zone, written as such: an instant of UTC where one is needed.
    fn is_plain_timestamp_literal(&self) -> bool {
        matches!(self.ty, DataType::Timestamp(_, None)) && self.as_literal().is_some()
    }

    /// As another type. That of a literal is found out at once.
    pub(super) fn cast(self, to: &DataType) -> Result<RowExpr> {
        match self.expr {
            expr if self.ty == *to => Ok(expr),
            RowExpr::Literal(array) => Ok(RowExpr::Literal(cast(&array, to)?)),
            expr => Ok(RowExpr::Cast { value: Box::new(expr), to: to.clone() }),
        }
    }

    /// Fails unless it is a boolean. `what` it is for.
    pub(super) fn condition(self, what: &str) -> Result<RowExpr> {
        match &self.ty {
            DataType::Boolean | DataType::Null => self.cast(&DataType::Boolean),
            ty => Err(Error::validation(format!("{what} must be a boolean, and is {}", type_name(ty)))),
        }
    }

    /// Fails unless it is a text.
    pub(super) fn text(self, what: &str) -> Result<RowExpr> {
        match &self.ty {
            DataType::Utf8 | DataType::Null => self.cast(&DataType::Utf8),
            ty => Err(Error::validation(format!("{what} takes text, not {}", type_name(ty)))
                .with_hint("write CAST(… AS STRING)")),
        }
    }
}

/// The type in which values of two types are compared or chosen from. `None` if they do not go together.
pub(super) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (T::Null, other) | (other, T::Null) => other.clone(),
        (T::Int32, T::Int64) | (T::Int64, T::Int32) => T::Int64,
        (T::Decimal128(p1, s1), T::Decimal128(p2, s2)) => {
            let scale = (*s1).max(*s2);
            let whole = (i32::from(*p1) - i32::from(*s1)).max(i32::from(*p2) - i32::from(*s2));
            let (precision, scale) = adjusted(whole + i32::from(scale), i32::from(scale));
            T::Decimal128(precision, scale)
        }
        (T::Decimal128(..), other) if is_integer(other) => common(a, &as_decimal(other))?,
        (other, T::Decimal128(..)) if is_integer(other) => common(&as_decimal(other), b)?,
        (a, b) if is_number(a) && is_number(b) => T::Float64,
        (T::Date32, T::Timestamp(unit, None)) | (T::Timestamp(unit, None), T::Date32) => {
            T::Timestamp(*unit, None)
        }
        (T::Timestamp(a, zone), T::Timestamp(b, other)) if zone.is_some() == other.is_some() => {
            let unit = if a == b { *a } else { TimeUnit::Nanosecond };
            T::Timestamp(unit, zone.as_ref().map(|_| UTC.into()))
        }
        _ => return None,
    })
}

/// The decimal that holds every value of an integer type.
pub(super) fn as_decimal(ty: &DataType) -> DataType {
    match ty {
        DataType::Int32 => DataType::Decimal128(10, 0),
        DataType::Int64 => DataType::Decimal128(20, 0),
        other => other.clone(),
    }
}

/// Numbers as they take part in arithmetic and comparison: if one is a decimal, the integers are decimals too, literals
/// of as many digits as they have.
pub(super) fn decimals(values: &mut [Typed]) -> Result<()> {
    let any = |values: &[Typed], test: fn(&DataType) -> bool| values.iter().any(|value| test(&value.ty));
    if !any(values, |ty| matches!(ty, DataType::Decimal128(..)))
        || any(values, |ty| matches!(ty, DataType::Float32 | DataType::Float64))
    {
        return Ok(());
    }
    for value in values.iter_mut().filter(|value| is_integer(&value.ty)) {
        let to = match value.as_literal() {
            Some(array) => {
                let array = cast(array, &DataType::Decimal128(20, 0))?;
                let digits = array.as_primitive::<Decimal128Type>().value(0).unsigned_abs().to_string().len();
                DataType::Decimal128(digits as u8, 0)
            }
            None => as_decimal(&value.ty),
        };
        *value = Typed { expr: value.clone().cast(&to)?, ty: to };
    }
    Ok(())
}

/// Values of one type, in which they are compared or chosen from. A text that is written out becomes a date, a time, a
/// timestamp or a UUID where the others are. `what` they are for.
pub(super) fn unify(mut values: Vec<Typed>, what: &str) -> Result<(Vec<RowExpr>, DataType)> {
    decimals(&mut values)?;
    let zoned = values.iter().any(|value| matches!(value.ty, DataType::Timestamp(_, Some(_))));
    let weak = |value: &Typed| value.is_text_literal() || (zoned && value.is_plain_timestamp_literal());
    let mut ty: Option<DataType> = None;
    for value in values.iter().filter(|value| !weak(value)) {
        ty = Some(match ty {
            None => value.ty.clone(),
            Some(ty) => common(&ty, &value.ty).ok_or_else(|| do_not_go(what, &ty, &value.ty))?,
        });
    }
    let ty = match ty {
        None | Some(DataType::Null) if values.iter().any(Typed::is_text_literal) => DataType::Utf8,
        ty => ty.unwrap_or(DataType::Null),
    };
    let values = values.into_iter().map(|value| {
        if value.is_text_literal() && ty != DataType::Utf8 {
            return literal::text_as(&value.expr, &ty)
                .unwrap_or_else(|| Err(do_not_go(what, &ty, &value.ty)));
        }
        value.cast(&ty)
    });
    Ok((values.collect::<Result<_>>()?, ty))
}

fn do_not_go(what: &str, a: &DataType, b: &DataType) -> Error {
    Error::validation(format!("{what}: {} and {} do not go together", type_name(a), type_name(b)))
        .with_hint("convert one with CAST(… AS …)")
}

/// The value as it is stored in a column of a type. What cannot be stored there without a loss of meaning needs a `CAST`.
pub(super) fn assign(value: Typed, column: &str, to: &DataType) -> Result<RowExpr> {
    if value.is_text_literal()
        && *to != DataType::Utf8
        && let Some(literal) = literal::text_as(&value.expr, to)
    {
        return literal.map_err(|e| e.context(format!("column '{column}'")));
    }
    if let Some(array) = value.as_literal()
        && is_number(&value.ty)
        && is_number(to)
    {
        // What is written out is meant: it is not cut.
        let array = convert(array, to, &ConvertOptions::default()).map_err(|unfit| {
            Error::validation(format!("column '{column}': a literal does not fit {}: {unfit}", type_name(to)))
                .with_hint(format!("CAST(… AS {}) rounds and cuts", type_name(to).to_uppercase()))
        })?;
        return Ok(RowExpr::Literal(array));
    }
    let bytes = matches!((value.as_literal(), to), (Some(array), DataType::FixedSizeBinary(length))
        if array.data_type() == &DataType::LargeBinary && array.as_binary::<i64>().value(0).len() == *length as usize);
    let instant = value.is_plain_timestamp_literal() && matches!(to, DataType::Timestamp(_, Some(_)));
    if bytes || instant || can_assign(&value.ty, to) {
        return value.cast(to).map_err(|e| e.context(format!("column '{column}'")));
    }
    Err(Error::validation(format!(
        "column '{column}' is {}, and cannot take {}",
        type_name(to),
        type_name(&value.ty)
    ))
    .with_hint(format!("convert it with CAST(… AS {})", type_name(to).to_uppercase())))
}

/// The Iceberg type of a literal of this Arrow type that is written as text.
pub(super) fn written_as(ty: &DataType) -> Option<PrimitiveType> {
    use PrimitiveType as P;
    Some(match ty {
        DataType::Date32 => P::Date,
        DataType::Time64(_) => P::Time,
        DataType::Timestamp(TimeUnit::Nanosecond, None) => P::TimestampNs,
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => P::TimestamptzNs,
        DataType::Timestamp(_, None) => P::Timestamp,
        DataType::Timestamp(_, Some(_)) => P::Timestamptz,
        DataType::FixedSizeBinary(16) => P::Uuid,
        _ => return None,
    })
}

/// The type that a `CAST` names.
pub(super) fn named(ty: &sqlparser::ast::DataType) -> Result<DataType> {
    let text = ty.to_string().to_uppercase();
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end_matches(')')),
        None => (text.trim(), ""),
    };
    let micros = |zone: bool| DataType::Timestamp(TimeUnit::Microsecond, zone.then(|| Arc::from(UTC)));
    Ok(match name {
        "BOOLEAN" | "BOOL" => DataType::Boolean,
        "TINYINT" | "SMALLINT" | "INT" | "INTEGER" => DataType::Int32,
        "BIGINT" | "LONG" => DataType::Int64,
        "FLOAT" | "REAL" if arguments.is_empty() => DataType::Float32,
        "DOUBLE" | "DOUBLE PRECISION" => DataType::Float64,
        "DECIMAL" | "NUMERIC" | "DEC" => {
            let mut numbers = arguments.split(',').map(|number| number.trim().parse::<i32>().ok());
            let (precision, scale) = match (arguments.is_empty(), numbers.next().flatten(), numbers.next()) {
                (true, _, _) => (10, 0),
                (_, Some(precision), None) => (precision, 0),
                (_, Some(precision), Some(Some(scale))) => (precision, scale),
                _ => (0, 0),
            };
            if !(1..=38).contains(&precision) || !(0..=precision).contains(&scale) {
                return Err(Error::validation(
                    "a decimal has 1 to 38 digits, and at most all of them after the point",
                ));
            }
            DataType::Decimal128(precision as u8, scale as i8)
        }
        "DATE" => DataType::Date32,
        "TIME" => DataType::Time64(TimeUnit::Microsecond),
        "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMP WITHOUT TIME ZONE" | "DATETIME" => micros(false),
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP_LTZ" => micros(true),
        "STRING" | "TEXT" | "VARCHAR" => DataType::Utf8,
        "BINARY" | "BYTES" => DataType::LargeBinary,
        "UUID" => DataType::FixedSizeBinary(16),
        _ => {
            return Err(Error::validation("CAST to a type that is not known").with_hint(
                "BOOLEAN, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), DATE, TIME, TIMESTAMP, TIMESTAMPTZ, STRING, \
                 BINARY and UUID are",
            ));
        }
    })
}
