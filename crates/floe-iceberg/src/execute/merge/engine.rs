//! The one way in which rows are merged: upserts and merges differ by their rules only.

use std::sync::Arc;

use arrow_schema::SchemaRef as ArrowSchemaRef;
use floe_core::{Environment, Result};
use floe_plan::change::OperationKind;
use floe_plan::expr::Expr;
use floe_plan::guard::{Isolation, RowOperation};
use floe_plan::merge::{KeyColumn, MAX_LISTED, RowExpr, Rules};

use super::held::HeldSource;
use super::passes::{Merge, refuse_duplicates};
use super::target::Target;
use super::{MergeChange, MergeCounts};
use crate::base::TableBase;
use crate::data::BatchStream;
use crate::execute::join::{KeyCodec, Source, SourceOptions};
use crate::execute::rewrite::check_rewritable;
use crate::execute::rows::{RowMode, RowOptions};
use crate::execute::write::{WriteOptions, WriteSession};

/// What to merge, and how.
pub(crate) struct MergeJob {
    pub(crate) branch: String,
    /// The columns of the table that rows are joined by; `source` carries their field ids.
    pub(crate) keys: Vec<KeyColumn>,
    /// The table's columns in Arrow form, with field ids.
    pub(crate) schema: ArrowSchemaRef,
    pub(crate) rules: Rules,
    /// What else is true for rows that match.
    pub(crate) on: Option<RowExpr>,
    /// True for every row of the table that can match.
    pub(crate) matching: Expr,
    /// True for every row of the table that changes if nothing matches it.
    pub(crate) others: Expr,
    /// The column of the source that tells which of its rows can match at all.
    pub(crate) mask: Option<usize>,
    /// Whether two rows of the source with one key are an error, even if they match nothing.
    pub(crate) unique: bool,
    pub(crate) mode: RowMode,
}

/// Merges `source` into the head of a branch. Nothing is committed. With `held`, the rows are kept there, and taken from there
/// when they are there already.
pub(crate) async fn merge_rows(
    base: &TableBase,
    source: BatchStream,
    held: Option<&mut HeldSource>,
    job: MergeJob,
    options: &RowOptions,
    env: &dyn Environment,
) -> Result<MergeChange> {
    let isolation = match options.isolation {
        Some(isolation) => isolation,
        None => Isolation::from_properties(RowOperation::Merge, base.metadata().properties())?,
    };
    let target = Target::new(base, &job.branch, options.memory_bytes / 2)?;
    if target.snapshot_id().is_some()
        && (!job.rules.matched.is_empty() || !job.rules.not_matched_by_source.is_empty())
    {
        check_rewritable(base.metadata())?;
    }
    let codec = Arc::new(KeyCodec::new(job.keys.clone())?.with_mask(job.mask));
    let bind = |filter: &Expr| filter.bind(base.metadata().current_schema(), true);
    let (matching, others) = (bind(&job.matching)?, bind(&job.others)?);
    // Half for the source, half for what is written.
    let memory_bytes = (options.memory_bytes / 2).max(64 << 10);
    let how = SourceOptions {
        memory_bytes,
        spill_directory: options.spill_directory.clone(),
        seed: env.random_u64(),
    };
    let kept = held.as_ref().map(|held| held.for_table(base)).transpose()?.flatten();
    let source = if let Some(source) = kept {
        source
    } else {
        let source = Arc::new(Source::take(source, codec.clone(), &how).await?);
        if let Some(held) = held {
            held.keep(base, &source);
        }
        source
    };
    let mut counts =
        MergeCounts { source_rows: source.rows, source_spills: source.spills, ..MergeCounts::default() };
    if job.unique && source.passes() > 1 {
        refuse_duplicates(source.duplicates().await?)?;
    }
    let snapshot_id = target.snapshot_id();
    let session = if options.dry_run {
        None
    } else {
        let write = WriteOptions { memory_bytes, ..options.write_options() };
        Some(Arc::new(WriteSession::new(&base.table, &write, env, None)?))
    };
    let options = RowOptions { memory_bytes, ..options.clone() };
    let max_listed = MAX_LISTED / source.passes().max(1);
    let merge = Merge {
        base,
        job,
        codec,
        target,
        isolation,
        counts,
        ambiguous: 0,
        matching,
        others,
        filters: Vec::new(),
        max_listed,
        rows: None,
    };
    let done = merge.run(source, session.as_ref(), &options).await;
    let (mut removal, merged, filter) = WriteSession::settle(session, done).await?;
    if options.dry_run {
        removal.removed.clear();
    }
    counts = merged;
    counts.files = removal.counts;
    let operation = match (counts.files.rows_removed, counts.files.rows_added, counts.files.files_rewritten) {
        (0, _, _) => OperationKind::Append,
        (_, 0, 0) => OperationKind::Delete,
        _ => OperationKind::Overwrite,
    };
    let rows = removal.change(operation, filter, isolation, snapshot_id);
    Ok(MergeChange { rows, counts })
}
