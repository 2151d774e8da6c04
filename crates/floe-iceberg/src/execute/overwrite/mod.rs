//! Putting new data in the place of rows of a table.

use std::sync::Arc;

use floe_core::{Environment, Result};
use floe_plan::change::{OperationKind, TableFile};
use floe_plan::expr::Expr;
use iceberg::spec::{DataFile, Struct};

use super::delete::{Removal, remove};
use super::rows::{PartitionSet, RowChange, RowMode, RowOptions, Wanted, find_rows};
use super::write::WriteSession;
use crate::base::TableBase;
use crate::data::BatchStream;

/// Which rows the new data takes the place of.
#[derive(Debug, Clone, Copy)]
pub enum Overwritten<'a> {
    /// Every row.
    All,
    /// Those that a filter is true for. New rows need not match it.
    Matching(&'a Expr),
    /// Those of the partitions, under the table's default spec, that the new data has rows for; also where they are stored
    /// in files of other specs. No data overwrites nothing, unless the table is not partitioned: then it is every row.
    Partitions,
}

/// Writes `data` and removes the rows that it takes the place of from the head of a branch, as
/// [`delete`](super::delete::delete) does, but copy-on-write unless `options.mode` says otherwise. The data is matched to
/// the table as by [`super::write::write_data_files`]. Nothing is committed.
///
/// Fails as these do; then what was written is deleted, and nothing else. Must run within a tokio runtime.
pub async fn overwrite(
    base: &TableBase,
    branch: &str,
    data: BatchStream,
    what: Overwritten<'_>,
    options: &RowOptions,
    env: &dyn Environment,
) -> Result<RowChange> {
    run(base, branch, data, what, options, env).await.map_err(|e| e.with_table(&base.table.ident))
}

async fn run(
    base: &TableBase,
    branch: &str,
    data: BatchStream,
    what: Overwritten<'_>,
    options: &RowOptions,
    env: &dyn Environment,
) -> Result<RowChange> {
    // Says what is wrong with the branch or the filter before anything is written.
    if let Overwritten::All | Overwritten::Matching(_) = what {
        find_rows(base, branch, wanted(what), options.case_sensitive).await?;
    }
    let session = Arc::new(WriteSession::new(&base.table, &options.write_options(), env, None)?);
    let done = replace(base, branch, data, what, options, &session).await;
    let (removal, snapshot_id) = WriteSession::settle(Some(session), done).await?;
    let (counts, removed) = (removal.counts, removal.removed.clone());
    Ok(RowChange {
        change: removal.change(OperationKind::Overwrite, options.dry_run),
        removed,
        snapshot_id,
        counts,
    })
}

fn wanted(what: Overwritten<'_>) -> Wanted<'_> {
    match what {
        Overwritten::Matching(filter) => Wanted::Matching(filter),
        Overwritten::All | Overwritten::Partitions => Wanted::All,
    }
}

async fn replace(
    base: &TableBase,
    branch: &str,
    data: BatchStream,
    what: Overwritten<'_>,
    options: &RowOptions,
    session: &Arc<WriteSession>,
) -> Result<(Removal, Option<i64>)> {
    let new = match options.dry_run {
        true => NewData::looked_at(session, data).await?,
        false => NewData::written(session.write(data).await?),
    };
    let spec = base.metadata().default_partition_spec();
    let set;
    let wanted = match what {
        Overwritten::Partitions if !spec.is_unpartitioned() => {
            set = Arc::new(PartitionSet::new(spec.spec_id(), new.partitions));
            Wanted::In(&set)
        }
        what => wanted(what),
    };
    let found = find_rows(base, branch, wanted, options.case_sensitive).await?;
    let snapshot_id = found.snapshot_id;
    let mode = options.mode.unwrap_or(RowMode::CopyOnWrite);
    let mut removal = remove(base, (!options.dry_run).then_some(session), found, mode, options).await?;
    let counts = &mut removal.counts;
    counts.rows_added = new.rows;
    counts.files_added += new.files.len() as u64;
    counts.bytes_added += new.files.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
    let spec_id = spec.spec_id();
    removal.added.splice(0..0, new.files.into_iter().map(|file| TableFile { spec_id, file }));
    Ok((removal, snapshot_id))
}

/// The data that takes the place of rows.
struct NewData {
    files: Vec<DataFile>,
    rows: u64,
    partitions: Vec<Struct>,
}

impl NewData {
    fn written(files: Vec<DataFile>) -> Self {
        Self {
            rows: files.iter().map(DataFile::record_count).sum(),
            partitions: files.iter().map(|file| file.partition().clone()).collect(),
            files,
        }
    }

    /// What would be written.
    async fn looked_at(session: &WriteSession, data: BatchStream) -> Result<Self> {
        let (rows, partitions) = session.look_at(data).await?;
        Ok(Self { files: Vec::new(), rows, partitions })
    }
}
