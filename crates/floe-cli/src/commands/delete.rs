//! `floe delete`.

use std::time::Instant;

use floe::Result;
use floe::model::DeleteConfig;

use super::options::{change_options, filter};
use super::outcome::{Deed, report, with_undo};
use crate::args::DeleteArgs;
use crate::ui::Ui;
use crate::warehouse::Location;

/// Deletes the rows that a filter is true for, in one snapshot.
pub(super) async fn run(command: &str, args: DeleteArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    let filter = filter(&args.filter, &args.table)?;
    let config = DeleteConfig { options: change_options(&args.commit, Some(&args.rows), &args.table)? };
    let manager = location.open().await?;
    let outcome = Box::pin(manager.delete_data(&args.table.ident(), &filter, &config)).await?;
    let (deed, table) = (Deed::Delete, &args.table);
    let report = report(command, deed, table, &args.commit, &outcome, started)?;
    ui.print(&with_undo(report, deed, table, &args.commit, &outcome, (&manager, location)).await)
}
