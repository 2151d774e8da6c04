//! What a snapshot holds: files as the `iceberg` crate reads the manifests, rows as floe reads the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use floe::IcebergTableManager;
use floe::base::SnapshotSelector;
use floe::execute::scan::ScanRequest;
use floe::iceberg::TableIdent;
use floe::iceberg::io::FileIO;
use floe::iceberg::spec::{
    DataContentType, Manifest, ManifestList, ManifestStatus, SnapshotRef, TableMetadata,
};

use super::row::{Row, rows};

/// A live file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) content: DataContentType,
    pub(super) sequence: i64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// The one data file that a position delete file is about.
    pub(super) referenced: Option<String>,
    /// Whether this snapshot added it.
    pub(super) added: bool,
}

/// What a snapshot holds.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) rows: Vec<Row>,
    pub(super) files: BTreeMap<String, File>,
    /// Manifests, and the list.
    pub(super) metadata_files: BTreeSet<String>,
}

/// The field id of `file_path` in position delete files.
const FILE_PATH: i32 = 2_147_483_546;

/// Reads everything about a snapshot.
pub(super) async fn content(
    manager: &IcebergTableManager,
    table: &TableIdent,
    metadata: &TableMetadata,
    io: &FileIO,
    snapshot: &SnapshotRef,
    cache: &mut HashMap<String, Manifest>,
) -> Result<Content, String> {
    let id = snapshot.snapshot_id();
    let read = async |path: &str| {
        let bytes = async { io.new_input(path)?.read().await }.await;
        bytes.map_err(|e| format!("snapshot {id} cannot be read, {path}: {e}"))
    };
    let list = read(snapshot.manifest_list()).await?;
    let list = ManifestList::parse_with_version(&list, metadata.format_version())
        .map_err(|e| format!("the manifest list of snapshot {id} cannot be read: {e}"))?;
    let mut files = BTreeMap::new();
    let mut metadata_files = BTreeSet::from([snapshot.manifest_list().to_owned()]);
    for file in list.entries() {
        let path = &file.manifest_path;
        metadata_files.insert(path.clone());
        if !cache.contains_key(path) {
            let manifest = Manifest::parse_avro(&read(path).await?);
            cache.insert(
                path.clone(),
                manifest.map_err(|e| format!("the manifest {path} cannot be read: {e}"))?,
            );
        }
        for entry in cache[path].entries() {
            if entry.status() == ManifestStatus::Deleted {
                continue;
            }
            let data = entry.data_file();
            let sequence = match (entry.status(), entry.sequence_number()) {
                (_, Some(sequence)) => sequence,
                (ManifestStatus::Added, None) => file.sequence_number,
                _ => return Err(format!("{} has no sequence number in snapshot {id}", data.file_path())),
            };
            let bounds = [data.lower_bounds().get(&FILE_PATH), data.upper_bounds().get(&FILE_PATH)];
            let referenced = data.referenced_data_file().or_else(|| match bounds {
                [Some(lower), Some(upper)] if lower == upper => {
                    Some(lower.to_string().trim_matches('"').to_owned())
                }
                _ => None,
            });
            let live = File {
                content: data.content_type(),
                sequence,
                records: data.record_count(),
                bytes: data.file_size_in_bytes(),
                referenced,
                added: entry.status() == ManifestStatus::Added && file.added_snapshot_id == id,
            };
            if files.insert(data.file_path().to_owned(), live).is_some() {
                return Err(format!("{} is twice in snapshot {id}", data.file_path()));
            }
        }
    }
    let request = ScanRequest { at: SnapshotSelector::SnapshotId(id), ..ScanRequest::default() };
    let scanned = async { manager.scan(table, &request).await?.data.collect().await }.await;
    let batches = scanned.map_err(|e| format!("the rows of snapshot {id} cannot be read: {e}"))?;
    Ok(Content { rows: rows(&batches), files, metadata_files })
}
