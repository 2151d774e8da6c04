//! Merging small manifests into bigger ones.

use iceberg::spec::{
    DataFile, DataFileBuilder, ManifestContentType, ManifestEntry, ManifestFile, ManifestStatus,
};

use super::LayoutPolicy;

/// One manifest of the new snapshot, in terms of those there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// This manifest, by index, as it is.
    Keep(usize),
    /// One manifest with the entries of these (two or more), by index.
    Merge(Vec<usize>),
}

/// Decides which of `manifests`, newest first, are merged.
///
/// Manifests of one partition spec and content are packed, from the oldest on, into bins of the target size. A
/// bin of one stays as it is, and so does the newest bin while it holds fewer than `min_count_to_merge`: else
/// every commit would rewrite it. Encrypted manifests stay out.
///
/// Every manifest is in exactly one slot, and slots keep the order of their newest members.
pub fn plan_merges(manifests: &[impl AsRef<ManifestFile>], policy: &LayoutPolicy) -> Vec<Slot> {
    let mut slots: Vec<(usize, Slot)> = Vec::with_capacity(manifests.len());
    let mut groups: Vec<((i32, ManifestContentType), Vec<usize>)> = Vec::new();
    for (index, manifest) in manifests.iter().map(AsRef::as_ref).enumerate() {
        if !policy.merge_enabled || manifest.key_metadata.is_some() {
            slots.push((index, Slot::Keep(index)));
            continue;
        }
        let key = (manifest.partition_spec_id, manifest.content);
        match groups.iter_mut().find(|(of, _)| *of == key) {
            Some((_, members)) => members.push(index),
            None => groups.push((key, vec![index])),
        }
    }
    for (_, members) in groups {
        let size = |index: usize| manifests[index].as_ref().manifest_length.max(0) as u64;
        let bins = pack_from_the_end(&members, size, policy.target_size_bytes);
        for (number, bin) in bins.into_iter().enumerate() {
            let newest = number == 0;
            if bin.len() < 2 || (newest && bin.len() < policy.min_count_to_merge) {
                slots.extend(bin.into_iter().map(|index| (index, Slot::Keep(index))));
            } else {
                slots.push((bin[0], Slot::Merge(bin)));
            }
        }
    }
    slots.sort_unstable_by_key(|(first, _)| *first);
    slots.into_iter().map(|(_, slot)| slot).collect()
}

/// Bins of neighbours, none bigger than `target` unless it has one member. The last ones are full, the first
/// one takes what is left over.
fn pack_from_the_end(members: &[usize], size: impl Fn(usize) -> u64, target: u64) -> Vec<Vec<usize>> {
    let mut bins: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for &index in members.iter().rev() {
        let needed = size(index);
        match bins.last_mut() {
            Some(bin) if needed <= room => {
                bin.push(index);
                room -= needed;
            }
            _ => {
                bins.push(vec![index]);
                room = target.saturating_sub(needed);
            }
        }
    }
    bins.iter_mut().for_each(|bin| bin.reverse());
    bins.reverse();
    bins
}

/// What becomes of an entry whose manifest is merged.
#[derive(Debug, Clone, PartialEq)]
pub enum MergedEntry {
    /// Added by this very snapshot: inherits its sequence number.
    Added(DataFile),
    /// Added by an earlier snapshot.
    Existing {
        /// The file.
        file: DataFile,
        /// The snapshot that added it.
        snapshot_id: i64,
        /// Its data sequence number.
        sequence_number: i64,
        /// The sequence number of the snapshot that added it.
        file_sequence_number: i64,
    },
    /// Removed by this very snapshot.
    Deleted {
        /// The file.
        file: DataFile,
        /// Its data sequence number.
        sequence_number: i64,
        /// The sequence number of the snapshot that added it.
        file_sequence_number: i64,
    },
}

