//! The keys of a source in memory, to be looked up by the keys of a table.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_row::Rows;
use floe_core::{Error, ErrorKind, Result};

use super::keys::{KeyCodec, hash};

const EMPTY: u32 = u32::MAX;

/// The rows of a source by key. Rows have numbers, counted through all batches.
#[derive(Debug)]
pub(crate) struct KeyTable {
    seed: u64,
    keys: Vec<Rows>,
    /// The number of the first row of each batch, and in the end the number of rows.
    starts: Vec<u32>,
    /// Numbers of rows, by hash; a power of two, at least twice as many as rows.
    slots: Vec<u32>,
    hashes: Vec<u64>,
    /// For each row, the first row with the same key.
    first: Vec<u32>,
    /// Whether other rows have the key of this row, for rows that are the first with it.
    shared: Vec<bool>,
    /// For each row, the next one with the same key; empty while no two rows have one key.
    next: Vec<u32>,
    /// For each row that is the first with a key, the last one with it; empty as `next` is.
    last: Vec<u32>,
    duplicates: u64,
}

impl KeyTable {
    pub(crate) fn new(codec: &KeyCodec, batches: &[RecordBatch], seed: u64) -> Result<Self> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows >= EMPTY as usize / 2 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "too many rows of a source are in memory at once",
            )
            .with_hint("allow less memory, so that they are joined part by part"));
        }
        let mut table = Self {
            seed,
            keys: Vec::with_capacity(batches.len()),
            starts: vec![0],
            slots: vec![EMPTY; (rows * 2).next_power_of_two()],
            hashes: Vec::with_capacity(rows),
            first: Vec::with_capacity(rows),
            shared: vec![false; rows],
            next: Vec::new(),
            last: Vec::new(),
            duplicates: 0,
        };
        for batch in batches {
            let keys = codec.encode(&codec.arrays(batch)?)?;
            table.keys.push(keys);
            table.insert_last(codec.mask(batch).as_ref());
        }
        Ok(table)
    }

    fn insert_last(&mut self, mask: Option<&BooleanArray>) {
        let at = self.keys.len() - 1;
        let rows = self.keys[at].num_rows();
        for row in 0..rows {
            let number = self.hashes.len() as u32;
            if mask.is_some_and(|mask| !mask.value(row)) {
                // Has a number, and is not found by any key.
                self.hashes.push(0);
                self.first.push(number);
                continue;
            }
            let key = self.keys[at].row(row);
            let hash = hash(self.seed, key.as_ref());
            let found = self.slot(hash, key.as_ref());
            self.hashes.push(hash);
            match found {
                Ok(first) => {
                    self.first.push(first);
                    self.shared[first as usize] = true;
                    self.duplicates += 1;
                    self.link(first, number);
                }
                Err(slot) => {
                    self.slots[slot] = number;
                    self.first.push(number);
                }
            }
        }
        self.starts.push(self.hashes.len() as u32);
    }

    fn link(&mut self, first: u32, number: u32) {
        let rows = self.shared.len();
        if self.next.is_empty() {
            self.next = vec![EMPTY; rows];
            self.last = (0..rows as u32).collect();
        }
        let last = std::mem::replace(&mut self.last[first as usize], number);
        self.next[last as usize] = number;
    }

    /// The row with this key, or the slot where it would be.
    fn slot(&self, hash: u64, key: &[u8]) -> std::result::Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let number = self.slots[slot];
            if number == EMPTY {
                return Err(slot);
            }
            if self.hashes[number as usize] == hash && self.key(number) == key {
                return Ok(number);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn key(&self, number: u32) -> &[u8] {
        let (batch, row) = self.location(number);
        let row = self.keys[batch].row(row);
        row.data()
    }

    /// The number of the first row with this key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.slot(hash(self.seed, key), key).ok()
    }

    /// The batch that a row is in, and where.
    pub(crate) fn location(&self, number: u32) -> (usize, usize) {
        let batch = self.starts.partition_point(|start| *start <= number) - 1;
        (batch, (number - self.starts[batch]) as usize)
    }

    /// The number of the first row of a batch.
    pub(crate) fn start(&self, batch: usize) -> u32 {
        self.starts[batch]
    }

    /// The first row with the same key.
    pub(crate) fn first(&self, number: u32) -> u32 {
        self.first[number as usize]
    }

    /// Whether several rows have the key of this first row.
    pub(crate) fn is_shared(&self, number: u32) -> bool {
        self.shared[number as usize]
    }

    /// The rows with the key of this first row, in their order.
    pub(crate) fn same_key(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(first), |number| {
            self.next.get(*number as usize).copied().filter(|next| *next != EMPTY)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Rows whose key an earlier row has.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }
}
