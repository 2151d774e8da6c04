//! The commit loop: one path for every kind of write.
//!
//! An `Operation` holds what is drawn or written once, however often the commit is tried: snapshot id, token,
//! manifests of the added files, merged manifests. An attempt lays the manifests of the head out, writes one
//! manifest list and proposes the snapshot to the catalog. Its outcome is a value: committed, conflict, or
//! unknown, in which case the table's history tells, and nothing is deleted.

mod avro;
mod counts;
mod draft;
mod history;
mod list;
mod manifest;
mod manifests;
mod merges;
mod operation;
mod paths;
mod pending;
mod prepared;
mod recover;
mod removals;
mod request;
mod sweep;
mod targets;
mod updates;

#[cfg(test)]
pub(crate) mod test_avro {
    pub(crate) use super::avro::{bytes, long};
}

use std::collections::HashMap;
use std::time::Duration;

use floe_core::{
    Action, CatalogClient, CommitOutcome, CommitTurn, Environment, Error, ErrorKind, LoadedTable, Result,
};
use floe_plan::layout::LayoutPolicy;
use floe_plan::summary::check_properties;
use iceberg::spec::{Summary, TableMetadata};
use tracing::{debug, warn};

pub use pending::Pending;
pub(crate) use prepared::prepared;
pub use recover::find_token;
pub(crate) use recover::{STAGED, find_done, input_of, later, other_input};
pub use request::{CommitRequest, CommitStrategy};
pub use updates::{UpdatedTable, commit_updates};

use crate::base::TableBase;
use manifest::Compression;
use operation::{Operation, Seen};

/// A commit that happened.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The table with the snapshot in it.
    pub table: LoadedTable,
    /// The snapshot that holds the change; of several, the last one.
    pub snapshot_id: i64,
    /// The snapshots that were added, in order; when an earlier commit was found, its last one.
    pub snapshot_ids: Vec<i64>,
    /// How many times the snapshot was proposed; 0 when an earlier commit with the same token was found.
    pub attempts: u32,
    /// The summary of the snapshot.
    pub summary: Summary,
    /// Files of the change set that no snapshot refers to, because an earlier commit with the same token had
    /// added others in their place. They can be deleted. Empty otherwise.
    pub unused_files: Vec<String>,
}

/// A commit that did not happen, or of which it is not known.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Why.
    pub(crate) error: Error,
    /// Whether another writer changed what the operation read, and nothing of it can have taken effect: it can be run
    /// again on the table as it is now.
    pub(crate) stale: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, stale: false }
    }
}

/// Makes a snapshot of `request.change` on top of the branch, and tries again when others come first (FR-026,
/// FR-028, FR-029).
///
/// `base` is the table the change was made for; files it needs are read through its cache, and the manifest list
/// that is written is kept there for the next commit.
///
/// Errors: `Validation` when the change does not fit the table (nothing is written); `CommitConflict` when every
/// attempt met another commit; `CommitStateUnknown` when the last word of the catalog got lost and the history
/// does not tell; else what the catalog or the storage answered. After any error but `CommitStateUnknown` the
/// table is as if the commit had never been tried, and the files this function wrote are deleted, as far as that
/// is certain to be safe.
pub async fn commit(
    catalog: &dyn CatalogClient,
    base: TableBase,
    request: CommitRequest,
    env: &dyn Environment,
) -> Result<Committed> {
    let ident = base.table.ident.clone();
    commit_in(catalog, base, request, CommitTurn::none(), env).await.map_err(|e| e.error.with_table(ident))
}

/// The same in a turn that is held already; tells whether what failed may be run again.
pub(crate) async fn commit_in(
    catalog: &dyn CatalogClient,
    base: TableBase,
    request: CommitRequest,
    turn: CommitTurn,
    env: &dyn Environment,
) -> Result<Committed, Refused> {
    let mut operation =
        Operation::new(&base, request.retry, request.token.clone(), request.fingerprint.clone());
    if let Err(e) = operation.add_snapshot(&base, &base, request, env) {
        return Err(operation.give_up(&base, e).await.into());
    }
    drive(catalog, base, operation, turn, env).await
}

/// Checks what a commit takes from the table's properties and from the caller, so that it is refused before files are
/// written: properties of the snapshot, and the settings of manifests.
///
/// Fails with `Validation`, naming the property.
pub(crate) fn check_settings(
    metadata: &TableMetadata,
    snapshot_properties: &HashMap<String, String>,
) -> Result<()> {
    check_properties(snapshot_properties)?;
    LayoutPolicy::from_properties(metadata.properties())?;
    Compression::from_properties(metadata.properties())?;
    Ok(())
}