/// The entries of a manifest as they go into a merged one, in their order, for the snapshot `snapshot_id`.
///
/// Live entries keep their sequence numbers and snapshot ids; entries that an earlier snapshot removed are
/// dropped. Row ids that files inherit from their manifest (Iceberg spec, "First Row ID Inheritance") are
/// written down, as the files lose that manifest.
///
/// `None` when an entry lacks a number that must be kept (early writers left some out): such a manifest must
/// stay as it is.
pub fn merge_entries(
    manifest: &ManifestFile,
    entries: &[impl AsRef<ManifestEntry>],
    snapshot_id: i64,
) -> Option<Vec<MergedEntry>> {
    let mut next_row_id = manifest.first_row_id;
    let mut merged = Vec::with_capacity(entries.len());
    for entry in entries.iter().map(AsRef::as_ref) {
        let ours = entry.snapshot_id? == snapshot_id;
        match entry.status {
            ManifestStatus::Added if ours => merged.push(MergedEntry::Added(entry.data_file.clone())),
            ManifestStatus::Added | ManifestStatus::Existing => merged.push(MergedEntry::Existing {
                file: with_row_id(&entry.data_file, manifest, &mut next_row_id)?,
                snapshot_id: entry.snapshot_id?,
                sequence_number: entry.sequence_number?,
                file_sequence_number: entry.file_sequence_number?,
            }),
            ManifestStatus::Deleted if ours => merged.push(MergedEntry::Deleted {
                file: entry.data_file.clone(),
                sequence_number: entry.sequence_number?,
                file_sequence_number: entry.file_sequence_number?,
            }),
            ManifestStatus::Deleted => {}
        }
    }
    Some(merged)
}

