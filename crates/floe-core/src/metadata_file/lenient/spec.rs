//! Partition specs, and transforms in them and in sort orders.

use std::collections::HashSet;

use iceberg::spec::{Transform, Type};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Puts transforms in the form that the crate reads, and the default spec in one that it can bind to the current
/// schema.
pub(super) fn soften(value: &mut Value) {
    let Some(metadata) = value.as_object_mut() else { return };
    if metadata.get("format-version") == Some(&json!(1)) {
        number_specs(metadata);
    }
    for spec in metadata.get_mut("partition-specs").and_then(Value::as_array_mut).into_iter().flatten() {
        for field in spec.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
            soften_field(field);
        }
    }
    let columns = columns(metadata);
    let names = names(metadata);
    let default = metadata.get("default-spec-id").and_then(Value::as_i64).unwrap_or_default();
    let specs = metadata.get_mut("partition-specs").and_then(Value::as_array_mut).into_iter().flatten();
    for spec in specs.filter(|spec| spec["spec-id"] == default) {
        let fields = spec.get_mut("fields").and_then(Value::as_array_mut);
        let mut bound = Bound { columns: &columns, names: &names, used: HashSet::new() };
        for field in fields.into_iter().flatten() {
            bound.soften(field);
        }
    }
}

/// A field of a partition spec or a sort order: its source as one column, its transform as the crate spells it. A
/// transform of several columns, or that the crate does not know, is unknown.
pub(super) fn soften_field(field: &mut Value) {
    let Some(field) = field.as_object_mut() else { return };
    let sources = field.get("source-ids").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(first) = sources.first()
        && !field.get("source-id").is_some_and(Value::is_i64)
    {
        field.insert("source-id".to_owned(), first.clone());
    }
    if let Some(Value::String(name)) = field.get_mut("transform") {
        let known = if sources.len() > 1 { Transform::Unknown } else { transform(name) };
        *name = known.to_string();
    }
}

/// A transform by its name in metadata, in any case, as other writers read it; [`Transform::Unknown`] for one that is not
/// known, or whose parameter cannot be (Iceberg spec, "Partition Transforms": readers read on).
///
/// ```
/// use floe_core::metadata_file::transform;
/// use iceberg::spec::Transform;
///
/// assert_eq!(transform("Bucket[16]"), Transform::Bucket(16));
/// assert_eq!(transform("zorder[3]"), Transform::Unknown);
/// ```
pub fn transform(name: &str) -> Transform {
    let lower = name.to_ascii_lowercase();
    let known = match lower.split_once('[') {
        None => !lower.starts_with("bucket") && !lower.starts_with("truncate"),
        Some((name, rest)) => {
            let number = rest.strip_suffix(']').and_then(|number| number.parse::<i32>().ok());
            matches!(name, "bucket" | "truncate") && number.is_some_and(|n| n > 0)
        }
    };
    match lower.parse::<Transform>() {
        Ok(parsed) if known => parsed,
        _ => Transform::Unknown,
    }
}

/// The transform of a field of a partition spec, as the metadata in `json` has it; `None` where it is not there.
pub(in crate::metadata_file) fn written_transform(
    json: &[u8],
    spec_id: i32,
    field_id: i32,
) -> Option<String> {
    let metadata: Value = serde_json::from_slice(json).ok()?;
    let specs = metadata["partition-specs"].as_array()?;
    let spec = specs.iter().find(|spec| spec["spec-id"] == spec_id)?;
    let field = spec["fields"].as_array()?.iter().find(|field| field["field-id"] == field_id)?;
    field["transform"].as_str().map(str::to_owned)
}

/// Every column of the current schema, at any depth, with its type as far as it is primitive.
pub(super) fn columns(metadata: &Map<String, Value>) -> Vec<(i64, Option<Type>)> {
    fn walk(of: &Value, all: &mut Vec<(i64, Option<Type>)>) {
        if !of.is_object() {
            return;
        }
        for field in of["fields"].as_array().into_iter().flatten() {
            let primitive = field["type"].as_str().and_then(|_| Type::deserialize(&field["type"]).ok());
            if let Some(id) = field["id"].as_i64() {
                all.push((id, primitive));
            }
            walk(&field["type"], all);
        }
        for (name, id) in [("element", "element-id"), ("key", "key-id"), ("value", "value-id")] {
            let kind = &of[name];
            if let Some(id) = of[id].as_i64() {
                let primitive = kind.as_str().and_then(|_| Type::deserialize(kind).ok());
                all.push((id, primitive));
            }
            walk(kind, all);
        }
    }
    let mut all = Vec::new();
    walk(current_schema(metadata), &mut all);
    all
}

