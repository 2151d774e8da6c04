//! The JSON of table metadata, made from that of the version before.
//!
//! The crate's model drops what it does not know: fields of other engines and of later specifications, the references of
//! format version 1, the spelling of what it reads in its own way. So a version is never written from the model alone,
//! but as a change of the text of the version before. A commit of snapshots is spliced in, at a cost in proportion to
//! what is new in it; any other change is merged, see [`merge`].

mod merge;
mod raw;

use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use iceberg::TableUpdate;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, Snapshot, SnapshotReference, SnapshotRetention, Summary, TableMetadata,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::raw::ObjectWriter;
use super::references::references;
use crate::{Error, ErrorKind, Result};

/// Fields that a commit of snapshots, references and properties changes. All others stay as they are.
const CHANGING: [&str; 9] = [
    "last-sequence-number",
    "last-updated-ms",
    "current-snapshot-id",
    "next-row-id",
    "properties",
    "refs",
    "metadata-log",
    "snapshot-log",
    "snapshots",
];

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
        match self.spliced(previous, next, updates) {
            Some(text) => Ok(text),
            None => self.merged(previous, next),
        }
    }

    /// `None` when more has changed than a commit of snapshots changes.
    fn spliced(
        &self,
        previous: &TableMetadata,
        next: &TableMetadata,
        updates: &[TableUpdate],
    ) -> Option<Self> {
        let fields = self.fields.get_or_init(|| split(&self.json)).as_ref()?;
        let text = std::str::from_utf8(&self.json).ok()?;
        if next.format_version() != previous.format_version() {
            return None;
        }
        let added = added_snapshots(previous, next, updates)?;
        let mut writer = Writer::new(self.json.len() + 4096 * (added.len() + 1));
        let change = Change { previous, next, updates, added: &added };
        let mut missing: Vec<&str> = CHANGING.to_vec();
        for (name, range) in fields {
            let value = &text[range.clone()];
            if let Some(at) = missing.iter().position(|changing| changing == name) {
                missing.remove(at);
                change.write(name, Some(value), &mut writer)?;
            } else {
                writer.raw(name, value)?;
            }
        }
        for name in missing {
            change.write(name, None, &mut writer)?;
        }
        Some(writer.finish())
    }

    pub(super) fn merged(&self, previous: &TableMetadata, next: &TableMetadata) -> Result<Self> {
        let text = std::str::from_utf8(&self.json).map_err(unwritable)?;
        let (before, mut after) = (model(previous)?, model(next)?);
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

/// `metadata` as the crate writes it, with the references of format version 1, and with sets in an order of their own.
fn model(metadata: &TableMetadata) -> Result<Value> {
    let mut value = serde_json::to_value(metadata).map_err(unwritable)?;
    if metadata.format_version() == FormatVersion::V1 {
        let refs = references(metadata)?;
        if !is_implied(&refs) {
            value["refs"] = serde_json::to_value(refs).map_err(unwritable)?;
        }
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
    let mut schemas: Vec<String> = match field("schemas").and_then(raw::array) {
        Some(schemas) => schemas.into_iter().map(|schema| schema.get().to_owned()).collect(),
        // An old table of format version 1 has its only schema at the top, maybe without an id.
        None => {
            let schema = field("schema")?;
            let numbered = serde_json::from_str::<Value>(schema).ok()?.get("schema-id").is_some();
            vec![if numbered { schema.to_owned() } else { with_field(schema, "schema-id", "0")? }]
        }
    };
    let mut new: Vec<_> = new.iter().collect();
    new.sort_by_key(|(id, _)| id.as_i64());
    schemas.extend(new.into_iter().map(|(_, schema)| schema.clone()));
    with_field(text, "schemas", &format!("[{}]", schemas.join(",")))
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

/// A commit of snapshots.
struct Change<'a> {
    previous: &'a TableMetadata,
    next: &'a TableMetadata,
    updates: &'a [TableUpdate],
    added: &'a [&'a Snapshot],
}

impl Change<'_> {
    /// Writes one of the fields that change; `old` is its text before. `None` when it takes more than splicing.
    fn write(&self, name: &str, old: Option<&str>, writer: &mut Writer) -> Option<()> {
        let (previous, next) = (self.previous, self.next);
        let version = next.format_version();
        let stays = match name {
            "last-sequence-number" => previous.last_sequence_number() == next.last_sequence_number(),
            "next-row-id" => version < FormatVersion::V3,
            "current-snapshot-id" => previous.current_snapshot_id() == next.current_snapshot_id(),
            "properties" => previous.properties() == next.properties(),
            "metadata-log" => previous.metadata_log() == next.metadata_log(),
            "snapshot-log" => previous.history() == next.history(),
            "snapshots" => self.added.is_empty(),
            _ => false,
        };
        if stays {
            return match old {
                Some(old) => writer.raw(name, old),
                None => Some(()),
            };
        }
        match name {
            "last-sequence-number" => writer.field(name, &next.last_sequence_number()),
            "next-row-id" => writer.field(name, &next.next_row_id()),
            "last-updated-ms" => writer.field(name, &next.last_updated_ms()),
            "current-snapshot-id" => match next.current_snapshot_id() {
                Some(id) => writer.field(name, &id),
                None => Some(()),
            },
            "properties" => writer.raw(name, &self.properties(old)?),
            "refs" => match self.references(old)? {
                Some(refs) => writer.raw(name, &refs),
                None => Some(()),
            },
            "metadata-log" => {
                let new = next.metadata_log();
                let kept = previous.metadata_log();
                let dropped = (0..=kept.len()).find(|n| new.starts_with(&kept[*n..]))?;
                let old = match old {
                    Some(old) => raw::array(old)?,
                    None => Vec::new(),
                };
                if old.len() != kept.len() {
                    return None;
                }
                let old: Vec<&str> = old[dropped..].iter().map(|entry| entry.get()).collect();
                writer.array(name, &old.join(","), &new[kept.len() - dropped..])
            }
            "snapshot-log" => {
                let new = next.history().strip_prefix(previous.history())?;
                writer.array(name, between_brackets(old)?, new)
            }
            "snapshots" => {
                let version = next.format_version();
                let new: Vec<_> = self.added.iter().map(|s| SnapshotText::new(s, version)).collect();
                writer.array(name, between_brackets(old)?, &new)
            }
            _ => None,
        }
    }

    /// The properties: the old text but for those that changed.
    fn properties(&self, old: Option<&str>) -> Option<String> {
        let (before, after) = (self.previous.properties(), self.next.properties());
        let value = |properties: &std::collections::HashMap<String, String>| {
            Value::Object(properties.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect())
        };
        let old = old.filter(|old| *old != "null").unwrap_or("{}");
        Some(merge::merged(old, &value(before), &value(after)))
    }

    /// The references after the updates. `None` inside when they need not be written.
    fn references(&self, old: Option<&str>) -> Option<Option<String>> {
        let plain = |id: i64| SnapshotReference::new(id, plain_branch());
        let mut refs: Vec<(String, String)> = match old.filter(|old| *old != "null") {
            Some(old) => raw::object(old)?.into_iter().map(|(k, v)| (k, v.get().to_owned())).collect(),
            None => Vec::new(),
        };
        // A main branch that is not written is where the current snapshot is.
        if let Some(id) = self.previous.current_snapshot_id()
            && !refs.iter().any(|(name, _)| name == MAIN_BRANCH)
        {
            refs.push((MAIN_BRANCH.to_owned(), serde_json::to_string(&plain(id)).ok()?));
        }
        for update in self.updates {
            match update {
                TableUpdate::SetSnapshotRef { ref_name, reference } => {
                    let old = refs.iter_mut().find(|(name, _)| name == ref_name);
                    match old {
                        // The model knows of no retention of this one: see `with_references`.
                        Some((_, text))
                            if ref_name == MAIN_BRANCH
                                && self.next.format_version() == FormatVersion::V1
                                && reference.retention == plain_branch() =>
                        {
                            *text = with_moved(text, reference.snapshot_id)?;
                        }
                        Some((_, text)) => *text = with_reference(text, reference)?,
                        None => refs.push((ref_name.clone(), serde_json::to_string(reference).ok()?)),
                    }
                }
                TableUpdate::RemoveSnapshotRef { ref_name } => refs.retain(|(name, _)| name != ref_name),
                _ => {}
            }
        }
        let main = refs.iter().find(|(name, _)| name == MAIN_BRANCH);
        let main: Option<Map<String, Value>> = match main {
            Some((_, text)) => Some(serde_json::from_str(text).ok()?),
            None => None,
        };
        if main.as_ref().and_then(|main| main.get("snapshot-id")?.as_i64()) != self.next.current_snapshot_id()
        {
            return None;
        }
        // Format version 1 has references since Java writes them there: only where they say something.
        let implied = self.next.format_version() == FormatVersion::V1
            && old.is_none()
            && refs.iter().all(|(name, _)| name == MAIN_BRANCH)
            && main.is_none_or(|main| main.keys().all(|key| key == "snapshot-id" || key == "type"));
        if implied {
            return Some(None);
        }
        let mut writer = ObjectWriter::new();
        for (name, value) in &refs {
            writer.field(name, value);
        }
        Some(Some(writer.finish()))
    }
}

