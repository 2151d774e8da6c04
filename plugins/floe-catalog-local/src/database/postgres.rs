//! A catalog in a PostgreSQL database, for several hosts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use floe_core::{Error, ErrorKind, Result};
use iceberg::TableIdent;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::SCHEMA;
use super::session::{Session, Store, Transaction, sessions};
use crate::error::postgres::{from_postgres, not_connected, unreachable};
use crate::error::{certain, not_set_up};
use crate::turn::hash;

const CONNECTIONS: u32 = 8;
/// How long the server may take for a statement before it gives up by itself.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a statement may take before the connection counts as broken: longer than the server takes to give up.
const REPLY_TIMEOUT: Duration = Duration::from_millis(9_500);
/// The first half of the keys of floe's advisory locks: "floe" in ASCII.
const LOCKS: i32 = 0x666c_6f65;
/// The second half of the key of the lock of those who change anything but a table's pointer.
const CHANGES: i32 = 0;

/// A PostgreSQL database.
pub(crate) struct PostgresStore {
    options: PgConnectOptions,
    connect_timeout: Duration,
    pool: PgPool,
    /// The tables are there, and have the column `iceberg_type`.
    typed: OnceCell<bool>,
    /// Turns hold a connection each: there must be some left for what is done in a turn.
    turns: Arc<Semaphore>,
}

impl PostgresStore {
    /// The database of `options`. Connects to nothing yet.
    pub(crate) fn new(options: PgConnectOptions, connect_timeout: Duration, lock_timeout: Duration) -> Self {
        let settings = format!(
            "SET statement_timeout = {}; SET lock_timeout = {}",
            STATEMENT_TIMEOUT.as_millis(),
            lock_timeout.min(STATEMENT_TIMEOUT).as_millis()
        );
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            // The other half is for finding out why there is none.
            .acquire_timeout(connect_timeout / 2)
            .idle_timeout(Duration::from_secs(300))
            // A connection that broke while it was idle is found out before a commit is sent on it.
            .test_before_acquire(true)
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move { connection.execute(settings.as_str()).await.map(drop) })
            })
            .connect_lazy_with(options.clone());
        let turns = Arc::new(Semaphore::new(CONNECTIONS as usize / 2));
        Self { options, connect_timeout, pool, typed: OnceCell::new(), turns }
    }

    /// Where it is, for people; without the password.
    pub(crate) fn place(&self) -> String {
        let options = &self.options;
        let database = options.get_database().unwrap_or(options.get_username());
        format!("database {database} at {}:{}", options.get_host(), options.get_port())
    }

    /// A connection of its own, made at once: the pool would hide why there is none.
    async fn connect(&self, wait: Duration) -> Result<PgConnection> {
        match timeout(wait, PgConnection::connect_with(&self.options)).await {
            Ok(connected) => connected.map_err(|e| not_connected(e, &self.place())),
            Err(_) => Err(unreachable(&self.place(), "it did not answer in time")),
        }
    }

    /// Whether the tables have the column `iceberg_type`. `FileNotFound` without tables.
    async fn typed(&self) -> Result<bool> {
        let look = || async {
            let mut connection = self.connect(self.connect_timeout).await?;
            let sql = "SELECT attname::text FROM pg_attribute \
                       WHERE attrelid = to_regclass('iceberg_tables') AND attnum > 0 AND NOT attisdropped";
            let columns: Vec<String> = limited(sqlx::query_scalar(sql).fetch_all(&mut connection))
                .await
                .map_err(|e| self.unchanged(e))?;
            let _ = limited(connection.close()).await;
            if columns.is_empty() {
                return Err(not_set_up(&self.place()));
            }
            Ok(columns.iter().any(|column| column == "iceberg_type"))
        };
        self.typed.get_or_try_init(look).await.copied()
    }

    async fn acquire(&self) -> Result<(PoolConnection<Postgres>, bool)> {
        let typed = self.typed().await?;
        match self.pool.acquire().await {
            Ok(connection) => Ok((connection, typed)),
            Err(sqlx::Error::PoolTimedOut) => {
                // Either all connections are in use, or none can be made: find out why.
                self.connect(self.connect_timeout / 2).await?;
                Err(unreachable(&self.place(), "its connections stayed in use for the whole waiting time"))
            }
            Err(e) => Err(self.unchanged(e)),
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.place()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn set_up(&self) -> Result<()> {
        let mut connection = self.connect(self.connect_timeout).await?;
        // "IF NOT EXISTS" alone fails where two do it at once.
        let script = format!("BEGIN;\nSELECT pg_advisory_xact_lock({LOCKS}, {CHANGES});\n{SCHEMA}\nCOMMIT;");
        limited(connection.execute(script.as_str())).await.map_err(|e| self.unchanged(e))?;
        let _ = limited(connection.close()).await;
        Ok(())
    }

    async fn read(&self) -> Result<(Box<dyn Session>, bool)> {
        let (connection, typed) = self.acquire().await?;
        Ok((Box::new(connection), typed))
    }

    async fn swap(&self) -> Result<(Box<dyn Session>, bool)> {
        self.read().await
    }

    async fn change(&self) -> Result<(Box<dyn Transaction>, bool)> {
        let typed = self.typed().await?;
        let begun = async {
            let mut transaction = limited(self.pool.begin()).await?;
            transaction.run(&format!("SELECT pg_advisory_xact_lock({LOCKS}, {CHANGES})"), &[]).await?;
            Ok(transaction)
        };
        let transaction = begun.await.map_err(|e: sqlx::Error| self.unchanged(e))?;
        Ok((Box::new(transaction), typed))
    }

    fn by_bytes(&self) -> &'static str {
        " COLLATE \"C\""
    }

    async fn turn(&self, table: &TableIdent, deadline: Instant) -> Option<Box<dyn Send>> {
        let permit = self.turns.clone().try_acquire_owned().ok()?;
        let begun = async {
            let mut transaction = self.pool.begin().await.ok()?;
            // Never that of changes; tables of the same number wait for each other needlessly.
            let key = ((hash(table) & 0x7fff_ffff) as i32).max(CHANGES + 1);
            let lock = format!("SELECT pg_advisory_xact_lock({LOCKS}, {key})");
            transaction.run(&lock, &[]).await.ok()?;
            Some(transaction)
        };
        let transaction = timeout_at(deadline, begun).await.ok()??;
        // The transaction is rolled back when it is dropped, and the lock given up.
        Some(Box::new((transaction, permit)))
    }

    fn failed(&self, error: sqlx::Error) -> Error {
        from_postgres(error, &self.place())
    }

    fn unchanged(&self, error: sqlx::Error) -> Error {
        certain(self.failed(error), ErrorKind::Unavailable)
    }
}

sessions!(Postgres, limited);

/// Gives up waiting for the server when it is silent for too long; what was asked for may still happen.
async fn limited<T>(reply: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match timeout(REPLY_TIMEOUT, reply).await {
        Ok(reply) => reply,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
