//! What other writers did since the snapshot that an operation read.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::change::{RemovedFile, partition_type};
use floe_plan::guard::{Guard, NewFile, OtherCommit, ReadFile, check};
use floe_plan::layout::may_list;
use floe_plan::lineage::ancestors;
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{DataContentType, ManifestFile, ManifestStatus, SnapshotRef, StructType, TableMetadata};

use crate::base::{MANIFESTS_AT_A_TIME, TableBase};

/// The snapshots of `branch` after `read`, newest first. `read` is `None` for an operation that found no snapshot.
///
/// Fails with `CommitConflict` when `read` is not in the history of the branch, or that history is not complete; `Corrupted`
/// when it goes in a circle.
pub(super) fn since(metadata: &TableMetadata, branch: &str, read: Option<i64>) -> Result<Vec<SnapshotRef>> {
    let mut since = Vec::new();
    let mut next = metadata.snapshot_for_ref(branch).map(|head| head.snapshot_id());
    for snapshot in ancestors(metadata, next) {
        if next == read {
            break;
        }
        let snapshot = snapshot?;
        since.push(snapshot.clone());
        next = snapshot.parent_snapshot_id();
    }
    if next != read {
        let read = read.map_or_else(|| "the beginning".to_owned(), |id| format!("snapshot {id}"));
        return Err(Error::new(
            ErrorKind::CommitConflict,
            format!("{read}, which this operation read, is not in the history of '{branch}' any more"),
        )
        .with_hint("the branch was rolled back or replaced: run the operation again"));
    }
    Ok(since)
}

/// Commits that were looked at, so that a retry reads only what is new.
#[derive(Debug, Default)]
pub(super) struct History {
    seen: HashMap<i64, OtherCommit>,
}

impl History {
    /// Whether `guards` hold for what happened after `read`. Fails with `CommitConflict`.
    pub(super) async fn check(
        &mut self,
        base: &TableBase,
        branch: &str,
        read: Option<i64>,
        guards: &[Guard],
    ) -> Result<()> {
        let since = since(base.metadata(), branch, read)?;
        if since.is_empty() || guards.is_empty() {
            return Ok(());
        }
        if guards.iter().any(|guard| !matches!(guard, Guard::FilesStillLive { .. })) {
            for snapshot in &since {
                if let Entry::Vacant(unseen) = self.seen.entry(snapshot.snapshot_id()) {
                    unseen.insert(load(base, snapshot).await?);
                }
            }
            let others = since.iter().rev().filter_map(|s| self.seen.get(&s.snapshot_id()));
            check(guards, others, base.metadata())?;
        }
        let files = guards.iter().filter_map(|guard| match guard {
            Guard::FilesStillLive { files } => Some(files),
            _ => None,
        });
        match gone(base, branch, read, files.flatten().collect()).await? {
            None => Ok(()),
            Some(path) => Err(removed(base, &since, &path).await),
        }
    }
}

async fn load(base: &TableBase, snapshot: &SnapshotRef) -> Result<OtherCommit> {
    let id = snapshot.snapshot_id();
    let list = base.manifest_files(snapshot).await?;
    let own: Vec<ManifestFile> = list
        .iter()
        .filter(|m| m.added_snapshot_id == id && m.added_files_count != Some(0))
        .cloned()
        .collect();
    let reads: Vec<_> = own.iter().map(|manifest| added_by(base, manifest, id)).collect();
    let added: Vec<Vec<NewFile>> =
        futures::stream::iter(reads).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
    let operation = snapshot.summary().operation.clone();
    Ok(OtherCommit { snapshot_id: id, operation, added: added.into_iter().flatten().collect() })
}

async fn added_by(base: &TableBase, file: &ManifestFile, snapshot_id: i64) -> Result<Vec<NewFile>> {
    let manifest = base.manifest(file).await?;
    let spec = Arc::new(manifest.partition_spec().clone());
    let mut added = Vec::new();
    for entry in manifest.entries(file) {
        let entry = entry?;
        if entry.status() == ManifestStatus::Added && entry.snapshot_id == snapshot_id {
            added.push(NewFile { spec: spec.clone(), file: entry.data_file()? });
        }
    }
    Ok(added)
}

/// The path of one of `files`, which were live in `read`, that is not live in the head of the branch. Manifests never
/// change, so that only those which one of the two has and the other has not need to be read; of those which `read` has,
/// only those that may list one of the files.
async fn gone(
    base: &TableBase,
    branch: &str,
    read: Option<i64>,
    files: Vec<&ReadFile>,
) -> Result<Option<String>> {
    if files.is_empty() {
        return Ok(None);
    }
    let metadata = base.metadata();
    let before = match read.and_then(|id| metadata.snapshot_by_id(id)) {
        Some(snapshot) => base.manifest_files(snapshot).await?,
        None => Arc::default(),
    };
    let after = match metadata.snapshot_for_ref(branch) {
        Some(snapshot) => base.manifest_files(snapshot).await?,
        None => Arc::default(),
    };
    let paths: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let listed = Places::of(&files);
    let mut missing: HashSet<String> = HashSet::new();
    for manifest in only_in(&before, &after).into_iter().filter(|m| listed.may_be_in(metadata, m)) {
        let live = live_paths(base, manifest, |path| paths.contains(path)).await?;
        missing.extend(live);
    }
    for manifest in only_in(&after, &before) {
        if missing.is_empty() {
            break;
        }
        let found = live_paths(base, manifest, |path| missing.contains(path)).await?;
        missing.retain(|path| !found.contains(path));
    }
    Ok(missing.into_iter().min())
}

