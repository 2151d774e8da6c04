//! Tasks of one process write one table at once.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use floe::data::BatchStream;
use floe::model::WriteConfig;

use crate::{ids, turns_were_taken, warehouse_with_table};

const ROWS: i64 = 5;

fn rows(first: i64) -> BatchStream {
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)];
    let schema = Arc::new(Schema::new(fields));
    let ids = Int64Array::from_iter_values(first..first + ROWS);
    let texts = StringArray::from_iter_values((first..first + ROWS).map(|id| id.to_string()));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(ids), Arc::new(texts)]).unwrap();
    BatchStream::from_batches(schema, vec![batch])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_tasks_that_commit_without_pause_all_succeed_with_the_default_retries() {
    const TASKS: i64 = 8;
    const COMMITS: i64 = 10;
    let (warehouse, table) = warehouse_with_table().await;
    let start = Arc::new(tokio::sync::Barrier::new(TASKS as usize));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (path, table, start) = (warehouse.path().to_owned(), table.clone(), start.clone());
            // Half of them share a manager, as the tasks of a service do; the others have only the catalog file
            // in common.
            let shared = (task % 2 == 0).then(|| warehouse.manager.clone());
            tokio::spawn(async move {
                let manager = match shared {
                    Some(manager) => manager,
                    None => floe::embedded(path).await.unwrap(),
                };
                start.wait().await;
                for commit in 0..COMMITS {
                    let data = rows((task * COMMITS + commit) * ROWS);
                    let done = manager.write_data(&table, data, &WriteConfig::default()).await;
                    assert_eq!(done.unwrap().rows as i64, ROWS);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all: Vec<i64> = (0..TASKS * COMMITS * ROWS).collect();
    assert_eq!(ids(warehouse.path(), &table).await, all);
    let snapshots = warehouse.manager.list_snapshots(&table).await.unwrap();
    assert_eq!(snapshots.len() as i64, TASKS * COMMITS);
    assert!(turns_were_taken(warehouse.path()));
}
