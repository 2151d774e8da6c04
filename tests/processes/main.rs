//! Several tasks and processes write one table, and processes die in the middle of a write.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod changes;
mod tasks;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use floe::iceberg::TableIdent;
use floe::model::PartitionTransform::Bucket;
use floe::model::{FieldType, SchemaField, TableSchema};
use floe_tests::warehouse::{Warehouse, spec};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

async fn warehouse_with_table() -> (Warehouse, TableIdent) {
    let warehouse = Warehouse::temporary().await;
    let fields = vec![
        SchemaField::new(1, "id", FieldType::Long, true),
        SchemaField::new(2, "text", FieldType::String, false),
    ];
    let buckets = spec(&[(1, Bucket, Some(3))]);
    let table = warehouse.create("rows", TableSchema { fields }, Some(buckets)).await;
    (warehouse, table)
}

/// The ids that a fresh process would read, sorted.
async fn ids(path: &Path, table: &TableIdent) -> Vec<i64> {
    let batches = Warehouse::open(path).await.scan(table, None).await;
    let column = |batch: &arrow_array::RecordBatch| {
        batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    let mut ids: Vec<i64> = batches.iter().flat_map(column).collect();
    ids.sort_unstable();
    ids
}

/// Whether writers queued, rather than find out by conflicts that they were not alone.
fn turns_were_taken(warehouse: &Path) -> bool {
    std::fs::read_dir(warehouse.join("catalog.db-turns")).is_ok_and(|mut locks| locks.next().is_some())
}

/// A process that appends; see `src/bin/floe-test-append.rs`.
struct Appender {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Appender {
    fn start(warehouse: &Path, first: i64, batches: i64, rows: i64) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_floe-test-append"))
            .arg(warehouse)
            .args([first, batches, rows].map(|n| n.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// Waits until it wants its next batch. Answers what it said; nothing when it ended.
    fn wait_for_word(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Gives it its next batch.
    fn go(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    /// Kills it as `kill -9` does.
    fn kill(mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_append_at_once_and_every_row_is_there_once() {
    const PROCESSES: i64 = 8;
    const ROUNDS: i64 = 3;
    const ROWS: i64 = 50;
    let (warehouse, table) = warehouse_with_table().await;
    for round in 0..ROUNDS {
        let start = |n| Appender::start(warehouse.path(), (round * PROCESSES + n) * ROWS, 1, ROWS);
        let mut appenders: Vec<Appender> = (0..PROCESSES).map(start).collect();
        // All hold the same version of the table before the first of them may commit.
        for appender in &mut appenders {
            assert_eq!(appender.wait_for_word(), "ready");
        }
        for appender in &mut appenders {
            appender.go();
        }
        for appender in &mut appenders {
            assert_eq!(appender.wait_for_word(), "committed");
            assert!(appender.child.wait().unwrap().success());
        }
    }
    let all: Vec<i64> = (0..ROUNDS * PROCESSES * ROWS).collect();
    assert_eq!(ids(warehouse.path(), &table).await, all);
    let snapshots = warehouse.manager.list_snapshots(&table).await.unwrap();
    assert_eq!(snapshots.len() as i64, ROUNDS * PROCESSES);
    assert!(turns_were_taken(warehouse.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_append_is_there_whole_or_not_at_all_and_the_next_one_works() {
    const BATCHES: i64 = 4;
    const ROWS: i64 = 500;
    let (warehouse, table) = warehouse_with_table().await;
    let mut rng = StdRng::seed_from_u64(20_130_101);
    let (mut before, mut first) = (Vec::new(), 0);
    let mut killed_in_the_middle = 0;
    for round in 0..16 {
        let range: Vec<i64> = (first..first + BATCHES * ROWS).collect();
        first += BATCHES * ROWS;
        let mut appender = Appender::start(warehouse.path(), range[0], BATCHES, ROWS);
        // In even rounds it dies while it waits for a batch; in odd ones at some moment after the last.
        let given = if round % 2 == 0 { rng.random_range(0..BATCHES) } else { BATCHES };
        for _ in 0..given {
            assert_eq!(appender.wait_for_word(), "ready");
            appender.go();
        }
        let spins = if given == BATCHES { rng.random_range(0..3_000_000_u64) } else { 0 };
        if given < BATCHES {
            assert_eq!(appender.wait_for_word(), "ready");
        }
        for spin in 0..spins {
            std::hint::black_box(spin);
        }
        let status = appender.kill();
        killed_in_the_middle += u32::from(!status.success());

        let after = ids(warehouse.path(), &table).await;
        let with_all: Vec<i64> = before.iter().chain(&range).copied().collect();
        let whole_or_not = after == before || after == with_all;
        assert!(whole_or_not, "round {round}: {} rows before, {} after", before.len(), after.len());
        assert!(given == BATCHES || after == before, "round {round}: committed without all its batches");

        let mut next = Appender::start(warehouse.path(), first, 1, 10);
        assert_eq!(next.wait_for_word(), "ready");
        next.go();
        assert_eq!(next.wait_for_word(), "committed", "round {round}: the next append");
        assert!(next.child.wait().unwrap().success());
        before = after.into_iter().chain(first..first + 10).collect();
        first += 10;
        assert_eq!(ids(warehouse.path(), &table).await, before, "round {round}: after the next append");
    }
    assert!(killed_in_the_middle >= 10, "only {killed_in_the_middle} of 16 processes were killed in time");
}
