//! Servers of catalogs, and writers of tables, that would have files of this machine read, sent and written.

use std::path::{Path, PathBuf};

use floe::iceberg::{NamespaceIdent, TableIdent};
use floe::model::{TableConfig, TableSchema, WriteConfig};
use floe::{ErrorKind, IcebergTableManager, Properties};
use floe_testkit::http::{HostileCatalog, HostileTable, NamedFile, ObjectServer};
use serde_json::json;

use crate::attacked::{append, delete, refused, rows, scan, user};

/// Every way to write a local path as a location.
fn spellings(path: &Path) -> Vec<String> {
    let path = path.display();
    let begins = ["file://", "file:", "", "file://localhost", "FILE://", "File:", "file:///", "file://host"];
    let mut all: Vec<String> = begins.iter().map(|begin| format!("{begin}{path}")).collect();
    all.push(format!("/{path}"));
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        }
        all.push(path);
    }
    all
}

/// A Parquet file with three rows of the user's, in `folder`.
async fn private_rows(folder: &Path) -> NamedFile {
    let manager = floe::embedded(folder).await.unwrap();
    manager.ensure_namespace(&NamespaceIdent::new("own".into())).await.unwrap();
    let schema: TableSchema = serde_json::from_value(
        json!({"fields": [{"field_id": 1, "name": "id", "field_type": "long", "required": true}]}),
    )
    .unwrap();
    let table: TableIdent =
        manager.create_table(&TableConfig::new("own", "t", schema), false).await.unwrap().ident;
    manager.write_data(&table, rows(), &WriteConfig::default()).await.unwrap();
    let path =
        files(folder).into_iter().find(|path| path.extension().is_some_and(|e| e == "parquet")).unwrap();
    NamedFile { size: path.metadata().unwrap().len(), path: path.display().to_string(), rows: 3 }
}

async fn connect(catalog: &HostileCatalog, more: &[(&str, &str)]) -> IcebergTableManager {
    let properties =
        more.iter().fold(user(catalog), |properties, (key, value)| properties.with(*key, *value));
    floe::connect("lake", &properties).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_a_server_places_here_is_neither_read_nor_written() {
    let folder = tempfile::tempdir().unwrap();
    for location in spellings(folder.path()) {
        let table = HostileTable::new(&location, &[]);
        let catalog = HostileCatalog::start(&table, json!({}), json!({})).await;
        let manager = connect(&catalog, &[]).await;
        let error = refused(append(&manager).await, &location);
        assert_eq!(error.kind(), ErrorKind::Validation, "{location}: {error}");
        assert!(error.hint().unwrap().contains("storage = \"local\""), "{location}: {error}");
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new(), "{location}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_of_a_table_lead_no_file_to_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectServer::start(1).await;
    for location in spellings(folder.path()) {
        for key in ["write.data.path", "write.metadata.path", "write.folder-storage.path"] {
            let table = HostileTable::new("s3://bucket/t", &[(key, &location)]);
            let catalog = HostileCatalog::start(&table, json!({}), json!({})).await;
            let manager = connect(&catalog, &[("s3.endpoint", &store.uri())]).await;
            let error = refused(append(&manager).await, &location);
            assert_eq!(error.kind(), ErrorKind::Validation, "{key} {location}: {error}");
            assert_eq!(files(folder.path()), Vec::<PathBuf>::new(), "{key} {location}");
            assert_eq!(store.keys(), Vec::<String>::new(), "{key} {location}: nothing is left");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rows_of_this_machine_are_printed_or_sent() {
    let folder = tempfile::tempdir().unwrap();
    let private = private_rows(folder.path()).await;
    for path in spellings(Path::new(&private.path)) {
        let store = ObjectServer::start(1).await;
        let (list, manifest) = ("s3://bucket/t/metadata/list.avro", "s3://bucket/t/metadata/m.avro");
        let file = NamedFile { path: path.clone(), ..private.clone() };
        let table = HostileTable::new("s3://bucket/t", &[]).with_files(list, manifest, &[file]).await;
        for (location, content) in table.objects() {
            store.put(location.strip_prefix("s3://bucket/").unwrap(), content);
        }
        let before = store.keys();
        let catalog = HostileCatalog::start(&table, json!({}), json!({})).await;
        // Not even where other kinds of storage are allowed.
        for more in [&[][..], &[("other-schemes-enabled", "true")]] {
            let mut all = vec![("s3.endpoint", store.uri())];
            all.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
            let all: Vec<_> = all.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let manager = connect(&catalog, &all).await;
            for result in [scan(&manager).await.map(drop), delete(&manager).await] {
                let error = refused(result, &path);
                assert_eq!(error.kind(), ErrorKind::Validation, "{path}: {error}");
            }
        }
        assert_eq!(store.keys(), before, "{path}: nothing was sent");
        assert!(Path::new(&private.path).exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_storage_named_local_files_are_served_and_only_the_tables_own_are_changed() {
    let folder = tempfile::tempdir().unwrap();
    let private = private_rows(&folder.path().join("private")).await;
    let location = format!("file://{}/t", folder.path().display());
    let (list, manifest) = (format!("{location}/metadata/list.avro"), format!("{location}/metadata/m.avro"));
    let table =
        HostileTable::new(&location, &[]).with_files(&list, &manifest, std::slice::from_ref(&private)).await;
    for (location, content) in table.objects() {
        let path = PathBuf::from(location.strip_prefix("file://").unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let catalog = HostileCatalog::start(&table, json!({}), json!({})).await;
    let properties = Properties::default().with("type", "rest").with("uri", catalog.uri());
    let manager = floe::connect("lake", &properties.with("storage", "local")).await.unwrap();
    assert_eq!(scan(&manager).await.unwrap(), 3, "the user asked for it");
    let loaded = manager.load_table(&crate::attacked::table()).await.unwrap();
    let error = floe::Error::from(loaded.file_io.delete(&private.path).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    let error = floe::Error::from(
        loaded
            .file_io
            .new_output(format!("{}.new", private.path))
            .unwrap()
            .write("x".into())
            .await
            .unwrap_err(),
    );
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert!(Path::new(&private.path).exists() && !Path::new(&format!("{}.new", private.path)).exists());
}

#[tokio::test]
async fn a_catalog_on_a_server_with_a_local_warehouse_needs_the_storage_to_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = folder.path().display().to_string();
    let glue = Properties::default()
        .with("type", "glue")
        .with("glue.endpoint", "http://127.0.0.1:1")
        .with("glue.region", "us-east-1")
        .with("glue.access-key-id", "x")
        .with("glue.secret-access-key", "hunter2");
    let postgres = Properties::default()
        .with("type", "local")
        .with("uri", "postgresql://ann:hunter2@db.example.invalid/lake");
    for properties in [glue, postgres] {
        let properties = properties.with("warehouse", &*warehouse);
        let error = refused(floe::connect("lake", &properties).await.map(drop), "local warehouse");
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert!(error.hint().unwrap().contains("storage = \"local\""), "{error}");
        floe::connect("lake", &properties.with("storage", "local")).await.expect("the user asked for it");
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    }
}
