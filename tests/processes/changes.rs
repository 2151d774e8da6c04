//! Processes that append, upsert and delete at once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use floe::data::Input;
use floe::iceberg::TableIdent;
use floe::model::PartitionTransform::Bucket;
use floe::model::{FieldType, SchemaField, TableSchema, WriteConfig};
use floe_tests::warehouse::{Warehouse, spec};
use floe_tests::writers::{self, EIGHT, Kind};

/// How often, and with how many commands each. `FLOE_TEST_ROUNDS=10` is the whole of it.
fn size() -> (usize, i64) {
    match std::env::var("FLOE_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()) {
        Some(rounds) => (rounds, 10),
        None => (1, 4),
    }
}

struct Writer {
    name: String,
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Writer {
    fn start(warehouse: &Path, kind: Kind, number: i64, commands: i64) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_floe-test-change"))
            .arg(warehouse)
            .arg(kind.name())
            .args([number, commands].map(|n| n.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { name: format!("{} {number}", kind.name()), child, output }
    }

    fn word(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

/// The rows that a fresh process would read.
async fn rows(path: &Path, table: &TableIdent) -> Vec<(i64, String)> {
    let batches = Warehouse::open(path).await.scan(table, None).await;
    let mut rows = Vec::new();
    for batch in &batches {
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let texts = batch.column_by_name("text").unwrap().as_string::<i32>();
        rows.extend((0..batch.num_rows()).map(|row| (ids.value(row), texts.value(row).to_owned())));
    }
    rows.sort_unstable();
    rows
}

async fn warehouse() -> (Warehouse, TableIdent) {
    let warehouse = Warehouse::temporary().await;
    let fields = vec![
        SchemaField::new(1, "id", FieldType::Long, true),
        SchemaField::new(2, "text", FieldType::String, false),
    ];
    let buckets = spec(&[(1, Bucket, Some(4))]);
    let table = warehouse.create("rows", TableSchema { fields }, Some(buckets)).await;
    let start: Input = writers::batch(writers::start().into_iter()).into();
    warehouse.manager.write_data(&table, start, &WriteConfig::default()).await.unwrap();
    (warehouse, table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_of_all_kinds_never_fail_and_every_change_is_there_once() {
    let (rounds, commands) = size();
    for round in 0..rounds {
        let (warehouse, table) = warehouse().await;
        let start = |(kind, number)| Writer::start(warehouse.path(), kind, number, commands);
        let mut all: Vec<Writer> = EIGHT.into_iter().map(start).collect();
        for writer in &mut all {
            assert_eq!(writer.word(), "ready");
        }
        let started = Instant::now();
        for writer in &mut all {
            writer.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        }
        let mut reruns: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for writer in &mut all {
            loop {
                let word = writer.word();
                let Ok(again) = word.parse() else {
                    assert_eq!(word, "finished", "round {round}, {}, after {reruns:?}", writer.name);
                    break;
                };
                reruns.entry(writer.name.clone()).or_default().push(again);
            }
            assert!(writer.child.wait().unwrap().success());
        }
        let took = started.elapsed();
        let expected: Vec<(i64, String)> = writers::end(commands).into_iter().collect();
        assert!(rows(warehouse.path(), &table).await == expected, "round {round}: other rows than expected");
        let snapshots = warehouse.manager.list_snapshots(&table).await.unwrap();
        assert_eq!(snapshots.len() as i64, 1 + 8 * commands);
        let again: u32 = reruns.values().flatten().sum();
        let most = reruns.values().flatten().max().copied().unwrap_or_default();
        println!(
            "round {round}: {} commands in {took:.1?}, run again {again} times, one at most {most}",
            8 * commands
        );
    }
}
