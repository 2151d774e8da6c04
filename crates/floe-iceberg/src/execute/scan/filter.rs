//! The filter of a scan: over manifests, files and rows.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Fields};
use arrow_select::filter::filter_record_batch;
use floe_core::{Error, Result};
use floe_plan::change::widened;
use floe_plan::eval::{evaluate, keep};
use floe_plan::expr::BoundExpr;
use floe_plan::prune::{FileMetrics, FilePruner, ManifestPruner, Verdict};
use iceberg::spec::{Datum, ManifestFile, PartitionSpec, PrimitiveType, Struct};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowPredicate;
use parquet::schema::types::SchemaDescriptor;

use super::decode::predicate;
use super::metrics::add;
use super::open::Context;
use super::project::{Constants, Projection};
use crate::base::Entry;

/// Partitions of one spec.
#[derive(Debug, Clone, Default)]
pub struct PartitionSet {
    spec_id: i32,
    partitions: HashSet<Struct>,
}

impl PartitionSet {
    /// Partitions by their values, of the spec `spec_id`.
    pub fn new(spec_id: i32, partitions: impl IntoIterator<Item = Struct>) -> Self {
        Self { spec_id, partitions: partitions.into_iter().map(|p| widened(&p)).collect() }
    }

    /// The spec of the partitions.
    pub fn spec_id(&self) -> i32 {
        self.spec_id
    }

    /// Whether a partition is among them. Values may be of a type that the source column had earlier.
    pub fn contains(&self, partition: &Struct) -> bool {
        self.partitions.contains(&widened(partition))
    }
}

/// Which rows are looked for.
#[derive(Debug, Clone)]
pub(crate) enum RowsWanted {
    /// Those for which a filter is true; all without one.
    Filter(Option<BoundExpr>),
    /// Those that belong to one of these partitions. Files of another spec may hold some.
    In(Arc<PartitionSet>),
}

/// The filter over manifests.
#[derive(Debug)]
pub(super) struct ManifestFilter(RowsWanted);

/// The filter over the files of one manifest.
#[derive(Debug)]
pub(super) struct FileFilter {
    pruner: Option<FilePruner>,
    /// Set when rows of some partitions are wanted; with it, whether the files are of that spec.
    partitions: Option<(Arc<PartitionSet>, bool)>,
}

impl ManifestFilter {
    pub(super) fn new(wanted: RowsWanted) -> Self {
        Self(wanted)
    }

    /// False only if no file of the manifest can hold a row that matches.
    pub(super) fn may_match(&self, spec: &PartitionSpec, file: &ManifestFile) -> bool {
        let RowsWanted::Filter(Some(filter)) = &self.0 else { return true };
        ManifestPruner::new(filter, spec).may_match(file.partitions.as_deref())
    }

    /// The filter over the files of a manifest with this spec.
    pub(super) fn for_files(&self, spec: &PartitionSpec) -> FileFilter {
        let (pruner, partitions) = match &self.0 {
            RowsWanted::Filter(filter) => (filter.as_ref().map(|f| FilePruner::new(f, spec)), None),
            RowsWanted::In(set) => (None, Some((set.clone(), set.spec_id == spec.spec_id()))),
        };
        FileFilter { pruner, partitions }
    }
}

impl FileFilter {
    pub(super) fn verdict(&mut self, partition: &Struct, entry: &Entry<'_>) -> Verdict {
        match &self.partitions {
            Some((set, true)) if set.contains(partition) => return Verdict::All,
            Some((_, true)) => return Verdict::NoneByPartition,
            Some((_, false)) => return Verdict::Some,
            None => {}
        }
        self.pruner.as_mut().map_or(Verdict::All, |pruner| pruner.judge(partition, entry))
    }
}

impl FileMetrics for Entry<'_> {
    fn record_count(&self) -> u64 {
        Entry::record_count(self)
    }

    fn value_count(&self, field_id: i32) -> Option<u64> {
        Entry::value_count(self, field_id)
    }

    fn null_count(&self, field_id: i32) -> Option<u64> {
        Entry::null_count(self, field_id)
    }

    fn nan_count(&self, field_id: i32) -> Option<u64> {
        Entry::nan_count(self, field_id)
    }

    fn lower(&self, field_id: i32, field_type: &PrimitiveType) -> Option<Datum> {
        Entry::lower(self, field_id, field_type)
    }

    fn upper(&self, field_id: i32, field_type: &PrimitiveType) -> Option<Datum> {
        Entry::upper(self, field_id, field_type)
    }
}

/// How the rows of one file are filtered.
#[derive(Debug, Clone)]
pub(super) enum RowsFilter {
    /// Every row matches.
    None,
    /// No row matches.
    Nothing,
    /// The columns of the filter are read first, and the others only where it is true: worth it when there are others,
    /// and few rows match.
    First(First),
    /// All columns are read, and then filtered.
    After(RowTest),
}

