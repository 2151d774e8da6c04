//! One operation through all its attempts.

use std::collections::HashSet;
use std::sync::Arc;

use floe_core::{Environment, Error, ErrorKind, LoadedTable, Result};
use floe_plan::change::{ChangeSet, partition_type};
use floe_plan::layout::{LayoutPolicy, NewManifest, Slot, new_manifests, plan_merges};
use floe_plan::requirements::{refs, requirements};
use floe_plan::summary::ChangeSummary;
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, ManifestFile, Snapshot, SnapshotReference, SnapshotRetention,
};
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

use super::list::ListHead;
use super::manifest::Compression;
use super::manifests::{Listed, ManifestWriter};
use super::{CommitRequest, CommitStrategy, Committed, list, paths, sweep};
use crate::base::{MANIFESTS_AT_A_TIME, TableBase};

/// What is drawn or written once, however often the commit is tried.
pub(super) struct Operation {
    pub(super) request: CommitRequest,
    pub(super) change: Arc<ChangeSet>,
    pub(super) snapshot_id: i64,
    pub(super) table_uuid: Uuid,
    id: Uuid,
    summary: ChangeSummary,
    layout: LayoutPolicy,
    writer: ManifestWriter,
    /// Manifests of the added files, once they are written.
    new: Option<Vec<(NewManifest, ManifestFile)>>,
    merged: Vec<Merged>,
    attempts: Vec<Attempt>,
    /// Every manifest this operation began to write.
    started: Vec<String>,
    /// Where the branch stood for each attempt whose outcome is not known and that may still take effect.
    doubts: Vec<Option<i64>>,
    /// Whether the outcome of any attempt was unknown: then nothing is deleted after a failure.
    ever_in_doubt: bool,
}

/// A merged manifest, and the paths of those it takes the place of. `None` when they could not be merged.
struct Merged {
    inputs: Vec<String>,
    manifest: Option<ManifestFile>,
}

/// The manifest list of an attempt.
struct Attempt {
    location: String,
    manifests: Arc<Vec<ManifestFile>>,
}

/// What an attempt asks of the catalog.
pub(super) struct Proposal {
    pub(super) requirements: Vec<TableRequirement>,
    pub(super) updates: Vec<TableUpdate>,
    /// Where the branch must stand for this to succeed.
    pub(super) head: Option<i64>,
}

/// What the table shows of the operation.
pub(super) enum Seen {
    /// Its snapshot is there: an attempt whose reply was lost came through.
    Ours,
    /// Its change can be tried on this head.
    Fit,
    /// Its change can never be made here.
    Unfit(Error),
}

impl Operation {
    /// Draws the ids and checks what can be checked before anything is written.
    pub(super) fn new(mut request: CommitRequest, base: &TableBase, env: &dyn Environment) -> Result<Self> {
        let metadata = base.metadata();
        let mut snapshot_id = env.random_snapshot_id();
        while metadata.snapshot_by_id(snapshot_id).is_some() {
            snapshot_id = env.random_snapshot_id();
        }
        let id = env.random_uuid();
        let token = request.token.clone().unwrap_or_else(|| id.to_string());
        let summary = ChangeSummary::new(&request.change, metadata, &request.snapshot_properties, &token)?;
        let layout = LayoutPolicy::from_properties(metadata.properties())?;
        let compression = Compression::from_properties(metadata.properties())?;
        let change = Arc::new(std::mem::take(&mut request.change));
        let writer = ManifestWriter { snapshot_id, change: change.clone(), compression, operation: id };
        Ok(Self {
            request,
            change,
            writer,
            snapshot_id,
            table_uuid: metadata.uuid(),
            id,
            summary,
            layout,
            new: None,
            merged: Vec::new(),
            attempts: Vec::new(),
            started: Vec::new(),
            doubts: Vec::new(),
            ever_in_doubt: false,
        })
    }

    /// Writes what does not depend on the head, so that nobody waits for it.
    pub(super) async fn prepare(&mut self, base: &TableBase) -> Result<()> {
        self.branch(base)?;
        self.write_new(base).await.map(drop)
    }

