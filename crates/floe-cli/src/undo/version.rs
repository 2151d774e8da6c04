//! Taking back a whole version of a table: what a transaction did.

use std::collections::BTreeSet;

use floe::plan::state::States;
use floe::{LoadedTable, metadata_file};

use super::{Line, Undo, moved, properties, property_changes, reference, schema};
use crate::values::TableName;

/// Takes back all that differs between two versions of a table, of which the second came right after the first.
pub(crate) fn version(table: &TableName, before: &LoadedTable, now: &LoadedTable) -> Undo {
    if before.metadata_location == now.metadata_location {
        return Undo::Nothing;
    }
    let log = now.metadata.metadata_log();
    if log.last().is_none_or(|entry| entry.metadata_file != before.metadata_location) {
        return Undo::Not("others changed the table meanwhile, and their changes would go with it".into());
    }
    let (Ok(old), Ok(new), Ok(states)) = (
        metadata_file::references(&before.metadata),
        metadata_file::references(&now.metadata),
        States::of(&now.metadata),
    ) else {
        return Undo::Not("the table's branches and tags cannot be read".into());
    };
    let mut undo = Undo::Nothing;
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        let head_only = match (was, is) {
            (Some(was), Some(is)) => was.is_branch() && was.retention == is.retention,
            (None, Some(_)) => name == iceberg::spec::MAIN_BRANCH,
            _ => false,
        };
        undo = undo.then(match head_only {
            true if was == is => Undo::Nothing,
            true => moved(now, table, Some(name), was.map(|was| was.snapshot_id)),
            false => reference(table, name, was, is, &states),
        });
    }
    match schema(table, &before.metadata, &now.metadata) {
        Undo::Nothing => {
            let of = |table: &LoadedTable| table.metadata.properties().clone().into_iter().collect();
            let (old, new) = (of(before), of(now));
            let changes = property_changes(&old, &new, old.keys().chain(new.keys()));
            undo.then(properties(Line::new("properties").name(table), changes))
        }
        // Properties follow the schema, and are told of with it.
        schema => undo.then(schema),
    }
}
