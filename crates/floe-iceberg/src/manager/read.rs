//! Reading: files and rows of a table.

use std::sync::Arc;

use floe_core::{Result, span};
use iceberg::TableIdent;
use tracing::Span;

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::base::{SnapshotSelector, TableBase, TableFile};
use crate::data::BatchStream;
use crate::execute::scan::{PlanStats, ScanMetrics, ScanPlan, ScanRequest, execute_scan, plan_scan};

/// A scan that is under way.
#[derive(Debug)]
pub struct Scan {
    /// The snapshot that is read; `None` when the table has none yet.
    pub snapshot_id: Option<i64>,
    /// What planning pruned.
    pub stats: PlanStats,
    /// What reading did so far; complete when `data` has ended.
    pub metrics: Arc<ScanMetrics>,
    /// The rows.
    pub data: BatchStream,
}

impl IcebergTableManager {
    /// Reads rows of a table (FR-008, FR-023). Files that the filter cannot match are not opened.
    ///
    /// Fails with `NoSuchTable`, `SnapshotNotFound`, `Validation` for a column or filter that does not fit, or
    /// `Corrupted`; the stream itself may fail later on.
    pub async fn scan(&self, table: &TableIdent, request: &ScanRequest) -> Result<Scan> {
        traced(operation_span!("scan", table.to_string()), async {
            let base = self.base(table).await?;
            let plan = plan_scan(&base, request).await?;
            record_snapshot(&plan);
            let metrics = Arc::new(ScanMetrics::default());
            let data = execute_scan(&base.table.file_io, &plan, &metrics)?;
            Ok(Scan { snapshot_id: plan.snapshot_id, stats: plan.stats, metrics, data })
        })
        .await
        .map_err(|e| e.with_table(table))
    }

    /// Decides which files a scan would read, and reads none. The plan is a value: it can be stored, sent
    /// elsewhere, and run there with [`execute_scan`].
    pub async fn plan_scan(&self, table: &TableIdent, request: &ScanRequest) -> Result<ScanPlan> {
        traced(operation_span!("plan_scan", table.to_string()), async {
            let plan = plan_scan(&self.base(table).await?, request).await?;
            record_snapshot(&plan);
            Ok(plan)
        })
        .await
        .map_err(|e| e.with_table(table))
    }

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

fn record_snapshot(plan: &ScanPlan) {
    if let Some(id) = plan.snapshot_id {
        Span::current().record(span::SNAPSHOT_ID, id);
    }
}
