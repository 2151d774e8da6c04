//! The SQLite file: opening it, and one function for each statement of the catalog.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use floe_core::{Error, ErrorKind, Result};
use iceberg::{NamespaceIdent, TableIdent};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Executor, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::error::{certain, from_sqlite, is_duplicate, not_set_up};

const SCHEMA: &str = include_str!("schema.sql");
/// The property that PyIceberg and Java give to a namespace which has no other.
const EXISTS: (&str, &str) = ("exists", "true");
const CONNECTIONS: u32 = 4;

/// One catalog in a SQLite file.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    catalog: String,
    busy_timeout: Duration,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Writers of this process queue here, in order; SQLite itself only polls.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Opened {
    pool: SqlitePool,
    file: FileIdentity,
    /// The file has the column `iceberg_type`. Only ever turns true.
    typed: AtomicBool,
}

/// A change in progress; rolled back unless it is committed.
pub(crate) struct Change<'a> {
    database: &'a Database,
    transaction: Transaction<'static, Sqlite>,
    typed: bool,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Database {
    /// The catalog called `catalog` in the file at `path`. Touches nothing yet.
    pub(crate) fn new(path: PathBuf, catalog: String, busy_timeout: Duration) -> Self {
        Self { path, catalog, busy_timeout, opened: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn catalog(&self) -> &str {
        &self.catalog
    }

    /// Makes the file and its tables where they are missing.
    pub(crate) async fn set_up(&self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::from(e).context(format!("folder {} cannot be made", folder.display())))?;
        }
        let _turn = self.writing.lock().await;
        let failed = |e| certain(from_sqlite(e, &self.path));
        let options = self.options().create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
        let script = format!("BEGIN IMMEDIATE;\n{SCHEMA}\nCOMMIT;");
        connection.execute(script.as_str()).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    /// Whether the file and its tables are there.
    pub(crate) async fn is_set_up(&self) -> Result<bool> {
        match self.read().await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Where the metadata of a table is, or `None` where there is no such table.
    pub(crate) async fn metadata_location(&self, table: &TableIdent) -> Result<Option<String>> {
        let (mut connection, typed) = self.read().await?;
        let sql = format!(
            "SELECT metadata_location FROM iceberg_tables \
             WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3{}",
            only_tables(typed)
        );
        let found: Option<Option<String>> = sqlx::query_scalar(&sql)
            .bind(&self.catalog)
            .bind(encode(table.namespace()))
            .bind(table.name())
            .fetch_optional(&mut *connection)
            .await
            .map_err(|e| certain(from_sqlite(e, &self.path)))?;
        Ok(found.flatten())
    }

    /// Makes `to` the metadata of a table if it is still `from`; whether it was.
    ///
    /// One statement in a transaction of its own, so that a failure to have the lock changed nothing.
    pub(crate) async fn swap(&self, table: &TableIdent, from: &str, to: &str) -> Result<bool> {
        let _turn = self.writing.lock().await;
        let (mut connection, typed) = self.read().await?;
        let sql = format!(
            "UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2 \
             WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5 \
             AND metadata_location = ?2{}",
            only_tables(typed)
        );
        let done = sqlx::query(&sql)
            .bind(to)
            .bind(from)
            .bind(&self.catalog)
            .bind(encode(table.namespace()))
            .bind(table.name())
            .execute(&mut *connection)
            .await
            .map_err(|e| from_sqlite(e, &self.path))?;
        Ok(done.rows_affected() > 0)
    }

    /// The names of the tables of a namespace, sorted.
    pub(crate) async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<String>> {
        let (mut connection, typed) = self.read().await?;
        let sql = format!(
            "SELECT table_name FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2{} \
             ORDER BY table_name",
            only_tables(typed)
        );
        sqlx::query_scalar(&sql)
            .bind(&self.catalog)
            .bind(encode(namespace))
            .fetch_all(&mut *connection)
            .await
            .map_err(|e| certain(from_sqlite(e, &self.path)))
    }

    /// Every namespace below `parent` at any depth, or all; encoded, sorted.
    pub(crate) async fn namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<String>> {
        let (mut connection, _) = self.read().await?;
        let (low, high) = match parent {
            Some(parent) => below(&encode(parent)),
            None => (String::new(), "\u{10ffff}".to_owned()),
        };
        sqlx::query_scalar(
            "SELECT table_namespace FROM iceberg_tables \
             WHERE catalog_name = ?1 AND table_namespace >= ?2 AND table_namespace < ?3 \
             UNION SELECT namespace FROM iceberg_namespace_properties \
             WHERE catalog_name = ?1 AND namespace >= ?2 AND namespace < ?3 ORDER BY 1",
        )
        .bind(&self.catalog)
        .bind(low)
        .bind(high)
        .fetch_all(&mut *connection)
        .await
        .map_err(|e| certain(from_sqlite(e, &self.path)))
    }

    /// Whether a namespace is there, by itself or by something in it.
    pub(crate) async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        let (mut connection, _) = self.read().await?;
        exists(&mut connection, &self.catalog, &encode(namespace))
            .await
            .map_err(|e| certain(from_sqlite(e, &self.path)))
    }

    /// The properties of a namespace, without the one that only says that it exists.
    pub(crate) async fn properties(&self, namespace: &NamespaceIdent) -> Result<HashMap<String, String>> {
        let (mut connection, _) = self.read().await?;
        let pairs: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT property_key, property_value FROM iceberg_namespace_properties \
             WHERE catalog_name = ?1 AND namespace = ?2",
        )
        .bind(&self.catalog)
        .bind(encode(namespace))
        .fetch_all(&mut *connection)
        .await
        .map_err(|e| certain(from_sqlite(e, &self.path)))?;
        let pairs = pairs.into_iter().map(|(key, value)| (key, value.unwrap_or_default()));
        Ok(pairs.filter(|(key, value)| (key.as_str(), value.as_str()) != EXISTS).collect())
    }

    /// Begins a change and takes the write lock.
    pub(crate) async fn change(&self) -> Result<Change<'_>> {
        let turn = self.writing.lock().await;
        let typed = self.read().await?.1;
        let pool = &self.opened()?.pool;
        let begun = pool.begin_with("BEGIN IMMEDIATE").await;
        let transaction = begun.map_err(|e| certain(from_sqlite(e, &self.path)))?;
        Ok(Change { database: self, transaction, typed, _turn: turn })
    }

    /// A connection, and whether the file has the column `iceberg_type`. `FileNotFound` without a catalog.
    async fn read(&self) -> Result<(PoolConnection<Sqlite>, bool)> {
        let opened = self.opened()?;
        let failed = |e| certain(from_sqlite(e, &self.path));
        let mut connection = opened.pool.acquire().await.map_err(failed)?;
        if !opened.typed.load(Ordering::Relaxed) {
            let (columns, typed): (i64, Option<i64>) = sqlx::query_as(
                "SELECT count(*), sum(name = 'iceberg_type') FROM pragma_table_info('iceberg_tables')",
            )
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
            if columns == 0 {
                return Err(not_set_up(&self.path));
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
                return Err(not_set_up(&self.path));
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

impl Change<'_> {
    /// Whether a namespace is there.
    pub(crate) async fn namespace_exists(&mut self, namespace: &NamespaceIdent) -> Result<bool> {
        let found = exists(&mut self.transaction, self.database.catalog(), &encode(namespace)).await;
        found.map_err(|e| self.failed(e))
    }

    /// Whether a table or namespace is in a namespace.
    pub(crate) async fn namespace_is_used(&mut self, namespace: &NamespaceIdent) -> Result<bool> {
        let name = encode(namespace);
        let (low, high) = below(&name);
        let found = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 AND (table_namespace = ?2 \
             OR (table_namespace >= ?3 AND table_namespace < ?4))) \
             OR EXISTS (SELECT 1 FROM iceberg_namespace_properties \
             WHERE catalog_name = ?1 AND namespace >= ?3 AND namespace < ?4)",
        )
        .bind(self.database.catalog())
        .bind(name)
        .bind(low)
        .bind(high)
        .fetch_one(&mut *self.transaction)
        .await;
        found.map_err(|e| self.failed(e))
    }

    /// Sets and removes properties of a namespace; one that would have none gets the one that says it exists.
    pub(crate) async fn set_properties(
        &mut self,
        namespace: &NamespaceIdent,
        set: &HashMap<String, String>,
        remove: &[String],
    ) -> Result<()> {
        let name = encode(namespace);
        for key in remove {
            let done = sqlx::query(
                "DELETE FROM iceberg_namespace_properties \
                 WHERE catalog_name = ?1 AND namespace = ?2 AND property_key = ?3",
            )
            .bind(self.database.catalog())
            .bind(&name)
            .bind(key)
            .execute(&mut *self.transaction)
            .await;
            done.map_err(|e| self.failed(e))?;
        }
        for (key, value) in set {
            let done = sqlx::query(
                "INSERT INTO iceberg_namespace_properties \
                 (catalog_name, namespace, property_key, property_value) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (catalog_name, namespace, property_key) \
                 DO UPDATE SET property_value = excluded.property_value",
            )
            .bind(self.database.catalog())
            .bind(&name)
            .bind(key)
            .bind(value)
            .execute(&mut *self.transaction)
            .await;
            done.map_err(|e| self.failed(e))?;
        }
        let done = sqlx::query(
            "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) \
             SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM iceberg_namespace_properties \
             WHERE catalog_name = ?1 AND namespace = ?2)",
        )
        .bind(self.database.catalog())
        .bind(&name)
        .bind(EXISTS.0)
        .bind(EXISTS.1)
        .execute(&mut *self.transaction)
        .await;
        done.map(drop).map_err(|e| self.failed(e))
    }

    /// Forgets the properties of a namespace, and so the namespace, if it is not used.
    pub(crate) async fn drop_namespace(&mut self, namespace: &NamespaceIdent) -> Result<()> {
        let done = sqlx::query(
            "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2",
        )
        .bind(self.database.catalog())
        .bind(encode(namespace))
        .execute(&mut *self.transaction)
        .await;
        done.map(drop).map_err(|e| self.failed(e))
    }

    /// Adds a table. `TableAlreadyExists`.
    pub(crate) async fn insert_table(&mut self, table: &TableIdent, metadata_location: &str) -> Result<()> {
        let sql = if self.typed {
            "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, \
             iceberg_type) VALUES (?1, ?2, ?3, ?4, 'TABLE')"
        } else {
            "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location) \
             VALUES (?1, ?2, ?3, ?4)"
        };
        let done = sqlx::query(sql)
            .bind(self.database.catalog())
            .bind(encode(table.namespace()))
            .bind(table.name())
            .bind(metadata_location)
            .execute(&mut *self.transaction)
            .await;
        done.map(drop).map_err(|e| self.duplicate(e, table))
    }

    /// Renames a table; whether it was there. `TableAlreadyExists`.
    pub(crate) async fn rename_table(&mut self, from: &TableIdent, to: &TableIdent) -> Result<bool> {
        let sql = format!(
            "UPDATE iceberg_tables SET table_namespace = ?1, table_name = ?2 \
             WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5{}",
            only_tables(self.typed)
        );
        let done = sqlx::query(&sql)
            .bind(encode(to.namespace()))
            .bind(to.name())
            .bind(self.database.catalog())
            .bind(encode(from.namespace()))
            .bind(from.name())
            .execute(&mut *self.transaction)
            .await;
        done.map(|d| d.rows_affected() > 0).map_err(|e| self.duplicate(e, to))
    }

    /// Forgets a table; whether it was there.
    pub(crate) async fn delete_table(&mut self, table: &TableIdent) -> Result<bool> {
        let sql = format!(
            "DELETE FROM iceberg_tables \
             WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3{}",
            only_tables(self.typed)
        );
        let done = sqlx::query(&sql)
            .bind(self.database.catalog())
            .bind(encode(table.namespace()))
            .bind(table.name())
            .execute(&mut *self.transaction)
            .await;
        done.map(|d| d.rows_affected() > 0).map_err(|e| self.failed(e))
    }

    /// Makes the change last. `CommitStateUnknown` when it may or may not have become so.
    pub(crate) async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(|e| from_sqlite(e, &self.database.path))
    }

    /// A statement before the commit failed: nothing has changed.
    fn failed(&self, error: sqlx::Error) -> Error {
        certain(from_sqlite(error, &self.database.path))
    }

    fn duplicate(&self, error: sqlx::Error, table: &TableIdent) -> Error {
        if is_duplicate(&error) {
            return Error::new(
                ErrorKind::TableAlreadyExists,
                "a table or view of this name is there already",
            )
            .with_table(table);
        }
        self.failed(error)
    }
}

/// A namespace as the file keeps it: its parts joined by dots.
pub(crate) fn encode(namespace: &NamespaceIdent) -> String {
    namespace.join(".")
}

/// The range of the encoded namespaces below `namespace`. A range is exact where LIKE takes wildcards and
/// ignores case, and it uses the index.
fn below(namespace: &str) -> (String, String) {
    // '/' follows '.' in ASCII.
    (format!("{namespace}."), format!("{namespace}/"))
}

/// Views, which other engines keep in the same table, are no tables.
fn only_tables(typed: bool) -> &'static str {
    if typed { " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" } else { "" }
}

async fn exists(connection: &mut SqliteConnection, catalog: &str, name: &str) -> sqlx::Result<bool> {
    let (low, high) = below(name);
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 \
         AND (namespace = ?2 OR (namespace >= ?3 AND namespace < ?4))) \
         OR EXISTS (SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 \
         AND (table_namespace = ?2 OR (table_namespace >= ?3 AND table_namespace < ?4)))",
    )
    .bind(catalog)
    .bind(name)
    .bind(low)
    .bind(high)
    .fetch_one(connection)
    .await
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
