//! The Python peers: PyIceberg and DuckDB, through `tests/python/peers.py`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arrow_array::RecordBatch;
use serde_json::{Value, json};

/// The interpreter with the peers. `cargo xtask test` and `cargo xtask interop` make it and name it here.
pub const PYTHON: &str = "FLOE_TEST_PYTHON";
/// Set to `1`, tests that need the peers pass without running, and say so.
pub const SKIP: &str = "FLOE_SKIP_INTEROP";

/// The peers, with a folder of their own for the files that they hand over.
#[derive(Debug)]
pub struct Peers {
    python: PathBuf,
    folder: tempfile::TempDir,
}

impl Peers {
    /// The peers, or `None` when [`SKIP`] is set. Panics when neither variable is set: a test that did not run
    /// must not look like one that passed.
    pub fn find() -> Option<Self> {
        if std::env::var(SKIP).is_ok_and(|value| value == "1") {
            println!("NOT RUN: {SKIP}=1 leaves out the tests with PyIceberg and DuckDB");
            return None;
        }
        let Some(python) = std::env::var_os(PYTHON) else {
            panic!(
                "{PYTHON} is not set: run `cargo xtask interop`, or set {SKIP}=1 to leave these tests out"
            );
        };
        Some(Self { python: python.into(), folder: tempfile::tempdir().unwrap() })
    }

    /// Runs commands of `peers.py`, all in one process. Panics when one fails.
    pub fn run(&self, commands: &[Value]) -> Vec<Value> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join("peers.py");
        let mut child = Command::new(&self.python)
            .arg(script)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("FLOE_DUCKDB_HOME", self.folder.path().join("duckdb"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(json!(commands).to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "peers.py ended with {}", output.status);
        let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(results.len(), commands.len());
        let ok = |(command, mut result): (&Value, Value)| {
            assert!(result.get("error").is_none(), "{command}: {}", result["error"]);
            result["ok"].take()
        };
        commands.iter().zip(results).map(ok).collect()
    }

    /// Runs several reads; each is a command without `out`. Answers the batches of each.
    pub fn read(&self, commands: &[Value]) -> Vec<Vec<RecordBatch>> {
        let path = |index: usize| self.folder.path().join(format!("read-{index}.arrow"));
        let commands: Vec<Value> = commands
            .iter()
            .enumerate()
            .map(|(index, command)| {
                let mut command = command.clone();
                command["out"] = json!(path(index));
                command
            })
            .collect();
        self.run(&commands);
        (0..commands.len()).map(|index| read_ipc(&path(index))).collect()
    }

    /// Writes `batches` to a file for a command to read.
    pub fn hand_over(&self, name: &str, batches: &[RecordBatch]) -> PathBuf {
        let path = self.folder.path().join(name);
        write_ipc(&path, batches);
        path
    }
}

/// A scan by PyIceberg, for [`Peers::read`].
pub fn pyiceberg(catalog_uri: &str, table: &str, filter: Option<&str>) -> Value {
    json!({"do": "read_pyiceberg", "uri": catalog_uri, "table": table, "filter": filter})
}

/// A scan by DuckDB, for [`Peers::read`].
pub fn duckdb(metadata_location: &str, filter: Option<&str>) -> Value {
    json!({"do": "read_duckdb", "metadata": metadata_location, "filter": filter})
}

pub(crate) fn write_ipc(path: &Path, batches: &[RecordBatch]) {
    let schema = batches[0].schema();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(File::create(path).unwrap(), &schema).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

pub(crate) fn read_ipc(path: &Path) -> Vec<RecordBatch> {
    let reader = arrow_ipc::reader::FileReader::try_new(File::open(path).unwrap(), None).unwrap();
    reader.map(Result::unwrap).collect()
}
