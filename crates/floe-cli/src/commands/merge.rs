//! `floe merge`.

use std::time::Instant;

use floe::model::MergeConfig;
use floe::plan::merge::{JoinColumn, MergeClause};
use floe::{Error, Result};

use super::options::change_options;
use super::outcome::{Deed, report, with_undo};
use super::rows::{self, Wrote};
use crate::args::MergeArgs;
use crate::ui::Ui;
use crate::warehouse::Location;

/// Merges the rows of all inputs, in one snapshot.
pub(super) async fn run(command: &str, args: MergeArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    // A malformed clause is told before any input is looked at.
    let config = MergeConfig {
        options: change_options(&args.commit, Some(&args.rows), &args.source.table)?,
        ..statement(&args).map_err(|e| e.with_table(&args.source.table))?
    };
    let Wrote { outcome, read, manager } = rows::merge(&args.source, &config, location, ui).await?;
    let (deed, table) = (Deed::Merge, &args.source.table);
    let report = report(command, deed, table, &args.commit, &outcome, started)?;
    let report = with_undo(report, deed, table, &args.commit, &outcome, (&manager, location)).await;
    ui.print(&read.on(report))
}

/// Which rows match, and what becomes of rows.
fn statement(args: &MergeArgs) -> Result<MergeConfig> {
    if let Some(sql) = &args.sql {
        return MergeConfig::from_sql(sql, &args.source.table.ident());
    }
    if let Some(path) = &args.sql_file {
        let named = |e: Error| e.context(path.display());
        let sql = std::fs::read_to_string(path).map_err(|e| named(e.into()))?;
        return MergeConfig::from_sql(&sql, &args.source.table.ident()).map_err(named);
    }
    if args.when.is_empty() {
        return Err(Error::validation("no --when says what becomes of rows")
            .with_hint("for example --when 'MATCHED THEN UPDATE SET *' --when 'NOT MATCHED THEN INSERT *'"));
    }
    let clauses = args.when.iter().map(|text| MergeClause::parse(text)).collect::<Result<Vec<_>>>()?;
    Ok(MergeConfig {
        on: args.on.iter().map(|column| join_column(column)).collect(),
        on_condition: args.on_condition.clone(),
        clauses: clauses.into_iter().flatten().collect(),
        ..MergeConfig::default()
    })
}

/// `column`, or `column=source`.
fn join_column(text: &str) -> JoinColumn {
    match text.split_once('=') {
        Some((target, source)) => {
            JoinColumn::Pair { source: source.trim().to_owned(), target: target.trim().to_owned() }
        }
        None => JoinColumn::Both(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_column_may_have_another_name_in_the_inputs() {
        assert_eq!(join_column("id"), JoinColumn::Both("id".into()));
        let pair = join_column("id=customer.id");
        assert_eq!((pair.target(), pair.source()), ("id", "customer.id"));
    }
}
