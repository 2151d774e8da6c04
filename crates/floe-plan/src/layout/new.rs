//! Manifests for added files.

use iceberg::spec::{DataContentType, DataFile, Datum, ManifestContentType, PrimitiveLiteral};

use crate::change::TableFile;

/// A manifest to be written for added files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewManifest {
    /// The partition spec of all its files.
    pub spec_id: i32,
    /// Data or deletes.
    pub content: ManifestContentType,
    /// Which of the added files, by index, in their order.
    pub files: Vec<usize>,
}

/// Groups added files into manifests: one for each partition spec and content, cut where the estimated size
/// passes `target_size_bytes`. Every file is in exactly one.
pub fn new_manifests(added: &[TableFile], target_size_bytes: u64) -> Vec<NewManifest> {
    let mut done: Vec<NewManifest> = Vec::new();
    let mut open: Vec<(NewManifest, u64)> = Vec::new();
    for (index, TableFile { spec_id, file }) in added.iter().enumerate() {
        let content = match file.content_type() {
            DataContentType::Data => ManifestContentType::Data,
            DataContentType::PositionDeletes | DataContentType::EqualityDeletes => {
                ManifestContentType::Deletes
            }
        };
        let size = estimated_entry_size(file);
        let same = |m: &NewManifest| m.spec_id == *spec_id && m.content == content;
        match open.iter_mut().find(|(manifest, _)| same(manifest)) {
            Some((manifest, so_far)) if *so_far + size <= target_size_bytes => {
                manifest.files.push(index);
                *so_far += size;
            }
            Some((manifest, so_far)) => {
                let next = NewManifest { spec_id: *spec_id, content, files: vec![index] };
                done.push(std::mem::replace(manifest, next));
                *so_far = size;
            }
            None => open.push((NewManifest { spec_id: *spec_id, content, files: vec![index] }, size)),
        }
    }
    done.extend(open.into_iter().map(|(manifest, _)| manifest));
    done
}

/// About how many bytes a file takes in a manifest (uncompressed Avro).
pub fn estimated_entry_size(file: &DataFile) -> u64 {
    // Fixed fields and the markers of absent ones; then each entry of a map takes its key and its value.
    let counts = file.value_counts().len() + file.null_value_counts().len() + file.nan_value_counts().len();
    let bounds = file.lower_bounds().values().chain(file.upper_bounds().values());
    let offsets = file.split_offsets().map_or(0, <[i64]>::len);
    let size = 48
        + file.file_path().len()
        + 8 * file.partition().fields().len()
        + 3 * counts
        + 6 * file.column_sizes().len()
        + bounds.map(|bound| 3 + literal_size(bound)).sum::<usize>()
        + 5 * offsets
        + file.key_metadata().map_or(0, <[u8]>::len);
    size as u64
}

fn literal_size(bound: &Datum) -> usize {
    match bound.literal() {
        PrimitiveLiteral::String(text) => text.len(),
        PrimitiveLiteral::Binary(bytes) => bytes.len(),
        PrimitiveLiteral::UInt128(_) | PrimitiveLiteral::Int128(_) => 16,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_table::{data_file, delete_file};

    proptest! {
        #[test]
        fn every_file_is_in_exactly_one_fitting_manifest(
            files in proptest::collection::vec((0_i32..3, any::<bool>()), 0..60),
            target in 1_u64..600,
        ) {
            let added: Vec<TableFile> = files
                .iter()
                .enumerate()
                .map(|(i, (spec_id, deletes))| {
                    let name = i.to_string();
                    let file = if *deletes { delete_file(&name, None) } else { data_file(&name, None) };
                    TableFile { spec_id: *spec_id, file }
                })
                .collect();
            let made = new_manifests(&added, target);
            let mut seen: Vec<usize> = made.iter().flat_map(|m| m.files.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..added.len()).collect::<Vec<_>>());
            for manifest in &made {
                let mut size = 0;
                for &index in &manifest.files {
                    prop_assert_eq!(added[index].spec_id, manifest.spec_id);
                    let deletes = added[index].file.content_type() != DataContentType::Data;
                    prop_assert_eq!(manifest.content == ManifestContentType::Deletes, deletes);
                    size += estimated_entry_size(&added[index].file);
                }
                prop_assert!(size <= target || manifest.files.len() == 1);
            }
        }
    }
}
