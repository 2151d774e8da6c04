//! `floe overwrite`.

use std::time::Instant;

use floe::Result;
use floe::model::{WriteConfig, WriteMode};

use super::options::{change_options, filter};
use super::outcome::{Deed, report};
use super::rows;
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
        allow_empty: args.allow_empty,
        options: change_options(&args.commit, Some(&args.rows), &args.source.table)?,
        ..WriteConfig::default()
    };
    let (outcome, read) = rows::write("Overwriting", &args.source, &config, location, ui).await?;
    let report = report(command, Deed::Overwrite, &args.source.table, &args.commit, &outcome, started)?;
    ui.print(&read.on(report))
}
