//! What a write did, for people and programs.

use std::time::Instant;

use floe::execute::rows::RowCounts;
use floe::model::WriteOutcome;
use floe::{IcebergTableManager, Result};

use crate::args::CommitArgs;
use crate::exit::internal;
use crate::render::{bytes, counted};
use crate::ui::Report;
use crate::undo::{self, Undo};
use crate::values::TableName;
use crate::warehouse::Location;

/// The words for what a command does to rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Append,
    Stage,
    Overwrite,
    Upsert,
    Merge,
    Delete,
}

/// The report of a write to `table`, which began at `started`.
pub(super) fn report(
    command: &str,
    deed: Deed,
    table: &TableName,
    commit: &CommitArgs,
    outcome: &WriteOutcome,
    started: Instant,
) -> Result<Report> {
    let seconds = started.elapsed().as_secs_f64();
    let place = match commit.branch.as_deref() {
        Some(branch) => format!("branch {branch} of {table}"),
        None => table.to_string(),
    };
    let mut report = Report::new(command)
        .with("table", table.to_string())
        .with("branch", commit.branch.as_deref().unwrap_or("main"))
        .id("snapshot_id", outcome.snapshot_id)
        .with("rows", outcome.rows)
        .with("files", outcome.files)
        .with("bytes", outcome.bytes)
        .with("attempts", outcome.attempts)
        .with("reruns", outcome.reruns)
        .with("replayed", outcome.replayed)
        .with("elapsed_ms", (seconds * 1000.0).round() as u64)
        .text(describe(deed, &place, outcome, seconds));
    if matches!(deed, Deed::Overwrite | Deed::Upsert | Deed::Merge | Deed::Delete) {
        let changes = outcome.changes.unwrap_or_default();
        let changes = serde_json::to_value(changes).map_err(|e| internal(e.to_string()))?;
        report = report.with("dry_run", outcome.dry_run).with("changes", changes);
    }
    if let Some(merged) = outcome.merged {
        report = report
            .with("rows_updated", merged.rows_updated)
            .with("rows_inserted", merged.rows_inserted)
            .with("rows_deleted", merged.rows_deleted)
            .with("rows_unchanged", merged.rows_unchanged);
    }
    Ok(report)
}

/// Adds how the write is taken back, and what it leaves.
pub(super) async fn with_undo(
    report: Report,
    deed: Deed,
    table: &TableName,
    commit: &CommitArgs,
    outcome: &WriteOutcome,
    (manager, location): (&IcebergTableManager, &Location),
) -> Report {
    let changed = outcome.attempts > 0 && !outcome.dry_run && !outcome.replayed;
    let undo = match deed {
        _ if !changed => Undo::Nothing,
        Deed::Stage => Undo::Not("nothing shows a staged snapshot until it is published".into()),
        _ => undo::written(manager, table, commit.branch.as_deref(), outcome.snapshot_id).await,
    };
    let held = changed && matches!(deed, Deed::Delete);
    report.undo(&undo, location).maybe_note(held.then_some(HELD))
}

/// What a delete leaves.
const HELD: &str =
    "older snapshots still hold the deleted rows, and so do files, until those snapshots expire";

/// One line on what was done, or would be.
fn describe(deed: Deed, place: &str, outcome: &WriteOutcome, seconds: f64) -> String {
    let snapshot = outcome.snapshot_id.unwrap_or_default();
    if outcome.replayed {
        return format!(
            "Done before, with this key: {place} has it in snapshot {snapshot}, and is as it was"
        );
    }
    let changes = outcome.changes.unwrap_or_default();
    let what = match (deed, outcome.dry_run) {
        (Deed::Append, _) => format!("Appended {} to {place}", counted(outcome.rows, "row")),
        (Deed::Stage, _) => format!("Staged {} for {place}", counted(outcome.rows, "row")),
        (Deed::Overwrite, dry) => {
            let verb = if dry { "Would put" } else { "Put" };
            let (new, old) = (counted(outcome.rows, "row"), counted(changes.rows_removed, "row"));
            format!("{verb} {new} in the place of {old} of {place}")
        }
        (Deed::Upsert | Deed::Merge, dry) => {
            let merged = outcome.merged.unwrap_or_default();
            let (update, insert, delete) =
                if dry { ("Would update", "insert", "delete") } else { ("Updated", "inserted", "deleted") };
            let gone = match merged.rows_deleted {
                0 => String::new(),
                rows => format!(", {delete} {rows}"),
            };
            let updated = counted(merged.rows_updated, "row");
            format!("{update} {updated}, {insert} {}{gone} in {place}", merged.rows_inserted)
        }
        (Deed::Delete, dry) => {
            let verb = if dry { "Would delete" } else { "Deleted" };
            format!("{verb} {} from {place}", counted(changes.rows_removed, "row"))
        }
    };
    if outcome.dry_run {
        return format!("{what}: {}; nothing was written", old_files(&changes));
    }
    if outcome.attempts == 0 {
        return match deed {
            Deed::Append | Deed::Stage => format!("No rows to append: {place} is as it was"),
            Deed::Overwrite | Deed::Upsert | Deed::Merge | Deed::Delete => {
                format!("Nothing to change: {place} is as it was")
            }
        };
    }
    let mut parts = vec![format!("snapshot {snapshot}")];
    if matches!(deed, Deed::Append | Deed::Stage) {
        parts.push(counted(outcome.files, "file"));
    } else {
        parts.push(format!("{} added", counted(changes.files_added, "file")));
        parts.push(old_files(&changes));
        if changes.delete_files_added > 0 {
            parts.push(format!("{} added", counted(changes.delete_files_added, "delete file")));
        }
    }
    parts.push(bytes(outcome.bytes));
    parts.push(format!("{}{}", counted(u64::from(outcome.attempts), "attempt"), reruns(outcome.reruns)));
    parts.push(format!("{seconds:.2} s"));
    format!("{what}: {}", parts.join(", "))
}

/// That an operation was run again, if it was.
pub(super) fn reruns(reruns: u32) -> String {
    match reruns {
        0 => String::new(),
        1 => ", run again once because of another writer".to_owned(),
        reruns => format!(", run again {reruns} times because of other writers"),
    }
}

/// What becomes of the files that are there.
fn old_files(changes: &RowCounts) -> String {
    format!("{} removed, {} rewritten", counted(changes.files_removed, "file"), changes.files_rewritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delete_tells_rows_files_bytes_and_attempts() {
        let changes = RowCounts { rows_removed: 2, files_removed: 1, ..RowCounts::default() };
        let done = WriteOutcome {
            snapshot_id: Some(7),
            attempts: 2,
            changes: Some(changes),
            ..WriteOutcome::default()
        };
        assert_eq!(
            describe(Deed::Delete, "t.t", &done, 0.5),
            "Deleted 2 rows from t.t: snapshot 7, 0 files added, 1 file removed, 0 rewritten, 0 B, 2 attempts, 0.50 s"
        );
        let again = WriteOutcome { reruns: 2, ..done.clone() };
        let text = describe(Deed::Delete, "t.t", &again, 0.5);
        assert!(text.contains("2 attempts, run again 2 times because of other writers, 0.50 s"), "{text}");
        let dry = WriteOutcome { dry_run: true, attempts: 0, ..done.clone() };
        let text = describe(Deed::Delete, "t.t", &dry, 0.5);
        assert!(text.starts_with("Would delete 2 rows") && text.ends_with("nothing was written"), "{text}");
        let nothing = WriteOutcome { attempts: 0, ..done };
        assert_eq!(describe(Deed::Delete, "t.t", &nothing, 0.5), "Nothing to change: t.t is as it was");
    }
}
