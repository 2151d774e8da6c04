//! What really happened, whatever the writers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floe_core::LoadedTable;

/// A commit that took effect.
#[derive(Debug, Clone)]
pub struct CommitRecord {
    /// The operation that made it.
    pub operation: usize,
    /// The table after it.
    pub table: LoadedTable,
}

/// Every commit in the order in which they took effect, every file that was written, and every fault. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    commits: Vec<CommitRecord>,
    /// The operation that wrote a file.
    written: BTreeMap<String, usize>,
    /// The table as each operation saw it, each time.
    seen: BTreeMap<usize, Vec<LoadedTable>>,
    /// Operations with faults that may leave files behind.
    excused: BTreeSet<usize>,
    /// Operations with a commit that was carried out after its writer had given up waiting for it.
    late: BTreeSet<usize>,
    /// Operations with calls to the storage that went wrong.
    faulty: BTreeSet<usize>,
    faults: u64,
}

impl Ledger {
    /// Notes that a commit of `operation` took effect.
    pub fn committed(&self, operation: usize, table: &LoadedTable) {
        self.lock().commits.push(CommitRecord { operation, table: table.clone() });
    }

    /// Notes that `operation` writes a file.
    pub fn written(&self, operation: usize, location: &str) {
        self.lock().written.insert(location.to_owned(), operation);
    }

    /// Notes how `operation` saw the table.
    pub fn saw(&self, operation: usize, table: &LoadedTable) {
        let mut state = self.lock();
        let seen = state.seen.entry(operation).or_default();
        if seen.last().is_none_or(|last| last.metadata_location != table.metadata_location) {
            seen.push(table.clone());
        }
    }

    /// Notes that something went wrong with `operation`, which may leave files behind.
    pub fn excuse(&self, operation: usize) {
        self.lock().excused.insert(operation);
    }

    /// Notes that a commit of `operation` takes effect some time later, if it still can.
    pub fn late(&self, operation: usize) {
        self.lock().late.insert(operation);
    }

    /// Whether a commit of `operation` was still on its way when its writer went on.
    pub fn is_late(&self, operation: usize) -> bool {
        self.lock().late.contains(&operation)
    }

    /// Notes that a call to the storage went wrong for `operation`.
    pub fn faulty(&self, operation: usize) {
        self.lock().faulty.insert(operation);
    }

    /// Whether a call to the storage went wrong for `operation`.
    pub fn is_faulty(&self, operation: usize) -> bool {
        self.lock().faulty.contains(&operation)
    }

    /// Notes a fault.
    pub fn fault(&self) {
        self.lock().faults += 1;
    }

    /// How many faults there were.
    pub fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// The commits, in the order in which they took effect.
    pub fn commits(&self) -> Vec<CommitRecord> {
        self.lock().commits.clone()
    }

    /// The newest table.
    pub fn newest(&self) -> Option<LoadedTable> {
        self.lock().commits.last().map(|commit| commit.table.clone())
    }

    /// The versions of the table that `operation` saw, in order.
    pub fn seen_by(&self, operation: usize) -> Vec<LoadedTable> {
        self.lock().seen.get(&operation).cloned().unwrap_or_default()
    }

    /// The operation that wrote a file.
    pub fn writer_of(&self, location: &str) -> Option<usize> {
        self.lock().written.get(location).copied()
    }

    /// Whether `operation` may leave files behind.
    pub fn is_excused(&self, operation: usize) -> bool {
        self.lock().excused.contains(&operation)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
