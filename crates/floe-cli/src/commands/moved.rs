//! What moving a branch did, for people and programs.

use floe::LoadedTable;
use iceberg::spec::{MAIN_BRANCH, Snapshot};

use crate::render;
use crate::ui::Report;
use crate::values::TableName;

/// The snapshot that a branch is at.
fn head(table: &LoadedTable, branch: &str) -> Option<i64> {
    table.metadata.snapshot_for_ref(branch).map(|s| s.snapshot_id())
}

/// The report of a command that moved a branch: where from and where to, and what is there now.
pub(super) fn report(
    command: &str,
    verb: &str,
    name: &TableName,
    branch: Option<&str>,
    (before, after): (&LoadedTable, &LoadedTable),
) -> Report {
    let branch = branch.unwrap_or(MAIN_BRANCH);
    let (from, to) = (head(before, branch), head(after, branch));
    let summary = after.metadata.snapshot_for_ref(branch).map(|snapshot| totals(snapshot));
    let (rows, files, bytes) = summary.unwrap_or_default();
    let id = to.unwrap_or_default();
    let text = if from == to {
        format!("{branch} of {name} is at snapshot {id} already")
    } else {
        let from = from.map(|from| format!(" from snapshot {from}")).unwrap_or_default();
        let there = [
            rows.map(|rows| render::counted(rows, "row")),
            files.map(|files| render::counted(files, "file")),
            bytes.map(render::bytes),
        ];
        let there = there.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let there = if there.is_empty() { there } else { format!(": {there} now") };
        format!("{verb} {branch} of {name}{from} to snapshot {id}{there}")
    };
    Report::new(command)
        .with("table", name.to_string())
        .with("branch", branch)
        .with("previous_snapshot_id", from)
        .with("snapshot_id", to)
        .with("changed", from != to)
        .with("total_rows", rows)
        .with("total_files", files)
        .with("total_bytes", bytes)
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
        .with("previous_snapshot_id", head(before, branch))
        .with("snapshot_id", snapshot_id)
        .with("rows", rows)
        .with("files", files)
        .with("bytes", bytes)
        .text(text)
}

/// Rows, data files and bytes of a snapshot, as far as its summary says.
fn totals(snapshot: &Snapshot) -> (Option<u64>, Option<u64>, Option<u64>) {
    (
        entry(snapshot, "total-records"),
        entry(snapshot, "total-data-files"),
        entry(snapshot, "total-files-size"),
    )
}

fn entry(snapshot: &Snapshot, key: &str) -> Option<u64> {
    snapshot.summary().additional_properties.get(key).and_then(|n| n.parse().ok())
}
