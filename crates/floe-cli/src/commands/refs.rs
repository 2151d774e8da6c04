//! `floe refs`, `floe tag` and `floe branch`.

use floe::refs::BranchRetention;
use floe::{Error, ErrorKind, IcebergTableManager, Result};
use iceberg::spec::{SnapshotReference, SnapshotRetention};
use serde_json::{Value, json};

use super::at;
use super::options::{DAY_MS, days};
use crate::args::{BranchArgs, PlaceArgs, TableArgs, TagArgs};
use crate::output::{Right, plain_table};
use crate::ui::{Report, Ui};
use crate::values::TableName;
use crate::warehouse::Location;

/// Lists the branches and tags of a table, by name.
pub(super) async fn list(command: &str, args: TableArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let refs = manager.list_refs(&args.table.ident()).await?;
    let mut table = plain_table(
        &["NAME", "TYPE", "SNAPSHOT", "KEPT", "SNAPSHOTS KEPT", "SNAPSHOTS KEPT FOR"],
        ui.layout(),
    );
    for (name, reference) in &refs {
        let (kept, least, age) = retention(reference);
        table.add_row([
            name.clone(),
            kind(reference).to_owned(),
            reference.snapshot_id.to_string(),
            kept.map(span).unwrap_or_default(),
            least.map(|n| n.to_string()).unwrap_or_default(),
            age.map(span).unwrap_or_default(),
        ]);
    }
    table.right(&[4]);
    let text = if refs.is_empty() {
        format!("{} has no branches or tags yet: it is empty.", args.table)
    } else {
        table.trim_fmt()
    };
    let refs: Vec<Value> = refs.iter().map(|(name, reference)| as_json(name, reference)).collect();
    ui.print(&Report::new(command).with("table", args.table.to_string()).with("refs", refs).text(text))
}

/// Makes, moves or drops a tag.
pub(super) async fn tag(command: &str, args: TagArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    if args.place.drop {
        let was = existing(&manager, &args.table, &args.name).await?;
        manager.drop_tag(&ident, &args.name).await?;
        return ui.print(&dropped(command, "tag", &args.table, &args.name, &was));
    }
    let snapshot = place(&manager, &args.table, &args.place).await?;
    manager.tag(&ident, &args.name, snapshot, args.place.keep.map(days), args.place.replace).await?;
    let now = existing(&manager, &args.table, &args.name).await?;
    ui.print(&made(command, "Tag", &args.table, &args.name, &now))
}

/// Makes, moves or drops a branch.
pub(super) async fn branch(command: &str, args: BranchArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    if args.place.drop {
        let was = existing(&manager, &args.table, &args.name).await?;
        manager.drop_branch(&ident, &args.name).await?;
        return ui.print(&dropped(command, "branch", &args.table, &args.name, &was));
    }
    let snapshot = place(&manager, &args.table, &args.place).await?;
    let retention = BranchRetention {
        min_snapshots_to_keep: args.keep_snapshots,
        max_snapshot_age_ms: args.keep_snapshots_for.map(days),
        max_ref_age_ms: args.place.keep.map(days),
    };
    manager.branch(&ident, &args.name, snapshot, retention, args.place.replace).await?;
    let now = existing(&manager, &args.table, &args.name).await?;
    ui.print(&made(command, "Branch", &args.table, &args.name, &now))
}

/// The snapshot that `--at` selects; `None` is left to the library.
async fn place(manager: &IcebergTableManager, table: &TableName, place: &PlaceArgs) -> Result<Option<i64>> {
    if place.at.is_none() {
        return Ok(None);
    }
    let loaded = manager.load_table(&table.ident()).await?;
    at::snapshot_id(&at::selector(place.at.as_deref(), &loaded.metadata), &loaded)
}

/// The branch or tag of this name. `SnapshotNotFound`.
async fn existing(manager: &IcebergTableManager, table: &TableName, name: &str) -> Result<SnapshotReference> {
    let refs = manager.list_refs(&table.ident()).await?;
    refs.into_iter().find(|(there, _)| there == name).map(|(_, reference)| reference).ok_or_else(|| {
        Error::new(ErrorKind::SnapshotNotFound, format!("there is no branch or tag named '{name}'"))
            .with_table(table)
            .with_hint("`floe refs` lists them")
    })
}

fn made(command: &str, what: &str, table: &TableName, name: &str, now: &SnapshotReference) -> Report {
    let kept = retention(now).0.map(|ms| format!(", kept for {}", span(ms))).unwrap_or_default();
    Report::new(command)
        .with("table", table.to_string())
        .with("snapshot_id", now.snapshot_id)
        .with("ref", as_json(name, now))
        .text(format!("{what} {name} of {table} is at snapshot {}{kept}", now.snapshot_id))
}

fn dropped(command: &str, what: &str, table: &TableName, name: &str, was: &SnapshotReference) -> Report {
    Report::new(command)
        .with("table", table.to_string())
        .with("snapshot_id", was.snapshot_id)
        .with("ref", as_json(name, was))
        .with("dropped", true)
        .text(format!("Dropped {what} {name} of {table}; it was at snapshot {}", was.snapshot_id))
}

fn kind(reference: &SnapshotReference) -> &'static str {
    if reference.is_branch() { "branch" } else { "tag" }
}

/// How long it is kept in milliseconds; and of a branch, how many snapshots at least, and for how long.
fn retention(reference: &SnapshotReference) -> (Option<i64>, Option<i32>, Option<i64>) {
    match &reference.retention {
        SnapshotRetention::Branch { min_snapshots_to_keep, max_snapshot_age_ms, max_ref_age_ms } => {
            (*max_ref_age_ms, *min_snapshots_to_keep, *max_snapshot_age_ms)
        }
        SnapshotRetention::Tag { max_ref_age_ms } => (*max_ref_age_ms, None, None),
    }
}

fn as_json(name: &str, reference: &SnapshotReference) -> Value {
    let (max_ref_age_ms, min_snapshots_to_keep, max_snapshot_age_ms) = retention(reference);
    json!({
        "name": name,
        "type": kind(reference),
        "snapshot_id": reference.snapshot_id,
        "max_ref_age_ms": max_ref_age_ms,
        "min_snapshots_to_keep": min_snapshots_to_keep,
        "max_snapshot_age_ms": max_snapshot_age_ms,
    })
}

/// Milliseconds for people: whole days where they are.
fn span(ms: i64) -> String {
    match ms {
        1.. if ms % DAY_MS == 0 => crate::render::counted((ms / DAY_MS).unsigned_abs(), "day"),
        _ => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_told_as_days() {
        assert_eq!(span(days(1)), "1 day");
        assert_eq!(span(days(90)), "90 days");
        assert_eq!(span(DAY_MS + 1), "86400001 ms");
        assert_eq!(span(0), "0 ms");
    }
}
