//! The catalog in a PostgreSQL database: the contract, lost connections, refusals.

#![allow(clippy::unwrap_used)]

mod cut;

use std::collections::HashMap;
use std::sync::Arc;

use cut::{Cut, Proxy};
use floe_catalog_local::LocalCatalogPlugin;
use floe_core::{
    CatalogClient, CatalogPlugin, CommitOutcome, Error, ErrorKind, LoadedTable, PluginConfig, Properties,
    Result, StorageClient, StoragePlugin,
};
use floe_storage_local::LocalStoragePlugin;
use floe_testkit::contract::catalog::{self, CatalogUnderTest};
use floe_testkit::services;
use iceberg::spec::Schema;
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableUpdate};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A database of its own, dropped with the value, and a warehouse of local files.
struct Lake {
    server: PgConnectOptions,
    database: String,
    _folder: tempfile::TempDir,
    storage: Arc<dyn StorageClient>,
}

impl Lake {
    /// `None` when tests with servers are left out. Names are sorted as in English there, unlike by their bytes.
    async fn new() -> Option<Self> {
        let [uri] = services::find(["FLOE_TEST_POSTGRES_URI"])?;
        let server: PgConnectOptions = uri.parse().unwrap();
        let database = format!("floe_{}", uuid::Uuid::new_v4().simple());
        let create = format!(
            "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' \
             LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        );
        run(&server, &create).await;
        let folder = tempfile::tempdir().unwrap();
        let properties = Properties::default().with("warehouse", folder.path().display().to_string());
        let storage =
            LocalStoragePlugin::new().connect(&PluginConfig::new("", &properties).unwrap()).await.unwrap();
        Some(Self { server, database, _folder: folder, storage })
    }

    fn uri(&self) -> String {
        self.uri_at(self.server.get_host(), self.server.get_port())
    }

    fn uri_at(&self, host: &str, port: u16) -> String {
        format!(
            "postgresql+psycopg2://{}:hunter2@{host}:{port}/{}",
            self.server.get_username(),
            self.database
        )
    }

    async fn open(&self) -> Arc<dyn CatalogClient> {
        self.open_at(&self.uri()).await.unwrap()
    }

    async fn open_at(&self, uri: &str) -> Result<Arc<dyn CatalogClient>> {
        open(uri, self.storage.clone()).await
    }

    async fn run(&self, sql: &str) {
        run(&self.server.clone().database(&self.database), sql).await;
    }

    async fn under_test(self) -> CatalogUnderTest {
        CatalogUnderTest {
            client: self.open().await,
            second: self.open().await,
            storage: self.storage.clone(),
            guard: Box::new(self),
        }
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.database));
        // The runtime of the test cannot be waited for here.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async { run(&server, &drop).await });
        });
        let _ = dropped.join();
    }
}

async fn open(uri: &str, storage: Arc<dyn StorageClient>) -> Result<Arc<dyn CatalogClient>> {
    let properties = Properties::default().with("uri", uri);
    LocalCatalogPlugin.connect(&PluginConfig::new("default", &properties).unwrap(), storage).await
}

async fn run(options: &PgConnectOptions, sql: &str) {
    let mut connection: PgConnection = options.connect().await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

fn space() -> NamespaceIdent {
    NamespaceIdent::new("ns".into())
}

async fn make_table(catalog: &dyn CatalogClient) -> LoadedTable {
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    let schema = Schema::builder().build().unwrap();
    catalog
        .create_table(&space(), TableCreation::builder().name("t".into()).schema(schema).build())
        .await
        .unwrap()
}

fn property(key: &str) -> [TableUpdate; 1] {
    [TableUpdate::SetProperties { updates: HashMap::from([(key.to_owned(), "x".to_owned())]) }]
}

fn failed<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("succeeded"),
        Err(error) => error,
    }
}