/// A reference as it was written, at another snapshot.
fn with_moved(old: &str, snapshot_id: i64) -> Option<String> {
    with_field(old, "snapshot-id", &snapshot_id.to_string())
}

/// A reference as it was written, moved or with other retention.
fn with_reference(old: &str, reference: &SnapshotReference) -> Option<String> {
    let known = ["snapshot-id", "type", "min-snapshots-to-keep", "max-snapshot-age-ms", "max-ref-age-ms"];
    let new = serde_json::to_value(reference).ok()?;
    let mut writer = ObjectWriter::new();
    for (name, value) in new.as_object()? {
        writer.field(name, &value.to_string());
    }
    for (name, value) in raw::object(old)?.into_iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        writer.field(&name, value.get());
    }
    Some(writer.finish())
}

/// What is between the brackets of an array; nothing for one that is not there.
fn between_brackets(array: Option<&str>) -> Option<&str> {
    match array.map(str::trim) {
        None | Some("null") => Some(""),
        Some(array) => Some(array.strip_prefix('[')?.strip_suffix(']')?.trim()),
    }
}

/// The snapshots that are new in `next`, if it differs from `previous` by snapshots, references and properties
/// only, and lacks no snapshot of `previous`.
fn added_snapshots<'a>(
    previous: &TableMetadata,
    next: &'a TableMetadata,
    updates: &[TableUpdate],
) -> Option<Vec<&'a Snapshot>> {
    let mut added = Vec::new();
    for update in updates {
        match update {
            TableUpdate::AddSnapshot { snapshot } => {
                let id = snapshot.snapshot_id();
                if previous.snapshot_by_id(id).is_some() {
                    return None;
                }
                added.push(next.snapshot_by_id(id)?.as_ref());
            }
            TableUpdate::SetSnapshotRef { .. }
            | TableUpdate::RemoveSnapshotRef { .. }
            | TableUpdate::SetProperties { .. }
            | TableUpdate::RemoveProperties { .. } => {}
            _ => return None,
        }
    }
    (next.snapshots().len() == previous.snapshots().len() + added.len()).then_some(added)
}

