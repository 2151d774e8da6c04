//! Writing rows that arrive in any order into partitions, within bounded memory.
//!
//! Rows are buffered in chunks; each chunk is sorted by partition and is then a run. When the runs in memory
//! take too much, partitions with many rows go to files that stay open, and the oldest of what is left goes
//! to temporary files. In the end all runs are merged, and partitions are encoded side by side.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;
use floe_core::Result;
use floe_plan::rows::partition::Partitioner;
use floe_plan::rows::size::batch_bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use iceberg::spec::DataFile;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::column::encode_group;
use super::context::Context;
use super::errors::{join_error, stopped};
use super::file::{Partition, data_file, small_file};
use super::rolling::RollingWriter;
use super::runs::{Merge, Part, Run, SpilledRun};
use crate::data::BatchStream;

/// Texts of a batch have offsets of 32 bits.
const MOST_OF_A_CHUNK: u64 = 512 << 20;
/// So many temporary files are merged into one.
const MERGE_WIDTH: usize = 32;
/// Files of partitions with many rows that may be open at once.
const OPEN_FILES: usize = 64;
/// Files of partitions with few rows that may be stored at once.
const FILES_IN_FLIGHT: usize = 32;

/// Writes all of `data` and gives the files, by partition in the order in which partitions were first seen.
pub(super) async fn write(context: &Arc<Context>, mut data: BatchStream) -> Result<Vec<DataFile>> {
    let mut writer = PartitionedWriter::new(context.clone())?;
    while let Some(batch) = data.stream.next().await {
        let batch = batch?;
        writer.push(&batch).await?;
        context.count_rows(batch.num_rows());
    }
    writer.finish().await
}

struct PartitionedWriter {
    context: Arc<Context>,
    partitioner: Partitioner,
    chunk: Chunk,
    /// Chunks being sorted, oldest first.
    sorting: VecDeque<BoxFuture<'static, Result<Run>>>,
    runs: Vec<Run>,
    run_bytes: u64,
    /// Temporary files; those of one level are about the same size.
    levels: Vec<Vec<SpilledRun>>,
    next_run: u64,
    /// Open files of partitions with many rows, and when they were used last.
    open: BTreeMap<u32, (RollingWriter, u64)>,
    files: Vec<(u32, Vec<DataFile>)>,
}

#[derive(Default)]
struct Chunk {
    batches: Vec<RecordBatch>,
    ids: Vec<Vec<u32>>,
    bytes: u64,
}

impl PartitionedWriter {
    fn new(context: Arc<Context>) -> Result<Self> {
        Ok(Self {
            partitioner: Partitioner::new(&context.spec, &context.schema)?,
            context,
            chunk: Chunk::default(),
            sorting: VecDeque::new(),
            runs: Vec::new(),
            run_bytes: 0,
            levels: Vec::new(),
            next_run: 0,
            open: BTreeMap::new(),
            files: Vec::new(),
        })
    }

    fn chunk_bytes(&self) -> u64 {
        (self.context.memory / 16).min(MOST_OF_A_CHUNK)
    }

