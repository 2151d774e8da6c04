//! What is special about local files: spellings of a location, errors of the file system, a full disk.

#![allow(clippy::unwrap_used)]

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use floe_core::{Error, ErrorKind, PluginConfig, Properties, Registry, StorageClient, StoragePlugin};
use floe_storage_local::LocalStoragePlugin;
use futures::StreamExt;
use iceberg::io::FileIO;

async fn connect(warehouse: &Path) -> Arc<dyn StorageClient> {
    let properties = Properties::default().with("warehouse", warehouse.to_str().unwrap());
    let config = PluginConfig::new("test", &properties).unwrap();
    LocalStoragePlugin::new().connect(&config).await.unwrap()
}

async fn write(io: &FileIO, location: &str, content: &[u8]) -> Result<(), Error> {
    Ok(io.new_output(location)?.write(Bytes::copy_from_slice(content)).await?)
}

/// Writes through a writer, in pieces of 16 KiB.
async fn stream(io: &FileIO, location: &str, bytes: usize) -> Result<(), Error> {
    let mut writer = io.new_output(location)?.writer().await?;
    for _ in 0..bytes.div_ceil(1 << 14) {
        writer.write(Bytes::from_static(&[7; 1 << 14])).await?;
    }
    Ok(writer.close().await?)
}

/// Every file and folder below, staged ones included.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn the_plugin_is_found_by_name_and_by_scheme() {
    let registry = Registry::empty().with_storage(Arc::new(LocalStoragePlugin::new()));
    assert_eq!(registry.storage("local").unwrap().descriptor().name, "local");
    for uri in ["/data/lake", "file:///data/lake", "file:/data/lake"] {
        assert_eq!(registry.storage_for_uri(uri).unwrap().descriptor().name, "local", "{uri}");
    }
    let linked = Registry::linked();
    assert!(linked.storage("local").is_ok(), "the plugin registers itself");
}

#[tokio::test]
async fn connecting_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = folder.path().join("a/b");
    let storage = connect(&warehouse).await;
    assert_eq!(storage.list(storage.warehouse()).count().await, 0);
    assert!(!warehouse.exists());
    storage.check().await.unwrap();
    assert!(warehouse.exists());
}

#[tokio::test]
async fn a_missing_warehouse_property_is_named() {
    let config = PluginConfig::new("test", &Properties::default()).unwrap();
    let error = LocalStoragePlugin::new().connect(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.to_string().contains("warehouse"), "{error}");
}

#[tokio::test]
async fn every_spelling_of_a_location_is_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let io = connect(folder.path()).await.file_io();
    let path = folder.path().join("p=a%20b c/é#1?.txt").display().to_string();
    let spellings = [path.clone(), format!("file:{path}"), format!("file://{path}"), format!("file:/{path}")];
    for (i, writes) in spellings.iter().take(3).enumerate() {
        write(&io, writes, &[i as u8]).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [i as u8], "{writes}");
        for reads in spellings.iter().take(3) {
            assert_eq!(io.new_input(reads).unwrap().read().await.unwrap(), vec![i as u8], "{reads}");
        }
    }
    assert_eq!(all_below(folder.path()), [PathBuf::from(path)]);
}

#[tokio::test]
async fn files_of_other_programs_are_listed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let storage = connect(folder.path()).await;
    std::fs::create_dir_all(folder.path().join("t/p=x%3Ay")).unwrap();
    std::fs::write(folder.path().join("t/p=x%3Ay/1.parquet"), "data").unwrap();
    let location = format!("{}/t/p=x%3Ay/1.parquet", storage.warehouse());
    let listed = storage.list(&format!("file:{}/t", folder.path().display())).next().await.unwrap().unwrap();
    assert_eq!((listed.location.as_str(), listed.size), (location.as_str(), 4));
    storage.file_io().delete_prefix(format!("{}/t", storage.warehouse())).await.unwrap();
    assert!(!folder.path().join("t").exists(), "the folder goes with its files");
}

#[tokio::test]
async fn a_file_where_a_folder_is_needed_is_permission_denied() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let storage = connect(&folder.path().join("file/warehouse")).await;
    let location = format!("{}/x", storage.warehouse());
    for error in [
        write(&storage.file_io(), &location, b"x").await.unwrap_err(),
        stream(&storage.file_io(), &location, 1 << 20).await.unwrap_err(),
        storage.check().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert!(error.hint().is_some(), "{error}");
        assert!(error.message().contains("file/warehouse"), "{error}");
    }
    assert!(!storage.file_io().exists(&location).await.unwrap(), "reading says that it is not there");
}

