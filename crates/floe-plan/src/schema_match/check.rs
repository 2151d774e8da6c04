//! NULL where the table does not allow it.

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::FieldRef;
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::Schema;

/// Checks that no required column of `table` holds NULL in `batch`; columns are found by name.
///
/// [`super::apply`] checks this by itself, nested fields included.
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`] with the column and the number of rows that are NULL.
pub fn check_required(batch: &RecordBatch, table: &Schema) -> Result<()> {
    for field in table.as_struct().fields().iter().filter(|field| field.required) {
        if let Some(column) = batch.column_by_name(&field.name) {
            let nulls = column.logical_null_count();
            if nulls > 0 {
                return Err(null_fault(&field.name, nulls));
            }
        }
    }
    Ok(())
}

/// As [`check_required`], for columns in the order of Arrow fields.
pub(super) fn check_columns(fields: &[FieldRef], columns: &[ArrayRef]) -> Result<()> {
    for (field, column) in fields.iter().zip(columns).filter(|(field, _)| !field.is_nullable()) {
        let nulls = column.logical_null_count();
        if nulls > 0 {
            return Err(null_fault(field.name(), nulls));
        }
    }
    Ok(())
}

pub(super) fn null_fault(name: &str, nulls: usize) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!("{name}: this required column is NULL in {nulls} rows of a batch"),
    )
    .with_hint("fill the column, or make it optional in the table")
}