fn metadata_files(table: &LoadedTable) -> usize {
    let folder = table.metadata.location().strip_prefix("file://").unwrap();
    std::fs::read_dir(std::path::Path::new(folder).join("metadata")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_catalog_in_postgresql_holds_the_contract() {
    if Lake::new().await.is_none() {
        return;
    }
    catalog::run_all(|| async { Lake::new().await.expect("as before").under_test().await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn losers_leave_no_metadata_file() {
    let Some(lake) = Lake::new().await else { return };
    catalog::losers_leave_no_metadata_file(&lake.under_test().await).await;
}

#[tokio::test]
async fn reading_makes_no_tables_and_says_that_there_are_none() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    let error = failed(catalog.list_namespaces(None).await);
    assert_eq!(error.kind(), ErrorKind::FileNotFound, "{error}");
    assert!(error.to_string().contains(&lake.database), "{error}");
    assert!(!catalog.namespace_exists(&space()).await.unwrap());
    assert!(!catalog.table_exists(&TableIdent::new(space(), "t".into())).await.unwrap());
    let columns = "SELECT 1 FROM iceberg_tables";
    let mut connection = lake.server.clone().database(&lake.database).connect().await.unwrap();
    assert!(connection.execute(columns).await.is_err(), "no table was made");
    // Whoever comes second finds them made.
    let others =
        futures::future::join_all(
            (0..6).map(|i| {
                let catalog = catalog.clone();
                async move {
                    catalog.create_namespace(&NamespaceIdent::new(format!("n{i}")), HashMap::new()).await
                }
            }),
        );
    assert!(others.await.iter().all(std::result::Result::is_ok));
    assert_eq!(catalog.list_namespaces(None).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_commit_whose_connection_broke_is_unknown_and_leaves_its_file() {
    let Some(lake) = Lake::new().await else { return };
    let proxy = Proxy::start(lake.server.get_host().to_owned(), lake.server.get_port()).await;
    let uri = lake.uri_at("127.0.0.1", proxy.address.port());
    for (at, took_effect) in [(Cut::Request, false), (Cut::Reply, true)] {
        let catalog = lake.open_at(&uri).await.unwrap();
        if !catalog.namespace_exists(&space()).await.unwrap() {
            make_table(catalog.as_ref()).await;
        }
        let made = catalog.load_table(&TableIdent::new(space(), "t".into())).await.unwrap();
        let before = metadata_files(&made);
        proxy.cut(at);
        match catalog.commit(&made.ident, &[], &property(&format!("{at:?}"))).await.unwrap() {
            CommitOutcome::Unknown(error) => {
                assert_eq!(error.table(), Some("ns.t"));
                assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            }
            other => panic!("{at:?}: {other:?}"),
        }
        // The catalog goes on with another connection.
        let now = catalog.load_table(&made.ident).await.unwrap();
        assert_eq!(now.metadata.properties().contains_key(&format!("{at:?}")), took_effect);
        assert_eq!(metadata_files(&made), before + 1, "what may have been committed is not deleted");
    }
}

#[tokio::test]
async fn a_row_that_stays_locked_is_unavailable_and_leaves_nothing_behind() {
    let Some(lake) = Lake::new().await else { return };
    let properties = Properties::default().with("uri", lake.uri()).with("busy-timeout-ms", "50");
    let config = PluginConfig::new("default", &properties).unwrap();
    let catalog = LocalCatalogPlugin.connect(&config, lake.storage.clone()).await.unwrap();
    let made = make_table(catalog.as_ref()).await;
    let mut other = lake.server.clone().database(&lake.database).connect().await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    transaction.execute("SELECT * FROM iceberg_tables FOR UPDATE").await.unwrap();
    let error = failed(catalog.commit(&made.ident, &[], &property("a")).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(metadata_files(&made), 1);
    transaction.rollback().await.unwrap();
    assert!(matches!(
        catalog.commit(&made.ident, &[], &property("a")).await,
        Ok(CommitOutcome::Committed(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_take_turns_and_more_turns_than_connections_stop_nobody() {
    let Some(lake) = Lake::new().await else { return };
    let (one, two) = (lake.open().await, lake.open().await);
    let made = make_table(one.as_ref()).await;
    let held = one.turn(&made.ident).await;
    assert!(held.is_held());
    let (other, ident) = (two.clone(), made.ident.clone());
    let next = tokio::spawn(async move { other.turn(&ident).await.is_held() });
    drop(held);
    assert!(next.await.unwrap());

    let tables = (0..20).map(|i| TableIdent::new(space(), format!("t{i}")));
    let turns = futures::future::join_all(tables.map(|table| {
        let catalog = one.clone();
        async move { catalog.turn(&table).await }
    }));
    let turns = turns.await;
    assert!(turns.iter().all(floe_core::CommitTurn::is_held));
    assert!(matches!(one.commit(&made.ident, &[], &property("a")).await, Ok(CommitOutcome::Committed(_))));
}

#[tokio::test]
async fn a_user_without_rights_and_a_missing_database_are_named() {
    let Some(lake) = Lake::new().await else { return };
    make_table(lake.open().await.as_ref()).await;
    let role = format!("floe_{}", uuid::Uuid::new_v4().simple());
    lake.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")).await;
    let uri = lake.uri().replace(&format!("//{}:", lake.server.get_username()), &format!("//{role}:"));
    let stranger = lake.open_at(&uri).await.unwrap();
    let error = failed(stranger.load_table(&TableIdent::new(space(), "t".into())).await);
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    drop(stranger);
    lake.run(&format!("DROP ROLE {role}")).await;

    let missing = lake.uri().replace(&lake.database, "no_such_database");
    let error = failed(lake.open_at(&missing).await.unwrap().list_namespaces(None).await);
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert!(error.to_string().contains("no such database"), "{error}");

    let long = "n".repeat(256);
    let error = failed(lake.open().await.create_namespace(&NamespaceIdent::new(long), HashMap::new()).await);
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

/// Tables of the catalog's names in another schema of the search path, and functions in the place of PostgreSQL's own.
#[tokio::test]
async fn tables_in_the_shade_of_others_are_not_taken() {
    let Some(lake) = Lake::new().await else { return };
    let made = make_table(lake.open().await.as_ref()).await;
    // An operator that fits better than PostgreSQL's own would be called by every statement (CVE-2018-1058).
    lake.run(
        "CREATE TABLE public.ran (what text); \
         CREATE FUNCTION public.same(varchar, text) RETURNS boolean LANGUAGE sql VOLATILE AS \
         'INSERT INTO public.ran VALUES (''operator''); SELECT $1::text OPERATOR(pg_catalog.=) $2'; \
         CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.same); \
         CREATE FUNCTION public.pg_advisory_xact_lock(int, int) RETURNS void LANGUAGE sql AS \
         'INSERT INTO public.ran VALUES (''function'')'",
    )
    .await;
    let catalog = lake.open().await;
    catalog.load_table(&made.ident).await.unwrap();
    assert!(matches!(
        catalog.commit(&made.ident, &[], &property("a")).await,
        Ok(CommitOutcome::Committed(_))
    ));
    lake.run("DO $$ BEGIN ASSERT (SELECT count(*) FROM public.ran) OPERATOR(pg_catalog.=) 0::bigint; END $$")
        .await;

    // The user's own schema comes first in the path.
    let user = lake.server.get_username();
    lake.run(&format!(
        "CREATE SCHEMA \"{user}\"; CREATE TABLE \"{user}\".iceberg_tables (LIKE public.iceberg_tables)"
    ))
    .await;
    // An open catalog goes on with the tables it has found, a new one says that there are two.
    assert_eq!(catalog.list_tables(&space()).await.unwrap(), std::slice::from_ref(&made.ident));
    let error = failed(lake.open().await.list_tables(&space()).await);
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert!(error.to_string().contains("`schema`"), "{error}");
    let properties = Properties::default().with("uri", lake.uri()).with("schema", "public");
    let config = PluginConfig::new("default", &properties).unwrap();
    let named = LocalCatalogPlugin.connect(&config, lake.storage.clone()).await.unwrap();
    assert_eq!(named.list_tables(&space()).await.unwrap(), std::slice::from_ref(&made.ident));

    let properties = properties.with("schema", "lake \" x");
    lake.run("CREATE SCHEMA \"lake \"\" x\"").await;
    let config = PluginConfig::new("default", &properties).unwrap();
    let elsewhere = LocalCatalogPlugin.connect(&config, lake.storage.clone()).await.unwrap();
    elsewhere.create_namespace(&NamespaceIdent::new("other".into()), HashMap::new()).await.unwrap();
    assert_eq!(elsewhere.list_namespaces(None).await.unwrap(), [NamespaceIdent::new("other".into())]);
    assert_eq!(named.list_namespaces(None).await.unwrap(), [space()]);
}

/// A server that answers the first message of each connection with an error, or not at all.
async fn refusing(code: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                while client.read(&mut asked).await.is_ok_and(|n| n > 0) {
                    // The request for TLS has this number; the answer is no.
                    if asked[4..8] == 80_877_103_u32.to_be_bytes() {
                        client.write_all(b"N").await.unwrap();
                    } else if let Some(code) = code {
                        let fields = format!("SFATAL\0VFATAL\0C{code}\0Mno\0\0");
                        let length = (fields.len() as u32 + 4).to_be_bytes();
                        client.write_all(&[b"E", &length[..], fields.as_bytes()].concat()).await.unwrap();
                        return;
                    }
                }
            });
        }
    });
    format!("postgresql://ann:hunter2@127.0.0.1:{port}/lake?connect_timeout=1")
}

#[tokio::test]
async fn each_reason_why_there_is_no_connection_is_named_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let properties = Properties::default().with("warehouse", folder.path().display().to_string());
    let storage =
        LocalStoragePlugin::new().connect(&PluginConfig::new("", &properties).unwrap()).await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let cases = [
        (refusing(Some("28P01")).await, ErrorKind::Unauthenticated, "user or password"),
        (refusing(Some("28000")).await, ErrorKind::Unauthenticated, "pg_hba.conf"),
        (refusing(Some("53300")).await, ErrorKind::Unavailable, "no more connections"),
        (refusing(Some("57P03")).await, ErrorKind::Unavailable, "starting or stopping"),
        (refusing(None).await, ErrorKind::Unavailable, "did not answer"),
        (refusing(None).await + "&sslmode=require", ErrorKind::Io, "TLS"),
        (
            format!("postgresql://ann:hunter2@127.0.0.1:{closed}/lake"),
            ErrorKind::Unavailable,
            "nothing listens",
        ),
        (
            "postgresql://ann:hunter2@no-such-host.invalid/lake".to_owned(),
            ErrorKind::Unavailable,
            "name cannot be resolved",
        ),
    ];
    for (uri, kind, said) in cases {
        let catalog = open(&uri, storage.clone()).await.unwrap();
        let error = failed(catalog.list_namespaces(None).await);
        assert_eq!(error.kind(), kind, "{said}: {error}");
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert!(!format!("{error:?} {catalog:?}").contains("hunter2"), "{error:?} {catalog:?}");
    }
}
