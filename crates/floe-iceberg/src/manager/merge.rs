//! Merging rows.

use floe_core::{Result, span};
use iceberg::TableIdent;

use super::traced::{operation_span, traced};
use super::work::{Task, Work};
use super::{IcebergTableManager, fingerprint};
use crate::data::Input;
use crate::model::{MergeConfig, WriteOutcome};

impl IcebergTableManager {
    /// Merges the rows of `source` into a table, in one snapshot: what becomes of rows that match, and of rows of either
    /// side that match nothing, is what the clauses of `config` say, with the meaning of SQL's `MERGE`.
    ///
    /// Names and types in expressions are checked before anything is read. Nothing to change makes no snapshot.
    ///
    /// Fails as [`IcebergTableManager::write_data`] does, and with `Validation` when several rows of the source would change
    /// one row of the table (such rows are counted), or when a value cannot be computed.
    pub async fn merge_data(
        &self,
        table: &TableIdent,
        source: impl Into<Input>,
        config: &MergeConfig,
    ) -> Result<WriteOutcome> {
        let source = source.into();
        let run = async {
            config.validate()?;
            let fingerprint = fingerprint::of_merge(config)?;
            let task = Task::new(Work::Merge(config), Some(source));
            self.change(table, &config.options, fingerprint, task).await
        };
        let span = operation_span!("merge_data", table.to_string());
        span.record(span::WRITE_MODE, "merge");
        // On the heap: a merge holds much across its pauses.
        traced(span, Box::pin(run)).await.map_err(|e| e.with_table(table))
    }
}
