//! What must hold after a run.

use std::collections::{BTreeSet, HashMap};

use floe::catalog::CatalogClient;
use floe::iceberg::spec::{DataContentType, SnapshotRef, TableMetadata};
use floe::metadata_file::references;
use floe::refs::history;
use floe_testkit::sim::CommitRecord;

use super::model::{Op, Outcome, Record};
use super::run::World;
use super::transitions;
use super::truth::{Content, content};

/// Everything that is known after a run.
pub(super) struct Facts {
    pub(super) records: Vec<Record>,
    pub(super) commits: Vec<CommitRecord>,
    pub(super) contents: HashMap<i64, Content>,
}

/// Checks everything; the error says what does not hold.
pub(super) async fn check(world: &World) -> Result<(), String> {
    let newest = world.newest();
    let loaded =
        world.server.load_table(&world.table).await.map_err(|e| format!("the table is gone: {e}"))?;
    if loaded.metadata_location != newest.metadata_location {
        return Err("the table is not what the last commit made".into());
    }
    let manager = world.fresh(0);
    let (metadata, io) = (&newest.metadata, manager.storage().file_io());
    let (mut contents, mut cache) = (HashMap::new(), HashMap::new());
    let mut snapshots: Vec<&SnapshotRef> = metadata.snapshots().collect();
    snapshots.sort_unstable_by_key(|s| s.sequence_number());
    for snapshot in snapshots {
        let content = content(&manager, &world.table, metadata, &io, snapshot, &mut cache).await?;
        contents.insert(snapshot.snapshot_id(), content);
    }
    let records = world.records.lock().unwrap().clone();
    let facts = Facts { records, commits: world.ledger.commits(), contents };
    chain(&facts)?;
    outcomes(world, &facts)?;
    files(world, &facts, metadata)?;
    transitions::check(world, &facts)
}

/// Commits follow one another, and each does what its operation may do.
fn chain(facts: &Facts) -> Result<(), String> {
    let mut mains: Vec<i64> = Vec::new();
    for pair in facts.commits.windows(2) {
        let [CommitRecord { table: before, .. }, CommitRecord { operation, table: after }] = pair else {
            continue;
        };
        let name = |what: &str| format!("the commit of operation {operation} {what}");
        let logged = after.metadata.metadata_log().last().map(|entry| entry.metadata_file.as_str());
        if logged != Some(before.metadata_location.as_str()) {
            return Err(name("does not follow the one before it"));
        }
        let (before, after) = (&before.metadata, &after.metadata);
        let added = added(before, after);
        if before.snapshots().any(|s| after.snapshot_by_id(s.snapshot_id()).is_none()) {
            return Err(name("loses a snapshot"));
        }
        let (refs_before, refs_after) =
            (references(before).map_err(|e| e.to_string())?, references(after).map_err(|e| e.to_string())?);
        let names: BTreeSet<&String> = refs_before.keys().chain(refs_after.keys()).collect();
        let moved: Vec<&String> =
            names.into_iter().filter(|name| refs_before.get(*name) != refs_after.get(*name)).collect();
        let Some(record) = facts.records.get(*operation) else { return Err(name("has no operation")) };
        let branch = record.call.branch.as_deref().unwrap_or("main");
        let head = before.snapshot_for_ref(branch).map(|s| s.snapshot_id());
        let now = after.snapshot_for_ref(branch).map(|s| s.snapshot_id());
        let op = &record.call.op;
        let (mut parent, mut sequence) = (head, before.last_sequence_number());
        for new in &added {
            sequence += 1;
            if new.parent_snapshot_id() != parent {
                return Err(name("has a snapshot that does not follow the one before it on its branch"));
            }
            if new.sequence_number() != sequence {
                return Err(name("has a sequence number out of order"));
            }
            parent = Some(new.snapshot_id());
        }
        let new = added.last();
        if record.call.wap.is_none() && new.is_some_and(|new| now != Some(new.snapshot_id())) {
            return Err(name("does not move the branch to its snapshot"));
        }
        if added.len() > op.snapshots() || (op.changes_rows() && added.len() != op.snapshots()) {
            return Err(name(&format!("adds {} snapshots", added.len())));
        }
        let only = |name: &str| moved.iter().all(|moved| *moved == name);
        let as_meant = match &record.call.op {
            op if op.changes_rows() && record.call.wap.is_some() => moved.is_empty(),
            Op::Tag { name, .. } | Op::DropTag { name } => new.is_none() && only(name),
            // The first branch of a table may be made before main is.
            Op::Branch { name, .. } => new.is_none() && only(name),
            Op::Rollback { snapshot } => {
                only(branch)
                    && now == Some(*snapshot)
                    && history(before, branch).any(|s| s.snapshot_id() == *snapshot)
            }
            Op::SetCurrent { snapshot } => only(branch) && now == Some(*snapshot),
            Op::FastForward { .. } | Op::Publish { .. } | Op::CherryPick { .. } => {
                let keeps = head.is_none() || history(after, branch).any(|s| Some(s.snapshot_id()) == head);
                only(branch) && keeps
            }
            Op::Respec { .. } | Op::Evolve { .. } => new.is_none() && moved.is_empty(),
            _ => only(branch),
        };
        if !as_meant {
            return Err(name(&format!("moves {moved:?} otherwise than it may")));
        }
        if let Some(id) = after.current_snapshot_id()
            && mains.last() != Some(&id)
        {
            mains.push(id);
        }
    }
    let last = facts.commits.last().map(|commit| &commit.table.metadata);
    let logged: Vec<i64> =
        last.map(|m| m.history().iter().map(|entry| entry.snapshot_id).collect()).unwrap_or_default();
    if logged != mains {
        return Err(format!("the snapshot log is {logged:?}, and main was at {mains:?}"));
    }
    Ok(())
}

