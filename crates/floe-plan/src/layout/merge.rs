//! Merging small manifests into bigger ones.

use iceberg::spec::{ManifestContentType, ManifestFile};

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
pub fn plan_merges(manifests: &[ManifestFile], policy: &LayoutPolicy) -> Vec<Slot> {
    let mut slots: Vec<(usize, Slot)> = Vec::with_capacity(manifests.len());
    let mut groups: Vec<((i32, ManifestContentType), Vec<usize>)> = Vec::new();
    for (index, manifest) in manifests.iter().enumerate() {
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
        let size = |index: usize| manifests[index].manifest_length.max(0) as u64;
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
    // `None` when the last bin is overfull.
    let mut room: Option<u64> = None;
    for &index in members.iter().rev() {
        let needed = size(index);
        match bins.last_mut() {
            Some(bin) if room.is_some_and(|room| needed <= room) => {
                bin.push(index);
                room = room.map(|room| room - needed);
            }
            _ => {
                bins.push(vec![index]);
                room = target.checked_sub(needed);
            }
        }
    }
    for bin in &mut bins {
        bin.reverse();
    }
    bins.reverse();
    bins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest(number: usize, spec: i32, deletes: bool, length: i64, encrypted: bool) -> ManifestFile {
        ManifestFile {
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
        }
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
}
