//! `floe upsert`.

use std::time::Instant;

use floe::Result;
use floe::execute::upsert::{WhenMatched, WhenNotMatched};
use floe::model::{WriteConfig, WriteMode};

use super::options::change_options;
use super::outcome::{Deed, report, with_undo};
use super::rows::{self, Wrote};
use crate::args::{Matched, NotMatched, UpsertArgs};
use crate::ui::Ui;
use crate::warehouse::Location;

/// Updates and adds the rows of all inputs, in one snapshot.
pub(super) async fn run(command: &str, args: UpsertArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    let config = WriteConfig {
        mode: WriteMode::Upsert,
        join_columns: args.on,
        when_matched: args.matched.into(),
        when_not_matched: args.not_matched.into(),
        options: change_options(&args.commit, Some(&args.rows), &args.source.table)?,
        ..WriteConfig::default()
    };
    let Wrote { outcome, read, manager } =
        rows::write("Upserting", &args.source, &config, location, ui).await?;
    let (deed, table) = (Deed::Upsert, &args.source.table);
    let report = report(command, deed, table, &args.commit, &outcome, started)?;
    let report = with_undo(report, deed, table, &args.commit, &outcome, (&manager, location)).await;
    ui.print(&read.on(report))
}

impl From<Matched> for WhenMatched {
    fn from(matched: Matched) -> Self {
        match matched {
            Matched::UpdateAll => Self::UpdateAll,
            Matched::UpdateIfChanged => Self::UpdateIfChanged,
            Matched::Ignore => Self::Ignore,
            Matched::Delete => Self::Delete,
        }
    }
}

impl From<NotMatched> for WhenNotMatched {
    fn from(not_matched: NotMatched) -> Self {
        match not_matched {
            NotMatched::Insert => Self::Insert,
            NotMatched::Ignore => Self::Ignore,
        }
    }
}
