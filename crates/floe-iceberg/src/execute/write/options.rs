//! What a caller may choose about writing data files.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How data files are written. What they look like is up to the table's properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WriteOptions {
    /// Bytes that buffered rows and encoded row groups may take together. Row groups are kept small enough
    /// to fit; partitioned rows beyond it go to temporary files.
    pub memory_bytes: u64,
    /// Threads that encode; all cores if not set.
    pub parallelism: Option<usize>,
    /// Goes into the names of the files; drawn at random if not set.
    pub operation_id: Option<Uuid>,
    /// Where temporary files go; the folder of the operating system if not set.
    pub spill_directory: Option<PathBuf>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, parallelism: None, operation_id: None, spill_directory: None }
    }
}

/// How far a write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteProgress {
    /// Rows taken from the source.
    pub rows: u64,
    /// Bytes handed to the storage.
    pub bytes: u64,
}

/// Called now and then while a write runs, from any thread. Must return quickly.
pub type ProgressFn = Arc<dyn Fn(WriteProgress) + Send + Sync>;