/// The file with the row id it inherits; moves `next` on.
fn with_row_id(file: &DataFile, manifest: &ManifestFile, next: &mut Option<u64>) -> Option<DataFile> {
    if manifest.content != ManifestContentType::Data || file.first_row_id().is_some() {
        return Some(file.clone());
    }
    let Some(row_id) = *next else { return Some(file.clone()) };
    *next = Some(row_id.checked_add(file.record_count())?);
    let mut builder = DataFileBuilder::default();
    builder
        .content(file.content_type())
        .file_path(file.file_path().to_owned())
        .file_format(file.file_format())
        .partition(file.partition().clone())
        .partition_spec_id(manifest.partition_spec_id)
        .record_count(file.record_count())
        .file_size_in_bytes(file.file_size_in_bytes())
        .column_sizes(file.column_sizes().clone())
        .value_counts(file.value_counts().clone())
        .null_value_counts(file.null_value_counts().clone())
        .nan_value_counts(file.nan_value_counts().clone())
        .lower_bounds(file.lower_bounds().clone())
        .upper_bounds(file.upper_bounds().clone())
        .key_metadata(file.key_metadata().map(<[u8]>::to_vec))
        .split_offsets(file.split_offsets().map(<[i64]>::to_vec))
        .equality_ids(file.equality_ids())
        .first_row_id(Some(i64::try_from(row_id).ok()?))
        .referenced_data_file(file.referenced_data_file())
        .content_offset(file.content_offset())
        .content_size_in_bytes(file.content_size_in_bytes());
    if let Some(order) = file.sort_order_id() {
        builder.sort_order_id(order);
    }
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use iceberg::spec::{DataContentType, Datum};
    use proptest::prelude::*;

    use super::*;
    use crate::test_table::{data_file, file};

    fn manifest(number: usize, spec: i32, deletes: bool, length: i64, encrypted: bool) -> Arc<ManifestFile> {
        Arc::new(ManifestFile {
            manifest_path: format!("memory:///t/metadata/m{number}.avro"),
            manifest_length: length,
            partition_spec_id: spec,
            content: if deletes { ManifestContentType::Deletes } else { ManifestContentType::Data },
            sequence_number: 1,
            min_sequence_number: 1,
            added_snapshot_id: 1,
            added_files_count: Some(1),
            existing_files_count: Some(0),
            deleted_files_count: Some(0),
            added_rows_count: Some(1),
            existing_rows_count: Some(0),
            deleted_rows_count: Some(0),
            partitions: None,
            key_metadata: encrypted.then(|| vec![1]),
            first_row_id: None,
        })
    }

    fn policy(target_size_bytes: u64, min_count_to_merge: usize) -> LayoutPolicy {
        LayoutPolicy { target_size_bytes, min_count_to_merge, merge_enabled: true }
    }

    proptest! {
        #[test]
        fn every_manifest_is_in_exactly_one_slot_and_bins_are_alike_and_small(
            manifests in proptest::collection::vec((0_i32..3, any::<bool>(), 0_i64..50, 0_u8..10), 0..80),
            target in 1_u64..120,
            min_count in 0_usize..8,
        ) {
            let list: Vec<_> = manifests
                .iter()
                .enumerate()
                .map(|(i, (spec, deletes, length, secret))| manifest(i, *spec, *deletes, *length, *secret == 0))
                .collect();
            let slots = plan_merges(&list, &policy(target, min_count));
            let mut seen = Vec::new();
            let mut firsts = Vec::new();
            for slot in &slots {
                match slot {
                    Slot::Keep(index) => {
                        seen.push(*index);
                        firsts.push(*index);
                    }
                    Slot::Merge(bin) => {
                        prop_assert!(bin.len() >= 2);
                        prop_assert!(bin.windows(2).all(|w| w[0] < w[1]));
                        let size: i64 = bin.iter().map(|i| list[*i].manifest_length).sum();
                        prop_assert!(size as u64 <= target);
                        for index in bin {
                            prop_assert_eq!(list[*index].partition_spec_id, list[bin[0]].partition_spec_id);
                            prop_assert_eq!(list[*index].content, list[bin[0]].content);
                            prop_assert!(list[*index].key_metadata.is_none());
                        }
                        seen.extend(bin);
                        firsts.push(bin[0]);
                    }
                }
            }
            prop_assert!(firsts.windows(2).all(|w| w[0] < w[1]));
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..list.len()).collect::<Vec<_>>());
        }

        #[test]
        fn no_live_entry_is_lost_and_numbers_are_kept(
            statuses in proptest::collection::vec((0_i32..3, 1_i64..5, 1_i64..9), 0..40),
            first_row_id in proptest::option::of(0_u64..1000),
        ) {
            let ours = 4;
            let entries: Vec<Arc<ManifestEntry>> = statuses
                .iter()
                .enumerate()
                .map(|(i, (status, snapshot, sequence))| {
                    Arc::new(ManifestEntry {
                        status: ManifestStatus::try_from(*status).unwrap(),
                        snapshot_id: Some(*snapshot),
                        sequence_number: Some(*sequence),
                        file_sequence_number: Some(*sequence + 1),
                        data_file: file(&i.to_string(), None, DataContentType::Data, 10),
                    })
                })
                .collect();
            let mut of = manifest(0, 0, false, 10, false).as_ref().clone();
            of.first_row_id = first_row_id;
            let merged = merge_entries(&of, &entries, ours).unwrap();
            let mut live = entries.iter().filter(|e| e.is_alive());
            let mut gone = entries.iter().filter(|e| !e.is_alive() && e.snapshot_id == Some(ours));
            let mut inherited = first_row_id;
            for entry in &merged {
                match entry {
                    MergedEntry::Added(file) => {
                        let was = live.next().unwrap();
                        prop_assert_eq!(was.snapshot_id, Some(ours));
                        prop_assert_eq!(file, &was.data_file);
                    }
                    MergedEntry::Existing { file, snapshot_id, sequence_number, file_sequence_number } => {
                        let was = live.next().unwrap();
                        prop_assert_eq!(file.file_path(), was.file_path());
                        prop_assert_eq!(Some(*snapshot_id), was.snapshot_id);
                        prop_assert_eq!(Some(*sequence_number), was.sequence_number);
                        prop_assert_eq!(Some(*file_sequence_number), was.file_sequence_number);
                        prop_assert_eq!(file.first_row_id(), inherited.map(|id| id as i64));
                        inherited = inherited.map(|id| id + 10);
                    }
                    MergedEntry::Deleted { file, .. } => {
                        prop_assert_eq!(file.file_path(), gone.next().unwrap().file_path());
                    }
                }
            }
            prop_assert!(live.next().is_none() && gone.next().is_none());
        }
    }

    #[test]
    fn the_newest_bin_waits_for_enough_members() {
        let list: Vec<_> = (0..5).map(|i| manifest(i, 0, false, 10, false)).collect();
        let kept = (0..5).map(Slot::Keep).collect::<Vec<_>>();
        assert_eq!(plan_merges(&list, &policy(1000, 6)), kept);
        assert_eq!(plan_merges(&list, &policy(1000, 5)), [Slot::Merge(vec![0, 1, 2, 3, 4])]);
        let off = LayoutPolicy { merge_enabled: false, ..policy(1000, 2) };
        assert_eq!(plan_merges(&list, &off), kept);
    }

    #[test]
    fn old_bins_are_full_and_stay_as_they_are() {
        let sizes = [10, 10, 90, 95];
        let list: Vec<_> = sizes.iter().enumerate().map(|(i, s)| manifest(i, 0, false, *s, false)).collect();
        let expected = [Slot::Merge(vec![0, 1]), Slot::Keep(2), Slot::Keep(3)];
        assert_eq!(plan_merges(&list, &policy(99, 2)), expected);
    }

    #[test]
    fn a_manifest_without_the_numbers_to_keep_is_not_merged() {
        let entry = ManifestEntry {
            status: ManifestStatus::Existing,
            snapshot_id: Some(1),
            sequence_number: Some(1),
            file_sequence_number: None,
            data_file: data_file("a", None),
        };
        assert_eq!(merge_entries(&manifest(0, 0, false, 1, false), &[Arc::new(entry)], 2), None);
    }

    #[test]
    fn writing_a_row_id_down_changes_nothing_else() {
        let mut builder = DataFileBuilder::default();
        builder
            .content(DataContentType::Data)
            .file_path("memory:///t/data/a".into())
            .file_format(iceberg::spec::DataFileFormat::Parquet)
            .partition(iceberg::spec::Struct::from_iter([None]))
            .partition_spec_id(3)
            .record_count(5)
            .file_size_in_bytes(9)
            .column_sizes(HashMap::from([(1, 4)]))
            .value_counts(HashMap::from([(1, 5)]))
            .null_value_counts(HashMap::from([(1, 1)]))
            .nan_value_counts(HashMap::from([(1, 2)]))
            .lower_bounds(HashMap::from([(1, Datum::long(-1))]))
            .upper_bounds(HashMap::from([(1, Datum::long(8))]))
            .key_metadata(Some(vec![1, 2]))
            .split_offsets(Some(vec![4]))
            .equality_ids(Some(vec![1]))
            .sort_order_id(2)
            .referenced_data_file(Some("r".into()))
            .content_offset(Some(1))
            .content_size_in_bytes(Some(2));
        let before = builder.clone().build().unwrap();
        let expected = builder.first_row_id(Some(70)).build().unwrap();
        let mut of = manifest(0, 3, false, 1, false).as_ref().clone();
        of.first_row_id = Some(70);
        let entry = ManifestEntry {
            status: ManifestStatus::Existing,
            snapshot_id: Some(1),
            sequence_number: Some(1),
            file_sequence_number: Some(1),
            data_file: before,
        };
        let merged = merge_entries(&of, &[Arc::new(entry)], 2).unwrap();
        let MergedEntry::Existing { file, .. } = &merged[0] else { panic!("not existing") };
        assert_eq!(file, &expected);
    }
}
