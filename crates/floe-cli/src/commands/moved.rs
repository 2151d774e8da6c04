//! What moving a branch did, for people and programs.

use floe::LoadedTable;
use iceberg::spec::{MAIN_BRANCH, Snapshot};

use crate::render;
use crate::ui::Report;
use crate::undo::{self, Undo};
use crate::values::TableName;
use crate::warehouse::Location;

/// The snapshot that a branch is at.
fn head(table: &LoadedTable, branch: &str) -> Option<i64> {
    table.metadata.snapshot_for_ref(branch).map(|s| s.snapshot_id())
}

/// The report of a command that moved a branch: where from and where to, and what is there now, as far as the summary
/// of the snapshot says. Its rows are those of data files, those that delete files take away with them.
pub(super) fn report(
    command: &str,
    verb: &str,
    name: &TableName,
    branch: Option<&str>,
    (before, after): (&LoadedTable, &LoadedTable),
    location: &Location,
) -> Report {
    let branch = branch.unwrap_or(MAIN_BRANCH);
    let (from, to) = (head(before, branch), head(after, branch));
    let snapshot = after.metadata.snapshot_for_ref(branch);
    let total = |key| snapshot.and_then(|s| entry(s, key));
    let (rows, files, bytes) = (total("total-records"), total("total-data-files"), total("total-files-size"));
    let delete_files = total("total-delete-files");
    let id = to.unwrap_or_default();
    let text = if from == to {
        format!("{branch} of {name} is at snapshot {id} already")
    } else {
        let from = from.map(|from| format!(" from snapshot {from}")).unwrap_or_default();
        let there = [
            rows.map(|rows| render::counted(rows, "row")),
            files.map(|files| render::counted(files, "file")),
            // The rows that these take away are among those counted.
            delete_files.filter(|n| *n > 0).map(|files| render::counted(files, "delete file")),
            bytes.map(render::bytes),
        ];
        let there = there.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let there = if there.is_empty() { there } else { format!(": {there} now") };
        format!("{verb} {branch} of {name}{from} to snapshot {id}{there}")
    };
    Report::new(command)
        .with("table", name.to_string())
        .with("branch", branch)
        .id("previous_snapshot_id", from)
        .id("snapshot_id", to)
        .with("changed", from != to)
        .with("total_rows", rows)
        .with("total_files", files)
        .with("total_delete_files", delete_files)
        .with("total_bytes", bytes)
        .undo(
            &if from == to { Undo::Nothing } else { undo::moved(after, name, Some(branch), from) },
            location,
        )
        .text(text)
}

/// The report of a command that brought the change of a snapshot into a branch.
pub(super) fn applied(
    command: &str,
    verb: &str,
    name: &TableName,
    branch: Option<&str>,
    (before, after): (&LoadedTable, &LoadedTable),
    snapshot_id: i64,
) -> Report {
    let branch = branch.unwrap_or(MAIN_BRANCH);
    let snapshot = after.metadata.snapshot_by_id(snapshot_id);
    let number = |key| snapshot.and_then(|s| entry(s, key)).unwrap_or_default();
    let (rows, files, bytes) =
        (number("added-records"), number("added-data-files"), number("added-files-size"));
    let text = format!(
        "{verb} {branch} of {name}: snapshot {snapshot_id}, {} added, {} added, {}",
        render::counted(rows, "row"),
        render::counted(files, "file"),
        render::bytes(bytes),
    );
    Report::new(command)
        .with("table", name.to_string())
        .with("branch", branch)
        .id("previous_snapshot_id", head(before, branch))
        .id("snapshot_id", snapshot_id)
        .with("rows", rows)
        .with("files", files)
        .with("bytes", bytes)
        .text(text)
}

/// A number in the summary of a snapshot.
fn entry(snapshot: &Snapshot, key: &str) -> Option<u64> {
    snapshot.summary().additional_properties.get(key).and_then(|n| n.parse().ok())
}
