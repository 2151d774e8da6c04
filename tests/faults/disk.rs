//! A full disk and a disk that cannot be written, on a real mount.
//!
//! The test starts itself again in a mount namespace of its own, with a small `tmpfs` in it; the namespace ends with
//! the process, mount and all. Where that is not allowed, a limit on the size of files stands in for the full disk,
//! and the permissions of a folder for the disk that cannot be written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use floe::ErrorKind;
use floe::model::CommitStrategy;
use floe_tests::data::primitive_batch;
use floe_tests::warehouse::Warehouse;

use crate::Before;

const INSIDE: &str = "FLOE_TEST_SMALL_DISK";
/// Set for the process that fills the disk before it is write-protected.
const PREPARE: &str = "FLOE_TEST_SMALL_DISK_PREPARE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_storage_full_and_leaves_nothing_behind() {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return fill(&PathBuf::from(folder)).await;
    }
    let name = "disk::a_full_disk_is_storage_full_and_leaves_nothing_behind";
    let mounted = run_on_small_disk(name, "mount -t tmpfs -o size=3m tmpfs \"$FLOE_TEST_SMALL_DISK\"");
    let output = mounted.unwrap_or_else(|| {
        let folder = tempfile::tempdir().unwrap();
        // `ulimit -f` counts blocks of 512 or of 1024 bytes.
        let script = format!("trap '' XFSZ; ulimit -f 300; exec \"$0\" --exact {name} --nocapture");
        Command::new("sh")
            .args(["-c", &script])
            .arg(this_binary())
            .env(INSIDE, folder.path())
            .output()
            .unwrap()
    });
    assert_passed(&output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_written_is_permission_denied() {
    if let Some(folder) = std::env::var_os(INSIDE) {
        let disk = PathBuf::from(folder);
        return match std::env::var_os(PREPARE) {
            Some(_) => drop(Before::within(warehouse(&disk).await).await),
            None => write_protected(&disk).await,
        };
    }
    let name = "disk::a_disk_that_cannot_be_written_is_permission_denied";
    // Two processes, so that the first holds no file open when the disk is remounted.
    let mount = format!(
        "mount -t tmpfs -o size=20m tmpfs \"$FLOE_TEST_SMALL_DISK\" || exit 97
         {PREPARE}=1 \"$0\" --exact {name} --nocapture || exit 96
         mount -o remount,ro \"$FLOE_TEST_SMALL_DISK\""
    );
    let output = run_on_small_disk(name, &mount).unwrap_or_else(|| {
        let folder = tempfile::tempdir().unwrap();
        let run = |prepare: bool| {
            let mut command = Command::new(this_binary());
            command.args(["--exact", name, "--nocapture"]).env(INSIDE, folder.path());
            if prepare {
                command.env(PREPARE, "1");
            }
            command.output().unwrap()
        };
        assert!(run(true).status.success());
        permissions(folder.path(), true);
        let output = run(false);
        permissions(folder.path(), false);
        output
    });
    assert_passed(&output);
}

async fn fill(disk: &Path) {
    let before = Before::within(warehouse(disk).await).await;
    // Random bytes do not shrink: each of these batches needs more room than there is.
    let big: Vec<_> = (0..40).map(|n| primitive_batch(n, 1000 * n as i64, 1000)).collect();
    for strategy in [CommitStrategy::FastAppend, CommitStrategy::MergeCommit] {
        let error = before.warehouse.try_append(&before.table, big.clone(), strategy).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        before.assert_unchanged().await;
    }
    // What fits is written as before.
    before.warehouse.append(&before.table, vec![primitive_batch(3, 100, 5)]).await;
    println!("{INSIDE} was full");
}

async fn write_protected(disk: &Path) {
    let before = Before::again(Warehouse::open(&disk.join("warehouse")).await);
    for strategy in [CommitStrategy::FastAppend, CommitStrategy::MergeCommit] {
        let batch = primitive_batch(3, 100, 5);
        let error = before.warehouse.try_append(&before.table, vec![batch], strategy).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
    before.assert_unchanged().await;
    println!("{INSIDE} was write-protected");
}

async fn warehouse(disk: &Path) -> Warehouse {
    let warehouse = Warehouse::open(&disk.join("warehouse")).await;
    warehouse.manager.ensure_namespace(&floe::iceberg::NamespaceIdent::new("t".into())).await.unwrap();
    warehouse
}

/// Runs the test `name` in this binary again, in a mount namespace where `mount` was done. `None` when the system
/// does not allow it.
fn run_on_small_disk(name: &str, mount: &str) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{mount} || exit 97; exec \"$0\" --exact {name} --nocapture");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .arg(this_binary())
        .env(INSIDE, folder.path())
        .output()
        .ok()?;
    // unshare itself ends with 1 where it is not allowed, and says so without running the test.
    let ran = String::from_utf8_lossy(&output.stdout).contains("running 1 test");
    ran.then_some(output)
}

fn assert_passed(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let passed = output.status.success() && out.contains("1 passed") && out.contains(INSIDE);
    assert!(passed, "the test on a small disk failed:\n{out}\n{err}");
}

fn this_binary() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// Takes the right to write from every folder below `folder`, or gives it back.
fn permissions(folder: &Path, read_only: bool) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            permissions(&entry.path(), read_only);
        }
    }
    let mut permissions = std::fs::metadata(folder).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(read_only);
    let _ = std::fs::set_permissions(folder, permissions);
}