/// Tries until it is decided. The first attempt is made in `turn`, if that is held.
async fn drive(
    catalog: &dyn CatalogClient,
    mut base: TableBase,
    mut operation: Operation,
    mut turn: CommitTurn,
    env: &dyn Environment,
) -> Result<Committed, Refused> {
    match operation.replayed(&base).await {
        Ok(None) => {}
        Ok(Some(earlier)) => return Ok(earlier),
        Err(e) => return Err(operation.give_up(&base, e).await.into()),
    }
    let started = env.now_ms();
    for attempt in 1_u32.. {
        if let Err(e) = operation.prepare(&base).await {
            return Err(operation.refuse(&base, e).await);
        }
        let ident = base.table.ident.clone();
        if !turn.is_held() {
            turn = catalog.turn(&ident).await;
        }
        // Whoever has the turn goes on from the newest head. One that cannot be loaded is the commit's to report.
        if turn.is_held()
            && let Ok(table) = catalog.load_table(&ident).await
            && table.metadata_location != base.table.metadata_location
        {
            base.table = table;
            match operation.look(&base).await {
                Err(e) => return Err(operation.give_up(&base, e).await.into()),
                Ok(Seen::Ours) => {
                    drop(turn);
                    let table = base.table.clone();
                    return Ok(operation.finish(table, &base, attempt).await?);
                }
                Ok(Seen::Replayed(earlier)) => return Ok(*earlier),
                Ok(Seen::Unfit(e)) => return Err(operation.refuse(&base, e).await),
                Ok(Seen::Fit) => {}
            }
        }
        let proposal = match operation.propose(&base, env).await {
            Ok(proposal) => proposal,
            Err(e) => return Err(operation.refuse(&base, e).await),
        };
        operation.cannot_be_cancelled();
        let outcome = catalog.commit(&ident, &proposal.requirements, &proposal.updates).await;
        turn = CommitTurn::none();
        let error = match outcome {
            Ok(CommitOutcome::Committed(table)) => {
                return Ok(operation.finish(table, &base, attempt).await?);
            }
            Ok(CommitOutcome::Conflict(e)) => e.with_kind(ErrorKind::CommitConflict),
            Ok(CommitOutcome::Unknown(e)) => {
                operation.in_doubt(proposal.stand);
                e.with_kind(ErrorKind::CommitStateUnknown)
            }
            // It did not happen, and may if it is tried again: the catalog was locked, or out of reach.
            Err(e) if e.kind().action() == Action::Retry => e,
            Err(e) => return Err(operation.give_up(&base, e).await.into()),
        };
        let elapsed = Duration::from_millis((env.now_ms() - started).max(0) as u64);
        let pause = operation.retry.delay(attempt - 1, elapsed, env.random_unit());
        debug!(attempt, kind = error.kind().as_str(), again = pause.is_some(), "commit did not go through");
        // Look at the table even when there is no attempt left: a lost reply may have been a success.
        env.sleep(pause.unwrap_or(Duration::ZERO)).await;
        match recover::reload(catalog, &ident, &operation.retry, env).await {
            Ok(table) => base.table = table,
            Err(e) => {
                warn!(
                    kind = e.kind().as_str(),
                    "the table cannot be loaded after a commit that did not go through"
                );
                return Err(operation.give_up_unseen(error, e).into());
            }
        }
        let seen = match operation.look(&base).await {
            Ok(seen) => seen,
            Err(e) => return Err(operation.give_up(&base, e).await.into()),
        };
        match seen {
            Seen::Ours => {
                let table = base.table.clone();
                return Ok(operation.finish(table, &base, attempt).await?);
            }
            Seen::Replayed(earlier) => return Ok(*earlier),
            Seen::Fit | Seen::Unfit(_) => {}
        }
        if pause.is_none() && base.metadata().uuid() == operation.table_uuid {
            let error = error.context(format!("the commit was tried {attempt} times"));
            return Err(operation.give_up(&base, error).await.into());
        }
        if let Seen::Unfit(e) = seen {
            return Err(operation.refuse(&base, e).await);
        }
    }
    Err(Error::new(ErrorKind::CommitConflict, "the commit was tried too often").into())
}

#[cfg(test)]
pub(crate) mod tests;
