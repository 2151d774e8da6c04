//! The JSON of table metadata, made from that of the version before.
//!
//! The crate's model drops what it does not know: fields of other engines and of later specifications, the references of
//! format version 1, the spelling of what it reads in its own way. So a version is never written from the model alone,
//! but as a change of the text of the version before. A commit of snapshots is spliced in, at a cost in proportion to
//! what is new in it; any other change is merged, see [`merge`].

mod merge;
mod raw;
mod splice;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, MAIN_BRANCH, SnapshotReference, SnapshotRetention, TableMetadata};
use serde_json::Value;
use serde_json::value::RawValue;

use self::raw::ObjectWriter;
use super::references::references;
use crate::{Error, ErrorKind, Result};

/// The JSON of one version of a table's metadata. Cheap to clone.
#[derive(Clone)]
pub struct MetadataText {
    json: Bytes,
    /// Where the values of the top-level fields are, in their order. `None` inside when the text is not one that
    /// the next can be spliced from.
    fields: Arc<OnceLock<Option<Fields>>>,
}

type Fields = Vec<(String, Range<usize>)>;

impl MetadataText {
    /// All of `metadata`, as the crate writes it: for a table that is new.
    pub fn new(metadata: &TableMetadata) -> Result<Self> {
        Ok(Self::read(serde_json::to_vec(metadata).map_err(unwritable)?.into()))
    }

    /// A text that was read, by any writer, and that could be parsed.
    pub(super) fn read(json: Bytes) -> Self {
        Self { json, fields: Arc::default() }
    }

    /// The JSON, in UTF-8.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The text of `next`, which `updates` made of `previous`, the metadata that this is the text of: this text, but
    /// for what has changed.
    pub fn next(
        &self,
        previous: &TableMetadata,
        next: &TableMetadata,
        updates: &[TableUpdate],
    ) -> Result<Self> {
        match splice::spliced(self, previous, next, updates) {
            Some(text) => Ok(text),
            None => self.merged(previous, next),
        }
    }

    pub(super) fn merged(&self, previous: &TableMetadata, next: &TableMetadata) -> Result<Self> {
        let text = std::str::from_utf8(&self.json).map_err(unwritable)?;
        // Format version 1 has references since Java writes them there: only where they say something.
        let refs = text_has(text, "refs") || !is_implied(&references(next)?);
        let (before, mut after) = (model(previous, refs)?, model(next, refs)?);
        let was = current_schema(&before);
        // A schema that is new keeps what the model drops of the one that it came from.
        let mut new_schemas = Vec::new();
        if let Some(schemas) = after.get_mut("schemas").and_then(Value::as_array_mut) {
            let known = |id: &Value| {
                before["schemas"].as_array().is_some_and(|all| all.iter().any(|s| s["schema-id"] == *id))
            };
            schemas.retain(|schema| {
                let old = known(&schema["schema-id"]);
                if !old {
                    new_schemas.push(schema.clone());
                }
                old
            });
        }
        // In format version 1 the current schema and the default spec stand a second time at the top.
        let (schema, spec) = (after.get("schema").cloned(), after.get("partition-spec").cloned());
        let (schema_moved, spec_moved) =
            (before.get("schema") != schema.as_ref(), before.get("partition-spec") != spec.as_ref());
        for name in ["schema", "partition-spec"] {
            if before.get(name).is_some()
                && let Some(after) = after.as_object_mut()
                && after.contains_key(name)
            {
                after.insert(name.to_owned(), before[name].clone());
            }
        }
        let mut text = merge::merged(text, &before, &after);
        let raw_current = raw_schema(&text, &was["schema-id"]);
        let derive = |schema: &Value| match &raw_current {
            Some(raw) => merge::derived(raw, &was, schema),
            None => schema.to_string(),
        };
        let new: Vec<(Value, String)> =
            new_schemas.iter().map(|schema| (schema["schema-id"].clone(), derive(schema))).collect();
        text = with_new_schemas(&text, &new).ok_or_else(|| unwritable(NotAnObject))?;
        let mut replaced: Vec<(&str, String)> = Vec::new();
        if schema_moved && let Some(schema) = &schema {
            let id = &schema["schema-id"];
            let raw = raw_schema(&text, id).unwrap_or_else(|| schema.to_string());
            replaced.push(("schema", raw));
        }
        if spec_moved && let Some(spec) = &spec {
            replaced.push(("partition-spec", spec.to_string()));
        }
        for (name, value) in replaced {
            text = with_field(&text, name, &value).ok_or_else(|| unwritable(NotAnObject))?;
        }
        Ok(Self::read(text.into_bytes().into()))
    }
}

impl fmt::Debug for MetadataText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataText").field("bytes", &self.json.len()).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the text is no object")]
struct NotAnObject;

