//! Running an operation again whose reading was overtaken by another writer.

use std::time::Duration;

use floe_core::{CommitTurn, Error, LoadedTable, Result};
use floe_plan::rerun::{Rerun, RerunPolicy};
use iceberg::TableIdent;
use tracing::debug;

use super::IcebergTableManager;
use crate::commit::Refused;
use crate::model::RerunOptions;

/// The runs of an operation.
#[derive(Debug)]
pub(super) struct Runs {
    started_ms: i64,
    /// Runs after the first one.
    pub(super) again: u32,
}

impl IcebergTableManager {
    /// Before the first run.
    pub(super) fn first_run(&self) -> Runs {
        Runs { started_ms: self.environment.now_ms(), again: 0 }
    }

    /// The options of a call over the table's `commit.rerun.*` properties over the manager's configuration. What is not run
    /// again `by_default` is only if the call says so.
    pub(super) fn rerun_policy(
        &self,
        table: &LoadedTable,
        options: &RerunOptions,
        by_default: bool,
    ) -> Result<RerunPolicy> {
        let policy = RerunPolicy {
            max_attempts: self.config.max_reruns,
            total: Duration::from_secs_f64(self.config.rerun_timeout_seconds),
        };
        let mut policy = policy.with_properties(table.metadata.properties())?;
        if !by_default {
            policy.max_attempts = 0;
        }
        Ok(options.over(policy))
    }

    /// Waits until the operation may be run again, and gives the turn for it, which may be none. The error to end with if it
    /// is not to be run again. `repeatable` is whether its input can be read again.
    pub(super) async fn next_run(
        &self,
        table: &TableIdent,
        runs: &mut Runs,
        refused: Refused,
        policy: RerunPolicy,
        repeatable: bool,
    ) -> Result<CommitTurn> {
        let Refused { error, stale } = refused;
        if !stale || policy.max_attempts == 0 {
            return Err(error);
        }
        if !repeatable {
            return Err(not_repeatable(&error));
        }
        let elapsed = (self.environment.now_ms() - runs.started_ms).max(0) as u64;
        let next = policy.next(runs.again, Duration::from_millis(elapsed), self.environment.random_unit());
        let Some(Rerun { pause, in_turn }) = next else {
            return Err(error.context(format!("the operation was run {} times", runs.again + 1)));
        };
        runs.again += 1;
        debug!(run = runs.again + 1, error = %error, "another writer changed what was read: running again");
        self.environment.sleep(pause).await;
        Ok(if in_turn { self.catalog.turn(table).await } else { CommitTurn::none() })
    }
}

/// The same error, whose hint says why the operation was not run again.
fn not_repeatable(error: &Error) -> Error {
    Error::new(error.kind(), error.message().to_owned())
        .with_hint(
            "the input was a stream, which is read once: run the operation again with all of it, or give it as a file or \
             as batches, so that floe can",
        )
        .with_source(error.clone())
}
