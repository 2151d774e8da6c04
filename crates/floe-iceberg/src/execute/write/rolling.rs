//! Writing rows, in their order, as files of the target size.

use std::sync::Arc;

use arrow_array::RecordBatch;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::rows::cut::{Cut, CutLimits, FileProgress, next_cut};
use floe_plan::rows::size::batch_bytes;
use iceberg::spec::DataFile;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::context::Context;
use super::errors::{join_error, stopped};
use super::file::{CopiedGroup, EndedGroup, Partition, Piece, Sizes, write_file};
use super::group::{Backlog, OpenGroup};

/// Rows are handed to the encoders in slices of at most so many.
const SLICE_ROWS: u64 = 64 << 10;
/// Parquet counts the row groups of a file with 15 bits.
const MAX_GROUPS: u64 = 32_000;

/// Writes the rows of one partition, or of an unpartitioned table.
pub(super) struct RollingWriter {
    context: Arc<Context>,
    limits: CutLimits,
    partition: Arc<Partition>,
    backlog: Arc<Backlog>,
    backlog_bytes: u64,
    /// Bytes that the row group that is filled and the one before may take together.
    encoded_bytes: u64,
    /// One row group may be filled while another is written out.
    groups: Arc<Semaphore>,
    group: Option<OpenGroup>,
    file: Option<OpenFile>,
    finished: Vec<FileTask>,
    bytes_per_row: Option<f64>,
    sizes: Arc<Sizes>,
}

struct OpenFile {
    pieces: mpsc::Sender<Option<Piece>>,
    /// Sum of the estimates of the row groups that are ended.
    ended: u64,
    ended_groups: u64,
    sizes: Arc<Sizes>,
    task: FileTask,
}

impl OpenFile {
    fn ended_bytes(&self) -> u64 {
        self.ended.saturating_add_signed(self.sizes.excess())
    }
}

impl RollingWriter {
    pub(super) fn new(context: Arc<Context>, partition: Partition) -> Self {
        Self {
            backlog_bytes: (context.memory / 16).clamp(64 << 10, 64 << 20),
            encoded_bytes: context.memory * 5 / 16,
            limits: CutLimits { ..context.limits },
            context,
            partition: Arc::new(partition),
            backlog: Arc::default(),
            groups: Arc::new(Semaphore::new(2)),
            group: None,
            file: None,
            finished: Vec::new(),
            bytes_per_row: None,
            sizes: Arc::default(),
        }
    }

    /// Writes one file, however large it becomes, with a part of the memory: one of so many `shares`.
    pub(super) fn one_file(context: Arc<Context>, partition: Partition, shares: u64) -> Self {
        let mut writer = Self::new(context, partition);
        writer.limits.file_bytes = u64::MAX;
        writer.limits.row_group_bytes = (writer.limits.row_group_bytes / shares).max(1);
        writer.backlog_bytes = (writer.backlog_bytes / shares).max(16 << 10);
        writer.encoded_bytes /= shares;
        writer
    }

    /// Takes over a row group of another file, after the rows so far.
    pub(super) async fn copy(&mut self, group: CopiedGroup) -> Result<()> {
        self.end_group().await?;
        if self.file.as_ref().is_some_and(|file| file.ended_groups >= MAX_GROUPS) {
            self.end_file().await?;
        }
        let file = self.file.get_or_insert_with(|| open_file(&self.context, &self.partition, &self.sizes));
        file.ended_groups += 1;
        if file.pieces.send(Some(Piece::Copied(group))).await.is_ok() {
            return Ok(());
        }
        Err(self.failure().await)
    }

