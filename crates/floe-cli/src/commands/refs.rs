//! `floe refs`, `floe tag` and `floe branch`.

use floe::plan::state::{States, confusing_name};
use floe::refs::BranchRetention;
use floe::{Error, ErrorKind, IcebergTableManager, LoadedTable, Result, metadata_file};
use iceberg::spec::{SnapshotReference, SnapshotRetention};
use serde_json::{Value, json};

use super::at;
use crate::args::{BranchArgs, PlaceArgs, TableArgs, TagArgs};
use crate::output::plain_table;
use crate::ui::{Report, Ui};
use crate::undo::{self, Undo};
use crate::values::{DAY_MS, TableName};
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
    ui.print(&Report::new(command).with("table", args.table.to_string()).with("refs", refs).lines(text))
}

/// Makes, moves or drops a tag.
pub(super) async fn tag(command: &str, args: TagArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let change = Change::begin(command, "tag", &manager, &args.table, &args.name).await?;
    if args.place.drop {
        let was = change.there()?;
        manager.drop_tag(&ident, &args.name).await?;
        return ui.print(&change.dropped(&was, &manager, location).await?);
    }
    let (snapshot, note) = change.place(&args.place)?;
    manager.tag(&ident, &args.name, snapshot, args.place.keep, args.place.replace).await?;
    ui.print(&change.made(&manager, location).await?.maybe_note(note))
}

/// Makes, moves or drops a branch.
pub(super) async fn branch(command: &str, args: BranchArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let change = Change::begin(command, "branch", &manager, &args.table, &args.name).await?;
    if args.place.drop {
        let was = change.there()?;
        manager.drop_branch(&ident, &args.name).await?;
        return ui.print(&change.dropped(&was, &manager, location).await?);
    }
    let (snapshot, note) = change.place(&args.place)?;
    let retention = BranchRetention {
        min_snapshots_to_keep: args.keep_snapshots,
        max_snapshot_age_ms: args.keep_snapshots_for,
        max_ref_age_ms: args.place.keep,
    };
    manager.branch(&ident, &args.name, snapshot, retention, args.place.replace).await?;
    ui.print(&change.made(&manager, location).await?.maybe_note(note))
}

/// A change of one branch or tag.
struct Change<'a> {
    command: &'a str,
    what: &'static str,
    table: &'a TableName,
    name: &'a str,
    loaded: LoadedTable,
    before: Option<SnapshotReference>,
}

impl<'a> Change<'a> {
    async fn begin(
        command: &'a str,
        what: &'static str,
        manager: &IcebergTableManager,
        table: &'a TableName,
        name: &'a str,
    ) -> Result<Self> {
        let loaded = manager.load_table(&table.ident()).await?;
        let before = metadata_file::references(&loaded.metadata)?.remove(name);
        Ok(Self { command, what, table, name, loaded, before })
    }

    /// The branch or tag as it was. `SnapshotNotFound`.
    fn there(&self) -> Result<SnapshotReference> {
        self.before.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::SnapshotNotFound,
                format!("there is no branch or tag named '{}'", self.name),
            )
            .with_table(self.table)
            .with_hint("`floe refs` lists them")
        })
    }

    /// The snapshot that `--at` selects, `None` being left to the library; and what else it could mean.
    fn place(&self, place: &PlaceArgs) -> Result<(Option<i64>, Option<String>)> {
        match place.at.as_deref() {
            None => Ok((None, None)),
            at => at::choose(at, &self.loaded).map(|chosen| (chosen.snapshot_id, chosen.note)),
        }
    }

    async fn made(&self, manager: &IcebergTableManager, location: &Location) -> Result<Report> {
        let after = manager.load_table(&self.table.ident()).await?;
        let refs = metadata_file::references(&after.metadata)?;
        let now = refs.get(self.name).ok_or_else(|| {
            Error::new(ErrorKind::CommitConflict, format!("another writer dropped '{}' meanwhile", self.name))
                .with_table(self.table)
        })?;
        let kept = retention(now).0.map(|ms| format!(", kept for {}", span(ms))).unwrap_or_default();
        let undo = self.undo(Some(now), &after)?;
        let what = if self.what == "tag" { "Tag" } else { "Branch" };
        let confusing = self.before.is_none().then(|| confusing_name(self.name)).flatten();
        Ok(Report::new(self.command)
            .with("table", self.table.to_string())
            .id("snapshot_id", now.snapshot_id)
            .with("ref", as_json(self.name, now))
            .undo(&undo, location)
            .maybe_note(confusing)
            .text(format!("{what} {} of {} is at snapshot {}{kept}", self.name, self.table, now.snapshot_id)))
    }

    async fn dropped(
        &self,
        was: &SnapshotReference,
        manager: &IcebergTableManager,
        location: &Location,
    ) -> Result<Report> {
        let after = manager.load_table(&self.table.ident()).await?;
        let undo = self.undo(None, &after)?;
        let (what, name, table) = (self.what, self.name, self.table);
        Ok(Report::new(self.command)
            .with("table", table.to_string())
            .id("snapshot_id", was.snapshot_id)
            .with("ref", as_json(name, was))
            .with("dropped", true)
            .undo(&undo, location)
            .text(format!("Dropped {what} {name} of {table}; it was at snapshot {}", was.snapshot_id)))
    }

    fn undo(&self, now: Option<&SnapshotReference>, after: &LoadedTable) -> Result<Undo> {
        let states = States::of(&after.metadata)?;
        Ok(undo::reference(self.table, self.name, self.before.as_ref(), now, &states))
    }
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
        "snapshot_id": reference.snapshot_id.to_string(),
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
        assert_eq!(span(DAY_MS), "1 day");
        assert_eq!(span(90 * DAY_MS), "90 days");
        assert_eq!(span(DAY_MS + 1), "86400001 ms");
        assert_eq!(span(0), "0 ms");
    }
}
