//! Sequences of operations drawn from a seed, each judged by a plain list of rows; other engines take turns.
//!
//! `FLOE_TEST_SEED=7 cargo xtask interop sequences` runs the sequence of one seed alone; `FLOE_TEST_SEEDS=500` runs
//! more of them.

mod model;
mod subject;

use floe_tests::peers::{Peers, duckdb, pyiceberg};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::spark::Spark;
use floe_tests::warehouse::Warehouse;
use serde_json::{Value, json};

use subject::Subject;

/// How many seeds run, if nothing else is said.
const SEEDS: u64 = 16;
/// After so many operations of floe the other engines take a turn; this often.
const OPERATIONS: usize = 5;
const TURNS: usize = 2;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match (number("FLOE_TEST_SEED"), number("FLOE_TEST_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (0..count.unwrap_or(SEEDS)).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_sequence_of_operations_every_engine_reads_the_rows_of_a_plain_model() {
    // Without the other engines floe is still judged by the model.
    let peers = Peers::find();
    let warehouse = Warehouse::temporary().await;
    let mut subjects = Vec::new();
    for seed in seeds() {
        subjects.push(Subject::create(&warehouse, seed).await);
    }
    for turn in 0..TURNS {
        for subject in &mut subjects {
            for _ in 0..OPERATIONS {
                subject.operate(&warehouse).await;
                subject.check(&warehouse).await;
            }
        }
        let Some(peers) = &peers else { continue };
        others_change(&warehouse, peers, &mut subjects, turn);
        for subject in &mut subjects {
            subject.check(&warehouse).await;
            subject.remember(&warehouse).await;
        }
        others_read(&warehouse, peers, &subjects).await;
    }
}

/// Spark changes every second table, PyIceberg the others, unless they have equality deletes, which it cannot read.
fn others_change(warehouse: &Warehouse, peers: &Peers, subjects: &mut [Subject], turn: usize) {
    let spark = Spark::find().map(|spark| spark.on(warehouse));
    let mut commands = Vec::new();
    for (number, subject) in subjects.iter_mut().enumerate() {
        let table = subject.table.to_string();
        if let Some(spark) = spark.as_ref().filter(|_| number % 2 == turn % 2) {
            let mode = if number % 4 < 2 { "merge-on-read" } else { "copy-on-write" };
            subject.note(format!("Spark deletes {mode}, and updates"));
            spark.run(&[
                format!(
                    "ALTER TABLE {table} SET TBLPROPERTIES ('write.delete.mode' = '{mode}', 'write.update.mode' = '{mode}')"
                ),
                format!("DELETE FROM {table} WHERE id % 7 = 3"),
                format!("UPDATE {table} SET a = 4, x = NULL WHERE id % 5 = 1"),
            ]);
            subject.rows.retain(|r| r.id % 7 != 3);
            for row in subject.rows.iter_mut().filter(|r| r.id % 5 == 1) {
                (row.a, row.x) = (Some(4), None);
            }
        } else if !subject.equality {
            subject.note("PyIceberg deletes".to_owned());
            commands.push(json!({
                "do": "change", "uri": warehouse.catalog_uri(), "table": table, "how": "delete",
                "filter": "id >= 40 and id < 60",
            }));
            subject.rows.retain(|r| !(40..60).contains(&r.id));
        }
    }
    peers.run(&commands);
}

async fn others_read(warehouse: &Warehouse, peers: &Peers, subjects: &[Subject]) {
    let uri = warehouse.catalog_uri();
    let mut reads: Vec<(&Subject, &str, Value)> = Vec::new();
    for subject in subjects {
        let table = subject.table.to_string();
        // DuckDB gets equality deletes of NULL wrong.
        if !subject.equality {
            reads.push((subject, "PyIceberg", pyiceberg(&uri, &table, None)));
            reads.push((subject, "DuckDB", duckdb(&warehouse.metadata_location(&subject.table).await, None)));
        }
    }
    let commands: Vec<Value> = reads.iter().map(|(_, _, read)| read.clone()).collect();
    let compare = |subject: &Subject, engine: &str, theirs: &[arrow_array::RecordBatch]| {
        let wanted = subject.columns.batch(&subject.rows);
        let columns = column_names(&wanted);
        let what = format!("{engine} reads {}", subject.story());
        assert_same_rows(&what, &rows(theirs, &columns), &rows(&[wanted], &columns));
    };
    for ((subject, engine, _), theirs) in reads.iter().zip(peers.read(&commands)) {
        compare(subject, engine, &theirs);
    }
    let Some(spark) = Spark::find().map(|spark| spark.on(warehouse)) else { return };
    for subject in subjects {
        let schema = subject.columns.batch(&[]).schema();
        compare(subject, "Spark", &spark.table(&subject.table.to_string(), &schema));
    }
}
