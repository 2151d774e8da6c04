//! Upserts: rows of a source take the place of rows with the same key, and are inserted where there are none.

mod options;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use floe_core::{Environment, Result};
use floe_plan::expr::Expr;
use floe_plan::merge::{Action, KeyColumn, RowExpr, Rule, Rules};
use floe_plan::schema_match::{ColumnMapping, Source, match_given};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;

pub use options::{UpsertOptions, WhenMatched, WhenNotMatched, WhenNotMatchedBySource};

use super::merge::{HeldSource, MergeChange, MergeJob, merge_rows};
use super::rows::RowMode;
use crate::base::TableBase;
use crate::data::{BatchStream, fitted};

/// The properties that choose how rows are removed: the first that is set counts.
const MODES: [&str; 2] = ["write.merge.mode", "write.update.mode"];

/// Upserts `source` into the head of a branch: rows with the key of a row that is there take its place, others are
/// added, as [`UpsertOptions`] say.
///
/// Columns are matched by name; see [`floe_plan::schema_match`]. A column that the source lacks keeps its value in rows
/// that are updated; in rows that are added, it has its write default, else NULL, and a required column without default
/// is an error as soon as a row would be added. Keys are compared with NULL equal to NULL, NaN equal to NaN and `-0.0` equal to `0.0`. If several
/// rows of the table have one key, each of them is updated.
///
/// Of the table, only files and row groups are read that may hold one of the keys, and of these the key columns first.
/// The source is held in memory up to half of `rows.memory_bytes`, and beyond that in temporary files.
///
/// Nothing is committed: the change is to be given to the commit path, which has to delete the added files if it fails
/// for certain. When this function fails, what it wrote is deleted. Must run within a tokio runtime.
///
/// Fails with `Validation` for join columns that are not there or not primitive, and for rows of the source that have the
/// same key (counted); `SchemaMismatch` when the source does not fit the table; `SnapshotNotFound` for a branch that is
/// not there; `Unsupported` for rows of tables of format version 3, and for merge-on-read in version 1; and as reading and
/// writing data files fail.
pub async fn upsert(
    base: &TableBase,
    source: BatchStream,
    options: &UpsertOptions,
    env: &dyn Environment,
) -> Result<MergeChange> {
    upsert_held(base, source, None, options, env).await
}

/// The same with a source that is held for another run, or was.
pub(crate) async fn upsert_held(
    base: &TableBase,
    source: BatchStream,
    held: Option<&mut HeldSource>,
    options: &UpsertOptions,
    env: &dyn Environment,
) -> Result<MergeChange> {
    // A large future: callers need not hold it.
    Box::pin(run(base, source, held, options, env)).await.map_err(|e| e.with_table(&base.table.ident))
}

async fn run(
    base: &TableBase,
    source: BatchStream,
    held: Option<&mut HeldSource>,
    options: &UpsertOptions,
    env: &dyn Environment,
) -> Result<MergeChange> {
    let schema = base.metadata().current_schema();
    let keys = KeyColumn::resolve(schema, &options.join_columns)?;
    // What a required column that the source lacks becomes in a new row is told when there is one.
    let mapping = match_given(&source.schema, schema)?;
    check_keys(&mapping, &keys, schema)?;
    let job = MergeJob {
        branch: options.branch.clone(),
        rules: rules(&mapping, &keys, options),
        keys,
        schema: Arc::new(schema_to_arrow_schema(schema)?),
        on: None,
        matching: Expr::True,
        others: Expr::True,
        mask: None,
        unique: true,
        mode: mode(base, options)?,
    };
    let target = mapping.target.clone();
    let rows = fitted(source.stream, mapping);
    // On the heap: a merge holds much across its pauses.
    Box::pin(merge_rows(base, BatchStream::new(target, rows), held, job, &options.rows, env)).await
}

fn mode(base: &TableBase, options: &UpsertOptions) -> Result<RowMode> {
    let properties = base.metadata().properties();
    match (options.rows.mode, MODES.iter().find(|property| properties.contains_key(**property))) {
        (Some(mode), _) => Ok(mode),
        (None, Some(property)) => RowMode::of_property(base.metadata(), property),
        (None, None) => Ok(RowMode::default()),
    }
}

/// Fails when the source lacks the column of a key.
fn check_keys(mapping: &ColumnMapping, keys: &[KeyColumn], schema: &Schema) -> Result<()> {
    for key in keys {
        let lacking = mapping.fields.iter().find(|field| {
            let holds = key.field_id == field.field_id
                || schema.name_by_field_id(key.field_id).is_some_and(|name| {
                    name.strip_prefix(field.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
                });
            holds && !matches!(field.source, Source::Column { .. })
        });
        if lacking.is_some() {
            return Err(floe_core::Error::validation(format!(
                "the source lacks column '{}' to join by",
                key.name
            )));
        }
    }
    Ok(())
}

fn rules(mapping: &ColumnMapping, keys: &[KeyColumn], options: &UpsertOptions) -> Rules {
    let given = |index: &usize| matches!(mapping.fields[*index].source, Source::Column { .. });
    let columns = 0..mapping.fields.len();
    let source = |index: usize| RowExpr::Source(index);
    let target = |index: usize| RowExpr::Target(mapping.fields[index].field_id);
    let update = || {
        let value = |index: usize| if given(&index) { source(index) } else { target(index) };
        Action::Write(columns.clone().map(value).collect())
    };
    let is_key = |index: &usize| keys.iter().any(|key| key.field_id == mapping.fields[*index].field_id);
    let matched = match options.when_matched {
        WhenMatched::UpdateAll => vec![Rule::always(update())],
        WhenMatched::UpdateIfChanged => {
            let compared = columns.clone().filter(given).filter(|index| !is_key(index));
            let differs = |index| RowExpr::Distinct(Box::new(source(index)), Box::new(target(index)));
            let changed = RowExpr::Or(compared.map(differs).collect());
            vec![Rule { condition: Some(changed), action: update() }]
        }
        WhenMatched::Ignore => Vec::new(),
        WhenMatched::Delete => vec![Rule::always(Action::Delete)],
    };
    let not_matched = match options.when_not_matched {
        WhenNotMatched::Insert => vec![Rule::always(Action::Write(columns.clone().map(source).collect()))],
        WhenNotMatched::Ignore => Vec::new(),
    };
    let not_matched_by_source = match options.when_not_matched_by_source {
        WhenNotMatchedBySource::Ignore => Vec::new(),
        WhenNotMatchedBySource::Delete => vec![Rule::always(Action::Delete)],
    };
    Rules { matched, not_matched, not_matched_by_source }
}
