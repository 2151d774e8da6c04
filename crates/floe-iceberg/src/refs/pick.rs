//! Applying a snapshot of elsewhere to a branch: cherry-pick, and publishing of staged snapshots.

use std::collections::HashMap;

use floe_core::{CatalogClient, Environment, Error, ErrorKind, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::change::{ChangeSet, OperationKind, RemovedFile, TableFile};
use floe_plan::guard::Guard;
use floe_plan::state::States;
use floe_plan::summary::REPLACE_PARTITIONS;
use iceberg::TableUpdate;
use iceberg::spec::{
    MAIN_BRANCH, ManifestStatus, Operation, SnapshotLog, SnapshotRef, TableMetadata, TableMetadataRef,
};

use super::{history, move_to};
use crate::base::TableBase;
use crate::commit::{CommitRequest, commit, commit_updates};

/// The summary key with which a writer marks a staged snapshot.
pub const WAP_ID: &str = "wap.id";
const PUBLISHED_WAP_ID: &str = "published-wap-id";
const SOURCE_SNAPSHOT_ID: &str = "source-snapshot-id";

/// What applying a snapshot to a branch takes.
#[derive(Debug)]
pub enum Pick {
    /// The branch is moved to the snapshot: it was made on top of the head.
    FastForward(Vec<TableUpdate>),
    /// The branch has the changes already, with this snapshot: nothing is to be done.
    Done(i64),
    /// A new snapshot with the same files.
    Commit(Box<CommitRequest>),
}

/// How the changes of `snapshot_id` get into `branch`.
///
/// A snapshot that was picked and rolled back since can be picked again.
///
/// Fails with `SnapshotNotFound`; `Validation` when another snapshot with the same `wap.id` is in the branch already, or
/// when the snapshot is neither an append nor an overwrite of whole partitions and was not made on top of the head.
pub async fn pick(base: &TableBase, branch: &str, snapshot_id: i64) -> Result<Pick> {
    let table = base.metadata();
    let snapshot = table
        .snapshot_by_id(snapshot_id)
        .ok_or_else(|| States::without_references(table).no_snapshot(snapshot_id))?;
    if let Some(done) = picked_by(table, branch, snapshot)? {
        return Ok(Pick::Done(done));
    }
    let head = table.snapshot_for_ref(branch).map(|s| s.snapshot_id());
    if snapshot.parent_snapshot_id() == head {
        return Ok(Pick::FastForward(move_to(table, branch, snapshot_id)?));
    }
    let summary = &snapshot.summary().additional_properties;
    let replaces = summary.get(REPLACE_PARTITIONS).is_some_and(|flag| flag == "true");
    let operation = match snapshot.summary().operation {
        Operation::Append => OperationKind::Append,
        Operation::Overwrite if replaces => OperationKind::Overwrite,
        _ => {
            return Err(Error::validation(format!(
                "snapshot {snapshot_id} cannot be picked: it is neither an append nor an overwrite of whole \
                 partitions, and '{branch}' has moved since"
            ))
            .with_hint("run the operation again on the branch"));
        }
    };
    let change = changes(base, snapshot, operation).await?;
    let mut properties = HashMap::from([(SOURCE_SNAPSHOT_ID.to_owned(), snapshot_id.to_string())]);
    if let Some(id) = summary.get(WAP_ID) {
        properties.insert(PUBLISHED_WAP_ID.to_owned(), id.clone());
    }
    let mut request = CommitRequest {
        branch: branch.to_owned(),
        picked_from: Some(snapshot_id),
        snapshot_properties: properties,
        token: Some(format!("pick-{snapshot_id}")),
        fingerprint: Some(format!("pick-{snapshot_id}")),
        ..CommitRequest::new(change)
    };
    if replaces {
        request.change.replaces_partitions = true;
        let partitions = request.change.added.iter().map(|f| (f.spec_id, f.file.partition().clone()));
        request.guards.push(Guard::NoNewFilesInPartitions { partitions: partitions.collect() });
        // What was replaced was decided on top of the parent.
        request.read_snapshot_id = snapshot.parent_snapshot_id();
    }
    Ok(Pick::Commit(Box::new(request)))
}

/// Applies the changes of a snapshot to `branch`, and returns the snapshot that the branch then has.
///
/// Errors: those of [`pick`], [`commit`](crate::commit::commit()) and [`commit_updates`].
pub async fn cherry_pick(
    catalog: &dyn CatalogClient,
    base: TableBase,
    branch: &str,
    snapshot_id: i64,
    retry: &RetryPolicy,
    env: &dyn Environment,
) -> Result<i64> {
    let ident = base.table.ident.clone();
    let how = pick(&base, branch, snapshot_id).await.map_err(|e| e.with_table(ident.clone()))?;
    let done = match how {
        Pick::FastForward(updates) => {
            let build = move_for_pick(base.table.metadata.clone(), branch, snapshot_id, updates);
            let done = commit_updates(catalog, &base, build, retry, env).await;
            // Another writer may have committed the change again.
            done.and_then(
                |done| Ok(picked(&done.table.metadata, branch, snapshot_id)?.unwrap_or(snapshot_id)),
            )
        }
        Pick::Done(done) => Ok(done),
        Pick::Commit(request) => {
            let request = CommitRequest { retry: *retry, ..*request };
            commit(catalog, base, request, env).await.map(|committed| committed.snapshot_id)
        }
    };
    match done {
        // Another writer may have picked it: then the branch has what was asked for.
        Err(e) if e.kind() == ErrorKind::CommitConflict => {
            let now = catalog.load_table(&ident).await;
            let by = now.ok().and_then(|now| picked(&now.metadata, branch, snapshot_id).ok().flatten());
            by.ok_or(e)
        }
        done => done,
    }
}

/// What moves `branch` to `snapshot_id` by `updates`, which were made for `before`: only upon the head that the branch had
/// there. What another writer picked needs no updates, be it that it was rolled back since: trying again would bring
/// back what was rolled back.
pub(crate) fn move_for_pick(
    before: TableMetadataRef,
    branch: &str,
    snapshot_id: i64,
    updates: Vec<TableUpdate>,
) -> impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>> + Send + Sync + 'static {
    let branch = branch.to_owned();
    let head = |table: &TableMetadata, branch: &str| table.snapshot_for_ref(branch).map(|s| s.snapshot_id());
    move |table| {
        // Only the main branch has a log of where it was.
        let new = |entry: &&SnapshotLog| branch == MAIN_BRANCH && !before.history().contains(entry);
        let was_there = table.history().iter().filter(new).any(|entry| entry.snapshot_id == snapshot_id);
        if was_there || picked(table, &branch, snapshot_id)?.is_some() {
            return Ok(Vec::new());
        }
        if head(table, &branch) == head(&before, &branch) {
            return Ok(updates.clone());
        }
        Err(Error::new(ErrorKind::CommitConflict, format!("'{branch}' has moved meanwhile"))
            .with_hint("pick the snapshot again"))
    }
}

