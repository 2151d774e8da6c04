//! Finding out what happened.

use std::collections::HashSet;
use std::time::Duration;

use floe_core::{Action, CatalogClient, Environment, ErrorKind, LoadedTable, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::summary::COMMIT_TOKEN;
use iceberg::TableIdent;
use iceberg::spec::{Snapshot, SnapshotRef, TableMetadata};

use crate::base::TableBase;

/// Loads the table, and tries again while the catalog cannot be reached.
pub(super) async fn reload(
    catalog: &dyn CatalogClient,
    ident: &TableIdent,
    retry: &RetryPolicy,
    env: &dyn Environment,
) -> Result<LoadedTable> {
    let started = env.now_ms();
    let mut attempt = 0;
    loop {
        let error = match catalog.load_table(ident).await {
            Ok(table) => return Ok(table),
            Err(e) => e,
        };
        let passing = error.kind().action() == Action::Retry || error.kind() == ErrorKind::Io;
        let elapsed = Duration::from_millis((env.now_ms() - started).max(0) as u64);
        match retry.delay(attempt, elapsed, env.random_unit()) {
            Some(pause) if passing => env.sleep(pause).await,
            _ => return Err(error),
        }
        attempt += 1;
    }
}

/// The snapshot that was committed with `token`, if there is one: in the history of `branch`, or anywhere for staged ones.
pub fn find_done(metadata: &TableMetadata, branch: &str, token: &str, staged: bool) -> Option<SnapshotRef> {
    if staged { find_staged(metadata, token) } else { find_token(metadata, branch, token) }
}

/// The paths of the files that snapshots with `token` added.
pub(super) async fn added_with(base: &TableBase, token: &str) -> Result<HashSet<String>> {
    let mut added = HashSet::new();
    for snapshot in base.metadata().snapshots().filter(|snapshot| has_token(snapshot, token)) {
        for manifest in base.manifest_files(snapshot).await?.iter() {
            if manifest.added_snapshot_id == snapshot.snapshot_id() {
                let files = base.live_files(manifest).await?;
                added.extend(files.into_iter().map(|file| file.data_file.file_path().to_owned()));
            }
        }
    }
    Ok(added)
}

/// The snapshot in the history of `branch` that was committed with `token`, if there is one.
pub fn find_token(metadata: &TableMetadata, branch: &str, token: &str) -> Option<SnapshotRef> {
    let mut next = metadata.snapshot_for_ref(branch);
    while let Some(snapshot) = next {
        if has_token(snapshot, token) {
            return Some(snapshot.clone());
        }
        next = snapshot.parent_snapshot_id().and_then(|parent| metadata.snapshot_by_id(parent));
    }
    None
}

/// The snapshot that was committed with `token`, wherever it is: a staged one is in no history.
fn find_staged(metadata: &TableMetadata, token: &str) -> Option<SnapshotRef> {
    metadata.snapshots().find(|snapshot| has_token(snapshot, token)).cloned()
}

fn has_token(snapshot: &Snapshot, token: &str) -> bool {
    snapshot.summary().additional_properties.get(COMMIT_TOKEN).is_some_and(|t| t == token)
}
