//! The database: where it is, and one function for each statement of the catalog, the same for SQLite and PostgreSQL.

mod layout;
#[cfg(feature = "postgres")]
mod postgres;
mod session;
mod sqlite;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use floe_core::{CommitTurn, Error, ErrorKind, Result, TaskQueues, names};
use iceberg::{NamespaceIdent, TableIdent};
use tokio::time::Instant;

use crate::error::is_duplicate;
use crate::turn::PATIENCE;

use layout::{Layout, bounded};
#[cfg(feature = "postgres")]
pub(crate) use postgres::PostgresStore;
use session::{Session, Store, Transaction};
use sqlite::SqliteStore;

const SCHEMA: &str = include_str!("../schema.sql");
/// The property that PyIceberg and Java give to a namespace which has no other.
const EXISTS: (&str, &str) = ("exists", "true");

/// One catalog in a database.
#[derive(Debug)]
pub(crate) struct Database {
    store: Box<dyn Store>,
    catalog: String,
    tasks: TaskQueues,
}

/// A change in progress; rolled back unless it is committed.
pub(crate) struct Change<'a> {
    database: &'a Database,
    transaction: Box<dyn Transaction>,
    layout: Layout,
}

impl Database {
    /// The catalog called `catalog` in the SQLite file at `path`. Touches nothing yet.
    pub(crate) fn sqlite(path: PathBuf, catalog: String, busy_timeout: Duration) -> Self {
        Self::new(Box::new(SqliteStore::new(path, busy_timeout)), catalog)
    }

    /// The catalog called `catalog` in a PostgreSQL database. Connects to nothing yet.
    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(store: PostgresStore, catalog: String) -> Self {
        Self::new(Box::new(store), catalog)
    }

    fn new(store: Box<dyn Store>, catalog: String) -> Self {
        Self { store, catalog, tasks: TaskQueues::default() }
    }

    pub(crate) fn catalog(&self) -> &str {
        &self.catalog
    }

    /// Makes the database's tables where they are missing.
    pub(crate) async fn set_up(&self) -> Result<()> {
        self.store.set_up().await
    }

    /// Whether the database's tables are there.
    pub(crate) async fn is_set_up(&self) -> Result<bool> {
        match self.store.read().await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Waits for a turn at committing to a table, first among the tasks of this process, then among processes.
    pub(crate) async fn turn(&self, table: &TableIdent) -> CommitTurn {
        let deadline = Instant::now() + PATIENCE;
        let Some(task) = self.tasks.wait(table, PATIENCE).await else { return CommitTurn::none() };
        let process = self.store.turn(table, deadline).await;
        // In this order: the turn among processes ends before the next task of this one asks for it.
        CommitTurn::holding((process, task))
    }

    /// Where the metadata of a table is, or `None` where there is no such table.
    pub(crate) async fn metadata_location(&self, table: &TableIdent) -> Result<Option<String>> {
        let (mut session, layout) = self.store.read().await?;
        let sql = format!(
            "SELECT {} FROM {} \
             WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3{}",
            bounded("metadata_location"),
            layout.tables(),
            layout.only_tables()
        );
        let found = session.rows(&sql, &[&self.catalog, &encode(table.namespace()), table.name()]).await;
        let found = self.believed(found.map_err(|e| self.unchanged(e))?, 1)?;
        Ok(found.into_iter().flatten().next().flatten())
    }

    /// Makes `to` the metadata of a table if it is still `from`; whether it was.
    ///
    /// One statement in a transaction of its own, so that a failure to have the lock changed nothing.
    pub(crate) async fn swap(&self, table: &TableIdent, from: &str, to: &str) -> Result<bool> {
        let (mut session, layout) = self.store.swap().await?;
        let sql = format!(
            "UPDATE {} SET metadata_location = $1, previous_metadata_location = $2 \
             WHERE catalog_name = $3 AND table_namespace = $4 AND table_name = $5 \
             AND metadata_location = $2{}",
            layout.tables(),
            layout.only_tables()
        );
        let values = [to, from, &self.catalog, &encode(table.namespace()), table.name()];
        Ok(session.run(&sql, &values).await.map_err(|e| self.store.failed(e))? > 0)
    }

    /// The names of the tables of a namespace, sorted.
    pub(crate) async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<String>> {
        let (mut session, layout) = self.store.read().await?;
        let sql = format!(
            "SELECT {} FROM {} WHERE catalog_name = $1 AND table_namespace = $2{} ORDER BY table_name{}",
            bounded("table_name"),
            layout.tables(),
            layout.only_tables(),
            self.store.by_bytes()
        );
        let found = session.rows(&sql, &[&self.catalog, &encode(namespace)]).await;
        let found = self.believed(found.map_err(|e| self.unchanged(e))?, 1)?;
        Ok(found.into_iter().flatten().flatten().collect())
    }

    /// Every namespace below `parent` at any depth, or all; encoded.
    pub(crate) async fn namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<String>> {
        let (mut session, layout) = self.store.read().await?;
        let (low, high) = parent.map(|parent| below(&encode(parent))).unwrap_or_default();
        let mut values = vec![self.catalog.as_str()];
        if parent.is_some() {
            values.extend([low.as_str(), high.as_str()]);
        }
        let within = |column| parent.map(|_| format!(" AND {}", self.between(column, 2))).unwrap_or_default();
        let sql = format!(
            "SELECT {} FROM {} WHERE catalog_name = $1{} UNION SELECT {} FROM {} WHERE catalog_name = $1{}",
            bounded("table_namespace"),
            layout.tables(),
            within("table_namespace"),
            bounded("namespace"),
            layout.namespaces(),
            within("namespace")
        );
        let found = session.rows(&sql, &values).await.map_err(|e| self.unchanged(e))?;
        Ok(self.believed(found, 1)?.into_iter().flatten().flatten().collect())
    }

    /// Whether a namespace is there, by itself or by something in it.
    pub(crate) async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        let (mut session, layout) = self.store.read().await?;
        self.exists(session.as_mut(), &layout, namespace).await
    }

