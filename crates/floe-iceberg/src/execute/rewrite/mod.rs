//! Copy-on-write: a data file without some of its rows.
//!
//! Row groups that keep all their rows are taken over as bytes, with their statistics and page indexes, when the file has
//! the schema that the table writes now. The others are decoded, filtered and encoded again, piece by piece, so that a row
//! group is never in memory as a whole; neighbours among them grow together.

mod pieces;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::change::partition_type;
use futures::stream::BoxStream;
use futures::{StreamExt, future};
use iceberg::spec::{DataFile, FormatVersion, PartitionSpec, StructType, TableMetadata};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::rows::{FileRows, Rows};
use super::scan::rows::{RowReader, WholeFile};
use super::write::{Replacement, WriteSession};

/// Pieces of a file that are decoded at a time.
const PIECES_AT_A_TIME: usize = 2;

/// What became of a data file.
#[derive(Debug, Clone, Default)]
pub struct Rewritten {
    /// The files that take its place, of its spec and partition; none when no row is left.
    pub files: Vec<DataFile>,
    /// Rows in these files.
    pub rows_kept: u64,
    /// Row groups that were taken over as they are.
    pub row_groups_copied: u64,
    /// Row groups that were decoded.
    pub row_groups_decoded: u64,
}

/// Fails with `Unsupported` when rows of data files cannot be moved: in tables with row lineage (Iceberg spec, "Row
/// Lineage") each row has an id that has to stay with it.
pub(crate) fn check_rewritable(metadata: &TableMetadata) -> Result<()> {
    match metadata.format_version() {
        FormatVersion::V1 | FormatVersion::V2 => Ok(()),
        version => Err(Error::new(
            ErrorKind::Unsupported,
            format!("data files of a table of format version {version} cannot be rewritten: their rows have ids, which floe does not keep yet"),
        )
        .with_hint("choose a filter that matches files as a whole, such as a partition")),
    }
}

/// Writes the rows of a data file that are neither deleted nor in `found.rows` to a new file in the same partition, one of so
/// many as `shares` at a time.
pub(crate) async fn rewrite(
    metadata: &TableMetadata,
    session: &WriteSession,
    reader: &RowReader,
    found: &FileRows,
    shares: u64,
) -> Result<Rewritten> {
    let (spec, partition_type) = spec_of(metadata, found)?;
    let Some(file) = reader.open(&found.task).await? else { return Ok(Rewritten::default()) };
    let old = &found.file.data_file;
    let mut new = session.replacement(spec, &partition_type, old.partition().clone(), shares);
    let Rows::At(dropped) = &found.rows else { return Ok(Rewritten::default()) };
    let footer = file.footer();
    let copyable = file.is_copyable() && new.same_schema(footer.file_metadata().schema_descr());
    let file = Arc::new(file);
    let mut done = Rewritten::default();
    let mut steps = Vec::new();
    for (group, positions) in file.positions().iter().enumerate() {
        let dropped_here = dropped.within(positions.clone()).count() as u64;
        if dropped_here == positions.end - positions.start {
            continue;
        }
        let untouched = dropped_here == 0 && !file.may_be_deleted_in(group);
        if untouched && copyable && has_pages(&footer, group) && chunks(&footer, group, file.size()).is_some()
        {
            steps.push(Step::Copy(group));
            done.row_groups_copied += 1;
        } else {
            let pieces = pieces::pieces(&footer, group, positions.clone());
            steps.extend(pieces.into_iter().map(|piece| Step::Decode(group, piece)));
            done.row_groups_decoded += 1;
            if copyable {
                new.learn(footer.row_group(group))?;
            }
        }
    }
    let begun = futures::stream::iter(steps.into_iter().map(|step| {
        let begun = match step {
            Step::Copy(group) => Begun::Copy(group),
            Step::Decode(group, piece) => {
                Begun::Decode(file.rows(group, piece.clone(), dropped.within(piece)))
            }
        };
        future::ready(begun)
    }));
    let mut begun = begun.buffered(PIECES_AT_A_TIME);
    while let Some(step) = begun.next().await {
        match step {
            Begun::Copy(group) => copy(&file, old, group, &mut new).await?,
            Begun::Decode(mut batches) => {
                while let Some(batch) = batches.next().await {
                    new.write(&batch?).await?;
                }
            }
        }
    }
    drop(begun);
    done.files = new.finish().await?;
    done.rows_kept = done.files.iter().map(DataFile::record_count).sum();
    Ok(done)
}