#[tokio::test]
async fn an_aborted_write_leaves_no_staged_file() {
    let folder = tempfile::tempdir().unwrap();
    let storage = connect(folder.path()).await;
    let location = format!("{}/d/x.parquet", storage.warehouse());
    let mut writer = storage.file_io().new_output(&location).unwrap().writer().await.unwrap();
    writer.write(Bytes::from(vec![1; 5 << 20])).await.unwrap();
    assert_eq!(all_below(folder.path()).len(), 1, "a large write is under way in a staged file");
    drop(writer);
    // The staged file is removed beside the dropping task: give it its turns.
    for _ in 0..10_000 {
        if all_below(folder.path()).is_empty() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    panic!("left: {:?}", all_below(folder.path()));
}

#[tokio::test]
async fn a_failed_write_leaves_no_staged_file() {
    let folder = tempfile::tempdir().unwrap();
    let storage = connect(folder.path()).await;
    // A folder stands where the file should go: the final rename fails.
    std::fs::create_dir_all(folder.path().join("d/x/y")).unwrap();
    let location = format!("{}/d/x", storage.warehouse());
    write(&storage.file_io(), &location, b"x").await.unwrap_err();
    assert!(all_below(folder.path()).is_empty(), "{:?}", all_below(folder.path()));
}

/// Runs this test program again, for the one test named, with the environment variable `FLOE_TEST_FULL`
/// holding a folder, in a shell with `setup` before it.
fn run_again(setup: &str, test: &str, folder: &Path) -> std::process::Output {
    let script = format!("{setup} && exec \"$0\" --exact {test} --nocapture --include-ignored");
    std::process::Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("FLOE_TEST_FULL", folder)
        .output()
        .unwrap()
}

/// No file may grow beyond a limit here: each write that needs more is `StorageFull`, shows nothing and
/// leaves nothing, and small files still work.
async fn check_full_storage(folder: &Path) {
    let storage = connect(folder).await;
    let io = storage.file_io();
    let at = |name: &str| format!("{}/{name}", storage.warehouse());
    write(&io, &at("small"), b"fits").await.unwrap();
    for error in [
        write(&io, &at("whole"), &vec![1; 3 << 20]).await.unwrap_err(),
        stream(&io, &at("streamed"), 3 << 20).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
        assert!(error.hint().is_some(), "{error}");
    }
    assert!(!io.exists(at("whole")).await.unwrap());
    assert!(!io.exists(at("streamed")).await.unwrap());
    assert_eq!(all_below(folder), [folder.join("small")]);
    // The room comes back when the handle of the failed upload is closed, which another thread does.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while let Err(error) = write(&io, &at("small"), b"still fits").await {
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
        assert!(std::time::Instant::now() < until, "the room did not come back");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
#[ignore = "run by the tests that limit their process"]
async fn full_storage_in_a_limited_process() {
    let folder = std::env::var("FLOE_TEST_FULL").expect("set by the test that runs this one");
    check_full_storage(Path::new(&folder)).await;
}

#[test]
fn a_file_size_limit_is_storage_full() {
    let folder = tempfile::tempdir().unwrap();
    // Blocks of 512 or 1024 bytes, as the shell has it: 0.5 or 1 MiB. The signal is ignored, so that the
    // write itself fails.
    let setup = "trap '' XFSZ && ulimit -f 1024";
    let output = run_again(setup, "full_storage_in_a_limited_process", folder.path());
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} {text}", output.status.signal());
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn a_full_device_is_storage_full() {
    let folder = tempfile::tempdir().unwrap();
    // A file system of 2 MiB in a mount namespace of its own, where the machine lets us have one.
    let mount = format!("mount -t tmpfs -o size=2m floe '{}'", folder.path().display());
    let allowed = std::process::Command::new("unshare").args(["-m", "-r", "sh", "-c", &mount]).output();
    if !allowed.is_ok_and(|o| o.status.success()) {
        #[allow(clippy::print_stderr)] // a test that could not run says so
        {
            eprintln!("no mount is allowed here: a_file_size_limit_is_storage_full stands in for this test");
        }
        return;
    }
    let program = std::env::current_exe().unwrap();
    let script =
        format!("{mount} && exec \"$0\" --exact full_storage_in_a_limited_process --include-ignored");
    let output = std::process::Command::new("unshare")
        .args(["-m", "-r", "sh", "-c", &script])
        .arg(program)
        .env("FLOE_TEST_FULL", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}
