//! Runs: rows in the order of their partitions, in memory or in a temporary file, and merging them.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave_record_batch;
use floe_core::{Error, Result};
use floe_plan::rows::size::batch_bytes;
use floe_plan::rows::sort::partition_order;

use super::errors::arrow_error;

/// A record batch of a temporary file holds about so many bytes: what merging keeps of each file.
const SPILL_BATCH_BYTES: u64 = 512 << 10;
/// Pieces of fewer rows are put together before they are encoded.
const SMALL_PIECE_ROWS: usize = 256;

/// Rows in the order of their partitions, in memory.
pub(super) struct Run {
    /// Runs cover the source in the order of this number.
    pub(super) number: u64,
    pub(super) batch: RecordBatch,
    /// The partition of each row. Never descends.
    pub(super) ids: UInt32Array,
    pub(super) bytes: u64,
}

impl Run {
    /// Puts buffered rows in the order of their partitions; `ids` holds the partition of each row.
    pub(super) fn sort(
        number: u64,
        schema: &SchemaRef,
        batches: &[RecordBatch],
        ids: &[Vec<u32>],
    ) -> Result<Self> {
        let batch = if ids.iter().flatten().is_sorted() {
            concat_batches(schema, batches).map_err(arrow_error)?
        } else {
            let batches: Vec<&RecordBatch> = batches.iter().collect();
            interleave_record_batch(&batches, &partition_order(ids)).map_err(arrow_error)?
        };
        let mut ids: Vec<u32> = ids.concat();
        ids.sort_unstable();
        Ok(Self { number, bytes: batch_bytes(&batch), batch, ids: ids.into() })
    }

    /// Partitions with the rows that are theirs: first and number.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u32, usize, usize)> + '_ {
        let mut at = 0;
        self.ids.values().chunk_by(|a, b| a == b).map(move |chunk| {
            at += chunk.len();
            (chunk[0], at - chunk.len(), chunk.len())
        })
    }

    /// The rows of the partitions that `keep` names, as another run; `None` if there are none.
    pub(super) fn filter(&self, schema: &SchemaRef, keep: impl Fn(u32) -> bool) -> Result<Option<Self>> {
        let kept: Vec<_> = self.ranges().filter(|(id, ..)| keep(*id)).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let slices: Vec<_> = kept.iter().map(|(_, at, rows)| self.batch.slice(*at, *rows)).collect();
        let batch = concat_batches(schema, &slices).map_err(arrow_error)?;
        let ids = kept.iter().flat_map(|(id, _, rows)| std::iter::repeat_n(*id, *rows)).collect::<Vec<_>>();
        Ok(Some(Self { number: self.number, bytes: batch_bytes(&batch), batch, ids: ids.into() }))
    }

    /// Writes the run to a temporary file.
    pub(super) fn spill(&self, folder: Option<&Path>) -> Result<SpilledRun> {
        let mut writer = SpillWriter::new(self.number, self.batch.schema(), folder)?;
        let rows = self.batch.num_rows();
        let step = (SPILL_BATCH_BYTES as f64 * rows as f64 / self.bytes.max(1) as f64).max(1.0) as usize;
        for at in (0..rows).step_by(step) {
            let length = step.min(rows - at);
            writer.write(&self.batch.slice(at, length), &self.ids.slice(at, length))?;
        }
        writer.finish()
    }
}

/// Rows in the order of their partitions, in a temporary file that has no name: it is gone with this value,
/// or with the process.
pub(super) struct SpilledRun {
    number: u64,
    file: File,
}

struct SpillWriter {
    number: u64,
    schema: SchemaRef,
    writer: StreamWriter<BufWriter<File>>,
}

impl SpillWriter {
    fn new(number: u64, rows: SchemaRef, folder: Option<&Path>) -> Result<Self> {
        let file = match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let mut fields = rows.fields().to_vec();
        fields.push(Arc::new(Field::new("partition", DataType::UInt32, false)));
        let schema = Arc::new(Schema::new(fields));
        let out = BufWriter::with_capacity(256 << 10, file.map_err(spilling)?);
        Ok(Self { number, writer: StreamWriter::try_new(out, &schema).map_err(spill_error)?, schema })
    }