/// What tells which rows match.
#[derive(Debug, Clone)]
pub(super) enum RowTest {
    Filter(BoundExpr),
    Probe(Probe),
}

/// Looks rows up elsewhere, by some of their columns. Only a help: rows that do not match may be given all the same.
#[derive(Clone)]
pub(crate) struct Probe {
    /// True for every row that can match, as far as metadata tells; for pruning row groups.
    pub(crate) prune: BoundExpr,
    /// The fields that `test` looks at.
    pub(crate) field_ids: Vec<i32>,
    /// Which rows of a batch of those columns match. Never NULL.
    pub(crate) test: Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray> + Send + Sync>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("field_ids", &self.field_ids).finish_non_exhaustive()
    }
}

impl RowTest {
    fn field_ids(&self) -> Vec<i32> {
        match self {
            Self::Filter(filter) => filter.field_ids(),
            Self::Probe(probe) => probe.field_ids.clone(),
        }
    }

    fn matching(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        match self {
            Self::Filter(filter) => Ok(keep(&evaluate(filter, batch, &|_| None)?)),
            Self::Probe(probe) => (probe.test)(batch),
        }
    }
}

/// What it takes to filter while decoding.
#[derive(Debug, Clone)]
pub(super) struct First {
    test: RowTest,
    columns: Projection,
    /// Whether the scan gives all columns of the filter, so that it can be filtered afterwards too.
    given: bool,
    seen: Arc<Selectivity>,
}

/// How many rows a filter was asked about in a scan, and for how many it was true.
#[derive(Debug, Default)]
pub(super) struct Selectivity {
    asked: AtomicU64,
    matched: AtomicU64,
}

impl Selectivity {
    fn saw(&self, asked: usize, matched: usize) {
        add(&self.asked, asked as u64);
        add(&self.matched, matched as u64);
    }

    /// So many rows match that picking them one by one costs more than decoding all.
    fn is_poor(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked > 100_000 && self.matched.load(Ordering::Relaxed) > asked / 20
    }
}

impl RowsFilter {
    pub(super) fn new(
        filter: &BoundExpr,
        context: &Context,
        fields: &Fields,
        constants: &Constants,
    ) -> Result<Self> {
        let test = match &context.probe {
            Some(probe) => RowTest::Probe(probe.clone()),
            None => RowTest::Filter(filter.clone()),
        };
        let ids = test.field_ids();
        let columns = Projection::new(
            fields,
            context.filter_columns.as_struct().fields(),
            context.filter_arrow.clone(),
            constants,
        )?;
        if columns.leaves.is_empty() {
            // No column of the filter is in the file, so that it is the same for every row.
            let one = columns.one_row().map_err(|e| super::execute::compute_error(&e))?;
            let matches = test.matching(&one)?.value(0);
            return Ok(if matches { Self::None } else { Self::Nothing });
        }
        let given = ids.iter().all(|id| context.projection.field_by_id(*id).is_some());
        let others =
            context.projection.as_struct().fields().iter().any(|top| {
                !context.filter_columns.as_struct().fields().iter().any(|column| column.id == top.id)
            });
        if given && !others {
            return Ok(Self::After(test));
        }
        let seen = context.selectivity.clone();
        Ok(Self::First(First { test, columns, given, seen }))
    }

    /// How to filter the next piece, by what the scan saw so far.
    pub(super) fn settle(self) -> Self {
        match self {
            Self::First(first) if first.given && first.seen.is_poor() => match first.test {
                // Whoever probes looks every row up again.
                RowTest::Probe(_) => Self::None,
                test @ RowTest::Filter(_) => Self::After(test),
            },
            other => other,
        }
    }

    /// The leaf columns of the file that are decoded to filter, besides those that are given.
    pub(super) fn leaves(&self) -> &[usize] {
        match self {
            Self::First(first) => &first.columns.leaves,
            _ => &[],
        }
    }

    pub(super) fn matches_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// The filter as the Parquet reader applies it while it decodes, to at most `most` bytes of rows at a time.
    pub(super) fn predicate(&self, schema: &SchemaDescriptor, most: u64) -> Option<Box<dyn ArrowPredicate>> {
        let Self::First(First { test, columns, seen, .. }) = self else { return None };
        let (test, columns, seen) = (test.clone(), columns.clone(), seen.clone());
        let mask = ProjectionMask::leaves(schema, columns.leaves.iter().copied());
        Some(predicate(mask, most, move |batch| {
            let batch = columns.apply(batch)?;
            let matching = test.matching(&batch).map_err(external)?;
            seen.saw(batch.num_rows(), matching.true_count());
            Ok(matching)
        }))
    }

    /// Filters a batch of the table's columns, unless that was done while it was decoded.
    pub(super) fn apply(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let Self::After(test) = self else { return Ok(batch) };
        let matching = test.matching(&batch).map_err(external)?;
        if matching.true_count() == batch.num_rows() {
            return Ok(batch);
        }
        filter_record_batch(&batch, &matching)
    }
}

fn external(error: Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}