/// A snapshot as the metadata of a format version has it (Iceberg spec, "Snapshots").
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SnapshotText<'a> {
    snapshot_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_snapshot_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<i64>,
    timestamp_ms: i64,
    manifest_list: &'a str,
    summary: &'a Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_row_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
}

impl<'a> SnapshotText<'a> {
    fn new(snapshot: &'a Snapshot, version: FormatVersion) -> Self {
        let rows = snapshot.row_range().filter(|_| version >= FormatVersion::V3);
        Self {
            snapshot_id: snapshot.snapshot_id(),
            parent_snapshot_id: snapshot.parent_snapshot_id(),
            sequence_number: (version >= FormatVersion::V2).then(|| snapshot.sequence_number()),
            timestamp_ms: snapshot.timestamp_ms(),
            manifest_list: snapshot.manifest_list(),
            summary: snapshot.summary(),
            schema_id: snapshot.schema_id(),
            first_row_id: rows.map(|(first, _)| first),
            added_rows: rows.map(|(_, added)| added),
            key_id: snapshot.encryption_key_id().filter(|_| version >= FormatVersion::V3),
        }
    }
}

/// Writes an object field by field, and notes where the values are.
struct Writer {
    json: Vec<u8>,
    fields: Fields,
}

impl Writer {
    fn new(capacity: usize) -> Self {
        Self { json: Vec::with_capacity(capacity), fields: Vec::with_capacity(24) }
    }

    fn raw(&mut self, name: &str, value: &str) -> Option<()> {
        self.value(name, |json| json.write_all(value.as_bytes()).ok())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Option<()> {
        self.value(name, |json| serde_json::to_writer(json, value).ok())
    }

    /// An array of what was between the brackets of another, and of new elements.
    fn array<T: Serialize>(&mut self, name: &str, before: &str, new: &[T]) -> Option<()> {
        self.value(name, |json| {
            json.push(b'[');
            json.extend_from_slice(before.as_bytes());
            for (index, element) in new.iter().enumerate() {
                if index > 0 || !before.is_empty() {
                    json.push(b',');
                }
                serde_json::to_writer(&mut *json, element).ok()?;
            }
            json.push(b']');
            Some(())
        })
    }

    fn value(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
        self.json.push(if self.fields.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut self.json, name).ok()?;
        self.json.push(b':');
        let start = self.json.len();
        write(&mut self.json)?;
        self.fields.push((name.to_owned(), start..self.json.len()));
        Some(())
    }

    fn finish(mut self) -> MetadataText {
        self.json.push(b'}');
        let fields = OnceLock::from(Some(self.fields));
        MetadataText { json: self.json.into(), fields: Arc::new(fields) }
    }
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
