//! Finding the entries that a commit takes out of a manifest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use floe_core::Result;
use floe_plan::change::{ChangeSet, RemovedFile, partition_type};
use floe_plan::layout::may_list;
use iceberg::spec::{
    DataContentType, ManifestContentType, ManifestFile, PrimitiveLiteral, PrimitiveType, Struct, StructType,
    TableMetadata,
};

use crate::base::bound::DELETE_FILE_PATH;
use crate::base::{Entry, TableBase};

/// What becomes of a live entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// It is the removed file with this index.
    Remove(usize),
    /// It holds deletes that cannot apply to any data file any more.
    Dangling,
}

/// The removed files of a change set, by path, and where to look for them.
#[derive(Debug)]
pub(super) struct Targets {
    change: Arc<ChangeSet>,
    by_path: HashMap<String, usize>,
    /// One file for each place that manifests can be told apart by. Delete files that belong to a removed data file
    /// are looked for too.
    places: Vec<RemovedFile>,
}

impl Targets {
    pub(super) fn new(change: &Arc<ChangeSet>) -> Self {
        let paths = change.removed.iter().enumerate().map(|(index, file)| (file.path.clone(), index));
        let mut seen: HashSet<(i32, Struct, bool, i64)> = HashSet::new();
        let mut places = Vec::new();
        let mut look = |file: &RemovedFile, content: DataContentType, sequence_number: i64| {
            let data = content == DataContentType::Data;
            if seen.insert((file.spec_id, file.partition.clone(), data, sequence_number)) {
                let path = String::new();
                places.push(RemovedFile { path, content, sequence_number, ..file.clone() });
            }
        };
        for file in &change.removed {
            look(file, file.content, file.sequence_number);
            if file.content == DataContentType::Data {
                look(file, DataContentType::PositionDeletes, 0);
            }
        }
        Self { by_path: paths.collect(), places, change: change.clone() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Those of `manifests` that may list a removed file, or, of delete files, one that belongs to it.
    pub(super) fn candidates(&self, metadata: &TableMetadata, manifests: &[ManifestFile]) -> Vec<bool> {
        let mut types: HashMap<i32, StructType> = HashMap::new();
        let judge = |manifest: &ManifestFile| {
            let spec_id = manifest.partition_spec_id;
            // Nothing is known of the values of a spec that does not fit the schema any more.
            let of = types.entry(spec_id).or_insert_with(|| {
                partition_type(metadata, spec_id).unwrap_or_else(|_| StructType::new(Vec::new()))
            });
            self.places.iter().any(|place| may_list(manifest, of, place))
        };
        manifests.iter().map(judge).collect()
    }

    /// What becomes of each live entry of `file`. Deletes with a sequence number below `oldest_data`, that of the
    /// oldest data file, apply to nothing.
    pub(super) async fn fates(
        &self,
        base: &TableBase,
        file: &ManifestFile,
        oldest_data: i64,
    ) -> Result<Vec<Fate>> {
        let manifest = base.manifest(file).await?;
        let mut fates = Vec::with_capacity(manifest.len());
        for entry in manifest.entries(file) {
            let entry = entry?;
            if entry.is_live() {
                fates.push(self.fate(&entry, file.content, oldest_data)?);
            }
        }
        Ok(fates)
    }

    fn fate(&self, entry: &Entry<'_>, content: ManifestContentType, oldest_data: i64) -> Result<Fate> {
        if let Some(&index) = self.by_path.get(entry.path()?) {
            let wants_data = self.change.removed[index].content == DataContentType::Data;
            if wants_data == (content == ManifestContentType::Data) {
                return Ok(Fate::Remove(index));
            }
        }
        if content == ManifestContentType::Data {
            return Ok(Fate::Keep);
        }
        let outlived = entry.sequence_number > 0 && entry.sequence_number < oldest_data;
        let dangling = outlived || self.removes_all_it_refers_to(entry)?;
        Ok(if dangling { Fate::Dangling } else { Fate::Keep })
    }

    fn removes_all_it_refers_to(&self, entry: &Entry<'_>) -> Result<bool> {
        if entry.content() != DataContentType::PositionDeletes {
            return Ok(false);
        }
        let is_removed = |path: &str| {
            let index = self.by_path.get(path);
            index.is_some_and(|&index| self.change.removed[index].content == DataContentType::Data)
        };
        if let Some(path) = entry.referenced_data_file()? {
            return Ok(is_removed(path));
        }
        let lower = entry.lower(DELETE_FILE_PATH, &PrimitiveType::String);
        let upper = entry.upper(DELETE_FILE_PATH, &PrimitiveType::String);
        // An upper bound that was cut short is greater than every value, so that equal bounds are the one value.
        Ok(match (lower, upper) {
            (Some(lower), Some(upper)) if lower == upper => match lower.literal() {
                PrimitiveLiteral::String(path) => is_removed(path),
                _ => false,
            },
            _ => false,
        })
    }
}