    /// The properties of a namespace, without the one that only says that it exists.
    pub(crate) async fn properties(&self, namespace: &NamespaceIdent) -> Result<HashMap<String, String>> {
        let (mut session, layout) = self.store.read().await?;
        let sql = format!(
            "SELECT {}, {} FROM {} WHERE catalog_name = $1 AND namespace = $2",
            bounded("property_key"),
            bounded("property_value"),
            layout.namespaces()
        );
        let found = session.rows(&sql, &[&self.catalog, &encode(namespace)]).await;
        let pairs = self.believed(found.map_err(|e| self.unchanged(e))?, 2)?.into_iter().filter_map(|row| {
            let mut row = row.into_iter();
            Some((row.next()??, row.next()?.unwrap_or_default()))
        });
        Ok(pairs.filter(|(key, value)| (key.as_str(), value.as_str()) != EXISTS).collect())
    }

    /// Begins a change, which no other change of the catalog interleaves with.
    pub(crate) async fn change(&self) -> Result<Change<'_>> {
        let (transaction, layout) = self.store.change().await?;
        Ok(Change { database: self, transaction, layout })
    }

    async fn exists(
        &self,
        session: &mut dyn Session,
        layout: &Layout,
        namespace: &NamespaceIdent,
    ) -> Result<bool> {
        let name = encode(namespace);
        let (low, high) = below(&name);
        let sql = format!(
            "SELECT '1' WHERE EXISTS (SELECT 1 FROM {} WHERE catalog_name = $1 \
             AND (namespace = $2 OR ({}))) \
             OR EXISTS (SELECT 1 FROM {} WHERE catalog_name = $1 \
             AND (table_namespace = $2 OR ({})))",
            layout.namespaces(),
            self.between("namespace", 3),
            layout.tables(),
            self.between("table_namespace", 3)
        );
        let found = session.rows(&sql, &[&self.catalog, &name, &low, &high]).await;
        Ok(!found.map_err(|e| self.unchanged(e))?.is_empty())
    }

    /// That a column is in the range from parameter `first`, inclusive, to the next one, exclusive; see [`below`].
    fn between(&self, column: &str, first: usize) -> String {
        let column = format!("{column}{}", self.store.by_bytes());
        format!("{column} >= ${first} AND {column} < ${}", first + 1)
    }

    /// Rows of `values` columns by [`bounded`], as the values. `Corrupted` where one is too long to be believed.
    fn believed(&self, rows: Vec<Vec<Option<String>>>, values: usize) -> Result<Vec<Vec<Option<String>>>> {
        let too_long = |row: &Vec<Option<String>>| row.iter().skip(1).step_by(2).any(Option::is_some);
        if rows.iter().any(too_long) {
            return Err(self.store.no_catalog("holds a name, a location or a property that is far too long"));
        }
        Ok(rows.into_iter().map(|row| row.into_iter().step_by(2).take(values).collect()).collect())
    }

    /// A failure of a statement that changes nothing, or not yet.
    fn unchanged(&self, error: sqlx::Error) -> Error {
        self.store.unchanged(error)
    }
}

