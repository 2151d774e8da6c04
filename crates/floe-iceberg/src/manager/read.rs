//! Reading: files and rows of a table.

use floe_core::Result;
use iceberg::TableIdent;

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::base::{SnapshotSelector, TableBase, TableFile};

impl IcebergTableManager {
    /// The live files of a snapshot, data and deletes. `NoSuchTable`, `SnapshotNotFound`.
    pub async fn list_files(&self, table: &TableIdent, at: &SnapshotSelector) -> Result<Vec<TableFile>> {
        traced(operation_span!("list_files", table.to_string()), async {
            self.base(table).await?.files(at).await
        })
        .await
        .map_err(|e| e.with_table(table))
    }

    /// The table as it is now, read through the manager's cache of manifests.
    pub(super) async fn base(&self, table: &TableIdent) -> Result<TableBase> {
        Ok(TableBase::new(self.catalog.load_table(table).await?, self.manifests.clone()))
    }
}
