//! Turns at committing: writers of one table queue rather than collide.
//!
//! Advice only: the compare-and-swap decides. Tasks of a process queue at a mutex for each table, in order.
//! Processes queue at two locked files for each group of tables in `<catalog file>-turns`: who waits for the
//! turn holds the place behind it, so that a busy process cannot take turn after turn. The operating system
//! frees the locks of a process that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use floe_core::{CommitTurn, TaskQueues};
use iceberg::TableIdent;
use tokio::time::{Instant, sleep};

/// How long to wait for a turn before going on without.
const PATIENCE: Duration = Duration::from_secs(5);
/// Tables of the same group share lock files: that costs waiting, and bounds the number of files.
const GROUPS: u64 = 64;

/// The queues of one catalog file.
#[derive(Debug)]
pub(crate) struct Turns {
    folder: PathBuf,
    patience: Duration,
    tasks: TaskQueues,
}

impl Turns {
    /// The queues of the catalog in `database`. Touches no file yet.
    pub(crate) fn new(database: &Path) -> Self {
        Self::with_patience(database, PATIENCE)
    }

    fn with_patience(database: &Path, patience: Duration) -> Self {
        let mut folder = database.as_os_str().to_owned();
        folder.push("-turns");
        Self { folder: folder.into(), patience, tasks: TaskQueues::default() }
    }

    /// Waits for a turn at `table`; holds nothing when it takes too long.
    pub(crate) async fn wait(&self, table: &TableIdent) -> CommitTurn {
        let deadline = Instant::now() + self.patience;
        let Some(task) = self.tasks.wait(table, self.patience).await else {
            return CommitTurn::none();
        };
        let group = group(table);
        // Where no file can be locked, on read-only media for one, the tasks of this process still queue.
        let Some(place) = lock(self.open(&format!("{group:02x}-next")), deadline).await else {
            return CommitTurn::holding(task);
        };
        let turn = lock(self.open(&format!("{group:02x}")), deadline).await;
        drop(place);
        // In this order: the file is free before the next task of this process asks for it.
        CommitTurn::holding((turn, task))
    }

    fn open(&self, name: &str) -> Option<File> {
        let path = self.folder.join(name);
        let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        open().or_else(|_| std::fs::create_dir(&self.folder).and_then(|()| open()).or_else(|_| open())).ok()
    }
}

/// Locks a file until it is dropped; asks again every few milliseconds, without blocking a thread.
async fn lock(file: Option<File>, deadline: Instant) -> Option<File> {
    let file = file?;
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                // Jitter from a random UUID: processes that wait do not ask in step.
                let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * 8;
                sleep(Duration::from_micros(500 + jitter)).await;
            }
            Err(_) => return None,
        }
    }
}

/// The group of a table, the same in every process: FNV-1a over its name.
fn group(table: &TableIdent) -> u64 {
    let name = table.to_string();
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash % GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TableIdent {
        TableIdent::from_strs(["ns", "t"]).unwrap()
    }

    #[tokio::test]
    async fn a_turn_is_given_to_one_at_a_time_and_waiting_ends() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("catalog.db");
        // As two processes: locks belong to the opened file.
        let [one, other] = [0, 0].map(|ms| Turns::with_patience(&database, Duration::from_millis(ms)));
        let first = one.wait(&table()).await;
        assert!(first.is_held());
        assert!(!one.wait(&table()).await.is_held(), "the wait of a task of the same process ends");
        let file = other.open(&format!("{:02x}", group(&table()))).unwrap();
        assert!(matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        assert!(file.try_lock().is_ok());
    }

    #[tokio::test]
    async fn a_catalog_in_no_folder_still_gives_turns() {
        let turns = Turns::new(Path::new("/nowhere/at/all/catalog.db"));
        assert!(turns.wait(&table()).await.is_held());
    }
}
