//! What to read, and the plan of how: values, that can be sent elsewhere.

use floe_core::location::masked;
use std::collections::BTreeMap;
use std::fmt;

use floe_plan::expr::Expr;
use iceberg::spec::SchemaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::SnapshotSelector;
use crate::data::decoding::BATCH_BYTES;

/// How many rows a batch has by default.
pub const DEFAULT_BATCH_SIZE: usize = 16 * 1024;

/// How much memory a scan may take by default, in bytes.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;

/// What to read of a table.
///
/// ```
/// use floe_iceberg::execute::scan::ScanRequest;
///
/// let request = ScanRequest { columns: Some(vec!["id".into()]), limit: Some(10), ..ScanRequest::default() };
/// assert!(request.case_sensitive);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScanRequest {
    /// The columns to give, in this order; a field of a struct as `struct.field`. All when `None`; an empty list
    /// gives batches that have rows and no columns, for counting.
    pub columns: Option<Vec<String>>,
    /// Only rows for which this is true.
    pub filter: Option<Expr>,
    /// Which snapshot to read.
    pub at: SnapshotSelector,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// Whether names of columns must have the table's case.
    pub case_sensitive: bool,
    /// How many rows a batch has at most.
    pub batch_size: usize,
    /// How much memory the scan may take, about, in bytes. Batches have fewer rows where these are wide: a few batches for each
    /// core are under way. One row group at least is read as a whole, and one row is a batch at least.
    pub memory_bytes: u64,
    /// Rows come in the order of files and of rows in each file. Otherwise batches come as soon as they are there.
    pub preserve_order: bool,
}

impl Default for ScanRequest {
    fn default() -> Self {
        Self {
            columns: None,
            filter: None,
            at: SnapshotSelector::Current,
            limit: None,
            case_sensitive: true,
            batch_size: DEFAULT_BATCH_SIZE,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            preserve_order: false,
        }
    }
}

/// How a scan is done. A plan holds no handles: it can be stored, sent, or split by its tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScanPlan {
    /// `namespace.table`.
    pub table: String,
    /// The snapshot that is read; `None` for a table without one.
    #[serde(with = "floe_core::json_id::option")]
    pub snapshot_id: Option<i64>,
    /// The whole schema the rows are read in: the filter's columns are looked up here.
    pub schema: SchemaRef,
    /// The columns that the scan gives.
    pub projection: SchemaRef,
    /// Only rows for which this is true.
    pub filter: Option<Expr>,
    /// As in the request.
    pub case_sensitive: bool,
    /// As in the request.
    pub limit: Option<usize>,
    /// As in the request.
    pub batch_size: usize,
    /// As in the request.
    #[serde(default = "default_memory_bytes")]
    pub memory_bytes: u64,
    /// As in the request.
    pub preserve_order: bool,
    /// The table's `schema.name-mapping.default`, for files without field ids.
    pub name_mapping: Option<String>,
    /// The columns that equality deletes of the tasks compare, those included that the schema no longer has.
    pub delete_columns: Option<SchemaRef>,
    /// A data file each, in the order of the manifests.
    pub tasks: Vec<ScanTask>,
    /// What planning looked at, and what it could leave out.
    pub stats: PlanStats,
}

impl ScanPlan {
    /// How many bytes a batch has at most, unless it is a single row.
    pub fn batch_bytes(&self) -> u64 {
        (self.memory_bytes / 32).clamp(64 << 10, BATCH_BYTES)
    }
}

fn default_memory_bytes() -> u64 {
    DEFAULT_MEMORY_BYTES
}

/// A data file to read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanTask {
    /// Where the file is stored.
    pub path: String,
    /// The size of the file in bytes.
    pub file_size: u64,
    /// How many rows the file has, before deletes.
    pub record_count: u64,
    /// The partition spec of the file.
    pub spec_id: i32,
    /// The data sequence number of the file.
    pub sequence_number: i64,
    /// For columns by which the file is partitioned with the identity transform: their value, by field id, in the
    /// binary form of single values; `None` is NULL. For columns that are not in the file.
    pub constants: BTreeMap<i32, Option<Vec<u8>>>,
    /// The filter is true for every row of the file, so that it need not be evaluated.
    pub all_rows_match: bool,
    /// The delete files that apply to the file.
    pub deletes: Vec<DeleteFile>,
}

/// Without values of the table's data.
impl fmt::Debug for ScanTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanTask")
            .field("path", &masked(&self.path))
            .field("file_size", &self.file_size)
            .field("record_count", &self.record_count)
            .field("spec_id", &self.spec_id)
            .field("sequence_number", &self.sequence_number)
            .field("deletes", &self.deletes)
            .finish_non_exhaustive()
    }
}

/// A delete file (Iceberg spec, "Row-level Deletes").
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeleteFile {
    /// Where the file is stored.
    pub path: String,
    /// The size of the file in bytes.
    pub file_size: u64,
    /// The columns whose values it deletes by, by field id; `None` when it deletes by position.
    pub equality_ids: Option<Vec<i32>>,
}

/// Without values of the table's data.
impl fmt::Debug for DeleteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeleteFile")
            .field("path", &masked(&self.path))
            .field("file_size", &self.file_size)
            .field("equality_ids", &self.equality_ids)
            .finish_non_exhaustive()
    }
}

/// What planning looked at, and what it could leave out. Files are data files, unless they are called otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStats {
    /// Manifests of data files in the snapshot.
    pub manifests_total: u64,
    /// Those that their partition summaries show to hold no file that matches. Their files are not opened, and are
    /// counted from the manifest list.
    pub manifests_pruned: u64,
    /// Live files in the snapshot.
    pub files_total: u64,
    /// Bytes of the live files of manifests that were read.
    pub bytes_total: u64,
    /// Files left out for their partition, those of pruned manifests included.
    pub files_pruned_by_partition: u64,
    /// Files left out for their column metrics.
    pub files_pruned_by_metrics: u64,
    /// Files to read.
    pub files_planned: u64,
    /// Bytes of the files to read.
    pub bytes_planned: u64,
    /// Rows of the files to read, before filter and deletes.
    pub rows_planned: u64,
    /// Different delete files that apply to the files to read.
    pub delete_files: u64,
}
