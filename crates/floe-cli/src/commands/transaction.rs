//! `floe transaction`: operations of a file, in one commit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use floe::model::{DeleteConfig, MergeConfig, WriteConfig};
use floe::plan::evolve::SchemaEvolution;
use floe::plan::expr::Expr;
use floe::refs::BranchRetention;
use floe::{Error, Result, Transaction, TransactionOutcome};
use serde::Deserialize;

use super::outcome::reruns;
use super::rows::{self, Columns};
use crate::args::{InputArgs, TransactionArgs};
use crate::exit::internal;
use crate::input::check_once;
use crate::render::counted;
use crate::ui::{Report, Ui};
use crate::undo::{self, Undo};
use crate::warehouse::Location;

/// What a file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    #[serde(default)]
    idempotency_key: Option<String>,
    operations: Vec<Operation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Operation {
    EvolveSchema(SchemaEvolution),
    SetProperties(BTreeMap<String, String>),
    RemoveProperties(Vec<String>),
    Write {
        files: Vec<PathBuf>,
        #[serde(default)]
        config: WriteConfig,
    },
    Merge {
        files: Vec<PathBuf>,
        config: MergeConfig,
    },
    Delete {
        filter: String,
        #[serde(default)]
        config: DeleteConfig,
    },
    Tag {
        name: String,
        #[serde(default, with = "floe::json_id::option")]
        snapshot_id: Option<i64>,
        #[serde(default)]
        max_ref_age_ms: Option<i64>,
        #[serde(default)]
        replace: bool,
    },
    DropTag(String),
    Branch {
        name: String,
        #[serde(default, with = "floe::json_id::option")]
        snapshot_id: Option<i64>,
        #[serde(default)]
        replace: bool,
    },
    DropBranch(String),
    Rollback {
        #[serde(default)]
        branch: Option<String>,
        #[serde(with = "floe::json_id")]
        snapshot_id: i64,
    },
    FastForward {
        branch: String,
        to: String,
    },
    CherryPick {
        #[serde(default)]
        branch: Option<String>,
        #[serde(with = "floe::json_id")]
        snapshot_id: i64,
    },
    Publish {
        #[serde(default)]
        branch: Option<String>,
        wap_id: String,
    },
}

/// Runs the operations of a file and commits them together.
pub(super) async fn run(command: &str, args: TransactionArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    let plan = read(&args)?;
    let files = plan.operations.iter().flat_map(Operation::files);
    check_once(files).map_err(|e| e.with_table(&args.table))?;
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let mut transaction =
        manager.transaction(&ident).dry_run(args.dry_run).any_input(args.any_input).rerun(args.rerun.into());
    if let Some(key) = args.idempotency_key.clone().or(plan.idempotency_key) {
        transaction = transaction.idempotency_key(key);
    }
    for operation in plan.operations {
        transaction = operation.on(transaction, &args.input, ui).map_err(|e| e.with_table(&args.table))?;
    }
    let outcome = Box::pin(transaction.commit()).await?;
    let undo = match outcome.attempts {
        0 => Undo::Nothing,
        // The change is made, whatever becomes of this look.
        _ => match manager.load_table(&ident).await {
            Ok(now) => undo::version(&args.table, &before, &now),
            Err(_) => Undo::Not("the table could not be looked at after the change".into()),
        },
    };
    let steps = serde_json::to_value(&outcome.steps).map_err(|e| internal(e.to_string()))?;
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("snapshot_ids", outcome.snapshot_ids.iter().map(ToString::to_string).collect::<Vec<_>>())
        .with("attempts", outcome.attempts)
        .with("reruns", outcome.reruns)
        .with("replayed", outcome.replayed)
        .with("dry_run", outcome.dry_run)
        .with("operations", steps)
        .with("elapsed_ms", started.elapsed().as_millis() as u64)
        .undo(&undo, location)
        .text(describe(&args.table.to_string(), &outcome, started.elapsed().as_secs_f64()));
    ui.print(&report)
}

fn read(args: &TransactionArgs) -> Result<Plan> {
    let named = |e: Error| e.context(args.file.display()).with_table(&args.table);
    let text = std::fs::read_to_string(&args.file).map_err(|e| named(e.into()))?;
    // The parser's message may quote values: say where, not what.
    serde_json::from_str(&text).map_err(|e| {
        let place = format!("not valid at line {}, column {}", e.line(), e.column());
        named(Error::validation(place).with_hint("see `floe transaction --help` for what the file holds"))
    })
}

impl Operation {
    /// The inputs that it reads.
    fn files(&self) -> &[PathBuf] {
        match self {
            Self::Write { files, .. } | Self::Merge { files, .. } => files,
            _ => &[],
        }
    }

    fn on<'m>(self, transaction: Transaction<'m>, input: &InputArgs, ui: &Ui) -> Result<Transaction<'m>> {
        let open = |files: Vec<PathBuf>, columns: Columns| {
            let (input, ui) = (input.clone(), ui.clone());
            move |table: &floe::LoadedTable| rows::data(&files, &input, table, columns, "Writing", &ui)
        };
        Ok(match self {
            Self::EvolveSchema(evolution) => transaction.evolve_schema(evolution),
            Self::SetProperties(set) => transaction.set_properties(set),
            Self::RemoveProperties(keys) => transaction.remove_properties(keys),
            Self::Write { files, config } => {
                transaction.write_from(open(files, Columns::of_write(&config)), config)
            }
            Self::Merge { files, config } => transaction.merge_from(open(files, Columns::Any), config),
            Self::Delete { filter, config } => transaction.delete(Expr::parse(&filter)?, config),
            Self::Tag { name, snapshot_id, max_ref_age_ms, replace } => {
                transaction.tag(&name, snapshot_id, max_ref_age_ms, replace)
            }
            Self::DropTag(name) => transaction.drop_tag(&name),
            Self::Branch { name, snapshot_id, replace } => {
                transaction.branch(&name, snapshot_id, BranchRetention::default(), replace)
            }
            Self::DropBranch(name) => transaction.drop_branch(&name),
            Self::Rollback { branch, snapshot_id } => {
                transaction.rollback_to_snapshot(branch.as_deref(), snapshot_id)
            }
            Self::FastForward { branch, to } => transaction.fast_forward(&branch, &to),
            Self::CherryPick { branch, snapshot_id } => {
                transaction.cherry_pick(branch.as_deref(), snapshot_id)
            }
            Self::Publish { branch, wap_id } => transaction.publish(branch.as_deref(), &wap_id),
        })
    }
}

/// One line on what was done, or would be.
fn describe(table: &str, outcome: &TransactionOutcome, seconds: f64) -> String {
    if outcome.replayed {
        return format!("Done before, with this key: {table} is as it was");
    }
    let changed = outcome.steps.iter().filter(|step| !step.unchanged).count() as u64;
    let operations = counted(changed, "operation");
    if outcome.dry_run {
        return format!("Would commit {operations} on {table} together; nothing is left of it");
    }
    if outcome.attempts == 0 {
        return format!("Nothing to change: {table} is as it was");
    }
    let snapshots = counted(outcome.snapshot_ids.len() as u64, "snapshot");
    let attempts = counted(u64::from(outcome.attempts), "attempt");
    let reruns = reruns(outcome.reruns);
    format!("Committed {operations} on {table} together: {snapshots}, {attempts}{reruns}, {seconds:.2} s")
}