/// The snapshot of `branch` that has the changes of `snapshot_id`.
///
/// Fails with `CommitConflict` when there is no such snapshot any more, and `Validation` when there are other changes with
/// its `wap.id`.
pub(crate) fn picked(table: &TableMetadata, branch: &str, snapshot_id: i64) -> Result<Option<i64>> {
    match table.snapshot_by_id(snapshot_id) {
        Some(snapshot) => picked_by(table, branch, snapshot),
        None => Err(Error::new(
            ErrorKind::CommitConflict,
            format!("snapshot {snapshot_id}, whose change is picked, has expired meanwhile"),
        )),
    }
}

/// The staged snapshot with this `wap.id`. Fails with `SnapshotNotFound`, or `Validation` when there are several.
pub fn staged<'t>(table: &'t TableMetadata, wap_id: &str) -> Result<&'t SnapshotRef> {
    let has = |s: &&SnapshotRef| s.summary().additional_properties.get(WAP_ID).is_some_and(|id| id == wap_id);
    let mut found = table.snapshots().filter(has);
    match (found.next(), found.next()) {
        (Some(snapshot), None) => Ok(snapshot),
        (None, _) => Err(Error::new(ErrorKind::SnapshotNotFound, "no staged snapshot has this wap.id")
            .with_hint("list the snapshots; it may have expired")),
        (Some(_), Some(_)) => Err(Error::validation("several staged snapshots have this wap.id")
            .with_hint("cherry-pick one of them by its snapshot id")),
    }
}

/// Publishes the staged snapshot with this `wap.id` on `branch` (write-audit-publish).
///
/// A snapshot that is published already is published no more: the snapshot that has its changes is the answer.
///
/// Errors: those of [`staged`] and [`cherry_pick`].
pub async fn publish(
    catalog: &dyn CatalogClient,
    base: TableBase,
    branch: &str,
    wap_id: &str,
    retry: &RetryPolicy,
    env: &dyn Environment,
) -> Result<i64> {
    let ident = base.table.ident.clone();
    let snapshot_id = staged(base.metadata(), wap_id).map_err(|e| e.with_table(ident))?.snapshot_id();
    cherry_pick(catalog, base, branch, snapshot_id, retry, env).await
}

/// The snapshot of `branch` that has the changes of `snapshot`. Fails with `Validation` when there are other changes with
/// its `wap.id`.
fn picked_by(table: &TableMetadata, branch: &str, snapshot: &SnapshotRef) -> Result<Option<i64>> {
    let id = snapshot.snapshot_id();
    let wap_id = snapshot.summary().additional_properties.get(WAP_ID);
    for ancestor in history(table, branch) {
        let summary = &ancestor.summary().additional_properties;
        let by = ancestor.snapshot_id();
        if by == id || summary.get(SOURCE_SNAPSHOT_ID).is_some_and(|source| *source == id.to_string()) {
            return Ok(Some(by));
        }
        let same =
            |wap: &String| summary.get(WAP_ID) == Some(wap) || summary.get(PUBLISHED_WAP_ID) == Some(wap);
        if wap_id.is_some_and(same) {
            return Err(Error::validation(format!(
                "changes with the wap.id of snapshot {id} are in '{branch}' already, with snapshot {by}"
            )));
        }
    }
    Ok(None)
}

/// The files that a snapshot added and removed.
async fn changes(base: &TableBase, snapshot: &SnapshotRef, operation: OperationKind) -> Result<ChangeSet> {
    let id = snapshot.snapshot_id();
    let mut change = ChangeSet { operation, ..ChangeSet::default() };
    for file in base.manifest_files(snapshot).await?.iter().filter(|file| file.added_snapshot_id == id) {
        let manifest = base.manifest(file).await?;
        let spec_id = manifest.partition_spec().spec_id();
        for entry in manifest.entries(file) {
            let entry = entry?;
            if entry.snapshot_id != id {
                continue;
            }
            match entry.status() {
                ManifestStatus::Added => change.added.push(TableFile { spec_id, file: entry.data_file()? }),
                ManifestStatus::Deleted => {
                    let removed = RemovedFile::new(spec_id, &entry.data_file()?, entry.sequence_number);
                    change.removed.push(removed);
                }
                ManifestStatus::Existing => {}
            }
        }
    }
    Ok(change)
}