impl Change<'_> {
    /// Whether a namespace is there.
    pub(crate) async fn namespace_exists(&mut self, namespace: &NamespaceIdent) -> Result<bool> {
        let session: &mut dyn Session = self.transaction.as_mut();
        self.database.exists(session, &self.layout, namespace).await
    }

    /// Whether a table or namespace is in a namespace.
    pub(crate) async fn namespace_is_used(&mut self, namespace: &NamespaceIdent) -> Result<bool> {
        let name = encode(namespace);
        let (low, high) = below(&name);
        let sql = format!(
            "SELECT '1' WHERE EXISTS (SELECT 1 FROM {} WHERE catalog_name = $1 \
             AND (table_namespace = $2 OR ({}))) \
             OR EXISTS (SELECT 1 FROM {} WHERE catalog_name = $1 AND {})",
            self.layout.tables(),
            self.database.between("table_namespace", 3),
            self.layout.namespaces(),
            self.database.between("namespace", 3)
        );
        let found = self.transaction.rows(&sql, &[&self.database.catalog, &name, &low, &high]).await;
        Ok(!found.map_err(|e| self.database.unchanged(e))?.is_empty())
    }

    /// Sets and removes properties of a namespace; one that would have none gets the one that says it exists.
    pub(crate) async fn set_properties(
        &mut self,
        namespace: &NamespaceIdent,
        set: &HashMap<String, String>,
        remove: &[String],
    ) -> Result<()> {
        let (name, place) = (encode(namespace), self.layout.namespaces());
        for key in remove {
            let sql = format!(
                "DELETE FROM {place} WHERE catalog_name = $1 AND namespace = $2 AND property_key = $3"
            );
            self.run(&sql, &[&self.database.catalog, &name, key]).await?;
        }
        for (key, value) in set {
            let sql = format!(
                "INSERT INTO {place} (catalog_name, namespace, property_key, property_value) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (catalog_name, namespace, property_key) \
                 DO UPDATE SET property_value = excluded.property_value"
            );
            self.run(&sql, &[&self.database.catalog, &name, key, value]).await?;
        }
        let sql = format!(
            "INSERT INTO {place} (catalog_name, namespace, property_key, property_value) \
             SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM {place} \
             WHERE catalog_name = $1 AND namespace = $2)"
        );
        self.run(&sql, &[&self.database.catalog, &name, EXISTS.0, EXISTS.1]).await.map(drop)
    }

    /// Forgets the properties of a namespace, and so the namespace, if it is not used.
    pub(crate) async fn drop_namespace(&mut self, namespace: &NamespaceIdent) -> Result<()> {
        let place = self.layout.namespaces();
        let sql = format!("DELETE FROM {place} WHERE catalog_name = $1 AND namespace = $2");
        self.run(&sql, &[&self.database.catalog, &encode(namespace)]).await.map(drop)
    }

    /// Adds a table. `TableAlreadyExists`.
    pub(crate) async fn insert_table(&mut self, table: &TableIdent, metadata_location: &str) -> Result<()> {
        let (column, value) = if self.layout.typed { (", iceberg_type", ", 'TABLE'") } else { ("", "") };
        let sql = format!(
            "INSERT INTO {} (catalog_name, table_namespace, table_name, metadata_location{column}) \
             VALUES ($1, $2, $3, $4{value})",
            self.layout.tables()
        );
        let values = [&self.database.catalog, &encode(table.namespace()), table.name(), metadata_location];
        self.run_for(&sql, &values, table).await.map(drop)
    }

    /// Renames a table; whether it was there. `TableAlreadyExists`.
    pub(crate) async fn rename_table(&mut self, from: &TableIdent, to: &TableIdent) -> Result<bool> {
        let sql = format!(
            "UPDATE {} SET table_namespace = $1, table_name = $2 \
             WHERE catalog_name = $3 AND table_namespace = $4 AND table_name = $5{}",
            self.layout.tables(),
            self.layout.only_tables()
        );
        let (target, source) = (encode(to.namespace()), encode(from.namespace()));
        let values = [&target, to.name(), &self.database.catalog, &source, from.name()];
        Ok(self.run_for(&sql, &values, to).await? > 0)
    }

    /// Forgets a table; whether it was there.
    pub(crate) async fn delete_table(&mut self, table: &TableIdent) -> Result<bool> {
        let sql = format!(
            "DELETE FROM {} WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3{}",
            self.layout.tables(),
            self.layout.only_tables()
        );
        Ok(self.run(&sql, &[&self.database.catalog, &encode(table.namespace()), table.name()]).await? > 0)
    }

    /// Makes the change last. `CommitStateUnknown` when it may or may not have become so.
    pub(crate) async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(|e| self.database.store.failed(e))
    }

    /// A statement before the commit: where it fails nothing has changed.
    async fn run(&mut self, sql: &str, values: &[&str]) -> Result<u64> {
        self.transaction.run(sql, values).await.map_err(|e| self.database.unchanged(e))
    }

    /// A statement that gives `table` its name. `TableAlreadyExists`.
    async fn run_for(&mut self, sql: &str, values: &[&str], table: &TableIdent) -> Result<u64> {
        self.transaction.run(sql, values).await.map_err(|e| match e {
            e if is_duplicate(&e) => names::table_exists(table),
            e => self.database.unchanged(e),
        })
    }
}

/// A namespace as the database keeps it: its parts joined by dots.
pub(crate) fn encode(namespace: &NamespaceIdent) -> String {
    namespace.join(".")
}

/// The range of the encoded namespaces below `namespace`. A range is exact where LIKE takes wildcards and
/// ignores case, and it uses the index.
fn below(namespace: &str) -> (String, String) {
    // '/' follows '.' in ASCII.
    (format!("{namespace}."), format!("{namespace}/"))
}
