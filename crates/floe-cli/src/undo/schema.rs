//! Taking back what happened to the schema and the properties of a table or namespace.

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;
use floe::plan::evolve::{SchemaChange, SchemaEvolution, evolve};
use floe::{Error, Result, metadata_file};
use iceberg::TableIdent;
use iceberg::spec::{NestedFieldRef, Schema, TableMetadata, Type};

use super::{Line, Undo};
use crate::args::{Cli, Command, EvolveArgs};
use crate::commands::evolution;
use crate::values::{KeyValue, TableName};

/// Which properties are to be set, and which removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

/// What takes `now` back to `before`, as far as `keys` go.
pub(crate) fn property_changes<'k>(
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    keys: impl IntoIterator<Item = &'k String>,
) -> Changes {
    let keys: BTreeSet<&String> = keys.into_iter().filter(|key| before.get(*key) != now.get(*key)).collect();
    let mut changes = Changes::default();
    for key in keys {
        match before.get(key) {
            Some(value) => changes.set.push((key.clone(), value.clone())),
            None => changes.remove.push(key.clone()),
        }
    }
    changes
}

/// Makes changes of properties by `line`, which names what has them.
pub(crate) fn properties(line: Line, changes: Changes) -> Undo {
    if changes == Changes::default() {
        return Undo::Nothing;
    }
    let mut line = line;
    for (key, value) in changes.set {
        let pair = format!("{key}={value}");
        let same = KeyValue { key: key.clone(), value };
        if pair.parse::<KeyValue>() != Ok(same) {
            return Undo::Not(format!("the property '{key}' has a name that KEY=VALUE cannot carry"));
        }
        line = line.option("set", pair);
    }
    for key in changes.remove {
        line = line.option("remove", key);
    }
    Undo::by(line)
}

/// Takes a change of the schema back. Columns that were deleted or widened, or that are optional now, stay so.
pub(crate) fn schema(table: &TableName, before: &TableMetadata, now: &TableMetadata) -> Undo {
    if before.current_schema().as_struct() == now.current_schema().as_struct() {
        return Undo::Nothing;
    }
    match inverse(table, before, now) {
        Ok(undo) => undo,
        Err(why) => Undo::Not(why),
    }
}

fn inverse(table: &TableName, before: &TableMetadata, now: &TableMetadata) -> Result<Undo, String> {
    let (old, new) = (fields(before.current_schema()), fields(now.current_schema()));
    for (id, was) in &old {
        let Some(is) = new.get(id) else {
            return Err(format!(
                "the column '{}' was deleted, and a new one would not have its rows",
                was.name
            ));
        };
        if was.field_type.is_primitive() && was.field_type != is.field_type {
            return Err(format!("the column '{}' was widened, and cannot be made narrower", is.name));
        }
        if was.required != is.required {
            return Err(format!("the column '{}' may hold NULL by now", is.name));
        }
    }
    let unfit = |_| "the change of the schema has no inverse".to_owned();
    let mut line = Line::new("evolve").name(table);
    let path = |schema: &Schema, id: &i32| schema.name_by_field_id(*id).unwrap_or_default().to_owned();
    let wanted: BTreeMap<i32, String> = old.iter().map(|(id, was)| (*id, was.name.clone())).collect();
    let (renames, renamed) = renames(now, wanted).map_err(unfit)?;
    for (column, name) in renames {
        line = line.option("rename", format!("{column}={name}"));
    }
    let renamed = renamed.current_schema();
    let added: BTreeSet<i32> = new.keys().filter(|id| !old.contains_key(id)).copied().collect();
    let below: BTreeSet<i32> = added.iter().flat_map(|id| children(&new[id].field_type)).collect();
    let mut deletes = false;
    for id in added.difference(&below) {
        line = line.option("delete", path(renamed, id));
        deletes = true;
    }
    if deletes {
        line = line.flag("allow-incompatible");
    }
    for (id, was) in old.iter().filter(|(id, was)| new[*id].doc != was.doc) {
        line =
            line.option("doc", format!("{}={}", path(renamed, id), was.doc.as_deref().unwrap_or_default()));
    }
    // What is printed is read again and tried.
    let parsed = parse(&line).map_err(unfit)?;
    let back = evolved_by(now, &parsed).map_err(unfit)?;
    if back.current_schema().as_struct() != before.current_schema().as_struct() {
        return Err("the change of the schema has no inverse".to_owned());
    }
    // Such as the name mapping, which follows the schema.
    let (wanted, there) = (sorted(before), sorted(&back));
    let rest = property_changes(&wanted, &there, wanted.keys().chain(there.keys()));
    Ok(Undo::by(line).then(properties(Line::new("properties").name(table), rest)))
}

