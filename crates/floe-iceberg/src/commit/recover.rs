//! Finding out what happened.

use std::collections::HashSet;
use std::time::Duration;

use floe_core::{Action, CatalogClient, Environment, Error, ErrorKind, LoadedTable, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::lineage::ancestors;
use floe_plan::summary::input::{InputDigest, Sameness};
use floe_plan::summary::{COMMIT_INPUT, COMMIT_OPERATION, COMMIT_TOKEN};
use iceberg::TableIdent;
use iceberg::spec::{Snapshot, SnapshotRef, TableMetadata};

use crate::base::TableBase;

/// What the fingerprint of an operation begins with when its snapshot is staged.
pub(crate) const STAGED: &str = "staged-";

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

/// The snapshot that was committed with `token`, if there is one: in the history of a branch, or anywhere for staged ones.
/// A snapshot that was rolled back is in no history, and does not count: its operation can be done again.
///
/// Fails with `Validation` when it was another operation than that of `fingerprint`, or when it is staged and the new one
/// would not be.
pub(crate) fn find_done(
    metadata: &TableMetadata,
    (branch, staged): (&str, bool),
    token: &str,
    fingerprint: Option<&str>,
) -> Result<Option<SnapshotRef>> {
    let found = if staged { find_staged(metadata, token) } else { find_token(metadata, branch, token)? };
    if found.is_none()
        && let Some(staged) = find_staged(metadata, token).filter(|snapshot| is_staged(snapshot))
    {
        let id = staged.snapshot_id();
        return Err(Error::validation(format!("the idempotency key belongs to the staged snapshot {id}"))
            .with_hint("publish that snapshot, or choose another key"));
    }
    let Some(snapshot) = found else { return Ok(None) };
    // Snapshots of earlier versions do not tell what their operation was.
    let was = snapshot.summary().additional_properties.get(COMMIT_OPERATION);
    if let (Some(was), Some(fingerprint)) = (was, fingerprint)
        && was.trim_start_matches(STAGED) != fingerprint.trim_start_matches(STAGED)
    {
        let kind = |fingerprint: &str| {
            fingerprint
                .trim_start_matches(STAGED)
                .split_once('-')
                .map_or("other", |(kind, _)| kind)
                .to_owned()
        };
        let (id, was, now) = (snapshot.snapshot_id(), kind(was), kind(fingerprint));
        return Err(Error::validation(format!(
            "the idempotency key was used for another operation: snapshot {id} is of {was}, and this is {now} or has \
             another target"
        ))
        .with_hint("choose a key that no other operation has"));
    }
    Ok(Some(snapshot))
}

/// Fails with `Validation` when `snapshot`, which was committed with the token of an operation, had another input than that
/// operation. `None` for an operation that does not tell. Snapshots of earlier versions do not tell either.
pub(crate) fn check_input(snapshot: &Snapshot, input: Option<&str>) -> Result<()> {
    let (Some(was), Some(is)) = (input_of(snapshot), input) else { return Ok(()) };
    if was == is {
        return Ok(());
    }
    let (Some(was), Some(is)) = (InputDigest::parse_all(was), InputDigest::parse_all(is)) else {
        return Err(other_input(snapshot, Sameness::Incomparable));
    };
    if was.len() != is.len() {
        return Err(other_input(snapshot, Sameness::Other));
    }
    for (was, is) in was.iter().zip(&is) {
        let same = was.is_same(is);
        if same != Sameness::Same {
            return Err(other_input(snapshot, same));
        }
    }
    Ok(())
}

/// The later one of two snapshots of an operation: the last one of several tells all of its inputs.
pub(crate) fn later(one: Option<SnapshotRef>, other: Option<SnapshotRef>) -> Option<SnapshotRef> {
    let inputs = |snapshot: &SnapshotRef| input_of(snapshot).map_or(0, |text| text.split(';').count());
    let at = |s: &SnapshotRef| (s.sequence_number(), s.timestamp_ms(), inputs(s));
    one.into_iter().chain(other).max_by_key(at)
}

/// What the operation of a snapshot took as its input, if it tells.
pub(crate) fn input_of(snapshot: &Snapshot) -> Option<&str> {
    snapshot.summary().additional_properties.get(COMMIT_INPUT).map(String::as_str)
}

/// The error for a key that comes with another input than that of the operation which made `snapshot`.
pub(crate) fn other_input(snapshot: &Snapshot, found: Sameness) -> Error {
    let id = snapshot.snapshot_id();
    let what = match found {
        Sameness::Incomparable => {
            format!(
                "the idempotency key was used for snapshot {id}, and whether its input was the same cannot be told"
            )
        }
        _ => format!(
            "the idempotency key was used for snapshot {id} with another input: nothing of this one is written"
        ),
    };
    Error::validation(what).with_hint(
        "choose a new key for a new input, repeat the call with the input of the first one, or let the key alone decide \
         (any_input)",
    )
}

fn is_staged(snapshot: &Snapshot) -> bool {
    let operation = snapshot.summary().additional_properties.get(COMMIT_OPERATION);
    operation.is_some_and(|operation| operation.starts_with(STAGED))
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

/// The snapshot in the history of `branch` that was committed with `token`, if there is one. `Corrupted` where that history
/// goes in a circle.
pub fn find_token(metadata: &TableMetadata, branch: &str, token: &str) -> Result<Option<SnapshotRef>> {
    let head = metadata.snapshot_for_ref(branch).map(|head| head.snapshot_id());
    for snapshot in ancestors(metadata, head) {
        let snapshot = snapshot?;
        if has_token(snapshot, token) {
            return Ok(Some(snapshot.clone()));
        }
    }
    Ok(None)
}

/// The snapshot that was committed with `token`, wherever it is: a staged one is in no history.
fn find_staged(metadata: &TableMetadata, token: &str) -> Option<SnapshotRef> {
    metadata.snapshots().find(|snapshot| has_token(snapshot, token)).cloned()
}

fn has_token(snapshot: &Snapshot, token: &str) -> bool {
    snapshot.summary().additional_properties.get(COMMIT_TOKEN).is_some_and(|t| t == token)
}
