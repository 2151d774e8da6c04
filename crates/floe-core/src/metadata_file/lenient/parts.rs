//! Parts of metadata that others write more freely than the crate reads them.

use serde_json::{Map, Value, json};

/// The summary entry with which a snapshot is read whose summary names no operation that the crate knows: its value is the
/// name that the writer gave, or nothing. Such a snapshot counts as an overwrite, which may have changed any row. Never
/// written.
pub const UNKNOWN_OPERATION: &str = "floe.unknown-operation";

const OPERATIONS: [&str; 4] = ["append", "replace", "overwrite", "delete"];

/// Puts everything but partition specs in the form that the crate reads.
pub(super) fn soften(value: &mut Value) {
    let version = value["format-version"].as_i64().unwrap_or_default();
    let Some(metadata) = value.as_object_mut() else { return };
    if let Some(properties) = metadata.get_mut("properties").and_then(Value::as_object_mut) {
        texts_only(properties);
    }
    for snapshot in list(metadata, "snapshots") {
        soften_snapshot(snapshot, version);
    }
    if let Some(refs) = metadata.get_mut("refs").and_then(Value::as_object_mut) {
        for reference in refs.values_mut() {
            lower_case(reference, "type");
        }
    }
    for schema in list(metadata, "schemas") {
        soften_types(schema);
    }
    if let Some(schema) = metadata.get_mut("schema") {
        soften_types(schema);
    }
    for order in list(metadata, "sort-orders") {
        for field in order.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
            for name in ["direction", "null-order"] {
                lower_case(field, name);
            }
            super::spec::soften_field(field);
        }
    }
    soften_default_order(metadata);
    for name in ["statistics", "partition-statistics"] {
        // Nothing rests on them: those that do not read stay in the text alone.
        let reads = |statistics: &Value| match name {
            "statistics" => parses::<iceberg::spec::StatisticsFile>(statistics),
            _ => parses::<iceberg::spec::PartitionStatisticsFile>(statistics),
        };
        match metadata.get_mut(name) {
            Some(Value::Array(files)) => files.retain(reads),
            Some(_) => drop(metadata.remove(name)),
            None => {}
        }
    }
}

fn soften_snapshot(snapshot: &mut Value, version: i64) {
    let Some(snapshot) = snapshot.as_object_mut() else { return };
    if version == 1 && snapshot.get("manifest-list").is_some_and(Value::is_string) {
        snapshot.remove("manifests");
    }
    if version == 3 && !snapshot.contains_key("sequence-number") {
        snapshot.insert("sequence-number".to_owned(), json!(0));
    }
    if !snapshot.get("summary").is_some_and(Value::is_object) {
        snapshot.insert("summary".to_owned(), json!({}));
    }
    let Some(summary) = snapshot.get_mut("summary").and_then(Value::as_object_mut) else { return };
    texts_only(summary);
    let named = summary.get("operation").and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = OPERATIONS.iter().find(|operation| named.eq_ignore_ascii_case(operation));
    summary.insert("operation".to_owned(), json!(known.unwrap_or(&"overwrite")));
    if known.is_none() {
        summary.insert(UNKNOWN_OPERATION.to_owned(), json!(named));
    }
}

/// A map of texts to texts: without what is null, and with numbers and all else as text.
fn texts_only(map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut().filter(|value| !value.is_string()) {
        *value = Value::String(value.to_string());
    }
}

/// Names of types in lower case, as Java reads them in any.
fn soften_types(of: &mut Value) {
    lower_case(of, "type");
    for name in ["type", "element", "key", "value"] {
        match of.get_mut(name) {
            Some(Value::String(kind)) => *kind = kind.to_lowercase(),
            Some(nested @ Value::Object(_)) => soften_types(nested),
            _ => {}
        }
    }
    for field in of.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
        soften_types(field);
    }
}

/// A default order that does not fit the current schema is not followed: rows are written in no order.
fn soften_default_order(metadata: &mut Map<String, Value>) {
    let default = metadata.get("default-sort-order-id").and_then(Value::as_i64).unwrap_or_default();
    let ids = super::spec::columns(metadata);
    let fits = |order: &Value| {
        let fields = order["fields"].as_array().into_iter().flatten();
        let sources = fields.map(|field| field["source-id"].as_i64());
        sources.into_iter().all(|source| ids.iter().any(|(id, kind)| Some(*id) == source && kind.is_some()))
    };
    let orders = metadata.get("sort-orders").and_then(Value::as_array);
    let order = orders.and_then(|orders| orders.iter().find(|order| order["order-id"] == default));
    if default != 0 && order.is_some_and(|order| !fits(order)) {
        metadata.insert("default-sort-order-id".to_owned(), json!(0));
    }
}

fn lower_case(of: &mut Value, name: &str) {
    if let Some(Value::String(text)) = of.get_mut(name) {
        *text = text.to_lowercase();
    }
}

fn list<'v>(metadata: &'v mut Map<String, Value>, name: &str) -> impl Iterator<Item = &'v mut Value> {
    metadata.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn parses<T: for<'de> serde::Deserialize<'de>>(value: &Value) -> bool {
    T::deserialize(value).is_ok()
}
