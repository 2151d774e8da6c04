//! One append by a process of its own, for the tests with several processes and with processes that are killed.
//!
//! `floe-test-append WAREHOUSE FIRST_ID BATCHES ROWS_PER_BATCH`: appends to `t.rows`. Before each batch it prints
//! `ready` and waits for a line on standard input, so that the test decides how far it gets. After the last batch
//! it commits, and prints `committed`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::Write;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use floe::data::BatchStream;
use floe::iceberg::TableIdent;
use floe::model::WriteConfig;
use futures::StreamExt;

#[tokio::main(worker_threads = 2)]
async fn main() -> floe::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [warehouse, first, batches, rows] = arguments.as_slice() else {
        panic!("floe-test-append WAREHOUSE FIRST_ID BATCHES ROWS_PER_BATCH");
    };
    let (first, batches, rows): (i64, i64, i64) =
        (first.parse().unwrap(), batches.parse().unwrap(), rows.parse().unwrap());
    let manager = floe::embedded(warehouse).await?;
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
    ]));
    let shape = schema.clone();
    let stream = futures::stream::iter(0..batches).map(move |batch| {
        say("ready");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        let start = first + batch * rows;
        let ids = Int64Array::from_iter_values(start..start + rows);
        let texts =
            StringArray::from_iter_values((start..start + rows).map(|id| format!("text of row {id}")));
        Ok(RecordBatch::try_new(shape.clone(), vec![Arc::new(ids), Arc::new(texts)]).unwrap())
    });
    let table = TableIdent::from_strs(["t", "rows"])?;
    let data = BatchStream::new(schema, stream.boxed());
    let outcome = manager.write_data(&table, data, &WriteConfig::default()).await?;
    assert_eq!(outcome.rows as i64, batches * rows);
    say("committed");
    Ok(())
}

fn say(word: &str) {
    println!("{word}");
    std::io::stdout().flush().unwrap();
}
