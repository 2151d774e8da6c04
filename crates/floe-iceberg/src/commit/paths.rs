//! Where the files of a commit go.

use floe_core::metadata_file::METADATA_PATH;
use iceberg::spec::TableMetadata;
use uuid::Uuid;

/// The folder for manifests and manifest lists.
fn folder(metadata: &TableMetadata) -> String {
    match metadata.properties().get(METADATA_PATH) {
        Some(path) => path.trim_end_matches('/').to_owned(),
        None => format!("{}/metadata", metadata.location().trim_end_matches('/')),
    }
}

/// The manifest number `number` of the operation `operation`.
pub(super) fn manifest(metadata: &TableMetadata, operation: Uuid, number: usize) -> String {
    format!("{}/{operation}-m{number}.avro", folder(metadata))
}

/// The manifest list number `number` of a snapshot.
pub(super) fn manifest_list(
    metadata: &TableMetadata,
    snapshot_id: i64,
    number: usize,
    operation: Uuid,
) -> String {
    format!("{}/snap-{snapshot_id}-{number}-{operation}.avro", folder(metadata))
}
