//! Writing manifest lists.
//!
//! The crate's writer makes the header. The entries, which it takes some microseconds each for, are encoded here:
//! the list is what a commit rewrites whole, so that its cost would grow with the history of the table.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::{Error, ErrorKind, LoadedTable, Result};
use iceberg::io::FileWrite;
use iceberg::spec::{FieldSummary, FormatVersion, ManifestContentType, ManifestFile, ManifestListWriter};

use super::avro::{BLOCK_BYTES, boolean, bytes, long, optional};

/// The length of an Avro sync marker, which ends the header and each block.
const SYNC_BYTES: usize = 16;

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
    mut manifests: Vec<ManifestFile>,
) -> Result<WrittenList> {
    let version = table.metadata.format_version();
    let next_row_id = assign(version, head, &mut manifests)?;
    let bytes = encode(version, head, &manifests).await?;
    table.file_io.new_output(location)?.write(bytes.into()).await?;
    let assigned_rows = next_row_id.zip(head.first_row_id).map(|(next, first)| next - first);
    Ok(WrittenList { manifests, assigned_rows })
}

/// Gives new manifests their sequence numbers and row ids (Iceberg spec, "Sequence Number Inheritance" and "First
/// Row ID Assignment"). Returns the next row id that is free.
fn assign(version: FormatVersion, head: ListHead, manifests: &mut [ManifestFile]) -> Result<Option<u64>> {
    let mut next_row_id = head.first_row_id;
    for manifest in manifests {
        if version == FormatVersion::V1 {
            manifest.sequence_number = 0;
            manifest.min_sequence_number = 0;
            continue;
        }
        let unassigned = manifest.sequence_number < 0 || manifest.min_sequence_number < 0;
        if unassigned && manifest.added_snapshot_id != head.snapshot_id {
            return Err(broken(manifest, "has no sequence number"));
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
        match (manifest.content, next_row_id) {
            (ManifestContentType::Deletes, _) => manifest.first_row_id = None,
            (ManifestContentType::Data, Some(next)) if manifest.first_row_id.is_none() => {
                let rows = |count: Option<u64>| count.ok_or_else(|| broken(manifest, "has no row counts"));
                let rows = rows(manifest.existing_rows_count)?.checked_add(rows(manifest.added_rows_count)?);
                let after = rows.and_then(|rows| next.checked_add(rows));
                next_row_id =
                    Some(after.ok_or_else(|| broken(manifest, "has more rows than there are row ids"))?);
                manifest.first_row_id = Some(next);
            }
            (ManifestContentType::Data, _) => {}
        }
    }
    Ok(next_row_id)
}

/// The file: header, then blocks of a count, a length, entries and the sync marker (Avro specification, "Object
/// Container Files").
async fn encode(version: FormatVersion, head: ListHead, manifests: &[ManifestFile]) -> Result<Vec<u8>> {
    let mut file = header(version, head).await?;
    let sync: Vec<u8> = file[file.len().saturating_sub(SYNC_BYTES)..].to_vec();
    let mut block = Vec::with_capacity(BLOCK_BYTES + 1024);
    let mut count = 0;
    for (index, manifest) in manifests.iter().enumerate() {
        entry(&mut block, version, manifest)?;
        count += 1;
        if block.len() >= BLOCK_BYTES || index + 1 == manifests.len() {
            long(&mut file, count);
            bytes(&mut file, &block);
            file.extend_from_slice(&sync);
            block.clear();
            count = 0;
        }
    }
    Ok(file)
}

/// What the crate writes for a list without entries: uncompressed, with the schema of the format version.
async fn header(version: FormatVersion, head: ListHead) -> Result<Vec<u8>> {
    let buffer = Buffer::default();
    let sink: Box<dyn FileWrite> = Box::new(buffer.clone());
    let (id, parent, sequence) = (head.snapshot_id, head.parent, head.sequence_number);
    let writer = match version {
        FormatVersion::V1 => ManifestListWriter::v1(sink, id, parent),
        FormatVersion::V2 => ManifestListWriter::v2(sink, id, parent, sequence),
        FormatVersion::V3 => ManifestListWriter::v3(sink, id, parent, sequence, head.first_row_id),
    };
    writer.close().await?;
    Ok(buffer.take())
}

/// One entry, in the order of fields that the crate's schemas have.
fn entry(out: &mut Vec<u8>, version: FormatVersion, manifest: &ManifestFile) -> Result<()> {
    bytes(out, manifest.manifest_path.as_bytes());
    long(out, manifest.manifest_length);
    long(out, manifest.partition_spec_id.into());
    if version != FormatVersion::V1 {
        long(out, manifest.content as i64);
        long(out, manifest.sequence_number);
        long(out, manifest.min_sequence_number);
    }
    long(out, manifest.added_snapshot_id);
    let counts = [
        manifest.added_files_count.map(u64::from),
        manifest.existing_files_count.map(u64::from),
        manifest.deleted_files_count.map(u64::from),
        manifest.added_rows_count,
        manifest.existing_rows_count,
        manifest.deleted_rows_count,
    ];
    for count in counts {
        let count = count.map(i64::try_from).transpose();
        let count = count.map_err(|_| broken(manifest, "has a count that is too big"))?;
        match (version, count) {
            (FormatVersion::V1, count) => optional(out, count, long),
            (_, Some(count)) => long(out, count),
            (_, None) => return Err(broken(manifest, "has no counts of its files and rows")),
        }
    }
    optional(out, manifest.partitions.as_deref(), summaries);
    let key = manifest.key_metadata.as_deref().filter(|key| !key.is_empty());
    optional(out, key, bytes);
    if version == FormatVersion::V3 {
        let row_id = manifest.first_row_id.map(i64::try_from).transpose();
        let row_id = row_id.map_err(|_| broken(manifest, "has a row id that is too big"))?;
        optional(out, row_id, long);
    }
    Ok(())
}

fn summaries(out: &mut Vec<u8>, summaries: &[FieldSummary]) {
    if !summaries.is_empty() {
        long(out, summaries.len() as i64);
        for summary in summaries {
            boolean(out, summary.contains_null);
            optional(out, summary.contains_nan, boolean);
            optional(out, summary.lower_bound.as_ref(), |out, bound| bytes(out, bound));
            optional(out, summary.upper_bound.as_ref(), |out, bound| bytes(out, bound));
        }
    }
    long(out, 0);
}

fn broken(manifest: &ManifestFile, why: &str) -> Error {
    Error::new(ErrorKind::Corrupted, format!("the manifest {} {why}", manifest.manifest_path))
        .with_hint("rewrite the table's manifests with the engine that wrote it")
}

/// Takes what the crate's writer makes.
#[derive(Debug, Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl FileWrite for Buffer {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes);
        Ok(())
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(super) async fn measure(table: &LoadedTable, manifests: &[ManifestFile]) {
    let head = ListHead { snapshot_id: 1, parent: None, sequence_number: 2000, first_row_id: None };
    encode(table.metadata.format_version(), head, manifests).await.unwrap();
}

#[cfg(test)]
mod tests {
    use iceberg::spec::ManifestList;
    use proptest::prelude::*;

    use super::*;

    fn summary() -> impl Strategy<Value = FieldSummary> {
        let bound = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20));
        (any::<bool>(), any::<Option<bool>>(), bound(), bound()).prop_map(|(null, nan, lower, upper)| {
            FieldSummary {
                contains_null: null,
                contains_nan: nan,
                lower_bound: lower.map(Into::into),
                upper_bound: upper.map(Into::into),
            }
        })
    }

    fn manifest(snapshot_id: i64) -> impl Strategy<Value = ManifestFile> {
        let numbers = (0..i64::MAX, any::<i32>(), any::<bool>(), 1..i64::MAX, any::<bool>());
        let counts = (any::<[u16; 3]>(), any::<[u32; 3]>(), proptest::option::of(0_u64..1 << 40));
        let more = (
            proptest::option::of(proptest::collection::vec(summary(), 0..4)),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 1..9)),
        );
        ("[a-zä/]{0,90}", numbers, counts, more).prop_map(move |(path, numbers, counts, more)| {
            let (length, spec, deletes, sequence, new) = numbers;
            let ([added, existing, deleted], rows, first_row_id) = counts;
            ManifestFile {
                manifest_path: path,
                manifest_length: length,
                partition_spec_id: spec,
                content: if deletes { ManifestContentType::Deletes } else { ManifestContentType::Data },
                sequence_number: if new { -1 } else { sequence },
                min_sequence_number: if new { -1 } else { sequence },
                added_snapshot_id: if new { snapshot_id } else { sequence },
                added_files_count: Some(added.into()),
                existing_files_count: Some(existing.into()),
                deleted_files_count: Some(deleted.into()),
                added_rows_count: Some(rows[0].into()),
                existing_rows_count: Some(rows[1].into()),
                deleted_rows_count: Some(rows[2].into()),
                partitions: more.0,
                key_metadata: more.1,
                first_row_id: first_row_id.filter(|_| !deletes),
            }
        })
    }

    /// What the crate writes for the same manifests, and the next row id it arrives at.
    async fn crates(
        version: FormatVersion,
        head: ListHead,
        manifests: &[ManifestFile],
    ) -> (Vec<u8>, Option<u64>) {
        let buffer = Buffer::default();
        let sink: Box<dyn FileWrite> = Box::new(buffer.clone());
        let (id, parent, sequence) = (head.snapshot_id, head.parent, head.sequence_number);
        let mut writer = match version {
            FormatVersion::V1 => ManifestListWriter::v1(sink, id, parent),
            FormatVersion::V2 => ManifestListWriter::v2(sink, id, parent, sequence),
            FormatVersion::V3 => ManifestListWriter::v3(sink, id, parent, sequence, head.first_row_id),
        };
        writer.add_manifests(manifests.iter().cloned()).unwrap();
        let next = writer.next_row_id();
        writer.close().await.unwrap();
        (buffer.take(), next)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_crate_reads_what_it_would_have_written_itself(
            manifests in proptest::collection::vec(manifest(77), 0..40),
            version in 1_u8..=3,
        ) {
            let version = [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3][usize::from(version) - 1];
            let lineage = (version == FormatVersion::V3).then_some(1 << 41);
            let head = ListHead { snapshot_id: 77, parent: Some(5), sequence_number: 12, first_row_id: lineage };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (theirs, next) = runtime.block_on(crates(version, head, &manifests));
            let mut assigned = manifests;
            prop_assert_eq!(assign(version, head, &mut assigned).unwrap(), next);
            let ours = runtime.block_on(encode(version, head, &assigned)).unwrap();
            let read = |bytes: &[u8]| ManifestList::parse_with_version(bytes, version).unwrap();
            prop_assert_eq!(read(&ours), read(&theirs));
        }
    }

    #[test]
    fn a_manifest_of_another_snapshot_without_a_sequence_number_is_refused() {
        let head = ListHead { snapshot_id: 1, parent: None, sequence_number: 1, first_row_id: None };
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let tree = manifest(2).new_tree(&mut runner).unwrap();
        let mut manifest = proptest::strategy::ValueTree::current(&tree);
        manifest.sequence_number = -1;
        manifest.added_snapshot_id = 2;
        let error = assign(FormatVersion::V2, head, &mut [manifest]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
    }
}
