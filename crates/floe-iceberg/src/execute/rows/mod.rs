//! Finding rows: which files of a snapshot hold rows that match, and where in them.
//!
//! Files that their partition or their metrics show to match as a whole are not opened. Of the others only the columns of
//! the filter are read, in row groups that can hold a match. Rows that delete files took away are never found.

mod change;
mod partitions;
mod positions;

use std::sync::Arc;

use floe_core::{Error, ErrorKind, Result};
use floe_plan::expr::Expr;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::spec::MAIN_BRANCH;

pub use super::scan::PartitionSet;
use super::scan::rows::{RowReader, places};
use super::scan::{
    PlanStats, PlannedFiles, RowsWanted, ScanMetrics, ScanPlan, ScanRequest, ScanTask, plan_files,
};
use crate::base::{LiveFile, SnapshotSelector, TableBase};
pub use change::{RowChange, RowCounts, RowMode, RowOptions};
use partitions::Members;
pub use positions::Positions;

/// How many rows are decoded at a time: only few columns are.
const BATCH_SIZE: usize = 64 * 1024;

/// Which rows to find.
#[derive(Debug, Clone)]
pub enum Wanted<'a> {
    /// Every row.
    All,
    /// Those for which a filter over the table's current schema is true.
    Matching(&'a Expr),
    /// Those that belong to one of these partitions of a spec of the table.
    In(&'a Arc<PartitionSet>),
}

/// A data file with rows that were looked for.
#[derive(Debug)]
pub struct FileRows {
    /// The file.
    pub file: LiveFile,
    /// How it is read, with the delete files that apply to it.
    pub task: ScanTask,
    /// Which of its rows.
    pub rows: Rows,
}

/// Which rows of a data file were found.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// All, those included that delete files took away.
    All,
    /// Those at these positions, none of which is deleted.
    At(Positions),
}

impl FileRows {
    /// How many rows were found. For [`Rows::All`], rows that delete files took away count too: only reading them would
    /// tell.
    pub fn count(&self) -> u64 {
        match &self.rows {
            Rows::All => self.task.record_count,
            Rows::At(positions) => positions.count(),
        }
    }
}

/// The answer to a search.
pub struct FoundRows {
    /// The snapshot that was searched; `None` if the branch has none.
    pub snapshot_id: Option<i64>,
    /// What planning looked at.
    pub stats: PlanStats,
    /// What reading did so far.
    pub metrics: Arc<ScanMetrics>,
    /// Files with rows that were found: first those that match as a whole, then the others, in the order of the
    /// manifests. Each is given as soon as it is searched.
    pub files: BoxStream<'static, Result<FileRows>>,
    pub(crate) reader: RowReader,
}

/// Searches the head of a branch; of the options, case and memory count. Nothing is read but metadata before `files` is polled, in a tokio runtime. Memory is
/// bounded by a few batches for each core and a bit for each row of the file at hand.
///
/// Fails with `SnapshotNotFound` for a branch that is not there, `Validation` for a filter that does not fit the schema,
/// and as [`super::scan::plan_scan`]; `files` fails as a scan does.
pub async fn find_rows(
    base: &TableBase,
    branch: &str,
    wanted: Wanted<'_>,
    options: &RowOptions,
) -> Result<FoundRows> {
    let at = match branch {
        MAIN_BRANCH => SnapshotSelector::Current,
        branch => SnapshotSelector::Ref(branch.to_owned()),
    };
    let request = ScanRequest {
        at,
        filter: match &wanted {
            Wanted::Matching(filter) => Some((*filter).clone()),
            Wanted::All | Wanted::In(_) => None,
        },
        case_sensitive: options.case_sensitive,
        columns: Some(Vec::new()),
        batch_size: BATCH_SIZE,
        memory_bytes: options.memory_bytes / 2,
        ..ScanRequest::default()
    };
    let members = match &wanted {
        Wanted::In(set) => Some(Members::new(base.metadata(), set)?),
        Wanted::All | Wanted::Matching(_) => None,
    };
    let rows_wanted = match &wanted {
        Wanted::In(set) => Some(RowsWanted::In((*set).clone())),
        Wanted::All | Wanted::Matching(_) => None,
    };
    let PlannedFiles { mut plan, files } = plan_files(base, &request, rows_wanted).await?;
    if let Some(members) = &members {
        plan.projection = members.columns();
    }
    let metrics = Arc::new(ScanMetrics::default());
    let reader =
        RowReader::new(&base.table.file_io, &plan, &metrics).map_err(|e| e.with_table(&base.table.ident))?;
    let (snapshot_id, stats) = (plan.snapshot_id, plan.stats);
    let files = search(&reader, plan, files, members);
    Ok(FoundRows { snapshot_id, stats, metrics, files, reader })
}