    async fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let bytes_per_row = batch_bytes(batch) as f64 / rows as f64;
        let step = (self.chunk_bytes() as f64 / 2.0 / bytes_per_row).max(1.0) as usize;
        for at in (0..rows).step_by(step) {
            let piece = batch.slice(at, step.min(rows - at));
            // A chunk is sorted as one batch, and a wide row may be as much as one can hold.
            if self.chunk.bytes + batch_bytes(&piece) > 2 * MOST_OF_A_CHUNK {
                self.sort_chunk();
            }
            self.chunk.ids.push(self.partitioner.assign(&piece)?);
            self.chunk.bytes += (piece.num_rows() as f64 * bytes_per_row) as u64;
            self.chunk.batches.push(piece);
            if self.chunk.bytes >= self.chunk_bytes() {
                self.sort_chunk();
                if self.sorting.len() > 2 {
                    self.accept_oldest().await?;
                }
            }
        }
        Ok(())
    }

    /// Starts sorting the chunk.
    fn sort_chunk(&mut self) {
        let Chunk { batches, ids, .. } = std::mem::take(&mut self.chunk);
        if batches.is_empty() {
            return;
        }
        let (number, schema) = (self.next_run, self.context.encoding.arrow.clone());
        self.next_run += 1;
        let job = self.context.workers.run(move || Run::sort(number, &schema, &batches, &ids));
        self.sorting.push_back(Box::pin(job));
    }

    /// Waits for the oldest chunk to be sorted, and makes room if need be.
    async fn accept_oldest(&mut self) -> Result<()> {
        let Some(run) = self.sorting.pop_front() else { return Ok(()) };
        let run = run.await?;
        self.run_bytes += run.bytes;
        self.runs.push(run);
        let limit = self.context.memory / 2;
        if self.run_bytes > limit {
            self.write_big_partitions().await?;
        }
        while self.run_bytes > limit {
            self.spill_oldest().await?;
        }
        Ok(())
    }

    /// Hands the rows of partitions that fill a chunk or more to their files.
    async fn write_big_partitions(&mut self) -> Result<()> {
        let mut sizes: HashMap<u32, f64> = HashMap::new();
        for run in &self.runs {
            let bytes_per_row = run.bytes as f64 / run.batch.num_rows().max(1) as f64;
            for (id, _, rows) in run.ranges() {
                *sizes.entry(id).or_default() += rows as f64 * bytes_per_row;
            }
        }
        let big_bytes = self.chunk_bytes() as f64;
        let mut big: Vec<u32> =
            sizes.iter().filter(|(_, size)| **size >= big_bytes).map(|(id, _)| *id).collect();
        if big.is_empty() {
            return Ok(());
        }
        big.sort_unstable();
        for id in &big {
            self.make_room_for(*id).await?;
            let context = &self.context;
            let (writer, used) = self.open.entry(*id).or_insert_with(|| {
                (
                    RollingWriter::new(
                        context.clone(),
                        Partition::new(context, self.partitioner.values(*id)),
                    ),
                    0,
                )
            });
            *used = self.next_run;
            for run in &self.runs {
                if let Some((_, at, rows)) = run.ranges().find(|(other, ..)| other == id) {
                    writer.write(&run.batch.slice(at, rows)).await?;
                }
            }
        }
        self.end_open_groups().await?;
        let schema = self.context.encoding.arrow.clone();
        let mut rest = Vec::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            rest.extend(run.filter(&schema, |id| big.binary_search(&id).is_err())?);
        }
        self.run_bytes = rest.iter().map(|run| run.bytes).sum();
        self.runs = rest;
        Ok(())
    }

    /// Finishes the file that was not used for longest, if as many as may be are open.
    async fn make_room_for(&mut self, id: u32) -> Result<()> {
        if self.open.len() < OPEN_FILES || self.open.contains_key(&id) {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
        if let Some((id, (writer, _))) = oldest.and_then(|id| self.open.remove_entry(&id)) {
            self.files.push((id, writer.finish().await?));
        }
        Ok(())
    }

    /// Ends row groups that are open, unless they take little.
    async fn end_open_groups(&mut self) -> Result<()> {
        let limit = self.context.memory / 8;
        let total: u64 = self.open.values().map(|(writer, _)| writer.open_bytes()).sum();
        if total > limit {
            for (writer, _) in self.open.values_mut() {
                writer.end_group().await?;
            }
        }
        Ok(())
    }

    /// Writes the oldest run to a temporary file, and merges files when there are many.
    async fn spill_oldest(&mut self) -> Result<()> {
        if self.runs.is_empty() {
            return Ok(());
        }
        let run = self.runs.remove(0);
        self.run_bytes -= run.bytes;
        let context = self.context.clone();
        let spilled = blocking(move || run.spill(context.spill_directory.as_deref())).await?;
        self.context.spills.fetch_add(1, Ordering::Relaxed);
        self.add_spilled(0, spilled).await
    }

    async fn add_spilled(&mut self, level: usize, run: SpilledRun) -> Result<()> {
        let (mut level, mut run) = (level, run);
        loop {
            if self.levels.len() <= level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < MERGE_WIDTH {
                return Ok(());
            }
            let runs = std::mem::take(&mut self.levels[level]);
            let context = self.context.clone();
            run = blocking(move || {
                let merge = Merge::new(context.encoding.arrow.clone(), Vec::new(), runs)?;
                merge.spill(context.spill_directory.as_deref())
            })
            .await?;
            level += 1;
        }
    }

    async fn finish(mut self) -> Result<Vec<DataFile>> {
        self.sort_chunk();
        while !self.sorting.is_empty() {
            self.accept_oldest().await?;
        }
        let (runs, spilled) = (std::mem::take(&mut self.runs), std::mem::take(&mut self.levels));
        let merge_context = self.context.clone();
        let part_bytes = (self.context.memory / 32).max(1);
        let (sender, parts) = mpsc::channel(1);
        let merging = blocking(move || {
            let spilled = spilled.into_iter().flatten().collect();
            let mut merge = Merge::new(merge_context.encoding.arrow.clone(), runs, spilled)?;
            while let Some(part) = merge.next(part_bytes)? {
                if sender.blocking_send(part).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let encoding = async {
            // Gone with this block, so that a failure here ends the merge.
            let mut parts = parts;
            let mut tasks = Tasks::new(&self.context);
            let mut current: Option<RollingWriter> = None;
            while let Some(part) = parts.recv().await {
                tasks.reap(&mut self.files)?;
                let id = part.partition;
                let writer = current.take().or_else(|| self.open.remove(&id).map(|(writer, _)| writer));
                if writer.is_none() && part.last && fits_one_group(&self.context, &part) {
                    let partition = Partition::new(&self.context, self.partitioner.values(id));
                    tasks.small(partition, part, &mut self.files).await?;
                    continue;
                }
                let mut writer = writer.unwrap_or_else(|| {
                    let partition = Partition::new(&self.context, self.partitioner.values(id));
                    RollingWriter::new(self.context.clone(), partition)
                });
                for batch in &part.batches {
                    writer.write(batch).await?;
                }
                if part.last {
                    tasks.finish(id, writer, &mut self.files).await?;
                } else {
                    current = Some(writer);
                }
            }
            for (id, (writer, _)) in std::mem::take(&mut self.open) {
                tasks.finish(id, writer, &mut self.files).await?;
            }
            tasks.join(&mut self.files).await
        };
        // A failed merge ends the parts early: its error comes first.
        let (merged, encoded) = tokio::join!(merging, encoding);
        merged.and(encoded)?;
        self.files.sort_by_key(|(id, _)| *id);
        Ok(self.files.into_iter().flat_map(|(_, files)| files).collect())
    }
}

/// Whether the rows make one row group of one file, whatever their encoding.
fn fits_one_group(context: &Context, part: &Part) -> bool {
    let rows: usize = part.batches.iter().map(RecordBatch::num_rows).sum();
    let limits = &context.limits;
    rows as u64 <= limits.row_group_rows && part.bytes <= limits.row_group_bytes.min(limits.file_bytes)
}

/// Files that are encoded and stored side by side. Dropping it stops them.
struct Tasks {
    context: Arc<Context>,
    set: JoinSet<Result<(u32, Vec<DataFile>)>>,
    /// Kibibytes of rows that may be in the making.
    room: Arc<Semaphore>,
    kibibytes: u64,
}

impl Tasks {
    fn new(context: &Arc<Context>) -> Self {
        let kibibytes = (context.memory / 8 / 1024).clamp(1, u64::from(u32::MAX));
        let room = Arc::new(Semaphore::new(kibibytes as usize));
        Self { context: context.clone(), set: JoinSet::new(), room, kibibytes }
    }

    /// Starts a file of few rows.
    async fn small(
        &mut self,
        partition: Partition,
        part: Part,
        files: &mut Vec<(u32, Vec<DataFile>)>,
    ) -> Result<()> {
        self.wait_for_place(files).await?;
        let kibibytes = part.bytes.div_ceil(1024).clamp(1, self.kibibytes) as u32;
        let permit = self.room.clone().acquire_many_owned(kibibytes).await.map_err(|_| stopped())?;
        let (context, path) = (self.context.clone(), self.context.place.next(&partition.folder));
        self.set.spawn(async move {
            let worker_context = context.clone();
            let encoded = context.workers.run(move || {
                let columns = encode_group(&worker_context.encoding, &part.batches)?;
                drop(part.batches);
                small_file(&worker_context, columns)
            });
            let (content, assembled) = encoded.await?;
            context.put(&path, content).await?;
            drop(permit);
            Ok((part.partition, vec![data_file(&context, &partition, path, assembled)?]))
        });
        Ok(())
    }

    /// Finishes the files of a partition in the background.
    async fn finish(
        &mut self,
        id: u32,
        writer: RollingWriter,
        files: &mut Vec<(u32, Vec<DataFile>)>,
    ) -> Result<()> {
        self.wait_for_place(files).await?;
        let mut writer = writer;
        writer.end_group().await?;
        self.set.spawn(async move { Ok((id, writer.finish().await?)) });
        Ok(())
    }

    async fn wait_for_place(&mut self, files: &mut Vec<(u32, Vec<DataFile>)>) -> Result<()> {
        while self.set.len() >= FILES_IN_FLIGHT {
            match self.set.join_next().await {
                Some(done) => files.push(finished(done)?),
                None => break,
            }
        }
        Ok(())
    }

    /// Takes what is finished.
    fn reap(&mut self, files: &mut Vec<(u32, Vec<DataFile>)>) -> Result<()> {
        while let Some(done) = self.set.try_join_next() {
            files.push(finished(done)?);
        }
        Ok(())
    }

    async fn join(&mut self, files: &mut Vec<(u32, Vec<DataFile>)>) -> Result<()> {
        while let Some(done) = self.set.join_next().await {
            files.push(finished(done)?);
        }
        Ok(())
    }
}

fn finished<T>(done: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    done.map_err(join_error)?
}

/// Runs work that waits for files on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(join_error)?
}
