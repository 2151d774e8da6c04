//! `floe drop`.

use floe::{ErrorKind, Result};

use crate::args::DropArgs;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Drops a table from its catalog. Its files stay, so that no data is lost by it.
pub(super) async fn run(command: &str, args: DropArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    // Best effort: a table with damaged metadata can be dropped too.
    let metadata_location = manager.load_table(&ident).await.ok().map(|t| t.metadata_location);
    let dropped = match manager.drop_table(&ident).await {
        Ok(()) => true,
        Err(e) if args.if_exists && matches!(e.kind(), ErrorKind::NoSuchTable | ErrorKind::FileNotFound) => {
            false
        }
        Err(e) => return Err(e),
    };
    let text = match (&metadata_location, dropped) {
        (_, false) => format!("There is no table {}.", args.table),
        (Some(metadata), true) => {
            format!("Dropped {}. Its files stay; its metadata is {metadata}", args.table)
        }
        (None, true) => format!("Dropped {}. Its files stay.", args.table),
    };
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("dropped", dropped)
        .with("metadata_location", metadata_location)
        .text(text);
    ui.print(&report)
}