/// The renames, one after the other, that give columns these names again; and the table after them. A name that another
/// column has yet waits for it, and where they wait for each other, one goes by a name of its own in between.
fn renames(
    now: &TableMetadata,
    mut wanted: BTreeMap<i32, String>,
) -> Result<(Vec<(String, String)>, TableMetadata)> {
    let (mut table, mut made) = (now.clone(), Vec::new());
    loop {
        let schema = table.current_schema().clone();
        wanted.retain(|id, name| schema.field_by_id(*id).is_some_and(|field| field.name != *name));
        let Some((first, name)) = wanted.first_key_value() else { return Ok((made, table)) };
        let attempt = |id: &i32, new_name: &str| {
            let column = schema.name_by_field_id(*id).unwrap_or_default().to_owned();
            let change = SchemaChange::RenameColumn { column: column.clone(), new_name: new_name.to_owned() };
            evolved(&table, vec![change]).map(|table| ((column, new_name.to_owned()), table))
        };
        let direct = wanted.iter().find_map(|(id, name)| attempt(id, name).ok());
        let (step, next) = match direct {
            Some(done) => done,
            None if made.len() > 4 * wanted.len() + 4 => {
                return Err(Error::validation("the names go in circles"));
            }
            None => attempt(first, &format!("{name}_{}", made.len()))?,
        };
        made.push(step);
        table = next;
    }
}

/// Every field, also nested ones, by its id.
fn fields(schema: &Schema) -> BTreeMap<i32, NestedFieldRef> {
    let ids = all_below(&Type::Struct(schema.as_struct().clone()));
    ids.into_iter().filter_map(|id| Some((id, schema.field_by_id(id)?.clone()))).collect()
}

/// The ids of all fields of a type and of those below them.
fn all_below(of: &Type) -> Vec<i32> {
    let direct: Vec<&NestedFieldRef> = match of {
        Type::Struct(of) => of.fields().iter().collect(),
        Type::List(of) => vec![&of.element_field],
        Type::Map(of) => vec![&of.key_field, &of.value_field],
        Type::Primitive(_) => Vec::new(),
    };
    direct.iter().flat_map(|field| [vec![field.id], all_below(&field.field_type)].concat()).collect()
}

fn children(of: &Type) -> Vec<i32> {
    all_below(of)
}

fn sorted(table: &TableMetadata) -> BTreeMap<String, String> {
    table.properties().clone().into_iter().collect()
}

fn parse(line: &Line) -> Result<EvolveArgs> {
    let words = ["floe".to_owned()].into_iter().chain(line.words());
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Evolve(args)) => Ok(args),
        _ => Err(Error::validation("the line does not parse")),
    }
}

fn evolved_by(table: &TableMetadata, args: &EvolveArgs) -> Result<TableMetadata> {
    let evolution = evolution(args)?;
    apply(table, &evolution)
}

fn evolved(table: &TableMetadata, changes: Vec<SchemaChange>) -> Result<TableMetadata> {
    apply(table, &SchemaEvolution { changes, allow_incompatible_changes: false })
}

fn apply(table: &TableMetadata, evolution: &SchemaEvolution) -> Result<TableMetadata> {
    let updates = evolve(table, evolution)?;
    let ident = TableIdent::from_strs(["undo", "undo"])?;
    metadata_file::apply(&ident, table, table.location(), &[], &updates)
}
