//! `floe delete`.

use std::time::Instant;

use floe::Result;
use floe::model::DeleteConfig;

use super::options::{change_options, filter};
use super::outcome::{Deed, report};
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
    ui.print(&report(command, Deed::Delete, &args.table, &args.commit, &outcome, started)?)
}
