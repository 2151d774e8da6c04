//! Branches and tags: creating, moving, dropping, rolling back, publishing (Iceberg spec, "Snapshot References").
//!
//! Each function says which updates make the change, for [`commit_updates`](crate::commit::commit_updates). None are
//! needed when the table already is as asked for, so that a repeated call succeeds.
//!
//! ```no_run
//! # async fn f(catalog: &dyn floe_core::CatalogClient, base: floe_iceberg::base::TableBase) -> floe_core::Result<()> {
//! use floe_core::SystemEnvironment;
//! use floe_iceberg::{commit::commit_updates, refs};
//! use floe_plan::backoff::RetryPolicy;
//!
//! let retry = RetryPolicy::default();
//! let make = |table: &iceberg::spec::TableMetadata| refs::create_tag(table, "2024-q1", None, None);
//! commit_updates(catalog, &base, make, &retry, &SystemEnvironment).await?;
//! # Ok(())
//! # }
//! ```

mod pick;
#[cfg(test)]
mod tests;

use floe_core::metadata_file::references;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::lineage::ancestors;
use floe_plan::requirements::refs::branch as head_of;
use floe_plan::state::{States, check_new_name};
use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, SnapshotRef, SnapshotReference, SnapshotRetention, TableMetadata};

pub use pick::{Pick, WAP_ID, cherry_pick, pick, publish, staged};
pub(crate) use pick::{move_for_pick, picked};

/// How long a branch and its snapshots are kept. `None` leaves it to the table's properties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BranchRetention {
    /// At least this many snapshots of the branch are kept.
    pub min_snapshots_to_keep: Option<i32>,
    /// Snapshots of the branch that are younger than this are kept, in milliseconds.
    pub max_snapshot_age_ms: Option<i64>,
    /// The branch itself is kept for this long, in milliseconds.
    pub max_ref_age_ms: Option<i64>,
}

/// A new tag on `snapshot_id`, or on the current snapshot. `max_ref_age_ms` is how long it is kept.
///
/// Fails with `Validation` when the name is taken, `SnapshotNotFound`.
pub fn create_tag(
    table: &TableMetadata,
    name: &str,
    snapshot_id: Option<i64>,
    max_ref_age_ms: Option<i64>,
) -> Result<Vec<TableUpdate>> {
    create(table, name, snapshot_id, SnapshotRetention::Tag { max_ref_age_ms })
}

/// A new branch that begins at `snapshot_id`, or at the current snapshot.
///
/// Fails with `Validation` when the name is taken, `SnapshotNotFound`.
pub fn create_branch(
    table: &TableMetadata,
    name: &str,
    snapshot_id: Option<i64>,
    retention: BranchRetention,
) -> Result<Vec<TableUpdate>> {
    create(table, name, snapshot_id, branch_retention(retention))
}

/// Moves a tag that is there. Fails with `SnapshotNotFound`, or `Validation` when `name` is a branch.
pub fn replace_tag(
    table: &TableMetadata,
    name: &str,
    snapshot_id: Option<i64>,
    max_ref_age_ms: Option<i64>,
) -> Result<Vec<TableUpdate>> {
    replace(table, name, snapshot_id, SnapshotRetention::Tag { max_ref_age_ms })
}

/// Moves a branch that is there, wherever it was. Fails with `SnapshotNotFound`, or `Validation` when `name` is a tag.
pub fn replace_branch(
    table: &TableMetadata,
    name: &str,
    snapshot_id: Option<i64>,
    retention: BranchRetention,
) -> Result<Vec<TableUpdate>> {
    replace(table, name, snapshot_id, branch_retention(retention))
}

/// Drops a tag. Snapshots stay until they expire. Fails with `Validation` when `name` is a branch.
pub fn drop_tag(table: &TableMetadata, name: &str) -> Result<Vec<TableUpdate>> {
    remove(table, name, false)
}

/// Drops a branch. Snapshots stay until they expire. Fails with `Validation` for `main`, or when `name` is a tag.
pub fn drop_branch(table: &TableMetadata, name: &str) -> Result<Vec<TableUpdate>> {
    if name == MAIN_BRANCH {
        return Err(Error::validation(format!("the branch '{MAIN_BRANCH}' cannot be dropped")));
    }
    remove(table, name, true)
}

