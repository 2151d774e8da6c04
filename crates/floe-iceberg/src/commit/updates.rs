//! Commits that change metadata only: references, properties, schemas.

use std::collections::BTreeSet;
use std::time::Duration;

use floe_core::metadata_file::{self, references};
use floe_core::{Action, CatalogClient, CommitOutcome, Environment, Error, ErrorKind, LoadedTable, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::requirements::requirements;
use iceberg::TableUpdate;
use iceberg::spec::{
    PartitionStatisticsFile, Schema, SnapshotReference, StatisticsFile, TableMetadata, TableMetadataRef,
};
use tracing::warn;

use super::prepared::prepared;
use super::recover;
use crate::base::TableBase;
use crate::refs::history;

/// A commit of metadata that happened, or was not needed.
#[derive(Debug, Clone)]
pub struct UpdatedTable {
    /// The table as the updates left it.
    pub table: LoadedTable,
    /// How many times updates were proposed to the catalog; 0 when the table was as it should be.
    pub attempts: u32,
}

/// Commits the updates that `build` makes for the table, and builds them anew when another commit came first.
///
/// `build` returns no updates when the table already is as it should be: then nothing is committed, and a call that is
/// repeated after a lost reply succeeds.
///
/// Errors: what `build` returns; `CommitConflict` when every attempt met another commit; `CommitStateUnknown` when the
/// catalog's last answer got lost and the table does not tell.
pub async fn commit_updates(
    catalog: &dyn CatalogClient,
    base: &TableBase,
    build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>>,
    retry: &RetryPolicy,
    env: &dyn Environment,
) -> Result<UpdatedTable> {
    let ident = base.table.ident.clone();
    run(catalog, base, build, retry, env).await.map_err(|e| e.with_table(ident))
}

async fn run(
    catalog: &dyn CatalogClient,
    base: &TableBase,
    build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>>,
    retry: &RetryPolicy,
    env: &dyn Environment,
) -> Result<UpdatedTable> {
    let mut table = base.table.clone();
    let uuid = table.metadata.uuid();
    let started = env.now_ms();
    let mut updates = build(&table.metadata)?;
    // Attempts whose outcome is not known.
    let mut doubts: Vec<Proposal> = Vec::new();
    for attempt in 0_u32.. {
        if updates.is_empty() {
            return Ok(UpdatedTable { table, attempts: attempt });
        }
        let done = |table| Ok(UpdatedTable { table, attempts: attempt + 1 });
        let proposal = Proposal {
            at: table.metadata_location.clone(),
            before: table.metadata.clone(),
            wanted: prepared(&table.metadata, &updates)?.into_owned(),
            updates,
        };
        let needed = requirements(&table.metadata, &proposal.updates)?;
        let (error, lost) = match catalog.commit(&table.ident, &needed, &proposal.updates).await {
            Ok(CommitOutcome::Committed(table)) => return done(table),
            Ok(CommitOutcome::Conflict(e)) => (e.with_kind(ErrorKind::CommitConflict), false),
            Ok(CommitOutcome::Unknown(e)) => (e.with_kind(ErrorKind::CommitStateUnknown), true),
            // It did not happen, and may if it is tried again: the catalog was locked, or out of reach.
            Err(e) if e.kind().action() == Action::Retry => (e, false),
            Err(e) => return Err(ending(e, &doubts)),
        };
        let elapsed = Duration::from_millis((env.now_ms() - started).max(0) as u64);
        let pause = retry.delay(attempt, elapsed, env.random_unit());
        env.sleep(pause.unwrap_or(Duration::ZERO)).await;
        let reloaded = recover::reload(catalog, &table.ident, retry, env).await;
        // A conflict may be the echo of our own commit, when a request was repeated on its way.
        let own = match &reloaded {
            Ok(now) => !lost && proposal.is_in(&now.metadata)?,
            Err(_) => false,
        };
        if lost {
            doubts.push(proposal);
        }
        table = match reloaded {
            Ok(table) => table,
            Err(e) => return Err(ending(error.with_source(e), &doubts)),
        };
        if table.metadata.uuid() != uuid {
            let why = "the table was dropped and made anew meanwhile";
            return Err(Error::new(ErrorKind::CommitConflict, why));
        }
        if own {
            return done(table);
        }
        for doubt in &doubts {
            if doubt.is_in(&table.metadata)? || doubt.was_built_upon(&table.metadata)? {
                return done(table);
            }
            match doubt.was_undone(&table).await? {
                Some(true) => return done(table),
                Some(false) => {}
                None => {
                    let why = "the versions of the table that came since cannot be read";
                    return Err(unknown(error.context(why)));
                }
            }
            // Another writer changed the same: before our attempt, or after it, and then it must not be undone.
            if !doubt.is_still_to_come(&table.metadata)? {
                return Err(unknown(error.context("another writer changed the same meanwhile")));
            }
        }
        if pause.is_none() {
            return Err(ending(error, &doubts));
        }
        updates = build(&table.metadata).map_err(|e| ending(e, &doubts))?;
    }
    Err(Error::new(ErrorKind::CommitConflict, "the commit was tried too often"))
}

/// The error to end with: an attempt whose outcome is not known may still take effect.
fn ending(error: Error, doubts: &[Proposal]) -> Error {
    if doubts.is_empty() { error } else { unknown(error) }
}

fn unknown(error: Error) -> Error {
    Error::new(
        ErrorKind::CommitStateUnknown,
        format!("it is not known whether the commit took effect: {}", error.message()),
    )
    .with_hint("look at the table before trying again")
    .with_source(error)
}

/// What was asked of the catalog.
struct Proposal {
    /// Where the metadata was that it was made for.
    at: String,
    before: TableMetadataRef,
    wanted: TableMetadata,
    updates: Vec<TableUpdate>,
}

impl Proposal {
    /// Whether `now` is as this wanted it.
    fn is_in(&self, now: &TableMetadata) -> Result<bool> {
        same(&self.wanted, now, &self.updates, Some(&self.before))
    }

    /// Whether this took effect in a version of the table before `now`, so that another writer undid it, and doing it again
    /// would undo what that writer did. `None` if that cannot be found out.
    async fn was_undone(&self, now: &LoadedTable) -> Result<Option<bool>> {
        if now.metadata_location == self.at {
            return Ok(Some(false));
        }
        let log = now.metadata.metadata_log();
        let Some(found) = log.iter().rposition(|entry| entry.metadata_file == self.at) else {
            return Ok(None);
        };
        for entry in &log[found + 1..] {
            match metadata_file::read(&now.file_io, &entry.metadata_file).await {
                Ok(version) if self.is_in(&version)? => return Ok(Some(true)),
                Ok(_) => {}
                Err(e) => {
                    warn!(kind = e.kind().as_str(), "an earlier version of the table cannot be read");
                    return Ok(None);
                }
            }
        }
        Ok(Some(false))
    }

    /// Whether `now` is as this found it, as far as this changes it.
    fn is_still_to_come(&self, now: &TableMetadata) -> Result<bool> {
        same(&self.before, now, &self.updates, None)
    }

    /// Whether a branch was moved forward to a snapshot that the history of the branch has by now.
    fn was_built_upon(&self, now: &TableMetadata) -> Result<bool> {
        let mut forward = 0;
        for update in &self.updates {
            let TableUpdate::SetSnapshotRef { ref_name, reference } = update else { return Ok(false) };
            let has = |table| history(table, ref_name).any(|s| s.snapshot_id() == reference.snapshot_id);
            let branch = references(now)?.get(ref_name).is_some_and(SnapshotReference::is_branch);
            forward += usize::from(branch && has(now) && !has(&self.before));
        }
        Ok(forward > 0 && forward == self.updates.len())
    }
}

/// Whether `now` has what `updates` change as it is in `wanted`; a schema may be any of those that were added since
/// `before`. Every kind of update has a line of its own: one that is not known would make each lost reply an unknown outcome.
fn same(
    wanted: &TableMetadata,
    now: &TableMetadata,
    updates: &[TableUpdate],
    before: Option<&TableMetadata>,
) -> Result<bool> {
    for update in updates {
        let same = match update {
            TableUpdate::SetProperties { updates } => {
                updates.keys().all(|key| wanted.properties().get(key) == now.properties().get(key))
            }
            TableUpdate::RemoveProperties { removals } => {
                removals.iter().all(|key| wanted.properties().get(key) == now.properties().get(key))
            }
            TableUpdate::SetSnapshotRef { ref_name, .. } => {
                let wanted = references(wanted)?.remove(ref_name);
                // What was asked for is there: two that are not are the same as before only.
                (wanted.is_some() || before.is_none()) && wanted.as_ref() == references(now)?.get(ref_name)
            }
            TableUpdate::RemoveSnapshotRef { ref_name } => {
                references(wanted)?.get(ref_name) == references(now)?.get(ref_name)
            }
            TableUpdate::AddSchema { .. } | TableUpdate::SetCurrentSchema { .. } => {
                let wanted = wanted.current_schema();
                // Others may have changed it further; what the table had before tells nothing.
                let new = before.into_iter().flat_map(|before| {
                    now.schemas_iter().filter(|schema| before.schema_by_id(schema.schema_id()).is_none())
                });
                std::iter::once(now.current_schema()).chain(new).any(|schema| same_schema(schema, wanted))
            }
            TableUpdate::AddSpec { .. } | TableUpdate::SetDefaultSpec { .. } => {
                wanted.default_partition_spec().fields() == now.default_partition_spec().fields()
            }
            TableUpdate::AddSortOrder { .. } | TableUpdate::SetDefaultSortOrder { .. } => {
                wanted.default_sort_order().fields == now.default_sort_order().fields
            }
            TableUpdate::SetLocation { .. } => wanted.location() == now.location(),
            // Another writer may have upgraded it further.
            TableUpdate::UpgradeFormatVersion { .. } => {
                let (wanted, now) = (wanted.format_version(), now.format_version());
                now == wanted || (before.is_some() && now > wanted)
            }
            TableUpdate::RemoveSnapshots { snapshot_ids } => {
                let has = |table: &TableMetadata, id| table.snapshot_by_id(id).is_some();
                snapshot_ids.iter().all(|id| has(wanted, *id) == has(now, *id))
            }
            TableUpdate::AddSnapshot { snapshot } => {
                let has = |table: &TableMetadata| table.snapshot_by_id(snapshot.snapshot_id()).is_some();
                has(wanted) == has(now)
            }
            TableUpdate::AssignUuid { .. } => wanted.uuid() == now.uuid(),
            TableUpdate::SetStatistics { statistics: StatisticsFile { snapshot_id, .. } }
            | TableUpdate::RemoveStatistics { snapshot_id } => {
                wanted.statistics_for_snapshot(*snapshot_id) == now.statistics_for_snapshot(*snapshot_id)
            }
            TableUpdate::SetPartitionStatistics {
                partition_statistics: PartitionStatisticsFile { snapshot_id, .. },
            }
            | TableUpdate::RemovePartitionStatistics { snapshot_id } => {
                wanted.partition_statistics_for_snapshot(*snapshot_id)
                    == now.partition_statistics_for_snapshot(*snapshot_id)
            }
            TableUpdate::RemovePartitionSpecs { spec_ids } => {
                let has = |table: &TableMetadata, id| table.partition_spec_by_id(id).is_some();
                spec_ids.iter().all(|id| has(wanted, *id) == has(now, *id))
            }
            TableUpdate::RemoveSchemas { schema_ids } => {
                let has = |table: &TableMetadata, id| table.schema_by_id(id).is_some();
                schema_ids.iter().all(|id| has(wanted, *id) == has(now, *id))
            }
            TableUpdate::AddEncryptionKey { encryption_key } => {
                let id = encryption_key.key_id();
                wanted.encryption_key(id) == now.encryption_key(id)
            }
            TableUpdate::RemoveEncryptionKey { key_id } => {
                wanted.encryption_key(key_id) == now.encryption_key(key_id)
            }
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_schema(one: &Schema, other: &Schema) -> bool {
    let identifiers = |schema: &Schema| schema.identifier_field_ids().collect::<BTreeSet<_>>();
    one.as_struct() == other.as_struct() && identifiers(one) == identifiers(other)
}