    /// Hands over rows; waits while the encoders are behind.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let raw_per_row = batch_bytes(batch) as f64 / rows as f64;
        let slice_rows = ((self.backlog_bytes as f64 / 8.0 / raw_per_row) as u64).clamp(1, SLICE_ROWS);
        let mut at = 0;
        while at < rows {
            self.backlog.below(self.backlog_bytes).await?;
            match self.cut(raw_per_row).await? {
                Cut::Take(most) => {
                    let open = self.open_bytes();
                    self.backlog.groups_below(self.encoded_bytes.saturating_sub(open)).await?;
                    let take = most.min(slice_rows).min((rows - at) as u64) as usize;
                    if self.group.is_none() {
                        let permit = self.groups.clone().acquire_owned().await.map_err(|_| stopped())?;
                        self.group =
                            Some(OpenGroup::new(self.context.clone(), self.backlog.clone(), permit)?);
                    }
                    if let Some(group) = &mut self.group {
                        group.push(&batch.slice(at, take));
                    }
                    at += take;
                }
                Cut::EndGroup => self.end_group().await?,
                Cut::EndFile => self.end_file().await?,
            }
        }
        Ok(())
    }

    /// Decides on the next rows. An end is decided on what is encoded: the encoders catch up first.
    async fn cut(&mut self, raw_per_row: f64) -> Result<Cut> {
        let limits = &self.limits;
        let mut at =
            FileProgress { bytes_per_row: self.bytes_per_row.unwrap_or(raw_per_row), ..Default::default() };
        if let Some(file) = &self.file {
            at.ended_bytes = file.ended_bytes();
            if file.ended_groups >= MAX_GROUPS {
                return Ok(Cut::EndFile);
            }
        }
        let Some(group) = &self.group else { return Ok(next_cut(limits, &at)) };
        at.group_rows = group.rows;
        let mut patience = self.backlog_bytes / 2;
        loop {
            let (bytes, waiting) = self.estimate(group);
            at.group_bytes = bytes;
            let observed = FileProgress { bytes_per_row: (bytes as f64 / group.rows as f64).max(0.01), ..at };
            let cut = next_cut(limits, &observed);
            let by_rows = group.rows >= limits.row_group_rows;
            if matches!(cut, Cut::Take(_))
                || by_rows
                || waiting * 64 <= limits.file_bytes.min(limits.row_group_bytes)
            {
                return Ok(cut);
            }
            self.backlog.below(patience).await?;
            patience /= 4;
        }
    }

    /// Estimated encoded bytes of the open row group.
    pub(super) fn open_bytes(&self) -> u64 {
        self.group.as_ref().map_or(0, |group| self.estimate(group).0)
    }

    /// Estimated encoded bytes of a row group, and those of them that are not encoded yet. The encoders count
    /// pages and dictionaries that are not compressed yet as they are: how much that was too high is learned
    /// from the row groups before.
    fn estimate(&self, group: &OpenGroup) -> (u64, u64) {
        let scale = self.sizes.scale();
        let (bytes, waiting) = group.estimate();
        ((bytes as f64 * scale) as u64, (waiting as f64 * scale) as u64)
    }

    /// Ends the open row group, if there is one.
    pub(super) async fn end_group(&mut self) -> Result<()> {
        let Some(mut group) = self.group.take() else { return Ok(()) };
        let (estimate, _) = self.estimate(&group);
        group.count(estimate);
        self.bytes_per_row = Some((estimate as f64 / group.rows as f64).max(0.01));
        let file = self.file.get_or_insert_with(|| open_file(&self.context, &self.partition, &self.sizes));
        file.ended += estimate;
        file.ended_groups += 1;
        let ended = EndedGroup { group, estimate, scale: self.sizes.scale() };
        if file.pieces.send(Some(Piece::Encoded(ended))).await.is_ok() {
            return Ok(());
        }
        Err(self.failure().await)
    }

    /// Why the task of the open file is gone.
    async fn failure(&mut self) -> Error {
        match self.file.take() {
            Some(file) => file.task.join().await.err().unwrap_or_else(stopped),
            None => stopped(),
        }
    }

    /// Ends the open file, if there is one. It is stored while the next one is written.
    async fn end_file(&mut self) -> Result<()> {
        self.end_group().await?;
        if let Some(file) = self.file.take() {
            // A task that is gone says why when it is joined.
            drop(file.pieces.send(None).await);
            self.finished.push(file.task);
            // A failed file is found before the next one is finished.
            if self.finished.len() >= 2 {
                let done = self.finished.len() - 2;
                self.finished[done].wait().await?;
            }
        }
        Ok(())
    }

    /// Ends everything and gives the files, in the order of their rows.
    pub(super) async fn finish(mut self) -> Result<Vec<DataFile>> {
        self.end_file().await?;
        let mut files = Vec::with_capacity(self.finished.len());
        for task in std::mem::take(&mut self.finished) {
            files.push(task.join().await?);
        }
        Ok(files)
    }
}

fn open_file(context: &Arc<Context>, partition: &Arc<Partition>, before: &Arc<Sizes>) -> OpenFile {
    let (pieces, receiver) = mpsc::channel(1);
    let path = context.place.next(&partition.folder);
    let sizes = Arc::new(Sizes::default());
    let all = before.clone();
    let file = write_file(context.clone(), partition.clone(), path, receiver, [sizes.clone(), all]);
    let task = FileTask::Running(tokio::spawn(file));
    OpenFile { pieces, ended: 0, ended_groups: 0, sizes, task }
}

/// A file that is being written. Dropping it stops that.
enum FileTask {
    Running(JoinHandle<Result<DataFile>>),
    Done(Option<DataFile>),
}

impl FileTask {
    /// Waits until the file is written.
    async fn wait(&mut self) -> Result<()> {
        if let Self::Running(handle) = self {
            let result = handle.await;
            *self = Self::Done(None);
            let file = result.map_err(join_error)??;
            *self = Self::Done(Some(file));
        }
        Ok(())
    }

    async fn join(mut self) -> Result<DataFile> {
        self.wait().await?;
        match &mut self {
            Self::Done(file) => file.take().ok_or_else(stopped),
            Self::Running(_) => Err(Error::new(ErrorKind::Internal, "a data file is still being written")),
        }
    }
}

impl Drop for FileTask {
    fn drop(&mut self) {
        if let Self::Running(handle) = self {
            handle.abort();
        }
    }
}
