//! Writing the manifests of a commit.

use std::sync::Arc;

use floe_core::{Error, ErrorKind, LoadedTable, Result};
use floe_plan::change::{ChangeSet, partition_schema};
use iceberg::spec::{ManifestContentType, ManifestFile, ManifestStatus, TableMetadata};
use uuid::Uuid;

use super::manifest::{self, Compression, EncodedManifest, ManifestEntry, ManifestShape};
use super::paths;
use crate::base::{LiveFile, Manifest};

/// Manifests with more entries than this are encoded on a thread that does not serve IO.
const MANY_ENTRIES: usize = 200;

/// An entry to be written.
#[derive(Debug)]
pub(super) enum Listed {
    /// The file of the change set with this index, new in the table.
    Added(usize),
    /// A file that was there and stays.
    Existing(LiveFile),
    /// A file that was there and goes.
    Deleted(LiveFile),
}

/// What all manifests of an operation share.
#[derive(Debug, Clone)]
pub(super) struct ManifestWriter {
    pub(super) snapshot_id: i64,
    pub(super) change: Arc<ChangeSet>,
    pub(super) compression: Compression,
    pub(super) operation: Uuid,
}

/// The manifests that an operation began to write.
#[derive(Debug)]
pub(super) struct Started {
    operation: Uuid,
    pub(super) locations: Vec<String>,
}

impl Started {
    pub(super) fn new(operation: Uuid) -> Self {
        Self { operation, locations: Vec::new() }
    }

    /// Where the next one goes.
    pub(super) fn next(&mut self, metadata: &TableMetadata) -> String {
        let location = paths::manifest(metadata, self.operation, self.locations.len());
        self.locations.push(location.clone());
        location
    }
}

impl ManifestWriter {
    /// Writes one manifest at `location`.
    pub(super) async fn write(
        &self,
        table: &LoadedTable,
        shape: ManifestShape,
        location: &str,
        entries: Vec<Listed>,
    ) -> Result<ManifestFile> {
        let encoded = if entries.len() > MANY_ENTRIES {
            let (writer, to) = (self.clone(), location.to_owned());
            tokio::task::spawn_blocking(move || writer.encode(&shape, &to, &entries))
                .await
                .map_err(|e| Error::new(ErrorKind::Internal, "encoding a manifest failed").with_source(e))??
        } else {
            self.encode(&shape, location, &entries)?
        };
        table.file_io.new_output(location)?.write(encoded.bytes.into()).await?;
        Ok(encoded.file)
    }

    /// The shape of manifests of a spec. A spec that fits no schema of the table takes the schema that `old`, a manifest
    /// of this spec, was written with.
    pub(super) fn shape(
        &self,
        metadata: &TableMetadata,
        spec_id: i32,
        content: ManifestContentType,
        old: Option<&Manifest>,
    ) -> Result<ManifestShape> {
        let (schema, spec) = match (partition_schema(metadata, spec_id), old) {
            (Ok((schema, _)), _) => (schema.clone(), metadata.partition_spec_by_id(spec_id).cloned()),
            // How its values would be written is not known.
            (Err(e), _) if e.kind() == ErrorKind::Unsupported => return Err(e),
            (Err(_), Some(old)) => (old.schema().clone(), Some(Arc::new(old.partition_spec().clone()))),
            (Err(e), None) => return Err(e),
        };
        let spec = spec.ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("the table has no partition spec {spec_id}"))
        })?;
        Ok(ManifestShape {
            version: metadata.format_version(),
            content,
            schema,
            spec,
            compression: self.compression,
            sync: self.operation.into_bytes(),
        })
    }

    fn encode(&self, shape: &ManifestShape, location: &str, entries: &[Listed]) -> Result<EncodedManifest> {
        let entries = entries.iter().map(|listed| match listed {
            Listed::Added(index) => ManifestEntry {
                status: ManifestStatus::Added,
                snapshot_id: self.snapshot_id,
                sequence_number: None,
                file_sequence_number: None,
                file: &self.change.added[*index].file,
            },
            Listed::Existing(live) => entry(live, ManifestStatus::Existing, live.snapshot_id),
            Listed::Deleted(live) => entry(live, ManifestStatus::Deleted, self.snapshot_id),
        });
        manifest::encode(shape, location, self.snapshot_id, entries)
    }
}

/// Files that were there keep their sequence numbers.
fn entry(live: &LiveFile, status: ManifestStatus, snapshot_id: i64) -> ManifestEntry<'_> {
    ManifestEntry {
        status,
        snapshot_id,
        sequence_number: Some(live.sequence_number),
        file_sequence_number: live.file_sequence_number,
        file: &live.data_file,
    }
}