/// What a new file is made of.
enum Step {
    /// A row group, as it is.
    Copy(usize),
    /// Rows of a row group.
    Decode(usize, Range<u64>),
}

/// A step that is under way.
enum Begun {
    Copy(usize),
    Decode(BoxStream<'static, Result<RecordBatch>>),
}

/// How much memory it takes to rewrite a file, about: what is read, and the row group that is encoded beside the one that is
/// written out.
pub(crate) fn memory_needed(file: &DataFile) -> u64 {
    let offsets =
        file.split_offsets().unwrap_or_default().iter().filter_map(|start| u64::try_from(*start).ok());
    let ends = offsets.clone().skip(1).chain([file.file_size_in_bytes()]);
    let largest = offsets.zip(ends).map(|(start, end)| end.saturating_sub(start)).max();
    3 * largest.unwrap_or(file.file_size_in_bytes())
}

/// The spec of a file, and the type of its partition values, even if a source column was dropped since.
pub(crate) fn spec_of<'m>(
    metadata: &'m TableMetadata,
    found: &FileRows,
) -> Result<(&'m PartitionSpec, StructType)> {
    let id = found.task.spec_id;
    let spec = metadata.partition_spec_by_id(id).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupted,
            format!("the file {} is of partition spec {id}, which the table does not have", found.task.path),
        )
    })?;
    let partition_type = partition_type(metadata, id).map_err(|e| match e.kind() {
        ErrorKind::Unsupported => e,
        _ => e.with_kind(ErrorKind::Corrupted),
    })?;
    Ok((spec, partition_type))
}

/// Whether it is known where the pages of a row group are. All row groups of a file have that, or none: the one that is
/// copied stands beside others that are encoded now.
fn has_pages(footer: &ParquetMetaData, group: usize) -> bool {
    let pages = footer.offset_index().and_then(|all| all.get(group));
    pages.is_some_and(|pages| pages.len() == footer.row_group(group).num_columns())
}

/// Where the column chunks of a row group are; `None` if the footer says something that cannot be.
fn chunks(footer: &ParquetMetaData, group: usize, file_size: u64) -> Option<Vec<Range<u64>>> {
    let columns = footer.row_group(group).columns().iter();
    columns.map(|column| chunk(column, file_size)).collect()
}

fn chunk(column: &ColumnChunkMetaData, file_size: u64) -> Option<Range<u64>> {
    let data = u64::try_from(column.data_page_offset()).ok()?;
    let start = match column.dictionary_page_offset() {
        Some(dictionary) => u64::try_from(dictionary).ok().filter(|d| (4..=data).contains(d))?,
        None => data,
    };
    let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
    let elsewhere = column.file_path().is_some_and(|path| !path.is_empty());
    (start >= 4 && data < end && end <= file_size && !elsewhere).then_some(start..end)
}

async fn copy(file: &WholeFile, old: &DataFile, group: usize, new: &mut Replacement) -> Result<()> {
    let footer = file.footer();
    let row_group = footer.row_group(group);
    let Some(ranges) = chunks(&footer, group, file.size()) else { return Ok(()) };
    let target = new.copy(old, row_group).await?;
    for (index, range) in ranges.into_iter().enumerate() {
        let bytes = file.bytes(range.clone()).await?;
        let column = row_group.column(index);
        let column_index = footer.column_index().and_then(|all| all.get(group)?.get(index).cloned());
        let close = ColumnCloseResult {
            bytes_written: range.end - range.start,
            rows_written: u64::try_from(row_group.num_rows()).unwrap_or(0),
            metadata: column.clone(),
            bloom_filter: file.bloom_filter(group, index).await?,
            column_index: column_index.filter(|index| !matches!(index, ColumnIndexMetaData::NONE)),
            offset_index: footer.offset_index().and_then(|all| all.get(group)?.get(index).cloned()),
        };
        target.column(range, bytes, close).await?;
    }
    Ok(())
}
