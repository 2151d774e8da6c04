//! A table of very many files, by metadata alone.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use floe::base::{ManifestCache, TableBase};
use floe::commit::{CommitRequest, commit};
use floe::env::SystemEnvironment;
use floe::plan::change::ChangeSet;
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Struct};

use crate::floe_side::{create, runtime};

const MANIFESTS: i64 = 50;
const FILES: i64 = 1_000;
const ROWS: i64 = 1_000;

/// Makes the table: 50 snapshots of 1,000 files each, ids rising from file to file, bounds of six columns.
pub(crate) fn make(folder: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let (manager, table) = create(folder, "many_files", false).await?;
        let cache = Arc::new(ManifestCache::new(64 << 20));
        for manifest in 0..MANIFESTS {
            let files = (manifest * FILES..(manifest + 1) * FILES).map(file).collect::<Result<Vec<_>>>()?;
            let base = TableBase::new(manager.load_table(&table).await?, cache.clone());
            let request = CommitRequest::new(ChangeSet::append(0, files));
            commit(&**manager.catalog(), base, request, &SystemEnvironment).await?;
        }
        Ok(())
    })
}

fn file(number: i64) -> Result<DataFile> {
    let first = number * ROWS;
    let last = first + ROWS - 1;
    let bounds = |id: i64| {
        HashMap::from([
            (1, Datum::long(id)),
            (2, Datum::timestamp_micros(1_700_000_000_000_000 + id * 1_000)),
            (3, Datum::string(if id == first { "category-00" } else { "category-19" })),
            (4, Datum::double(if id == first { 0.0 } else { 1.0 })),
            (5, Datum::string(if id == first { "aaaaaaaaaaaaaaaa" } else { "zzzzzzzzzzzzzzz{" })),
            (6, Datum::int(if id == first { 0 } else { 511 })),
        ])
    };
    let each = |value: u64| (1..=6).map(|id| (id, value)).collect::<HashMap<i32, u64>>();
    Ok(DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(format!("file:///nowhere/bench/many_files/data/{number:06}.parquet"))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(0)
        .record_count(ROWS as u64)
        .file_size_in_bytes(64_000)
        .column_sizes(each(10_000))
        .value_counts(each(ROWS as u64))
        .null_value_counts(each(0))
        .nan_value_counts(HashMap::from([(4, 0)]))
        .lower_bounds(bounds(first))
        .upper_bounds(bounds(last))
        .split_offsets(Some(vec![4]))
        .build()?)
}
