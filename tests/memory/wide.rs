//! Wide rows: batches of them keep to the memory, whatever their number of rows was.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use floe::data::BatchStream;
use floe::execute::scan::{
    DEFAULT_BATCH_SIZE, PlanStats, ScanMetrics, ScanPlan, ScanRequest, ScanTask, execute_scan,
};
use floe::iceberg::io::FileIO;
use floe::iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use floe::model::{DeleteConfig, MergeConfig, WriteConfig, WriteMode};
use floe::plan::expr::Expr;
use floe_tests::warehouse::Warehouse;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;

use crate::{ALONE, BESIDES, MEMORY, MIB, grown, schema, table};

const WIDTH: usize = 100_000;

/// One batch of rows with these ids, all of them wide.
fn wide(ids: std::ops::Range<i64>, letter: &str) -> BatchStream {
    let texts = ids.clone().map(|id| format!("{id:08}{}", letter.repeat(WIDTH - 8)));
    let columns: (Int64Array, StringArray) =
        (Int64Array::from_iter_values(ids.clone()), StringArray::from_iter_values(texts));
    let batch = RecordBatch::try_new(schema(), vec![Arc::new(columns.0), Arc::new(columns.1)]).unwrap();
    BatchStream::from_batches(schema(), vec![batch])
}

#[test]
fn wide_rows_keep_to_the_memory_setting() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let warehouse = Warehouse::temporary().await;
        let manager = warehouse.manager.clone().with_write_memory(MEMORY as u64).unwrap();
        let table = table(&warehouse, 0).await;
        let rows = 3000;
        let kept = |what: &str, peak: usize| {
            assert!(peak < MEMORY + BESIDES, "{what}: {} MiB at its peak", peak / MIB);
            println!("{what} of wide rows: {} MiB at its peak", peak / MIB);
        };

        // One batch of 300 MB, which is the caller's.
        let data = wide(0..rows, "a");
        let (done, peak) = grown(manager.write_data(&table, data, &WriteConfig::default())).await;
        assert_eq!(done.unwrap().rows, rows as u64);
        kept("append", peak);

        let scan = async {
            let request = ScanRequest { memory_bytes: MEMORY as u64, ..ScanRequest::default() };
            let mut found = manager.scan(&table, &request).await.unwrap().data;
            let mut count = 0;
            while let Some(batch) = found.stream.next().await {
                count += batch.unwrap().num_rows();
            }
            count
        };
        let (count, peak) = grown(scan).await;
        assert_eq!(count, rows as usize);
        kept("scan", peak);

        let filter = Expr::parse("text LIKE '0000001%'").unwrap();
        let (done, peak) = grown(manager.delete_data(&table, &filter, &DeleteConfig::default())).await;
        assert_eq!(done.unwrap().changes.unwrap().rows_removed, 10);
        kept("delete", peak);

        let upsert = WriteConfig {
            mode: WriteMode::Upsert,
            join_columns: vec!["id".into()],
            ..WriteConfig::default()
        };
        let data = wide(rows - 400..rows + 100, "b");
        let (done, peak) = grown(manager.write_data(&table, data, &upsert)).await;
        assert_eq!(done.unwrap().merged.unwrap().rows_updated, 400);
        kept("upsert", peak);

        // Both sides are wide.
        let statement = "MERGE INTO t.big t USING s ON t.id = s.id
            WHEN MATCHED THEN UPDATE SET text = concat(s.text, t.text) WHEN NOT MATCHED THEN INSERT *";
        let merge = MergeConfig::from_sql(statement, &table).unwrap();
        let data = wide(rows - 500..rows + 200, "c");
        let (done, peak) = grown(manager.merge_data(&table, data, &merge)).await;
        let merged = done.unwrap().merged.unwrap();
        assert_eq!((merged.rows_updated, merged.rows_inserted), (600, 100));
        kept("merge", peak);
    });
}

