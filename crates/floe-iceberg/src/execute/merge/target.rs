//! The side of the table: its files, read by key, and what was found in them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::BooleanArray;
use arrow_buffer::BooleanBuffer;
use floe_core::Result;
use floe_plan::expr::{BoundExpr, Expr};
use floe_plan::guard::ReadFile;
use futures::StreamExt;
use iceberg::spec::MAIN_BRANCH;

use crate::base::{LiveFile, SnapshotSelector, TableBase};
use crate::data::BatchStream;
use crate::execute::join::{KeyCodec, KeyTable};
use crate::execute::rows::{FileRows, FoundRows, Positions, Rows};
use crate::execute::scan::rows::RowReader;
use crate::execute::scan::{
    PlannedFiles, Probe, RowsWanted, ScanMetrics, ScanPlan, ScanRequest, ScanTask, delete_columns, plan_files,
};

/// How many rows are decoded at a time.
const BATCH_SIZE: usize = 32 * 1024;

/// Reads the files of a branch's head.
pub(super) struct Target<'a> {
    base: &'a TableBase,
    request: ScanRequest,
    metrics: Arc<ScanMetrics>,
    snapshot_id: Option<i64>,
    /// The last plan, and what reads it.
    last: Option<(ScanPlan, RowReader)>,
    readings: usize,
    /// By path.
    files: BTreeMap<String, Found>,
}

struct Found {
    task: ScanTask,
    file: LiveFile,
    /// Rows that are to be removed.
    removed: Positions,
    /// Rows that match, removed or not.
    matched: Positions,
}

/// Files that are read, with the rows of each.
pub(super) struct Reading {
    pub(super) tasks: Vec<(ScanTask, LiveFile)>,
    pub(super) batches: BatchStream,
}

impl<'a> Target<'a> {
    pub(super) fn new(base: &'a TableBase, branch: &str, memory_bytes: u64) -> Result<Self> {
        let at = match branch {
            MAIN_BRANCH => SnapshotSelector::Current,
            branch => SnapshotSelector::Ref(branch.to_owned()),
        };
        let snapshot_id = base.resolve(&at)?.snapshot.map(|snapshot| snapshot.snapshot_id());
        let request = ScanRequest { at, batch_size: BATCH_SIZE, memory_bytes, ..ScanRequest::default() };
        let files = BTreeMap::new();
        Ok(Self { base, request, metrics: Arc::default(), snapshot_id, last: None, readings: 0, files })
    }

    pub(super) fn snapshot_id(&self) -> Option<i64> {
        self.snapshot_id
    }

    /// The rows whose keys `table` may have; `prune` is true for all of them. Others may be among them.
    pub(super) async fn probe(
        &mut self,
        columns: Vec<String>,
        prune: BoundExpr,
        codec: &Arc<KeyCodec>,
        table: &Arc<KeyTable>,
    ) -> Result<Reading> {
        let request = ScanRequest { columns: Some(columns), ..self.request.clone() };
        let wanted = RowsWanted::Filter(Some(prune.clone()));
        let planned = plan_files(self.base, &request, Some(wanted)).await?;
        let (codec, table) = (codec.clone(), table.clone());
        let probe = Probe {
            prune,
            field_ids: codec.columns().iter().map(|column| column.field_id).collect(),
            test: Arc::new(move |batch| {
                let keys = codec.encode(&codec.arrays(batch)?)?;
                let found = |row| table.find(keys.row(row).as_ref()).is_some();
                Ok(BooleanArray::new(BooleanBuffer::collect_bool(batch.num_rows(), found), None))
            }),
        };
        let reader = RowReader::probing(&self.base.table.file_io, &planned.plan, probe, &self.metrics)?;
        Ok(self.read(reader, planned))
    }

    /// The rows for which `filter` is true.
    pub(super) async fn matching(&mut self, columns: Vec<String>, filter: Expr) -> Result<Reading> {
        let filter = (filter != Expr::True).then_some(filter);
        let request = ScanRequest { columns: Some(columns), filter, ..self.request.clone() };
        let planned = plan_files(self.base, &request, None).await?;
        let reader = RowReader::new(&self.base.table.file_io, &planned.plan, &self.metrics)?;
        Ok(self.read(reader, planned))
    }

    fn read(&mut self, reader: RowReader, planned: PlannedFiles) -> Reading {
        let PlannedFiles { mut plan, files } = planned;
        let batches = reader.rows(&plan);
        let tasks = std::mem::take(&mut plan.tasks).into_iter().zip(files).collect();
        self.readings += 1;
        self.last = Some((plan, reader));
        Reading { tasks, batches }
    }

    /// Notes rows of a file: those that match, and those of them that are to be removed.
    pub(super) fn note(
        &mut self,
        (task, file): &(ScanTask, LiveFile),
        matched: impl Iterator<Item = u64>,
        removed: impl Iterator<Item = u64>,
    ) {
        if !self.files.contains_key(&task.path) {
            let found = Found {
                task: task.clone(),
                file: file.clone(),
                removed: Positions::default(),
                matched: Positions::default(),
            };
            self.files.insert(task.path.clone(), found);
        }
        if let Some(found) = self.files.get_mut(&task.path) {
            found.matched.extend(matched);
            found.removed.extend(removed);
        }
    }

    /// Whether a row was noted as one that matches.
    pub(super) fn is_matched(&self, path: &str, position: u64) -> bool {
        self.files.get(path).is_some_and(|found| found.matched.contains(position))
    }

    /// Files with rows that match, none of which is removed: that they stay was decided by what they are.
    pub(super) fn left_alone(&self) -> Vec<ReadFile> {
        let files = self.files.values().filter(|found| found.removed.count() == 0);
        let read = files.map(|found| ReadFile {
            path: found.task.path.clone(),
            spec_id: found.task.spec_id,
            partition: found.file.data_file.partition().clone(),
        });
        read.collect()
    }

    /// Rows to be removed, to be given to [`crate::execute::delete::remove`]; `None` if there are none.
    pub(super) fn into_found(self) -> Result<Option<FoundRows>> {
        let Self { base, metrics, snapshot_id, last, readings, files, .. } = self;
        let found: Vec<_> = files.into_values().filter(|found| found.removed.count() > 0).collect();
        let Some((mut plan, mut reader)) = last.filter(|_| !found.is_empty()) else { return Ok(None) };
        if readings > 1 {
            let deletes = found.iter().flat_map(|found| &found.task.deletes);
            let compared: HashSet<i32> =
                deletes.flat_map(|delete| delete.equality_ids.iter().flatten().copied()).collect();
            plan.delete_columns = delete_columns(base, &plan.schema, &compared)?;
            reader = RowReader::new(&base.table.file_io, &plan, &metrics)?;
        }
        let stats = plan.stats;
        let files = found.into_iter().map(|found| {
            let whole = found.removed.count() == found.task.record_count;
            let rows = if whole { Rows::All } else { Rows::At(found.removed) };
            Ok(FileRows { file: found.file, task: found.task, rows })
        });
        let files = futures::stream::iter(files.collect::<Vec<_>>()).boxed();
        Ok(Some(FoundRows { snapshot_id, stats, metrics, files, reader }))
    }
}
