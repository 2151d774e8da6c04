//! Upserts, deletes and overwrites by floe, on tables that were made before.

use std::path::Path;

use anyhow::{Result, bail};
use arrow_array::RecordBatch;
use floe::data::BatchStream;
use floe::execute::rows::RowMode;
use floe::model::{ChangeOptions, DeleteConfig, WriteConfig, WriteMode};
use floe::plan::expr::Expr;

use crate::data::{CATEGORY, ONE_PERCENT, PARTITION, changes, of_category, of_partition, schema};
use crate::floe_side::{append_input, create, ident, runtime};
use crate::measure::{Stopwatch, Took};

/// Makes the table that a case changes.
pub(crate) fn prepare(case: &str, folder: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let (manager, table) = create(folder, case, case.starts_with("overwrite")).await?;
        match case {
            "writers" => Ok(()),
            _ => append_input(&manager, &table, folder).await.map(drop),
        }
    })
}

/// Runs a case.
pub(crate) fn run(case: &str, mode: RowMode, rows: usize, folder: &Path) -> Result<Took> {
    let source = match case {
        "upsert-1k" => vec![changes(rows, 1_000)?],
        "upsert-10k" => vec![changes(rows, 10_000)?],
        "upsert-100k" => vec![changes(rows, 100_000)?],
        "overwrite-category" => of_category(folder)?,
        "overwrite-partition" => of_partition(folder)?,
        "delete-1pct" => Vec::new(),
        other => bail!("there is no case '{other}'"),
    };
    let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
    let config = WriteConfig { options: options.clone(), ..WriteConfig::default() };
    let config = match case {
        "overwrite-category" => WriteConfig {
            mode: WriteMode::Overwrite,
            overwrite_filter: Some(format!("category = '{CATEGORY}'")),
            ..config
        },
        "overwrite-partition" => WriteConfig {
            mode: WriteMode::Overwrite,
            overwrite_filter: Some(format!("part = {PARTITION}")),
            ..config
        },
        _ => WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..config },
    };
    runtime()?.block_on(async {
        let manager = floe::embedded(folder.join("warehouse")).await?;
        let table = ident(case)?;
        let start = Stopwatch::start();
        let outcome = if case == "delete-1pct" {
            let config = DeleteConfig { options };
            manager.delete_data(&table, &Expr::parse(ONE_PERCENT)?, &config).await?
        } else {
            manager.write_data(&table, stream(source), &config).await?
        };
        let took = start.stop()?;
        eprintln!("floe {case}, {}: {:?} {:?}", mode.as_str(), outcome.changes, outcome.merged);
        Ok(took)
    })
}

fn stream(batches: Vec<RecordBatch>) -> BatchStream {
    BatchStream::from_batches(schema(), batches)
}
