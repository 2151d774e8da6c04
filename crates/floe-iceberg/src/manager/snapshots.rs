//! Snapshots of a table.

use floe_core::Result;
use iceberg::TableIdent;

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::model::SnapshotInfo;

impl IcebergTableManager {
    /// Every snapshot of a table, newest first (FR-006). `NoSuchTable`.
    pub async fn list_snapshots(&self, table: &TableIdent) -> Result<Vec<SnapshotInfo>> {
        traced(operation_span!("list_snapshots", table.to_string()), async {
            let loaded = self.catalog.load_table(table).await?;
            SnapshotInfo::list(&loaded.metadata)
        })
        .await
        .map_err(|e| e.with_table(table))
    }
}
