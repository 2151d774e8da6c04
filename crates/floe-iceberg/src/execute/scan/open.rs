//! From a data file to pieces of work: its footer, the row groups to read, and how their batches are made.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{Fields, SchemaRef as ArrowSchemaRef};
use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::expr::BoundExpr;
use iceberg::io::FileIO;
use iceberg::spec::{NameMapping, SchemaRef};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::metadata::ParquetMetaData;

use super::deletes::{DeletedRows, Deletes};
use super::filter::{Probe, RowsFilter, Selectivity};
use super::ids::with_ids;
use super::input::ParquetInput;
use super::metrics::{ScanMetrics, add};
use super::plan::constant_values;
use super::project::{Constants, Projection};
use super::request::ScanTask;
use super::row_groups;
use crate::footer::{self, Calendar, with_int96};

/// What every file of a scan needs.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) file_io: FileIO,
    /// The schema that the rows are read in.
    pub(super) schema: SchemaRef,
    /// The columns to give, and their Arrow form.
    pub(super) projection: SchemaRef,
    pub(super) arrow: ArrowSchemaRef,
    pub(super) filter: Option<BoundExpr>,
    /// Looks at rows in place of the filter, which then is for row groups only.
    pub(super) probe: Option<Probe>,
    pub(super) selectivity: Arc<Selectivity>,
    /// The columns that the filter reads, and their Arrow form.
    pub(super) filter_columns: SchemaRef,
    pub(super) filter_arrow: ArrowSchemaRef,
    pub(super) name_mapping: Option<NameMapping>,
    pub(super) batch_size: usize,
    pub(super) batch_bytes: u64,
    pub(super) deletes: Arc<Deletes>,
    /// Batches tell where each row is: see [`super::rows`].
    pub(super) rows: bool,
    pub(super) metrics: Arc<ScanMetrics>,
}

/// A piece of a file, decoded by one task.
pub(super) enum Unit {
    /// So many rows without columns: nothing has to be read.
    Count(u64),
    Read(Box<ReadUnit>),
}

impl Unit {
    /// Bytes that are read for it, about.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Count(_) => 0,
            Self::Read(unit) => unit.bytes,
        }
    }
}

/// Row groups of a file, with all it takes to read them.
pub(super) struct ReadUnit {
    /// The number of the task in the plan.
    pub(super) task: u32,
    pub(super) input: ParquetInput,
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) row_groups: Vec<usize>,
    /// Bytes of them that are read, about.
    pub(super) bytes: u64,
    /// The position of the first row of each row group in the file.
    pub(super) positions: Vec<Range<u64>>,
    /// Only rows at these positions; all of them if not set.
    pub(super) within: Option<Range<u64>>,
    pub(super) projection: Projection,
    pub(super) filter: RowsFilter,
    pub(super) deleted: DeletedRows,
}

/// Row groups smaller than this, compressed, share a unit.
const UNIT_BYTES: i64 = 8 * 1024 * 1024;

