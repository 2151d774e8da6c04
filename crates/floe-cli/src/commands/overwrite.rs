//! `floe overwrite`.

use std::time::Instant;

use floe::Result;
use floe::model::{WriteConfig, WriteMode};

use super::options::{change_options, filter};
use super::outcome::{Deed, report, with_undo};
use super::rows::{self, Wrote};
use crate::args::OverwriteArgs;
use crate::ui::Ui;
use crate::warehouse::Location;

/// Puts the rows of all inputs in the place of others, in one snapshot.
pub(super) async fn run(command: &str, args: OverwriteArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    // A malformed filter is told before any input is looked at.
    args.filter.as_deref().map(|text| filter(text, &args.source.table)).transpose()?;
    let config = WriteConfig {
        mode: WriteMode::Overwrite,
        overwrite_filter: args.filter,
        overwrite_partitions: args.dynamic,
        overwrite_all: args.all,
        allow_empty: args.allow_empty,
        options: change_options(&args.commit, Some(&args.rows), &args.source.table)?,
        ..WriteConfig::default()
    };
    let Wrote { outcome, read, manager } =
        rows::write("Overwriting", &args.source, &config, location, ui).await?;
    let (deed, table) = (Deed::Overwrite, &args.source.table);
    let report = report(command, deed, table, &args.commit, &outcome, started)?;
    let report = with_undo(report, deed, table, &args.commit, &outcome, (&manager, location)).await;
    ui.print(&read.on(report))
}
