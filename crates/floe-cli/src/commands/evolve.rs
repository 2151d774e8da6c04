//! `floe evolve` and `floe properties`.

use std::collections::BTreeMap;

use floe::plan::evolve::{SchemaChange, SchemaEvolution};
use floe::text::escape;
use floe::{Error, LoadedTable, Result};
use serde_json::{Value, json};

use crate::args::{EvolveArgs, PropertiesArgs};
use crate::exit::internal;
use crate::render::counted;
use crate::ui::{Report, Ui};
use crate::undo::{self, Line, Undo, property_changes};
use crate::warehouse::Location;

/// Changes the schema of a table.
pub(super) async fn run(command: &str, args: EvolveArgs, location: &Location, ui: &Ui) -> Result<()> {
    let evolution = evolution(&args).map_err(|e| e.with_table(&args.table))?;
    let count = evolution.changes.len() as u64;
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let transaction = manager.transaction(&ident).evolve_schema(evolution).dry_run(args.dry_run);
    let outcome = Box::pin(transaction.commit()).await?;
    let table = manager.load_table(&ident).await?;
    let schema =
        serde_json::to_value(table.metadata.current_schema()).map_err(|e| internal(e.to_string()))?;
    let text = match (args.dry_run, outcome.attempts) {
        (true, _) => format!("Would make {} of the schema of {}", counted(count, "change"), args.table),
        (false, 0) => format!("Nothing to change: {} has this schema already", args.table),
        (false, _) => format!("Made {} of the schema of {}", counted(count, "change"), args.table),
    };
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("changed", outcome.attempts > 0)
        .with("dry_run", args.dry_run)
        .with("schema", schema)
        .undo(
            &if outcome.attempts == 0 { Undo::Nothing } else { undo::version(&args.table, &before, &table) },
            location,
        )
        .text(text);
    ui.print(&report)
}

/// Sets and removes properties of a table.
pub(super) async fn properties(
    command: &str,
    args: PropertiesArgs,
    location: &Location,
    ui: &Ui,
) -> Result<()> {
    let mut set = BTreeMap::new();
    for pair in &args.set {
        if set.insert(pair.key.clone(), pair.value.clone()).is_some() {
            let why = format!("the property '{}' is given twice", pair.key);
            return Err(Error::validation(why).with_table(&args.table));
        }
    }
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let table = manager.update_properties(&ident, &set, &args.remove).await?;
    let sorted = |table: &LoadedTable| table.metadata.properties().clone().into_iter().collect();
    let (was, now): (BTreeMap<String, String>, BTreeMap<String, String>) = (sorted(&before), sorted(&table));
    let changes = property_changes(&was, &now, set.keys().chain(&args.remove));
    let undo = undo::properties(Line::new("properties").name(&args.table), changes);
    let pair = |(key, value): (&String, &String)| format!("{}={}", escape(key), escape(value));
    let text = now.iter().map(pair).collect::<Vec<_>>().join("\n");
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("properties", json!(now))
        .undo(&undo, location)
        .lines(text);
    ui.print(&report)
}

/// The changes in the order of the options' list: renamed columns go by their new names after that.
pub(crate) fn evolution(args: &EvolveArgs) -> Result<SchemaEvolution> {
    let mut changes = Vec::new();
    for pair in &args.rename {
        changes.push(SchemaChange::RenameColumn { column: pair.key.clone(), new_name: pair.value.clone() });
    }
    for text in &args.widen {
        let (column, to) = typed(text)?;
        let to = serde_json::from_value(to).map_err(|_| unknown_type(text))?;
        changes.push(SchemaChange::WidenType { column, to });
    }
    for column in &args.optional {
        changes.push(SchemaChange::MakeOptional { column: column.clone() });
    }
    for text in &args.add {
        let (column, of) = typed(text)?;
        let field_type = serde_json::from_value(of).map_err(|_| unknown_type(text))?;
        changes.push(SchemaChange::AddColumn { column, field_type, required: false, doc: None });
    }
    for column in &args.delete {
        changes.push(SchemaChange::DeleteColumn { column: column.clone() });
    }
    for pair in &args.doc {
        let doc = Some(pair.value.clone()).filter(|doc| !doc.is_empty());
        changes.push(SchemaChange::UpdateDoc { column: pair.key.clone(), doc });
    }
    Ok(SchemaEvolution { changes, allow_incompatible_changes: args.allow_incompatible })
}

/// `COLUMN:TYPE`; a nested type is JSON.
fn typed(text: &str) -> Result<(String, Value)> {
    let (column, of) = text.split_once(':').ok_or_else(|| {
        Error::validation(format!("'{text}' is not COLUMN:TYPE")).with_hint("for example amount:decimal(9,2)")
    })?;
    let of = of.trim();
    let of = serde_json::from_str::<Value>(of).ok().filter(Value::is_object).unwrap_or_else(|| json!(of));
    Ok((column.trim().to_owned(), of))
}

fn unknown_type(text: &str) -> Error {
    Error::validation(format!("'{text}' has a type that is not known"))
        .with_hint("for example long, double, decimal(9,2), string, date, timestamptz")
}
