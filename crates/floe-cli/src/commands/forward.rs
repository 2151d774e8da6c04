//! `floe fast-forward`, `floe cherry-pick` and `floe publish`: bringing changes into a branch.

use floe::Result;

use super::moved;
use crate::args::{CherryPickArgs, FastForwardArgs, PublishArgs};
use crate::ui::Ui;
use crate::warehouse::Location;

/// Moves a branch forward to another branch or a tag.
pub(super) async fn fast_forward(
    command: &str,
    args: FastForwardArgs,
    location: &Location,
    ui: &Ui,
) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    manager.fast_forward(&ident, &args.branch, &args.to).await?;
    let after = manager.load_table(&ident).await?;
    let report = moved::report(command, "Moved", &args.table, Some(&args.branch), (&before, &after))
        .with("to", args.to);
    ui.print(&report)
}

/// Applies the change of a snapshot to a branch.
pub(super) async fn cherry_pick(
    command: &str,
    args: CherryPickArgs,
    location: &Location,
    ui: &Ui,
) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let branch = args.branch.as_deref();
    let id = manager.cherry_pick(&ident, branch, args.snapshot).await?;
    let after = manager.load_table(&ident).await?;
    let verb = format!("Picked snapshot {} into", args.snapshot);
    let report = moved::applied(command, &verb, &args.table, branch, (&before, &after), id);
    ui.print(&report.with("source_snapshot_id", args.snapshot))
}

/// Publishes a staged snapshot.
pub(super) async fn publish(command: &str, args: PublishArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let branch = args.branch.as_deref();
    let id = manager.publish(&ident, branch, &args.wap_id).await?;
    let after = manager.load_table(&ident).await?;
    let verb = format!("Published {} on", args.wap_id);
    let report = moved::applied(command, &verb, &args.table, branch, (&before, &after), id);
    ui.print(&report.with("wap_id", args.wap_id))
}
