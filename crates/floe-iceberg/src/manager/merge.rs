//! Merging rows.

use std::ops::ControlFlow;

use floe_core::{Result, span};
use iceberg::TableIdent;

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use super::write::{Executed, Intent};
use crate::data::BatchStream;
use crate::execute::merge::{MergeOptions, merge};
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
        source: BatchStream,
        config: &MergeConfig,
    ) -> Result<WriteOutcome> {
        let intent = Intent {
            branch: config.branch.as_deref(),
            token: config.idempotency_key.as_deref(),
            snapshot_properties: &config.snapshot_properties,
            strategy: self.config.default_commit_strategy,
            staged: false,
            dry_run: config.dry_run,
        };
        let run = async {
            config.validate()?;
            let base = match self.begin(table, &intent).await? {
                ControlFlow::Continue(base) => base,
                ControlFlow::Break(replayed) => return Ok(replayed),
            };
            let options = MergeOptions {
                spec: config.spec(),
                branch: intent.branch().to_owned(),
                rows: self.row_options(config.row_mode, config.isolation, config.dry_run),
            };
            let merged = merge(&base, source, &options, &*self.environment).await?;
            let mut executed = Executed::from(merged.rows);
            executed.outcome.merged = Some(merged.counts);
            self.conclude(base, &intent, executed).await
        };
        let span = operation_span!("merge_data", table.to_string());
        span.record(span::WRITE_MODE, "merge");
        // On the heap: a merge holds much across its pauses.
        traced(span, Box::pin(run)).await.map_err(|e| e.with_table(table))
    }
}
