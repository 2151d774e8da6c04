//! Merging small manifests.

use floe_core::Result;
use floe_plan::change::partition_type;
use floe_plan::layout::{LayoutPolicy, NewManifest, Slot, plan_merges};
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::ManifestFile;

use super::manifests::{Listed, ManifestWriter, Started};
use crate::base::{MANIFESTS_AT_A_TIME, TableBase};

/// What was merged so far.
#[derive(Debug, Default)]
pub(super) struct Merges {
    done: Vec<Merged>,
}

/// A merged manifest, and those it takes the place of, with the sequence numbers that their entries inherit. `None` when
/// they could not be merged.
#[derive(Debug)]
struct Merged {
    inputs: Vec<(String, i64)>,
    manifest: Option<ManifestFile>,
}

impl Merges {
    /// Merges small manifests. What an earlier attempt merged is used again when all of it is still there.
    pub(super) async fn merge(
        &mut self,
        base: &TableBase,
        all: Vec<ManifestFile>,
        new: &[(NewManifest, ManifestFile)],
        layout: &LayoutPolicy,
        writer: &ManifestWriter,
        started: &mut Started,
    ) -> Result<Vec<ManifestFile>> {
        let mut merged = Vec::with_capacity(all.len());
        for slot in plan_merges(&all, layout) {
            let members = match slot {
                Slot::Keep(index) => {
                    merged.push(all[index].clone());
                    continue;
                }
                Slot::Merge(members) => members,
            };
            let inputs: Vec<(String, i64)> =
                members.iter().map(|&i| (all[i].manifest_path.clone(), all[i].sequence_number)).collect();
            if !self.done.iter().any(|done| done.inputs == inputs) {
                let parts: Vec<&ManifestFile> = members.iter().map(|&i| &all[i]).collect();
                let manifest = write_merged(base, &parts, new, writer, started).await?;
                self.done.push(Merged { inputs: inputs.clone(), manifest });
            }
            let done = self.done.iter().find(|done| done.inputs == inputs);
            match done.and_then(|done| done.manifest.clone()) {
                Some(manifest) => merged.push(manifest),
                None => merged.extend(members.into_iter().map(|i| all[i].clone())),
            }
        }
        Ok(merged)
    }
}

async fn write_merged(
    base: &TableBase,
    parts: &[&ManifestFile],
    new: &[(NewManifest, ManifestFile)],
    writer: &ManifestWriter,
    started: &mut Started,
) -> Result<Option<ManifestFile>> {
    let Some(newest) = parts.first() else { return Ok(None) };
    let (spec_id, content) = (newest.partition_spec_id, newest.content);
    if partition_type(base.metadata(), spec_id).is_err() {
        return Ok(None);
    }
    let shape = writer.shape(base.metadata(), spec_id, content, None)?;
    let own = |part: &ManifestFile| new.iter().find(|(_, file)| file.manifest_path == part.manifest_path);
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
    let location = started.next(base.metadata());
    writer.write(&base.table, shape, &location, entries).await.map(Some)
}

async fn live_as_existing(base: &TableBase, manifest: &ManifestFile) -> Result<Vec<Listed>> {
    Ok(base.live_files(manifest).await?.into_iter().map(Listed::Existing).collect())
}
