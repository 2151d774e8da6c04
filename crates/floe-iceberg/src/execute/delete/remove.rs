//! Removing rows that were found.

use std::sync::Arc;
use std::thread::available_parallelism;

use floe_core::{Error, ErrorKind, Result};
use floe_plan::change::{RemovedFile, TableFile};
use floe_plan::guard::ReadFile;
use futures::StreamExt;
use iceberg::spec::{DataFile, FormatVersion};
use tokio::task::JoinSet;

use super::position_deletes::PositionDeleteFiles;
use crate::base::TableBase;
use crate::execute::rewrite::{Rewritten, check_rewritable, memory_needed, rewrite};
use crate::execute::rows::{FileRows, FoundRows, RowCounts, RowMode, RowOptions, Rows};
use crate::execute::write::WriteSession;

/// Files that are rewritten side by side, at most.
const REWRITES_AT_A_TIME: usize = 4;

/// What removing rows does to the files of a table.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    pub(crate) removed: Vec<RemovedFile>,
    /// The files with rows that are removed.
    pub(crate) read: Vec<ReadFile>,
    pub(crate) added: Vec<TableFile>,
    pub(crate) counts: RowCounts,
}

/// Removes the rows that were found. Without a session, only counts.
pub(crate) async fn remove(
    base: &TableBase,
    session: Option<&Arc<WriteSession>>,
    mut found: FoundRows,
    mode: RowMode,
    options: &RowOptions,
) -> Result<Removal> {
    let mut removal = Removal::default();
    let mut rewrites = Rewrites::new(base, session, &found, options);
    let mut deletes = PositionDeleteFiles::new(base, session, options);
    while let Some(file) = found.files.next().await {
        let file = file?;
        let counts = &mut removal.counts;
        counts.rows_removed += file.count();
        removal.read.push(ReadFile {
            path: file.task.path.clone(),
            spec_id: file.task.spec_id,
            partition: file.file.data_file.partition().clone(),
        });
        match (&file.rows, mode) {
            (Rows::All, _) => {
                counts.files_removed += 1;
                counts.bytes_removed = counts.bytes_removed.saturating_add(file.task.file_size);
                removal.removed.push(removed(&file));
            }
            (Rows::At(_), RowMode::CopyOnWrite) => {
                check_rewritable(base.metadata())?;
                rewrites.start(file, &mut removal).await?;
            }
            (Rows::At(_), RowMode::MergeOnRead) => {
                check_position_deletes(base)?;
                deletes.add(file, &mut removal).await?;
            }
        }
    }
    rewrites.finish(&mut removal).await?;
    deletes.finish(&mut removal).await?;
    removal.counts.files_read = found.metrics.summary().files_read;
    Ok(removal)
}

fn check_position_deletes(base: &TableBase) -> Result<()> {
    match base.metadata().format_version() {
        FormatVersion::V2 => Ok(()),
        FormatVersion::V1 => Err(Error::new(
            ErrorKind::Unsupported,
            "a table of format version 1 cannot have delete files, which merge-on-read needs",
        )
        .with_hint("use copy-on-write, or upgrade the table to format version 2")),
        version => Err(Error::new(
            ErrorKind::Unsupported,
            format!("merge-on-read in a table of format version {version} needs deletion vectors, which floe does not write yet"),
        )
        .with_hint("choose a filter that matches files as a whole, such as a partition")),
    }
}

fn removed(file: &FileRows) -> RemovedFile {
    RemovedFile::new(file.task.spec_id, &file.file.data_file, file.file.sequence_number)
}

/// Files that are being rewritten. Dropping it stops them.
struct Rewrites<'a> {
    base: &'a TableBase,
    session: Option<&'a Arc<WriteSession>>,
    reader: crate::execute::scan::rows::RowReader,
    at_a_time: usize,
    memory: u64,
    /// What the files that are being rewritten need.
    needed: u64,
    running: JoinSet<(usize, FileRows, Result<Rewritten>)>,
    started: usize,
    done: Vec<(usize, FileRows, Rewritten)>,
}

impl<'a> Rewrites<'a> {
    fn new(
        base: &'a TableBase,
        session: Option<&'a Arc<WriteSession>>,
        found: &FoundRows,
        options: &RowOptions,
    ) -> Self {
        let cores = options.parallelism.unwrap_or_else(|| available_parallelism().map_or(2, usize::from));
        Self {
            base,
            session,
            reader: found.reader.clone(),
            at_a_time: cores.clamp(1, REWRITES_AT_A_TIME),
            // The other half is for what is not counted; see the writer's context.
            memory: (options.memory_bytes / 2).max(1),
            needed: 0,
            running: JoinSet::new(),
            started: 0,
            done: Vec::new(),
        }
    }

    async fn start(&mut self, file: FileRows, removal: &mut Removal) -> Result<()> {
        let number = self.started;
        self.started += 1;
        let Some(session) = self.session else {
            removal.counts.files_rewritten += 1;
            removal.counts.files_added += 1;
            let counts = &mut removal.counts;
            counts.bytes_removed = counts.bytes_removed.saturating_add(file.task.file_size);
            let kept = file.task.record_count.saturating_sub(file.count());
            counts.rows_rewritten = counts.rows_rewritten.saturating_add(kept);
            return Ok(());
        };
        let needs = self.needs(&file);
        while self.running.len() >= self.at_a_time || self.needed + needs > self.memory {
            self.wait().await?;
        }
        self.needed += needs;
        let (metadata, session) = (self.base.table.metadata.clone(), session.clone());
        let shares = (self.memory / needs.max(1)).clamp(1, self.at_a_time as u64);
        let reader = self.reader.clone();
        self.running.spawn(async move {
            let rewritten = rewrite(&metadata, &session, &reader, &file, shares).await;
            (number, file, rewritten)
        });
        Ok(())
    }

    /// Its part of the memory. A file that needs more than there is has it for itself.
    fn needs(&self, file: &FileRows) -> u64 {
        memory_needed(&file.file.data_file).min(self.memory)
    }

    /// Waits for one file. After a failure, all others are stopped.
    async fn wait(&mut self) -> Result<()> {
        let Some(done) = self.running.join_next().await else { return Ok(()) };
        let failed = match done {
            Ok((number, file, Ok(rewritten))) => {
                self.needed -= self.needs(&file);
                self.done.push((number, file, rewritten));
                return Ok(());
            }
            Ok((_, _, Err(e))) => e,
            Err(e) => Error::new(ErrorKind::Internal, "rewriting a data file failed").with_source(e),
        };
        self.running.shutdown().await;
        Err(failed)
    }

    async fn finish(mut self, removal: &mut Removal) -> Result<()> {
        while !self.running.is_empty() {
            self.wait().await?;
        }
        self.done.sort_unstable_by_key(|(number, ..)| *number);
        for (_, file, rewritten) in self.done {
            let counts = &mut removal.counts;
            if rewritten.files.is_empty() {
                counts.files_removed += 1;
            } else {
                counts.files_rewritten += 1;
            }
            counts.rows_rewritten += rewritten.rows_kept;
            counts.row_groups_copied += rewritten.row_groups_copied;
            counts.row_groups_decoded += rewritten.row_groups_decoded;
            counts.bytes_removed = counts.bytes_removed.saturating_add(file.task.file_size);
            counts.files_added += rewritten.files.len() as u64;
            counts.bytes_added += rewritten.files.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
            let spec_id = file.task.spec_id;
            removal.added.extend(rewritten.files.into_iter().map(|file| TableFile { spec_id, file }));
            removal.removed.push(removed(&file));
        }
        Ok(())
    }
}
