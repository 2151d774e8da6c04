//! Evaluating expressions over pairs of rows, with Arrow's kernels.

mod choose;
mod compare;
mod convert;
mod decimal;
mod number;
mod text;

use std::sync::Arc;

use arrow_arith::boolean::not;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Datum, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::ArrowError;
use floe_core::{Error, ErrorKind, Result};

use super::row_expr::{Function, RowExpr, RowPair};
use crate::eval::{column_by_field_id, masked};

pub use compare::without_variants;
pub(super) use compare::{distinct, is_nan};
pub(super) use convert::{can_assign, can_cast, cast, is_integer, is_number, name as type_name};
pub(super) use decimal::{adjusted, result_type as decimal_result};

/// The values of an expression: one for each pair, or one for all.
pub(super) struct Values {
    array: ArrayRef,
    one: bool,
}

impl Datum for Values {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array.as_ref(), self.one)
    }
}

impl Values {
    fn many(array: ArrayRef) -> Self {
        Self { array, one: false }
    }

    /// Something computed from these alone.
    fn map(&self, compute: impl FnOnce(&ArrayRef) -> Result<ArrayRef>) -> Result<Self> {
        Ok(Self { array: compute(&self.array)?, one: self.one })
    }

    /// As an array of `rows` values.
    fn expand(self, rows: usize) -> Result<ArrayRef> {
        if !self.one || rows == 1 {
            return Ok(self.array);
        }
        let zeros = UInt32Array::from_value(0, rows);
        arrow_select::take::take(&self.array, &zeros, None).map_err(arrow)
    }
}

pub(super) fn evaluate(expr: &RowExpr, pair: &RowPair) -> Result<ArrayRef> {
    values(expr, pair)?.expand(pair.rows)
}

fn values(expr: &RowExpr, pair: &RowPair) -> Result<Values> {
    match expr {
        RowExpr::Source(index) => {
            let batch = pair.source.as_ref().filter(|batch| *index < batch.num_columns());
            let column = batch.map(|batch| batch.column(*index).clone());
            column.map(Values::many).ok_or_else(|| missing("source"))
        }
        RowExpr::Target(id) => {
            let column = pair.target.as_ref().and_then(|batch| column_by_field_id(batch, *id));
            column.map(Values::many).ok_or_else(|| missing("table"))
        }
        RowExpr::Literal(array) => Ok(Values { array: array.clone(), one: true }),
        RowExpr::Field(value, index) => values(value, pair)?.map(|array| {
            let array = array.as_struct_opt().filter(|array| *index < array.num_columns());
            let array = array.ok_or_else(|| missing("struct"))?;
            Ok(masked(array.column(*index), array.nulls()))
        }),
        RowExpr::Cast { value, to } => values(value, pair)?.map(|array| cast(array, to)),
        RowExpr::Arithmetic(op, a, b) => {
            let (a, b) = (values(a, pair)?, values(b, pair)?);
            let one = a.one && b.one;
            Ok(Values { array: number::arithmetic(*op, a, b, pair.rows)?, one })
        }
        RowExpr::Negate(value) => values(value, pair)?.map(number::negate),
        RowExpr::Compare(op, a, b) => {
            let (a, b) = (values(a, pair)?, values(b, pair)?);
            let one = a.one && b.one;
            Ok(Values { array: Arc::new(compare::compare(*op, a, b, pair.rows)?), one })
        }
        RowExpr::Distinct(a, b) => {
            let (a, b) = (evaluate(a, pair)?, evaluate(b, pair)?);
            Ok(Values::many(Arc::new(compare::distinct(&a, &b)?)))
        }
        RowExpr::IsNull(value) => values(value, pair)?.map(|array| {
            let valid = array.logical_nulls().map(|nulls| nulls.into_inner());
            let nulls = valid.map_or_else(|| BooleanBuffer::new_unset(array.len()), |valid| !&valid);
            Ok(Arc::new(BooleanArray::new(nulls, None)))
        }),
        RowExpr::IsNan(value) => values(value, pair)?.map(|array| Ok(Arc::new(compare::is_nan(array)))),
        RowExpr::In(value, list) => {
            values(value, pair)?.map(|array| Ok(Arc::new(compare::is_in(array, list)?)))
        }
        RowExpr::Like { value, pattern, ignore_case } => {
            let (value, pattern) = (values(value, pair)?, values(pattern, pair)?);
            let one = value.one && pattern.one;
            let like = if *ignore_case { arrow_string::like::ilike } else { arrow_string::like::like };
            Ok(Values { array: Arc::new(like(&value, &pattern).map_err(arrow)?), one })
        }
        RowExpr::Not(value) => {
            values(value, pair)?.map(|array| Ok(Arc::new(not(array.as_boolean()).map_err(arrow)?)))
        }
        RowExpr::And(parts) => choose::fold(parts, true, pair),
        RowExpr::Or(parts) => choose::fold(parts, false, pair),
        RowExpr::Case { branches, otherwise } => choose::case(branches, otherwise, pair),
        RowExpr::Coalesce(parts) => choose::coalesce(parts, pair),
        RowExpr::Call(function, arguments) => call(*function, arguments, pair),
    }
}

fn call(function: Function, arguments: &[RowExpr], pair: &RowPair) -> Result<Values> {
    let arguments = arguments.iter().map(|a| values(a, pair)).collect::<Result<Vec<_>>>()?;
    let [first, ..] = arguments.as_slice() else {
        return Err(Error::new(ErrorKind::Internal, "a function has no arguments"));
    };
    match function {
        Function::Abs => first.map(number::abs),
        Function::Upper => first.map(|text| Ok(text::each(text, |text| text.to_uppercase().into()))),
        Function::Lower => first.map(|text| Ok(text::each(text, |text| text.to_lowercase().into()))),
        Function::Trim => first.map(|text| Ok(text::each(text, |text| text.trim_matches(' ').into()))),
        Function::TrimStart => {
            first.map(|text| Ok(text::each(text, |text| text.trim_start_matches(' ').into())))
        }
        Function::TrimEnd => first.map(|text| Ok(text::each(text, |text| text.trim_end_matches(' ').into()))),
        Function::Length => first.map(|text| Ok(text::length(text))),
        Function::Concat => many(arguments, pair.rows, text::concat),
        Function::Greatest => many(arguments, pair.rows, |arrays| compare::extreme(arrays, true)),
        Function::Least => many(arguments, pair.rows, |arrays| compare::extreme(arrays, false)),
    }
}

/// Something computed from several values, row by row.
fn many(
    values: Vec<Values>,
    rows: usize,
    compute: impl FnOnce(&[ArrayRef]) -> Result<ArrayRef>,
) -> Result<Values> {
    let one = values.iter().all(|values| values.one);
    let rows = if one { 1 } else { rows };
    let arrays = values.into_iter().map(|values| values.expand(rows)).collect::<Result<Vec<_>>>()?;
    Ok(Values { array: compute(&arrays)?, one })
}

fn missing(whose: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a column of the {whose} was not read"))
}

/// The text of an error of Arrow may quote a value, and is not kept.
pub(super) fn arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(source) => match source.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::new(ErrorKind::Internal, "evaluating over rows failed"),
        },
        _ => Error::new(ErrorKind::Internal, "evaluating over rows failed"),
    }
}
