//! Deleting the rows that a filter is true for.

mod position_deletes;
mod remove;

use std::sync::Arc;

use floe_core::{Environment, Result};
use floe_plan::change::{ChangeSet, OperationKind};
use floe_plan::expr::{BoundExpr, Expr};
use floe_plan::guard::{Guard, Isolation, RowOperation};

use super::rows::{RowChange, RowMode, RowOptions, Wanted, find_rows};
use super::write::WriteSession;
use crate::base::TableBase;
pub(crate) use remove::{Removal, remove};

/// The property that chooses how rows are deleted.
const MODE: &str = "write.delete.mode";

/// Removes the rows of a branch's head that `filter` is true for; rows for which it is false or unknown stay.
///
/// Files that match as a whole are removed unread. Other files with such rows are written anew without them, or get
/// position delete files; see [`RowMode`]. Nothing is committed: the change is to be given to the commit path, which
/// has to delete the added files if it fails for certain. When this function fails, what it wrote is deleted, and
/// nothing else. Must run within a tokio runtime.
///
/// Fails with `SnapshotNotFound` for a branch that is not there; `Validation` for a filter that does not fit the schema;
/// `Unsupported`, before anything is written, for rows of tables of format version 3, and for position deletes in version
/// 1; and as reading and writing data files fail.
pub async fn delete(
    base: &TableBase,
    branch: &str,
    filter: &Expr,
    options: &RowOptions,
    env: &dyn Environment,
) -> Result<RowChange> {
    run(base, branch, filter, options, env).await.map_err(|e| e.with_table(&base.table.ident))
}

async fn run(
    base: &TableBase,
    branch: &str,
    filter: &Expr,
    options: &RowOptions,
    env: &dyn Environment,
) -> Result<RowChange> {
    let mode = match options.mode {
        Some(mode) => mode,
        None => RowMode::of_property(base.metadata(), MODE)?,
    };
    let isolation = isolation(base, options)?;
    let matching = filter.bind(base.metadata().current_schema(), options.case_sensitive)?;
    let found = find_rows(base, branch, Wanted::Matching(filter), options).await?;
    let snapshot_id = found.snapshot_id;
    let session = match options.dry_run {
        true => None,
        false => Some(Arc::new(WriteSession::new(&base.table, &options.write_options(), env, None)?)),
    };
    let removal = remove(base, session.as_ref(), found, mode, options).await;
    let mut removal = WriteSession::settle(session, removal).await?;
    if options.dry_run {
        removal.removed.clear();
    }
    let operation = match removal.counts.files_rewritten {
        0 => OperationKind::Delete,
        _ => OperationKind::Overwrite,
    };
    Ok(removal.change(operation, matching, isolation, snapshot_id))
}

/// What the operation is isolated from.
pub(crate) fn isolation(base: &TableBase, options: &RowOptions) -> Result<Isolation> {
    match options.isolation {
        Some(isolation) => Ok(isolation),
        None => Isolation::from_properties(RowOperation::Delete, base.metadata().properties()),
    }
}

impl Removal {
    /// The change that this makes, of rows that `filter` is true for.
    pub(crate) fn change(
        self,
        operation: OperationKind,
        filter: BoundExpr,
        isolation: Isolation,
        read_snapshot_id: Option<i64>,
    ) -> RowChange {
        RowChange {
            change: ChangeSet { operation, added: self.added, removed: self.removed, ..ChangeSet::default() },
            guards: Guard::for_rows(self.read, filter, isolation),
            read_snapshot_id,
            counts: self.counts,
        }
    }
}

#[cfg(test)]
mod tests;
