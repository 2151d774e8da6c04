//! The table's name mapping, by which files without field ids are read (Iceberg spec, "Column Projection"): it has to
//! know new columns, and new names of columns beside their old ones.

use floe_core::{Error, Result};
use serde_json::{Value, json};

/// The mapping with a new column of the struct `parent`.
pub(super) fn added(
    mapping: Option<String>,
    parent: Option<i32>,
    id: i32,
    name: &str,
) -> Result<Option<String>> {
    edited(mapping, |fields| {
        let entry = json!({ "field-id": id, "names": [name] });
        match parent {
            None => fields.push(entry),
            Some(parent) => {
                if let Some(of) = find(fields, parent) {
                    let below = of.entry("fields").or_insert_with(|| json!([]));
                    if let Some(below) = below.as_array_mut() {
                        below.push(entry);
                    }
                }
            }
        }
    })
}

/// The mapping with a further name of a column.
pub(super) fn renamed(mapping: Option<String>, id: i32, name: &str) -> Result<Option<String>> {
    edited(mapping, |fields| {
        let names = find(fields, id).and_then(|field| field.get_mut("names")?.as_array_mut());
        if let Some(names) = names
            && !names.iter().any(|known| known == name)
        {
            names.push(json!(name));
        }
    })
}

fn edited(mapping: Option<String>, edit: impl FnOnce(&mut Vec<Value>)) -> Result<Option<String>> {
    let Some(text) = mapping else { return Ok(None) };
    let mut fields: Vec<Value> = serde_json::from_str(&text).map_err(|_| {
        Error::validation("the table's schema.name-mapping.default cannot be read")
            .with_hint("set it to a valid value, or remove it")
    })?;
    edit(&mut fields);
    Ok(Some(Value::Array(fields).to_string()))
}

/// The entry of a field, wherever it is.
fn find(fields: &mut [Value], id: i32) -> Option<&mut serde_json::Map<String, Value>> {
    for field in fields {
        if field.get("field-id").and_then(Value::as_i64) == Some(i64::from(id)) {
            return field.as_object_mut();
        }
        let below = field.get_mut("fields").and_then(Value::as_array_mut);
        if let Some(found) = below.and_then(|below| find(below, id)) {
            return Some(found);
        }
    }
    None
}
