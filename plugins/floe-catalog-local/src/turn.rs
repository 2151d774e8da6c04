//! Turns at committing: writers of one table queue rather than collide.
//!
//! Advice only: the compare-and-swap decides. Tasks of a process queue at a mutex for each table, in order
//! ([`floe_core::TaskQueues`]). Processes that share a SQLite file queue at two locked files for each group of tables
//! in `<catalog file>-turns`: who waits for the turn holds the place behind it, so that a busy process cannot take turn
//! after turn. The operating system frees the locks of a process that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use iceberg::TableIdent;
use tokio::time::{Instant, sleep};

/// How long to wait for a turn before going on without.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Tables of the same group share lock files: that costs waiting, and bounds the number of files.
const GROUPS: u64 = 64;

/// The queues of the processes that share one catalog file.
#[derive(Debug)]
pub(crate) struct FileTurns {
    folder: PathBuf,
}

impl FileTurns {
    /// The queues of the catalog in `database`. Touches no file yet.
    pub(crate) fn new(database: &Path) -> Self {
        let mut folder = database.as_os_str().to_owned();
        folder.push("-turns");
        Self { folder: folder.into() }
    }

    /// Waits for a turn at `table` until `deadline`; nothing where no file can be locked, on read-only media for one.
    pub(crate) async fn wait(&self, table: &TableIdent, deadline: Instant) -> Option<File> {
        let group = hash(table) % GROUPS;
        let place = lock(self.open(&format!("{group:02x}-next")), deadline).await?;
        let turn = lock(self.open(&format!("{group:02x}")), deadline).await;
        drop(place);
        turn
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

/// A number for a table, the same in every process: FNV-1a over its name.
pub(crate) fn hash(table: &TableIdent) -> u64 {
    table
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
        let [one, other] = [0, 0].map(|_| FileTurns::new(&database));
        let first = one.wait(&table(), Instant::now() + PATIENCE).await;
        assert!(first.is_some());
        assert!(other.wait(&table(), Instant::now()).await.is_none());
        let later =
            tokio::spawn(async move { other.wait(&table(), Instant::now() + 60 * PATIENCE).await.is_some() });
        drop(first);
        assert!(later.await.unwrap(), "whoever waits has it next");
    }

    #[tokio::test]
    async fn a_catalog_in_no_folder_gives_no_turn_and_keeps_nobody_waiting() {
        let turns = FileTurns::new(Path::new("/nowhere/at/all/catalog.db"));
        assert!(turns.wait(&table(), Instant::now() + 60 * PATIENCE).await.is_none());
    }
}
