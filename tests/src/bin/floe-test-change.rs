//! Several commands by a process of its own, for the test with writers of all kinds.
//!
//! `floe-test-change WAREHOUSE KIND NUMBER COMMANDS`: appends to, upserts into or deletes from `t.rows`, by copy-on-write and
//! merge-on-read in turns, each time with a manager as a new process has it. Before the first it prints `ready` and waits for a
//! line on standard input; after each it prints how often it was run again, and at last `finished`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::Write;

use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe::model::{ChangeOptions, DeleteConfig, WriteConfig, WriteMode, WriteOutcome};
use floe::plan::expr::Expr;
use floe_tests::writers::{Kind, command};

#[tokio::main(worker_threads = 2)]
async fn main() -> floe::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [warehouse, kind, number, commands] = arguments.as_slice() else {
        panic!("floe-test-change WAREHOUSE KIND NUMBER COMMANDS");
    };
    let kind = Kind::named(kind).unwrap();
    let (number, commands): (i64, i64) = (number.parse().unwrap(), commands.parse().unwrap());
    say("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    for at in 0..commands {
        let WriteOutcome { reruns, attempts, replayed, .. } = run(warehouse, kind, number, at).await?;
        assert!(attempts > 0 && !replayed, "{kind:?} {number} {at} did nothing");
        say(&format!("{reruns}"));
    }
    say("finished");
    Ok(())
}

async fn run(warehouse: &str, kind: Kind, number: i64, at: i64) -> floe::Result<WriteOutcome> {
    let manager = floe::embedded(warehouse).await?;
    let table = TableIdent::from_strs(["t", "rows"])?;
    let mode = if (number + at) % 2 == 0 { RowMode::CopyOnWrite } else { RowMode::MergeOnRead };
    let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
    let command = command(kind, number, at);
    match kind {
        Kind::Append => {
            let config = WriteConfig { options, ..WriteConfig::default() };
            manager.write_data(&table, command.batch(), &config).await
        }
        Kind::Upsert => {
            let join_columns = vec!["id".to_owned()];
            let config =
                WriteConfig { mode: WriteMode::Upsert, join_columns, options, ..WriteConfig::default() };
            manager.write_data(&table, command.batch(), &config).await
        }
        Kind::Delete => {
            let (first, end) = (command.ids.start, command.ids.end);
            let filter = Expr::parse(&format!("id >= {first} AND id < {end}"))?;
            manager.delete_data(&table, &filter, &DeleteConfig { options }).await
        }
    }
}

fn say(word: &str) {
    println!("{word}");
    std::io::stdout().flush().unwrap();
}
