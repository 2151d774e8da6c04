//! The catalog file: when it is made, who made it, and what goes wrong with it.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use floe_catalog_local::{LocalCatalog, LocalCatalogPlugin};
use floe_core::{
    CatalogClient, CommitOutcome, Error, ErrorKind, LoadedTable, PluginConfig, Properties, StorageClient,
    StoragePlugin, metadata_file,
};
use floe_storage_local::LocalStoragePlugin;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, SqliteConnection};

struct Lake {
    folder: tempfile::TempDir,
    storage: Arc<dyn StorageClient>,
}

impl Lake {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let properties = Properties::default().with("warehouse", folder.path().display().to_string());
        let config = PluginConfig::new("", &properties).unwrap();
        let storage = LocalStoragePlugin::new().connect(&config).await.unwrap();
        Self { folder, storage }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("catalog.db")
    }

    /// A client with a pool of its own.
    fn open(&self) -> LocalCatalog {
        let properties = Properties::default().with("busy-timeout-ms", "30000");
        LocalCatalogPlugin.open(&PluginConfig::new("", &properties).unwrap(), self.storage.as_ref()).unwrap()
    }

    fn open_impatient(&self) -> LocalCatalog {
        let properties = Properties::default().with("busy-timeout-ms", "20");
        LocalCatalogPlugin.open(&PluginConfig::new("", &properties).unwrap(), self.storage.as_ref()).unwrap()
    }

    async fn sql(&self, script: &str) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file()).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute(script).await.unwrap();
        connection
    }
}

fn metadata_files(table: &LoadedTable) -> usize {
    let folder = table.metadata.location().strip_prefix("file://").unwrap();
    std::fs::read_dir(Path::new(folder).join("metadata")).unwrap().count()
}

fn space() -> NamespaceIdent {
    NamespaceIdent::new("ns".into())
}

fn ident() -> TableIdent {
    TableIdent::new(space(), "t".into())
}

fn creation() -> TableCreation {
    let field = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into();
    let schema = Schema::builder().with_fields(vec![field]).build().unwrap();
    TableCreation::builder().name("t".into()).schema(schema).build()
}

async fn make_table(catalog: &LocalCatalog) -> LoadedTable {
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    catalog.create_table(&space(), creation()).await.unwrap()
}

fn property(key: &str) -> TableUpdate {
    TableUpdate::SetProperties { updates: HashMap::from([(key.to_owned(), "x".to_owned())]) }
}