    /// The branch to commit to; `main` may be missing.
    fn branch(&self, base: &TableBase) -> Result<Option<SnapshotReference>> {
        let branch = refs::branch(base.metadata(), &self.request.branch)?;
        if branch.is_none() && self.request.branch != MAIN_BRANCH {
            return Err(Error::new(
                ErrorKind::SnapshotNotFound,
                format!("there is no branch named '{}'", self.request.branch),
            )
            .with_hint("create it first"));
        }
        Ok(branch)
    }

    /// What `base`, a head that is newer than the last attempt, shows of this operation.
    pub(super) fn look(&mut self, base: &TableBase) -> Seen {
        let metadata = base.metadata();
        if metadata.uuid() != self.table_uuid {
            let what = "the table was dropped and made anew meanwhile";
            return Seen::Unfit(Error::new(ErrorKind::CommitConflict, what));
        }
        if metadata.snapshot_by_id(self.snapshot_id).is_some() {
            return Seen::Ours;
        }
        self.resolve_doubt(base);
        match self.request.change.check(metadata) {
            Ok(()) => Seen::Fit,
            Err(e) => Seen::Unfit(e.with_kind(ErrorKind::CommitConflict)),
        }
    }

    /// Lays the snapshot out on top of `base`, and writes what is not written yet: on a retry, the manifest list.
    pub(super) async fn propose(
        &mut self,
        base: &TableBase,
        attempt: u32,
        env: &dyn Environment,
    ) -> Result<Proposal> {
        let metadata = base.metadata();
        let branch = self.branch(base)?;
        let parent = metadata.snapshot_for_ref(&self.request.branch);
        let manifests = self.lay_out(base, parent).await?;

        let row_lineage = metadata.format_version() == FormatVersion::V3;
        let head = ListHead {
            snapshot_id: self.snapshot_id,
            parent: parent.map(|p| p.snapshot_id()),
            sequence_number: metadata.next_sequence_number(),
            first_row_id: row_lineage.then(|| metadata.next_row_id()),
        };
        let location = paths::manifest_list(metadata, self.snapshot_id, attempt, self.id);
        self.attempts.push(Attempt { location: location.clone(), manifests: Arc::default() });
        let written = list::write(&base.table, &location, head, manifests).await?;
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.manifests = Arc::new(written.manifests);
        }