    fn write(&mut self, rows: &RecordBatch, ids: &UInt32Array) -> Result<()> {
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(ids.clone()));
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(spill_error)?;
        self.writer.write(&batch).map_err(spill_error)
    }

    fn finish(self) -> Result<SpilledRun> {
        let mut out = self.writer.into_inner().map_err(spill_error)?;
        out.flush().map_err(spilling)?;
        let mut file = out.into_inner().map_err(|e| spilling(e.into_error()))?;
        file.rewind().map_err(spilling)?;
        Ok(SpilledRun { number: self.number, file })
    }
}

fn spilling(error: std::io::Error) -> Error {
    Error::from(error)
        .context("writing rows to a temporary file")
        .with_hint("free room in the temporary folder")
}

fn spill_error(error: arrow_schema::ArrowError) -> Error {
    arrow_error(error).context("writing rows to a temporary file")
}

/// Rows of one partition.
pub(super) struct Part {
    pub(super) partition: u32,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) bytes: u64,
    /// No more rows of this partition follow.
    pub(super) last: bool,
}

/// Merges runs: partition by partition, and within each in the order of the runs.
pub(super) struct Merge {
    schema: SchemaRef,
    cursors: Vec<Cursor>,
    /// The partition that is being given, and the cursor to go on with.
    current: Option<(u32, usize)>,
}

impl Merge {
    pub(super) fn new(schema: SchemaRef, runs: Vec<Run>, spilled: Vec<SpilledRun>) -> Result<Self> {
        let mut cursors = Vec::with_capacity(runs.len() + spilled.len());
        for run in spilled {
            let reader = BufReader::with_capacity(64 << 10, run.file);
            let reader = StreamReader::try_new(reader, None).map_err(arrow_error)?;
            let mut cursor = Cursor { number: run.number, head: None, rest: Some(reader) };
            cursor.refill()?;
            cursors.push(cursor);
        }
        cursors.extend(runs.into_iter().map(|run| {
            let bytes_per_row = run.bytes as f64 / run.batch.num_rows().max(1) as f64;
            let head = (run.batch.num_rows() > 0).then_some(Head {
                batch: run.batch,
                ids: run.ids,
                at: 0,
                bytes_per_row,
            });
            Cursor { number: run.number, head, rest: None }
        }));
        cursors.sort_by_key(|cursor| cursor.number);
        Ok(Self { schema, cursors, current: None })
    }

    /// The next rows, about `bytes` of them at most.
    pub(super) fn next(&mut self, bytes: u64) -> Result<Option<Part>> {
        let (partition, mut index) = match self.current {
            Some(current) => current,
            None => match self.cursors.iter().filter_map(Cursor::partition).min() {
                Some(partition) => (partition, 0),
                None => return Ok(None),
            },
        };
        let mut part = Part { partition, batches: Vec::new(), bytes: 0, last: true };
        while let Some(cursor) = self.cursors.get_mut(index) {
            if cursor.partition() != Some(partition) {
                index += 1;
            } else if part.bytes >= bytes {
                part.last = false;
                break;
            } else if let Some((rows, size)) = cursor.take(bytes - part.bytes)? {
                part.batches.push(rows);
                part.bytes += size;
            }
        }
        self.current = (!part.last).then_some((partition, index));
        let rows: usize = part.batches.iter().map(RecordBatch::num_rows).sum();
        if part.batches.len() > 1 && rows / part.batches.len() < SMALL_PIECE_ROWS {
            part.batches = vec![concat_batches(&self.schema, &part.batches).map_err(arrow_error)?];
        }
        Ok(Some(part))
    }

