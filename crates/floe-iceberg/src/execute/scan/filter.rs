//! The filter of a scan: over manifests, files and rows.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Fields};
use arrow_select::filter::filter_record_batch;
use floe_core::Result;
use floe_plan::eval::{evaluate, keep};
use floe_plan::expr::BoundExpr;
use iceberg::spec::{ManifestFile, PartitionSpec, Schema, Struct};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter};
use parquet::schema::types::SchemaDescriptor;

use super::open::Context;
use super::project::{Constants, Projection};
use crate::base::{Entry, Manifest};

/// For which rows of something the filter is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Certainly for none.
    None,
    /// Perhaps for some.
    Some,
    /// Certainly for all.
    All,
}

/// The filter over manifests and files.
#[derive(Debug)]
pub(super) struct FileFilter {
    filter: Option<BoundExpr>,
}

/// The filter over the partitions of one manifest.
#[derive(Debug)]
pub(super) struct PartitionFilter {
    always: bool,
}

impl FileFilter {
    pub(super) fn new(filter: Option<BoundExpr>, _schema: &Schema) -> Self {
        Self { filter }
    }

    pub(super) fn manifest_may_match(&self, _spec: &PartitionSpec, _schema: &Schema, _file: &ManifestFile) -> bool {
        true
    }

    pub(super) fn for_partitions(&self, _manifest: &Manifest, _schema: &Schema) -> Result<PartitionFilter> {
        Ok(PartitionFilter { always: self.filter.is_none() })
    }

    pub(super) fn file_verdict(&self, _entry: &Entry<'_>) -> Result<Verdict> {
        Ok(if self.filter.is_none() { Verdict::All } else { Verdict::Some })
    }
}

impl PartitionFilter {
    pub(super) fn verdict(&self, _partition: &Struct) -> Result<Verdict> {
        Ok(if self.always { Verdict::All } else { Verdict::Some })
    }
}

/// How the rows of one file are filtered.
#[derive(Debug, Clone)]
pub(super) enum RowsFilter {
    /// Every row matches.
    None,
    /// No row matches.
    Nothing,
    /// The columns of the filter are read first, and the others only where it is true: worth it when there are others.
    First(BoundExpr, Projection),
    /// All columns are read, and then filtered.
    After(BoundExpr),
}

impl RowsFilter {
    pub(super) fn new(
        filter: &BoundExpr,
        context: &Context,
        fields: &Fields,
        constants: &Constants,
    ) -> Result<Self> {
        let ids = filter.field_ids();
        let columns = Projection::new(
            fields,
            context.filter_columns.as_struct().fields(),
            context.filter_arrow.clone(),
            constants,
        )?;
        if columns.leaves.is_empty() {
            // No column of the filter is in the file, so that it is the same for every row.
            let one = columns.one_row().map_err(|e| super::execute::compute_error(&e))?;
            let matches = keep(&evaluate(filter, &one, &|_| None)?).value(0);
            return Ok(if matches { Self::None } else { Self::Nothing });
        }
        let given = ids.iter().all(|id| context.projection.field_by_id(*id).is_some());
        let others = context.projection.as_struct().fields().iter().any(|top| {
            !context.filter_columns.as_struct().fields().iter().any(|column| column.id == top.id)
        });
        if given && !others {
            return Ok(Self::After(filter.clone()));
        }
        Ok(Self::First(filter.clone(), columns))
    }

    pub(super) fn matches_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// The filter as the Parquet reader applies it while it decodes.
    pub(super) fn row_filter(&self, schema: &SchemaDescriptor) -> Option<RowFilter> {
        let Self::First(filter, columns) = self else { return None };
        let (filter, columns) = (filter.clone(), columns.clone());
        let mask = ProjectionMask::leaves(schema, columns.leaves.iter().copied());
        let predicate = ArrowPredicateFn::new(mask, move |batch| {
            let batch = columns.apply(&batch)?;
            matching(&filter, &batch)
        });
        Some(RowFilter::new(vec![Box::new(predicate)]))
    }

    /// Filters a batch of the table's columns, unless that was done while it was decoded.
    pub(super) fn apply(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let Self::After(filter) = self else { return Ok(batch) };
        let matching = matching(filter, &batch)?;
        if matching.true_count() == batch.num_rows() {
            return Ok(batch);
        }
        filter_record_batch(&batch, &matching)
    }
}

fn matching(filter: &BoundExpr, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    let result = evaluate(filter, batch, &|_| None).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
    Ok(keep(&result))
}
