//! Fitting incoming rows to the table.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use floe_core::{Error, ErrorKind, Result};
use futures::StreamExt;

use super::context::Context;
use crate::data::BatchStream;

/// The data with the columns of the table, by name, in the table's order; columns that are missing are NULL.
pub(super) fn conform(context: &Context, data: BatchStream) -> Result<BatchStream> {
    let table = context.encoding.arrow.clone();
    let sources = match_columns(&table, &data.schema)?;
    let schema = table.clone();
    let stream = data.stream.map(move |batch| fit(&table, &sources, &batch?)).boxed();
    Ok(BatchStream::new(schema, stream))
}

/// For each column of the table, where it is in the data.
fn match_columns(table: &ArrowSchema, data: &ArrowSchema) -> Result<Vec<Option<usize>>> {
    if let Some(unknown) = data.fields().iter().find(|field| table.index_of(field.name()).is_err()) {
        return Err(mismatch(format!("the table has no column '{}'", unknown.name())));
    }
    let columns = table.fields().iter().map(|field| match data.index_of(field.name()) {
        Ok(index) if data.field(index).data_type().equals_datatype(field.data_type()) => Ok(Some(index)),
        Ok(index) => {
            let (found, wanted) = (data.field(index).data_type(), field.data_type());
            Err(mismatch(format!("column '{}' is {found} where the table has {wanted}", field.name())))
        }
        Err(_) if field.is_nullable() => Ok(None),
        Err(_) => Err(mismatch(format!("the required column '{}' is missing", field.name()))),
    });
    columns.collect()
}

fn fit(table: &SchemaRef, sources: &[Option<usize>], batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = table.fields().iter().zip(sources).map(|(field, source)| match source {
        Some(index) => {
            let column = batch.column(*index);
            match column.logical_null_count() {
                nulls if nulls > 0 && !field.is_nullable() => {
                    Err(mismatch(format!("the required column '{}' has {nulls} NULLs", field.name())))
                }
                _ => Ok(column.clone()),
            }
        }
        None => Ok(new_null_array(field.data_type(), rows)),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(table), columns.collect::<Result<_>>()?, &options)
        .map_err(|e| mismatch("the columns do not fit the table".to_owned()).with_source(e))
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::SchemaMismatch, message)
}
