//! Writing a stream of record batches as data files.
//!
//! Rows of an unpartitioned table stay in order and go straight to the encoders: each column of a row group is
//! encoded on whatever thread is free, or at once when they are few. Rows of a partitioned table are sorted by partition first, in memory or
//! beyond that through temporary files. Files are cut at the table's target size, by encoded bytes.

mod column;
mod conform;
mod context;
mod created;
mod dictionaries;
mod errors;
mod field_metrics;
mod file;
mod group;
mod options;
mod parquet_schema;
mod partitioned;
mod place;
mod rolling;
mod runs;
mod session;
mod settings;
mod small;
mod workers;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use floe_core::{Environment, LoadedTable, Result};
use futures::{StreamExt, stream};
use iceberg::spec::{DataFile, Literal, Struct};

use crate::data::BatchStream;
use context::Context;
use file::Partition;
pub use options::{ProgressFn, WriteOptions, WriteProgress};
use rolling::RollingWriter;
pub(crate) use session::{Replacement, WriteSession};

/// Data files that are written, and that no snapshot refers to yet.
#[derive(Debug, Clone, Default)]
pub struct WrittenFiles {
    /// The files, with their metrics.
    pub files: Vec<DataFile>,
    /// Rows in all files together.
    pub rows: u64,
    /// Size of all files together.
    pub bytes: u64,
    /// Temporary files that were needed to stay within the memory allowed; all gone.
    pub spills: u64,
}

/// Writes `data` as Parquet files of the table's default partition spec and current schema.
///
/// The data's columns are matched to the table's by name; see [`floe_plan::schema_match`]. Rows of an
/// unpartitioned table keep their order. No rows make no files. Must run within a tokio runtime.
///
/// When anything fails, every file this call has made is deleted; the same is tried when the call is
/// cancelled. Fails with `SchemaMismatch` when the data does not fit the table, `StorageFull`,
/// `PermissionDenied` and so on when a file cannot be written, `Validation` or `Unsupported` when the
/// table's settings are not valid, and with whatever error `data` yields.
pub async fn write_data_files(
    table: &LoadedTable,
    data: BatchStream,
    options: &WriteOptions,
    env: &dyn Environment,
) -> Result<WrittenFiles> {
    write_data_files_with_progress(table, data, options, env, None).await
}

/// The same as [`write_data_files`], telling `progress` how far it is.
pub async fn write_data_files_with_progress(
    table: &LoadedTable,
    data: BatchStream,
    options: &WriteOptions,
    env: &dyn Environment,
    progress: Option<ProgressFn>,
) -> Result<WrittenFiles> {
    let context = Context::new(table, options, env, progress).map_err(|e| e.with_table(&table.ident))?;
    let context = Arc::new(context);
    let guard = CancelOnDrop(context.clone());
    let result = write(&context, data).await;
    drop(guard);
    match result {
        Ok(files) => {
            context.created.keep();
            Ok(WrittenFiles {
                rows: files.iter().map(DataFile::record_count).sum(),
                bytes: files.iter().map(DataFile::file_size_in_bytes).sum(),
                spills: context.spills.load(Ordering::Relaxed),
                files,
            })
        }
        Err(error) => {
            context.created.delete().await;
            Err(error.with_table(&table.ident))
        }
    }
}

/// Tells the workers that nobody waits for them any more.
struct CancelOnDrop(Arc<Context>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }
}

async fn write(context: &Arc<Context>, data: BatchStream) -> Result<Vec<DataFile>> {
    let mut data = conform::conform(context, data)?;
    if !context.spec.is_unpartitioned() {
        return partitioned::write(context, data).await;
    }
    // A spec whose fields are all void still has a tuple, of NULLs.
    let values = Struct::from_iter(context.spec.fields().iter().map(|_| None::<Literal>));
    let partition = Partition::new(context, values);
    let start = small::start(context, &mut data).await?;
    if start.is_all {
        return small::write(context, &partition, &start.batches).await;
    }
    let mut writer = RollingWriter::new(context.clone(), partition);
    let mut batches = stream::iter(start.batches.into_iter().map(Ok)).chain(data.stream);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        writer.write(&batch).await?;
        context.count_rows(batch.num_rows());
    }
    writer.finish().await
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_faults;
