//! Which rows belong to some partitions, whatever the partition of their file is.

use std::sync::Arc;

use arrow_array::RecordBatch;
use floe_core::{Error, Result};
use floe_plan::rows::partition::Partitioner;
use iceberg::spec::{PartitionSpec, Schema, SchemaRef, TableMetadata};

use crate::execute::scan::PartitionSet;

/// Tells rows of some partitions from others, by the values of the columns that the partitions come from.
pub(super) struct Members {
    set: Arc<PartitionSet>,
    columns: SchemaRef,
    partitioner: Partitioner,
    /// Whether the partitions that were met so far are in the set.
    known: Vec<bool>,
}

impl Members {
    pub(super) fn new(metadata: &TableMetadata, set: &Arc<PartitionSet>) -> Result<Self> {
        let spec = metadata
            .partition_spec_by_id(set.spec_id())
            .ok_or_else(|| Error::validation(format!("the table has no partition spec {}", set.spec_id())))?;
        let columns = Arc::new(columns(metadata.current_schema(), spec)?);
        let partitioner = Partitioner::new(spec, &columns)?;
        Ok(Self { set: set.clone(), columns, partitioner, known: Vec::new() })
    }

    /// The columns that rows must come with.
    pub(super) fn columns(&self) -> SchemaRef {
        self.columns.clone()
    }

    /// For each row of a batch that begins with the columns: whether it is in one of the partitions.
    pub(super) fn of(&mut self, batch: &RecordBatch) -> Result<impl Iterator<Item = bool> + use<'_>> {
        let ids = self.partitioner.assign(batch)?;
        for id in self.known.len()..self.partitioner.len() {
            self.known.push(self.set.contains(&self.partitioner.values(id as u32)));
        }
        Ok(ids.into_iter().map(|id| self.known.get(id as usize).copied().unwrap_or(true)))
    }
}

/// The top-level columns that hold the sources of a spec.
fn columns(schema: &Schema, spec: &PartitionSpec) -> Result<Schema> {
    let mut tops = Vec::new();
    for field in spec.fields() {
        let top = floe_plan::rows::partition::column_path(schema, field.source_id).ok_or_else(|| {
            Error::validation(format!("partition field '{}' has no source column", field.name))
        })?[0];
        if !tops.contains(&top) {
            tops.push(top);
        }
    }
    let fields = tops.into_iter().map(|top| schema.as_struct().fields()[top].clone());
    Ok(Schema::builder().with_fields(fields).build()?)
}