/// The file without what newer writers note of the sizes of values.
fn without_sizes(file: Vec<u8>) -> Vec<u8> {
    let bytes = Bytes::from(file);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| {
            let builder = column.clone().into_builder().set_unencoded_byte_array_data_bytes(None);
            let builder = builder.set_offset_index_offset(None).set_offset_index_length(None);
            builder.set_column_index_offset(None).set_column_index_length(None).build().unwrap()
        });
        group.clone().into_builder().set_column_metadata(columns.collect()).build().unwrap()
    });
    let groups = groups.collect();
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap());
    let mut file = bytes[..bytes.len() - 8 - length as usize].to_vec();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish().unwrap();
    file.extend(footer);
    file
}

/// Three values of 280 kB, six thousand times each: as an older writer leaves it, the footer tells nothing of 5 GB.
#[test]
fn values_of_a_dictionary_that_are_repeated_keep_to_the_memory_setting() {
    const ROWS: i64 = 18_000;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let fields = [
            NestedField::optional(1, "id", Type::Primitive(PrimitiveType::Long)).into(),
            NestedField::optional(2, "text", Type::Primitive(PrimitiveType::String)).into(),
        ];
        let schema = Arc::new(Schema::builder().with_fields(fields).build().unwrap());
        let arrow = Arc::new(floe::iceberg::arrow::schema_to_arrow_schema(&schema).unwrap());
        let properties = WriterProperties::builder().set_dictionary_page_size_limit(64 << 20).build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, arrow.clone(), Some(properties)).unwrap();
        for first in (0..ROWS).step_by(100) {
            let ids = first..first + 100;
            let texts = ids.clone().map(|id| ["x", "y", "z"][(id % 3) as usize].repeat(280_000));
            let columns: (Int64Array, StringArray) =
                (Int64Array::from_iter_values(ids.clone()), StringArray::from_iter_values(texts));
            let columns: Vec<arrow_array::ArrayRef> = vec![Arc::new(columns.0), Arc::new(columns.1)];
            writer.write(&RecordBatch::try_new(arrow.clone(), columns).unwrap()).unwrap();
        }
        writer.close().unwrap();
        let file = without_sizes(file);
        let file_io = FileIO::new_with_memory();
        let task = ScanTask {
            path: "memory:///t/d.parquet".to_owned(),
            file_size: file.len() as u64,
            record_count: ROWS as u64,
            spec_id: 0,
            sequence_number: 1,
            constants: BTreeMap::new(),
            all_rows_match: false,
            deletes: Vec::new(),
        };
        file_io.new_output(&task.path).unwrap().write(file.into()).await.unwrap();
        for filter in [None, Some("text > 'xy' and id >= 0")] {
            let plan = ScanPlan {
                table: "n.t".to_owned(),
                snapshot_id: None,
                schema: schema.clone(),
                projection: schema.clone(),
                filter: filter.map(|filter| Expr::parse(filter).unwrap()),
                case_sensitive: true,
                limit: None,
                batch_size: DEFAULT_BATCH_SIZE,
                memory_bytes: MEMORY as u64,
                preserve_order: false,
                name_mapping: None,
                delete_columns: None,
                tasks: vec![task.clone()],
                stats: PlanStats::default(),
            };
            let scan = async {
                let mut found = execute_scan(&file_io, &plan, &Arc::new(ScanMetrics::default())).unwrap();
                let mut count = 0;
                while let Some(batch) = found.stream.next().await {
                    let batch = batch.unwrap();
                    assert!(batch.column(1).as_string::<i32>().iter().all(|t| t.unwrap().len() == 280_000));
                    count += batch.num_rows() as i64;
                }
                count
            };
            let (count, peak) = grown(scan).await;
            assert_eq!(count, if filter.is_some() { ROWS / 3 * 2 } else { ROWS });
            assert!(peak < MEMORY, "{filter:?}: {} MiB at its peak", peak / MIB);
            println!("scan of repeated values ({filter:?}): {} MiB at its peak", peak / MIB);
        }
    });
}