/// Sets `branch` back to an earlier snapshot of its own history (FR-007).
///
/// Fails with `SnapshotNotFound` when there is no such snapshot or branch, or `Rollback` when the snapshot is not in the
/// history of the branch.
pub fn rollback_to_snapshot(
    table: &TableMetadata,
    branch: &str,
    snapshot_id: i64,
) -> Result<Vec<TableUpdate>> {
    existing_snapshot(table, Some(snapshot_id))?;
    existing_branch(table, branch)?;
    if !history(table, branch).any(|s| s.snapshot_id() == snapshot_id) {
        return Err(Error::new(
            ErrorKind::Rollback,
            format!("snapshot {snapshot_id} is not in the history of '{branch}'"),
        )
        .with_hint("set the current snapshot, if that is what you want"));
    }
    move_to(table, branch, snapshot_id)
}

/// Sets `branch` back to where it was at `timestamp_ms`: for the main branch, the snapshot that a scan at that time reads
/// ([`States::at_time`]); for another branch, which has no log, the snapshot of its history that is the latest by its time
/// and not later, the newest where times are equal.
///
/// Fails with `SnapshotNotFound` when there is no such branch, or `Rollback` when it was not there yet, or was at a snapshot
/// that is gone or is not in its history any more.
pub fn rollback_to_timestamp(
    table: &TableMetadata,
    branch: &str,
    timestamp_ms: i64,
) -> Result<Vec<TableUpdate>> {
    existing_branch(table, branch)?;
    if branch == MAIN_BRANCH {
        let at = States::without_references(table).at_time(timestamp_ms);
        let id = at.map_err(|e| e.with_kind(ErrorKind::Rollback))?.snapshot_id;
        return id.map_or_else(|| Ok(Vec::new()), |id| rollback_to_snapshot(table, branch, id));
    }
    let then = history(table, branch).filter(|s| s.timestamp_ms() <= timestamp_ms);
    // Of equal times, the first is the newest: `max_by_key` gives the last.
    let found = then.collect::<Vec<_>>().into_iter().rev().max_by_key(|s| s.timestamp_ms());
    match found {
        Some(snapshot) => move_to(table, branch, snapshot.snapshot_id()),
        None => Err(Error::new(
            ErrorKind::Rollback,
            format!("the history of '{branch}' has no snapshot that is as old as that"),
        )
        .with_hint("choose a later time")),
    }
}

/// Sets `branch` to any snapshot of the table. Fails with `SnapshotNotFound`.
pub fn set_current_snapshot(
    table: &TableMetadata,
    branch: &str,
    snapshot_id: i64,
) -> Result<Vec<TableUpdate>> {
    existing_snapshot(table, Some(snapshot_id))?;
    move_to(table, branch, snapshot_id)
}

/// Moves `branch` forward to where the branch or tag `to` is. Nothing is lost: the head of `branch` must be in the
/// history of `to`.
///
/// Fails with `SnapshotNotFound`, or `Validation` when `branch` has snapshots that `to` does not have.
pub fn fast_forward(table: &TableMetadata, branch: &str, to: &str) -> Result<Vec<TableUpdate>> {
    let target = table.snapshot_for_ref(to).ok_or_else(|| no_such(to))?.snapshot_id();
    if let Some(head) = table.snapshot_for_ref(branch)
        && !history(table, to).any(|s| s.snapshot_id() == head.snapshot_id())
    {
        return Err(Error::validation(format!("'{branch}' has snapshots that '{to}' does not have"))
            .with_hint("cherry-pick the snapshots of the other branch instead"));
    }
    move_to(table, branch, target)
}

/// The snapshots of a branch or tag, newest first, as far as they have not expired. It ends, whatever the parents say: where
/// they go in a circle, each snapshot comes once.
pub fn history<'t>(table: &'t TableMetadata, name: &str) -> impl Iterator<Item = &'t SnapshotRef> + use<'t> {
    let head = table.snapshot_for_ref(name).map(|head| head.snapshot_id());
    ancestors(table, head).map_while(Result::ok)
}

