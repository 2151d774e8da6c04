//! From a data file to pieces of work: its footer, the row groups to read, and how their batches are made.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef, TimeUnit};
use floe_core::{Error, Result};
use floe_plan::expr::BoundExpr;
use iceberg::io::FileIO;
use iceberg::spec::{NameMapping, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{RowNumber, is_virtual_column};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ParquetMetaData;

use super::deletes::{DeletedRows, Deletes};
use super::filter::{Probe, RowsFilter, Selectivity};
use super::ids::with_ids;
use super::input::{ParquetInput, parquet_error};
use super::metrics::{ScanMetrics, add};
use super::plan::constant_values;
use super::project::{Constants, Projection};
use super::request::ScanTask;
use super::row_groups;

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
    let metadata = arrow_metadata(&input, &task.path, false)?;
    let fields = with_ids(metadata.schema().fields(), context.name_mapping.as_ref());
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

/// The Arrow form of the file, taken from its Parquet types alone: what the writer noted besides may be of types that
/// floe would have to convert. With `row_numbers`, a last column of that name gives the positions of the rows.
pub(super) fn arrow_metadata(
    input: &ParquetInput,
    path: &str,
    row_numbers: bool,
) -> Result<ArrowReaderMetadata> {
    let footer = input.metadata();
    let options = || {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        if !row_numbers {
            return Ok(options);
        }
        let number = Field::new("row_number", DataType::Int64, false).with_extension_type(RowNumber);
        options.with_virtual_columns(vec![Arc::new(number)]).map_err(|e| parquet_error(path, e))
    };
    let metadata =
        ArrowReaderMetadata::try_new(footer.clone(), options()?).map_err(|e| parquet_error(path, e))?;
    let columns = footer.file_metadata().schema_descr().columns();
    if !columns.iter().any(|column| column.physical_type() == PhysicalType::INT96) {
        return Ok(metadata);
    }
    // INT96 holds nanoseconds of a day, and days: microseconds reach the years that Iceberg allows.
    let own = metadata.schema().fields().iter().filter(|field| !is_virtual_column(field));
    let fields = own.map(|field| {
        let int96 = columns
            .iter()
            .any(|c| c.physical_type() == PhysicalType::INT96 && c.path().parts() == [field.name().as_str()]);
        if int96 {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
            Arc::new(Field::clone(field).with_data_type(micros))
        } else {
            field.clone()
        }
    });
    let schema =
        ArrowSchema::new_with_metadata(fields.collect::<Vec<_>>(), metadata.schema().metadata().clone());
    ArrowReaderMetadata::try_new(footer, options()?.with_schema(Arc::new(schema)))
        .map_err(|e| parquet_error(path, e))
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
