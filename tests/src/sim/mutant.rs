//! Things that are broken on purpose, to prove that the simulation notices.

use std::sync::Arc;

use floe::ErrorKind;
use floe::iceberg::spec::{MAIN_BRANCH, Snapshot};
use floe::iceberg::{TableRequirement, TableUpdate};
use floe_testkit::sim::{Commit, Tampered, Tampering};

/// Something broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The catalog checks no requirement, and fits a late snapshot to the head of its branch.
    NoRequirements,
    /// The catalog reports some of its successes as certain failures.
    DeniesSuccess,
    /// The catalog puts a wrong number of records into summaries.
    WrongTotals,
    /// Row changes leave out the guards that serializable isolation needs.
    WeakIsolation,
    /// Writers do not pass idempotency keys on.
    ForgetsKeys,
    /// A key alone decides, whatever the input.
    ForgetsInputs,
    /// An input that is read again has half of its rows.
    RerunsWithHalf,
    /// A writer that does not know how its operation ended does it again, without a key.
    RerunsAfterUnknown,
    /// A delete that met a conflict commits what it makes of the table as it was at first.
    RerunsOnOldState,
}

impl Mutant {
    /// How the catalog is broken.
    pub(super) fn tampering(self) -> Option<Tampering> {
        match self {
            Self::NoRequirements => Some(Arc::new(|commit| {
                let uuid = |r: &&TableRequirement| matches!(r, TableRequirement::UuidMatch { .. });
                let requirements = commit.requirements.iter().filter(uuid).cloned().collect();
                Tampered { requirements, updates: snapshots(&commit, refit), deny: None }
            })),
            Self::DeniesSuccess => Some(Arc::new(|commit| {
                let adds = |u: &TableUpdate| matches!(u, TableUpdate::AddSnapshot { snapshot } if snapshot.snapshot_id() % 4 == 0);
                let deny = commit.updates.iter().any(adds).then_some(ErrorKind::PermissionDenied);
                Tampered {
                    requirements: commit.requirements.to_vec(),
                    updates: commit.updates.to_vec(),
                    deny,
                }
            })),
            Self::WrongTotals => Some(Arc::new(|commit| {
                let updates = snapshots(&commit, miscount);
                Tampered { requirements: commit.requirements.to_vec(), updates, deny: None }
            })),
            Self::WeakIsolation
            | Self::ForgetsKeys
            | Self::ForgetsInputs
            | Self::RerunsWithHalf
            | Self::RerunsAfterUnknown
            | Self::RerunsOnOldState => None,
        }
    }
}

/// The updates of a commit with its snapshots changed.
fn snapshots(commit: &Commit<'_>, change: fn(&Commit<'_>, &str, &Snapshot) -> Snapshot) -> Vec<TableUpdate> {
    let branch = commit.updates.iter().find_map(|update| match update {
        TableUpdate::SetSnapshotRef { ref_name, .. } => Some(ref_name.as_str()),
        _ => None,
    });
    let changed = |update: &TableUpdate| match update {
        TableUpdate::AddSnapshot { snapshot } => {
            TableUpdate::AddSnapshot { snapshot: change(commit, branch.unwrap_or(MAIN_BRANCH), snapshot) }
        }
        other => other.clone(),
    };
    commit.updates.iter().map(changed).collect()
}

fn refit(commit: &Commit<'_>, branch: &str, snapshot: &Snapshot) -> Snapshot {
    let metadata = &commit.head.metadata;
    let parent = metadata.snapshot_for_ref(branch).map(|head| head.snapshot_id());
    Snapshot::builder()
        .with_snapshot_id(snapshot.snapshot_id())
        .with_parent_snapshot_id(parent)
        .with_sequence_number(metadata.next_sequence_number())
        .with_timestamp_ms(snapshot.timestamp_ms().max(metadata.last_updated_ms()))
        .with_manifest_list(snapshot.manifest_list().to_owned())
        .with_summary(snapshot.summary().clone())
        .with_schema_id(snapshot.schema_id().unwrap_or_default())
        .build()
}

fn miscount(_: &Commit<'_>, _: &str, snapshot: &Snapshot) -> Snapshot {
    let mut summary = snapshot.summary().clone();
    if let Some(total) = summary.additional_properties.get_mut("total-records") {
        *total = (total.parse::<u64>().unwrap_or(0) + 1).to_string();
    }
    Snapshot::builder()
        .with_snapshot_id(snapshot.snapshot_id())
        .with_parent_snapshot_id(snapshot.parent_snapshot_id())
        .with_sequence_number(snapshot.sequence_number())
        .with_timestamp_ms(snapshot.timestamp_ms())
        .with_manifest_list(snapshot.manifest_list().to_owned())
        .with_summary(summary)
        .with_schema_id(snapshot.schema_id().unwrap_or_default())
        .build()
}
