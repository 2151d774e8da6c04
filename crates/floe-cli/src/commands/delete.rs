//! `floe delete`.

use std::time::Instant;

use floe::Result;
use floe::model::DeleteConfig;

use super::options::{filter, snapshot_properties};
use super::outcome::{Deed, report};
use crate::args::DeleteArgs;
use crate::ui::Ui;
use crate::warehouse::Location;

/// Deletes the rows that a filter is true for, in one snapshot.
pub(super) async fn run(command: &str, args: DeleteArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    let filter = filter(&args.filter, &args.table)?;
    let config = DeleteConfig {
        row_mode: args.rows.mode.map(Into::into),
        isolation: args.rows.isolation.map(Into::into),
        dry_run: args.rows.dry_run,
        snapshot_properties: snapshot_properties(&args.commit, &args.table)?,
        branch: args.commit.branch.clone(),
        idempotency_key: args.commit.idempotency_key.clone(),
    };
    let manager = location.open().await?;
    let outcome = Box::pin(manager.delete_data(&args.table.ident(), &filter, &config)).await?;
    ui.print(&report(command, Deed::Delete, &args.table, &args.commit, &outcome, started)?)
}
