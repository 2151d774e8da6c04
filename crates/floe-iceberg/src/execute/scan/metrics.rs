//! What a scan did.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counters of a running scan. They are final when the stream of batches has ended.
#[derive(Debug, Default)]
pub struct ScanMetrics {
    pub(super) files_read: AtomicU64,
    pub(super) row_groups_read: AtomicU64,
    pub(super) row_groups_pruned: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) rows_deleted: AtomicU64,
}

/// The values of a [`ScanMetrics`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanSummary {
    /// Data files that were opened.
    pub files_read: u64,
    /// Row groups that were read.
    pub row_groups_read: u64,
    /// Row groups that their statistics showed to hold no row that matches.
    pub row_groups_pruned: u64,
    /// Bytes that were asked of the storage, for data files and delete files.
    pub bytes_read: u64,
    /// Rows that the scan gave.
    pub rows: u64,
    /// Rows that delete files took away, before the filter.
    pub rows_deleted: u64,
}

impl ScanMetrics {
    /// The counters as they are now.
    pub fn summary(&self) -> ScanSummary {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScanSummary {
            files_read: get(&self.files_read),
            row_groups_read: get(&self.row_groups_read),
            row_groups_pruned: get(&self.row_groups_pruned),
            bytes_read: get(&self.bytes_read),
            rows: get(&self.rows),
            rows_deleted: get(&self.rows_deleted),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
