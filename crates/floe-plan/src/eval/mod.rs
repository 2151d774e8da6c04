//! Evaluating expressions over Arrow record batches.
//!
//! Three-valued and null-safe: the result of [`evaluate`] is NULL where the filter is unknown. A row matches
//! when it is true ([`keep`]); a row that a delete with this filter leaves is one for which it is *not true*
//! ([`remain`]), which is not the same as one for which its negation is true.

mod columns;
mod leaf;
#[cfg(test)]
mod tests;

use arrow_arith::boolean::{and_kleene, not, or_kleene};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use floe_core::{Error, ErrorKind, Result};

use crate::expr::{BoundExpr, BoundLeaf};

pub use columns::column_by_field_id;
pub(crate) use columns::masked;

/// Evaluates `expr` for every row of `batch`; NULL is unknown.
///
/// A column is asked of `columns` first, then searched in the batch by the `PARQUET:field_id` metadata of its
/// fields (through structs). Arrow types need not be the canonical ones: large and view strings and bytes,
/// dictionaries, run-end encoded values, and a type that the column had before it was widened are understood.
///
/// # Errors
/// [`ErrorKind::Internal`] when a column is nowhere to be found: a caller fills columns that a file lacks.
/// [`ErrorKind::SchemaMismatch`] when the Arrow type cannot be the column's.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
/// # use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
/// use floe_plan::eval::{evaluate, keep};
/// use floe_plan::expr::Expr;
///
/// # let field = NestedField::optional(1, "a", Type::Primitive(PrimitiveType::Long)).into();
/// # let schema = Schema::builder().with_fields([field]).build()?;
/// let a: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(9)]));
/// let batch = RecordBatch::try_from_iter([("a", a.clone())]).expect("one column");
/// let filter = Expr::parse("NOT (a < 5)")?.bind(&schema, true)?;
/// let result = evaluate(&filter, &batch, &|id| (id == 1).then(|| a.clone()))?;
/// assert_eq!(result, BooleanArray::from(vec![Some(false), None, Some(true)]));
/// assert_eq!(keep(&result), BooleanArray::from(vec![false, false, true]));
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn evaluate(
    expr: &BoundExpr,
    batch: &RecordBatch,
    columns: &dyn Fn(i32) -> Option<ArrayRef>,
) -> Result<BooleanArray> {
    Evaluator { batch, columns }.expr(expr)
}

/// The rows that match: true where the result is true, false where it is false or unknown. Never NULL.
pub fn keep(result: &BooleanArray) -> BooleanArray {
    match result.nulls() {
        None => result.clone(),
        Some(nulls) => BooleanArray::new(result.values() & nulls.inner(), None),
    }
}

/// The rows that a delete with this filter leaves: true where the result is false or unknown. Never NULL.
pub fn remain(result: &BooleanArray) -> BooleanArray {
    BooleanArray::new(!keep(result).values(), None)
}

struct Evaluator<'a> {
    batch: &'a RecordBatch,
    columns: &'a dyn Fn(i32) -> Option<ArrayRef>,
}

impl Evaluator<'_> {
    fn expr(&self, expr: &BoundExpr) -> Result<BooleanArray> {
        match expr {
            BoundExpr::True => Ok(self.constant(true)),
            BoundExpr::False => Ok(self.constant(false)),
            BoundExpr::Not(inner) => not(&self.expr(inner)?).map_err(arrow),
            BoundExpr::And(parts) => self.fold(parts, true),
            BoundExpr::Or(parts) => self.fold(parts, false),
            BoundExpr::Leaf(leaf) => self.leaf(leaf),
        }
    }

    /// AND (`neutral` is true) or OR of all parts; stops as soon as the result is settled for every row.
    fn fold(&self, parts: &[BoundExpr], neutral: bool) -> Result<BooleanArray> {
        let mut result = self.constant(neutral);
        for part in parts {
            let next = self.expr(part)?;
            result = if neutral { and_kleene(&result, &next) } else { or_kleene(&result, &next) }
                .map_err(arrow)?;
            let settled = if neutral { result.false_count() } else { result.true_count() };
            if settled == result.len() {
                break;
            }
        }
        Ok(result)
    }

    fn leaf(&self, leaf: &BoundLeaf) -> Result<BooleanArray> {
        let array = (self.columns)(leaf.field_id)
            .or_else(|| column_by_field_id(self.batch, leaf.field_id))
            .ok_or_else(|| {
            let message = format!("column {} is needed by the filter and was not read", leaf.column);
            Error::new(ErrorKind::Internal, message)
        })?;
        if array.len() != self.batch.num_rows() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "column {} has {} rows in a batch of {}",
                    leaf.column,
                    array.len(),
                    self.batch.num_rows()
                ),
            ));
        }
        leaf::evaluate(leaf, &array)
    }

    fn constant(&self, value: bool) -> BooleanArray {
        let rows = self.batch.num_rows();
        BooleanArray::new(
            if value { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) },
            None,
        )
    }
}

/// The error itself is not kept: it may quote a value.
fn arrow(_: arrow_schema::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "combining the results of a filter failed")
}
