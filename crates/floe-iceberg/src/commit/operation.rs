//! One operation through all its attempts.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use floe_core::{Environment, Error, ErrorKind, LoadedTable, Result};
use floe_plan::change::{ChangeSet, RemovedFile, partition_type};
use floe_plan::layout::{LayoutPolicy, NewManifest, Slot, new_manifests, plan_merges};
use floe_plan::requirements::{refs, requirements};
use floe_plan::summary::ChangeSummary;
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestFile, Snapshot, SnapshotRef, SnapshotReference,
    SnapshotRetention, TableMetadata,
};
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

use super::history::History;
use super::list::ListHead;
use super::manifest::Compression;
use super::manifests::{Listed, ManifestWriter};
use super::targets::{Fate, Targets};
use super::{CommitRequest, CommitStrategy, Committed, list, paths, sweep};
use crate::base::{MANIFESTS_AT_A_TIME, TableBase};

/// What is drawn or written once, however often the commit is tried.
pub(super) struct Operation {
    pub(super) request: CommitRequest,
    pub(super) change: Arc<ChangeSet>,
    pub(super) snapshot_id: i64,
    pub(super) table_uuid: Uuid,
    id: Uuid,
    token: String,
    summary: ChangeSummary,
    /// The snapshot that the operation read.
    read: Option<i64>,
    history: History,
    targets: Targets,
    /// What the manifests became that were looked at, by path and the sequence number below which deletes were
    /// dropped. `None` for those that stay as they are.
    filtered: HashMap<(String, i64), Option<Rewritten>>,
    /// What the further updates depend on.
    pinned: Vec<TableRequirement>,
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

/// A manifest that was written in the place of another, without some of its files.
#[derive(Debug, Clone)]
struct Rewritten {
    manifest: ManifestFile,
    /// Which of the removed files it listed.
    removed: Vec<usize>,
    /// Delete files that went along.
    dangling: Vec<RemovedFile>,
}

/// The manifests of the head, after files were taken out.
#[derive(Debug, Default)]
struct Remaining {
    /// Written by this operation.
    rewritten: Vec<ManifestFile>,
    kept: Vec<ManifestFile>,
    dangling: Vec<RemovedFile>,
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
        let metadata = &*prepared(base.metadata(), &request.updates)?;
        let mut snapshot_id = env.random_snapshot_id();
        while metadata.snapshot_by_id(snapshot_id).is_some() {
            snapshot_id = env.random_snapshot_id();
        }
        let id = env.random_uuid();
        let token = request.token.clone().unwrap_or_else(|| id.to_string());
        let summary =
            ChangeSummary::new(&request.change, &[], metadata, &request.snapshot_properties, &token)?;
        let layout = LayoutPolicy::from_properties(metadata.properties())?;
        let compression = Compression::from_properties(metadata.properties())?;
        let head = base.metadata().snapshot_for_ref(&request.branch).map(|s| s.snapshot_id());
        let read = request.read_snapshot_id.or(head);
        let pinned = match request.updates.as_slice() {
            [] => Vec::new(),
            updates => requirements(base.metadata(), updates)?,
        };
        let change = Arc::new(std::mem::take(&mut request.change));
        let targets = Targets::new(&change);
        let writer = ManifestWriter { snapshot_id, change: change.clone(), compression, operation: id };
        Ok(Self {
            request,
            change,
            writer,
            snapshot_id,
            table_uuid: metadata.uuid(),
            id,
            token,
            summary,
            read,
            history: History::default(),
            targets,
            filtered: HashMap::new(),
            pinned,
            layout,
            new: None,
            merged: Vec::new(),
            attempts: Vec::new(),
            started: Vec::new(),
            doubts: Vec::new(),
            ever_in_doubt: false,
        })
    }

