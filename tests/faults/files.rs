//! Files that are damaged, locked or gone.

use std::fs;
use std::path::{Path, PathBuf};

use floe::model::CommitStrategy;
use floe::{ErrorKind, Properties};
use floe_tests::data::primitive_batch;
use floe_tests::warehouse::Warehouse;

use crate::Before;

/// Damages `path` in three ways; each time a fresh process must answer `Corrupted` to `attempt`, and afterwards,
/// the file being whole again, everything must be as it was.
async fn assert_corrupted<F: AsyncFn(&Warehouse) -> floe::Error>(before: &Before, path: &Path, attempt: F) {
    let whole = fs::read(path).unwrap();
    for damaged in [b"not what it claims to be".to_vec(), whole[..whole.len() / 2].to_vec(), Vec::new()] {
        fs::write(path, &damaged).unwrap();
        let fresh = Warehouse::open(before.warehouse.path()).await;
        let error = attempt(&fresh).await;
        assert_eq!(
            error.kind(),
            ErrorKind::Corrupted,
            "{} bytes of {}: {error}",
            damaged.len(),
            path.display()
        );
        assert_eq!(error.table(), Some("t.fine"), "{error}");
        fs::write(path, &whole).unwrap();
        before.assert_unchanged().await;
    }
}

/// The files of the warehouse whose path matches.
fn files(before: &Before, matches: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let paths = before.files.iter().map(|(path, _)| path.clone());
    let found: Vec<PathBuf> = paths.filter(|path| matches(&path.to_string_lossy())).collect();
    assert!(!found.is_empty());
    found
}

async fn append_error(before: &Before, warehouse: &Warehouse) -> floe::Error {
    let batch = primitive_batch(3, 100, 5);
    warehouse.try_append(&before.table, vec![batch], CommitStrategy::FastAppend).await.unwrap_err()
}

#[tokio::test]
async fn damaged_table_metadata_is_corrupted_to_readers_and_writers() {
    let before = Before::new().await;
    let location = before.warehouse.metadata_location(&before.table).await;
    let path = PathBuf::from(location.strip_prefix("file://").unwrap_or(&location));
    assert_corrupted(&before, &path, async |w| w.try_scan(&before.table, None).await.unwrap_err()).await;
    assert_corrupted(&before, &path, async |w| append_error(&before, w).await).await;
}

#[tokio::test]
async fn damaged_manifest_lists_are_corrupted_to_readers_and_writers() {
    let before = Before::new().await;
    let current = before.warehouse.manager.load_table(&before.table).await.unwrap();
    let list = current.metadata.current_snapshot().unwrap().manifest_list().to_owned();
    let path = PathBuf::from(list.strip_prefix("file://").unwrap_or(&list));
    assert_corrupted(&before, &path, async |w| w.try_scan(&before.table, None).await.unwrap_err()).await;
    assert_corrupted(&before, &path, async |w| append_error(&before, w).await).await;
}

#[tokio::test]
async fn damaged_manifests_are_corrupted_to_readers() {
    let before = Before::new().await;
    let manifests =
        files(&before, |p| Path::new(p).extension().is_some_and(|e| e == "avro") && !p.contains("snap-"));
    for path in manifests {
        assert_corrupted(&before, &path, async |w| w.try_scan(&before.table, None).await.unwrap_err()).await;
    }
}

#[tokio::test]
async fn damaged_data_files_are_corrupted_to_readers() {
    let before = Before::new().await;
    let path = files(&before, |p| p.ends_with(".parquet")).remove(0);
    assert_corrupted(&before, &path, async |w| w.try_scan(&before.table, None).await.unwrap_err()).await;
}

#[tokio::test]
async fn a_missing_data_file_is_named() {
    let before = Before::new().await;
    let path = files(&before, |p| p.ends_with(".parquet")).remove(0);
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = before.warehouse.try_scan(&before.table, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileNotFound, "{error}");
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(error.to_string().contains(&name), "{error}");
    fs::write(&path, whole).unwrap();
    before.assert_unchanged().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_catalog_file_is_unavailable() {
    let before = Before::new().await;
    let path = before.warehouse.path().join("catalog.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let properties = Properties::default()
        .with("type", "local")
        .with("storage", "local")
        .with("warehouse", before.warehouse.path().to_string_lossy())
        .with("busy-timeout-ms", "50");
    let manager = floe::connect(floe::EMBEDDED_CATALOG, &properties).await;
    let error = match manager {
        Err(error) => error,
        Ok(manager) => {
            let batch = primitive_batch(3, 100, 5);
            let data = floe::data::BatchStream::from_batches(batch.schema(), vec![batch]);
            manager.write_data(&before.table, data, &floe::model::WriteConfig::default()).await.unwrap_err()
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    sqlx::Connection::close(other).await.unwrap();
    before.assert_unchanged().await;
}

#[tokio::test]
async fn a_missing_catalog_file_is_file_not_found_and_is_not_made_by_reading_or_appending() {
    let before = Before::new().await;
    let aside = tempfile::tempdir_in(before.warehouse.path().parent().unwrap()).unwrap();
    let catalog_files = || {
        let names = fs::read_dir(before.warehouse.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("catalog.db")).collect::<Vec<_>>()
    };
    let moved = catalog_files();
    assert!(!moved.is_empty());
    for name in &moved {
        fs::rename(before.warehouse.path().join(name), aside.path().join(name)).unwrap();
    }
    let fresh = Warehouse::open(before.warehouse.path()).await;
    let scan = fresh.try_scan(&before.table, None).await.unwrap_err();
    let append = append_error(&before, &fresh).await;
    assert_eq!(
        (scan.kind(), append.kind()),
        (ErrorKind::FileNotFound, ErrorKind::FileNotFound),
        "{scan}; {append}"
    );
    assert_eq!(catalog_files(), Vec::<std::ffi::OsString>::new());
    for name in &moved {
        fs::rename(aside.path().join(name), before.warehouse.path().join(name)).unwrap();
    }
    before.assert_unchanged().await;
}

#[tokio::test]
async fn a_damaged_catalog_file_is_corrupted() {
    let before = Before::new().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("catalog.db"),
        b"this is not a database, and it is long enough to be read as one",
    )
    .unwrap();
    let warehouse = Warehouse::open(folder.path()).await;
    let error = warehouse.try_scan(&before.table, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
}
