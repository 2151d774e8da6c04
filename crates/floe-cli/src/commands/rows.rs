//! The rows that a command writes: its input files, as one stream of the table's columns.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use floe::data::{BatchStream, Input};
use floe::execute::upsert::WhenMatched;
use floe::model::{MergeConfig, WriteConfig, WriteMode, WriteOutcome};
use floe::{IcebergTableManager, LoadedTable, Result};
use iceberg::arrow::schema_to_arrow_schema;

use crate::args::{InputArgs, SourceArgs};
use crate::exit::internal;
use crate::input::{
    Absent, ReadOptions, Source, Target, adapter, discover, stream, unify, untouched, with_others,
};
use crate::progress::Progress;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// How many files, standard input counting as one.
    inputs: usize,
    /// Their size; streams have none.
    bytes: u64,
    /// Whether all of them can be read again.
    repeatable: bool,
}

impl Read {
    /// Adds this to a report.
    pub(super) fn on(self, report: Report) -> Report {
        report
            .with("inputs", self.inputs)
            .with("input_bytes", self.bytes)
            .with("input_repeatable", self.repeatable)
    }
}

/// What a write did, of what it read, and the manager that did it.
pub(super) struct Wrote {
    pub(super) outcome: WriteOutcome,
    pub(super) read: Read,
    pub(super) manager: IcebergTableManager,
}

/// Which columns inputs may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Columns {
    /// Those of the table, for new rows: a column that is absent has its write default, else NULL.
    OfTable,
    /// Those of the table, for rows that take the place of others: all have the same.
    Given,
    /// Those of the table, for rows that leave others as they are, or only say which to delete.
    Keys,
    /// Any.
    Any,
}

impl Columns {
    /// Those that a write may have.
    pub(super) fn of_write(config: &WriteConfig) -> Self {
        let updates = matches!(config.when_matched, WhenMatched::UpdateAll | WhenMatched::UpdateIfChanged);
        match config.mode {
            WriteMode::Upsert if updates => Self::Given,
            // Only the keys count, or new rows besides.
            WriteMode::Upsert => Self::Keys,
            _ => Self::OfTable,
        }
    }
}

/// The rows of all inputs.
struct Rows {
    data: Input,
    read: Read,
    /// Counts rows as they are read.
    progress: Progress,
}

impl Rows {
    /// Finds the inputs and checks every schema against the table's, before a row is read. `what` is the title of the
    /// progress bar.
    fn open(
        files: &[PathBuf],
        input: &InputArgs,
        table: &LoadedTable,
        columns: Columns,
        what: &str,
        ui: &Ui,
    ) -> Result<Self> {
        let options = ReadOptions::from(input);
        let open = || {
            let schema = table.metadata.current_schema();
            let sources = discover(files, &options)?;
            let of_table = |absent| Target::new(schema.as_ref().clone(), absent);
            let target = match columns {
                Columns::OfTable => of_table(Absent::Default)?,
                Columns::Keys => of_table(Absent::Unknown)?,
                Columns::Given => of_table(Absent::Refused)?,
                Columns::Any => with_others(&sources, schema, &options)?,
            };
            let read = Read {
                inputs: sources.len(),
                bytes: sources.iter().map(Source::bytes).sum(),
                repeatable: sources.iter().all(Source::repeatable),
            };
            let known: Option<u64> = sources.iter().map(Source::rows).sum();
            let (progress, unchanged) = (ui.progress(what, known), untouched(&sources));
            let data = readable(sources, target, options.clone(), &progress)?.with_rows(known);
            let data = match unchanged {
                Some(unchanged) => data.with_files(unchanged),
                None => data,
            };
            Ok(Self { data, read, progress })
        };
        open().map_err(|e: floe::Error| e.with_table(&table.ident))
    }
}

/// The rows of all inputs, which can be read again if each input can.
fn readable(
    sources: Vec<Source>,
    target: Target,
    options: ReadOptions,
    progress: &Progress,
) -> Result<Input> {
    let again: Option<Vec<Source>> = sources.iter().map(Source::again).collect();
    let opened = rows(sources, target.clone(), options.clone(), progress)?;
    let Some(again) = again else { return Ok(opened.into()) };
    let (shape, progress) = (opened.schema.clone(), progress.clone());
    let first = Mutex::new(Some(opened));
    Ok(Input::repeatable(shape, move || {
        if let Some(first) = first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(first);
        }
        progress.restart();
        let sources: Option<Vec<Source>> = again.iter().map(Source::again).collect();
        let sources = sources.ok_or_else(|| internal("an input cannot be read again"))?;
        rows(sources, target.clone(), options.clone(), &progress)
    }))
}

/// Writes the rows of all inputs to a table, with a progress bar called `what`.
pub(super) async fn write(
    what: &str,
    source: &SourceArgs,
    config: &WriteConfig,
    location: &Location,
    ui: &Ui,
) -> Result<Wrote> {
    let manager = location.open().await?;
    let SourceArgs { table, files, input } = source;
    let ident = table.ident();
    let loaded = manager.load_table(&ident).await?;
    let Rows { data, read, progress } =
        Rows::open(files, input, &loaded, Columns::of_write(config), what, ui)?;
    let outcome = Box::pin(manager.write_data(&ident, data, config)).await;
    progress.done();
    Ok(Wrote { outcome: outcome?, read, manager })
}

/// The rows of all inputs for a table as it is given, with a progress bar called `what`.
pub(super) fn data(
    files: &[PathBuf],
    input: &InputArgs,
    table: &LoadedTable,
    columns: Columns,
    what: &str,
    ui: &Ui,
) -> Result<Input> {
    Rows::open(files, input, table, columns, what, ui).map(|rows| rows.data)
}

/// Merges the rows of all inputs into a table.
pub(super) async fn merge(
    source: &SourceArgs,
    config: &MergeConfig,
    location: &Location,
    ui: &Ui,
) -> Result<Wrote> {
    let manager = location.open().await?;
    let SourceArgs { table, files, input } = source;
    let ident = table.ident();
    let loaded = manager.load_table(&ident).await?;
    let Rows { data, read, progress } = Rows::open(files, input, &loaded, Columns::Any, "Merging", ui)?;
    let outcome = Box::pin(manager.merge_data(&ident, data, config)).await;
    progress.done();
    Ok(Wrote { outcome: outcome?, read, manager })
}

fn rows(
    sources: Vec<Source>,
    target: Target,
    options: ReadOptions,
    progress: &Progress,
) -> Result<BatchStream> {
    let schemas = sources
        .iter()
        .map(|source| Ok((source.label(), source.schema_for(&target, &options)?)))
        .collect::<Result<Vec<_>>>()?;
    let one = unify(&schemas, &target)?;
    let own: Vec<_> = schemas.into_iter().map(|(_, schema)| schema).collect();
    let mut to = Arc::new(schema_to_arrow_schema(&one)?);
    let mut inputs = Vec::with_capacity(sources.len());
    for (source, own) in sources.into_iter().zip(own) {
        let (adapt, schema) = adapter(source.label().to_owned(), &own, &one, &options)?;
        to = schema;
        let progress = progress.clone();
        let counted: Box<dyn Fn(_) -> _ + Send> = Box::new(move |batch: arrow_array::RecordBatch| {
            progress.add(batch.num_rows() as u64);
            adapt(batch)
        });
        inputs.push((source, own, counted));
    }
    Ok(stream(inputs, to, target, options))
}