        // Clocks differ between writers: time in a history never runs backwards.
        let not_before = parent.map_or(0, |p| p.timestamp_ms()).max(metadata.last_updated_ms());
        let snapshot = Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(head.parent)
            .with_sequence_number(head.sequence_number)
            .with_timestamp_ms(env.now_ms().max(not_before))
            .with_manifest_list(location)
            .with_summary(self.summary.on(parent.map(|p| p.summary())))
            .with_schema_id(metadata.current_schema_id());
        let snapshot = match head.first_row_id.zip(written.assigned_rows) {
            Some((first, rows)) => snapshot.with_row_range(first, rows).build(),
            None => snapshot.build(),
        };
        let retention =
            branch.map_or_else(|| SnapshotRetention::branch(None, None, None), |branch| branch.retention);
        let updates = vec![
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef {
                ref_name: self.request.branch.clone(),
                reference: SnapshotReference::new(self.snapshot_id, retention),
            },
        ];
        Ok(Proposal { requirements: requirements(metadata, &updates)?, updates, head: head.parent })
    }

    /// The manifests of the snapshot, new ones first.
    async fn lay_out(
        &mut self,
        base: &TableBase,
        parent: Option<&iceberg::spec::SnapshotRef>,
    ) -> Result<Vec<ManifestFile>> {
        let existing = match parent {
            Some(parent) => base.manifest_files(parent).await?,
            None => Arc::default(),
        };
        // Manifests without live files have told what they had to: who was deleted by their snapshot.
        let existing = existing.iter().filter(|m| has_live_files(m)).cloned();
        let mut all: Vec<ManifestFile> = self.write_new(base).await?.collect();
        all.extend(existing);
        match self.request.strategy {
            CommitStrategy::FastAppend => Ok(all),
            CommitStrategy::MergeCommit => self.merge(base, all).await,
        }
    }

    /// Writes the manifests of the added files, unless that is done.
    async fn write_new(&mut self, base: &TableBase) -> Result<impl Iterator<Item = ManifestFile> + use<'_>> {
        if self.new.is_none() {
            let plans = new_manifests(&self.change.added, self.layout.target_size_bytes);
            let first = self.started.len();
            let locations = (0..plans.len()).map(|n| paths::manifest(base.metadata(), self.id, first + n));
            self.started.extend(locations);
            let (table, writer) = (&base.table, &self.writer);
            // A list of futures, not a stream of closures: those would not be `Send` for every lifetime.
            let writes: Vec<_> = plans
                .into_iter()
                .zip(&self.started[first..])
                .map(|(plan, location)| async move {
                    let shape = writer.shape(&table.metadata, plan.spec_id, plan.content, None)?;
                    let entries = plan.files.iter().map(|&index| Listed::Added(index)).collect();
                    let file = writer.write(table, shape, location, entries).await?;
                    Ok::<_, Error>((plan, file))
                })
                .collect();
            let written = futures::stream::iter(writes).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
            self.new = Some(written);
        }
        Ok(self.new.iter().flatten().map(|(_, file)| file.clone()))
    }

    /// Merges small manifests. What an earlier attempt merged is used again when all of it is still there.
    async fn merge(&mut self, base: &TableBase, all: Vec<ManifestFile>) -> Result<Vec<ManifestFile>> {
        let mut done = Vec::with_capacity(all.len());
        for slot in plan_merges(&all, &self.layout) {
            let members = match slot {
                Slot::Keep(index) => {
                    done.push(all[index].clone());
                    continue;
                }
                Slot::Merge(members) => members,
            };
            let inputs: Vec<String> = members.iter().map(|&i| all[i].manifest_path.clone()).collect();
            if !self.merged.iter().any(|merged| merged.inputs == inputs) {
                let parts: Vec<&ManifestFile> = members.iter().map(|&i| &all[i]).collect();
                let manifest = self.write_merged(base, &parts).await?;
                self.merged.push(Merged { inputs: inputs.clone(), manifest });
            }
            let merged = self.merged.iter().find(|merged| merged.inputs == inputs);
            match merged.and_then(|merged| merged.manifest.clone()) {
                Some(manifest) => done.push(manifest),
                None => done.extend(members.into_iter().map(|i| all[i].clone())),
            }
        }
        Ok(done)
    }

    async fn write_merged(
        &mut self,
        base: &TableBase,
        parts: &[&ManifestFile],
    ) -> Result<Option<ManifestFile>> {
        let Some(newest) = parts.first() else { return Ok(None) };
        let (spec_id, content) = (newest.partition_spec_id, newest.content);
        if partition_type(base.metadata(), spec_id).is_err() {
            return Ok(None);
        }
        let shape = self.writer.shape(base.metadata(), spec_id, content, None)?;
        let own = |part: &ManifestFile| {
            self.new.iter().flatten().find(|(_, file)| file.manifest_path == part.manifest_path)
        };
        let reads: Vec<_> = parts
            .iter()
            .map(|part| {
                let own = own(part).map(|(plan, _)| plan.files.iter().map(|i| Listed::Added(*i)).collect());
                async move {
                    match own {
                        Some(added) => Ok(added),
                        None => live_as_existing(base, part).await,
                    }
                }
            })
            .collect();
        let read: Vec<Vec<Listed>> =
            futures::stream::iter(reads).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
        let entries: Vec<Listed> = read.into_iter().flatten().collect();
        // An early writer left a number out that the new manifest has to have.
        let complete = |listed: &Listed| match listed {
            Listed::Existing(live) => live.file_sequence_number.is_some(),
            _ => true,
        };
        if !entries.iter().all(complete) {
            return Ok(None);
        }
        let location = paths::manifest(base.metadata(), self.id, self.started.len());
        self.started.push(location.clone());
        self.writer.write(&base.table, shape, &location, entries).await.map(Some)
    }

    /// Notes that an attempt on top of `head` may have taken effect, or may still.
    pub(super) fn in_doubt(&mut self, head: Option<i64>) {
        self.doubts.push(head);
        self.ever_in_doubt = true;
    }

    /// Drops the doubts that `base`, which does not have our snapshot, answers: once the branch has moved on, the
    /// requirement of an earlier attempt does not hold any more.
    pub(super) fn resolve_doubt(&mut self, base: &TableBase) {
        let head = base.metadata().snapshot_for_ref(&self.request.branch).map(|s| s.snapshot_id());
        self.doubts.retain(|doubt| *doubt == head);
    }

    /// Cleans up after success: manifests and lists of earlier attempts that the snapshot does not use.
    pub(super) async fn finish(
        self,
        table: LoadedTable,
        base: &TableBase,
        attempts: u32,
    ) -> Result<Committed> {
        let Some(snapshot) = table.metadata.snapshot_by_id(self.snapshot_id).cloned() else {
            return Err(Error::new(
                ErrorKind::CommitStateUnknown,
                "the catalog reported success, but the table it gave has no such snapshot",
            ));
        };
        let used = self.attempts.iter().find(|attempt| attempt.location == snapshot.manifest_list());
        if let Some(used) = used {
            base.cache.keep_list(&used.location, used.manifests.clone()).await;
            if !self.ever_in_doubt {
                let mut kept: HashSet<&str> =
                    used.manifests.iter().map(|m| m.manifest_path.as_str()).collect();
                kept.insert(&used.location);
                let unused = self.written().filter(|location| !kept.contains(location.as_str()));
                sweep::delete(&base.table.file_io, unused.cloned().collect()).await;
            }
        }
        Ok(Committed {
            snapshot_id: self.snapshot_id,
            attempts,
            summary: snapshot.summary().clone(),
            unused_files: Vec::new(),
            table,
        })
    }

    /// The error to end with, after every file that this operation wrote is deleted, if that is safe.
    pub(super) async fn give_up(&self, base: &TableBase, error: Error) -> Error {
        if !self.doubts.is_empty() {
            return state_unknown(error);
        }
        if !self.ever_in_doubt {
            let mut files: Vec<String> = self.written().cloned().collect();
            if self.request.delete_added_on_failure {
                let added = self.change.added.iter();
                files.extend(added.map(|added| added.file.file_path().to_owned()));
            }
            sweep::delete(&base.table.file_io, files).await;
        }
        // The doubt is answered: another commit came first.
        if error.kind() == ErrorKind::CommitStateUnknown {
            return error.with_kind(ErrorKind::CommitConflict);
        }
        error
    }

    /// The error to end with when the table cannot be looked at: nothing is deleted.
    pub(super) fn give_up_unseen(&self, error: Error, load: Error) -> Error {
        if self.doubts.is_empty() { error.with_source(load) } else { state_unknown(error.with_source(load)) }
    }

    /// Manifests and manifest lists that this operation wrote, or began to.
    fn written(&self) -> impl Iterator<Item = &String> {
        self.started.iter().chain(self.attempts.iter().map(|attempt| &attempt.location))
    }
}

async fn live_as_existing(base: &TableBase, manifest: &ManifestFile) -> Result<Vec<Listed>> {
    Ok(base.live_files(manifest).await?.into_iter().map(Listed::Existing).collect())
}

/// Counts are optional in version 1: a manifest without them may have live files.
fn has_live_files(manifest: &ManifestFile) -> bool {
    manifest.added_files_count != Some(0) || manifest.existing_files_count != Some(0)
}

fn state_unknown(error: Error) -> Error {
    Error::new(
        ErrorKind::CommitStateUnknown,
        format!("it is not known whether the commit took effect: {}", error.message()),
    )
    .with_hint("list the snapshots before writing again; no file was deleted")
    .with_source(error)
}