fn failed<T>(result: floe_core::Result<T>) -> Error {
    match result {
        Ok(_) => panic!("succeeded"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn reading_makes_no_file_and_says_that_there_is_none() {
    let lake = Lake::new().await;
    let catalog = lake.open();
    let errors = [
        failed(catalog.list_namespaces(None).await),
        failed(catalog.load_table(&ident()).await),
        failed(catalog.list_tables(&space()).await),
        failed(catalog.commit(&ident(), &[], &[property("a")]).await),
        failed(catalog.drop_table(&ident()).await),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::FileNotFound, "{error}");
        assert!(error.to_string().contains("there is no catalog in"), "{error}");
    }
    assert!(!catalog.table_exists(&ident()).await.unwrap());
    assert!(!catalog.namespace_exists(&space()).await.unwrap());
    let error = failed(catalog.create_table(&space(), creation()).await);
    assert_eq!(error.kind(), ErrorKind::NoSuchNamespace);
    assert_eq!(std::fs::read_dir(lake.folder.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test]
async fn the_first_write_makes_one_file_in_a_folder_that_need_not_be_there() {
    let mut lake = Lake::new().await;
    let warehouse = lake.folder.path().join("deep").join("lake");
    let properties = Properties::default().with("warehouse", warehouse.display().to_string());
    let config = PluginConfig::new("", &properties).unwrap();
    lake.storage = LocalStoragePlugin::new().connect(&config).await.unwrap();
    let catalog = lake.open();
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    let names: Vec<_> = std::fs::read_dir(&warehouse).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names, ["catalog.db"], "no journal is left beside it");
    assert_eq!(catalog.path(), Some(warehouse.join("catalog.db").as_path()));
    assert_eq!(catalog.name(), "default");
}

#[tokio::test]
async fn set_up_again_keeps_what_is_there() {
    let lake = Lake::new().await;
    let made = make_table(&lake.open()).await;
    lake.open().set_up().await.unwrap();
    assert_eq!(lake.open().load_table(&ident()).await.unwrap().metadata, made.metadata);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pools_that_set_up_one_file_at_once_all_succeed() {
    let lake = Lake::new().await;
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let catalog = lake.open();
            let name = NamespaceIdent::new(format!("n{i}"));
            tokio::spawn(async move { catalog.create_namespace(&name, HashMap::new()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(lake.open().list_namespaces(None).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupted_and_stays_as_it_is() {
    let lake = Lake::new().await;
    let text = "id,name\n1,ann\n".repeat(100);
    std::fs::write(lake.file(), &text).unwrap();
    let catalog = lake.open();
    for error in [
        failed(catalog.load_table(&ident()).await),
        failed(catalog.namespace_exists(&space()).await),
        failed(catalog.create_namespace(&space(), HashMap::new()).await),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        assert!(error.to_string().contains("catalog.db"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(lake.file()).unwrap(), text);
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_file_is_named() {
    let lake = Lake::new().await;
    std::fs::create_dir(lake.file()).unwrap();
    let error = failed(lake.open().load_table(&ident()).await);
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_unavailable_and_leaves_nothing_behind() {
    let lake = Lake::new().await;
    let made = make_table(&lake.open()).await;
    let catalog = lake.open_impatient();
    let mut holder = lake.sql("BEGIN EXCLUSIVE").await;
    let error = failed(catalog.load_table(&ident()).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    holder.execute("ROLLBACK; BEGIN IMMEDIATE").await.unwrap();
    let read = catalog.load_table(&ident()).await.unwrap();
    assert_eq!(read.metadata, made.metadata, "a writer does not stop readers before it commits");
    let refused = [
        failed(catalog.commit(&ident(), &[], &[property("a")]).await),
        failed(catalog.create_namespace(&NamespaceIdent::new("other".into()), HashMap::new()).await),
        failed(catalog.drop_table(&ident()).await),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.hint().unwrap().contains("busy-timeout-ms"), "{error}");
    }
    assert_eq!(metadata_files(&made), 1, "the refused commit's metadata file is gone");
    holder.execute("ROLLBACK").await.unwrap();
    let outcome = catalog.commit(&ident(), &[], &[property("a")]).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed(_)));
}

/// What PyIceberg 0.12 writes: tables of schema V1, a view, the property `exists`.
const PYICEBERG: &str = "
CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),
  iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL,
  PRIMARY KEY (catalog_name, namespace, property_key));
INSERT INTO iceberg_namespace_properties VALUES ('default', 'ns', 'exists', 'true'),
  ('default', 'with.props', 'location', 'file:///elsewhere/'), ('other', 'hidden', 'exists', 'true');
INSERT INTO iceberg_tables VALUES ('default', 'ns', 'typed', '@', NULL, 'TABLE'),
  ('default', 'ns', 'untyped', '@', NULL, NULL), ('default', 'ns', 'view', '@', NULL, 'VIEW'),
  ('default', 'implicit.inner', 't', '@', NULL, NULL), ('default', '', 't', '@', NULL, NULL),
  ('default', 'odd..row', 't', '@', NULL, NULL), ('other', 'ns', 'foreign', '@', NULL, 'TABLE');
";

/// Puts a metadata file beside the catalog; its location.
async fn metadata(lake: &Lake) -> String {
    let mut creation = creation();
    creation.location = Some(format!("{}/ns/typed", lake.storage.warehouse()));
    let metadata = metadata_file::create(creation).unwrap();
    let location = metadata_file::next_location(&metadata, None).unwrap();
    metadata_file::write(&lake.storage.file_io(), &location, &metadata).await.unwrap();
    location
}

#[tokio::test]
async fn a_file_of_pyiceberg_opens_and_stays_in_its_layout() {
    let lake = Lake::new().await;
    let location = metadata(&lake).await;
    let mut connection = lake.sql(&PYICEBERG.replace('@', &location)).await;
    let catalog = lake.open();
    let named = |name: &str| TableIdent::new(space(), name.into());
    assert_eq!(catalog.list_tables(&space()).await.unwrap(), [named("typed"), named("untyped")]);
    let spaces: Vec<_> = catalog.list_namespaces(None).await.unwrap().iter().map(|n| n.to_string()).collect();
    assert_eq!(spaces, ["implicit", "ns", "odd", "with"], "another catalog's are not listed");
    let odd = NamespaceIdent::new("odd".into());
    assert!(catalog.list_namespaces(Some(&odd)).await.unwrap().is_empty(), "a level without a name is none");
    assert!(catalog.list_tables(&odd).await.unwrap().is_empty());
    let beside = TableCreation { name: "view".into(), ..creation() };
    let taken = failed(catalog.create_table(&space(), beside).await);
    assert_eq!(taken.kind(), ErrorKind::TableAlreadyExists, "a view has the name: {taken}");
    assert!(catalog.load_namespace(&space()).await.unwrap().properties().is_empty());
    assert_eq!(failed(catalog.load_table(&named("view")).await).kind(), ErrorKind::NoSuchTable);
    assert_eq!(failed(catalog.drop_table(&named("view")).await).kind(), ErrorKind::NoSuchTable);
    let renamed = catalog.rename_table(&named("typed"), &named("view")).await;
    assert_eq!(failed(renamed).kind(), ErrorKind::TableAlreadyExists);

    for name in ["typed", "untyped"] {
        let outcome = catalog.commit(&named(name), &[], &[property("a")]).await.unwrap();
        let CommitOutcome::Committed(after) = outcome else { panic!("{outcome:?}") };
        let row: (String, String) = sqlx::query_as(
            "SELECT metadata_location, previous_metadata_location FROM iceberg_tables \
             WHERE catalog_name = 'default' AND table_name = ?",
        )
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(row, (after.metadata_location, location.clone()));
    }
    catalog.create_table(&space(), creation()).await.unwrap();
    let kind: String = sqlx::query_scalar(
        "SELECT iceberg_type FROM iceberg_tables WHERE table_name = 't' AND table_namespace = 'ns'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(kind, "TABLE");
}

#[tokio::test]
async fn a_file_of_schema_version_0_opens_and_is_not_migrated() {
    let lake = Lake::new().await;
    let location = metadata(&lake).await;
    let script = format!(
        "CREATE TABLE iceberg_tables (catalog_name TEXT NOT NULL, table_namespace TEXT NOT NULL, \
         table_name TEXT NOT NULL, metadata_location TEXT, previous_metadata_location TEXT, \
         PRIMARY KEY (catalog_name, table_namespace, table_name)); \
         CREATE TABLE iceberg_namespace_properties (catalog_name TEXT NOT NULL, namespace TEXT NOT NULL, \
         property_key TEXT, property_value TEXT, PRIMARY KEY (catalog_name, namespace, property_key)); \
         INSERT INTO iceberg_tables VALUES ('default', 'ns', 'old', '{location}', NULL);"
    );
    let mut connection = lake.sql(&script).await;
    let catalog = lake.open();
    catalog.create_table(&space(), creation()).await.unwrap();
    assert_eq!(catalog.list_tables(&space()).await.unwrap().len(), 2);
    let columns: i64 = sqlx::query_scalar("SELECT count(*) FROM pragma_table_info('iceberg_tables')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(columns, 5);
}

#[tokio::test]
async fn tables_go_where_pyiceberg_would_put_them() {
    let lake = Lake::new().await;
    let catalog = lake.open();
    let nested = NamespaceIdent::from_strs(["a", "b"]).unwrap();
    catalog.create_namespace(&nested, HashMap::new()).await.unwrap();
    let made = catalog.create_table(&nested, creation()).await.unwrap();
    assert_eq!(made.metadata.location(), format!("{}/a.b/t", lake.storage.warehouse()));
    let place = format!("{}/special/", lake.storage.warehouse());
    let properties = HashMap::from([("location".to_owned(), place.clone())]);
    catalog.create_namespace(&space(), properties).await.unwrap();
    let made = catalog.create_table(&space(), creation()).await.unwrap();
    assert_eq!(made.metadata.location(), format!("{place}t"));
}

#[tokio::test]
async fn a_name_cannot_lead_out_of_the_warehouse() {
    let lake = Lake::new().await;
    let catalog = lake.open();
    for (namespace, table) in [("ns", "../../t"), ("ns2", ".."), ("a/b", "t")] {
        let namespace = NamespaceIdent::new(namespace.into());
        catalog.create_namespace(&namespace, HashMap::new()).await.unwrap();
        let mut creation = creation();
        creation.name = table.into();
        assert_eq!(failed(catalog.create_table(&namespace, creation).await).kind(), ErrorKind::Validation);
    }
}

#[tokio::test]
async fn a_file_put_in_the_place_of_an_open_one_is_opened_anew() {
    let lake = Lake::new().await;
    let catalog = lake.open();
    make_table(&catalog).await;
    std::fs::remove_file(lake.file()).unwrap();
    assert_eq!(failed(catalog.load_table(&ident()).await).kind(), ErrorKind::FileNotFound);
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    assert!(lake.open().namespace_exists(&space()).await.unwrap(), "it went to the new file");
    assert!(!catalog.table_exists(&ident()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pools_that_contend_lose_no_commit() {
    let lake = Lake::new().await;
    let made = make_table(&lake.open()).await;
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let catalog = lake.open();
            tokio::spawn(async move {
                for i in 0..10 {
                    let key = format!("w{writer}-{i}");
                    // 80 commits in all: no writer can lose more often.
                    let mut won = false;
                    for _ in 0..80 {
                        let uuid = catalog.load_table(&ident()).await.unwrap().metadata.uuid();
                        let requirements = [TableRequirement::UuidMatch { uuid }];
                        match catalog.commit(&ident(), &requirements, &[property(&key)]).await.unwrap() {
                            CommitOutcome::Committed(_) => {
                                won = true;
                                break;
                            }
                            CommitOutcome::Conflict(_) => {}
                            CommitOutcome::Unknown(e) => panic!("{e}"),
                        }
                    }
                    assert!(won, "{key}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let end = lake.open().load_table(&ident()).await.unwrap();
    assert_eq!(end.metadata.properties().keys().filter(|k| k.starts_with('w')).count(), 80);
    assert_eq!(metadata_files(&made), 81, "one for each version, none of a loser");
}

/// The tables of a catalog, as the layout has them, but for the first.
const NAMESPACES: &str = "CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, \
    namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, \
    PRIMARY KEY (catalog_name, namespace, property_key)); \
    INSERT INTO iceberg_namespace_properties VALUES ('default', 'ns', 'exists', 'true');";
const COLUMNS: &str = "catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, \
    table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), \
    iceberg_type VARCHAR(5)";

/// A file of somebody else, whose tables do more than keep rows.
#[tokio::test]
async fn a_file_whose_tables_do_more_than_keep_rows_is_refused_and_stays_as_it_is() {
    let row = "'default', 'ns', 't', 'file:///etc/passwd', NULL, 'TABLE'";
    let table = format!(
        "CREATE TABLE iceberg_tables ({COLUMNS}, PRIMARY KEY (catalog_name, table_namespace, table_name)); \
         INSERT INTO iceberg_tables VALUES ({row});"
    );
    let log = "CREATE TABLE log (what TEXT);";
    let trigger = |event: &str| {
        format!(
            "{table}{log} CREATE TRIGGER x {event} BEGIN INSERT INTO log VALUES (new.metadata_location); END;"
        )
    };
    let cases = [
        format!("CREATE TABLE rows ({COLUMNS}); CREATE VIEW iceberg_tables AS SELECT * FROM rows;"),
        format!(
            "CREATE VIEW iceberg_tables ({}) AS SELECT {row};",
            "catalog_name, table_namespace, table_name, \
            metadata_location, previous_metadata_location, iceberg_type"
        ),
        trigger("AFTER UPDATE ON iceberg_tables"),
        trigger("BEFORE INSERT ON ICEBERG_TABLES"),
        "CREATE VIRTUAL TABLE iceberg_tables USING fts5(catalog_name, table_namespace, table_name, \
         metadata_location, previous_metadata_location, iceberg_type);"
            .to_owned(),
        format!(
            "CREATE TABLE iceberg_tables ({}, PRIMARY KEY (catalog_name, table_namespace, table_name)); \
             INSERT INTO iceberg_tables VALUES ('default', 'ns', 't', NULL, 'TABLE');",
            COLUMNS.replace(
                "metadata_location VARCHAR(1000), p",
                "metadata_location VARCHAR(1000) AS ('file:///etc/' || table_name) VIRTUAL, p"
            )
        ),
        format!("{table} UPDATE iceberg_tables SET metadata_location = printf('%.*c', 200000, 'x');"),
        format!("{table} UPDATE iceberg_tables SET metadata_location = x'66696c65ff';"),
    ];
    for script in cases {
        let lake = Lake::new().await;
        let connection = lake.sql(&format!("{NAMESPACES}{script}")).await;
        connection.close().await.unwrap();
        let before = std::fs::read(lake.file()).unwrap();
        let catalog = lake.open();
        let errors = [
            failed(catalog.load_table(&ident()).await),
            failed(catalog.commit(&ident(), &[], &[property("a")]).await),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{script}: {error}");
        }
        if !script.contains("UPDATE iceberg_tables SET") {
            let errors = [
                failed(catalog.create_namespace(&NamespaceIdent::new("o".into()), HashMap::new()).await),
                failed(catalog.drop_table(&ident()).await),
                failed(catalog.set_up().await),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{script}: {error}");
            }
        }
        assert_eq!(std::fs::read(lake.file()).unwrap(), before, "{script}");
    }
}

/// What is put into an open file is seen before the next change.
#[tokio::test]
async fn a_trigger_that_is_made_while_the_catalog_is_open_does_not_run() {
    let lake = Lake::new().await;
    let catalog = lake.open();
    make_table(&catalog).await;
    let trigger = "CREATE TABLE log (what TEXT); CREATE TRIGGER x AFTER UPDATE ON iceberg_tables \
                   BEGIN INSERT INTO log VALUES ('ran'); END;";
    let mut other = lake.sql(trigger).await;
    let error = failed(catalog.commit(&ident(), &[], &[property("a")]).await);
    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
    let ran: i64 = sqlx::query_scalar("SELECT count(*) FROM log").fetch_one(&mut other).await.unwrap();
    assert_eq!(ran, 0);
}
