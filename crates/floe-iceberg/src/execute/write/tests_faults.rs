//! What is left of a write that fails or is given up.

use floe_core::{ErrorKind, StorageClient, SystemEnvironment};
use floe_testkit::storage::{Fault, FaultPlan, FaultRule, FaultyStorage, MemoryStorage, Operation};
use iceberg::spec::Transform;
use tokio::sync::Notify;

use super::tests::{arrow, batches, options, table};
use super::{
    Arc, BatchStream, LoadedTable, ProgressFn, Result, StreamExt, WrittenFiles,
    write_data_files_with_progress,
};

/// Files of a few rows, so that many come and go.
const SMALL_FILES: [(&str, &str); 2] =
    [("write.target-file-size-bytes", "60000"), ("write.parquet.row-group-limit", "2000")];

/// Unpartitioned, few and many partitions: all ways to write.
fn layouts() -> [Vec<(i32, Transform)>; 3] {
    [vec![], vec![(1, Transform::Truncate(20_000))], vec![(1, Transform::Truncate(500))]]
}

fn table_on(storage: &FaultyStorage, partition: &[(i32, Transform)]) -> LoadedTable {
    let mut table = table(std::path::Path::new("/"), partition, &SMALL_FILES);
    let metadata = table.metadata.as_ref().clone().into_builder(None);
    let location = format!("{}/n/t", storage.warehouse());
    table.metadata = Arc::new(metadata.set_location(location).build().unwrap().metadata);
    table.file_io = storage.file_io();
    table
}

fn storage(plan: FaultPlan) -> (MemoryStorage, FaultyStorage) {
    let memory = MemoryStorage::new();
    (memory.clone(), FaultyStorage::new(Arc::new(memory), plan))
}

/// Waits until no thread works for the write that was given `progress`, and no task is left that it has started.
async fn quiet(progress: &ProgressFn) {
    let runtime = tokio::runtime::Handle::current();
    while Arc::strong_count(progress) > 1 || runtime.metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

async fn write(table: &LoadedTable, data: BatchStream, progress: &ProgressFn) -> Result<WrittenFiles> {
    let (options, progress) = (options(256 << 10), Some(progress.clone()));
    write_data_files_with_progress(table, data, &options, &SystemEnvironment, progress).await
}

#[tokio::test]
async fn a_full_storage_is_reported_as_such_and_nothing_stays_behind() {
    let progress: ProgressFn = Arc::new(|_| {});
    for partition in layouts() {
        for operation in [Operation::Write, Operation::WritePiece] {
            let full =
                |after_bytes| FaultPlan::of(FaultRule::new(operation, "*", Fault::DiskFull { after_bytes }));
            // The first time, how much is written this way.
            let (_, unlimited) = storage(full(u64::MAX));
            let source = || BatchStream::from_batches(arrow(), batches(30_000, 3_000, 1));
            let table = table_on(&unlimited, &partition);
            let bytes = write(&table, source(), &progress).await.unwrap().bytes;
            if !unlimited.counts().contains_key(&operation) {
                continue;
            }
            for part in [0, bytes / 4] {
                let (memory, storage) = storage(full(part));
                let table = table_on(&storage, &partition);
                let error = write(&table, source(), &progress).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{partition:?} {operation:?}: {error}");
                assert_eq!(error.table(), Some("n.t"));
                quiet(&progress).await;
                assert_eq!(memory.locations(), Vec::<String>::new(), "{partition:?} {operation:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_is_given_up_leaves_nothing_behind() {
    let progress: ProgressFn = Arc::new(|_| {});
    for partition in layouts() {
        let (memory, storage) = storage(FaultPlan::none());
        let table = table_on(&storage, &partition);
        let reached = Arc::new(Notify::new());
        let (watched, tell) = (memory.clone(), reached.clone());
        // Rows come until files are there, or for as long as they are only gathered; then the source stalls.
        let rows = batches(60_000, 1_000, 2).into_iter();
        let stream = futures::stream::unfold(rows, move |mut rows| {
            let (watched, tell) = (watched.clone(), tell.clone());
            async move {
                let next = rows.next().filter(|_| watched.locations().len() < 3);
                if next.is_none() {
                    tell.notify_one();
                    std::future::pending::<()>().await;
                }
                next.map(|batch| (Ok(batch), rows))
            }
        });
        let data = BatchStream::new(arrow(), stream.boxed());
        tokio::select! {
            _ = write(&table, data, &progress) => panic!("the source never ends"),
            () = reached.notified() => {}
        }
        // The future is gone; what it left to do is done by tasks.
        let before = memory.locations().len();
        quiet(&progress).await;
        assert_eq!(memory.locations(), Vec::<String>::new(), "{partition:?}, {before} files before");
        if partition.is_empty() {
            assert!(before >= 3, "{before} files before");
        }
    }
}
