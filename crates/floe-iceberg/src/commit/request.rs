//! What is to be committed, and how.

use std::collections::HashMap;

use floe_plan::backoff::RetryPolicy;
use floe_plan::change::ChangeSet;
use floe_plan::guard::Guard;
use iceberg::TableUpdate;
use iceberg::spec::MAIN_BRANCH;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the manifests of a snapshot are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommitStrategy {
    /// New manifests beside the old ones: the least work for a commit.
    #[default]
    FastAppend,
    /// Small manifests are merged, as the table's `commit.manifest.*` properties say: less work for readers.
    MergeCommit,
}

impl CommitStrategy {
    /// The name in configuration and spans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FastAppend => "fast_append",
            Self::MergeCommit => "merge_commit",
        }
    }
}

/// A change set with the way to commit it.
///
/// ```
/// use floe_iceberg::commit::CommitRequest;
/// use floe_plan::change::ChangeSet;
///
/// let request = CommitRequest { token: Some("run-42".into()), ..CommitRequest::new(ChangeSet::append(0, vec![])) };
/// assert_eq!(request.branch, "main");
/// ```
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// What is added to the table, and what is removed.
    pub change: ChangeSet,
    /// What must not have happened since the snapshot that the operation read.
    pub guards: Vec<Guard>,
    /// The snapshot that the operation read. `None` for the head of the branch in the table that is given to
    /// [`commit`](super::commit()). It must be in the history of the branch when the commit takes effect, if the
    /// change removes files or has guards.
    pub read_snapshot_id: Option<i64>,
    /// Further updates that become effective together with the snapshot, such as a new schema or properties. The
    /// commit fails with `CommitConflict` when what they depend on is changed by another writer.
    pub updates: Vec<TableUpdate>,
    /// The snapshot is added to the table, and the branch stays where it is (write-audit-publish).
    pub staged: bool,
    /// The snapshot whose change this is, made before and not yet part of the branch. The commit fails with
    /// `CommitConflict` when another writer brings it into the branch first, in whichever way, or expires it.
    pub picked_from: Option<i64>,
    /// How manifests are laid out.
    pub strategy: CommitStrategy,
    /// The branch to put the snapshot on. Any but `main` must be there.
    pub branch: String,
    /// Further entries of the snapshot's summary.
    pub snapshot_properties: HashMap<String, String>,
    /// How often to try again.
    pub retry: RetryPolicy,
    /// Names the operation. When the branch's history has a snapshot with this token already, that one is the
    /// answer and nothing is committed, so that a job may run again after a crash. Drawn at random when `None`.
    pub token: Option<String>,
    /// What the operation is and aims at, without data values; kept with the token. A later operation with the token and
    /// another fingerprint is refused with `Validation`. `None` tells nothing.
    pub fingerprint: Option<String>,
    /// What the operation took as its input, in the form of [`floe_plan::summary::input::InputDigest`]; kept with the token.
    /// An operation with the token and another input is refused with `Validation`. `None` tells nothing.
    pub input: Option<String>,
    /// Whether the added files are deleted when the commit certainly failed.
    pub delete_added_on_failure: bool,
}

impl CommitRequest {
    /// A fast append to `main` with the default retries.
    pub fn new(change: ChangeSet) -> Self {
        Self {
            change,
            guards: Vec::new(),
            read_snapshot_id: None,
            updates: Vec::new(),
            staged: false,
            picked_from: None,
            strategy: CommitStrategy::default(),
            branch: MAIN_BRANCH.to_owned(),
            snapshot_properties: HashMap::new(),
            retry: RetryPolicy::default(),
            token: None,
            fingerprint: None,
            input: None,
            delete_added_on_failure: false,
        }
    }
}
