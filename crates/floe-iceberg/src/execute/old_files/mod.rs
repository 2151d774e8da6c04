//! Tables whose data files were made by old or foreign writers, with footers forged as those left them.

mod layouts;
mod statistics;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use floe_core::{Error, Result};
use floe_plan::expr::Expr;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, NestedField, Schema, Struct, Type,
    UnboundPartitionSpec,
};
use parquet::basic::ColumnOrder;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataReader,
    ParquetMetaDataWriter,
};

use super::scan::fixture::Fixture;
use super::scan::{ScanMetrics, ScanRequest, execute_scan, plan_scan};

/// A table with these columns, all optional.
fn table(columns: Vec<(i32, &str, Type)>) -> Fixture {
    let fields = columns.into_iter().map(|(id, name, ty)| Arc::new(NestedField::optional(id, name, ty)));
    let schema = Schema::builder().with_fields(fields).build().unwrap();
    Fixture::new(schema, UnboundPartitionSpec::builder().build())
}

/// Stores a file, and gives its record, without metrics.
async fn stored(fixture: &mut Fixture, bytes: Vec<u8>, rows: u64, recorded_size: Option<u64>) -> DataFile {
    let size = recorded_size.unwrap_or(bytes.len() as u64);
    let path = fixture.store(bytes).await;
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(path)
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(0)
        .record_count(rows)
        .file_size_in_bytes(size)
        .build()
        .unwrap()
}

/// The batches of a scan, or why it failed.
async fn scanned(fixture: &Fixture, filter: Option<&str>) -> Result<Vec<RecordBatch>> {
    let request = ScanRequest {
        filter: filter.map(|filter| Expr::parse(filter).unwrap()),
        preserve_order: true,
        ..ScanRequest::default()
    };
    let plan = plan_scan(&fixture.base(), &request).await?;
    execute_scan(&fixture.file_io, &plan, &Arc::new(ScanMetrics::default()))?.collect().await
}

/// The values of a column of longs of the rows that match, in order.
async fn longs(fixture: &Fixture, column: usize, filter: Option<&str>) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for batch in scanned(fixture, filter).await? {
        found.extend(batch.column(column).as_primitive::<Int64Type>().iter().flatten());
    }
    found.sort_unstable();
    Ok(found)
}

async fn failed(fixture: &Fixture, filter: Option<&str>) -> Error {
    scanned(fixture, filter).await.unwrap_err()
}

/// The file with another footer.
fn forged(bytes: &[u8], change: impl FnOnce(ParquetMetaData) -> ParquetMetaData) -> Vec<u8> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&Bytes::copy_from_slice(bytes)).unwrap();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let start = bytes.len() - 8 - length;
    let mut file = bytes[..start].to_vec();
    let metadata = change(metadata);
    ParquetMetaDataWriter::new(&mut file, &metadata).finish().unwrap();
    // What the crate's writer does not take from the metadata: column orders that are not there, and a number of rows.
    let mut footer = file.split_off(start);
    footer.truncate(footer.len() - 8);
    let fields = crate::footer::fields(&footer);
    let of =
        |wanted: i16| fields.iter().find(|(id, _)| *id == wanted).map(|(_, range)| range.clone()).unwrap();
    if metadata.file_metadata().column_orders().is_none() {
        footer.drain(of(7));
    }
    let rows: i64 = metadata.row_groups().iter().map(|group| group.num_rows()).sum();
    if metadata.file_metadata().num_rows() != rows {
        let mut said = vec![footer[of(3).start]];
        crate::commit::test_avro::long(&mut said, metadata.file_metadata().num_rows());
        footer.splice(of(3), said);
    }
    file.extend_from_slice(&footer);
    file.extend_from_slice(&(footer.len() as u32).to_le_bytes());
    file.extend_from_slice(b"PAR1");
    file
}

/// What a footer says of the file as a whole.
struct Whole {
    rows: i64,
    created_by: Option<String>,
    pairs: Vec<KeyValue>,
    orders: Option<Vec<ColumnOrder>>,
}

fn with_whole(metadata: ParquetMetaData, change: impl FnOnce(&mut Whole)) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let mut whole = Whole {
        rows: file.num_rows(),
        created_by: file.created_by().map(str::to_owned),
        pairs: file.key_value_metadata().cloned().unwrap_or_default(),
        orders: file.column_orders().cloned(),
    };
    change(&mut whole);
    let file = FileMetaData::new(
        file.version(),
        whole.rows,
        whole.created_by,
        Some(whole.pairs),
        file.schema_descr_ptr(),
        whole.orders,
    );
    ParquetMetaData::new(file, metadata.row_groups().to_vec())
}

/// The footer with other column chunks; `change` gets the number of the column.
fn with_chunks(
    metadata: ParquetMetaData,
    mut change: impl FnMut(usize, ColumnChunkMetaData) -> ColumnChunkMetaData,
) -> ParquetMetaData {
    let mut builder = metadata.into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| {
        let columns = group.columns().iter().cloned().enumerate();
        let columns = columns.map(|(index, chunk)| change(index, chunk)).collect();
        group.into_builder().set_column_metadata(columns).build().unwrap()
    });
    let groups: Vec<_> = groups.collect();
    builder.set_row_groups(groups).build()
}
