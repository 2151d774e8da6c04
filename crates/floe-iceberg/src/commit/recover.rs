//! Finding out what happened.

use std::collections::HashSet;
use std::time::Duration;

use floe_core::{Action, CatalogClient, Environment, ErrorKind, LoadedTable, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::summary::COMMIT_TOKEN;
use iceberg::TableIdent;
use iceberg::spec::{SnapshotRef, TableMetadata};

use super::{CommitRequest, Committed};
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

/// The commit that was made earlier with the token of `request`, if the branch's history has one.
pub(super) async fn replayed(base: &TableBase, request: &CommitRequest) -> Result<Option<Committed>> {
    let Some(token) = &request.token else { return Ok(None) };
    let found = if request.staged {
        find_staged(base.metadata(), token)
    } else {
        find_token(base.metadata(), &request.branch, token)
    };
    let Some(snapshot) = found else { return Ok(None) };
    // Only files that the earlier commit did not add itself are unused: it may have been given the same ones.
    let mut added = HashSet::new();
    for manifest in base.manifest_files(&snapshot).await?.iter() {
        if manifest.added_snapshot_id == snapshot.snapshot_id() {
            let files = base.live_files(manifest).await?;
            added.extend(files.into_iter().map(|file| file.data_file.file_path().to_owned()));
        }
    }
    let given = request.change.added.iter().map(|added| added.file.file_path().to_owned());
    Ok(Some(Committed {
        table: base.table.clone(),
        snapshot_id: snapshot.snapshot_id(),
        attempts: 0,
        summary: snapshot.summary().clone(),
        unused_files: given.filter(|path| !added.contains(path)).collect(),
    }))
}

/// The snapshot in the history of `branch` that was committed with `token`, if there is one.
pub fn find_token(metadata: &TableMetadata, branch: &str, token: &str) -> Option<SnapshotRef> {
    let mut next = metadata.snapshot_for_ref(branch);
    while let Some(snapshot) = next {
        if snapshot.summary().additional_properties.get(COMMIT_TOKEN).is_some_and(|t| t == token) {
            return Some(snapshot.clone());
        }
        next = snapshot.parent_snapshot_id().and_then(|parent| metadata.snapshot_by_id(parent));
    }
    None
}

/// The snapshot that was committed with `token`, wherever it is: a staged one is in no history.
fn find_staged(metadata: &TableMetadata, token: &str) -> Option<SnapshotRef> {
    let has =
        |s: &&SnapshotRef| s.summary().additional_properties.get(COMMIT_TOKEN).is_some_and(|t| t == token);
    metadata.snapshots().find(has).cloned()
}
