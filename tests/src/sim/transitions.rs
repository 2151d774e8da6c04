//! Rows after each commit are what the plain model makes of the rows before it.

use floe::iceberg::spec::{SnapshotRef, TableMetadata, TableMetadataRef};
use floe::plan::guard::Isolation;

use super::checks::{Facts, added};
use super::model::{Effect, Op, Outcome};
use super::row::Row;
use super::run::World;

/// Checks every snapshot, and every call that found nothing to do.
pub(super) fn check(world: &World, facts: &Facts) -> Result<(), String> {
    for pair in facts.commits.windows(2) {
        let (before, after) = (&pair[0].table.metadata, &pair[1].table.metadata);
        for (step, snapshot) in added(before, after).into_iter().enumerate() {
            transition(world, facts, (before, after), (step, snapshot), pair[1].operation)?;
        }
    }
    for (number, record) in facts.records.iter().enumerate() {
        let nothing = matches!(record.outcome, Outcome::Done { attempts: 0, replayed: false, .. });
        if !nothing || !record.call.op.changes_rows() {
            continue;
        }
        let branch = record.call.branch.as_deref().unwrap_or("main");
        let seen = read_by(world, facts, number);
        let nothing_to_do = |seen: &TableMetadataRef| {
            let rows = rows(facts, seen.snapshot_for_ref(branch));
            record.call.op.effect(0, rows, seen).apply(rows).as_deref() == Some(rows)
        };
        if !seen.is_empty() && !seen.iter().any(nothing_to_do) {
            return Err(format!("operation {number} did nothing, and had something to do"));
        }
    }
    Ok(())
}

/// The versions of the table that an operation may have read: the one that it saw first, and later ones if it was run again.
fn read_by(world: &World, facts: &Facts, operation: usize) -> Vec<TableMetadataRef> {
    let mut seen: Vec<_> = world.ledger.seen_by(operation).into_iter().map(|table| table.metadata).collect();
    let ran_once = matches!(facts.records[operation].outcome, Outcome::Done { reruns: 0, .. });
    if ran_once {
        seen.truncate(1);
    }
    seen
}

fn rows<'f>(facts: &'f Facts, snapshot: Option<&SnapshotRef>) -> &'f [Row] {
    snapshot.and_then(|s| facts.contents.get(&s.snapshot_id())).map_or(&[], |content| &content.rows)
}

fn transition(
    world: &World,
    facts: &Facts,
    (before, after): (&TableMetadata, &TableMetadata),
    (step, snapshot): (usize, &SnapshotRef),
    operation: usize,
) -> Result<(), String> {
    let call = &facts.records[operation].call;
    let parent = rows(facts, snapshot.parent_snapshot_id().and_then(|id| after.snapshot_by_id(id)));
    let found = rows(facts, Some(snapshot));
    let branch = call.branch.as_deref().unwrap_or("main");
    // Partitions are those of the spec that the operation saw.
    let seen = read_by(world, facts, operation);
    let first = seen.first().map_or(before, |seen| &**seen);
    let effect_of = |seen: &TableMetadata| match &call.op {
        op if call.isolation == Isolation::Snapshot => {
            let read = rows(facts, seen.snapshot_for_ref(branch));
            op.effect(step, read, seen)
        }
        op => op.effect(step, parent, seen),
    };
    let effect = match &call.op {
        Op::Publish { .. } | Op::CherryPick { .. } => {
            let source = snapshot.summary().additional_properties.get("source-snapshot-id");
            let source = source.and_then(|id| id.parse::<i64>().ok());
            let Some(source) = source.and_then(|id| after.snapshot_by_id(id)) else {
                return Err(format!("operation {operation} picked no snapshot that is known"));
            };
            picked(facts, after, source)
        }
        _ => effect_of(first),
    };
    let wanted = effect.apply(parent);
    if wanted.as_deref() == Some(found) {
        return Ok(());
    }
    if seen.iter().skip(1).any(|seen| effect_of(seen).apply(parent).as_deref() == Some(found)) {
        return Ok(());
    }
    let id = snapshot.snapshot_id();
    Err(format!(
        "operation {operation} made snapshot {id} of\n{parent:#?}\nand it has\n{found:#?}\nwhile the model says\n{wanted:#?}",
    ))
}

/// The rows that a snapshot added and removed.
fn picked(facts: &Facts, metadata: &TableMetadata, source: &SnapshotRef) -> Effect {
    let before = source.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
    let mut added = rows(facts, Some(source)).to_vec();
    let mut removed = Vec::new();
    for row in rows(facts, before) {
        match added.iter().position(|other| other == row) {
            Some(at) => drop(added.remove(at)),
            None => removed.push(row.clone()),
        }
    }
    Effect { removed, added }
}
