//! One commit through all its attempts: the snapshots it adds, and further updates, in order.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use floe_core::{Environment, Error, ErrorKind, LoadedTable, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::requirements::requirements;
use iceberg::io::FileIO;
use iceberg::spec::{FormatVersion, SnapshotRef, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};
use tokio::runtime::Handle;
use tracing::warn;
use uuid::Uuid;

use super::draft::{Draft, OperationName};
use super::prepared::{prepared, prepared_base};
use super::recover::{added_with, check_input, find_done, later};
use super::{CommitRequest, Committed, Refused, sweep};
use crate::base::TableBase;
use crate::cleanup::UnderWay;

/// What is drawn or written once, however often the commit is tried.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) retry: RetryPolicy,
    pub(super) table_uuid: Uuid,
    /// The caller's name for the operation.
    token: Option<String>,
    /// What the operation is, so that its name cannot stand for another one.
    fingerprint: Option<String>,
    /// What the operation took as its input.
    input: Option<String>,
    steps: Vec<Step>,
    /// Added files of a change that was refused before it became a step. No snapshot will refer to them.
    refused: Vec<String>,
    /// What the further updates depend on.
    pinned: Vec<TableRequirement>,
    /// Attempts whose outcome is not known and that may still take effect.
    doubts: Vec<Stand>,
    /// Whether the outcome of any attempt was unknown: then nothing is deleted after a failure.
    ever_in_doubt: bool,
    file_io: FileIO,
    /// Set as long as nothing was proposed, and nothing decided: dropping the operation deletes what it wrote.
    cancellable: Mutex<Option<UnderWay>>,
}

/// Updates, and the snapshot that comes after them.
#[derive(Debug, Default)]
struct Step {
    updates: Vec<TableUpdate>,
    draft: Option<Draft>,
}

/// What an attempt asks of the catalog.
pub(super) struct Proposal {
    pub(super) requirements: Vec<TableRequirement>,
    pub(super) updates: Vec<TableUpdate>,
    /// How the table must stand for this to succeed.
    pub(super) stand: Stand,
}

/// How a table stands, as far as it decides whether a proposal can take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stand {
    /// The heads of the branches.
    heads: Vec<Option<i64>>,
    /// The last sequence number, of format versions that have them.
    sequence_number: Option<i64>,
}

impl Stand {
    /// Whether a proposal that was made for this can never take effect on a table that stands as `now`, whatever
    /// becomes of it. A branch may come back to where it was, unless the sequence number of the proposal is taken.
    fn is_over(&self, now: &Self) -> bool {
        self.heads != now.heads
            && (now.sequence_number.is_none() || self.sequence_number != now.sequence_number)
    }
}

/// What the table shows of the operation.
pub(super) enum Seen {
    /// Its snapshot is there: an attempt whose reply was lost came through.
    Ours,
    /// Another operation with the same token has done it.
    Replayed(Box<Committed>),
    /// Its change can be tried on this head.
    Fit,
    /// Its change can never be made here.
    Unfit(Error),
}

impl Operation {
    /// Nothing yet, for the table as `base` has it.
    pub(super) fn new(
        base: &TableBase,
        retry: RetryPolicy,
        token: Option<String>,
        fingerprint: Option<String>,
    ) -> Self {
        Self {
            retry,
            table_uuid: base.metadata().uuid(),
            token,
            fingerprint,
            input: None,
            steps: Vec::new(),
            refused: Vec::new(),
            pinned: Vec::new(),
            doubts: Vec::new(),
            ever_in_doubt: false,
            file_io: base.table.file_io.clone(),
            cancellable: Mutex::new(Some(UnderWay::begin())),
        }
    }

    /// Says what the operation took as its input.
    pub(super) fn name_input(&mut self, input: Option<String>) {
        self.input = input;
        let last = self.steps.iter_mut().rev().find_map(|step| step.draft.as_mut());
        if let Some(last) = last {
            last.name_input(self.input.as_deref());
        }
    }

