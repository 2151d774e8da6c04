//! `floe append`.

use std::time::Instant;

use floe::Result;
use floe::model::{ChangeOptions, WriteConfig};

use super::options::change_options;
use super::outcome::{Deed, report, with_undo};
use super::rows::{self, Wrote};
use crate::args::AppendArgs;
use crate::ui::Ui;
use crate::warehouse::Location;

/// The property of a snapshot that it is published by.
const WAP_ID: &str = "wap.id";

/// Appends the rows of all inputs in one snapshot.
pub(super) async fn run(command: &str, args: AppendArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    let options = ChangeOptions {
        commit_strategy: args.strategy.map(Into::into),
        staged: args.staged,
        ..change_options(&args.commit, None, &args.source.table)?
    };
    let config = WriteConfig { options, ..WriteConfig::default() };
    let Wrote { outcome, read, manager } =
        rows::write("Appending", &args.source, &config, location, ui).await?;
    let deed = if args.staged { Deed::Stage } else { Deed::Append };
    let table = &args.source.table;
    let report = read.on(report(command, deed, table, &args.commit, &outcome, started)?);
    let report = with_undo(report, deed, table, &args.commit, &outcome, (&manager, location)).await;
    ui.print(&report.with("staged", args.staged))?;
    if let (true, Some(snapshot)) = (args.staged && outcome.attempts > 0, outcome.snapshot_id) {
        let next = match config.options.snapshot_properties.get(WAP_ID) {
            Some(id) => format!("publish {} {id}", args.source.table),
            None => format!("cherry-pick {} {snapshot}", args.source.table),
        };
        ui.note(&format!(
            "Look at it: floe scan {} --at {snapshot}; show it: floe {next}",
            args.source.table
        ));
    }
    Ok(())
}
