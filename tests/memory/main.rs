//! The memory setting is kept: live bytes of the heap at their peak, counted by the allocator of this binary.
//!
//! The tests run one after the other: the counter knows no owner.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod wide;

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use floe::data::BatchStream;
use floe::iceberg::TableIdent;
use floe::model::{DeleteConfig, FieldType, MergeConfig, SchemaField, TableSchema, WriteConfig, WriteMode};
use floe::plan::expr::Expr;
use floe_tests::warehouse::Warehouse;
use futures::StreamExt;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;
/// The setting.
const MEMORY: usize = 32 * MIB;
/// What an operation may hold besides: batches under way between stages, readers' buffers for each core, page and
/// dictionary buffers of encoders, footers, manifests.
const BESIDES: usize = 48 * MIB;
const BATCH_ROWS: i64 = 4096;
/// Bytes of a row, about.
const ROW_BYTES: i64 = 200;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]))
}

/// Rows with these ids, made as they are asked for; texts differ, so that nothing shrinks.
fn data(ids: std::ops::Range<i64>, salt: i64) -> BatchStream {
    let batches = ids.clone().step_by(BATCH_ROWS as usize).map(move |first| {
        let ids = first..(first + BATCH_ROWS).min(ids.end);
        let text = |id: i64| {
            let mut x = id.wrapping_mul(0x5851_f42d_4c95_7f2d_u64 as i64) ^ salt;
            let mut text = String::with_capacity(ROW_BYTES as usize);
            while text.len() < (ROW_BYTES - 24) as usize {
                x = x.wrapping_mul(0x5851_f42d_4c95_7f2d_u64 as i64).wrapping_add(0x1405_7b7e_f767_814f);
                write!(text, "{x:016x}").unwrap();
            }
            text
        };
        let columns: (Int64Array, StringArray) =
            (Int64Array::from_iter_values(ids.clone()), StringArray::from_iter_values(ids.map(text)));
        Ok(RecordBatch::try_new(schema(), vec![Arc::new(columns.0), Arc::new(columns.1)]).unwrap())
    });
    BatchStream::new(schema(), futures::stream::iter(batches).boxed())
}

async fn table(warehouse: &Warehouse, rows: i64) -> TableIdent {
    let schema = TableSchema {
        fields: vec![
            SchemaField::new(1, "id", FieldType::Long, false),
            SchemaField::new(2, "text", FieldType::String, false),
        ],
    };
    let table = warehouse.create("big", schema, None).await;
    warehouse.manager.write_data(&table, data(0..rows, 0), &WriteConfig::default()).await.unwrap();
    table
}

/// Runs `operation` and tells by how many bytes the heap grew at most.
async fn grown<T>(operation: impl Future<Output = T>) -> (T, usize) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let done = operation.await;
    (done, HEAP.peak_usage().saturating_sub(before))
}

#[test]
fn the_memory_setting_is_kept() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let warehouse = Warehouse::temporary().await;
        let manager = warehouse.manager.clone().with_write_memory(MEMORY as u64).unwrap();
        let rows = 400_000;
        let table = table(&warehouse, rows).await;
        let spills = tempfiles();

        // A source of four times the setting, half of whose rows are there.
        let source = 4 * MEMORY as i64 / ROW_BYTES;
        let upsert = WriteConfig {
            mode: WriteMode::Upsert,
            join_columns: vec!["id".into()],
            ..WriteConfig::default()
        };
        let ids = rows - source / 2..rows + source / 2;
        let (done, peak) = grown(manager.write_data(&table, data(ids, 7), &upsert)).await;
        let merged = done.unwrap().merged.unwrap();
        assert_eq!((merged.rows_updated, merged.rows_inserted), ((source / 2) as u64, (source / 2) as u64));
        assert!(merged.source_spills > 0, "the source is larger than the memory");
        assert!(peak < MEMORY + BESIDES, "upsert: {} MiB at its peak", peak / MIB);
        println!("upsert: {} MiB at its peak", peak / MIB);

        // Every kind of clause, and a source of twice the setting: every row of the table is looked at.
        let source_rows = 2 * MEMORY as i64 / ROW_BYTES;
        let merge = MergeConfig::from_sql(MERGE, &table).unwrap();
        let ids = rows - source_rows / 2..rows + source / 2 + source_rows / 2;
        let (done, peak) = grown(manager.merge_data(&table, data(ids.clone(), 5), &merge)).await;
        let merged = done.unwrap().merged.unwrap();
        let matched = source_rows / 2 + source / 2;
        let deleted = ids.clone().filter(|id| *id < rows + source / 2 && id % 10 == 3).count() as u64;
        let alone = |rest: i64| (0..ids.start).filter(|id| id % 100 == rest).count() as u64;
        assert_eq!(merged.rows_inserted, (source_rows / 2) as u64);
        assert_eq!(merged.rows_updated, matched as u64 - deleted + alone(1));
        assert_eq!(merged.rows_deleted, deleted + alone(0));
        assert!(merged.source_spills > 0, "the source is larger than the memory");
        assert!(peak < MEMORY + BESIDES, "merge: {} MiB at its peak", peak / MIB);
        println!("merge: {} MiB at its peak", peak / MIB);

        // Every file is written anew.
        let filter = Expr::parse("text LIKE '0%'").unwrap();
        let (done, peak) = grown(manager.delete_data(&table, &filter, &DeleteConfig::default())).await;
        let changes = done.unwrap().changes.unwrap();
        assert!(changes.rows_removed > 1000 && changes.files_rewritten > 0, "{changes:?}");
        assert!(peak < MEMORY + BESIDES, "delete: {} MiB at its peak", peak / MIB);
        println!("delete: {} MiB at its peak", peak / MIB);

        let (done, peak) =
            grown(manager.write_data(&table, data(0..source, 9), &WriteConfig::default())).await;
        assert_eq!(done.unwrap().rows, source as u64);
        assert!(peak < MEMORY + BESIDES, "append: {} MiB at its peak", peak / MIB);
        println!("append: {} MiB at its peak", peak / MIB);

        // A source that fails when it has spilled leaves no temporary file behind.
        let failing = data(0..source, 3)
            .stream
            .take(600)
            .chain(futures::stream::iter([Err(floe::Error::validation("the source broke"))]));
        let failing = BatchStream::new(schema(), failing.boxed());
        assert!(manager.write_data(&table, failing, &upsert).await.is_err());
        assert_eq!(tempfiles(), spills, "temporary files are gone");
    });
}

