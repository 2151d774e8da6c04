//! A commit of snapshots, spliced into the text of the version before.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, MAIN_BRANCH, Snapshot, SnapshotReference, Summary, TableMetadata};
use serde::Serialize;
use serde_json::{Map, Value};

use super::raw::{self, ObjectWriter};
use super::{Fields, MetadataText, merge, plain_branch, split, with_field};

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

/// The text of `next`, which `updates` made of `previous`, the metadata that `text` is the text of. `None` when more has
/// changed than a commit of snapshots changes.
pub(super) fn spliced(
    of: &MetadataText,
    previous: &TableMetadata,
    next: &TableMetadata,
    updates: &[TableUpdate],
) -> Option<MetadataText> {
    let fields = of.fields.get_or_init(|| split(&of.json)).as_ref()?;
    let text = std::str::from_utf8(&of.json).ok()?;
    if next.format_version() != previous.format_version() {
        return None;
    }
    let added = added_snapshots(previous, next, updates)?;
    let mut writer = Writer::new(of.json.len() + 4096 * (added.len() + 1));
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
            "refs" => !self.updates.iter().any(|update| {
                matches!(update, TableUpdate::SetSnapshotRef { .. } | TableUpdate::RemoveSnapshotRef { .. })
            }),
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
            "refs" => self.references(old, writer),
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
        let value = |properties: &HashMap<String, String>| {
            Value::Object(properties.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect())
        };
        let old = old.filter(|old| *old != "null").unwrap_or("{}");
        Some(merge::merged(old, &value(before), &value(after)))
    }

    /// Writes the references after the updates, where they need to be written.
    fn references(&self, old: Option<&str>, writer: &mut Writer) -> Option<()> {
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
        for (number, update) in self.updates.iter().enumerate() {
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
                TableUpdate::RemoveSnapshotRef { ref_name } => {
                    // One that is made again is a moved one.
                    let again = self.updates[number..].iter().any(|later| {
                        matches!(later, TableUpdate::SetSnapshotRef { ref_name: name, .. } if name == ref_name)
                    });
                    refs.retain(|(name, _)| name != ref_name || again);
                }
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
            return Some(());
        }
        let mut object = ObjectWriter::new();
        for (name, value) in &refs {
            object.field(name, value);
        }
        writer.raw("refs", &object.finish())
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
