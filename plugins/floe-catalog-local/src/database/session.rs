//! Statements on a connection, the same for every database: all values are texts.

use async_trait::async_trait;
use floe_core::{Error, Result};
use iceberg::TableIdent;
use tokio::time::Instant;

use super::layout::Layout;

/// A connection, or a transaction on one.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement that changes rows; how many. Parameters are written `$1`.
    async fn run(&mut self, sql: &str, values: &[&str]) -> sqlx::Result<u64>;

    /// Runs a query; the columns of every row.
    async fn rows(&mut self, sql: &str, values: &[&str]) -> sqlx::Result<Vec<Vec<Option<String>>>>;
}

/// A transaction; rolled back unless it is committed.
#[async_trait]
pub(crate) trait Transaction: Session {
    /// Makes the change last.
    async fn commit(self: Box<Self>) -> sqlx::Result<()>;
}

/// A database of a kind that keeps catalogs.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// Makes the database's tables, and a file, where they are missing.
    async fn set_up(&self) -> Result<()>;

    /// A connection, and where the tables are. `FileNotFound` without a catalog.
    async fn read(&self) -> Result<(Box<dyn Session>, Layout)>;

    /// A connection for one statement that changes a row, which is a transaction of its own; otherwise as
    /// [`Store::read`].
    async fn swap(&self) -> Result<(Box<dyn Session>, Layout)>;

    /// Begins a change that no other change of the catalog interleaves with, and where the tables are.
    async fn change(&self) -> Result<(Box<dyn Transaction>, Layout)>;

    /// What comes behind a name for it to be compared and sorted by its bytes.
    fn by_bytes(&self) -> &'static str;

    /// Waits for a turn among the processes that commit to a table, which ends when it is dropped; `None` where
    /// there is none to be had, or not until `deadline`.
    async fn turn(&self, table: &TableIdent, deadline: Instant) -> Option<Box<dyn Send>>;

    /// What a failed statement means. Kind `CommitStateUnknown` where a change may have taken effect, if it was one.
    fn failed(&self, error: sqlx::Error) -> Error;

    /// What a failed statement means that changed nothing for certain.
    fn unchanged(&self, error: sqlx::Error) -> Error;

    /// What is there is no catalog of Iceberg, or one that somebody tampered with. Kind `Corrupted`.
    fn no_catalog(&self, why: &str) -> Error;
}

/// [`Session`] for a pooled connection and a transaction of a driver, and [`Transaction`] for the latter.
macro_rules! sessions {
    ($driver:ty, $execute:path) => {
        sessions!(@ sqlx::pool::PoolConnection<$driver>, $execute);
        sessions!(@ sqlx::Transaction<'static, $driver>, $execute);

        #[async_trait::async_trait]
        impl $crate::database::session::Transaction for sqlx::Transaction<'static, $driver> {
            async fn commit(self: Box<Self>) -> sqlx::Result<()> {
                $execute((*self).commit()).await
            }
        }
    };
    (@ $session:ty, $execute:path) => {
        #[async_trait::async_trait]
        impl $crate::database::session::Session for $session {
            async fn run(&mut self, sql: &str, values: &[&str]) -> sqlx::Result<u64> {
                let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(*value));
                Ok($execute(query.execute(&mut **self)).await?.rows_affected())
            }

            async fn rows(&mut self, sql: &str, values: &[&str]) -> sqlx::Result<Vec<Vec<Option<String>>>> {
                use sqlx::Row;
                let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(*value));
                let rows = $execute(query.fetch_all(&mut **self)).await?;
                rows.iter().map(|row| (0..row.len()).map(|at| row.try_get(at)).collect()).collect()
            }
        }
    };
}
pub(crate) use sessions;
