//! One module for each command.

mod append;
mod at;
mod completions;
mod create;
mod describe;
mod drop;
mod files;
mod init;
mod list;
mod plugins;
mod quickstart;
mod scan;
mod snapshots;

use floe::Result;

use crate::args::{Cli, Command};
use crate::ui::Ui;
use crate::warehouse::Location;

/// Runs the command.
pub(crate) async fn run(cli: Cli, ui: &Ui) -> Result<()> {
    let name = cli.command.name();
    // These two work without any catalog.
    match &cli.command {
        Command::Completions(args) => return completions::run(args, ui),
        Command::Plugins => return plugins::run(name, ui),
        _ => {}
    }
    let location = Location::find(&cli.global)?;
    match cli.command {
        Command::Init => init::run(name, &location, ui).await,
        Command::Create(args) => create::run(name, args, &location, ui).await,
        Command::Append(args) => append::run(name, args, &location, ui).await,
        Command::Scan(args) => scan::run(name, args, &location, ui).await,
        Command::Describe(args) => describe::run(name, args, &location, ui).await,
        Command::Snapshots(args) => snapshots::run(name, args, &location, ui).await,
        Command::Files(args) => files::run(name, args, &location, ui).await,
        Command::List(args) => list::run(name, args, &location, ui).await,
        Command::Drop(args) => drop::run(name, args, &location, ui).await,
        Command::Quickstart => quickstart::run(name, &location, ui).await,
        Command::Completions(_) | Command::Plugins => Ok(()),
    }
}