    /// Writes what does not depend on the head, or only on parts of it that seldom change, so that nobody waits for it.
    pub(super) async fn prepare(&mut self, base: &TableBase) -> Result<()> {
        self.branch(base)?;
        let prepared = prepared(base.metadata(), &self.request.updates)?;
        self.write_new(base, &prepared).await.map(drop)?;
        if !self.targets.is_empty() {
            let parent = base.metadata().snapshot_for_ref(&self.request.branch);
            let existing = live_manifests(base, parent).await?;
            self.take_out(base, &prepared, existing).await?;
        }
        Ok(())
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
        let fits = prepared(metadata, &self.request.updates).and_then(|next| self.change.check(&next));
        match fits {
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
        self.validate(base).await?;
        let prepared = prepared(metadata, &self.request.updates)?;
        let (manifests, dangling) = self.lay_out(base, &prepared, parent).await?;
        let summary = match dangling.as_slice() {
            [] => self.summary.on(parent.map(|p| p.summary())),
            also => {
                let properties = &self.request.snapshot_properties;
                ChangeSummary::new(&self.change, also, &prepared, properties, &self.token)?
                    .on(parent.map(|p| p.summary()))
            }
        };

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
            .with_summary(summary)
            .with_schema_id(prepared.current_schema_id());
        let snapshot = match head.first_row_id.zip(written.assigned_rows) {
            Some((first, rows)) => snapshot.with_row_range(first, rows).build(),
            None => snapshot.build(),
        };
        let retention =
            branch.map_or_else(|| SnapshotRetention::branch(None, None, None), |branch| branch.retention);
        let mut updates = self.request.updates.clone();
        updates.push(TableUpdate::AddSnapshot { snapshot });
        let move_branch = TableUpdate::SetSnapshotRef {
            ref_name: self.request.branch.clone(),
            reference: SnapshotReference::new(self.snapshot_id, retention),
        };
        // A staged snapshot depends on the branch as any other does: its files were decided on top of it.
        updates.push(move_branch);
        let requirements = requirements(metadata, &updates)?;
        if self.request.staged {
            updates.pop();
        }
        Ok(Proposal { requirements, updates, head: head.parent })
    }

    /// Whether what the operation read, and what its further updates depend on, still holds.
    async fn validate(&mut self, base: &TableBase) -> Result<()> {
        for requirement in &self.pinned {
            requirement.check(Some(base.metadata())).map_err(|e| {
                Error::new(ErrorKind::CommitConflict, e.message().to_owned())
                    .with_hint("another writer changed what this commit changes too: run it again")
                    .with_source(e)
            })?;
        }
        if self.targets.is_empty() && self.request.guards.is_empty() {
            return Ok(());
        }
        self.history.check(base, &self.request.branch, self.read, &self.request.guards).await
    }

    /// The manifests of the snapshot, new ones first.
    async fn lay_out(
        &mut self,
        base: &TableBase,
        prepared: &TableMetadata,
        parent: Option<&SnapshotRef>,
    ) -> Result<(Vec<ManifestFile>, Vec<RemovedFile>)> {
        let existing = live_manifests(base, parent).await?;
        let Remaining { rewritten, kept, dangling } = self.take_out(base, prepared, existing).await?;
        let mut all: Vec<ManifestFile> = self.write_new(base, prepared).await?.collect();
        all.extend(kept);
        let mut all = match self.request.strategy {
            CommitStrategy::FastAppend => all,
            CommitStrategy::MergeCommit => self.merge(base, prepared, all).await?,
        };
        // These tell which files this snapshot deleted, and stay as they are.
        all.splice(0..0, rewritten);
        Ok((all, dangling))
    }

    /// Takes the removed files out of the manifests that list them, and delete files that they leave behind.
    ///
    /// Fails with `CommitConflict` when a removed file is not there.
    async fn take_out(
        &mut self,
        base: &TableBase,
        prepared: &TableMetadata,
        existing: Vec<ManifestFile>,
    ) -> Result<Remaining> {
        if self.targets.is_empty() {
            return Ok(Remaining { kept: existing, ..Remaining::default() });
        }
        let (data, deletes): (Vec<_>, Vec<_>) =
            existing.into_iter().partition(|m| m.content == ManifestContentType::Data);
        let mut found = HashSet::with_capacity(self.change.removed.len());
        let mut remaining = Remaining::default();
        self.filter(base, prepared, data, 0, &mut found, &mut remaining).await?;
        let live = remaining.rewritten.iter().chain(&remaining.kept).filter(|m| has_live_files(m));
        let oldest = live.map(|m| m.min_sequence_number).min();
        let oldest = oldest.unwrap_or_else(|| prepared.next_sequence_number());
        self.filter(base, prepared, deletes, oldest, &mut found, &mut remaining).await?;
        if let Some(index) = (0..self.change.removed.len()).find(|index| !found.contains(index)) {
            let since = super::history::since(base.metadata(), &self.request.branch, self.read)?;
            return Err(super::history::removed(base, &since, &self.change.removed[index].path).await);
        }
        Ok(remaining)
    }

    /// Sorts `manifests` into those that stay and those that are written anew without files that go.
    async fn filter(
        &mut self,
        base: &TableBase,
        prepared: &TableMetadata,
        manifests: Vec<ManifestFile>,
        oldest_data: i64,
        found: &mut HashSet<usize>,
        remaining: &mut Remaining,
    ) -> Result<()> {
        let key = |manifest: &ManifestFile| {
            let drops = manifest.min_sequence_number > 0 && manifest.min_sequence_number < oldest_data;
            (manifest.manifest_path.clone(), if drops { oldest_data } else { 0 })
        };
        let candidates = self.targets.candidates(prepared, &manifests);
        let candidate = |manifest: &ManifestFile, named: bool| named || key(manifest).1 > 0;
        let unknown: Vec<&ManifestFile> = manifests
            .iter()
            .zip(&candidates)
            .filter(|(manifest, named)| {
                candidate(manifest, **named) && !self.filtered.contains_key(&key(manifest))
            })
            .map(|(manifest, _)| manifest)
            .collect();
        let reads: Vec<_> =
            unknown.iter().map(|manifest| self.targets.fates(base, manifest, key(manifest).1)).collect();
        let fates: Vec<Vec<Fate>> =
            futures::stream::iter(reads).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
        let mut to_write = Vec::new();
        for (manifest, fates) in unknown.into_iter().zip(fates) {
            if fates.iter().all(|fate| *fate == Fate::Keep) {
                self.filtered.insert(key(manifest), None);
            } else {
                let location = paths::manifest(base.metadata(), self.id, self.started.len());
                self.started.push(location.clone());
                to_write.push((manifest, fates, location));
            }
        }
        let writer = &self.writer;
        let writes: Vec<_> = to_write
            .into_iter()
            .map(|(manifest, fates, location)| async move {
                let rewritten = rewrite(base, prepared, writer, manifest, &fates, &location).await?;
                Ok::<_, Error>((key(manifest), rewritten))
            })
            .collect();
        let written: Vec<_> =
            futures::stream::iter(writes).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
        self.filtered.extend(written.into_iter().map(|(key, rewritten)| (key, Some(rewritten))));
        for (manifest, named) in manifests.into_iter().zip(candidates) {
            let known = candidate(&manifest, named).then(|| self.filtered.get(&key(&manifest))).flatten();
            match known {
                Some(Some(rewritten)) => {
                    found.extend(&rewritten.removed);
                    remaining.dangling.extend(rewritten.dangling.iter().cloned());
                    remaining.rewritten.push(rewritten.manifest.clone());
                }
                _ => remaining.kept.push(manifest),
            }
        }
        Ok(())
    }

    /// Writes the manifests of the added files, unless that is done.
    async fn write_new(
        &mut self,
        base: &TableBase,
        prepared: &TableMetadata,
    ) -> Result<impl Iterator<Item = ManifestFile> + use<'_>> {
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
                    let shape = writer.shape(prepared, plan.spec_id, plan.content, None)?;
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
    async fn merge(
        &mut self,
        base: &TableBase,
        prepared: &TableMetadata,
        all: Vec<ManifestFile>,
    ) -> Result<Vec<ManifestFile>> {
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
                let manifest = self.write_merged(base, prepared, &parts).await?;
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
        prepared: &TableMetadata,
        parts: &[&ManifestFile],
    ) -> Result<Option<ManifestFile>> {
        let Some(newest) = parts.first() else { return Ok(None) };
        let (spec_id, content) = (newest.partition_spec_id, newest.content);
        if partition_type(prepared, spec_id).is_err() {
            return Ok(None);
        }
        let shape = self.writer.shape(prepared, spec_id, content, None)?;
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

/// The metadata after `updates`.
///
/// Fails with `Validation` when an update does not fit.
pub(super) fn prepared<'m>(
    metadata: &'m TableMetadata,
    updates: &[TableUpdate],
) -> Result<Cow<'m, TableMetadata>> {
    if updates.is_empty() {
        return Ok(Cow::Borrowed(metadata));
    }
    let refused = |e: iceberg::Error| {
        Error::validation(format!("an update does not fit the table: {}", e.message())).with_source(e)
    };
    let mut builder = metadata.clone().into_builder(None);
    for update in updates {
        builder = update.clone().apply(builder).map_err(refused)?;
    }
    Ok(Cow::Owned(builder.build().map_err(refused)?.metadata))
}

/// Writes `manifest` anew at `location`: files that go are marked as deleted, the others keep their numbers.
async fn rewrite(
    base: &TableBase,
    prepared: &TableMetadata,
    writer: &ManifestWriter,
    manifest: &ManifestFile,
    fates: &[Fate],
    location: &str,
) -> Result<Rewritten> {
    let old = base.manifest(manifest).await?;
    let shape = writer.shape(prepared, manifest.partition_spec_id, manifest.content, Some(&old))?;
    let (mut removed, mut dangling) = (Vec::new(), Vec::new());
    let mut entries = Vec::with_capacity(fates.len());
    for (live, fate) in base.live_files(manifest).await?.into_iter().zip(fates) {
        entries.push(match fate {
            Fate::Keep => Listed::Existing(live),
            Fate::Remove(index) => {
                removed.push(*index);
                Listed::Deleted(live)
            }
            Fate::Dangling => {
                let number = live.sequence_number;
                dangling.push(RemovedFile::new(manifest.partition_spec_id, &live.data_file, number));
                Listed::Deleted(live)
            }
        });
    }
    let manifest = writer.write(&base.table, shape, location, entries).await?;
    Ok(Rewritten { manifest, removed, dangling })
}

async fn live_as_existing(base: &TableBase, manifest: &ManifestFile) -> Result<Vec<Listed>> {
    Ok(base.live_files(manifest).await?.into_iter().map(Listed::Existing).collect())
}

/// The manifests of a snapshot that have live files. The others have told what they had to: who was deleted by their
/// snapshot.
async fn live_manifests(base: &TableBase, parent: Option<&SnapshotRef>) -> Result<Vec<ManifestFile>> {
    let existing = match parent {
        Some(parent) => base.manifest_files(parent).await?,
        None => Arc::default(),
    };
    Ok(existing.iter().filter(|m| has_live_files(m)).cloned().collect())
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