/// The snapshots that `after` has and `before` has not, in order.
pub(super) fn added<'t>(before: &TableMetadata, after: &'t TableMetadata) -> Vec<&'t SnapshotRef> {
    let mut added: Vec<_> =
        after.snapshots().filter(|s| before.snapshot_by_id(s.snapshot_id()).is_none()).collect();
    added.sort_unstable_by_key(|s| s.sequence_number());
    added
}

/// What a writer was told is what happened.
fn outcomes(world: &World, facts: &Facts) -> Result<(), String> {
    let mut commits: HashMap<usize, Vec<i64>> = HashMap::new();
    let mut made_by: HashMap<i64, usize> = HashMap::new();
    for pair in facts.commits.windows(2) {
        let (before, CommitRecord { operation, table }) = (&pair[0].table.metadata, &pair[1]);
        let added = added(before, &table.metadata);
        let new = added.last().map(|s| s.snapshot_id());
        commits.entry(*operation).or_default().extend(new.or(Some(0)));
        // Exactly once: no history has a key twice.
        let call = &facts.records[*operation].call;
        if let Some(key) = &call.key {
            let branch = call.branch.as_deref().unwrap_or("main");
            let same = |s: &SnapshotRef| {
                let by = made_by.get(&s.snapshot_id());
                by.is_some_and(|by| facts.records[*by].call.key.as_ref() == Some(key))
            };
            let staged = call.wap.is_some();
            let earlier =
                if staged { before.snapshots().any(same) } else { history(before, branch).any(same) };
            if earlier {
                return Err(format!(
                    "operation {operation} was done already by another call with the key {key}"
                ));
            }
        }
        made_by.extend(added.iter().map(|new| (new.snapshot_id(), *operation)));
    }
    for (number, Record { call, outcome }) in facts.records.iter().enumerate() {
        let done = commits.get(&number).map_or(&[][..], Vec::as_slice);
        let told = |what: &str| Err(format!("operation {number} {what}, and its commits are {done:?}"));
        // References have nothing that names who moved them: a request that comes late moves one again that is as it was.
        let again = !call.op.changes_rows() && world.ledger.is_late(number);
        if done.len() > 1 && !again {
            return told("was committed several times");
        }
        match outcome {
            Outcome::Running => return told("never ended"),
            Outcome::Failed(why) if !done.is_empty() => return told(&format!("failed ({why})")),
            Outcome::Done { snapshot, attempts, replayed, .. } if call.op.changes_rows() => {
                let committed = *attempts > 0;
                if committed && (done.len() != 1 || *snapshot != done.first().copied()) {
                    return told("succeeded");
                }
                if !committed && !done.is_empty() {
                    return told("had nothing to do");
                }
                let by = snapshot.and_then(|id| made_by.get(&id)).map(|by| &facts.records[*by].call);
                if *replayed && by.map(|by| &by.key) != Some(&call.key) {
                    return told("found an earlier snapshot that is not its own");
                }
                if *replayed && !by.is_some_and(|by| by.op.is_same(&call.op)) {
                    return told("took another input for its own");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every file is there that a snapshot refers to, no other is, and the numbers fit.
fn files(world: &World, facts: &Facts, metadata: &TableMetadata) -> Result<(), String> {
    let there: BTreeSet<String> = world.memory.locations().into_iter().collect();
    let mut referenced: BTreeSet<&str> = BTreeSet::new();
    let mut snapshots: Vec<&SnapshotRef> = metadata.snapshots().collect();
    snapshots.sort_unstable_by_key(|s| s.sequence_number());
    for snapshot in snapshots {
        let id = snapshot.snapshot_id();
        let Some(content) = facts.contents.get(&id) else {
            return Err(format!("snapshot {id} was not read"));
        };
        let parent = snapshot.parent_snapshot_id().and_then(|id| facts.contents.get(&id));
        referenced.extend(content.metadata_files.iter().map(String::as_str));
        referenced.extend(content.files.keys().map(String::as_str));
        for (path, file) in &content.files {
            if !there.contains(path) {
                return Err(format!("snapshot {id} refers to {path}, which is not there"));
            }
            let before = parent.and_then(|parent| parent.files.get(path));
            if !file.added && before.map(|before| before.sequence) != Some(file.sequence) {
                return Err(format!("in snapshot {id} the sequence number of {path} has changed"));
            }
            if file.added && file.sequence != snapshot.sequence_number() {
                return Err(format!("{path} has another sequence number than snapshot {id}, which added it"));
            }
            if let Some(data) =
                file.referenced.as_ref().filter(|_| file.content == DataContentType::PositionDeletes)
                && !content.files.contains_key(data)
            {
                return Err(format!("in snapshot {id} the deletes {path} are for {data}, which is gone"));
            }
        }
        totals(snapshot, content)?;
    }
    for location in &there {
        if referenced.contains(location.as_str())
            || location.ends_with(".metadata.json")
            || location.ends_with(".floe-check")
        {
            continue;
        }
        let Some(operation) = world.ledger.writer_of(location) else { continue };
        let outcome = facts.records.get(operation).map(|record| &record.outcome);
        let open = matches!(outcome, Some(Outcome::Unknown | Outcome::Crashed));
        // Whether the earlier call was given the same files could not be found out.
        let unread = matches!(outcome, Some(Outcome::Done { replayed: true, .. }))
            && world.ledger.is_faulty(operation);
        if !open && !unread && !world.ledger.is_excused(operation) {
            return Err(format!("operation {operation} ({outcome:?}) left {location} behind"));
        }
    }
    Ok(())
}

fn totals(snapshot: &SnapshotRef, content: &Content) -> Result<(), String> {
    let of = |kind: DataContentType| content.files.values().filter(move |file| file.content == kind);
    let records = |kind| of(kind).map(|file| file.records).sum::<u64>();
    let deletes = of(DataContentType::PositionDeletes).count() + of(DataContentType::EqualityDeletes).count();
    let totals = [
        ("total-data-files", of(DataContentType::Data).count() as u64),
        ("total-delete-files", deletes as u64),
        ("total-records", records(DataContentType::Data)),
        ("total-position-deletes", records(DataContentType::PositionDeletes)),
        ("total-equality-deletes", records(DataContentType::EqualityDeletes)),
        ("total-files-size", content.files.values().map(|file| file.bytes).sum()),
    ];
    for (name, wanted) in totals {
        let told = snapshot.summary().additional_properties.get(name);
        if told.map(String::as_str) != Some(wanted.to_string().as_str()) {
            let id = snapshot.snapshot_id();
            return Err(format!("snapshot {id} says {name} {told:?}, and it is {wanted}"));
        }
    }
    Ok(())
}
