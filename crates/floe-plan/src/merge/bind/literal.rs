//! Literals as arrays of one value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, LargeBinaryArray,
    NullArray, StringArray,
};
use arrow_schema::DataType;
use floe_core::{Error, ErrorKind, Result};
use iceberg::arrow::type_to_arrow_type;
use iceberg::spec::{PrimitiveType, Type};
use sqlparser::ast::{TypedString, Value as SqlValue};

use super::super::evaluate::{cast, type_name};
use super::super::row_expr::RowExpr;
use super::types::{named, written_as};
use crate::constant::repeat;
use crate::expr::{Fit, Literal, fit_literal};

/// A literal of SQL. `negative` if a minus stands before it.
pub(super) fn value(value: &SqlValue, negative: bool) -> Result<ArrayRef> {
    Ok(match value {
        SqlValue::Number(digits, _) => number(digits, negative)?,
        SqlValue::SingleQuotedString(text) => Arc::new(StringArray::from(vec![text.as_str()])),
        SqlValue::HexStringLiteral(digits) => {
            let bytes =
                bytes(digits).ok_or_else(|| Error::validation("X'…' takes pairs of hexadecimal digits"))?;
            Arc::new(LargeBinaryArray::from(vec![bytes.as_slice()]))
        }
        SqlValue::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
        SqlValue::Null => Arc::new(NullArray::new(1)),
        _ => {
            return Err(Error::validation("a literal of a kind that is not known").with_hint(
                "write numbers, 'text', TRUE, FALSE, NULL, X'0af3', DATE '…', TIME '…' or TIMESTAMP '…'",
            ));
        }
    })
}

fn number(digits: &str, negative: bool) -> Result<ArrayRef> {
    let wrong = || Error::validation("a number cannot be read");
    let sign = if negative { "-" } else { "" };
    if digits.contains(['e', 'E']) {
        let value: f64 = format!("{sign}{digits}").parse().map_err(|_| wrong())?;
        return Ok(Arc::new(Float64Array::from(vec![value])));
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{sign}{whole}{fraction}");
    let unscaled: i128 = all.parse().map_err(|_| too_long())?;
    if !digits.contains('.') {
        if let Ok(value) = i32::try_from(unscaled) {
            return Ok(Arc::new(Int32Array::from(vec![value])));
        }
        if let Ok(value) = i64::try_from(unscaled) {
            return Ok(Arc::new(Int64Array::from(vec![value])));
        }
    }
    let scale = fraction.len();
    let precision = unscaled.unsigned_abs().to_string().len().max(scale).max(1);
    if precision > 38 {
        return Err(too_long());
    }
    let array = Decimal128Array::from(vec![unscaled]);
    Ok(Arc::new(array.with_data_type(DataType::Decimal128(precision as u8, scale as i8))))
}

fn too_long() -> Error {
    Error::validation("a number has more than 38 digits").with_hint("write it with an exponent, as 1e40")
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// `DATE '…'` and its like.
pub(super) fn typed(string: &TypedString) -> Result<ArrayRef> {
    let SqlValue::SingleQuotedString(text) = &string.value.value else {
        return Err(Error::validation("a typed literal takes text in single quotes"));
    };
    let ty = named(&string.data_type)?;
    if let DataType::Timestamp(unit, None) = &ty {
        // With a zone in the text, it is an instant.
        let zoned = DataType::Timestamp(*unit, Some("+00:00".into()));
        if let Ok(instant) = read(text, &zoned) {
            return Ok(instant);
        }
    }
    match written_as(&ty) {
        Some(_) => read(text, &ty),
        None => cast(&(Arc::new(StringArray::from(vec![text.as_str()])) as ArrayRef), &ty),
    }
}

/// A text literal as a value of a type whose values are written as text; `None` if it is another type.
pub(super) fn text_as(expr: &RowExpr, ty: &DataType) -> Option<Result<RowExpr>> {
    let RowExpr::Literal(array) = expr else { return None };
    let text = array.as_string_opt::<i32>()?.value(0);
    written_as(ty)?;
    let mut read = read(text, ty);
    if let (Err(_), DataType::Timestamp(unit, Some(_))) = (&read, ty) {
        // Without a zone it is one of UTC.
        read =
            self::read(text, &DataType::Timestamp(*unit, None)).and_then(|array| cast(&array, ty)).or(read);
    }
    Some(read.map(RowExpr::Literal))
}

fn read(text: &str, ty: &DataType) -> Result<ArrayRef> {
    let unfit = |hint: &str| {
        Error::validation(format!("a literal cannot be read as {}", type_name(ty))).with_hint(hint)
    };
    let primitive = written_as(ty).ok_or_else(|| unfit("convert it with CAST"))?;
    match fit_literal(&Literal::String(text.trim().to_owned()), &primitive) {
        Ok(Fit::Exact(value)) => one(&value, &primitive),
        Ok(_) => Err(unfit("it is out of the range of the type")),
        Err(hint) => Err(unfit(hint)),
    }
}

fn one(value: &crate::expr::Value, ty: &PrimitiveType) -> Result<ArrayRef> {
    let lost = || Error::new(ErrorKind::Internal, "a literal does not go with its own type");
    let datum = value.to_datum(ty).ok_or_else(lost)?;
    let arrow = type_to_arrow_type(&Type::Primitive(ty.clone()))?;
    repeat(Some(&iceberg::spec::Literal::Primitive(datum.literal().clone())), &arrow, 1)
}
