//! Tags and branches, and moving them.

use floe_core::{Error, Result, metadata_file};
use iceberg::spec::{MAIN_BRANCH, SnapshotReference, TableMetadata};
use iceberg::{TableIdent, TableUpdate};

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::commit::commit_updates;
use crate::refs::{self, BranchRetention};

impl IcebergTableManager {
    /// Every tag and branch of a table, by name. `NoSuchTable`.
    pub async fn list_refs(&self, table: &TableIdent) -> Result<Vec<(String, SnapshotReference)>> {
        traced(operation_span!("list_refs", table.to_string()), async {
            let loaded = self.catalog.load_table(table).await?;
            Ok(metadata_file::references(&loaded.metadata)?.into_iter().collect())
        })
        .await
        .map_err(|e| e.with_table(table))
    }

    /// Makes a tag at `snapshot_id`, or at the current snapshot; with `replace`, moves one that is there.
    /// `max_ref_age_ms` is how long it is kept. `SnapshotNotFound`, `Validation`.
    pub async fn tag(
        &self,
        table: &TableIdent,
        name: &str,
        snapshot_id: Option<i64>,
        max_ref_age_ms: Option<i64>,
        replace: bool,
    ) -> Result<()> {
        let make = if replace { refs::replace_tag } else { refs::create_tag };
        self.move_refs(table, "tag", |m| make(m, name, snapshot_id, max_ref_age_ms)).await
    }

    /// Drops a tag; its snapshot stays until it expires. `SnapshotNotFound`, `Validation`.
    pub async fn drop_tag(&self, table: &TableIdent, name: &str) -> Result<()> {
        self.move_refs(table, "drop_tag", |m| refs::drop_tag(m, name)).await
    }

    /// Makes a branch at `snapshot_id`, or at the current snapshot; with `replace`, moves one that is there.
    /// `SnapshotNotFound`, `Validation`.
    pub async fn branch(
        &self,
        table: &TableIdent,
        name: &str,
        snapshot_id: Option<i64>,
        retention: BranchRetention,
        replace: bool,
    ) -> Result<()> {
        let make = if replace { refs::replace_branch } else { refs::create_branch };
        self.move_refs(table, "branch", |m| make(m, name, snapshot_id, retention)).await
    }

    /// Drops a branch; its snapshots stay until they expire. `SnapshotNotFound`, `Validation`.
    pub async fn drop_branch(&self, table: &TableIdent, name: &str) -> Result<()> {
        self.move_refs(table, "drop_branch", |m| refs::drop_branch(m, name)).await
    }

    /// Sets a branch (`main` when `None`) back to a snapshot of its own history (FR-007). `SnapshotNotFound`,
    /// `Rollback`.
    pub async fn rollback_to_snapshot(
        &self,
        table: &TableIdent,
        branch: Option<&str>,
        snapshot_id: i64,
    ) -> Result<()> {
        let branch = branch.unwrap_or(MAIN_BRANCH);
        self.move_refs(table, "rollback", |m| refs::rollback_to_snapshot(m, branch, snapshot_id)).await
    }

    /// Sets a branch (`main` when `None`) back to where it was at a time, in milliseconds since
    /// 1970-01-01T00:00:00Z. `Rollback`.
    pub async fn rollback_to_timestamp(
        &self,
        table: &TableIdent,
        branch: Option<&str>,
        timestamp_ms: i64,
    ) -> Result<()> {
        let branch = branch.unwrap_or(MAIN_BRANCH);
        self.move_refs(table, "rollback", |m| refs::rollback_to_timestamp(m, branch, timestamp_ms)).await
    }

    /// Sets a branch (`main` when `None`) to any snapshot of the table. `SnapshotNotFound`.
    pub async fn set_current_snapshot(
        &self,
        table: &TableIdent,
        branch: Option<&str>,
        snapshot_id: i64,
    ) -> Result<()> {
        let branch = branch.unwrap_or(MAIN_BRANCH);
        self.move_refs(table, "set_current_snapshot", |m| refs::set_current_snapshot(m, branch, snapshot_id))
            .await
    }

    /// Moves a branch forward to the tag or branch `to`, whose history must hold the branch's head.
    /// `SnapshotNotFound`, `Validation`.
    pub async fn fast_forward(&self, table: &TableIdent, branch: &str, to: &str) -> Result<()> {
        self.move_refs(table, "fast_forward", |m| refs::fast_forward(m, branch, to)).await
    }

    /// Applies the change of a snapshot to a branch (`main` when `None`); the snapshot of the branch that then has it is
    /// the answer. The same call again finds that snapshot, and does nothing.
    /// `SnapshotNotFound`, `Validation`, `CommitConflict`.
    pub async fn cherry_pick(
        &self,
        table: &TableIdent,
        branch: Option<&str>,
        snapshot_id: i64,
    ) -> Result<i64> {
        let branch = branch.unwrap_or(MAIN_BRANCH);
        let run = async {
            let base = self.base(table).await?;
            let retry = self.retry_policy(&base.table)?;
            refs::cherry_pick(&*self.catalog, base, branch, snapshot_id, &retry, &*self.environment).await
        };
        traced(operation_span!("cherry_pick", table.to_string()), Box::pin(run))
            .await
            .map_err(|e| e.with_table(table))
    }

    /// Publishes the staged snapshot with this `wap.id` on a branch (`main` when `None`); the snapshot of the branch that
    /// then has its change is the answer. The same call again finds that snapshot, and does nothing. `SnapshotNotFound`, `Validation`, `CommitConflict`.
    pub async fn publish(&self, table: &TableIdent, branch: Option<&str>, wap_id: &str) -> Result<i64> {
        let branch = branch.unwrap_or(MAIN_BRANCH);
        let run = async {
            let base = self.base(table).await?;
            let retry = self.retry_policy(&base.table)?;
            refs::publish(&*self.catalog, base, branch, wap_id, &retry, &*self.environment).await
        };
        traced(operation_span!("publish", table.to_string()), Box::pin(run))
            .await
            .map_err(|e| e.with_table(table))
    }

    async fn move_refs(
        &self,
        table: &TableIdent,
        operation: &'static str,
        build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>>,
    ) -> Result<()> {
        traced(operation_span!("update_refs", table.to_string()), async {
            let base = self.base(table).await?;
            let retry = self.retry_policy(&base.table)?;
            self.check_storage().await?;
            commit_updates(&*self.catalog, &base, build, &retry, &*self.environment)
                .await
                .map(|_| ())
                .map_err(|e: Error| e.context(operation))
        })
        .await
        .map_err(|e| e.with_table(table))
    }
}
