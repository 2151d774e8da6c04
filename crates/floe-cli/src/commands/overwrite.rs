//! `floe overwrite`.

use std::time::Instant;

use floe::Result;
use floe::model::{WriteConfig, WriteMode};

use super::options::{filter, snapshot_properties};
use super::outcome::{Deed, report};
use super::rows;
use crate::args::OverwriteArgs;
use crate::ui::Ui;
use crate::warehouse::Location;

/// Puts the rows of all inputs in the place of others, in one snapshot.
pub(super) async fn run(command: &str, args: OverwriteArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    // A malformed filter is told before any input is looked at.
    args.filter.as_deref().map(|text| filter(text, &args.table)).transpose()?;
    let config = WriteConfig {
        mode: WriteMode::Overwrite,
        overwrite_filter: args.filter,
        overwrite_partitions: args.dynamic,
        row_mode: args.rows.mode.map(Into::into),
        isolation: args.rows.isolation.map(Into::into),
        dry_run: args.rows.dry_run,
        snapshot_properties: snapshot_properties(&args.commit, &args.table)?,
        branch: args.commit.branch.clone(),
        idempotency_key: args.commit.idempotency_key.clone(),
        ..WriteConfig::default()
    };
    let (outcome, read) =
        rows::write("Overwriting", &args.table, &args.files, &args.input, &config, location, ui).await?;
    let report = report(command, Deed::Overwrite, &args.table, &args.commit, &outcome, started)?;
    ui.print(&read.on(report))
}
