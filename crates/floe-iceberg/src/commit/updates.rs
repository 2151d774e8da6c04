//! Commits that change metadata only: references, properties, schemas.

use std::collections::BTreeSet;
use std::time::Duration;

use floe_core::metadata_file::references;
use floe_core::{CatalogClient, CommitOutcome, Environment, Error, ErrorKind, LoadedTable, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::requirements::requirements;
use iceberg::TableUpdate;
use iceberg::spec::{Schema, TableMetadata};

use super::prepared::prepared;
use super::recover;
use crate::base::TableBase;

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
) -> Result<LoadedTable> {
    let ident = base.table.ident.clone();
    run(catalog, base, build, retry, env).await.map_err(|e| e.with_table(ident))
}

async fn run(
    catalog: &dyn CatalogClient,
    base: &TableBase,
    build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>>,
    retry: &RetryPolicy,
    env: &dyn Environment,
) -> Result<LoadedTable> {
    let mut table = base.table.clone();
    let uuid = table.metadata.uuid();
    let started = env.now_ms();
    let mut updates = build(&table.metadata)?;
    for attempt in 0_u32.. {
        if updates.is_empty() {
            return Ok(table);
        }
        let wanted = prepared(&table.metadata, &updates)?.into_owned();
        let needed = requirements(&table.metadata, &updates)?;
        let (error, lost) = match catalog.commit(&table.ident, &needed, &updates).await? {
            CommitOutcome::Committed(table) => return Ok(table),
            CommitOutcome::Conflict(e) => (e.with_kind(ErrorKind::CommitConflict), false),
            CommitOutcome::Unknown(e) => (e.with_kind(ErrorKind::CommitStateUnknown), true),
        };
        let elapsed = Duration::from_millis((env.now_ms() - started).max(0) as u64);
        let pause = retry.delay(attempt, elapsed, env.random_unit());
        env.sleep(pause.unwrap_or(Duration::ZERO)).await;
        let before = table.metadata.clone();
        table = match recover::reload(catalog, &table.ident, retry, env).await {
            Ok(table) => table,
            Err(e) if lost => return Err(unknown(error.with_source(e))),
            Err(e) => return Err(error.with_source(e)),
        };
        if table.metadata.uuid() != uuid {
            let why = "the table was dropped and made anew meanwhile";
            return Err(Error::new(ErrorKind::CommitConflict, why));
        }
        // A conflict may be the echo of our own commit, when a request was repeated on its way.
        if took_effect(&before, &wanted, &table.metadata, &updates)? {
            return Ok(table);
        }
        if pause.is_none() {
            return Err(if lost { unknown(error) } else { error });
        }
        updates = build(&table.metadata)?;
    }
    Err(Error::new(ErrorKind::CommitConflict, "the commit was tried too often"))
}

fn unknown(error: Error) -> Error {
    Error::new(
        ErrorKind::CommitStateUnknown,
        format!("it is not known whether the commit took effect: {}", error.message()),
    )
    .with_hint("look at the table before trying again")
    .with_source(error)
}

/// Whether `now` has what `updates`, made for `before`, change as it is in `wanted`.
fn took_effect(
    before: &TableMetadata,
    wanted: &TableMetadata,
    now: &TableMetadata,
    updates: &[TableUpdate],
) -> Result<bool> {
    for update in updates {
        let same = match update {
            TableUpdate::SetProperties { updates } => {
                updates.keys().all(|key| wanted.properties().get(key) == now.properties().get(key))
            }
            TableUpdate::RemoveProperties { removals } => {
                removals.iter().all(|key| wanted.properties().get(key) == now.properties().get(key))
            }
            TableUpdate::SetSnapshotRef { ref_name, .. } | TableUpdate::RemoveSnapshotRef { ref_name } => {
                references(wanted)?.get(ref_name) == references(now)?.get(ref_name)
            }
            TableUpdate::AddSchema { .. } | TableUpdate::SetCurrentSchema { .. } => {
                let wanted = wanted.current_schema();
                // Others may have changed it further; what the table had before tells nothing.
                let new =
                    now.schemas_iter().filter(|schema| before.schema_by_id(schema.schema_id()).is_none());
                std::iter::once(now.current_schema()).chain(new).any(|schema| same_schema(schema, wanted))
            }
            TableUpdate::AddSpec { .. } | TableUpdate::SetDefaultSpec { .. } => {
                wanted.default_partition_spec().fields() == now.default_partition_spec().fields()
            }
            TableUpdate::AddSortOrder { .. } | TableUpdate::SetDefaultSortOrder { .. } => {
                wanted.default_sort_order().fields == now.default_sort_order().fields
            }
            TableUpdate::SetLocation { location } => now.location() == location,
            TableUpdate::UpgradeFormatVersion { format_version } => now.format_version() >= *format_version,
            TableUpdate::RemoveSnapshots { snapshot_ids } => {
                snapshot_ids.iter().all(|id| now.snapshot_by_id(*id).is_none())
            }
            TableUpdate::AddSnapshot { snapshot } => now.snapshot_by_id(snapshot.snapshot_id()).is_some(),
            _ => false,
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
