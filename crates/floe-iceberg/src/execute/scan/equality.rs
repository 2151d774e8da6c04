//! Equality deletes: rows whose values are in a set.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, Fields, SchemaRef as ArrowSchemaRef};
use floe_core::{Error, ErrorKind, Result};
use floe_plan::eval::column_by_field_id;
use iceberg::arrow::{schema_to_arrow_schema, type_to_arrow_type};
use iceberg::spec::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowPredicate;
use parquet::schema::types::SchemaDescriptor;

use super::decode::{count_deleted, predicate};
use super::execute::compute_error;
use super::metrics::ScanMetrics;
use super::project::{Constants, Projection};

/// The deleted values of some columns, encoded so that equal rows have equal bytes; NULL equals NULL.
#[derive(Debug)]
pub(super) struct EqualitySet {
    ids: Vec<i32>,
    /// The top-level columns that hold the compared fields.
    columns: SchemaRef,
    arrow: ArrowSchemaRef,
    converter: RowConverter,
    keys: HashSet<Box<[u8]>>,
}

impl EqualitySet {
    pub(super) fn new(ids: Vec<i32>, columns: SchemaRef) -> Result<Self> {
        let types = ids.iter().map(|id| {
            let field = columns.field_by_id(*id).ok_or_else(|| missing(*id))?;
            Ok(SortField::new(type_to_arrow_type(&field.field_type)?))
        });
        let converter = RowConverter::new(types.collect::<Result<_>>()?).map_err(|e| compute_error(&e))?;
        let arrow = Arc::new(schema_to_arrow_schema(&columns)?);
        Ok(Self { ids, columns, arrow, converter, keys: HashSet::new() })
    }

    /// Adds the rows of a batch of the set's columns.
    pub(super) fn insert(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = self.compared(batch)?;
        let rows = self.converter.convert_columns(&columns).map_err(|e| compute_error(&e))?;
        self.keys.extend(rows.iter().map(|row| Box::from(row.as_ref())));
        Ok(())
    }

    /// For each row of a batch of the set's columns: whether it is *not* deleted.
    fn live(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let columns = self.compared(batch)?;
        let rows = self.converter.convert_columns(&columns).map_err(|e| compute_error(&e))?;
        Ok(rows.iter().map(|row| Some(!self.keys.contains(row.as_ref()))).collect())
    }

    fn compared(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.ids.iter().map(|id| column_by_field_id(batch, *id).ok_or_else(|| missing(*id))).collect()
    }
}

fn missing(id: i32) -> Error {
    Error::new(ErrorKind::Unsupported, format!("equality deletes by field {id}, inside a list or a map"))
}

/// The equality deletes of one data file that compare the same columns.
#[derive(Debug, Clone)]
pub(super) struct EqualityDeletes {
    set: Arc<EqualitySet>,
    projection: Projection,
    metrics: Arc<ScanMetrics>,
}

impl EqualityDeletes {
    pub(super) fn new(
        set: Arc<EqualitySet>,
        fields: &Fields,
        constants: &Constants,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self> {
        let columns = set.columns.as_struct().fields();
        let projection = Projection::new(fields, columns, set.arrow.clone(), constants)?;
        Ok(Self { set, projection, metrics })
    }

    /// Whether all rows are deleted, or none; `None` when that depends on the row.
    pub(super) fn same_for_all_rows(&self) -> Result<Option<bool>> {
        if self.set.keys.is_empty() {
            return Ok(Some(false));
        }
        if !self.projection.leaves.is_empty() {
            return Ok(None);
        }
        let row = self.projection.one_row().map_err(|e| compute_error(&e))?;
        Ok(Some(!self.set.live(&row)?.value(0)))
    }

    /// The leaf columns of the file that are compared.
    pub(super) fn leaves(&self) -> &[usize] {
        &self.projection.leaves
    }

    /// The deletes as the Parquet reader applies them while it decodes, to at most `most` bytes of rows at a time. Rows that
    /// they take away are counted in `deleted` too.
    pub(super) fn predicate(
        &self,
        schema: &SchemaDescriptor,
        most: u64,
        deleted: Arc<AtomicU64>,
    ) -> Box<dyn ArrowPredicate> {
        let mask = ProjectionMask::leaves(schema, self.projection.leaves.iter().copied());
        let deletes = self.clone();
        predicate(mask, most, move |batch| {
            let batch = deletes.projection.apply(batch)?;
            let live = deletes.set.live(&batch).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
            count_deleted(&deletes.metrics, &deleted, live.false_count() as u64);
            Ok(live)
        })
    }
}
