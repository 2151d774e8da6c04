//! Finding a column of a batch by its field id.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, FieldRef};

/// The key under which a field of an Arrow schema carries its Iceberg field id.
const FIELD_ID: &str = "PARQUET:field_id";

/// The column of `batch` whose field carries `field_id` as `PARQUET:field_id`, searched through structs.
///
/// A field inside a struct is NULL where the struct is. Fields inside lists and maps are not found.
pub fn column_by_field_id(batch: &RecordBatch, field_id: i32) -> Option<ArrayRef> {
    let wanted = field_id.to_string();
    find(batch.schema_ref().fields(), batch.columns(), None, &wanted)
}

fn find(
    fields: &[FieldRef],
    columns: &[ArrayRef],
    outer: Option<&NullBuffer>,
    wanted: &str,
) -> Option<ArrayRef> {
    fields.iter().zip(columns).find_map(|(field, column)| {
        if field.metadata().get(FIELD_ID).is_some_and(|id| id == wanted) {
            return Some(masked(column, outer));
        }
        if !matches!(field.data_type(), DataType::Struct(_)) {
            return None;
        }
        let inner = column.as_struct_opt()?;
        let nulls = NullBuffer::union(outer, inner.nulls());
        find(inner.fields(), inner.columns(), nulls.as_ref(), wanted)
    })
}

/// The column, NULL wherever `outer` is: a field of a struct, seen from outside.
pub(crate) fn masked(column: &ArrayRef, outer: Option<&NullBuffer>) -> ArrayRef {
    let Some(outer) = outer.filter(|nulls| nulls.null_count() > 0) else {
        return Arc::clone(column);
    };
    let nulls = NullBuffer::union(Some(outer), column.nulls());
    match column.to_data().into_builder().nulls(nulls).build() {
        Ok(data) => make_array(data),
        // Types without a validity buffer of their own (NULL arrays) are NULL already.
        Err(_) => Arc::clone(column),
    }
}