/// Opens a data file and splits it. `number` is that of the task in the plan.
pub(super) async fn open(context: Arc<Context>, number: u32, task: ScanTask) -> Result<Vec<Unit>> {
    let filter = context.filter.as_ref().filter(|_| !task.all_rows_match);
    let counts = context.projection.as_struct().fields().is_empty();
    if counts && !context.rows && filter.is_none() && task.deletes.is_empty() {
        return Ok(vec![Unit::Count(task.record_count)]);
    }
    add(&context.metrics.files_read, 1);
    let input =
        ParquetInput::open(&context.file_io, &task.path, task.file_size, false, context.metrics.clone())
            .await?;
    check_rows(&input, task.record_count)?;
    let metadata = arrow_metadata(&input, false)?;
    let fields = columns(&metadata, context.name_mapping.as_ref());
    let constants: Constants = constant_values(&task, &context.schema);
    let names_file = |e: Error| {
        Error::new(e.kind(), format!("the data file {} cannot be read: {}", task.path, e.message()))
    };
    let footer = metadata.metadata().clone();
    let mut row_groups: Vec<usize> = (0..footer.num_row_groups()).collect();
    let mut rows_filter = RowsFilter::None;
    if let Some(filter) = filter {
        row_groups = row_groups::matching(filter, &footer, &fields);
        add(&context.metrics.row_groups_pruned, (footer.num_row_groups() - row_groups.len()) as u64);
        rows_filter = RowsFilter::new(filter, &context, &fields, &constants).map_err(names_file)?;
        if rows_filter.matches_nothing() {
            return Ok(Vec::new());
        }
    }
    if row_groups.is_empty() {
        return Ok(Vec::new());
    }
    let projection =
        Projection::new(&fields, context.projection.as_struct().fields(), context.arrow.clone(), &constants)
            .map_err(names_file)?;
    let deleted = context.deletes.for_task(&context, &task, &fields, &constants).await?;
    if deleted.all {
        add(&context.metrics.rows_deleted, task.record_count);
        return Ok(Vec::new());
    }

    let positions = positions(&footer);
    let units = group(&footer, &row_groups).into_iter().map(|row_groups| {
        Unit::Read(Box::new(ReadUnit {
            task: number,
            input: input.clone(),
            metadata: metadata.clone(),
            bytes: stored_bytes(&footer, &row_groups, &projection.leaves),
            positions: row_groups.iter().map(|index| positions[*index].clone()).collect(),
            within: None,
            row_groups,
            projection: projection.clone(),
            filter: rows_filter.clone(),
            deleted: deleted.clone(),
        }))
    });
    Ok(units.collect())
}

/// The Arrow form of the file. With `row_numbers`, a last column gives the positions of the rows.
pub(super) fn arrow_metadata(input: &ParquetInput, row_numbers: bool) -> Result<ArrowReaderMetadata> {
    let number = row_numbers.then_some("row_number");
    footer::arrow_metadata(input.metadata(), number).map_err(|e| input.error(e))
}

/// The columns of the file with their ids; those that may hold dates of an old calendar, or are stored as INT96, are marked.
pub(super) fn columns(metadata: &ArrowReaderMetadata, mapping: Option<&NameMapping>) -> Fields {
    let file = metadata.metadata().file_metadata();
    let fields = with_ids(metadata.schema().fields(), mapping);
    Calendar::of(file).marked(with_int96(fields, file.schema_descr()), file.schema_descr())
}

/// Fails with `Corrupted` when the row groups of a file do not hold so many rows as its manifest says.
pub(super) fn check_rows(input: &ParquetInput, recorded: u64) -> Result<()> {
    let held = u64::try_from(input.metadata().file_metadata().num_rows()).unwrap_or(0);
    if held == recorded {
        return Ok(());
    }
    let path = masked(input.path());
    Err(Error::new(
        ErrorKind::Corrupted,
        format!("the data file {path} has {held} rows in its row groups, and its manifest says {recorded}"),
    )
    .with_hint("the file was written again after it was added, or was counted wrongly: add it anew with the engine that added it"))
}

/// The positions of the rows of each row group.
pub(super) fn positions(footer: &ParquetMetaData) -> Vec<Range<u64>> {
    let mut next = 0;
    let positions = footer.row_groups().iter().map(|group| {
        let start = next;
        next += u64::try_from(group.num_rows()).unwrap_or(0);
        start..next
    });
    positions.collect()
}

fn group(footer: &ParquetMetaData, row_groups: &[usize]) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut bytes = i64::MAX;
    for index in row_groups {
        let size = footer.row_group(*index).compressed_size();
        match units.last_mut() {
            Some(unit) if bytes.saturating_add(size) <= UNIT_BYTES => {
                unit.push(*index);
                bytes += size;
            }
            _ => {
                units.push(vec![*index]);
                bytes = size;
            }
        }
    }
    units
}

/// Bytes of the columns as they are stored.
fn stored_bytes(footer: &ParquetMetaData, row_groups: &[usize], leaves: &[usize]) -> u64 {
    let columns = row_groups.iter().flat_map(|group| {
        let columns = footer.row_group(*group).columns();
        leaves.iter().filter_map(|leaf| columns.get(*leaf))
    });
    columns.map(|column| u64::try_from(column.compressed_size()).unwrap_or(0)).fold(0, u64::saturating_add)
}
