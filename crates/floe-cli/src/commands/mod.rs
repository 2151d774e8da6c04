//! One module for each command, or for a few that are alike.

mod append;
mod at;
mod catalog;
mod completions;
mod create;
mod delete;
mod describe;
mod drop;
mod evolve;
mod files;
mod forward;
mod init;
mod list;
mod merge;
mod moved;
mod namespace;
mod options;
mod outcome;
mod overwrite;
mod plugins;
mod quickstart;
mod refs;
mod rollback;
mod rows;
mod scan;
mod snapshots;
mod transaction;
mod trust;
mod upsert;

pub(crate) use evolve::evolution;

use floe::Result;

use crate::args::{CatalogAction, Cli, Command};
use crate::ui::Ui;
use crate::warehouse::Location;

/// Runs the command.
pub(crate) async fn run(cli: Cli, ui: &Ui) -> Result<()> {
    let name = cli.command.name();
    // These work without any catalog.
    match &cli.command {
        Command::Completions(args) => return completions::run(args, ui),
        Command::Plugins => return plugins::run(name, ui),
        Command::Trust(args) => return trust::run(name, args, ui),
        Command::Catalog(args) if matches!(args.action, CatalogAction::List) => {
            return catalog::list(name, &cli.global, ui);
        }
        _ => {}
    }
    let location = match &cli.command {
        Command::Catalog(args) => Location::find(&args.chosen(&cli.global))?,
        Command::Quickstart => Location::find_own(&cli.global)?,
        _ => Location::find(&cli.global)?,
    };
    for note in &location.notes {
        ui.tell(&format!("note: {note}"));
    }
    match cli.command {
        Command::Init => init::run(name, &location, ui).await,
        Command::Create(args) => create::run(name, args, &location, ui).await,
        Command::Append(args) => append::run(name, args, &location, ui).await,
        Command::Overwrite(args) => overwrite::run(name, args, &location, ui).await,
        Command::Upsert(args) => upsert::run(name, args, &location, ui).await,
        Command::Merge(args) => merge::run(name, args, &location, ui).await,
        Command::Delete(args) => delete::run(name, args, &location, ui).await,
        Command::Transaction(args) => transaction::run(name, args, &location, ui).await,
        Command::Evolve(args) => evolve::run(name, args, &location, ui).await,
        Command::Properties(args) => evolve::properties(name, args, &location, ui).await,
        Command::Scan(args) => scan::run(name, args, &location, ui).await,
        Command::Describe(args) => describe::run(name, args, &location, ui).await,
        Command::Snapshots(args) => snapshots::run(name, args, &location, ui).await,
        Command::Files(args) => files::run(name, args, &location, ui).await,
        Command::Refs(args) => refs::list(name, args, &location, ui).await,
        Command::Tag(args) => refs::tag(name, args, &location, ui).await,
        Command::Branch(args) => refs::branch(name, args, &location, ui).await,
        Command::Rollback(args) => rollback::run(name, args, &location, ui).await,
        Command::SetCurrent(args) => rollback::set_current(name, args, &location, ui).await,
        Command::FastForward(args) => forward::fast_forward(name, args, &location, ui).await,
        Command::CherryPick(args) => forward::cherry_pick(name, args, &location, ui).await,
        Command::Publish(args) => forward::publish(name, args, &location, ui).await,
        Command::Catalog(args) => catalog::check(name, args, &location, ui).await,
        Command::List(args) => list::run(name, args, &location, ui).await,
        Command::Drop(args) => drop::run(name, args, &location, ui).await,
        Command::Register(args) => drop::register(name, args, &location, ui).await,
        Command::Rename(args) => drop::rename(name, args, &location, ui).await,
        Command::Namespace(args) => namespace::run(name, args, &location, ui).await,
        Command::Quickstart => quickstart::run(name, &location, ui).await,
        Command::Completions(_) | Command::Plugins | Command::Trust(_) => Ok(()),
    }
}
