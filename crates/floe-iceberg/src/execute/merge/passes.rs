//! The passes of a merge: each joins rows of the source that are in memory with the table.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::change::TableFile;
use floe_plan::expr::BoundExpr;
use floe_plan::guard::Isolation;
use floe_plan::merge::{Fate, RowPair, Rule, apply, key_filter};
use floe_plan::rows::size::row_bytes;
use futures::{FutureExt, StreamExt};
use iceberg::spec::{DataFile, Schema};
use tokio::sync::mpsc;

use super::MergeCounts;
use super::engine::MergeJob;
use super::pairs::{self, Matches, Side};
use super::target::{Reading, Target};
use crate::base::{LiveFile, TableBase};
use crate::data::BatchStream;
use crate::execute::delete::{Removal, remove};
use crate::execute::join::{KeyCodec, KeyTable, Source, arrow_error};
use crate::execute::rows::RowOptions;
use crate::execute::scan::ScanTask;
use crate::execute::scan::rows::places;
use crate::execute::write::WriteSession;

/// Batches of new rows that may wait to be written.
const BATCHES_AHEAD: usize = 2;

/// A merge on its way.
pub(super) struct Merge<'a> {
    pub(super) base: &'a TableBase,
    pub(super) job: MergeJob,
    pub(super) codec: Arc<KeyCodec>,
    pub(super) target: Target<'a>,
    pub(super) isolation: Isolation,
    pub(super) counts: MergeCounts,
    /// Rows of the table that several rows of the source match.
    pub(super) ambiguous: u64,
    /// True for every row of the table that can match.
    pub(super) matching: BoundExpr,
    /// True for every row of the table that changes if nothing matches it.
    pub(super) others: BoundExpr,
    /// For each pass, a filter that is true for the rows that have one of its keys, and can match.
    pub(super) filters: Vec<BoundExpr>,
    /// How many different values of a key column such a filter lists.
    pub(super) max_listed: usize,
    /// Where new rows go; nowhere in a dry run.
    pub(super) rows: Option<mpsc::Sender<RecordBatch>>,
}

