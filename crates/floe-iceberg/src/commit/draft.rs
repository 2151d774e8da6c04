//! One snapshot of a commit through all attempts.

use std::sync::Arc;

use floe_core::{Environment, Error, ErrorKind, Result};
use floe_plan::change::{ChangeSet, RemovedFile};
use floe_plan::layout::{LayoutPolicy, NewManifest, new_manifests};
use floe_plan::requirements::refs;
use floe_plan::summary::{COMMIT_INPUT, ChangeSummary};
use futures::{StreamExt, TryStreamExt};
use iceberg::TableUpdate;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, ManifestFile, Snapshot, SnapshotRef, SnapshotReference, SnapshotRetention,
    TableMetadata,
};
use uuid::Uuid;

use super::counts;
use super::history::{self, History};
use super::list::{self, ListHead};
use super::manifest::Compression;
use super::manifests::{Listed, ManifestWriter, Started};
use super::merges::Merges;
use super::paths;
use super::removals::{Remaining, Removals, has_live_files};
use super::{CommitRequest, CommitStrategy};
use crate::base::{MANIFESTS_AT_A_TIME, TableBase};
use crate::refs as refs_of;

/// What is drawn or written once for a snapshot, however often its commit is tried.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) request: CommitRequest,
    pub(super) change: Arc<ChangeSet>,
    pub(super) snapshot_id: i64,
    id: Uuid,
    token: String,
    fingerprint: Option<String>,
    /// What the operation took as its input.
    input: Option<String>,
    summary: ChangeSummary,
    /// The snapshot that the operation read.
    read: Option<i64>,
    history: History,
    removals: Removals,
    layout: LayoutPolicy,
    writer: ManifestWriter,
    /// Manifests of the added files, once they are written.
    new: Option<Vec<(NewManifest, ManifestFile)>>,
    merges: Merges,
    started: Started,
    pub(super) lists: Vec<List>,
    /// The branch as the last version of the table had it: finding out takes time.
    known_branch: Option<(String, Option<SnapshotReference>)>,
    /// The last layout, and what it was made for.
    laid: Option<(Place, Vec<TableUpdate>)>,
}

/// By which name an operation is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct OperationName<'a> {
    /// The caller's name for it; drawn at random if there is none.
    pub(super) token: Option<&'a str>,
    /// What it does.
    pub(super) fingerprint: Option<&'a str>,
    /// What it took as its input.
    pub(super) input: Option<&'a str>,
}

/// A manifest list that was written, or begun.
#[derive(Debug)]
pub(super) struct List {
    pub(super) location: String,
    pub(super) manifests: Arc<Vec<ManifestFile>>,
}

/// What a layout depends on.
#[derive(Debug, PartialEq)]
struct Place {
    /// The manifest list of the snapshot below.
    parent: Option<String>,
    branch: Option<SnapshotReference>,
    sequence_number: i64,
    next_row_id: Option<u64>,
    schema_id: i32,
}

impl Draft {
    /// Draws the ids and checks what can be checked before anything is written. `base` is the table as the snapshot
    /// finds it, `head` that of the branch in the catalog.
    pub(super) fn new(
        mut request: CommitRequest,
        base: &TableBase,
        head: Option<i64>,
        name: OperationName<'_>,
        env: &dyn Environment,
    ) -> Result<Self> {
        let metadata = base.metadata();
        request.change.check(metadata)?;
        let mut snapshot_id = env.random_snapshot_id();
        while metadata.snapshot_by_id(snapshot_id).is_some() {
            snapshot_id = env.random_snapshot_id();
        }
        let id = env.random_uuid();
        let token = name.token.map_or_else(|| id.to_string(), str::to_owned);
        let fingerprint = name.fingerprint.map(str::to_owned);
        let properties = &request.snapshot_properties;
        let summary = ChangeSummary::new(&request.change, &[], metadata, properties, &token)?
            .with_operation(fingerprint.as_deref());
        let layout = LayoutPolicy::from_properties(metadata.properties())?;
        let compression = Compression::from_properties(metadata.properties())?;
        let read = request.read_snapshot_id.or(head);
        let change = Arc::new(std::mem::take(&mut request.change));
        let removals = Removals::new(&change);
        let writer = ManifestWriter { snapshot_id, change: change.clone(), compression, operation: id };
        Ok(Self {
            request,
            change,
            snapshot_id,
            id,
            token,
            fingerprint,
            input: name.input.map(str::to_owned),
            summary,
            read,
            history: History::default(),
            removals,
            layout,
            writer,
            new: None,
            merges: Merges::default(),
            started: Started::new(id),
            lists: Vec::new(),
            known_branch: None,
            laid: None,
        })
    }

