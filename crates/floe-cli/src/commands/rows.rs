//! The rows that a command writes: its input files, as one stream of the table's columns.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use arrow_schema::Schema;
use floe::data::{BatchStream, Input};
use floe::model::{MergeConfig, WriteConfig, WriteOutcome};
use floe::{IcebergTableManager, LoadedTable, Result};
use iceberg::arrow::schema_to_arrow_schema;

use crate::args::{InputArgs, SourceArgs};
use crate::input::{ReadOptions, Source, adapter, discover, stream, unify, untouched, with_others};
use crate::progress::Progress;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// How many files, standard input counting as one.
    inputs: usize,
    /// Their size; standard input has none.
    bytes: u64,
}

impl Read {
    /// Adds this to a report.
    pub(super) fn on(self, report: Report) -> Report {
        report.with("inputs", self.inputs).with("input_bytes", self.bytes)
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
    /// Those of the table.
    OfTable,
    /// Any.
    Any,
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
            let schema = schema_to_arrow_schema(table.metadata.current_schema())?;
            let sources = discover(files, &options)?;
            let schema = match columns {
                Columns::OfTable => schema,
                Columns::Any => with_others(&sources, &schema, &options)?,
            };
            let read = Read { inputs: sources.len(), bytes: sources.iter().map(Source::bytes).sum() };
            let known: Option<u64> = sources.iter().map(Source::rows).sum();
            let progress = ui.progress(what, known);
            // Only regular files can be read again.
            let repeatable = sources.iter().all(|source| source.state().is_some());
            let unchanged = untouched(&sources);
            let data = rows(sources, &schema, options.clone(), &progress)?;
            let data = if repeatable {
                again(data, files.to_vec(), schema, options.clone(), progress.clone())
            } else {
                data.into()
            };
            let data = match unchanged {
                Some(unchanged) => data.with_rows(known).with_files(unchanged),
                None => data.with_rows(known),
            };
            Ok(Self { data, read, progress })
        };
        open().map_err(|e: floe::Error| e.with_table(&table.ident))
    }
}

/// Rows that are opened already, and again from their files as often as they are wanted.
fn again(
    opened: BatchStream,
    files: Vec<PathBuf>,
    table: Schema,
    options: ReadOptions,
    progress: Progress,
) -> Input {
    let shape = opened.schema.clone();
    let first = Mutex::new(Some(opened));
    Input::repeatable(shape, move || {
        if let Some(first) = first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(first);
        }
        progress.restart();
        rows(discover(&files, &options)?, &table, options.clone(), &progress)
    })
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
    let Rows { data, read, progress } = Rows::open(files, input, &loaded, Columns::OfTable, what, ui)?;
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
    table: &Schema,
    options: ReadOptions,
    progress: &Progress,
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
