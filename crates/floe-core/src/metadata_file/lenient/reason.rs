//! Why metadata cannot be read: what it has that floe does not know, or where it is broken.

use iceberg::spec::{
    EncryptedKey, MetadataLog, PartitionSpec, Schema, SnapshotLog, SnapshotReference, SortOrder,
    TableMetadata, Type,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// The versions of the format that floe reads.
const VERSIONS: std::ops::RangeInclusive<i64> = 1..=3;

/// Metadata that is broken, and why.
pub(in crate::metadata_file) fn corrupted(location: &str, why: &str) -> Error {
    Error::new(ErrorKind::Corrupted, format!("the metadata file {location} cannot be read: {why}"))
        .with_hint("restore the file, from a backup or from an earlier version of the object; other files of the table are not at fault")
}

/// Metadata that is valid, and what floe lacks to read it.
pub(super) fn unsupported(location: &str, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the table of the metadata file {location} {what}"))
        .with_hint("the table is sound: use an engine that knows this, or a later version of floe")
}

/// A text that is no JSON. The parser's own message may quote it.
pub(super) fn not_json(e: &serde_json::Error, location: &str) -> Error {
    let why = match e.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is no JSON",
    };
    corrupted(location, &format!("{why}, at line {}, column {}", e.line(), e.column()))
}

/// What can be told from the text as it was written: its version, snapshots without a manifest list, types of columns.
pub(super) fn check(value: &Value, location: &str) -> Result<()> {
    if !value.is_object() {
        return Err(corrupted(location, "it is no JSON object"));
    }
    match value.get("format-version") {
        None => return Err(corrupted(location, "it has no format-version: it is no table metadata")),
        Some(version) => match version.as_i64() {
            Some(version) if VERSIONS.contains(&version) => {}
            Some(version) if version > *VERSIONS.end() => {
                let what = format!("is of format version {version}; floe reads versions 1 to 3");
                return Err(unsupported(location, &what));
            }
            _ => return Err(corrupted(location, "its format-version is none of the format")),
        },
    }
    if value.get("view-uuid").is_some() {
        return Err(unsupported(location, "is no table but a view"));
    }
    for snapshot in value["snapshots"].as_array().into_iter().flatten() {
        let id = snapshot["snapshot-id"].as_i64().unwrap_or_default();
        if snapshot["manifest-list"].is_string() {
            continue;
        }
        if snapshot["manifests"].is_array() {
            let what = format!(
                "has a snapshot, {id}, that lists its manifests itself, as writers of format version 1 once did; floe \
                 reads manifest lists only"
            );
            return Err(unsupported(location, &what));
        }
        return Err(corrupted(location, &format!("its snapshot {id} has no manifest-list")));
    }
    let schemas = value["schemas"].as_array().into_iter().flatten().chain(value.get("schema"));
    for schema in schemas {
        if let Some((column, kind)) = unknown_type(schema, "") {
            let what = format!("has the column '{column}' of the type {kind}, which floe does not know");
            return Err(unsupported(location, &what));
        }
    }
    Ok(())
}

/// A default that the crate drops would read as NULL.
pub(super) fn check_defaults(value: &Value, metadata: &TableMetadata, location: &str) -> Result<()> {
    fn walk(of: &Value, schema: &Schema) -> Option<String> {
        if !of.is_object() {
            return None;
        }
        for field in of["fields"].as_array().into_iter().flatten() {
            let id = field["id"].as_i64().and_then(|id| i32::try_from(id).ok())?;
            let read = schema.field_by_id(id);
            let lost = |name: &str, has: bool| field.get(name).is_some_and(|v| !v.is_null()) && !has;
            if lost("initial-default", read.is_some_and(|f| f.initial_default.is_some()))
                || lost("write-default", read.is_some_and(|f| f.write_default.is_some()))
            {
                return Some(schema.name_by_field_id(id).unwrap_or_default().to_owned());
            }
            if let Some(column) = walk(&field["type"], schema) {
                return Some(column);
            }
        }
        ["element", "key", "value"].into_iter().find_map(|name| walk(&of[name], schema))
    }
    for of in value["schemas"].as_array().into_iter().flatten() {
        let id = of["schema-id"].as_i64().and_then(|id| i32::try_from(id).ok());
        let Some(schema) = id.and_then(|id| metadata.schema_by_id(id)) else { continue };
        if let Some(column) = walk(of, schema) {
            let what = format!("has a default of the column '{column}' that floe cannot read");
            return Err(unsupported(location, &what));
        }
    }
    Ok(())
}

/// Where metadata is broken that the crate does not read.
pub(super) fn find(value: &Value, location: &str) -> Error {
    corrupted(location, &place(value))
}

