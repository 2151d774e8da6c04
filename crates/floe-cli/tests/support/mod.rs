//! Running the binary in folders of its own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a warehouse in it, and the binary to run there.
pub struct Floe {
    folder: TempDir,
}

/// How a run ended.
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
    line: String,
}

impl Floe {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The folder the binary runs in.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The default warehouse of that folder.
    pub fn warehouse(&self) -> PathBuf {
        self.path().join("warehouse")
    }

    /// Writes a file beside the warehouse.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary, with nothing configured.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floe"));
        command.current_dir(self.path()).env("HOME", self.path()).env("RUST_BACKTRACE", "1");
        for variable in [
            "FLOE_WAREHOUSE",
            "FLOE_CATALOG",
            "FLOE_CONFIG",
            "FLOE_DEFAULT_CATALOG",
            "FLOE_LOG",
            "XDG_CONFIG_HOME",
            "PYICEBERG_HOME",
        ] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs words; a word may hold spaces.
    pub fn run(&self, words: &[&str]) -> Run {
        Run::of(self.command().args(words).stdin(Stdio::null()).output().unwrap(), words)
    }

    /// Runs a line, split at its spaces.
    pub fn line(&self, line: &str) -> Run {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs words with something on standard input.
    pub fn with_input(&self, words: &[&str], input: &[u8]) -> Run {
        let mut child = piped(self.command().args(words));
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // The command may end before it has read all.
            let _ = stdin.write_all(&input);
        });
        let run = Run::of(child.wait_with_output().unwrap(), words);
        writer.join().unwrap();
        run
    }

    /// A table `t.t (id long, name string, at timestamp)` without rows.
    pub fn with_table() -> Self {
        let floe = Self::new();
        floe.file("schema.json", SCHEMA);
        floe.line("create t.t --schema schema.json").ok();
        floe
    }

    /// Every file in the warehouse but the catalog's own, with its size: to see that nothing was written.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        walk(&self.warehouse(), &mut files);
        files.retain(|(path, _)| !path.file_name().unwrap().to_string_lossy().starts_with("catalog.db"));
        files.sort();
        files
    }

    /// The number of rows of a table.
    pub fn rows(&self, table: &str) -> u64 {
        self.run(&["scan", table, "--json"]).json()["rows"].as_u64().unwrap()
    }
}

/// The schema of [`Floe::with_table`].
pub const SCHEMA: &str = r#"{"fields": [
    {"name": "id", "type": "long", "required": true},
    {"name": "name", "type": "string"},
    {"name": "at", "type": "timestamp"}
]}"#;

impl Run {
    /// How a process ended that ran the binary with these words.
    pub fn of(output: Output, words: &[&str]) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            line: words.join(" "),
        }
    }

    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "floe {}\n{}\n{}", self.line, self.text(), self.stderr);
        self
    }

    /// What was printed.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What was printed, as lines.
    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// The one JSON object on standard output.
    #[track_caller]
    pub fn json(self) -> Value {
        let run = self.ok();
        let value: Value = serde_json::from_slice(&run.stdout)
            .unwrap_or_else(|e| panic!("floe {}: {e}\n{}", run.line, run.text()));
        assert!(value.is_object(), "{value}");
        assert_eq!(run.stderr, "", "standard error stays silent with --json");
        check_ids(&value, "");
        value
    }

    /// Asserts an error: its kind and code from the one JSON object on standard error, nothing on the output.
    #[track_caller]
    pub fn fails(&self, kind: &str, code: i32) -> Value {
        let error: Value = serde_json::from_str(&self.stderr)
            .unwrap_or_else(|e| panic!("floe {}: {e}\n{}\n{}", self.line, self.text(), self.stderr));
        assert_eq!(error["kind"], kind, "floe {}: {error}", self.line);
        assert_eq!(self.code, code, "floe {}: {error}", self.line);
        assert_eq!(error["exit_code"], code);
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert_eq!(self.text(), "", "nothing on standard output");
        error
    }
}

/// Ids of 64 bits are strings, and no number is above those that every program keeps; rows are the user's own.
#[track_caller]
fn check_ids(value: &Value, key: &str) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "data") {
                check_ids(value, key);
            }
        }
        Value::Array(items) => {
            for item in items {
                check_ids(item, key);
            }
        }
        Value::Number(number) => {
            assert!(!key.contains("snapshot_id"), "{key}: {number} is no string");
            assert!(number.as_f64().is_some_and(|n| n.abs() <= 9_007_199_254_740_992.0), "{key}: {number}");
        }
        _ => {}
    }
}

fn walk(folder: &Path, files: &mut Vec<(PathBuf, u64)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if let Ok(metadata) = std::fs::metadata(&path) {
            // One that is gone by now was another process's temporary file.
            files.push((path, metadata.len()));
        }
    }
}

/// Starts a command with pipes for its input and output.
pub fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal, such as `-INT`, and waits for the end.
#[cfg(unix)]
pub fn signal(child: Child, signal: &str) -> Output {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait_with_output().unwrap()
}