    /// Writes what does not depend on the head, or only on parts of it that seldom change, so that nobody waits for it.
    pub(super) async fn prepare(&mut self, base: &TableBase) -> Result<()> {
        self.branch(base)?;
        self.write_new(base).await?;
        if !self.removals.is_empty() {
            let existing = live_manifests(base, self.parent(base.metadata())).await?;
            self.take_out(base, existing).await?;
        }
        Ok(())
    }

    /// Whether what the operation read still holds in `base`, a table as the catalog gave it.
    pub(super) async fn validate(&mut self, base: &TableBase) -> Result<()> {
        if let Some(source) = self.request.picked_from
            && let Some(by) = refs_of::picked(base.metadata(), &self.request.branch, source)?
        {
            let what =
                format!("another writer picked snapshot {source} meanwhile: snapshot {by} has its change");
            return Err(Error::new(ErrorKind::CommitConflict, what));
        }
        if self.removals.is_empty() && self.request.guards.is_empty() {
            return Ok(());
        }
        self.history.check(base, &self.request.branch, self.read, &self.request.guards).await
    }

    /// Lays the snapshot out on top of `base`, and writes what is not written yet: on a retry, the manifest list. Gives
    /// the updates that add the snapshot, and move the branch to it unless it is staged.
    pub(super) async fn lay_out(
        &mut self,
        base: &TableBase,
        not_before: i64,
        env: &dyn Environment,
    ) -> Result<Vec<TableUpdate>> {
        let metadata = base.metadata();
        let branch = self.branch(base)?;
        let parent = self.parent(metadata);
        let row_lineage = metadata.format_version() == FormatVersion::V3;
        let place = Place {
            parent: parent.map(|p| p.manifest_list().to_owned()),
            branch,
            sequence_number: metadata.next_sequence_number(),
            next_row_id: row_lineage.then(|| metadata.next_row_id()),
            schema_id: metadata.current_schema_id(),
        };
        // Clocks differ between writers: time in a history never runs backwards.
        let not_before = parent.map_or(not_before, |p| p.timestamp_ms().max(not_before));
        if let Some((laid, updates)) = &self.laid
            && *laid == place
            && !is_before(updates, not_before)
        {
            return Ok(updates.clone());
        }
        let (manifests, dangling) = self.manifests(base, parent).await?;
        let mut summary = match dangling.as_slice() {
            [] => self.summary.on(parent.map(|p| p.summary())),
            also => {
                let properties = &self.request.snapshot_properties;
                ChangeSummary::new(&self.change, also, metadata, properties, &self.token)?
                    .with_operation(self.fingerprint.as_deref())
                    .on(parent.map(|p| p.summary()))
            }
        };
        if let Some(input) = &self.input {
            summary.additional_properties.insert(COMMIT_INPUT.to_owned(), input.clone());
        }
        let head = ListHead {
            snapshot_id: self.snapshot_id,
            parent: parent.map(|p| p.snapshot_id()),
            sequence_number: place.sequence_number,
            first_row_id: place.next_row_id,
        };
        // Each list has a name of its own: no reader, and no cache, can mix them up.
        let number = self.lists.len() + 1;
        let location = paths::manifest_list(metadata, self.snapshot_id, number, self.id);
        self.lists.push(List { location: location.clone(), manifests: Arc::default() });
        let manifests = counts::counted(base, manifests).await?;
        let written = list::write(&base.table, &location, head, manifests).await?;
        if let Some(list) = self.lists.last_mut() {
            list.manifests = Arc::new(written.manifests);
        }
        let snapshot = Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(head.parent)
            .with_sequence_number(head.sequence_number)
            .with_timestamp_ms(env.now_ms().max(not_before))
            .with_manifest_list(location)
            .with_summary(summary)
            .with_schema_id(place.schema_id);
        let snapshot = match head.first_row_id.zip(written.assigned_rows) {
            Some((first, rows)) => snapshot.with_row_range(first, rows).build(),
            None => snapshot.build(),
        };
        let mut updates = vec![TableUpdate::AddSnapshot { snapshot }];
        if !self.request.staged {
            updates.push(self.move_branch(place.branch.as_ref()));
        }
        self.laid = Some((place, updates.clone()));
        Ok(updates)
    }

    /// The update that moves the branch to the snapshot, with the retention that the branch has.
    pub(super) fn move_branch(&self, branch: Option<&SnapshotReference>) -> TableUpdate {
        let retention = branch
            .map_or_else(|| SnapshotRetention::branch(None, None, None), |branch| branch.retention.clone());
        TableUpdate::SetSnapshotRef {
            ref_name: self.request.branch.clone(),
            reference: SnapshotReference::new(self.snapshot_id, retention),
        }
    }