    /// From now on, nothing is deleted because nobody waits any more: an attempt is on its way, or the files are cared
    /// for.
    pub(super) fn cannot_be_cancelled(&self) {
        self.cancellable.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Adds a snapshot, with the updates that come before it. `base` is the table as the catalog has it, and `now` as
    /// the steps so far make it.
    ///
    /// Fails with `Validation` when the change does not fit. The operation owns the files of the change then, too:
    /// [`Operation::give_up`] deletes them.
    pub(super) fn add_snapshot(
        &mut self,
        base: &TableBase,
        now: &TableBase,
        request: CommitRequest,
        env: &dyn Environment,
    ) -> Result<()> {
        if request.delete_added_on_failure {
            self.refused = request.change.added.iter().map(|a| a.file.file_path().to_owned()).collect();
        }
        self.add_step(base, now, request, env)?;
        self.refused.clear();
        Ok(())
    }

    fn add_step(
        &mut self,
        base: &TableBase,
        now: &TableBase,
        mut request: CommitRequest,
        env: &dyn Environment,
    ) -> Result<()> {
        self.add_updates(base, std::mem::take(&mut request.updates))?;
        self.input = request.input.take().or(self.input.take());
        // The sequence number of a file that an earlier step adds is another one when the commit is tried again.
        let own: HashSet<String> = self.drafts().flat_map(Draft::added).collect();
        for removed in request.change.removed.iter_mut().filter(|removed| own.contains(&removed.path)) {
            removed.sequence_number = 0;
        }
        let head = base.metadata().snapshot_for_ref(&request.branch).map(|s| s.snapshot_id());
        let pending = self.steps.last().map_or(&[][..], |step| &step.updates);
        let now = prepared_base(now, pending)?;
        let name = OperationName {
            token: self.token.as_deref(),
            fingerprint: self.fingerprint.as_deref(),
            input: self.input.as_deref(),
        };
        let draft = Draft::new(request, &now, head, name, env)?;
        match self.steps.last_mut() {
            Some(step) if step.draft.is_none() => step.draft = Some(draft),
            _ => self.steps.push(Step { updates: Vec::new(), draft: Some(draft) }),
        }
        Ok(())
    }

    /// Adds updates after what is there.
    pub(super) fn add_updates(&mut self, base: &TableBase, updates: Vec<TableUpdate>) -> Result<()> {
        if updates.is_empty() {
            return Ok(());
        }
        for requirement in requirements(base.metadata(), &updates)? {
            if !self.pinned.contains(&requirement) {
                self.pinned.push(requirement);
            }
        }
        match self.steps.last_mut() {
            Some(step) if step.draft.is_none() => step.updates.extend(updates),
            _ => self.steps.push(Step { updates, draft: None }),
        }
        Ok(())
    }

    /// Writes what does not depend on the head, so that nobody waits for it.
    pub(super) async fn prepare(&mut self, base: &TableBase) -> Result<()> {
        // What comes later depends on what comes first.
        if let [Step { updates, draft: Some(draft) }, ..] = self.steps.as_mut_slice() {
            draft.prepare(&*prepared_base(base, updates)?).await?;
        }
        Ok(())
    }

    /// What `base`, a head that is newer than the last attempt, shows of this operation.
    pub(super) async fn look(&mut self, base: &TableBase) -> Result<Seen> {
        let metadata = base.metadata();
        if metadata.uuid() != self.table_uuid {
            let what = "the table was dropped and made anew meanwhile";
            return Ok(Seen::Unfit(Error::new(ErrorKind::CommitConflict, what)));
        }
        if self.drafts().any(|draft| metadata.snapshot_by_id(draft.snapshot_id).is_some()) {
            return Ok(Seen::Ours);
        }
        self.resolve_doubt(metadata);
        if let Some(earlier) = self.replayed(base).await? {
            return Ok(Seen::Replayed(Box::new(earlier)));
        }
        Ok(match self.fits(metadata) {
            Ok(()) => Seen::Fit,
            Err(e) => Seen::Unfit(e.with_kind(ErrorKind::CommitConflict)),
        })
    }

    fn fits(&self, metadata: &TableMetadata) -> Result<()> {
        let mut updates: Vec<TableUpdate> = Vec::new();
        for step in &self.steps {
            // References may be to snapshots that are not laid out yet.
            let moves = |update: &&TableUpdate| !matches!(update, TableUpdate::SetSnapshotRef { .. });
            updates.extend(step.updates.iter().filter(moves).cloned());
            if let Some(draft) = &step.draft {
                draft.change.check(&*prepared(metadata, &updates)?)?;
            }
        }
        Ok(())
    }

    /// Lays the snapshots out on top of `base`, a table as the catalog gave it.
    pub(super) async fn propose(&mut self, base: &TableBase, env: &dyn Environment) -> Result<Proposal> {
        self.validate(base).await?;
        let updates = self.lay_out(base, env).await?;
        let staged = self.drafts().filter(|draft| draft.request.staged);
        // A staged snapshot depends on the branch as any other does: its files were decided on top of it.
        let moves: Vec<TableUpdate> = staged.map(|draft| draft.move_branch(None)).collect();
        let mut requirements = requirements(base.metadata(), &updates)?;
        for requirement in floe_plan::requirements::requirements(base.metadata(), &moves)? {
            if !requirements.contains(&requirement) {
                requirements.push(requirement);
            }
        }
        Ok(Proposal { requirements, updates, stand: self.stand(base.metadata()) })
    }

    /// Every update, in order; manifest lists that are not written yet are.
    pub(super) async fn lay_out(
        &mut self,
        base: &TableBase,
        env: &dyn Environment,
    ) -> Result<Vec<TableUpdate>> {
        let not_before = base.metadata().last_updated_ms();
        let mut updates = Vec::new();
        for step in &mut self.steps {
            updates.extend(step.updates.iter().cloned());
            if let Some(draft) = &mut step.draft {
                let now = prepared_base(base, &updates)?;
                updates.extend(draft.lay_out(&now, not_before, env).await?);
            }
        }
        Ok(updates)
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
        for step in &mut self.steps {
            if let Some(draft) = &mut step.draft {
                draft.validate(base).await?;
            }
        }
        Ok(())
    }

    /// Notes that an attempt on a table that stood so may have taken effect, or may still.
    pub(super) fn in_doubt(&mut self, stand: Stand) {
        self.doubts.push(stand);
        self.ever_in_doubt = true;
    }

    /// Drops the doubts that `metadata`, which does not have our snapshot, answers.
    fn resolve_doubt(&mut self, metadata: &TableMetadata) {
        let now = self.stand(metadata);
        self.doubts.retain(|doubt| !doubt.is_over(&now));
    }

    fn stand(&self, metadata: &TableMetadata) -> Stand {
        let head = |draft: &Draft| metadata.snapshot_for_ref(&draft.request.branch).map(|s| s.snapshot_id());
        let numbered = metadata.format_version() != FormatVersion::V1;
        Stand {
            heads: self.drafts().map(head).collect(),
            sequence_number: numbered.then(|| metadata.last_sequence_number()),
        }
    }

    /// The commit that was made earlier with the same token, if the history of the branch has one.
    pub(super) async fn replayed(&self, base: &TableBase) -> Result<Option<Committed>> {
        let Some(token) = &self.token else { return Ok(None) };
        let mut earlier = None;
        for draft in self.drafts() {
            let place = (draft.request.branch.as_str(), draft.request.staged);
            let found = find_done(base.metadata(), place, token, self.fingerprint.as_deref())?;
            earlier = later(earlier, found);
        }
        let Some(snapshot) = earlier else { return Ok(None) };
        check_input(&snapshot, self.input.as_deref())?;
        self.cannot_be_cancelled();
        let mut unused = Vec::new();
        if !self.ever_in_doubt {
            sweep::delete(&base.table.file_io, self.written().cloned().collect()).await;
            // Only files that the earlier commit did not add itself are unused: it may have been given the same ones.
            match added_with(base, token).await {
                Ok(added) => {
                    // The files of a picked snapshot are that snapshot's.
                    let own = self.drafts().filter(|draft| draft.request.picked_from.is_none());
                    unused.extend(own.flat_map(Draft::added).filter(|path| !added.contains(path)));
                }
                Err(e) => warn!(kind = e.kind().as_str(), "files that may not be used stay behind"),
            }
        }
        Ok(Some(Committed {
            table: base.table.clone(),
            snapshot_id: snapshot.snapshot_id(),
            snapshot_ids: vec![snapshot.snapshot_id()],
            attempts: 0,
            summary: snapshot.summary().clone(),
            unused_files: unused,
        }))
    }

    /// Cleans up after success: manifests and lists of earlier attempts that no snapshot uses.
    pub(super) async fn finish(
        self,
        table: LoadedTable,
        base: &TableBase,
        attempts: u32,
    ) -> Result<Committed> {
        let there = |draft: &Draft| table.metadata.snapshot_by_id(draft.snapshot_id).cloned();
        let snapshots: Vec<SnapshotRef> = self.drafts().filter_map(there).collect();
        let Some(snapshot) = snapshots.last() else {
            return Err(Error::new(
                ErrorKind::CommitStateUnknown,
                "the catalog reported success, but the table it gave has no such snapshot",
            ));
        };
        let mut kept: HashSet<&str> = HashSet::new();
        self.keep_lists(base).await;
        for list in self.drafts().flat_map(|draft| &draft.lists) {
            if snapshots.iter().any(|snapshot| snapshot.manifest_list() == list.location) {
                kept.insert(&list.location);
                kept.extend(list.manifests.iter().map(|m| m.manifest_path.as_str()));
            }
        }
        if !self.ever_in_doubt && !kept.is_empty() {
            let unused = self.written().filter(|location| !kept.contains(location.as_str()));
            sweep::delete(&base.table.file_io, unused.cloned().collect()).await;
        }
        Ok(Committed {
            snapshot_id: snapshot.snapshot_id(),
            snapshot_ids: snapshots.iter().map(|snapshot| snapshot.snapshot_id()).collect(),
            attempts,
            summary: snapshot.summary().clone(),
            unused_files: Vec::new(),
            table,
        })
    }

    /// The error to end with, after every file that this operation wrote is deleted, if that is safe.
    pub(super) async fn give_up(&self, base: &TableBase, error: Error) -> Error {
        self.cannot_be_cancelled();
        if !self.doubts.is_empty() {
            return state_unknown(error);
        }
        if !self.ever_in_doubt {
            self.sweep(base).await;
        }
        // The doubt is answered: another commit came first.
        if error.kind() == ErrorKind::CommitStateUnknown {
            return error.with_kind(ErrorKind::CommitConflict);
        }
        error
    }

    /// Gives up because of what another writer did: the operation may be run again on the table as it is now, unless an
    /// attempt of this one may have taken effect.
    pub(super) async fn refuse(&self, base: &TableBase, error: Error) -> Refused {
        let same_table = base.metadata().uuid() == self.table_uuid;
        let error = self.give_up(base, error).await;
        let stale = same_table && !self.ever_in_doubt && error.kind() == ErrorKind::CommitConflict;
        Refused { error, stale }
    }

    /// The error to end with when the table cannot be looked at: nothing is deleted.
    pub(super) fn give_up_unseen(&self, error: Error, load: Error) -> Error {
        if self.doubts.is_empty() { error.with_source(load) } else { state_unknown(error.with_source(load)) }
    }

    /// Deletes every file that this operation wrote, and those that it was given to delete.
    pub(super) async fn sweep(&self, base: &TableBase) {
        self.cannot_be_cancelled();
        sweep::delete(&base.table.file_io, self.disposable()).await;
    }

    /// What goes when nothing was committed.
    fn disposable(&self) -> Vec<String> {
        let mut files: Vec<String> = self.written().cloned().collect();
        let owned = self.drafts().filter(|draft| draft.request.delete_added_on_failure);
        files.extend(owned.flat_map(Draft::added));
        files.extend(self.refused.iter().cloned());
        files
    }

    /// Keeps the newest manifest list of each snapshot in the cache, for whoever reads the snapshot next.
    pub(super) async fn keep_lists(&self, base: &TableBase) {
        for list in self.drafts().filter_map(|draft| draft.lists.last()) {
            base.cache.keep_list(&list.location, list.manifests.clone()).await;
        }
    }

    /// The snapshots that it adds.
    pub(super) fn snapshot_ids(&self) -> impl Iterator<Item = i64> {
        self.drafts().map(|draft| draft.snapshot_id)
    }

    fn drafts(&self) -> impl Iterator<Item = &Draft> {
        self.steps.iter().filter_map(|step| step.draft.as_ref())
    }

    /// Manifests and manifest lists that this operation wrote, or began to.
    fn written(&self) -> impl Iterator<Item = &String> {
        self.drafts().flat_map(Draft::written)
    }
}

impl Drop for Operation {
    /// It was cancelled before anything was proposed: what it wrote goes, if there is still a runtime to do that.
    fn drop(&mut self) {
        let Some(under_way) = self.cancellable.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        let (file_io, files) = (self.file_io.clone(), self.disposable());
        if !files.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(async move {
                sweep::delete(&file_io, files).await;
                drop(under_way);
            }));
        }
    }
}

fn state_unknown(error: Error) -> Error {
    Error::new(
        ErrorKind::CommitStateUnknown,
        format!("it is not known whether the commit took effect: {}", error.message()),
    )
    .with_hint("list the snapshots before writing again; no file was deleted")
    .with_source(error)
}