fn place(value: &Value) -> String {
    let version = value["format-version"].as_i64().unwrap_or_default();
    let needed: &[&str] = match version {
        1 => &["location", "last-updated-ms", "last-column-id"],
        2 => &[
            "table-uuid",
            "location",
            "last-sequence-number",
            "last-updated-ms",
            "last-column-id",
            "schemas",
            "current-schema-id",
            "partition-specs",
            "default-spec-id",
            "last-partition-id",
            "sort-orders",
            "default-sort-order-id",
        ],
        _ => &[
            "table-uuid",
            "location",
            "last-sequence-number",
            "last-updated-ms",
            "last-column-id",
            "schemas",
            "current-schema-id",
            "partition-specs",
            "default-spec-id",
            "last-partition-id",
            "sort-orders",
            "default-sort-order-id",
            "next-row-id",
        ],
    };
    if let Some(name) = needed.iter().find(|name| value.get(**name).is_none_or(Value::is_null)) {
        return format!("it has no {name}");
    }
    let integers = [
        "last-sequence-number",
        "last-updated-ms",
        "last-column-id",
        "current-schema-id",
        "default-spec-id",
        "last-partition-id",
        "default-sort-order-id",
        "current-snapshot-id",
        "next-row-id",
    ];
    let present = |name: &&&str| value.get(**name).is_some_and(|value| !value.is_null());
    if let Some(name) = integers.iter().filter(present).find(|name| !value[**name].is_i64()) {
        return format!("its {name} is no integer");
    }
    if value
        .get("table-uuid")
        .is_some_and(|uuid| uuid.as_str().is_none_or(|u| u.parse::<uuid::Uuid>().is_err()))
    {
        return "its table-uuid is no UUID".to_owned();
    }
    let broken = broken::<Schema>(value, "schemas")
        .or_else(|| broken::<PartitionSpec>(value, "partition-specs"))
        .or_else(|| broken::<SortOrder>(value, "sort-orders"))
        .or_else(|| broken::<SnapshotLog>(value, "snapshot-log"))
        .or_else(|| broken::<MetadataLog>(value, "metadata-log"))
        .or_else(|| broken::<EncryptedKey>(value, "encryption-keys"));
    if let Some(broken) = broken {
        return broken;
    }
    let mut refs = value["refs"].as_object().into_iter().flatten();
    if let Some((name, _)) = refs.find(|(_, value)| SnapshotReference::deserialize(*value).is_err()) {
        return format!("its branch or tag '{name}' is not valid");
    }
    let snapshots = value["snapshots"].as_array().into_iter().flatten();
    for (number, snapshot) in snapshots.enumerate() {
        if let Some(name) = ["snapshot-id", "timestamp-ms"].iter().find(|name| !snapshot[**name].is_i64()) {
            return format!("snapshots[{number}] has no valid {name}");
        }
    }
    // Every part can be read: what does not hold is between them. These messages have ids in them, no values.
    match TableMetadata::deserialize(value) {
        Err(e) if e.to_string().contains("did not match") => "one of its fields is not valid".to_owned(),
        Err(e) => {
            let message = e.to_string();
            let message = message.split_once("=> ").map_or(&*message, |(_, what)| what);
            message
                .split(", context:")
                .next()
                .unwrap_or(message)
                .split(" in schema ")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
        Ok(_) => "it is not valid".to_owned(),
    }
}

/// The first element of an array that does not read.
fn broken<T: for<'de> Deserialize<'de>>(value: &Value, name: &str) -> Option<String> {
    match value.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::Array(all)) => {
            let number = all.iter().position(|element| T::deserialize(element).is_err())?;
            Some(format!("{name}[{number}] is not valid"))
        }
        Some(_) => Some(format!("its {name} is no array")),
    }
}

/// A column whose type floe does not know, with the type.
fn unknown_type(of: &Value, path: &str) -> Option<(String, String)> {
    let one = |kind: &Value, path: String| match kind {
        Value::String(kind) => {
            let lower = Value::String(kind.to_lowercase());
            // What looks like a type that is known, with other parameters, is broken and not new.
            let known = Type::deserialize(&lower).is_ok()
                || ["decimal", "fixed"].iter().any(|name| kind.to_lowercase().starts_with(name));
            (!known).then(|| (path, kind.clone()))
        }
        nested => unknown_type(nested, &format!("{path}.")),
    };
    for field in of["fields"].as_array().into_iter().flatten() {
        let name = format!("{path}{}", field["name"].as_str().unwrap_or_default());
        if let Some(found) = one(&field["type"], name) {
            return Some(found);
        }
    }
    for name in ["element", "key", "value"] {
        if let Some(kind) = of.get(name)
            && let Some(found) = one(kind, format!("{path}{name}"))
        {
            return Some(found);
        }
    }
    None
}
