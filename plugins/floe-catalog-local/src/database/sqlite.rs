//! A catalog in a SQLite file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use floe_core::{Error, ErrorKind, Result};
use iceberg::TableIdent;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Executor, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::SCHEMA;
use super::session::{Session, Store, Transaction, sessions};
use crate::error::{certain, from_sqlite, not_set_up};
use crate::turn::FileTurns;

const CONNECTIONS: u32 = 4;

/// A SQLite file.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    path: PathBuf,
    busy_timeout: Duration,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Writers of this process queue here, in order; SQLite itself only polls.
    writing: Arc<tokio::sync::Mutex<()>>,
    turns: FileTurns,
}

#[derive(Debug)]
struct Opened {
    pool: SqlitePool,
    file: FileIdentity,
    /// The file has the column `iceberg_type`. Only ever turns true.
    typed: AtomicBool,
}

/// A session that holds the turn of this process at writing.
struct Writing<S> {
    session: S,
    _turn: OwnedMutexGuard<()>,
}

impl SqliteStore {
    /// The file at `path`. Touches nothing yet.
    pub(crate) fn new(path: PathBuf, busy_timeout: Duration) -> Self {
        let turns = FileTurns::new(&path);
        Self { path, busy_timeout, opened: Mutex::default(), writing: Arc::default(), turns }
    }

    async fn acquire(&self) -> Result<(PoolConnection<Sqlite>, bool)> {
        let opened = self.opened()?;
        let failed = |e| self.unchanged(e);
        let mut connection = opened.pool.acquire().await.map_err(failed)?;
        if !opened.typed.load(Ordering::Relaxed) {
            let (columns, typed): (i64, Option<i64>) = sqlx::query_as(
                "SELECT count(*), sum(name = 'iceberg_type') FROM pragma_table_info('iceberg_tables')",
            )
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
            if columns == 0 {
                return Err(not_set_up(&self.path.display()));
            }
            opened.typed.store(typed.unwrap_or(0) > 0, Ordering::Relaxed);
        }
        Ok((connection, opened.typed.load(Ordering::Relaxed)))
    }

    /// The open file. Opened anew when another file was put in its place.
    fn opened(&self) -> Result<Arc<Opened>> {
        let mut slot = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match std::fs::metadata(&self.path) {
            Ok(found) if found.is_file() => identity(&found),
            Ok(_) => {
                return Err(Error::validation(format!("{} is no file", self.path.display()))
                    .with_hint("the catalog is kept in a file; check `uri` and `warehouse`"));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                *slot = None;
                return Err(not_set_up(&self.path.display()));
            }
            Err(e) => return Err(Error::from(e).context(format!("catalog file {}", self.path.display()))),
        };
        if let Some(opened) = slot.as_ref().filter(|opened| opened.file == file) {
            return Ok(opened.clone());
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(self.busy_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(self.options());
        let opened = Arc::new(Opened { pool, file, typed: AtomicBool::new(false) });
        *slot = Some(opened.clone());
        Ok(opened)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(self.busy_timeout)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn set_up(&self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::from(e).context(format!("folder {} cannot be made", folder.display())))?;
        }
        let _turn = self.writing.lock().await;
        let failed = |e| self.unchanged(e);
        let options = self.options().create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
        let script = format!("BEGIN IMMEDIATE;\n{SCHEMA}\nCOMMIT;");
        connection.execute(script.as_str()).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    async fn read(&self) -> Result<(Box<dyn Session>, bool)> {
        let (connection, typed) = self.acquire().await?;
        Ok((Box::new(connection), typed))
    }

    async fn swap(&self) -> Result<(Box<dyn Session>, bool)> {
        let turn = self.writing.clone().lock_owned().await;
        let (connection, typed) = self.acquire().await?;
        Ok((Box::new(Writing { session: connection, _turn: turn }), typed))
    }

    async fn change(&self) -> Result<(Box<dyn Transaction>, bool)> {
        let turn = self.writing.clone().lock_owned().await;
        let typed = self.acquire().await?.1;
        let pool = &self.opened()?.pool;
        let begun = pool.begin_with("BEGIN IMMEDIATE").await;
        let session = begun.map_err(|e| self.unchanged(e))?;
        Ok((Box::new(Writing { session, _turn: turn }), typed))
    }

    fn by_bytes(&self) -> &'static str {
        ""
    }

    async fn turn(&self, table: &TableIdent, deadline: Instant) -> Option<Box<dyn Send>> {
        self.turns.wait(table, deadline).await.map(|turn| Box::new(turn) as _)
    }

    fn failed(&self, error: sqlx::Error) -> Error {
        from_sqlite(error, &self.path)
    }

    fn unchanged(&self, error: sqlx::Error) -> Error {
        certain(self.failed(error), ErrorKind::Io)
    }
}

sessions!(Sqlite, std::convert::identity);

#[async_trait]
impl<S: Session> Session for Writing<S> {
    async fn run(&mut self, sql: &str, values: &[&str]) -> sqlx::Result<u64> {
        self.session.run(sql, values).await
    }

    async fn rows(&mut self, sql: &str, values: &[&str]) -> sqlx::Result<Vec<Vec<Option<String>>>> {
        self.session.rows(sql, values).await
    }
}

#[async_trait]
impl<S: Transaction> Transaction for Writing<S> {
    async fn commit(self: Box<Self>) -> sqlx::Result<()> {
        Box::new(self.session).commit().await
    }
}
/// Tells a file from another one that was put in its place.
type FileIdentity = (u64, u64);

#[cfg(unix)]
fn identity(file: &std::fs::Metadata) -> FileIdentity {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> FileIdentity {
    (0, 0)
}
