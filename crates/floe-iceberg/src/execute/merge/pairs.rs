//! Rows of the table, each with the rows of the source that it matches.

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;
use floe_core::Result;
use floe_plan::eval::keep;
use floe_plan::merge::{Applied, Fate, RowExpr, RowPair, Rule, apply};
use floe_plan::rows::size::row_bytes;

use super::engine::MergeJob;
use crate::execute::join::{KeyTable, arrow_error};

/// How many pairs are looked at together, at most.
const PAIRS_AT_A_TIME: usize = 64 * 1024;
/// Bytes of the rows that are joined at a time, about: those of a table that are read may be narrow, and those of the source
/// that they match wide.
const JOINED_BYTES: u64 = 4 << 20;

/// Rows of a batch of the table that match.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// Their numbers in the batch.
    pub(super) rows: Vec<u32>,
    /// What becomes of them.
    pub(super) fates: Vec<Fate>,
    /// The new rows.
    pub(super) written: Vec<RecordBatch>,
    /// How many of them several rows of the source would change.
    pub(super) ambiguous: u64,
    last_ambiguous: Option<u32>,
}

/// Pairs, as numbers of rows of a batch of the table and of rows of the source.
#[derive(Default)]
struct Pairs {
    rows: Vec<u32>,
    found: Vec<u32>,
    bytes: u64,
}

/// What is joined: rows of the source that are in memory.
pub(super) struct Side<'a> {
    pub(super) batches: &'a [RecordBatch],
    pub(super) table: &'a KeyTable,
    /// The bytes of each row.
    pub(super) sizes: &'a [u64],
}

/// Matches the rows of a batch from the row `from` on, until they and what they match take some room. Gives the row to go on
/// with. `keys` gives the first row of the source with the key of a row, `matched` is noted for each row of the source that
/// matches.
pub(super) fn join(
    job: &MergeJob,
    batch: &RecordBatch,
    from: usize,
    side: &Side<'_>,
    keys: impl Fn(usize) -> Option<u32>,
    matched: &mut [bool],
) -> Result<(Matches, usize)> {
    let Side { batches: source, table, sizes } = *side;
    let mut matches = Matches::default();
    let mut pairs = Pairs::default();
    let mut joined = 0_u64;
    // Only a row with several partners is taken more than once.
    let own = if table.duplicates() > 0 { row_bytes(batch) } else { Vec::new() };
    // Without a further condition, and with nothing to be done to the rows, one row of the source stands for all with its key.
    let first_only = job.on.is_none() && job.rules.matched.is_empty();
    for row in from..batch.num_rows() {
        if joined >= JOINED_BYTES {
            matches.take(job, batch, source, table, &mut pairs, matched)?;
            return Ok((matches, row));
        }
        let Some(first) = keys(row) else { continue };
        let size = |number: u32| sizes[number as usize] + own.get(row).copied().unwrap_or(0);
        if first_only || !table.is_shared(first) {
            joined += pairs.push(row, first, size(first));
        } else {
            for number in table.same_key(first) {
                joined += pairs.push(row, number, size(number));
                if pairs.rows.len() >= PAIRS_AT_A_TIME || pairs.bytes >= JOINED_BYTES {
                    matches.take(job, batch, source, table, &mut pairs, matched)?;
                }
            }
        }
    }
    matches.take(job, batch, source, table, &mut pairs, matched)?;
    Ok((matches, batch.num_rows()))
}

impl Pairs {
    fn push(&mut self, row: usize, number: u32, bytes: u64) -> u64 {
        self.rows.push(row as u32);
        self.found.push(number);
        self.bytes += bytes;
        bytes
    }
}

impl Matches {
    /// Settles pairs, and leaves none.
    fn take(
        &mut self,
        job: &MergeJob,
        batch: &RecordBatch,
        source: &[RecordBatch],
        table: &KeyTable,
        pairs: &mut Pairs,
        matched: &mut [bool],
    ) -> Result<()> {
        if pairs.rows.is_empty() {
            return Ok(());
        }
        let rules = &job.rules.matched;
        let reads_source = Rule::read_source(rules) || job.on.as_ref().is_some_and(RowExpr::reads_source);
        let whole = pairs.rows.len() == batch.num_rows() && pairs.rows.iter().zip(0..).all(|(a, b)| *a == b);
        let target = if whole {
            batch.clone()
        } else {
            let rows = UInt32Array::from(pairs.rows.clone());
            take_record_batch(batch, &rows).map_err(arrow_error)?
        };
        let rows_of_source = if reads_source {
            let batches: Vec<&RecordBatch> = source.iter().collect();
            let places: Vec<_> = pairs.found.iter().map(|number| table.location(*number)).collect();
            Some(interleave_record_batch(&batches, &places).map_err(arrow_error)?)
        } else {
            None
        };
        let mut pair = RowPair { source: rows_of_source, target: Some(target), rows: pairs.rows.len() };
        if let Some(on) = &job.on {
            let holds: BooleanArray = keep(on.evaluate(&pair)?.as_boolean());
            if holds.true_count() < pair.rows {
                pair = pair.filter(&holds)?;
                let mut at = 0;
                pairs.rows.retain(|_| (holds.value(at), at += 1).0);
                at = 0;
                pairs.found.retain(|_| (holds.value(at), at += 1).0);
            }
        }
        pairs.found.iter().for_each(|number| matched[*number as usize] = true);
        let Applied { fates, written } = apply(rules, &pair, &job.schema)?;
        self.written.extend(written);
        for (row, fate) in pairs.rows.drain(..).zip(fates) {
            self.settle(row, fate);
        }
        pairs.found.clear();
        pairs.bytes = 0;
        Ok(())
    }

    /// Pairs of one row come one after the other.
    fn settle(&mut self, row: u32, fate: Fate) {
        let before = match (self.rows.last(), self.fates.last_mut()) {
            (Some(last), Some(before)) if *last == row => before,
            _ => {
                self.rows.push(row);
                self.fates.push(fate);
                return;
            }
        };
        match (*before, fate) {
            // To be deleted twice is to be deleted.
            (_, Fate::Kept) | (Fate::Deleted, Fate::Deleted) => {}
            (Fate::Kept, fate) => *before = fate,
            _ => self.ambiguous_row(row),
        }
    }

    fn ambiguous_row(&mut self, row: u32) {
        // Each row is counted once, however many rows of the source would change it.
        if self.last_ambiguous != Some(row) {
            self.last_ambiguous = Some(row);
            self.ambiguous += 1;
        }
    }
}
