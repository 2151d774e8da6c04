//! Writing rows: append, overwrite, upsert, delete. Each gives a change, and all changes take one way to a snapshot.

use floe_core::{Result, span};
use floe_plan::expr::Expr;
use iceberg::TableIdent;

use super::traced::{operation_span, traced};
use super::work::{Task, Work};
use super::{IcebergTableManager, fingerprint};
use crate::data::Input;
use crate::execute::write::ProgressFn;
use crate::model::{DeleteConfig, WriteConfig, WriteOutcome};

impl IcebergTableManager {
    /// Writes `data` to a table in one snapshot (FR-005, FR-022): all of it or nothing (FR-026).
    ///
    /// Columns are matched by name. An append of no rows makes no snapshot. Errors: `NoSuchTable`,
    /// `Validation`, `SchemaMismatch` (nothing is written), `CommitConflict` when another writer changed what
    /// this write builds on or every attempt met another commit, `CommitStateUnknown` when the catalog's last
    /// answer was lost (repeat the call with the same `idempotency_key` to find out), and what storage and
    /// `data` answer.
    ///
    /// When another writer changed what this write read, it is run again on the table as it is then, as
    /// [`RerunOptions`](crate::model::RerunOptions) say, if `data` is an [`Input`] that can be read again, or a stream of
    /// few rows.
    pub async fn write_data(
        &self,
        table: &TableIdent,
        data: impl Into<Input>,
        config: &WriteConfig,
    ) -> Result<WriteOutcome> {
        self.write_input(table, data.into(), config, None).await
    }

    /// The same as [`IcebergTableManager::write_data`], telling `progress` how far it is.
    pub async fn write_data_with_progress(
        &self,
        table: &TableIdent,
        data: impl Into<Input>,
        config: &WriteConfig,
        progress: Option<ProgressFn>,
    ) -> Result<WriteOutcome> {
        self.write_input(table, data.into(), config, progress).await
    }

    async fn write_input(
        &self,
        table: &TableIdent,
        data: Input,
        config: &WriteConfig,
        progress: Option<ProgressFn>,
    ) -> Result<WriteOutcome> {
        let span = operation_span!("write_data", table.to_string());
        span.record(span::WRITE_MODE, config.mode.as_str());
        let write = async {
            config.validate()?;
            let fingerprint = fingerprint::of_write(config)?;
            let task = Task::new(Work::Write(config, progress), Some(data));
            self.change(table, &config.options, fingerprint, task).await
        };
        // On the heap: a write holds much across its pauses.
        traced(span, Box::pin(write)).await.map_err(|e| e.with_table(table))
    }

    /// Deletes the rows that `filter` is true for, in one snapshot; rows for which it is false or unknown stay.
    /// Files that match as a whole are removed unread. Nothing to delete makes no snapshot.
    ///
    /// Fails as [`IcebergTableManager::write_data`] does.
    pub async fn delete_data(
        &self,
        table: &TableIdent,
        filter: &Expr,
        config: &DeleteConfig,
    ) -> Result<WriteOutcome> {
        let run = async {
            config.validate()?;
            let fingerprint = fingerprint::of_delete(filter, &config.options)?;
            let task = Task::new(Work::Delete(filter, config), None);
            self.change(table, &config.options, fingerprint, task).await
        };
        let span = operation_span!("delete_data", table.to_string());
        traced(span, Box::pin(run)).await.map_err(|e| e.with_table(table))
    }
}
