//! Merges as SQL has them.

use floe_core::{Environment, Result};
use floe_plan::merge::{MergeSpec, bind};
use futures::StreamExt;
use iceberg::spec::MAIN_BRANCH;
use serde::{Deserialize, Serialize};

use super::{HeldSource, MergeChange, MergeJob, merge_rows};
use crate::base::TableBase;
use crate::data::BatchStream;
use crate::execute::rows::{RowMode, RowOptions};

/// The property that chooses how rows are removed.
const MODE: &str = "write.merge.mode";

/// How a merge is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MergeOptions {
    /// Which rows match, and what becomes of rows.
    pub spec: MergeSpec,
    /// The branch whose head is changed.
    pub branch: String,
    /// How rows are removed and written. The mode is what `write.merge.mode` says, if not set.
    pub rows: RowOptions,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self { spec: MergeSpec::default(), branch: MAIN_BRANCH.to_owned(), rows: RowOptions::default() }
    }
}

/// Merges `source` into the head of a branch, as [`MergeOptions`] say; what expressions mean is told by
/// [`floe_plan::merge::bind`].
///
/// A row of the table that several rows of the source would change is an error that counts such rows; to be deleted by
/// several is to be deleted. Rows of the source that match nothing are each inserted, equal or not.
///
/// Of the table, only files and row groups are read that may hold a row that matches, and of these the key columns first;
/// for clauses about rows that nothing matches, only the columns that these look at, where their conditions may be true.
/// The source is held in memory up to half of `rows.memory_bytes`, and beyond that in temporary files; columns of it that
/// no clause looks at are not held.
///
/// Nothing is committed: the change is to be given to the commit path, which has to delete the added files if it fails
/// for certain. When this function fails, what it wrote is deleted. Must run within a tokio runtime.
///
/// Fails with `Validation` for what is wrong with the merge, told before anything is read, for a row of the table that
/// several rows of the source would change, and for values that cannot be computed; `Unsupported` without a column that
/// rows are joined by, for rows of tables of format version 3, and for merge-on-read in version 1; `SnapshotNotFound` for a
/// branch that is not there; `SchemaMismatch` for NULL in a required column; and as reading and writing data files fail.
pub async fn merge(
    base: &TableBase,
    source: BatchStream,
    options: &MergeOptions,
    env: &dyn Environment,
) -> Result<MergeChange> {
    merge_held(base, source, None, options, env).await
}

/// The same with a source that is held for another run, or was.
pub(crate) async fn merge_held(
    base: &TableBase,
    source: BatchStream,
    held: Option<&mut HeldSource>,
    options: &MergeOptions,
    env: &dyn Environment,
) -> Result<MergeChange> {
    // A large future: callers need not hold it.
    Box::pin(run(base, source, held, options, env)).await.map_err(|e| e.with_table(&base.table.ident))
}

async fn run(
    base: &TableBase,
    source: BatchStream,
    held: Option<&mut HeldSource>,
    options: &MergeOptions,
    env: &dyn Environment,
) -> Result<MergeChange> {
    let schema = base.metadata().current_schema();
    let now_us = env.now_ms().saturating_mul(1000);
    let merge = bind(&options.spec, &source.schema, schema, now_us)?;
    let mode = match options.rows.mode {
        Some(mode) => mode,
        None => RowMode::of_property(base.metadata(), MODE)?,
    };
    let job = MergeJob {
        branch: options.branch.clone(),
        keys: merge.keys,
        schema: merge.schema,
        rules: merge.rules,
        on: merge.on,
        matching: merge.matching,
        others: merge.others,
        mask: merge.source.mask(),
        unique: false,
        mode,
    };
    let ready = merge.source;
    let target = ready.schema().clone();
    let rows = source.stream.map(move |batch| ready.prepare(&batch?)).boxed();
    // On the heap: a merge holds much across its pauses.
    Box::pin(merge_rows(base, BatchStream::new(target, rows), held, job, &options.rows, env)).await
}