fn unwritable(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "the table metadata cannot be written as JSON").with_source(e)
}

/// `metadata` as the crate writes it, with the references of format version 1 if they are wanted, and with sets in an
/// order of their own.
fn model(metadata: &TableMetadata, refs: bool) -> Result<Value> {
    let mut value = serde_json::to_value(metadata).map_err(unwritable)?;
    if value.get("properties").is_none() {
        // The last one that the model knows may not be the last one of the text.
        value["properties"] = Value::Object(serde_json::Map::new());
    }
    if metadata.format_version() == FormatVersion::V1 && refs {
        value["refs"] = serde_json::to_value(references(metadata)?).map_err(unwritable)?;
    }
    let schemas = value.get_mut("schemas").and_then(Value::as_array_mut).into_iter().flatten();
    schemas.for_each(sort_identifiers);
    if let Some(schema) = value.get_mut("schema") {
        sort_identifiers(schema);
    }
    Ok(value)
}

fn sort_identifiers(schema: &mut Value) {
    if let Some(ids) = schema.get_mut("identifier-field-ids").and_then(Value::as_array_mut) {
        ids.sort_by_key(Value::as_i64);
    }
}

/// Whether references need not be written in format version 1: there is the main branch alone, which is where the
/// current snapshot is.
fn is_implied(refs: &std::collections::BTreeMap<String, SnapshotReference>) -> bool {
    refs.iter().all(|(name, reference)| name == MAIN_BRANCH && reference.retention == plain_branch())
}

fn plain_branch() -> SnapshotRetention {
    SnapshotRetention::branch(None, None, None)
}

fn current_schema(model: &Value) -> Value {
    let id = &model["current-schema-id"];
    let all = model["schemas"].as_array();
    all.and_then(|all| all.iter().find(|schema| schema["schema-id"] == *id)).cloned().unwrap_or_default()
}

/// The text of the schema with this id; format version 1 may have it at the top alone.
fn raw_schema(text: &str, id: &Value) -> Option<String> {
    let fields = raw::object(text)?;
    let of = |raw: &RawValue| {
        let found = serde_json::from_str::<Value>(raw.get()).ok()?.get("schema-id").cloned();
        Some(found.unwrap_or_else(|| Value::from(0)))
    };
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value);
    let listed = field("schemas").and_then(|schemas| raw::array(schemas.get())).unwrap_or_default();
    let found = listed.into_iter().chain(field("schema")).find(|schema| of(schema).as_ref() == Some(id))?;
    Some(found.get().to_owned())
}

/// The text with further schemas at the end of their list.
fn with_new_schemas(text: &str, new: &[(Value, String)]) -> Option<String> {
    if new.is_empty() {
        return Some(text.to_owned());
    }
    let fields = raw::object(text)?;
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.get());
    let mut schemas: Vec<String> = if let Some(schemas) = field("schemas").and_then(raw::array) {
        schemas.into_iter().map(|schema| schema.get().to_owned()).collect()
    } else {
        // An old table of format version 1 has its only schema at the top, maybe without an id.
        let schema = field("schema")?;
        let numbered = serde_json::from_str::<Value>(schema).ok()?.get("schema-id").is_some();
        vec![if numbered { schema.to_owned() } else { with_field(schema, "schema-id", "0")? }]
    };
    let mut new: Vec<_> = new.iter().collect();
    new.sort_by_key(|(id, _)| id.as_i64());
    schemas.extend(new.into_iter().map(|(_, schema)| schema.clone()));
    with_field(text, "schemas", &format!("[{}]", schemas.join(",")))
}

fn text_has(text: &str, name: &str) -> bool {
    raw::object(text).is_some_and(|fields| fields.iter().any(|(field, _)| field == name))
}

/// The object with one field set.
fn with_field(text: &str, name: &str, value: &str) -> Option<String> {
    let mut writer = ObjectWriter::new();
    let mut found = false;
    for (field, old) in raw::object(text)? {
        let here = field == name;
        found |= here;
        writer.field(&field, if here { value } else { old.get() });
    }
    if !found {
        writer.field(name, value);
    }
    Some(writer.finish())
}

/// The top-level fields of a JSON object; `None` when it is none, or has a field twice.
fn split(json: &[u8]) -> Option<Fields> {
    let text = std::str::from_utf8(json).ok()?;
    let values = raw::object(text)?;
    let mut fields = Fields::with_capacity(values.len());
    for (name, value) in values {
        if fields.iter().any(|(field, _)| *field == name) {
            return None;
        }
        let start = (value.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        fields.push((name, start..start + value.get().len()));
    }
    Some(fields)
}

#[cfg(test)]
mod tests;