/// The names of the columns of the current schema with their ids; nested ones as paths.
fn names(metadata: &Map<String, Value>) -> Vec<(String, i64)> {
    fn walk(of: &Value, path: &str, all: &mut Vec<(String, i64)>) {
        for field in of["fields"].as_array().into_iter().flatten() {
            let (Some(name), Some(id)) = (field["name"].as_str(), field["id"].as_i64()) else { continue };
            let name = format!("{path}{name}");
            walk(&field["type"], &format!("{name}."), all);
            all.push((name, id));
        }
        for (name, id) in [("element", "element-id"), ("key", "key-id"), ("value", "value-id")] {
            if let Some(id) = of[id].as_i64() {
                walk(&of[name], &format!("{path}{name}."), all);
                all.push((format!("{path}{name}"), id));
            }
        }
    }
    let mut all = Vec::new();
    walk(current_schema(metadata), "", &mut all);
    all
}

fn current_schema(metadata: &Map<String, Value>) -> &Value {
    let id = metadata.get("current-schema-id");
    let listed = metadata.get("schemas").and_then(Value::as_array);
    let current =
        listed.and_then(|all| all.iter().find(|schema| schema.get("schema-id") == id && id.is_some()));
    current.or_else(|| metadata.get("schema")).unwrap_or(&Value::Null)
}

/// Format version 1 may have its only spec at the top, and fields without ids, which are numbered from 1000 on (Iceberg
/// spec, "Partition Specs"); the crate takes the highest id of a spec for the highest of a field.
fn number_specs(metadata: &mut Map<String, Value>) {
    if !metadata.get("partition-specs").is_some_and(Value::is_array)
        && let Some(fields) = metadata.get("partition-spec").filter(|fields| fields.is_array()).cloned()
    {
        let id = metadata.get("default-spec-id").and_then(Value::as_i64).unwrap_or_default();
        metadata.insert("partition-specs".to_owned(), json!([{ "spec-id": id, "fields": fields }]));
    }
    let mut highest = 999;
    for spec in metadata.get_mut("partition-specs").and_then(Value::as_array_mut).into_iter().flatten() {
        let fields = spec.get_mut("fields").and_then(Value::as_array_mut);
        for (field, id) in fields.into_iter().flatten().zip(1000_i64..) {
            if let Some(field) = field.as_object_mut() {
                let id = field.entry("field-id").or_insert_with(|| json!(id)).as_i64().unwrap_or(id);
                highest = highest.max(id);
            }
        }
    }
    // What stands at the top stands in the lists, too.
    metadata.remove("partition-spec");
    if !metadata.get("last-partition-id").is_some_and(Value::is_i64) {
        metadata.insert("last-partition-id".to_owned(), json!(highest));
    }
}

/// What the crate asks of the fields of a spec that is bound.
struct Bound<'a> {
    columns: &'a [(i64, Option<Type>)],
    names: &'a [(String, i64)],
    /// Sources with the transforms that are unlike others, and the names that are taken.
    used: HashSet<(String, i64)>,
}

impl Bound<'_> {
    /// A field that is void, or whose transform cannot be applied, makes no values: it may come from any column and have
    /// any name.
    fn soften(&mut self, field: &mut Value) {
        let transform = field["transform"].as_str().and_then(|text| text.parse::<Transform>().ok());
        let source = field["source-id"].as_i64();
        let Some(transform) = transform else { return };
        let kind =
            self.columns.iter().find(|(id, _)| Some(*id) == source).and_then(|(_, kind)| kind.as_ref());
        let applies = kind.is_some_and(|kind| transform.result_type(kind).is_ok());
        let transform = match transform {
            Transform::Void => Transform::Void,
            other if applies => other,
            _ => Transform::Unknown,
        };
        field["transform"] = json!(transform.to_string());
        if !matches!(transform, Transform::Void | Transform::Unknown) {
            return;
        }
        let key = transform.to_string();
        let free = |id: i64| !self.used.contains(&(key.clone(), id));
        let kept = source.filter(|id| applies && free(*id));
        let other = || self.columns.iter().find(|(id, kind)| kind.is_some() && free(*id)).map(|(id, _)| *id);
        if let Some(id) = kept.or_else(other) {
            field["source-id"] = json!(id);
            self.used.insert((key, id));
        }
        let Some(name) = field["name"].as_str() else { return };
        if self.names.iter().any(|(column, _)| column == name) {
            field["name"] = json!(format!("{name}_{}", field["field-id"]));
        }
    }
}
