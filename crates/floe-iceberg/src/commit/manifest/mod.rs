//! Writing manifests (Iceberg spec, "Manifests").
//!
//! The crate's writer cannot write UUIDs as partition values or values of a column that was widened, and takes most
//! of the time of a commit. This one writes the same fields, so that every reader finds the same.

mod codec;
mod entry;
mod schema;
mod summary;
#[cfg(test)]
mod tests;
mod value;

use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{
    FormatVersion, ManifestContentType, ManifestFile, ManifestStatus, PartitionSpecRef, SchemaRef, StructType,
};

pub(super) use codec::Compression;
pub(super) use entry::ManifestEntry;

use super::avro;

/// What all entries of a manifest share.
#[derive(Debug, Clone)]
pub(super) struct ManifestShape {
    pub(super) version: FormatVersion,
    pub(super) content: ManifestContentType,
    pub(super) schema: SchemaRef,
    pub(super) spec: PartitionSpecRef,
    pub(super) compression: Compression,
    /// Marks the ends of blocks: any bytes that are unlikely to be in the file.
    pub(super) sync: [u8; 16],
}

/// A manifest in its binary form, and its entry in a manifest list.
#[derive(Debug)]
pub(super) struct EncodedManifest {
    pub(super) bytes: Vec<u8>,
    pub(super) file: ManifestFile,
}

/// Encodes a manifest of the snapshot `snapshot_id`, to be stored at `location`.
///
/// Fails with `Validation` when a file does not fit, naming it.
pub(super) fn encode<'a>(
    shape: &ManifestShape,
    location: &str,
    snapshot_id: i64,
    entries: impl IntoIterator<Item = ManifestEntry<'a>>,
) -> Result<EncodedManifest> {
    let partition = shape.spec.partition_type(&shape.schema)?;
    let mut file = unassigned(shape, location, snapshot_id);
    let mut counts = Counts::default();
    let mut summaries = summary::Summaries::new(&partition);
    let mut records = Vec::new();
    let mut ends = Vec::new();
    for entry in entries {
        entry::encode(&mut records, shape.version, &partition, &entry)?;
        ends.push(records.len());
        counts.add(&entry);
        summaries.add(entry.file.partition())?;
    }
    counts.put(&mut file);
    file.partitions = Some(summaries.finish());
    let bytes = container(shape, &partition, &records, &ends)?;
    file.manifest_length = bytes.len() as i64;
    Ok(EncodedManifest { bytes, file })
}

fn container(
    shape: &ManifestShape,
    partition: &StructType,
    records: &[u8],
    ends: &[usize],
) -> Result<Vec<u8>> {
    let json = |e: serde_json::Error| {
        Error::new(ErrorKind::Internal, "the header of a manifest cannot be written").with_source(e)
    };
    let avro_schema = schema::entries(shape.version, partition)?;
    let table_schema = serde_json::to_vec(&*shape.schema).map_err(json)?;
    let spec = serde_json::to_vec(shape.spec.fields()).map_err(json)?;
    let (schema_id, spec_id) = (shape.schema.schema_id().to_string(), shape.spec.spec_id().to_string());
    let (version, content) = ((shape.version as u8).to_string(), shape.content.to_string());
    let mut metadata: Vec<(&str, &[u8])> = vec![
        ("avro.schema", avro_schema.as_bytes()),
        ("schema", &table_schema),
        ("schema-id", schema_id.as_bytes()),
        ("partition-spec", &spec),
        ("partition-spec-id", spec_id.as_bytes()),
        ("format-version", version.as_bytes()),
    ];
    if shape.version != FormatVersion::V1 {
        metadata.push(("content", content.as_bytes()));
    }
    avro::container(&metadata, shape.compression.codec(records.len()), shape.sync, records, ends)
}

/// Sequence numbers below zero are given by the manifest list.
fn unassigned(shape: &ManifestShape, location: &str, snapshot_id: i64) -> ManifestFile {
    ManifestFile {
        manifest_path: location.to_owned(),
        manifest_length: 0,
        partition_spec_id: shape.spec.spec_id(),
        content: shape.content,
        sequence_number: -1,
        min_sequence_number: -1,
        added_snapshot_id: snapshot_id,
        added_files_count: None,
        existing_files_count: None,
        deleted_files_count: None,
        added_rows_count: None,
        existing_rows_count: None,
        deleted_rows_count: None,
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    }
}

/// Files and rows of one status.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    files: u32,
    rows: u64,
}

#[derive(Debug, Default)]
struct Counts {
    added: Count,
    existing: Count,
    deleted: Count,
    /// The smallest sequence number of a live file that has one.
    min_sequence_number: Option<i64>,
}

impl Counts {
    fn add(&mut self, entry: &ManifestEntry<'_>) {
        let count = match entry.status {
            ManifestStatus::Added => &mut self.added,
            ManifestStatus::Existing => &mut self.existing,
            ManifestStatus::Deleted => &mut self.deleted,
        };
        count.files += 1;
        count.rows = count.rows.saturating_add(entry.file.record_count());
        if entry.status != ManifestStatus::Deleted
            && let Some(number) = entry.sequence_number
        {
            self.min_sequence_number = Some(self.min_sequence_number.map_or(number, |min| min.min(number)));
        }
    }

    fn put(&self, file: &mut ManifestFile) {
        let Self { added, existing, deleted, .. } = self;
        file.added_files_count = Some(added.files);
        file.existing_files_count = Some(existing.files);
        file.deleted_files_count = Some(deleted.files);
        file.added_rows_count = Some(added.rows);
        file.existing_rows_count = Some(existing.rows);
        file.deleted_rows_count = Some(deleted.rows);
        file.min_sequence_number = self.min_sequence_number.unwrap_or(-1);
    }
}

/// Encodes the manifest of one new file.
#[cfg(test)]
pub(super) fn measure(metadata: &iceberg::spec::TableMetadata, file: &iceberg::spec::DataFile) {
    let shape = ManifestShape {
        version: metadata.format_version(),
        content: ManifestContentType::Data,
        schema: metadata.current_schema().clone(),
        spec: metadata.default_partition_spec().clone(),
        compression: Compression::Automatic,
        sync: [7; 16],
    };
    let entry = ManifestEntry {
        status: ManifestStatus::Added,
        snapshot_id: 1,
        sequence_number: None,
        file_sequence_number: None,
        file,
    };
    encode(&shape, "m", 1, [entry]).unwrap();
}
