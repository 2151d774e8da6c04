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
use super::layout::Layout;
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
/// Functions and operators are those of PostgreSQL, whatever others made in the schemas of the search path
/// (CVE-2018-1058); tables are named with their schema.
const PINNED: &str = "SET search_path = pg_catalog";

/// A PostgreSQL database.
pub(crate) struct PostgresStore {
    options: PgConnectOptions,
    connect_timeout: Duration,
    pool: PgPool,
    /// The schema that the configuration names.
    schema: Option<String>,
    /// Where the tables are, once they are there.
    layout: OnceCell<Layout>,
    /// Turns hold a connection each: there must be some left for what is done in a turn.
    turns: Arc<Semaphore>,
}

impl PostgresStore {
    /// The database of `options`. Connects to nothing yet.
    pub(crate) fn new(
        options: PgConnectOptions,
        schema: Option<String>,
        connect_timeout: Duration,
        lock_timeout: Duration,
    ) -> Self {
        let settings = format!(
            "{PINNED}; SET statement_timeout = {}; SET lock_timeout = {}",
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
        Self { options, connect_timeout, pool, schema, layout: OnceCell::new(), turns }
    }

    /// Where it is, for people; without the password.
    pub(crate) fn place(&self) -> String {
        let options = &self.options;
        let database = options.get_database().unwrap_or(options.get_username());
        format!("database {} at {}:{}", shown(database), shown(options.get_host()), options.get_port())
    }

    /// A connection of its own, made at once: the pool would hide why there is none.
    async fn connect(&self, wait: Duration) -> Result<PgConnection> {
        match timeout(wait, PgConnection::connect_with(&self.options)).await {
            Ok(connected) => connected.map_err(|e| not_connected(e, &self.place())),
            Err(_) => Err(unreachable(&self.place(), "it did not answer in time")),
        }
    }

    /// Where the tables are. `FileNotFound` without tables, `Validation` where several schemas have some.
    async fn layout(&self) -> Result<Layout> {
        let look = || async {
            let mut connection = self.connect(self.connect_timeout).await?;
            let found = self.look(&mut connection).await?;
            let _ = limited(connection.close()).await;
            found.ok_or_else(|| not_set_up(&self.place()))
        };
        self.layout.get_or_try_init(look).await.cloned()
    }

    /// Where the tables are, if they are there; the connection's search path is pinned then.
    ///
    /// Without a configured schema those of the user's search path are looked at: where one alone has the tables, it
    /// is it. Of several none is chosen: whoever may make a table in a schema that comes first in the path could put
    /// the user's tables in the shade.
    async fn look(&self, connection: &mut PgConnection) -> Result<Option<Layout>> {
        let failed = |e| self.unchanged(e);
        let path: Vec<String> = if let Some(schema) = &self.schema {
            vec![schema.clone()]
        } else {
            let sql = "SELECT pg_catalog.unnest(pg_catalog.current_schemas(false))::pg_catalog.text";
            limited(sqlx::query_scalar(sql).fetch_all(&mut *connection)).await.map_err(failed)?
        };
        limited(connection.execute(PINNED)).await.map_err(failed)?;
        let sql = "SELECT n.nspname::text, a.attname::text FROM pg_class c \
                   JOIN pg_namespace n ON n.oid = c.relnamespace \
                   JOIN pg_attribute a ON a.attrelid = c.oid \
                   WHERE c.relname = 'iceberg_tables' AND a.attnum > 0 AND NOT a.attisdropped";
        let columns: Vec<(String, String)> =
            limited(sqlx::query_as(sql).fetch_all(&mut *connection)).await.map_err(failed)?;
        match chosen(&path, &columns) {
            Chosen::Nothing => Ok(None),
            Chosen::One(layout) => Ok(Some(layout)),
            Chosen::Several(schemas) => Err(Error::validation(format!(
                "{}: the tables of a catalog are in several schemas of the search path: {}",
                self.place(),
                schemas.iter().map(|s| s.escape_debug().to_string()).collect::<Vec<_>>().join(", ")
            ))
            .with_hint("set `schema` to the one that is meant")),
        }
    }

    async fn acquire(&self) -> Result<(PoolConnection<Postgres>, Layout)> {
        let layout = self.layout().await?;
        match self.pool.acquire().await {
            Ok(connection) => Ok((connection, layout)),
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
        let first = if self.schema.is_some() {
            self.schema.clone()
        } else {
            let sql = "SELECT pg_catalog.current_schema()::pg_catalog.text";
            limited(sqlx::query_scalar(sql).fetch_one(&mut connection))
                .await
                .map_err(|e| self.unchanged(e))?
        };
        let layout = match (self.look(&mut connection).await?, first) {
            (Some(found), _) => found,
            (None, Some(schema)) => Layout { schema: Some(schema), typed: true },
            (None, None) => {
                let why = format!("{}: no schema of the user's search path is there", self.place());
                return Err(Error::validation(why).with_hint("set `schema` to one that is"));
            }
        };
        let tables = SCHEMA
            .replace("iceberg_tables", &layout.tables())
            .replace("iceberg_namespace_properties", &layout.namespaces());
        // "IF NOT EXISTS" alone fails where two do it at once.
        let script = format!("BEGIN;\nSELECT pg_advisory_xact_lock({LOCKS}, {CHANGES});\n{tables}\nCOMMIT;");
        limited(connection.execute(script.as_str())).await.map_err(|e| self.unchanged(e))?;
        let _ = limited(connection.close()).await;
        Ok(())
    }

    async fn read(&self) -> Result<(Box<dyn Session>, Layout)> {
        let (connection, layout) = self.acquire().await?;
        Ok((Box::new(connection), layout))
    }

    async fn swap(&self) -> Result<(Box<dyn Session>, Layout)> {
        self.read().await
    }

    async fn change(&self) -> Result<(Box<dyn Transaction>, Layout)> {
        let layout = self.layout().await?;
        let begun = async {
            let mut transaction = limited(self.pool.begin()).await?;
            transaction.run(&format!("SELECT pg_advisory_xact_lock({LOCKS}, {CHANGES})"), &[]).await?;
            Ok(transaction)
        };
        let transaction = begun.await.map_err(|e: sqlx::Error| self.unchanged(e))?;
        Ok((Box::new(transaction), layout))
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

    fn no_catalog(&self, why: &str) -> Error {
        Error::new(ErrorKind::Corrupted, format!("{}: it {why}", self.place()))
            .with_hint("check `uri` and `schema`, and who may write to the tables iceberg_*")
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

/// Which schema the catalog's tables are taken from.
#[derive(Debug, PartialEq, Eq)]
enum Chosen {
    Nothing,
    One(Layout),
    Several(Vec<String>),
}

/// Chooses among the schemas of `path`, where `columns` are those of every table `iceberg_tables`, by schema.
fn chosen(path: &[String], columns: &[(String, String)]) -> Chosen {
    let has = |schema: &&String| columns.iter().any(|(of, _)| of == *schema);
    let mut schemas: Vec<String> = path.iter().filter(has).cloned().collect();
    match (schemas.len(), schemas.pop()) {
        (1, Some(schema)) => {
            let typed = columns.iter().any(|(of, column)| *of == schema && column == "iceberg_type");
            Chosen::One(Layout { schema: Some(schema), typed })
        }
        (_, Some(last)) => {
            schemas.push(last);
            Chosen::Several(schemas)
        }
        (_, None) => Chosen::Nothing,
    }
}

/// A name of the URI for people. One with other characters than names have may be a part of a password that was not
/// encoded.
fn shown(name: &str) -> &str {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '[' | ']' | ':');
    // Of the marks, `:` stands in addresses alone.
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    if name.chars().all(plain) && (address || !name.contains([':', '[', ']'])) { name } else { "***" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_taken_from_one_schema_and_from_none_where_there_are_several() {
        let path: Vec<String> = ["ann", "public"].map(Into::into).into();
        let column = |schema: &str, name: &str| (schema.to_owned(), name.to_owned());
        let one = |schema: &str, typed| Chosen::One(Layout { schema: Some(schema.into()), typed });
        assert_eq!(chosen(&path, &[]), Chosen::Nothing);
        assert_eq!(chosen(&path, &[column("other", "iceberg_type")]), Chosen::Nothing);
        let typed = [column("public", "table_name"), column("public", "iceberg_type")];
        assert_eq!(chosen(&path, &typed), one("public", true));
        assert_eq!(chosen(&path, &[column("ann", "a"), column("x", "iceberg_type")]), one("ann", false));
        let both = [column("ann", "table_name"), column("public", "table_name")];
        assert_eq!(chosen(&path, &both), Chosen::Several(path.clone()));
    }

    #[test]
    fn a_name_that_may_be_a_part_of_a_password_is_not_shown() {
        for name in ["db.example", "lake_2", "/run/postgresql", "127.0.0.1", "[::1]", "::1", "größe"] {
            assert_eq!(shown(name), name);
        }
        for name in ["ann:pw", "pw@db", "a%40b", "password=x", "a b", "a?b", "[x]"] {
            assert_eq!(shown(name), "***", "{name}");
        }
    }
}
