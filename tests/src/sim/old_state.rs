//! A delete that is broken on purpose: it is run again on the table as it was at first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use floe::base::{ManifestCache, TableBase};
use floe::commit::{CommitRequest, commit};
use floe::execute::delete::delete as execute;
use floe::execute::rows::RowOptions;
use floe::iceberg::TableIdent;
use floe::model::{DeleteConfig, RerunOptions, WriteOutcome};
use floe::plan::expr::Expr;
use floe::{ErrorKind, IcebergTableManager, Result};
use floe_testkit::SeededEnvironment;

/// No two runs may draw the same names.
static SEED: AtomicU64 = AtomicU64::new(1);

pub(super) async fn delete(
    manager: &IcebergTableManager,
    table: &TableIdent,
    filter: &Expr,
    config: &DeleteConfig,
) -> Result<WriteOutcome> {
    let base = async || -> Result<TableBase> {
        let cache = Arc::new(ManifestCache::new(1 << 20));
        Ok(TableBase::new(manager.catalog().load_table(table).await?, cache))
    };
    let old = base().await?;
    let mut config = config.clone();
    config.options.rerun = RerunOptions { max_attempts: Some(0), ..RerunOptions::default() };
    let error = match manager.delete_data(table, filter, &config).await {
        Err(e) if e.kind() == ErrorKind::CommitConflict => e,
        done => return done,
    };
    let env = SeededEnvironment::new(0x01d ^ SEED.fetch_add(1, Ordering::Relaxed));
    let branch = config.options.branch.as_deref().unwrap_or("main");
    let options = RowOptions { mode: config.options.row_mode, ..RowOptions::default() };
    let change = execute(&old, branch, filter, &options, &env).await?.change;
    if change.is_empty() {
        return Err(error);
    }
    let request =
        CommitRequest { branch: branch.into(), delete_added_on_failure: true, ..CommitRequest::new(change) };
    let done = commit(&**manager.catalog(), base().await?, request, &env).await?;
    Ok(WriteOutcome {
        snapshot_id: Some(done.snapshot_id),
        attempts: done.attempts,
        reruns: 1,
        ..WriteOutcome::default()
    })
}
