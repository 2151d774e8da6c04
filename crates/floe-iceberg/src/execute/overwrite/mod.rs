//! Putting new data in the place of rows of a table.

use std::collections::HashSet;
use std::sync::Arc;

use floe_core::{Environment, Error, Result};
use floe_plan::change::{OperationKind, TableFile};
use floe_plan::expr::{BoundExpr, Expr};
use floe_plan::guard::{Guard, Isolation};
use futures::StreamExt;
use iceberg::spec::{DataContentType, DataFile, Struct};

use super::delete::{Removal, isolation, remove};
use super::rows::{FoundRows, PartitionSet, RowChange, RowMode, RowOptions, Wanted, find_rows};
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
/// Fails as these do, and with `Validation` when the data has no rows and rows would be taken away, unless
/// `options.allow_empty` says that this is meant; then what was written is deleted, and nothing else. Must run within a tokio runtime.
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
        find_rows(base, branch, wanted(what), options).await?;
    }
    let isolation = isolation(base, options)?;
    let matching = match what {
        Overwritten::Matching(filter) => {
            filter.bind(base.metadata().current_schema(), options.case_sensitive)?
        }
        Overwritten::All | Overwritten::Partitions => BoundExpr::True,
    };
    let session = Arc::new(WriteSession::new(&base.table, &options.write_options(), env, None)?);
    let done = replace(base, branch, data, what, options, &session).await;
    let (mut removal, partitions, snapshot_id) = WriteSession::settle(Some(session), done).await?;
    if options.dry_run {
        removal.removed.clear();
    }
    // Rows that delete files take away are not replaced with their files.
    let whole = removal.added.iter().all(|new| new.file.content_type() == DataContentType::Data);
    let replaces_partitions = whole && matches!(what, Overwritten::Partitions);
    let Some(partitions) = partitions else {
        let mut change = removal.change(OperationKind::Overwrite, matching, isolation, snapshot_id);
        change.change.replaces_partitions = replaces_partitions;
        return Ok(change);
    };
    // Other partitions are nobody's business.
    let mut change = removal.change(OperationKind::Overwrite, matching, Isolation::Snapshot, snapshot_id);
    change.change.replaces_partitions = replaces_partitions;
    if isolation == Isolation::Serializable {
        let spec_id = base.metadata().default_partition_spec_id();
        let partitions = partitions.into_iter().map(|partition| (spec_id, partition)).collect();
        change.guards.push(Guard::NoNewFilesInPartitions { partitions });
    }
    Ok(change)
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
) -> Result<(Removal, Option<Vec<Struct>>, Option<i64>)> {
    let new = match options.dry_run {
        true => NewData::looked_at(session, data).await?,
        false => NewData::written(session.write(data).await?),
    };
    let spec = base.metadata().default_partition_spec();
    let partitions = match what {
        Overwritten::Partitions if !spec.is_unpartitioned() => Some(new.partitions),
        _ => None,
    };
    let set = partitions.iter().map(|p| Arc::new(PartitionSet::new(spec.spec_id(), p.clone()))).next();
    let wanted = set.as_ref().map_or_else(|| wanted(what), Wanted::In);
    let mut found = find_rows(base, branch, wanted, options).await?;
    if new.rows == 0 && !options.allow_empty {
        refuse_rows(&mut found).await?;
    }
    let snapshot_id = found.snapshot_id;
    let mode = options.mode.unwrap_or(RowMode::CopyOnWrite);
    let mut removal = remove(base, (!options.dry_run).then_some(session), found, mode, options).await?;
    let counts = &mut removal.counts;
    counts.rows_added = new.rows;
    counts.files_added += new.files.len() as u64;
    counts.bytes_added += new.files.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
    let spec_id = spec.spec_id();
    removal.added.splice(0..0, new.files.into_iter().map(|file| TableFile { spec_id, file }));
    Ok((removal, partitions, snapshot_id))
}

/// Fails if any row was found: no data would take its place.
async fn refuse_rows(found: &mut FoundRows) -> Result<()> {
    match found.files.next().await {
        None => Ok(()),
        Some(file) => {
            file?;
            Err(Error::validation("the new data has no rows: the overwrite would only take rows away")
                .with_hint("an input may have come empty by mistake; if it is meant, allow it (allow_empty, --allow-empty)"))
        }
    }
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
            partitions: files
                .iter()
                .map(|f| f.partition().clone())
                .collect::<HashSet<_>>()
                .into_iter()
                .collect(),
            files,
        }
    }

    /// What would be written.
    async fn looked_at(session: &WriteSession, data: BatchStream) -> Result<Self> {
        let (rows, partitions) = session.look_at(data).await?;
        Ok(Self { files: Vec::new(), rows, partitions })
    }
}