fn create(
    table: &TableMetadata,
    name: &str,
    snapshot_id: Option<i64>,
    retention: SnapshotRetention,
) -> Result<Vec<TableUpdate>> {
    check_name(name)?;
    let wanted = SnapshotReference::new(existing_snapshot(table, snapshot_id)?, retention);
    match references(table)?.remove(name) {
        None => Ok(vec![set(name, wanted)]),
        Some(there) if there == wanted => Ok(Vec::new()),
        Some(_) => Err(Error::validation(format!("there is a branch or tag named '{name}' already"))
            .with_hint("replace it, or choose another name")),
    }
}

fn replace(
    table: &TableMetadata,
    name: &str,
    snapshot_id: Option<i64>,
    retention: SnapshotRetention,
) -> Result<Vec<TableUpdate>> {
    let wanted = SnapshotReference::new(existing_snapshot(table, snapshot_id)?, retention);
    let there = references(table)?.remove(name).ok_or_else(|| no_such(name))?;
    if there.is_branch() != wanted.is_branch() {
        return Err(wrong_kind(name, there.is_branch()));
    }
    Ok(if there == wanted { Vec::new() } else { vec![set(name, wanted)] })
}

/// A reference that is not there is dropped already.
fn remove(table: &TableMetadata, name: &str, branch: bool) -> Result<Vec<TableUpdate>> {
    match references(table)?.get(name) {
        None => Ok(Vec::new()),
        Some(there) if there.is_branch() != branch => Err(wrong_kind(name, there.is_branch())),
        Some(_) => Ok(vec![TableUpdate::RemoveSnapshotRef { ref_name: name.to_owned() }]),
    }
}

/// Moves a branch, which keeps its retention.
fn move_to(table: &TableMetadata, branch: &str, snapshot_id: i64) -> Result<Vec<TableUpdate>> {
    let retention = match head_of(table, branch)? {
        Some(there) if there.snapshot_id == snapshot_id => return Ok(Vec::new()),
        Some(there) => there.retention,
        None if branch == MAIN_BRANCH => branch_retention(BranchRetention::default()),
        None => return Err(no_such(branch)),
    };
    Ok(vec![set(branch, SnapshotReference::new(snapshot_id, retention))])
}

fn set(name: &str, reference: SnapshotReference) -> TableUpdate {
    TableUpdate::SetSnapshotRef { ref_name: name.to_owned(), reference }
}

fn branch_retention(retention: BranchRetention) -> SnapshotRetention {
    let BranchRetention { min_snapshots_to_keep, max_snapshot_age_ms, max_ref_age_ms } = retention;
    SnapshotRetention::branch(min_snapshots_to_keep, max_snapshot_age_ms, max_ref_age_ms)
}

/// A table without snapshots has a main branch all the same.
fn existing_branch(table: &TableMetadata, branch: &str) -> Result<()> {
    if branch == MAIN_BRANCH || table.snapshot_for_ref(branch).is_some() {
        return Ok(());
    }
    Err(no_such(branch))
}

fn existing_snapshot(table: &TableMetadata, snapshot_id: Option<i64>) -> Result<i64> {
    match snapshot_id.or(table.current_snapshot_id()) {
        Some(id) if table.snapshot_by_id(id).is_some() => Ok(id),
        Some(id) => Err(States::without_references(table).no_snapshot(id)),
        None => Err(Error::new(ErrorKind::SnapshotNotFound, "the table has no snapshot yet")
            .with_hint("write to the table first")),
    }
}

fn check_name(name: &str) -> Result<()> {
    check_new_name(name)?;
    if name == MAIN_BRANCH {
        return Err(Error::validation(format!("'{MAIN_BRANCH}' is the name of the main branch")));
    }
    Ok(())
}

fn no_such(name: &str) -> Error {
    Error::new(ErrorKind::SnapshotNotFound, format!("there is no branch or tag named '{name}'"))
        .with_hint("list the table's branches and tags")
}

fn wrong_kind(name: &str, is_branch: bool) -> Error {
    let (is, is_not) = if is_branch { ("branch", "tag") } else { ("tag", "branch") };
    Error::validation(format!("'{name}' is a {is}, not a {is_not}"))
}
