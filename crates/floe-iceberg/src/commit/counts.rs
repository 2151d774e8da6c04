//! Counts that a manifest list has to have, and that its writer left out.

use floe_core::Result;
use iceberg::spec::{FormatVersion, ManifestFile, ManifestStatus};

use crate::base::TableBase;

/// The manifests with all their counts. They are optional in format version 1, and so in tables that were upgraded; the
/// manifest is read for those that are missing.
pub(super) async fn counted(base: &TableBase, mut manifests: Vec<ManifestFile>) -> Result<Vec<ManifestFile>> {
    if base.metadata().format_version() == FormatVersion::V1 {
        return Ok(manifests);
    }
    for file in manifests.iter_mut().filter(|file| lacks_counts(file)) {
        let manifest = base.manifest(file).await?;
        let mut files = [0_u32; 3];
        let mut rows = [0_u64; 3];
        for entry in manifest.entries(file) {
            let entry = entry?;
            let status = match entry.status() {
                ManifestStatus::Added => 0,
                ManifestStatus::Existing => 1,
                ManifestStatus::Deleted => 2,
            };
            files[status] += 1;
            rows[status] = rows[status].saturating_add(entry.record_count());
        }
        file.added_files_count.get_or_insert(files[0]);
        file.existing_files_count.get_or_insert(files[1]);
        file.deleted_files_count.get_or_insert(files[2]);
        file.added_rows_count.get_or_insert(rows[0]);
        file.existing_rows_count.get_or_insert(rows[1]);
        file.deleted_rows_count.get_or_insert(rows[2]);
    }
    Ok(manifests)
}

fn lacks_counts(file: &ManifestFile) -> bool {
    let files = [file.added_files_count, file.existing_files_count, file.deleted_files_count];
    let rows = [file.added_rows_count, file.existing_rows_count, file.deleted_rows_count];
    files.iter().any(Option::is_none) || rows.iter().any(Option::is_none)
}