/// One clause of each kind, with conditions and expressions.
const MERGE: &str = "MERGE INTO t.big t USING changes s ON t.id = s.id
    WHEN MATCHED AND s.id % 10 = 3 THEN DELETE
    WHEN MATCHED THEN UPDATE SET text = s.text
    WHEN NOT MATCHED THEN INSERT *
    WHEN NOT MATCHED BY SOURCE AND t.id % 100 = 0 THEN DELETE
    WHEN NOT MATCHED BY SOURCE AND t.id % 100 = 1 THEN UPDATE SET text = concat('old ', t.text)";

/// The default setting, and tables of more than a gigabyte of decoded rows: they are wide, so that few of them will do, and
/// alike, so that their files stay small.
#[test]
fn the_default_memory_setting_is_kept_by_tables_of_gigabytes() {
    const WIDTH: usize = 32 << 10;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let warehouse = Warehouse::temporary().await;
        let manager = &warehouse.manager;
        let default = 256 * MIB;
        let rows = 5 * default as i64 / WIDTH as i64;
        let wide = |ids: std::ops::Range<i64>, letter: &'static str| {
            let batches = ids.clone().step_by(64).map(move |first| {
                let ids = first..(first + 64).min(ids.end);
                let texts = ids.clone().map(|id| format!("{id:08}{}", letter.repeat(WIDTH - 8)));
                let columns: (Int64Array, StringArray) =
                    (Int64Array::from_iter_values(ids), StringArray::from_iter_values(texts));
                Ok(RecordBatch::try_new(schema(), vec![Arc::new(columns.0), Arc::new(columns.1)]).unwrap())
            });
            BatchStream::new(schema(), futures::stream::iter(batches).boxed())
        };
        let table = table(&warehouse, 0).await;
        let (done, peak) =
            grown(manager.write_data(&table, wide(0..rows, "a"), &WriteConfig::default())).await;
        assert_eq!(done.unwrap().rows, rows as u64);
        assert!(peak < default + BESIDES, "append: {} MiB at its peak", peak / MIB);
        println!("append of 1.25 GiB: {} MiB at its peak", peak / MIB);

        // A source of more than the setting.
        let merge = MergeConfig::from_sql(MERGE, &table).unwrap();
        let source = rows / 4;
        let (done, peak) =
            grown(manager.merge_data(&table, wide(rows - source..rows + 100, "b"), &merge)).await;
        let merged = done.unwrap().merged.unwrap();
        assert_eq!(merged.rows_inserted, 100);
        assert!(merged.rows_updated > 1000 && merged.rows_deleted > 100, "{merged:?}");
        assert!(peak < default + BESIDES, "merge: {} MiB at its peak", peak / MIB);
        println!("merge into 1.25 GiB: {} MiB at its peak", peak / MIB);

        let upsert = WriteConfig {
            mode: WriteMode::Upsert,
            join_columns: vec!["id".into()],
            ..WriteConfig::default()
        };
        let (done, peak) = grown(manager.write_data(&table, wide(0..source, "c"), &upsert)).await;
        assert!(done.unwrap().merged.unwrap().rows_updated > 1000);
        assert!(peak < default + BESIDES, "upsert: {} MiB at its peak", peak / MIB);
        println!("upsert into 1.25 GiB: {} MiB at its peak", peak / MIB);
    });
}

/// How many temporary files this process has open. They have no name from the start, so that the operating system takes
/// them away however the process ends.
fn tempfiles() -> usize {
    let folder = std::env::temp_dir();
    let temporary = |entry: std::io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        (target.starts_with(&folder) && target.to_string_lossy().ends_with(" (deleted)")).then_some(())
    };
    std::fs::read_dir("/proc/self/fd").map_or(0, |open| open.filter_map(temporary).count())
}
