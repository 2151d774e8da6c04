//! What a merge or an upsert did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execute::rows::{RowChange, RowCounts};

/// What is to be committed for a merge or an upsert, and what it did.
#[derive(Debug, Clone)]
pub struct MergeChange {
    /// What is to be committed. [`RowCounts::rows_added`] counts updated and inserted rows, and
    /// [`RowCounts::rows_removed`] updated and deleted ones.
    pub rows: RowChange,
    /// What was done, or would be.
    pub counts: MergeCounts,
}

/// What a merge or an upsert did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MergeCounts {
    /// Rows of the source.
    pub source_rows: u64,
    /// Rows of the table that new ones take the place of.
    pub rows_updated: u64,
    /// Rows of the source that are added.
    pub rows_inserted: u64,
    /// Rows of the table that are removed, nothing taking their place.
    pub rows_deleted: u64,
    /// Rows of the table that match and stay as they are.
    pub rows_unchanged: u64,
    /// Temporary files that were needed to hold the source within the memory allowed; all gone.
    pub source_spills: u64,
    /// What it means for the files of the table.
    pub files: RowCounts,
}