    /// Merges everything into one temporary file.
    pub(super) fn spill(mut self, folder: Option<&Path>) -> Result<SpilledRun> {
        let number = self.cursors.first().map_or(0, |cursor| cursor.number);
        let mut writer = SpillWriter::new(number, self.schema.clone(), folder)?;
        let (mut batches, mut ids, mut bytes) = (Vec::new(), Vec::new(), 0);
        loop {
            let part = self.next(SPILL_BATCH_BYTES)?;
            let last = part.is_none();
            if let Some(part) = part {
                let rows = part.batches.iter().map(RecordBatch::num_rows).sum();
                ids.extend(std::iter::repeat_n(part.partition, rows));
                batches.extend(part.batches);
                bytes += part.bytes;
            }
            if (last || bytes >= SPILL_BATCH_BYTES) && !batches.is_empty() {
                let batch = concat_batches(&self.schema, &batches).map_err(arrow_error)?;
                writer.write(&batch, &std::mem::take(&mut ids).into())?;
                batches.clear();
                bytes = 0;
            }
            if last {
                return writer.finish();
            }
        }
    }
}

/// Where a merge is in one run.
struct Cursor {
    number: u64,
    head: Option<Head>,
    rest: Option<StreamReader<BufReader<File>>>,
}

struct Head {
    batch: RecordBatch,
    ids: UInt32Array,
    at: usize,
    bytes_per_row: f64,
}

impl Cursor {
    /// The partition of the next row.
    fn partition(&self) -> Option<u32> {
        self.head.as_ref().map(|head| head.ids.value(head.at))
    }

    /// The next rows of one partition that lie together, about `bytes` of them at most, and their size.
    fn take(&mut self, bytes: u64) -> Result<Option<(RecordBatch, u64)>> {
        let Some(head) = &mut self.head else { return Ok(None) };
        let ids = &head.ids.values()[head.at..];
        let most = (bytes as f64 / head.bytes_per_row).ceil().max(1.0) as usize;
        let rows = ids.partition_point(|id| *id == ids[0]).min(most);
        let slice = head.batch.slice(head.at, rows);
        let size = (rows as f64 * head.bytes_per_row) as u64;
        head.at += rows;
        if head.at == head.ids.len() {
            self.refill()?;
        }
        Ok(Some((slice, size)))
    }

    fn refill(&mut self) -> Result<()> {
        self.head = None;
        while let Some(batch) = self.rest.as_mut().and_then(Iterator::next) {
            let mut batch =
                batch.map_err(|e| arrow_error(e).context("reading rows from a temporary file"))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let ids = batch.remove_column(batch.num_columns() - 1).as_primitive::<UInt32Type>().clone();
            let bytes_per_row = batch_bytes(&batch) as f64 / batch.num_rows() as f64;
            self.head = Some(Head { batch, ids, at: 0, bytes_per_row });
            return Ok(());
        }
        self.rest = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;
    use arrow_array::types::Int64Type;
    use proptest::prelude::*;

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, false)]))
    }

    fn run(number: u64, ids: &[u32]) -> Run {
        let values: Int64Array = (0..ids.len()).map(|row| (number * 1000) as i64 + row as i64).collect();
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(values)]).unwrap();
        Run::sort(number, &schema(), &[batch], &[ids.to_vec()]).unwrap()
    }

    proptest! {
        #[test]
        fn merging_gives_every_row_once_by_partition_and_in_order(
            runs in proptest::collection::vec((proptest::collection::vec(0_u32..6, 1..40), 0_u8..3), 1..8),
            bytes in 1_u64..200,
        ) {
            let (mut memory, mut spilled, mut twice, mut expected) = (vec![], vec![], vec![], vec![]);
            for (number, (ids, place)) in runs.iter().enumerate() {
                let run = run(number as u64, ids);
                expected.extend(ids.iter().enumerate().map(|(row, id)| (*id, (number * 1000 + row) as i64)));
                match place {
                    0 => memory.push(run),
                    1 => spilled.push(run.spill(None).unwrap()),
                    _ => twice.push(run.spill(None).unwrap()),
                }
            }
            // What is merged twice must cover the source without a gap to stay in order.
            let ordered = twice.is_empty();
            spilled.push(Merge::new(schema(), vec![], twice).unwrap().spill(None).unwrap());
            let mut merge = Merge::new(schema(), memory, spilled).unwrap();
            let mut found = Vec::new();
            while let Some(part) = merge.next(bytes).unwrap() {
                for batch in part.batches {
                    found.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().map(|v| (part.partition, *v)));
                }
            }
            prop_assert!(found.is_sorted_by_key(|(id, _)| *id));
            if !ordered {
                found.sort_unstable();
            }
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
