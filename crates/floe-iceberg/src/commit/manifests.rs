//! Writing manifests: of added files, and merged ones.

use floe_core::{Error, ErrorKind, LoadedTable, Result};
use floe_plan::change::TableFile;
use floe_plan::layout::NewManifest;
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{
    FormatVersion, ManifestContentType, ManifestFile, ManifestWriter, ManifestWriterBuilder,
};

use crate::base::{LiveFile, MANIFESTS_AT_A_TIME, TableBase};

/// Part of a merged manifest.
pub(super) enum Input<'a> {
    /// Files this operation adds.
    New(Vec<&'a TableFile>),
    /// A manifest that was there.
    Old(&'a ManifestFile),
}

/// Writes the manifest of added files at `location`.
pub(super) async fn write_new(
    table: &LoadedTable,
    location: &str,
    snapshot_id: i64,
    plan: &NewManifest,
    added: &[TableFile],
) -> Result<ManifestFile> {
    let mut writer = writer(table, location, snapshot_id, plan.spec_id, plan.content)?;
    for &index in &plan.files {
        writer.add_file(added[index].file.clone(), INHERIT)?;
    }
    Ok(writer.write_manifest_file().await?)
}

/// Writes one manifest with the live files of all `inputs`, which share a partition spec and content.
///
/// Files that were there keep their sequence numbers, snapshot ids and row ids. `None`, and nothing is written,
/// when that cannot be: the spec no longer fits the schema, or an early writer left a number out.
pub(super) async fn write_merged(
    base: &TableBase,
    location: &str,
    snapshot_id: i64,
    spec_id: i32,
    content: ManifestContentType,
    inputs: &[Input<'_>],
) -> Result<Option<ManifestFile>> {
    if floe_plan::change::partition_type(base.metadata(), spec_id).is_err() {
        return Ok(None);
    }
    let reads: Vec<_> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Old(manifest) => Some(base.live_files(manifest)),
            Input::New(_) => None,
        })
        .collect();
    let read: Vec<Vec<LiveFile>> =
        futures::stream::iter(reads).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
    if read.iter().flatten().any(|file| file.file_sequence_number.is_none()) {
        return Ok(None);
    }
    let mut read = read.into_iter();
    let mut writer = writer(&base.table, location, snapshot_id, spec_id, content)?;
    for input in inputs {
        match input {
            Input::New(files) => {
                for added in files {
                    writer.add_file(added.file.clone(), INHERIT)?;
                }
            }
            Input::Old(_) => {
                for live in read.next().unwrap_or_default() {
                    writer.add_existing_file(
                        live.data_file,
                        live.snapshot_id,
                        live.sequence_number,
                        live.file_sequence_number,
                    )?;
                }
            }
        }
    }
    Ok(Some(writer.write_manifest_file().await?))
}

/// A sequence number that is not valid: the file takes that of the snapshot, whichever attempt commits it.
const INHERIT: i64 = -1;

fn writer(
    table: &LoadedTable,
    location: &str,
    snapshot_id: i64,
    spec_id: i32,
    content: ManifestContentType,
) -> Result<ManifestWriter> {
    let metadata = &table.metadata;
    // Fails with a message of ours where the crate would say less.
    floe_plan::change::partition_type(metadata, spec_id)?;
    let spec = metadata.partition_spec_by_id(spec_id).ok_or_else(|| {
        Error::new(ErrorKind::Internal, format!("the table has no partition spec {spec_id}"))
    })?;
    let builder = ManifestWriterBuilder::new(
        table.file_io.new_output(location)?,
        Some(snapshot_id),
        metadata.current_schema().clone(),
        spec.as_ref().clone(),
    );
    Ok(match (metadata.format_version(), content) {
        (FormatVersion::V1, _) => builder.build_v1(),
        (FormatVersion::V2, ManifestContentType::Data) => builder.build_v2_data(),
        (FormatVersion::V2, ManifestContentType::Deletes) => builder.build_v2_deletes(),
        (FormatVersion::V3, ManifestContentType::Data) => builder.build_v3_data(),
        (FormatVersion::V3, ManifestContentType::Deletes) => builder.build_v3_deletes(),
    })
}