fn search(
    reader: &RowReader,
    mut plan: ScanPlan,
    files: Vec<LiveFile>,
    members: Option<Members>,
) -> BoxStream<'static, Result<FileRows>> {
    let tasks = std::mem::take(&mut plan.tasks).into_iter().zip(files);
    let (whole, rest): (Vec<_>, Vec<_>) = tasks.partition(|(task, _)| task.all_rows_match);
    let whole = whole.into_iter().map(|(task, file)| Ok(FileRows { file, task, rows: Rows::All }));
    plan.tasks = rest.iter().map(|(task, _)| task.clone()).collect();
    if plan.tasks.is_empty() {
        return futures::stream::iter(whole).boxed();
    }
    let search = Search {
        batches: reader.rows(&plan).stream,
        tasks: rest.into_iter().map(Some).collect(),
        members,
        current: None,
        ended: false,
    };
    let rest = futures::stream::unfold(search, |mut search| async {
        let found = search.next().await?;
        Some((found, search))
    });
    futures::stream::iter(whole).chain(rest).boxed()
}

/// Puts the places of rows together, file by file.
struct Search {
    batches: BoxStream<'static, Result<arrow_array::RecordBatch>>,
    tasks: Vec<Option<(ScanTask, LiveFile)>>,
    members: Option<Members>,
    current: Option<(u32, Positions)>,
    ended: bool,
}

impl Search {
    async fn next(&mut self) -> Option<Result<FileRows>> {
        while !self.ended {
            match self.batches.next().await {
                None => self.ended = true,
                Some(batch) => {
                    let found = batch.and_then(|batch| self.add(&batch));
                    match found {
                        Ok(None) => {}
                        Ok(Some(file)) => return Some(Ok(file)),
                        Err(e) => {
                            self.ended = true;
                            self.current = None;
                            return Some(Err(e));
                        }
                    }
                }
            }
        }
        let (task, positions) = self.current.take()?;
        self.file(task, positions).transpose()
    }

    /// Takes the places of a batch; gives the file before, if the batch is of the next one.
    fn add(&mut self, batch: &arrow_array::RecordBatch) -> Result<Option<FileRows>> {
        let (task, places) = places(batch);
        let done = match &self.current {
            Some((current, _)) if *current == task => None,
            _ => self.current.replace((task, Positions::default())),
        };
        if let Some((_, positions)) = &mut self.current {
            match &mut self.members {
                None => positions.extend(places.iter().map(|p| *p as u64)),
                Some(members) => {
                    let chosen = members.of(batch)?;
                    let chosen = places.iter().zip(chosen).filter(|(_, chosen)| *chosen);
                    positions.extend(chosen.map(|(p, _)| *p as u64));
                }
            }
        }
        match done {
            Some((task, positions)) => self.file(task, positions),
            None => Ok(None),
        }
    }

    fn file(&mut self, task: u32, positions: Positions) -> Result<Option<FileRows>> {
        if positions.count() == 0 {
            return Ok(None);
        }
        let (task, file) = self
            .tasks
            .get_mut(task as usize)
            .and_then(Option::take)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the rows of a file came in two parts"))?;
        let whole = positions.count() == task.record_count;
        Ok(Some(FileRows { file, task, rows: if whole { Rows::All } else { Rows::At(positions) } }))
    }
}
