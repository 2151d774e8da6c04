//! Taking files out of the manifests of a snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use floe_core::{Error, Result};
use floe_plan::change::{ChangeSet, RemovedFile};
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{ManifestContentType, ManifestFile};

use super::manifests::{Listed, ManifestWriter, Started};
use super::targets::{Fate, Targets};
use crate::base::{MANIFESTS_AT_A_TIME, TableBase};

/// The files that a change set removes, and what became of the manifests that were looked at.
#[derive(Debug)]
pub(super) struct Removals {
    change: Arc<ChangeSet>,
    targets: Targets,
    /// `None` for those that stay as they are.
    filtered: HashMap<Key, Option<Rewritten>>,
}

/// What the outcome for a manifest depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    path: String,
    /// What its entries inherit. That of a manifest which the same transaction wrote is another one at each attempt.
    sequence_number: i64,
    first_row_id: Option<u64>,
    /// Deletes with a sequence number below this are dropped.
    oldest_data: i64,
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
pub(super) struct Remaining {
    /// Written by this operation.
    pub(super) rewritten: Vec<ManifestFile>,
    pub(super) kept: Vec<ManifestFile>,
    /// Delete files that went along.
    pub(super) dangling: Vec<RemovedFile>,
    /// A removed file that no manifest lists.
    pub(super) missing: Option<usize>,
}

impl Removals {
    pub(super) fn new(change: &Arc<ChangeSet>) -> Self {
        Self { targets: Targets::new(change), change: change.clone(), filtered: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Takes the removed files out of the manifests that list them, and delete files that they leave behind.
    pub(super) async fn take_out(
        &mut self,
        base: &TableBase,
        existing: Vec<ManifestFile>,
        writer: &ManifestWriter,
        started: &mut Started,
    ) -> Result<Remaining> {
        if self.is_empty() {
            return Ok(Remaining { kept: existing, ..Remaining::default() });
        }
        let (data, deletes): (Vec<_>, Vec<_>) =
            existing.into_iter().partition(|m| m.content == ManifestContentType::Data);
        let mut found = HashSet::with_capacity(self.change.removed.len());
        let mut remaining = Remaining::default();
        self.filter(base, data, 0, &mut found, &mut remaining, writer, started).await?;
        let live = remaining.rewritten.iter().chain(&remaining.kept).filter(|m| has_live_files(m));
        let oldest = live.map(|m| m.min_sequence_number).min();
        let oldest = oldest.unwrap_or_else(|| base.metadata().next_sequence_number());
        self.filter(base, deletes, oldest, &mut found, &mut remaining, writer, started).await?;
        remaining.missing = (0..self.change.removed.len()).find(|index| !found.contains(index));
        Ok(remaining)
    }

    /// Sorts `manifests` into those that stay and those that are written anew without files that go.
    #[expect(clippy::too_many_arguments, reason = "the two calls share all but two of them")]
    async fn filter(
        &mut self,
        base: &TableBase,
        manifests: Vec<ManifestFile>,
        oldest_data: i64,
        found: &mut HashSet<usize>,
        remaining: &mut Remaining,
        writer: &ManifestWriter,
        started: &mut Started,
    ) -> Result<()> {
        let key = |manifest: &ManifestFile| {
            let drops = manifest.min_sequence_number > 0 && manifest.min_sequence_number < oldest_data;
            Key {
                path: manifest.manifest_path.clone(),
                sequence_number: manifest.sequence_number,
                first_row_id: manifest.first_row_id,
                oldest_data: if drops { oldest_data } else { 0 },
            }
        };
        let candidates = self.targets.candidates(base.metadata(), &manifests);
        let candidate = |manifest: &ManifestFile, named: bool| named || key(manifest).oldest_data > 0;
        let unknown: Vec<&ManifestFile> = manifests
            .iter()
            .zip(&candidates)
            .filter(|(manifest, named)| {
                candidate(manifest, **named) && !self.filtered.contains_key(&key(manifest))
            })
            .map(|(manifest, _)| manifest)
            .collect();
        let reads: Vec<_> = unknown
            .iter()
            .map(|manifest| self.targets.fates(base, manifest, key(manifest).oldest_data))
            .collect();
        let fates: Vec<Vec<Fate>> =
            futures::stream::iter(reads).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
        let mut to_write = Vec::new();
        for (manifest, fates) in unknown.into_iter().zip(fates) {
            if fates.iter().all(|fate| *fate == Fate::Keep) {
                self.filtered.insert(key(manifest), None);
            } else {
                to_write.push((manifest, fates, started.next(base.metadata())));
            }
        }
        let writes: Vec<_> = to_write
            .into_iter()
            .map(|(manifest, fates, location)| async move {
                let rewritten = rewrite(base, writer, manifest, &fates, &location).await?;
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
}

/// Writes `manifest` anew at `location`: files that go are marked as deleted, the others keep their numbers.
async fn rewrite(
    base: &TableBase,
    writer: &ManifestWriter,
    manifest: &ManifestFile,
    fates: &[Fate],
    location: &str,
) -> Result<Rewritten> {
    let old = base.manifest(manifest).await?;
    let shape = writer.shape(base.metadata(), manifest.partition_spec_id, manifest.content, Some(&old))?;
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

/// Counts are optional in version 1: a manifest without them may have live files.
pub(super) fn has_live_files(manifest: &ManifestFile) -> bool {
    manifest.added_files_count != Some(0) || manifest.existing_files_count != Some(0)
}
