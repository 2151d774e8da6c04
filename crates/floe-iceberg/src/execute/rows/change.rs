//! What an operation on rows does to the files of a table.

use std::path::PathBuf;

use floe_core::{Error, Result};
use floe_plan::change::ChangeSet;
use floe_plan::guard::{Guard, Isolation};
use iceberg::spec::TableMetadata;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::execute::write::WriteOptions;

/// How rows of data files are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RowMode {
    /// Files are written anew without the rows: more work for the writer, none for readers.
    #[default]
    CopyOnWrite,
    /// Delete files tell readers which rows to leave out: little work for the writer, some for each reader.
    MergeOnRead,
}

impl RowMode {
    /// The name in table properties.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CopyOnWrite => "copy-on-write",
            Self::MergeOnRead => "merge-on-read",
        }
    }

    /// What a property of the table says, such as `write.delete.mode`; copy-on-write if it is not set.
    ///
    /// Fails with `Validation`, naming the property.
    pub fn of_property(metadata: &TableMetadata, property: &str) -> Result<Self> {
        match metadata.properties().get(property).map(|mode| mode.trim().to_ascii_lowercase()) {
            None => Ok(Self::default()),
            Some(mode) if mode == "copy-on-write" => Ok(Self::CopyOnWrite),
            Some(mode) if mode == "merge-on-read" => Ok(Self::MergeOnRead),
            Some(mode) => Err(Error::validation(format!("{property} cannot be '{mode}'"))
                .with_hint("copy-on-write or merge-on-read")),
        }
    }
}

/// How an operation on rows is carried out.
///
/// ```
/// use floe_iceberg::execute::rows::{RowMode, RowOptions};
///
/// let options = RowOptions { mode: Some(RowMode::MergeOnRead), ..RowOptions::default() };
/// assert!(!options.dry_run);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RowOptions {
    /// How rows are removed; what the table's properties say if not set.
    pub mode: Option<RowMode>,
    /// What other writers may do meanwhile; what `write.delete.isolation-level` of the table says if not set.
    pub isolation: Option<Isolation>,
    /// Whether names of columns in filters must have the table's case.
    pub case_sensitive: bool,
    /// Only count: nothing is written.
    pub dry_run: bool,
    /// An overwrite may take rows away though its data has none; without, it is refused.
    pub allow_empty: bool,
    /// Bytes that buffered rows and encoded row groups may take together.
    pub memory_bytes: u64,
    /// Threads that encode; all cores if not set.
    pub parallelism: Option<usize>,
    /// Goes into the names of the files; drawn at random if not set.
    pub operation_id: Option<Uuid>,
    /// Where temporary files go; the folder of the operating system if not set.
    pub spill_directory: Option<PathBuf>,
}

impl Default for RowOptions {
    fn default() -> Self {
        let WriteOptions { memory_bytes, parallelism, operation_id, spill_directory } =
            WriteOptions::default();
        Self {
            mode: None,
            isolation: None,
            case_sensitive: true,
            dry_run: false,
            allow_empty: false,
            memory_bytes,
            parallelism,
            operation_id,
            spill_directory,
        }
    }
}

impl RowOptions {
    pub(crate) fn write_options(&self) -> WriteOptions {
        WriteOptions {
            memory_bytes: self.memory_bytes,
            parallelism: self.parallelism,
            operation_id: self.operation_id,
            spill_directory: self.spill_directory.clone(),
        }
    }
}

/// What is to be committed for an operation on rows, and what it did.
#[derive(Debug, Clone)]
pub struct RowChange {
    /// The files to add and to remove; empty when there is nothing to do, and in a dry run.
    pub change: ChangeSet,
    /// What must not have happened on the branch since `read_snapshot_id` for the change to be right.
    pub guards: Vec<Guard>,
    /// The snapshot that was read; `None` if the branch had none.
    pub read_snapshot_id: Option<i64>,
    /// What was done, or would be.
    pub counts: RowCounts,
}

/// What an operation on rows did. Files are data files, unless they are called otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCounts {
    /// Rows that are removed. Of files that are removed unread, rows that delete files took away before count too.
    pub rows_removed: u64,
    /// Rows of the new data.
    pub rows_added: u64,
    /// Rows of rewritten files that stay.
    pub rows_rewritten: u64,
    /// Files that are removed as a whole, nothing taking their place.
    pub files_removed: u64,
    /// Files that others take the place of, with fewer rows.
    pub files_rewritten: u64,
    /// Files that are added, of new data and of rewritten files.
    pub files_added: u64,
    /// Delete files that are added.
    pub delete_files_added: u64,
    /// Size of the files that are removed or rewritten.
    pub bytes_removed: u64,
    /// Size of all files that are added.
    pub bytes_added: u64,
    /// Files that were opened to look for rows.
    pub files_read: u64,
    /// Row groups of rewritten files that were taken over as they are.
    pub row_groups_copied: u64,
    /// Row groups of rewritten files that were decoded.
    pub row_groups_decoded: u64,
}
