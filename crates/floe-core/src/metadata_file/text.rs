//! The JSON of table metadata, made from that of the version before.
//!
//! A commit adds a snapshot to a metadata file that holds a thousand others. The crate writes them all anew;
//! here their text is copied, and only what a commit of snapshots changes is written. Any other change, and any
//! text that is not understood, is left to the crate.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, MAIN_BRANCH, Snapshot, SnapshotReference, Summary, TableMetadata};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Error, ErrorKind, Result};

/// Fields that stay as they are when snapshots, references and properties change. Those that the crate does not
/// write are dropped, as it drops them.
const LASTING: [&str; 15] = [
    "format-version",
    "table-uuid",
    "location",
    "last-column-id",
    "schema",
    "schemas",
    "current-schema-id",
    "partition-spec",
    "partition-specs",
    "default-spec-id",
    "last-partition-id",
    "sort-orders",
    "default-sort-order-id",
    "statistics",
    "partition-statistics",
];

/// The JSON of one version of a table's metadata. Cheap to clone.
#[derive(Clone)]
pub struct MetadataText {
    json: Bytes,
    /// Where the values of the top-level fields are, in their order. `None` inside when the text is not one that
    /// the next can be made from.
    fields: Arc<OnceLock<Option<Fields>>>,
}

type Fields = Vec<(String, Range<usize>)>;

impl MetadataText {
    /// All of `metadata`, as the crate writes it.
    pub fn new(metadata: &TableMetadata) -> Result<Self> {
        let json = serde_json::to_vec(metadata).map_err(|e| {
            Error::new(ErrorKind::Internal, "the table metadata cannot be written as JSON").with_source(e)
        })?;
        Ok(Self::read(json.into()))
    }

    /// A text that was read, by any writer, and that the crate could parse.
    pub(super) fn read(json: Bytes) -> Self {
        Self { json, fields: Arc::default() }
    }

    /// The JSON, in UTF-8.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The text of `next`, which `updates` made of `previous`, the metadata that this is the text of.
    ///
    /// `None` when more has changed than a commit of snapshots changes.
    pub fn next(
        &self,
        previous: &TableMetadata,
        next: &TableMetadata,
        updates: &[TableUpdate],
    ) -> Option<Self> {
        let fields = self.fields.get_or_init(|| split(&self.json)).as_ref()?;
        let old = Old { json: std::str::from_utf8(&self.json).ok()?, fields };
        let version = next.format_version();
        if version != previous.format_version() {
            return None;
        }
        let added = added_snapshots(previous, next, updates)?;
        let mut writer = Writer::new(self.json.len() + 4096 * (added.len() + 1));
        for (name, range) in fields {
            let lasting = LASTING.contains(&name.as_str())
                || (name == "encryption-keys" && version >= FormatVersion::V3);
            if lasting {
                writer.raw(name, &old.json[range.clone()])?;
            }
        }
        if version >= FormatVersion::V2 {
            writer.field("last-sequence-number", &next.last_sequence_number())?;
            writer.field("refs", &references(&old, next, updates)?)?;
        }
        if version >= FormatVersion::V3 {
            writer.field("next-row-id", &next.next_row_id())?;
        }
        writer.field("last-updated-ms", &next.last_updated_ms())?;
        if let Some(id) = next.current_snapshot_id() {
            writer.field("current-snapshot-id", &id)?;
        }
        if !next.properties().is_empty() {
            writer.field("properties", next.properties())?;
        }
        if !next.metadata_log().is_empty() {
            writer.field("metadata-log", next.metadata_log())?;
        }
        if !next.history().is_empty() {
            match next.history().strip_prefix(previous.history()) {
                Some(new) if !previous.history().is_empty() => {
                    writer.array("snapshot-log", old.array("snapshot-log")?, new)?;
                }
                _ => writer.field("snapshot-log", next.history())?,
            }
        }
        if next.snapshots().len() > 0 {
            let before = if previous.snapshots().len() > 0 { old.array("snapshots")? } else { "" };
            let added: Vec<_> = added.into_iter().map(|s| SnapshotText::new(s, version)).collect();
            writer.array("snapshots", before, &added)?;
        }
        Some(writer.finish())
    }
}

impl fmt::Debug for MetadataText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataText").field("bytes", &self.json.len()).finish_non_exhaustive()
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

/// The references of `next`: those in the old text after the updates.
fn references(
    old: &Old<'_>,
    next: &TableMetadata,
    updates: &[TableUpdate],
) -> Option<BTreeMap<String, SnapshotReference>> {
    let mut refs: BTreeMap<String, SnapshotReference> = serde_json::from_str(old.value("refs")?).ok()?;
    for update in updates {
        match update {
            TableUpdate::SetSnapshotRef { ref_name, reference } => {
                refs.insert(ref_name.clone(), reference.clone());
            }
            TableUpdate::RemoveSnapshotRef { ref_name } => {
                refs.remove(ref_name);
            }
            _ => {}
        }
    }
    let main = refs.get(MAIN_BRANCH).map(|main| main.snapshot_id);
    (main == next.current_snapshot_id()).then_some(refs)
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

/// A text with its fields.
struct Old<'a> {
    json: &'a str,
    fields: &'a Fields,
}

impl<'a> Old<'a> {
    fn value(&self, name: &str) -> Option<&'a str> {
        let (_, range) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(&self.json[range.clone()])
    }

    /// What is between the brackets of an array.
    fn array(&self, name: &str) -> Option<&'a str> {
        Some(self.value(name)?.trim().strip_prefix('[')?.strip_suffix(']')?.trim())
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
        // Names are plain: letters and hyphens.
        self.json.extend_from_slice(format!("\"{name}\":").as_bytes());
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
    let TopLevel(values) = serde_json::from_slice(json).ok()?;
    let mut fields = Fields::with_capacity(values.len());
    for (name, value) in values {
        if fields.iter().any(|(field, _)| *field == name) {
            return None;
        }
        let start = (value.get().as_ptr() as usize).checked_sub(json.as_ptr() as usize)?;
        fields.push((name, start..start + value.get().len()));
    }
    Some(fields)
}

struct TopLevel<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for TopLevel<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = TopLevel<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(TopLevel(fields))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests;