impl Merge<'_> {
    /// Joins the source, writes new rows by `session`, if there is one, and takes others away. What is removed and added, the
    /// counts, and a filter that is true for the rows that were looked at.
    pub(super) async fn run(
        mut self,
        source: Arc<Source>,
        session: Option<&Arc<WriteSession>>,
        options: &RowOptions,
    ) -> Result<(Removal, MergeCounts, BoundExpr)> {
        let (base, mode) = (self.base, self.job.mode);
        let files = match session {
            None => {
                self.join(source).await?;
                Vec::new()
            }
            Some(session) => {
                let (sender, mut receiver) = mpsc::channel(BATCHES_AHEAD);
                self.rows = Some(sender);
                let rows =
                    futures::stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|batch| batch.map(Ok)));
                let writing = session.write(BatchStream::new(self.job.schema.clone(), rows.boxed()));
                let joining = async {
                    let joined = self.join(source).await;
                    // Ends the rows to be written.
                    self.rows = None;
                    joined
                };
                let (joined, written) = tokio::join!(joining.boxed(), writing.boxed());
                // A failed write makes the join fail as well: its error comes first.
                let files = written?;
                joined?;
                files
            }
        };
        if self.ambiguous > 0 {
            return Err(Error::validation(format!(
                "{} rows of the table would be changed by several rows of the source",
                self.ambiguous
            ))
            .with_hint("keep one row of the source for each of them, or narrow the conditions"));
        }
        let left_alone = match self.isolation {
            Isolation::Serializable => self.target.left_alone(),
            Isolation::Snapshot => Vec::new(),
        };
        let found = self.target.into_found()?;
        let mut removal = match found {
            Some(found) => remove(base, session, found, mode, options).await?,
            None => Removal::default(),
        };
        removal.read.extend(left_alone);
        let counts = &mut removal.counts;
        counts.rows_added = self.counts.rows_updated + self.counts.rows_inserted;
        counts.files_added += files.len() as u64;
        counts.bytes_added += files.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
        let spec_id = base.metadata().default_partition_spec_id();
        removal.added.extend(files.into_iter().map(|file| TableFile { spec_id, file }));
        // Rows that match nothing are looked at too, if they are to be changed: such new rows count then.
        if !self.job.rules.not_matched_by_source.is_empty() {
            self.filters.push(self.others);
        }
        let filter = BoundExpr::any(self.filters);
        Ok((removal, self.counts, filter))
    }

    async fn join(&mut self, source: Arc<Source>) -> Result<()> {
        for pass in 0..source.passes() {
            let batches = source.pass(pass).await?;
            let table = Arc::new(source.table(&batches).await?);
            if self.job.unique {
                refuse_duplicates(table.duplicates())?;
            }
            self.pass(&batches, &table).await?;
        }
        drop(source);
        if !self.job.rules.not_matched_by_source.is_empty() && self.ambiguous == 0 {
            self.not_matched_by_source().await?;
        }
        Ok(())
    }

    /// Joins rows of the source that are in memory.
    async fn pass(&mut self, batches: &[RecordBatch], table: &Arc<KeyTable>) -> Result<()> {
        let arrays = batches.iter().map(|batch| {
            let mut arrays = self.codec.arrays(batch)?;
            if let Some(mask) = self.codec.mask(batch) {
                let can_match =
                    |array: &ArrayRef| arrow_select::filter::filter(array, &mask).map_err(arrow_error);
                arrays = arrays.iter().map(can_match).collect::<Result<_>>()?;
            }
            Ok(arrays)
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let keys: Vec<Vec<ArrayRef>> = (0..self.job.keys.len())
            .map(|column| arrays.iter().map(|arrays| arrays[column].clone()).collect())
            .collect();
        let keyed = key_filter(&self.job.keys, &keys, self.max_listed);
        let prune = BoundExpr::all([keyed, self.matching.clone()]);
        self.filters.push(prune.clone());
        drop(keys);
        let mut columns = self.columns(&self.job.rules.matched, true);
        if let Some(on) = &self.job.on {
            let mut needed = BTreeSet::new();
            on.target_fields(&mut needed);
            let more = top_columns(self.base.metadata().current_schema(), &needed);
            columns.extend(more.into_iter().filter(|name| !columns.contains(name)).collect::<Vec<_>>());
        }
        let Reading { tasks, batches: mut rows } =
            self.target.probe(columns, prune, &self.codec, table).await?;
        let mut matched = vec![false; table.len()];
        let sizes: Vec<u64> = batches.iter().flat_map(row_bytes).collect();
        let side = Side { batches, table, sizes: &sizes };
        while let Some(batch) = rows.stream.next().await {
            self.matched(&batch?, &tasks, &side, &mut matched).await?;
        }
        if !self.job.rules.not_matched.is_empty() && self.ambiguous == 0 {
            self.not_matched(batches, table, &matched).await?;
        }
        Ok(())
    }

    /// The names of the columns to read: those of the key if `keyed`, and those that `rules` look at.
    fn columns(&self, rules: &[Rule], keyed: bool) -> Vec<String> {
        let keys = self.job.keys.iter().filter(|_| keyed);
        let mut columns: Vec<String> = keys.map(|key| key.name.clone()).collect();
        let needed = Rule::target_fields(rules);
        let schema = self.base.metadata().current_schema();
        for name in top_columns(schema, &needed) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        columns
    }

    /// Applies the rules for rows that match.
    async fn matched(
        &mut self,
        batch: &RecordBatch,
        tasks: &[(ScanTask, LiveFile)],
        side: &Side<'_>,
        matched: &mut [bool],
    ) -> Result<()> {
        let keys = self.codec.encode(&self.codec.arrays(batch)?)?;
        let find = |row: usize| side.table.find(keys.row(row).as_ref());
        let mut from = 0;
        while from < batch.num_rows() {
            let (matches, next) = pairs::join(&self.job, batch, from, side, find, matched)?;
            from = next;
            self.take(batch, tasks, matches).await?;
        }
        Ok(())
    }

    /// Takes over what became of some rows of a batch.
    async fn take(
        &mut self,
        batch: &RecordBatch,
        tasks: &[(ScanTask, LiveFile)],
        matches: Matches,
    ) -> Result<()> {
        let Matches { rows, fates, written, ambiguous, .. } = matches;
        self.ambiguous += ambiguous;
        if rows.is_empty() || self.ambiguous > 0 {
            return Ok(());
        }
        let (task, _) = places(batch);
        let target = match rows.len() == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from(rows)).map_err(arrow_error)?,
        };
        self.settle(task, tasks, &target, &fates)?;
        self.send(written).await
    }

    /// Notes and counts what became of rows of the table.
    fn settle(
        &mut self,
        task: u32,
        tasks: &[(ScanTask, LiveFile)],
        rows: &RecordBatch,
        fates: &[Fate],
    ) -> Result<()> {
        let file = tasks
            .get(task as usize)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "rows come from a file that was not asked for"))?;
        let (_, positions) = places(rows);
        for fate in fates {
            *match fate {
                Fate::Kept => &mut self.counts.rows_unchanged,
                Fate::Deleted => &mut self.counts.rows_deleted,
                Fate::Written => &mut self.counts.rows_updated,
            } += 1;
        }
        let removed = positions.iter().zip(fates).filter(|(_, fate)| **fate != Fate::Kept);
        // Those that match are needed only to find those that do not.
        let kept = if self.job.rules.not_matched_by_source.is_empty() { 0 } else { positions.len() };
        let matched = positions[..kept].iter().map(|p| *p as u64);
        self.target.note(file, matched, removed.map(|(p, _)| *p as u64));
        Ok(())
    }

    /// Applies the rules for rows of the source that match nothing.
    async fn not_matched(
        &mut self,
        batches: &[RecordBatch],
        table: &KeyTable,
        matched: &[bool],
    ) -> Result<()> {
        for (index, batch) in batches.iter().enumerate() {
            let start = table.start(index);
            let new = |row: usize| {
                let number = start + row as u32;
                // With a further condition each row matches for itself, else as all with its key.
                let stands_for = if self.job.on.is_some() { number } else { table.first(number) };
                !matched[stands_for as usize]
            };
            let new = BooleanArray::new(BooleanBuffer::collect_bool(batch.num_rows(), new), None);
            let rows = match new.true_count() {
                0 => continue,
                all if all == batch.num_rows() => batch.clone(),
                _ => filter_record_batch(batch, &new).map_err(arrow_error)?,
            };
            let pair = RowPair { rows: rows.num_rows(), source: Some(rows), target: None };
            let applied = apply(&self.job.rules.not_matched, &pair, &self.job.schema)?;
            let inserted = applied.fates.iter().filter(|fate| **fate == Fate::Written).count();
            self.counts.rows_inserted += inserted as u64;
            self.send(applied.written).await?;
        }
        Ok(())
    }

    /// Applies the rules for rows of the table that match nothing.
    async fn not_matched_by_source(&mut self) -> Result<()> {
        let columns = self.columns(&self.job.rules.not_matched_by_source, false);
        let Reading { tasks, mut batches } = self.target.matching(columns, self.job.others.clone()).await?;
        while let Some(batch) = batches.stream.next().await {
            let batch = batch?;
            let (task, positions) = places(&batch);
            let Some((file, _)) = tasks.get(task as usize) else { continue };
            let alone = |row: usize| !self.target.is_matched(&file.path, positions[row] as u64);
            let alone = BooleanArray::new(BooleanBuffer::collect_bool(batch.num_rows(), alone), None);
            let rows = match alone.true_count() {
                0 => continue,
                all if all == batch.num_rows() => batch.clone(),
                _ => filter_record_batch(&batch, &alone).map_err(arrow_error)?,
            };
            let pair = RowPair { rows: rows.num_rows(), source: None, target: Some(rows) };
            let applied = apply(&self.job.rules.not_matched_by_source, &pair, &self.job.schema)?;
            let rows = pair.target.as_ref().unwrap_or(&batch);
            let unchanged = self.counts.rows_unchanged;
            self.settle(task, &tasks, rows, &applied.fates)?;
            // Only rows that match are counted as unchanged.
            self.counts.rows_unchanged = unchanged;
            self.send(applied.written).await?;
        }
        Ok(())
    }

    async fn send(&self, batches: Vec<RecordBatch>) -> Result<()> {
        let Some(rows) = &self.rows else { return Ok(()) };
        for batch in batches {
            // The writer's own error tells why nobody takes the rows any more.
            let stopped = |_| Error::new(ErrorKind::Write, "new rows could not be written");
            rows.send(batch).await.map_err(stopped)?;
        }
        Ok(())
    }
}

/// The names of the top-level columns that hold the fields with these ids.
fn top_columns(schema: &Schema, ids: &BTreeSet<i32>) -> Vec<String> {
    let names = ids.iter().filter_map(|id| schema.name_by_field_id(*id));
    let tops = schema.as_struct().fields().iter().filter(|top| {
        names.clone().any(|name| {
            name == top.name || name.strip_prefix(top.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        })
    });
    tops.map(|top| top.name.clone()).collect()
}

/// Fails with `Validation` when there are any.
pub(super) fn refuse_duplicates(duplicates: u64) -> Result<()> {
    if duplicates == 0 {
        return Ok(());
    }
    Err(Error::validation(format!("{duplicates} rows of the source have a key that another row has as well"))
        .with_hint("keep one row for each key; NULL equals NULL in a key, and NaN equals NaN"))
}
