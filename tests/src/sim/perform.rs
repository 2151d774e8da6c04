//! Calls to the manager.

use std::sync::atomic::{AtomicBool, Ordering};

use floe::catalog::CommitOutcome;
use floe::data::Input;
use floe::iceberg::{TableIdent, TableUpdate};
use floe::model::{CommitStrategy, WriteConfig, WriteMode, WriteOutcome};
use floe::plan::expr::Expr;
use floe::plan::guard::Isolation;
use floe::plan::requirements::requirements;
use floe::refs::{BranchRetention, WAP_ID};
use floe::{Error, ErrorKind, IcebergTableManager, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Mutant;
use super::model::{Action, Call, Clause, Op, Outcome, When};
use super::old_state;
use super::row::{Row, stream};

/// Does what the call asks for.
pub(super) async fn perform(
    manager: &IcebergTableManager,
    table: &TableIdent,
    call: &Call,
    mutant: Option<Mutant>,
) -> Outcome {
    let first = attempt(manager, table, call, mutant).await;
    let done = match first {
        Err(e) if e.kind() == ErrorKind::CommitStateUnknown && mutant == Some(Mutant::RerunsAfterUnknown) => {
            attempt(manager, table, call, mutant).await
        }
        done => done,
    };
    match done {
        Ok(outcome) => outcome,
        Err(e) if e.kind() == ErrorKind::CommitStateUnknown => Outcome::Unknown,
        Err(e) => Outcome::Failed(format!("{}: {e}", e.kind().as_str())),
    }
}

async fn attempt(
    manager: &IcebergTableManager,
    table: &TableIdent,
    call: &Call,
    mutant: Option<Mutant>,
) -> Result<Outcome> {
    let branch = call.branch.as_deref();
    let moved = |()| Outcome::Done { snapshot: None, attempts: 0, replayed: false, reruns: 0 };
    let options = options(call, mutant);
    match &call.op {
        Op::Append { rows } => write(manager, table, rows, options, &json!({}), mutant).await,
        Op::OverwriteAll { rows } => {
            let more = json!({ "mode": WriteMode::Overwrite, "overwrite_all": true });
            write(manager, table, rows, options, &more, mutant).await
        }
        Op::OverwriteWhere { filter, rows } => {
            let more = json!({ "mode": WriteMode::Overwrite, "overwrite_filter": filter.text() });
            write(manager, table, rows, options, &more, mutant).await
        }
        Op::OverwritePartitions { rows } => {
            let more = json!({ "mode": WriteMode::Overwrite, "overwrite_partitions": true });
            write(manager, table, rows, options, &more, mutant).await
        }
        Op::Upsert { rows, how } => {
            let more = json!({
                "mode": WriteMode::Upsert,
                "join_columns": how.on,
                "when_matched": how.matched,
                "when_not_matched": how.not_matched,
                "when_not_matched_by_source": how.by_source,
            });
            write(manager, table, rows, options, &more, mutant).await
        }
        Op::Merge { rows, on, clauses } => {
            let mut options = options;
            options["on"] = json!(on);
            options["clauses"] = clauses.iter().map(clause).collect();
            manager.merge_data(table, input(rows, mutant), &config(options)).await.map(done)
        }
        Op::Transaction { column, rows, filter, with } => {
            let mut transaction = manager.transaction(table);
            if let Some(column) = column {
                transaction = transaction.evolve_schema(config(evolution(column)));
            }
            if let Some(key) = options.get("idempotency_key").and_then(Value::as_str) {
                transaction = transaction.idempotency_key(key);
            }
            let mut first = options.clone();
            first
                .as_object_mut()
                .unwrap()
                .retain(|name, _| !["idempotency_key", "any_input"].contains(&name.as_str()));
            transaction = transaction.any_input(mutant == Some(Mutant::ForgetsInputs));
            let mut second = first.clone();
            second["mode"] = json!(WriteMode::Overwrite);
            second["overwrite_filter"] = json!(filter.text());
            let transaction = transaction
                .write(input(rows, mutant), config(first))
                .write(input(with, mutant), config(second));
            let outcome = transaction.commit().await?;
            let (snapshot, attempts) = (outcome.snapshot_ids.last().copied(), outcome.attempts);
            Ok(Outcome::Done { snapshot, attempts, replayed: outcome.replayed, reruns: outcome.reruns })
        }
        Op::Evolve { column } => {
            manager.evolve_schema(table, &config(evolution(column))).await.map(|_| moved(()))
        }
        Op::Delete { filter } if mutant == Some(Mutant::RerunsOnOldState) => {
            old_state::delete(manager, table, &Expr::parse(&filter.text())?, &config(options)).await.map(done)
        }
        Op::Delete { filter } => {
            manager.delete_data(table, &Expr::parse(&filter.text())?, &config(options)).await.map(done)
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

/// Rows that can be read again, or once.
fn input(rows: &[Row], mutant: Option<Mutant>) -> Input {
    let all = stream(rows);
    if mutant == Some(Mutant::RerunsWithHalf) {
        let (schema, whole, half) = (all.schema, rows.to_vec(), rows[..rows.len() / 2].to_vec());
        let opened = AtomicBool::new(false);
        return Input::repeatable(schema, move || {
            let again = opened.swap(true, Ordering::Relaxed);
            Ok(stream(if again { &half } else { &whole }))
        });
    }
    if rows.len().is_multiple_of(2) {
        return all.into();
    }
    let rows = rows.to_vec();
    Input::repeatable(all.schema, move || Ok(stream(&rows)))
}

/// What all kinds of write have in common. As JSON, which people write too.
fn options(call: &Call, mutant: Option<Mutant>) -> Value {
    let isolation = match mutant {
        Some(Mutant::WeakIsolation) => Isolation::Snapshot,
        _ => call.isolation,
    };
    let mut options = json!({ "isolation": isolation });
    let mut set = |name: &str, value: Value| options[name] = value;
    if let Some(mode) = call.mode {
        set("row_mode", json!(mode));
    }
    if let Some(branch) = &call.branch {
        set("branch", json!(branch));
    }
    let forgets = matches!(mutant, Some(Mutant::ForgetsKeys | Mutant::RerunsAfterUnknown));
    if let Some(key) = call.key.as_ref().filter(|_| !forgets) {
        set("idempotency_key", json!(key));
        set("any_input", json!(mutant == Some(Mutant::ForgetsInputs)));
    }
    if let Some(wap) = &call.wap {
        set("staged", json!(true));
        set("snapshot_properties", json!({ WAP_ID: wap }));
    }
    // Overwrites are run again only if they are asked to be.
    if !matches!(call.op, Op::Transaction { .. }) && call.strategy == CommitStrategy::MergeCommit {
        set("rerun", json!({ "max_attempts": 4 }));
    }
    if !matches!(call.op, Op::Delete { .. }) {
        set("commit_strategy", json!(call.strategy));
    }
    options
}

fn evolution(column: &str) -> Value {
    json!({ "changes": [{ "add_column": { "column": column, "type": "string" } }] })
}

/// A clause of a merge, as JSON.
fn clause(clause: &Clause) -> Value {
    let (when, side) = match clause.when {
        When::SourceMatched => ("matched", "source."),
        When::TargetMatched => ("matched", "target."),
        When::NotMatched => ("not_matched", "source."),
        When::NotMatchedBySource => ("not_matched_by_source", "target."),
    };
    let action = match clause.action {
        Action::UpdateAll => json!("update_all"),
        Action::Mark(mark) => json!({ "update": { "t": format!("'{mark}'") } }),
        Action::Delete => json!("delete"),
        Action::Insert => json!("insert_all"),
    };
    match &clause.condition {
        Some(filter) => json!({ "when": when, "condition": filter.text_of(side), "action": action }),
        None => json!({ "when": when, "action": action }),
    }
}

fn config<T: DeserializeOwned>(options: Value) -> T {
    serde_json::from_value(options).unwrap()
}

async fn write(
    manager: &IcebergTableManager,
    table: &TableIdent,
    rows: &[Row],
    mut options: Value,
    more: &Value,
    mutant: Option<Mutant>,
) -> Result<Outcome> {
    for (name, value) in more.as_object().into_iter().flatten() {
        options[name] = value.clone();
    }
    let config: WriteConfig = config(options);
    manager.write_data(table, input(rows, mutant), &config).await.map(done)
}

fn done(outcome: WriteOutcome) -> Outcome {
    let WriteOutcome { snapshot_id, attempts, replayed, reruns, .. } = outcome;
    Outcome::Done { snapshot: snapshot_id, attempts, replayed, reruns }
}

fn picked(snapshot: i64) -> Outcome {
    Outcome::Done { snapshot: Some(snapshot), attempts: 0, replayed: false, reruns: 0 }
}