/// Where files are listed: one of them for each partition.
struct Places(Vec<RemovedFile>);

impl Places {
    fn of(files: &[&ReadFile]) -> Self {
        let mut seen = HashSet::new();
        let places = files.iter().filter(|file| seen.insert((file.spec_id, &file.partition)));
        let place = |file: &&ReadFile| RemovedFile {
            path: String::new(),
            content: DataContentType::Data,
            spec_id: file.spec_id,
            partition: file.partition.clone(),
            record_count: 0,
            file_size_in_bytes: 0,
            sequence_number: 0,
        };
        Self(places.map(place).collect())
    }

    fn may_be_in(&self, metadata: &TableMetadata, manifest: &ManifestFile) -> bool {
        // Nothing is known of the values of a spec that does not fit the schema any more.
        let of = partition_type(metadata, manifest.partition_spec_id);
        let of = of.unwrap_or_else(|_| StructType::new(Vec::new()));
        self.0.iter().any(|place| may_list(manifest, &of, place))
    }
}

fn only_in<'a>(these: &'a [ManifestFile], those: &[ManifestFile]) -> Vec<&'a ManifestFile> {
    let known: HashSet<&str> = those.iter().map(|m| m.manifest_path.as_str()).collect();
    these.iter().filter(|m| !known.contains(m.manifest_path.as_str())).collect()
}

async fn live_paths(
    base: &TableBase,
    file: &ManifestFile,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let manifest = base.manifest(file).await?;
    let mut found = Vec::new();
    for entry in manifest.entries(file) {
        let entry = entry?;
        if entry.is_live() && wanted(entry.path()?) {
            found.push(entry.path()?.to_owned());
        }
    }
    Ok(found)
}

/// The error for a file that is no longer live, naming who removed it if that can be found out.
pub(super) async fn removed(base: &TableBase, since: &[SnapshotRef], path: &str) -> Error {
    let mut by = None;
    for snapshot in since {
        if deletes(base, snapshot, path).await.unwrap_or(false) {
            by = Some(snapshot);
            break;
        }
    }
    let why = match by {
        Some(s) => {
            let operation = s.summary().operation.as_str();
            format!(
                "snapshot {}, by operation {operation}, removed the file {}",
                s.snapshot_id(),
                masked(path)
            )
        }
        None => format!("the file {} is not part of the table", masked(path)),
    };
    Error::new(ErrorKind::CommitConflict, why).with_hint("run the operation again on the table as it is now")
}

async fn deletes(base: &TableBase, snapshot: &SnapshotRef, path: &str) -> Result<bool> {
    let id = snapshot.snapshot_id();
    for file in base.manifest_files(snapshot).await?.iter() {
        if file.added_snapshot_id != id || file.deleted_files_count == Some(0) {
            continue;
        }
        let manifest = base.manifest(file).await?;
        for entry in manifest.entries(file) {
            let entry = entry?;
            if entry.status() == ManifestStatus::Deleted && entry.snapshot_id == id && entry.path()? == path {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use iceberg::spec::FormatVersion;
    use serde_json::json;

    use super::*;
    use crate::commit::find_token;
    use crate::commit::tests::world::World;

    /// A table whose snapshots 1 and 2 come from each other; 2 is current.
    fn circle() -> TableMetadata {
        let world = World::new(FormatVersion::V2, &[]);
        let mut table = serde_json::to_value(&*world.table().metadata).unwrap();
        let snapshot = |id: i64, parent: i64| {
            json!({
                "snapshot-id": id, "parent-snapshot-id": parent, "sequence-number": id, "timestamp-ms": 1_000 + id,
                "manifest-list": "memory:///l", "summary": {"operation": "append"}, "schema-id": 0,
            })
        };
        table["snapshots"] = json!([snapshot(1, 2), snapshot(2, 1)]);
        table["current-snapshot-id"] = json!(2);
        table["last-sequence-number"] = json!(2);
        table["refs"] = json!({"main": {"snapshot-id": 2, "type": "branch"}});
        table["snapshot-log"] = json!([{"snapshot-id": 2, "timestamp-ms": 1_002}]);
        table["last-updated-ms"] = json!(1_002);
        serde_json::from_value(table).unwrap()
    }

    #[test]
    fn snapshots_that_go_in_a_circle_are_damage_not_a_walk_without_end() {
        let table = circle();
        for read in [None, Some(77)] {
            assert_eq!(since(&table, "main", read).unwrap_err().kind(), ErrorKind::Corrupted);
        }
        assert_eq!(find_token(&table, "main", "none").unwrap_err().kind(), ErrorKind::Corrupted);
        // What is found before the circle closes is found.
        assert_eq!(since(&table, "main", Some(2)).unwrap().len(), 0);
        assert_eq!(since(&table, "main", Some(1)).unwrap().len(), 1);
    }
}
