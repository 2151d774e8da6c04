//! Mending what old writers got wrong.

use parquet::basic::ColumnOrder;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::Calendar;
use super::trust::doubted;
use super::writer::Writer;

/// How far the end of a column chunk may be off, at most, where a writer left the header of the dictionary page out.
const LEFT_OUT: u64 = 100;

/// The footer of a Parquet file whose column chunks end before `data_end`, at the latest, so that it can be relied on:
///
/// - The number of rows is that of the row groups, which hold the rows, whatever the footer says in all.
/// - A dictionary page at offset 0, where no page can be, is none.
/// - Chunks of writers that left the header of the dictionary page out of their size are whole (PARQUET-816).
/// - Statistics are those that are proven by who wrote them and the order they say; others are left out.
///
/// Fails when a row group has a negative number of rows, or columns that the file does not have.
pub fn mended(metadata: ParquetMetaData, data_end: u64) -> Result<ParquetMetaData> {
    let file = metadata.file_metadata();
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        if group.num_rows() < 0 || group.num_columns() != file.schema_descr().num_columns() {
            return Err(ParquetError::General("the footer describes a row group that cannot be".to_owned()));
        }
        rows = rows.checked_add(group.num_rows()).ok_or_else(|| {
            ParquetError::General("the footer describes more rows than there can be".to_owned())
        })?;
    }
    let writer = Writer::of(file.created_by());
    let calendar = Calendar::of(file);
    let ends = match &writer {
        Some(writer) if writer.forgets_dictionary_header() => Some(Starts::of(&metadata, data_end)),
        _ => None,
    };
    let mend = |group: &RowGroupMetaData| -> Option<Vec<ColumnChunkMetaData>> {
        let columns = group.columns().iter().enumerate();
        let mended: Vec<Option<ColumnChunkMetaData>> = columns
            .map(|(index, chunk)| {
                let order = file.column_order(index);
                mended_chunk(chunk, order, writer.as_ref(), ends.as_ref(), &calendar)
            })
            .collect();
        if mended.iter().all(Option::is_none) {
            return None;
        }
        let chunks = mended.into_iter().zip(group.columns());
        Some(chunks.map(|(mended, chunk)| mended.unwrap_or_else(|| chunk.clone())).collect())
    };
    let groups: Vec<Option<Vec<ColumnChunkMetaData>>> = metadata.row_groups().iter().map(mend).collect();
    if rows == file.num_rows() && groups.iter().all(Option::is_none) {
        return Ok(metadata);
    }
    let file = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let mut builder = metadata.into_builder();
    let indexes = doubted_indexes(builder.take_column_index(), &groups);
    let offsets = builder.take_offset_index();
    let old = builder.take_row_groups();
    let groups = old.into_iter().zip(groups).map(|(group, columns)| match columns {
        Some(columns) => group.into_builder().set_column_metadata(columns).build(),
        None => Ok(group),
    });
    let metadata = ParquetMetaData::new(file, groups.collect::<Result<_>>()?);
    Ok(metadata.into_builder().set_column_index(indexes).set_offset_index(offsets).build())
}

/// The bounds of pages are as good as those of their chunk: what was taken from it is taken from them.
fn doubted_indexes(
    indexes: Option<Vec<Vec<ColumnIndexMetaData>>>,
    groups: &[Option<Vec<ColumnChunkMetaData>>],
) -> Option<Vec<Vec<ColumnIndexMetaData>>> {
    let mut indexes = indexes?;
    for (group, columns) in indexes.iter_mut().zip(groups) {
        for (index, chunk) in group.iter_mut().zip(columns.iter().flatten()) {
            let bounded = |s: &parquet::file::statistics::Statistics| {
                s.min_bytes_opt().is_some() && s.max_bytes_opt().is_some()
            };
            if !chunk.statistics().is_some_and(bounded) {
                *index = ColumnIndexMetaData::NONE;
            }
        }
    }
    Some(indexes)
}

fn mended_chunk(
    chunk: &ColumnChunkMetaData,
    order: ColumnOrder,
    writer: Option<&Writer>,
    starts: Option<&Starts>,
    calendar: &Calendar,
) -> Option<ColumnChunkMetaData> {
    let no_dictionary = chunk.dictionary_page_offset().is_some_and(|offset| offset <= 0);
    let statistics = chunk.statistics().and_then(|statistics| {
        let order = if calendar.concerns(chunk.column_descr()) { ColumnOrder::UNKNOWN } else { order };
        doubted(statistics, chunk.column_descr(), order, writer, chunk.num_values())
    });
    let size = starts.and_then(|starts| starts.whole(chunk));
    if !no_dictionary && statistics.is_none() && size.is_none() {
        return None;
    }
    let mut builder = chunk.clone().into_builder();
    if no_dictionary {
        builder = builder.set_dictionary_page_offset(None);
    }
    if let Some(statistics) = statistics {
        builder = builder.set_statistics(statistics);
    }
    if let Some(size) = size {
        builder = builder.set_total_compressed_size(size);
    }
    builder.build().ok()
}

/// Where the column chunks of a file begin, and where the last one ends.
struct Starts(Vec<u64>);

impl Starts {
    fn of(metadata: &ParquetMetaData, data_end: u64) -> Self {
        let chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
        let mut starts: Vec<u64> = chunks.filter_map(start).chain([data_end]).collect();
        starts.sort_unstable();
        Self(starts)
    }

    /// The size of a chunk with a dictionary that ends a little before the next one begins: up to there.
    fn whole(&self, chunk: &ColumnChunkMetaData) -> Option<i64> {
        let start = start(chunk)?;
        let end = start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?;
        let next = *self.0.get(self.0.partition_point(|other| *other <= start))?;
        let missing = next.checked_sub(end).filter(|missing| (1..=LEFT_OUT).contains(missing))?;
        i64::try_from(next - start).ok().filter(|_| missing > 0)
    }
}

/// Where a chunk begins: with its dictionary page, if it has one.
fn start(chunk: &ColumnChunkMetaData) -> Option<u64> {
    let data = u64::try_from(chunk.data_page_offset()).ok()?;
    let dictionary = chunk.dictionary_page_offset().and_then(|offset| u64::try_from(offset).ok());
    Some(dictionary.filter(|offset| *offset > 0 && *offset < data).unwrap_or(data))
}
