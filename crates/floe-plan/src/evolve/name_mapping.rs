//! The table's name mapping, by which files without field ids are read (Iceberg spec, "Column Projection"): it has to
//! know new columns, and new names of columns beside their old ones.

use std::collections::HashSet;

use floe_core::{Error, Result};
use iceberg::spec::{NestedFieldRef, Schema, Type};
use serde_json::{Map, Value, json};

use super::tree::children;

/// The mapping after the schema went from `before` to `after`; `None` when it stays as it is.
pub(super) fn followed(mapping: &str, before: &Schema, after: &Schema) -> Result<Option<String>> {
    let mut changes = Changes::default();
    changes.find(None, after.as_struct().fields(), before);
    if changes.adds.is_empty() && changes.renames.is_empty() {
        return Ok(None);
    }
    let mut fields: Vec<Value> = serde_json::from_str(mapping).map_err(|_| {
        Error::validation("the table's schema.name-mapping.default cannot be read")
            .with_hint("set it to a valid value, or remove it")
    })?;
    changes.make(None, &mut fields);
    let followed = Value::Array(fields).to_string();
    Ok(Some(followed))
}

/// What is new in a schema.
#[derive(Default)]
struct Changes<'s> {
    /// Columns that are new, with the column that they are in.
    adds: Vec<(Option<i32>, &'s NestedFieldRef)>,
    /// Columns that have another name, with it.
    renames: Vec<(i32, &'s str)>,
}

impl<'s> Changes<'s> {
    fn find(
        &mut self,
        parent: Option<i32>,
        fields: impl IntoIterator<Item = &'s NestedFieldRef>,
        before: &Schema,
    ) {
        for field in fields {
            match before.field_by_id(field.id) {
                // Those within are mapped with it.
                None => self.adds.push((parent, field)),
                Some(old) => {
                    if old.name != field.name {
                        self.renames.push((field.id, &field.name));
                    }
                    self.find(Some(field.id), children(&field.field_type), before);
                }
            }
        }
    }

    /// Makes the changes in the fields that are in `parent`, and in all within them.
    fn make(&self, parent: Option<i32>, fields: &mut Vec<Value>) {
        // Names that are given, and to which column.
        let mut given: Vec<(&str, i32)> = Vec::new();
        for field in fields.iter_mut() {
            let Some(id) = id_of(field) else { continue };
            if let Some((_, name)) = self.renames.iter().find(|(renamed, _)| *renamed == id) {
                given.push((name, id));
                if let Some(names) = field.get_mut("names").and_then(Value::as_array_mut)
                    && !names.iter().any(|known| known == name)
                {
                    names.push(json!(name));
                }
            }
            let within = self.adds.iter().any(|(parent, _)| *parent == Some(id));
            let Some(field) = field.as_object_mut() else { continue };
            if within && !field.get("fields").is_some_and(Value::is_array) {
                field.insert("fields".to_owned(), json!([]));
            }
            if let Some(below) = field.get_mut("fields").and_then(Value::as_array_mut) {
                self.make(Some(id), below);
            }
        }
        let adds: Vec<_> =
            self.adds.iter().filter(|(of, _)| *of == parent).map(|(_, field)| *field).collect();
        given.extend(adds.iter().map(|field| (field.name.as_str(), field.id)));
        for field in fields.iter_mut() {
            let id = id_of(field);
            let taken: HashSet<&str> =
                given.iter().filter(|(_, to)| Some(*to) != id).map(|(name, _)| *name).collect();
            if let Some(names) = field.get_mut("names").and_then(Value::as_array_mut) {
                names.retain(|name| !name.as_str().is_some_and(|name| taken.contains(name)));
            }
        }
        fields.extend(adds.into_iter().map(mapped));
    }
}

fn id_of(field: &Value) -> Option<i32> {
    i32::try_from(field.get("field-id")?.as_i64()?).ok()
}

/// The entry of a new column, with those within it.
fn mapped(field: &NestedFieldRef) -> Value {
    let mut entry = Map::new();
    entry.insert("field-id".to_owned(), json!(field.id));
    entry.insert("names".to_owned(), json!([field.name]));
    let within: Vec<Value> = match &*field.field_type {
        Type::Primitive(_) => Vec::new(),
        nested => children(nested).into_iter().map(mapped).collect(),
    };
    if !within.is_empty() {
        entry.insert("fields".to_owned(), Value::Array(within));
    }
    Value::Object(entry)
}