    /// Says what the operation took as its input, which is known when its last step has run.
    pub(super) fn name_input(&mut self, input: Option<&str>) {
        if self.input.as_deref() != input {
            self.input = input.map(str::to_owned);
            self.laid = None;
        }
    }

    /// Manifests and manifest lists that were written, or begun.
    pub(super) fn written(&self) -> impl Iterator<Item = &String> {
        self.started.locations.iter().chain(self.lists.iter().map(|list| &list.location))
    }

    /// The data and delete files that the change adds.
    pub(super) fn added(&self) -> impl Iterator<Item = String> {
        self.change.added.iter().map(|added| added.file.file_path().to_owned())
    }

    /// The branch to commit to; `main` may be missing.
    fn branch(&mut self, base: &TableBase) -> Result<Option<SnapshotReference>> {
        let head = self.parent(base.metadata()).map(|parent| parent.snapshot_id());
        let location = &base.table.metadata_location;
        if let Some((at, branch)) = &self.known_branch
            && at == location
            && branch.as_ref().map(|branch| branch.snapshot_id) == head
        {
            return Ok(branch.clone());
        }
        let branch = refs::branch(base.metadata(), &self.request.branch)?;
        if branch.is_none() && self.request.branch != MAIN_BRANCH {
            return Err(Error::new(
                ErrorKind::SnapshotNotFound,
                format!("there is no branch named '{}'", self.request.branch),
            )
            .with_hint("create it first"));
        }
        self.known_branch = Some((location.clone(), branch.clone()));
        Ok(branch)
    }

    fn parent<'m>(&self, metadata: &'m TableMetadata) -> Option<&'m SnapshotRef> {
        metadata.snapshot_for_ref(&self.request.branch)
    }

    /// The manifests of the snapshot, new ones first, and delete files that went along with data files.
    async fn manifests(
        &mut self,
        base: &TableBase,
        parent: Option<&SnapshotRef>,
    ) -> Result<(Vec<ManifestFile>, Vec<RemovedFile>)> {
        let existing = live_manifests(base, parent).await?;
        let Remaining { rewritten, kept, dangling, .. } = self.take_out(base, existing).await?;
        self.write_new(base).await?;
        let new = self.new.as_deref().unwrap_or_default();
        let mut all: Vec<ManifestFile> = Vec::with_capacity(new.len() + kept.len() + rewritten.len());
        all.extend(new.iter().map(|(_, file)| file.clone()));
        all.extend(kept);
        let mut all = match self.request.strategy {
            CommitStrategy::FastAppend => all,
            CommitStrategy::MergeCommit => {
                self.merges.merge(base, all, new, &self.layout, &self.writer, &mut self.started).await?
            }
        };
        // These tell which files this snapshot deleted, and stay as they are.
        all.splice(0..0, rewritten);
        Ok((all, dangling))
    }

    /// Takes the removed files out of the manifests that list them, and delete files that they leave behind.
    ///
    /// Fails with `CommitConflict` when a removed file is not there.
    async fn take_out(&mut self, base: &TableBase, existing: Vec<ManifestFile>) -> Result<Remaining> {
        let remaining = self.removals.take_out(base, existing, &self.writer, &mut self.started).await?;
        if let Some(index) = remaining.missing {
            let since = history::since(base.metadata(), &self.request.branch, self.read)?;
            return Err(history::removed(base, &since, &self.change.removed[index].path).await);
        }
        Ok(remaining)
    }

    /// Writes the manifests of the added files, unless that is done.
    async fn write_new(&mut self, base: &TableBase) -> Result<()> {
        if self.new.is_some() {
            return Ok(());
        }
        let plans = new_manifests(&self.change.added, self.layout.target_size_bytes);
        let places: Vec<String> = plans.iter().map(|_| self.started.next(base.metadata())).collect();
        let (table, writer) = (&base.table, &self.writer);
        // A list of futures, not a stream of closures: those would not be `Send` for every lifetime.
        let writes: Vec<_> = plans
            .into_iter()
            .zip(&places)
            .map(|(plan, location)| async move {
                let shape = writer.shape(&table.metadata, plan.spec_id, plan.content, None)?;
                let entries = plan.files.iter().map(|&index| Listed::Added(index)).collect();
                let file = writer.write(table, shape, location, entries).await?;
                Ok::<_, Error>((plan, file))
            })
            .collect();
        let written = futures::stream::iter(writes).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
        self.new = Some(written);
        Ok(())
    }
}

fn is_before(updates: &[TableUpdate], not_before: i64) -> bool {
    updates.iter().any(|update| match update {
        TableUpdate::AddSnapshot { snapshot } => snapshot.timestamp_ms() < not_before,
        _ => false,
    })
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
