//! A catalog in a SQLite file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
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
use super::layout::Layout;
use super::session::{Session, Store, Transaction, sessions};
use crate::error::{certain, from_sqlite, not_set_up};
use crate::turn::FileTurns;

const CONNECTIONS: u32 = 4;

/// Kind, name, table and text of an object in a file.
type Object = (String, String, String, String);

/// The objects that bear upon the catalog's tables.
const OBJECTS: &str = "SELECT type, name, tbl_name, substr(coalesce(sql, ''), 1, 1000) FROM sqlite_schema \
     WHERE lower(tbl_name) IN ('iceberg_tables', 'iceberg_namespace_properties') \
     OR lower(name) IN ('iceberg_tables', 'iceberg_namespace_properties')";
/// Table, name and kind of the columns of those that are tables.
const COLUMNS: &str = "SELECT s.name, c.name, c.hidden FROM sqlite_schema s, pragma_table_xinfo(s.name) c \
     WHERE s.type = 'table' AND lower(s.name) IN ('iceberg_tables', 'iceberg_namespace_properties')";

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
    /// The version of the file's schema that was looked at before a change.
    inspected: AtomicI64,
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

    async fn acquire(&self) -> Result<(PoolConnection<Sqlite>, Layout)> {
        let opened = self.opened()?;
        let mut connection = opened.pool.acquire().await.map_err(|e| self.unchanged(e))?;
        if !opened.typed.load(Ordering::Relaxed) {
            opened.typed.store(self.inspect(&mut connection).await?, Ordering::Relaxed);
        }
        let layout = Layout { schema: None, typed: opened.typed.load(Ordering::Relaxed) };
        Ok((connection, layout))
    }

    /// As [`Self::acquire`], for a change: what was put into the file since it was looked at is seen first.
    async fn acquire_to_write(&self) -> Result<(PoolConnection<Sqlite>, Layout)> {
        let opened = self.opened()?;
        let (mut connection, layout) = self.acquire().await?;
        let version: i64 = sqlx::query_scalar("PRAGMA schema_version")
            .fetch_one(&mut *connection)
            .await
            .map_err(|e| self.unchanged(e))?;
        if opened.inspected.load(Ordering::Relaxed) != version {
            self.inspect(&mut connection).await?;
            opened.inspected.store(version, Ordering::Relaxed);
        }
        Ok((connection, layout))
    }

    /// Looks at what the file says its tables are, and whether they have the column `iceberg_type`. `FileNotFound`
    /// without a catalog, `Corrupted` where they would do more than keep rows.
    async fn inspect(&self, connection: &mut SqliteConnection) -> Result<bool> {
        let failed = |e| self.unchanged(e);
        let objects: Vec<Object> =
            sqlx::query_as(OBJECTS).fetch_all(&mut *connection).await.map_err(failed)?;
        // Before the columns: to ask a virtual table for them runs its module.
        if let Some(why) = odd_object(&objects) {
            return Err(self.no_catalog(why));
        }
        let columns: Vec<(String, String, i64)> =
            sqlx::query_as(COLUMNS).fetch_all(&mut *connection).await.map_err(failed)?;
        if columns.iter().any(|(.., hidden)| *hidden != 0) {
            return Err(self.no_catalog("computes columns of the tables of the catalog"));
        }
        let mut of_tables = columns.iter().filter(|(table, ..)| table == "iceberg_tables").peekable();
        if of_tables.peek().is_none() {
            return Err(not_set_up(&self.path.display()));
        }
        Ok(of_tables.any(|(_, column, _)| column == "iceberg_type"))
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
        let opened =
            Arc::new(Opened { pool, file, typed: AtomicBool::new(false), inspected: AtomicI64::new(-1) });
        *slot = Some(opened.clone());
        Ok(opened)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .synchronous(SqliteSynchronous::Full)
            // The file may be somebody else's: what its views, triggers and indexes call is not trusted, and damaged
            // pages are found when they are read.
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON")
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
        match self.inspect(&mut connection).await {
            Err(e) if e.kind() != ErrorKind::FileNotFound => return Err(e),
            _ => {}
        }
        let script = format!("BEGIN IMMEDIATE;\n{SCHEMA}\nCOMMIT;");
        connection.execute(script.as_str()).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    async fn read(&self) -> Result<(Box<dyn Session>, Layout)> {
        let (connection, layout) = self.acquire().await?;
        Ok((Box::new(connection), layout))
    }

    async fn swap(&self) -> Result<(Box<dyn Session>, Layout)> {
        let turn = self.writing.clone().lock_owned().await;
        let (connection, layout) = self.acquire_to_write().await?;
        Ok((Box::new(Writing { session: connection, _turn: turn }), layout))
    }

    async fn change(&self) -> Result<(Box<dyn Transaction>, Layout)> {
        let turn = self.writing.clone().lock_owned().await;
        let layout = self.acquire_to_write().await?.1;
        let pool = &self.opened()?.pool;
        let begun = pool.begin_with("BEGIN IMMEDIATE").await;
        let session = begun.map_err(|e| self.unchanged(e))?;
        Ok((Box::new(Writing { session, _turn: turn }), layout))
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

    fn no_catalog(&self, why: &str) -> Error {
        Error::new(ErrorKind::Corrupted, format!("catalog file {}: it {why}", self.path.display()))
            .with_hint("it is not as a catalog of Iceberg is; find out who wrote it before using it")
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

/// Why what bears upon the tables of a file is not what a catalog has: its tables keep rows, and do nothing else.
fn odd_object(objects: &[Object]) -> Option<&'static str> {
    let own = |name: &str| {
        ["iceberg_tables", "iceberg_namespace_properties"].iter().any(|own| name.eq_ignore_ascii_case(own))
    };
    objects.iter().find_map(|(kind, name, table, sql)| {
        let mut words = sql.split_whitespace().skip(1);
        let is_virtual = words.next().is_some_and(|word| word.eq_ignore_ascii_case("virtual"));
        match kind.as_str() {
            "trigger" => Some("has triggers on the tables of the catalog"),
            "table" if is_virtual => Some("has a virtual table in place of one of the catalog"),
            "table" if own(name) => None,
            "index" if own(table) => None,
            "view" => Some("has a view in place of a table of the catalog"),
            _ => Some("has something else in place of a table of the catalog"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_opened_without_trust_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::new(folder.path().join("c.db"), Duration::from_secs(1));
        store.set_up().await.unwrap();
        let opened = store.opened().unwrap();
        for (pragma, expected) in [("trusted_schema", 0_i64), ("cell_size_check", 1)] {
            let sql = format!("PRAGMA {pragma}");
            let value: i64 = sqlx::query_scalar(&sql).fetch_one(&opened.pool).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
    }

    #[test]
    fn tables_that_do_more_than_keep_rows_are_told() {
        let object = |kind: &str, name: &str, table: &str, sql: &str| {
            (kind.to_owned(), name.to_owned(), table.to_owned(), sql.to_owned())
        };
        let plain = object("table", "iceberg_tables", "iceberg_tables", "CREATE TABLE iceberg_tables (a)");
        let index = object("index", "sqlite_autoindex_iceberg_tables_1", "iceberg_tables", "");
        assert_eq!(odd_object(&[plain, index]), None);
        assert_eq!(odd_object(&[]), None);
        for odd in [
            object("trigger", "t", "ICEBERG_TABLES", "CREATE TRIGGER"),
            object("view", "iceberg_tables", "iceberg_tables", "CREATE VIEW iceberg_tables AS"),
            object("table", "iceberg_tables", "iceberg_tables", "CREATE  VIRTUAL TABLE"),
            object("index", "iceberg_tables", "other", "CREATE INDEX"),
        ] {
            assert!(odd_object(std::slice::from_ref(&odd)).is_some(), "{odd:?}");
        }
    }
}
