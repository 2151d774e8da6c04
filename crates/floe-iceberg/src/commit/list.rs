//! Writing manifest lists.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::{LoadedTable, Result};
use iceberg::io::FileWrite;
use iceberg::spec::{FormatVersion, ManifestContentType, ManifestFile, ManifestListWriter};

/// What a manifest list says of the snapshot it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListHead {
    pub(super) snapshot_id: i64,
    pub(super) parent: Option<i64>,
    pub(super) sequence_number: i64,
    /// The first row id that is free, for tables with row lineage.
    pub(super) first_row_id: Option<u64>,
}

/// A manifest list as it was written.
#[derive(Debug)]
pub(super) struct WrittenList {
    /// The manifests with the sequence numbers and row ids they got.
    pub(super) manifests: Vec<ManifestFile>,
    /// How many row ids were given out.
    pub(super) assigned_rows: Option<u64>,
}

/// Writes a manifest list with one request.
pub(super) async fn write(
    table: &LoadedTable,
    location: &str,
    head: ListHead,
    manifests: Vec<ManifestFile>,
) -> Result<WrittenList> {
    let version = table.metadata.format_version();
    let (bytes, next_row_id) = encode(version, head, &manifests).await?;
    table.file_io.new_output(location)?.write(bytes).await?;
    let assigned_rows = next_row_id.zip(head.first_row_id).map(|(next, first)| next - first);
    Ok(WrittenList { manifests: assigned(version, head, manifests), assigned_rows })
}

async fn encode(
    version: FormatVersion,
    head: ListHead,
    manifests: &[ManifestFile],
) -> Result<(Bytes, Option<u64>)> {
    let buffer = Buffer::default();
    let sink: Box<dyn FileWrite> = Box::new(buffer.clone());
    let mut writer = match version {
        FormatVersion::V1 => ManifestListWriter::v1(sink, head.snapshot_id, head.parent),
        FormatVersion::V2 => {
            ManifestListWriter::v2(sink, head.snapshot_id, head.parent, head.sequence_number)
        }
        FormatVersion::V3 => ManifestListWriter::v3(
            sink,
            head.snapshot_id,
            head.parent,
            head.sequence_number,
            head.first_row_id,
        ),
    };
    writer.add_manifests(manifests.iter().cloned())?;
    let next_row_id = writer.next_row_id();
    writer.close().await?;
    Ok((buffer.take(), next_row_id))
}

/// The manifests as a reader of the list would see them: the same assignments the writer makes (Iceberg spec,
/// "Sequence Number Inheritance" and "First Row ID Assignment").
fn assigned(version: FormatVersion, head: ListHead, mut manifests: Vec<ManifestFile>) -> Vec<ManifestFile> {
    let mut next_row_id = head.first_row_id;
    for manifest in &mut manifests {
        if version == FormatVersion::V1 {
            manifest.sequence_number = 0;
            manifest.min_sequence_number = 0;
            continue;
        }
        if manifest.sequence_number < 0 {
            manifest.sequence_number = head.sequence_number;
        }
        if manifest.min_sequence_number < 0 {
            manifest.min_sequence_number = head.sequence_number;
        }
        if version == FormatVersion::V2 {
            continue;
        }
        match manifest.content {
            ManifestContentType::Data if manifest.first_row_id.is_none() => {
                manifest.first_row_id = next_row_id;
                let rows = manifest.existing_rows_count.unwrap_or(0) + manifest.added_rows_count.unwrap_or(0);
                next_row_id = next_row_id.map(|next| next + rows);
            }
            ManifestContentType::Data => {}
            ManifestContentType::Deletes => manifest.first_row_id = None,
        }
    }
    manifests
}

/// Takes what the crate's writer makes, so that it goes out in one piece.
#[derive(Debug, Clone, Default)]
struct Buffer(Arc<Mutex<Bytes>>);

impl Buffer {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl FileWrite for Buffer {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = if held.is_empty() { bytes } else { [held.as_ref(), bytes.as_ref()].concat().into() };
        Ok(())
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        Ok(())
    }
}
