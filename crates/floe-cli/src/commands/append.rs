//! `floe append`.

use std::time::Instant;

use arrow_schema::Schema;
use floe::data::BatchStream;
use floe::model::{CommitStrategy, WriteConfig, WriteOutcome};
use floe::{Error, Result};
use iceberg::arrow::schema_to_arrow_schema;

use crate::args::{AppendArgs, Strategy};
use crate::input::{ReadOptions, Source, adapter, discover, stream, unify};
use crate::progress::Progress;
use crate::render;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Appends the rows of all inputs in one snapshot.
pub(super) async fn run(command: &str, args: AppendArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    let options = ReadOptions::from(&args.input);
    let config = write_config(&args)?;
    let manager = location.open().await?;
    let ident = args.table.ident();
    let table = manager.load_table(&ident).await?;
    let schema = schema_to_arrow_schema(table.metadata.current_schema())?;

    let sources = discover(&args.files, &options).map_err(|e| e.with_table(&args.table))?;
    let (inputs, input_bytes) = (sources.len(), sources.iter().map(Source::bytes).sum::<u64>());
    let total = sources.iter().map(Source::rows).sum::<Option<u64>>();
    let progress = ui.progress("Appending", total);
    let rows = rows(sources, &schema, options, progress.clone()).map_err(|e| e.with_table(&args.table))?;
    let outcome = Box::pin(manager.write_data(&ident, rows, &config)).await?;
    progress.done();
    let seconds = started.elapsed().as_secs_f64();
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("snapshot_id", outcome.snapshot_id)
        .with("rows", outcome.rows)
        .with("files", outcome.files)
        .with("bytes", outcome.bytes)
        .with("attempts", outcome.attempts)
        .with("inputs", inputs)
        .with("input_bytes", input_bytes)
        .with("elapsed_ms", (seconds * 1000.0).round() as u64)
        .text(describe(&args.table.to_string(), &outcome, seconds));
    ui.print(&report)
}

/// One line on what an append did.
fn describe(table: &str, outcome: &WriteOutcome, seconds: f64) -> String {
    match outcome.snapshot_id {
        Some(snapshot) if outcome.rows > 0 => format!(
            "Appended {} to {table}: snapshot {snapshot}, {}, {}, {seconds:.2} s",
            render::counted(outcome.rows, "row"),
            render::counted(outcome.files, "file"),
            render::bytes(outcome.bytes),
        ),
        _ => format!("No rows to append: {table} is as it was"),
    }
}

/// The rows of all inputs. Every schema is checked against the table's before a row is read.
fn rows(
    sources: Vec<Source>,
    table: &Schema,
    options: ReadOptions,
    progress: Progress,
) -> Result<BatchStream> {
    let schemas = sources
        .iter()
        .map(|source| Ok((source.label(), source.schema_for(table, &options)?)))
        .collect::<Result<Vec<_>>>()?;
    let one = unify(&schemas, table)?;
    let own: Vec<_> = schemas.into_iter().map(|(_, schema)| schema).collect();
    let inputs = sources.into_iter().zip(own).map(|(source, own)| {
        let adapt = adapter(source.label().to_owned(), &own, &one);
        let progress = progress.clone();
        let counted: Box<dyn Fn(_) -> _ + Send> = Box::new(move |batch: arrow_array::RecordBatch| {
            progress.add(batch.num_rows() as u64);
            adapt(batch)
        });
        (source, own, counted)
    });
    Ok(stream(inputs.collect(), one, options))
}

fn write_config(args: &AppendArgs) -> Result<WriteConfig> {
    let mut config = WriteConfig {
        commit_strategy: args.strategy.map(|strategy| match strategy {
            Strategy::FastAppend => CommitStrategy::FastAppend,
            Strategy::MergeCommit => CommitStrategy::MergeCommit,
        }),
        ..WriteConfig::default()
    };
    for pair in &args.snapshot_property {
        if config.snapshot_properties.insert(pair.key.clone(), pair.value.clone()).is_some() {
            return Err(Error::validation(format!("the snapshot property '{}' is given twice", pair.key))
                .with_table(&args.table));
        }
    }
    Ok(config)
}
