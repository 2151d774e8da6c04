//! Taking back what happened to a branch or tag.

use floe::plan::state::States;
use iceberg::spec::{SnapshotReference, SnapshotRetention};

use super::{Line, Undo};
use crate::values::{DAY_MS, TableName};

/// Takes back what happened to the branch or tag `name`, other than that a branch was moved along its history: it was
/// `before` and is `after`. `states` are those of the table as it is now.
pub(crate) fn reference(
    table: &TableName,
    name: &str,
    before: Option<&SnapshotReference>,
    after: Option<&SnapshotReference>,
    states: &States,
) -> Undo {
    let line = |of: &SnapshotReference| {
        Line::new(if of.is_branch() { "branch" } else { "tag" }).name(table).name(name)
    };
    match (before, after) {
        (before, after) if before == after => Undo::Nothing,
        (None, None) => Undo::Nothing,
        (None, Some(made)) => Undo::by(line(made).flag("drop")),
        (Some(was), after) => {
            let id = was.snapshot_id;
            if !states.snapshots.contains(&id) {
                return Undo::Not(format!("snapshot {id}, where '{name}' was, is not there any more"));
            }
            let Some(id) = states.name_of(id) else {
                return Undo::Not(format!("branches or tags are named like snapshot {id}"));
            };
            let Some(kept) = retention(was, line(was).option("at", id)) else {
                return Undo::Not(format!("'{name}' was kept for a time that no option can name"));
            };
            Undo::by(if after.is_some() { kept.flag("replace") } else { kept })
        }
    }
}

/// Adds how long a branch or tag is kept; nothing where the options cannot say it.
fn retention(reference: &SnapshotReference, line: Line) -> Option<Line> {
    let ages = |ms: Option<i64>| ms.map_or(Some(None), |ms| age(ms).map(Some));
    Some(match &reference.retention {
        SnapshotRetention::Tag { max_ref_age_ms } => line.maybe("keep", ages(*max_ref_age_ms)?),
        SnapshotRetention::Branch { min_snapshots_to_keep, max_snapshot_age_ms, max_ref_age_ms } => {
            if min_snapshots_to_keep.is_some_and(|n| n < 1) {
                return None;
            }
            line.maybe("keep", ages(*max_ref_age_ms)?)
                .maybe("keep-snapshots", *min_snapshots_to_keep)
                .maybe("keep-snapshots-for", ages(*max_snapshot_age_ms)?)
        }
    })
}

/// An age as `--keep` takes it: whole days, or milliseconds.
fn age(ms: i64) -> Option<String> {
    match ms {
        ..1 => None,
        _ if ms % DAY_MS == 0 => Some((ms / DAY_MS).to_string()),
        _ => Some(format!("{ms}ms")),
    }
}
