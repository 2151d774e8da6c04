//! Calls to the manager.

use std::collections::BTreeMap;

use floe::catalog::CommitOutcome;
use floe::iceberg::{TableIdent, TableUpdate};
use floe::model::{DeleteConfig, WriteConfig, WriteMode, WriteOutcome};
use floe::plan::expr::Expr;
use floe::plan::guard::Isolation;
use floe::plan::requirements::requirements;
use floe::refs::{BranchRetention, WAP_ID};
use floe::{Error, ErrorKind, IcebergTableManager, Result};

use super::Mutant;
use super::model::{Call, Op, Outcome};
use super::row::{Row, stream};

/// The summary key with which snapshots name their operation.
pub(super) const OPERATION: &str = "sim.operation";

/// Does what the call asks for.
pub(super) async fn perform(
    manager: &IcebergTableManager,
    table: &TableIdent,
    number: usize,
    call: &Call,
    mutant: Option<Mutant>,
) -> Outcome {
    match attempt(manager, table, number, call, mutant).await {
        Ok(outcome) => outcome,
        Err(e) if e.kind() == ErrorKind::CommitStateUnknown => Outcome::Unknown,
        Err(e) => Outcome::Failed(format!("{}: {e}", e.kind().as_str())),
    }
}

async fn attempt(
    manager: &IcebergTableManager,
    table: &TableIdent,
    number: usize,
    call: &Call,
    mutant: Option<Mutant>,
) -> Result<Outcome> {
    let branch = call.branch.as_deref();
    let moved = |_| Outcome::Done { snapshot: None, attempts: 0, replayed: false };
    match &call.op {
        Op::Append { rows } => {
            write(manager, table, rows, config(number, call, mutant, WriteMode::Append)).await
        }
        Op::OverwriteAll { rows } => {
            write(manager, table, rows, config(number, call, mutant, WriteMode::Overwrite)).await
        }
        Op::OverwriteWhere { filter, rows } => {
            let config = WriteConfig {
                overwrite_filter: Some(filter.text()),
                ..config(number, call, mutant, WriteMode::Overwrite)
            };
            write(manager, table, rows, config).await
        }
        Op::OverwritePartitions { rows } => {
            let config = WriteConfig {
                overwrite_partitions: true,
                ..config(number, call, mutant, WriteMode::Overwrite)
            };
            write(manager, table, rows, config).await
        }
        Op::Upsert { rows, how } => {
            let config = WriteConfig {
                join_columns: how.on.iter().map(|column| (*column).to_owned()).collect(),
                when_matched: how.matched,
                when_not_matched: how.not_matched,
                when_not_matched_by_source: how.by_source,
                ..config(number, call, mutant, WriteMode::Upsert)
            };
            write(manager, table, rows, config).await
        }
        Op::Delete { filter } => {
            let of = config(number, call, mutant, WriteMode::Append);
            let config = DeleteConfig {
                row_mode: of.row_mode,
                isolation: of.isolation,
                snapshot_properties: of.snapshot_properties,
                branch: of.branch,
                idempotency_key: of.idempotency_key,
                ..DeleteConfig::default()
            };
            manager.delete_data(table, &Expr::parse(&filter.text())?, &config).await.map(done)
        }
        Op::Tag { name, snapshot } => manager.tag(table, name, Some(*snapshot), None, false).await.map(moved),
        Op::DropTag { name } => manager.drop_tag(table, name).await.map(moved),
        Op::Branch { name, snapshot } => {
            let retention = BranchRetention::default();
            manager.branch(table, name, Some(*snapshot), retention, false).await.map(moved)
        }
        Op::Rollback { snapshot } => manager.rollback_to_snapshot(table, branch, *snapshot).await.map(moved),
        Op::SetCurrent { snapshot } => {
            manager.set_current_snapshot(table, branch, *snapshot).await.map(moved)
        }
        Op::FastForward { to } => manager.fast_forward(table, "main", to).await.map(moved),
        Op::Publish { wap } => manager.publish(table, branch, wap).await.map(picked),
        Op::CherryPick { snapshot } => manager.cherry_pick(table, branch, *snapshot).await.map(picked),
        Op::Respec { spec } => {
            let head = manager.catalog().load_table(table).await?;
            let updates =
                [TableUpdate::AddSpec { spec: spec.clone() }, TableUpdate::SetDefaultSpec { spec_id: -1 }];
            let needed = requirements(&head.metadata, &updates)?;
            match manager.catalog().commit(table, &needed, &updates).await? {
                CommitOutcome::Committed(_) => Ok(moved(())),
                CommitOutcome::Conflict(e) => Err(e),
                CommitOutcome::Unknown(_) => {
                    Err(Error::new(ErrorKind::CommitStateUnknown, "the reply was lost"))
                }
            }
        }
    }
}

fn config(number: usize, call: &Call, mutant: Option<Mutant>, mode: WriteMode) -> WriteConfig {
    let mut properties = BTreeMap::from([(OPERATION.to_owned(), number.to_string())]);
    if let Some(wap) = &call.wap {
        properties.insert(WAP_ID.to_owned(), wap.clone());
    }
    WriteConfig {
        mode,
        commit_strategy: Some(call.strategy),
        row_mode: call.mode,
        isolation: Some(match mutant {
            Some(Mutant::WeakIsolation) => Isolation::Snapshot,
            _ => call.isolation,
        }),
        snapshot_properties: properties,
        staged: call.wap.is_some(),
        branch: call.branch.clone(),
        idempotency_key: call.key.clone().filter(|_| mutant != Some(Mutant::ForgetsKeys)),
        ..WriteConfig::default()
    }
}

async fn write(
    manager: &IcebergTableManager,
    table: &TableIdent,
    rows: &[Row],
    config: WriteConfig,
) -> Result<Outcome> {
    manager.write_data(table, stream(rows), &config).await.map(done)
}

fn done(outcome: WriteOutcome) -> Outcome {
    let WriteOutcome { snapshot_id, attempts, replayed, .. } = outcome;
    Outcome::Done { snapshot: snapshot_id, attempts, replayed }
}

fn picked(snapshot: i64) -> Outcome {
    Outcome::Done { snapshot: Some(snapshot), attempts: 0, replayed: false }
}
