//! Commands that are stopped while they write: by the user, and by the operating system.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};

use support::{Floe, SCHEMA, piped};

/// A table whose files are cut after some kilobytes, with three rows in it.
fn filled() -> Floe {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    let properties =
        "--property write.target-file-size-bytes=50000 --property write.parquet.row-group-size-bytes=20000";
    floe.line(&format!("create t.t --schema schema.json {properties}")).ok();
    floe.file("rows.csv", "id,name\n1,a\n2,b\n3,c\n");
    floe.line("append t.t rows.csv").ok();
    std::fs::create_dir(floe.path().join("tmp")).unwrap();
    floe
}

/// A command that reads rows from a pipe.
struct Writer {
    child: Child,
    stdin: ChildStdin,
    rows: u64,
}

impl Writer {
    fn start(floe: &Floe, words: &str) -> Self {
        let mut command = floe.command();
        command.args(words.split_whitespace()).args(["--input-format", "csv", "--json"]);
        let mut child = piped(command.env("TMPDIR", floe.path().join("tmp")));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"id,name\n").unwrap();
        Self { child, stdin, rows: 0 }
    }

    /// Gives it rows that do not shrink until something can be seen of it.
    fn feed(&mut self, seen: impl Fn(&Child) -> bool) {
        while !seen(&self.child) {
            let line = |id: u64| {
                let noise = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
                format!("{id},{noise:x}{:x}\n", noise.wrapping_mul(0xbf58_476d_1ce4_e5b9))
            };
            let lines: String = (self.rows..self.rows + 1000).map(line).collect();
            self.rows += 1000;
            assert!(self.rows < 50_000_000, "nothing was seen of it");
            self.stdin.write_all(lines.as_bytes()).unwrap();
        }
    }

    fn stop(self, signal: &str) -> std::process::Output {
        let output = support::signal(self.child, signal);
        drop(self.stdin);
        output
    }
}

/// Whether the process has temporary files open. They have no name.
fn has_spilled(folder: &Path, child: &Child) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", child.id())) else { return false };
    open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).any(|file| file.starts_with(folder))
}

/// Whether there are more data files than there were.
fn has_written(floe: &Floe, before: &[(PathBuf, u64)]) -> bool {
    let data = |files: &[(PathBuf, u64)]| {
        files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "parquet")).count()
    };
    data(&floe.files()) > data(before)
}

fn assert_usable(floe: &Floe) {
    assert_eq!(floe.rows("t.t"), 3);
    let snapshots = || floe.line("snapshots t.t --json").json()["snapshots"].as_array().unwrap().len();
    assert_eq!(snapshots(), 1);
    floe.line("append t.t rows.csv").ok();
    assert_eq!((floe.rows("t.t"), snapshots()), (6, 2));
}

#[test]
fn an_interrupted_write_deletes_the_files_it_wrote() {
    for words in ["append t.t -", "overwrite t.t - --all", "overwrite t.t - --filter id<3"] {
        let floe = filled();
        let before = floe.files();
        let mut writer = Writer::start(&floe, words);
        writer.feed(|_| has_written(&floe, &before));
        let output = writer.stop("-INT");
        assert_eq!(output.status.code(), Some(130), "{words}");
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["kind"], "interrupted", "{words}");
        assert_eq!(floe.files(), before, "{words}");
        assert_eq!(std::fs::read_dir(floe.path().join("tmp")).unwrap().count(), 0, "{words}");
        assert_usable(&floe);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_upsert_leaves_no_temporary_file_behind() {
    let floe = filled();
    let before = floe.files();
    let temporary = floe.path().join("tmp");
    let mut writer = Writer::start(&floe, "upsert t.t - --on id --memory 16MiB");
    writer.feed(|child| has_spilled(&temporary, child));
    let output = writer.stop("-INT");
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(floe.files(), before);
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert_usable(&floe);
}

/// Nobody can delete anything after that: what was written is there, and no snapshot refers to it.
#[test]
fn a_killed_write_leaves_files_that_nothing_refers_to() {
    let floe = filled();
    let before = floe.files();
    let mut writer = Writer::start(&floe, "append t.t -");
    writer.feed(|_| has_written(&floe, &before));
    assert_eq!(writer.stop("-KILL").status.code(), None);
    let orphans = floe.files().len() - before.len();
    assert!(orphans > 0);
    assert_eq!(floe.line("files t.t --json").json()["files"], 1);
    assert_eq!(std::fs::read_dir(floe.path().join("tmp")).unwrap().count(), 0);
    assert_usable(&floe);
}
