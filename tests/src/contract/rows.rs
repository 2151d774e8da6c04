//! The rows of the suite: a number, the part it belongs to, and a text.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use floe::base::SnapshotSelector;
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::iceberg::TableIdent;
use floe::model::{
    DeleteConfig, FieldType, PartitionSpec, PartitionTransform, SchemaField, TableSchema, WriteConfig,
    WriteMode, WriteOutcome,
};
use floe::plan::expr::Expr;
use floe::{IcebergTableManager, Result};

use crate::warehouse;

/// A row: `id`, `part`, `v`.
pub type Row = (i64, String, String);

/// `id long not null, part string, v string`.
pub fn schema() -> TableSchema {
    let fields = vec![
        SchemaField::new(1, "id", FieldType::Long, true),
        SchemaField::new(2, "part", FieldType::String, false),
        SchemaField::new(3, "v", FieldType::String, false),
    ];
    TableSchema { fields }
}

/// Partitioned by `part`.
pub fn by_part() -> PartitionSpec {
    warehouse::spec(&[(2, PartitionTransform::Identity, None)])
}

/// Rows with the numbers of `ids`, of one part, all with the same text.
pub fn some(ids: impl IntoIterator<Item = i64>, part: &str, v: &str) -> Vec<Row> {
    ids.into_iter().map(|id| (id, part.to_owned(), v.to_owned())).collect()
}

/// The rows as Arrow has them.
pub fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0))), false),
        ("part", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.1))), true),
        ("v", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.2))), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// The rows of batches, sorted.
pub fn from_batches(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let text = |name: &str| {
            let column = batch.column_by_name(name).unwrap();
            arrow_cast::cast(column, &arrow_schema::DataType::Utf8).unwrap()
        };
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let (part, v) = (text("part"), text("v"));
        let (part, v) = (part.as_string::<i32>(), v.as_string::<i32>());
        rows.extend((0..batch.num_rows()).map(|i| (ids.value(i), part.value(i).into(), v.value(i).into())));
    }
    rows.sort();
    rows
}

/// Lists of rows together, sorted.
pub fn sorted<const N: usize>(lists: [Vec<Row>; N]) -> Vec<Row> {
    let mut all = lists.concat();
    all.sort();
    all
}

/// Every row of a table, sorted.
pub async fn read(manager: &IcebergTableManager, table: &TableIdent) -> Vec<Row> {
    read_at(manager, table, SnapshotSelector::Current).await.unwrap()
}

/// Every row of a snapshot, sorted.
pub async fn read_at(
    manager: &IcebergTableManager,
    table: &TableIdent,
    at: SnapshotSelector,
) -> Result<Vec<Row>> {
    let request = ScanRequest { at, ..ScanRequest::default() };
    Ok(from_batches(&manager.scan(table, &request).await?.data.collect().await?))
}

/// Every row of a branch, sorted.
pub async fn read_branch(manager: &IcebergTableManager, table: &TableIdent, branch: &str) -> Vec<Row> {
    read_at(manager, table, SnapshotSelector::Ref(branch.into())).await.unwrap()
}

/// Writes rows.
pub async fn write(
    manager: &IcebergTableManager,
    table: &TableIdent,
    rows: &[Row],
    config: &WriteConfig,
) -> Result<WriteOutcome> {
    let batch = batch(rows);
    manager.write_data(table, BatchStream::from_batches(batch.schema(), vec![batch]), config).await
}

/// Appends rows.
pub async fn append(manager: &IcebergTableManager, table: &TableIdent, rows: &[Row]) -> WriteOutcome {
    write(manager, table, rows, &WriteConfig::default()).await.unwrap()
}

/// The configuration of an upsert by `id`.
pub fn upsert() -> WriteConfig {
    WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..WriteConfig::default() }
}

/// Deletes the rows for which `filter` is true.
pub async fn delete(
    manager: &IcebergTableManager,
    table: &TableIdent,
    filter: &str,
    config: &DeleteConfig,
) -> Result<WriteOutcome> {
    manager.delete_data(table, &Expr::parse(filter).unwrap(), config).await
}
