//! Schemas in JSON files.

use std::path::Path;

use floe::model::TableSchema;
use floe::{Error, Result};
use serde_json::{Map, Value, json};

/// Reads a schema: as Iceberg metadata has it, the same without ids, or floe's own data model.
pub(crate) fn read(path: &Path) -> Result<TableSchema> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::from(e).context(path.display()))?;
    parse(&text).map_err(|e| e.context(path.display()))
}

fn parse(text: &str) -> Result<TableSchema> {
    let invalid = |what: String| {
        Error::validation(what)
            .with_hint(r#"a schema is written {"fields": [{"name": "id", "type": "long"}, …]}"#)
    };
    let mut value: Value =
        serde_json::from_str(text).map_err(|e| invalid(format!("this is not valid JSON: {e}")))?;
    if value.is_array() {
        value = json!({ "fields": value });
    }
    let Some(fields) = value.get_mut("fields").and_then(Value::as_array_mut) else {
        return Err(invalid("a schema has a list of fields".into()));
    };
    if fields.iter().any(|f| f.get("field_type").is_some()) {
        return serde_json::from_value(value).map_err(|e| invalid(format!("the schema is not valid: {e}")));
    }
    // Columns are numbered first, fields within them after that. Ids that are given stay.
    let mut next = largest_id(&Value::Array(fields.clone()));
    for field in fields.iter_mut() {
        complete_field(field, &mut next).map_err(&invalid)?;
    }
    for field in fields.iter_mut() {
        complete_type(&mut field["type"], &mut next).map_err(&invalid)?;
    }
    value["type"] = "struct".into();
    let schema: iceberg::spec::Schema =
        serde_json::from_value(value).map_err(|e| invalid(format!("the schema is not valid: {e}")))?;
    TableSchema::from_iceberg(&schema)
}

/// Gives a field its id and says whether it is required.
fn complete_field(field: &mut Value, next: &mut i64) -> Result<(), String> {
    let Some(fields) = field.as_object_mut() else { return Err("a field is a JSON object".into()) };
    let name = fields.get("name").and_then(Value::as_str).ok_or("a field has no name")?.to_owned();
    if fields.get("type").is_none() {
        return Err(format!("field '{name}' has no type"));
    }
    for key in fields.keys() {
        if !["id", "name", "type", "required", "doc", "initial-default", "write-default"]
            .contains(&key.as_str())
        {
            return Err(format!("field '{name}' has the unknown key '{key}'"));
        }
    }
    // Dropping it silently would make another table than the one that is written down.
    if let Some(key) = ["initial-default", "write-default"]
        .iter()
        .find(|key| fields.get(**key).is_some_and(|v| !v.is_null()))
    {
        return Err(format!("field '{name}' has the key {key}, which floe cannot give to a new table yet"));
    }
    number(fields, "id", next);
    fields.entry("required").or_insert(false.into());
    Ok(())
}

/// Gives ids to what is within a nested type.
fn complete_type(value: &mut Value, next: &mut i64) -> Result<(), String> {
    let Some(nested) = value.as_object_mut() else {
        // `decimal(9,2)` is read with one space only.
        if let Some(text) = value.as_str() {
            *value = text.trim().to_lowercase().into();
        }
        return Ok(());
    };
    match nested.get("type").and_then(Value::as_str) {
        Some("struct") => {
            let fields =
                nested.get_mut("fields").and_then(Value::as_array_mut).ok_or("a struct has no fields")?;
            for field in fields.iter_mut() {
                complete_field(field, next)?;
            }
            fields.iter_mut().try_for_each(|field| complete_type(&mut field["type"], next))
        }
        Some("list") => {
            number(nested, "element-id", next);
            nested.entry("element-required").or_insert(false.into());
            complete_type(nested.get_mut("element").ok_or("a list has no element")?, next)
        }
        Some("map") => {
            number(nested, "key-id", next);
            number(nested, "value-id", next);
            nested.entry("value-required").or_insert(false.into());
            complete_type(nested.get_mut("key").ok_or("a map has no key")?, next)?;
            complete_type(nested.get_mut("value").ok_or("a map has no value")?, next)
        }
        _ => Err("a nested type is a struct, a list or a map".into()),
    }
}

fn number(object: &mut Map<String, Value>, key: &str, next: &mut i64) {
    if !object.contains_key(key) {
        *next += 1;
        object.insert(key.to_owned(), (*next).into());
    }
}

fn largest_id(value: &Value) -> i64 {
    match value {
        Value::Array(values) => values.iter().map(largest_id).max().unwrap_or(0),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match key.as_str() {
                "id" | "element-id" | "key-id" | "value-id" => value.as_i64().unwrap_or(0),
                _ => largest_id(value),
            })
            .max()
            .unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use floe::model::FieldType;

    use super::*;

    #[test]
    fn short_schemas_are_numbered() {
        let schema = parse(
            r#"{"fields": [
                {"name": "id", "type": "long", "required": true},
                {"name": "price", "type": "decimal(9, 2)", "doc": "in euros"},
                {"name": "tags", "type": {"type": "list", "element": "string"}},
                {"name": "at", "type": "timestamptz"}]}"#,
        )
        .unwrap();
        let ids: Vec<i32> = schema.fields.iter().map(|f| f.field_id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert!(schema.fields[0].required && !schema.fields[1].required);
        assert_eq!(schema.fields[1].precision, Some(9));
        let FieldType::List { element } = &schema.fields[2].field_type else { panic!("a list") };
        assert_eq!(element.field_id, 5);
    }

    #[test]
    fn a_list_of_fields_and_floes_own_model_are_read() {
        assert_eq!(parse(r#"[{"name": "id", "type": "int"}]"#).unwrap().fields.len(), 1);
        let own = parse(r#"{"fields": [{"field_id": 7, "name": "id", "field_type": "int"}]}"#).unwrap();
        assert_eq!(own.fields[0].field_id, 7);
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            ("{", "JSON"),
            ("{}", "fields"),
            (r#"[{"type": "int"}]"#, "no name"),
            (r#"[{"name": "a"}]"#, "'a' has no type"),
            (r#"[{"name": "a", "type": "int", "nullable": true}]"#, "'nullable'"),
            (r#"[{"name": "a", "type": "integer"}]"#, "not valid"),
            (r#"[{"name": "a", "type": "int", "write-default": 7}]"#, "write-default"),
            (r#"[{"name": "a", "type": {"type": "list"}}]"#, "element"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}
