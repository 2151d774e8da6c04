//! Expressions over a row of a source and a row of a table, side by side.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_arith::boolean::or_kleene;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_ord::ord::make_comparator;
use arrow_schema::{ArrowError, DataType, SortOptions};
use floe_core::{Error, ErrorKind, Result};

use crate::eval::column_by_field_id;

/// An expression over a pair of rows, with all names resolved.
#[derive(Debug, Clone)]
pub enum RowExpr {
    /// A column of the source, by position.
    Source(usize),
    /// A column of the table, by field id.
    Target(i32),
    /// Whether two values differ. NULL does not differ from NULL, nor NaN from NaN. Never NULL itself.
    Distinct(Box<RowExpr>, Box<RowExpr>),
    /// Whether any of these is true; unknown if none is, and one is unknown.
    Or(Vec<RowExpr>),
}

/// Rows of a source and of a table, as many of the one as of the other.
#[derive(Debug, Clone)]
pub struct RowPair {
    /// Rows of the source, if they are there.
    pub source: Option<RecordBatch>,
    /// Rows of the table, if they are there; fields carry field ids.
    pub target: Option<RecordBatch>,
    /// How many rows there are.
    pub rows: usize,
}

impl RowPair {
    /// The pairs for which `mask` is true.
    pub fn filter(&self, mask: &BooleanArray) -> Result<Self> {
        let filter = |batch: &Option<RecordBatch>| {
            batch.as_ref().map(|b| arrow_select::filter::filter_record_batch(b, mask)).transpose()
        };
        Ok(Self {
            source: filter(&self.source).map_err(arrow)?,
            target: filter(&self.target).map_err(arrow)?,
            rows: mask.true_count(),
        })
    }
}

impl RowExpr {
    /// The value for each pair.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a column is not among the rows.
    pub fn evaluate(&self, pair: &RowPair) -> Result<ArrayRef> {
        match self {
            Self::Source(index) => {
                let batch = pair.source.as_ref().filter(|batch| *index < batch.num_columns());
                batch.map(|batch| batch.column(*index).clone()).ok_or_else(|| missing("source"))
            }
            Self::Target(id) => {
                let column = pair.target.as_ref().and_then(|batch| column_by_field_id(batch, *id));
                column.ok_or_else(|| missing("table"))
            }
            Self::Distinct(a, b) => Ok(Arc::new(distinct(&a.evaluate(pair)?, &b.evaluate(pair)?)?)),
            Self::Or(parts) => {
                let mut result = BooleanArray::new(BooleanBuffer::new_unset(pair.rows), None);
                for part in parts {
                    if result.true_count() == pair.rows {
                        break;
                    }
                    result = or_kleene(&result, part.evaluate(pair)?.as_boolean()).map_err(arrow)?;
                }
                Ok(Arc::new(result))
            }
        }
    }

    /// The field ids of the table's columns that are looked at.
    pub fn target_fields(&self, out: &mut BTreeSet<i32>) {
        match self {
            Self::Source(_) => {}
            Self::Target(id) => {
                out.insert(*id);
            }
            Self::Distinct(a, b) => {
                a.target_fields(out);
                b.target_fields(out);
            }
            Self::Or(parts) => parts.iter().for_each(|part| part.target_fields(out)),
        }
    }

    /// Whether columns of the source are looked at.
    pub fn reads_source(&self) -> bool {
        match self {
            Self::Source(_) => true,
            Self::Target(_) => false,
            Self::Distinct(a, b) => a.reads_source() || b.reads_source(),
            Self::Or(parts) => parts.iter().any(Self::reads_source),
        }
    }
}

fn missing(whose: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a column of the {whose} was not read"))
}

pub(super) fn arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(source) => match source.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::new(ErrorKind::Internal, "evaluating over rows failed"),
        },
        // The text may quote a value.
        _ => Error::new(ErrorKind::Internal, "evaluating over rows failed"),
    }
}

/// Where values differ, NULL and NaN being values like others.
fn distinct(a: &ArrayRef, b: &ArrayRef) -> Result<BooleanArray> {
    let nested = a.data_type().is_nested();
    if !nested && a.null_count() == 0 && b.null_count() == 0 && !a.data_type().is_floating() {
        return arrow_ord::cmp::neq(a, b).map_err(arrow);
    }
    if !nested && !a.data_type().is_floating() {
        return arrow_ord::cmp::distinct(a, b).map_err(arrow);
    }
    let (a, b) = (without_variants(a), without_variants(b));
    let compare = make_comparator(&a, &b, SortOptions::default()).map_err(arrow)?;
    Ok(BooleanArray::new(
        BooleanBuffer::collect_bool(a.len(), |row| compare(row, row) != Ordering::Equal),
        None,
    ))
}

/// The same values with one bit pattern for all NaNs, and one for both zeros; other types as they are.
pub fn without_variants(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        ),
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        ),
        _ => array.clone(),
    }
}

/// True where a result is neither false nor unknown.
pub(super) fn is_true(result: &BooleanArray) -> BooleanArray {
    crate::eval::keep(result)
}
