//! Spark, through `tests/python/spark.py`: one session for all tests of a binary.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use serde_json::{Value, json};

use crate::peers::{SKIP, read_ipc, write_ipc};
use crate::warehouse::Warehouse;

/// The folder of the environment with Spark. `cargo xtask test` and `cargo xtask interop` make it and name it here.
pub const SPARK: &str = "FLOE_TEST_SPARK";
/// Set to `1`, tests that need Spark pass without running, and say so.
pub const SKIP_SPARK: &str = "FLOE_SKIP_SPARK";

/// What a statement answers: rows of values as text, NULL as `None`.
pub type Rows = Vec<Vec<Option<String>>>;

/// A running Spark. It ends when its standard input does, which is when this process does, however that comes.
#[derive(Debug)]
pub struct Spark {
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// Spark on the catalog of one warehouse. Tables are called `t.NAME`.
#[derive(Debug)]
pub struct SparkWarehouse {
    spark: &'static Spark,
    catalog: String,
    folder: tempfile::TempDir,
}

impl Spark {
    /// Spark, started when it is first asked for; `None` when [`SKIP_SPARK`] or [`SKIP`] is set. Panics when no
    /// variable is set: a test that did not run must not look like one that passed.
    pub fn find() -> Option<&'static Self> {
        static SPARK_OF_PROCESS: OnceLock<Spark> = OnceLock::new();
        for skip in [SKIP, SKIP_SPARK] {
            if std::env::var(skip).is_ok_and(|value| value == "1") {
                println!("NOT RUN: {skip}=1 leaves out the tests with Spark");
                return None;
            }
        }
        let Some(folder) = std::env::var_os(SPARK) else {
            panic!("{SPARK} is not set: run `cargo xtask interop`, or set {SKIP_SPARK}=1 to leave Spark out");
        };
        Some(SPARK_OF_PROCESS.get_or_init(|| Self::start(Path::new(&folder))))
    }

    /// Spark on a warehouse.
    pub fn on(&'static self, warehouse: &Warehouse) -> SparkWarehouse {
        let catalog = warehouse.path().join("catalog.db").to_str().unwrap().to_owned();
        SparkWarehouse { spark: self, catalog, folder: tempfile::tempdir().unwrap() }
    }

    // It ends when its input does, which is when this process ends: nobody can wait for it.
    #[allow(clippy::zombie_processes)]
    fn start(folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join("spark.py");
        let mut child = Command::new(folder.join("bin").join("python"))
            .arg(script)
            .arg(folder.join("jars"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let spark = Self { pipes: Mutex::new(pipes) };
        spark.ask(&json!({"do": "ready"})).unwrap();
        spark
    }

    /// Runs a command of `spark.py`; the text of the error when it fails.
    fn ask(&self, command: &Value) -> Result<Value, String> {
        let mut line = String::new();
        {
            let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(pipes.0, "{command}").and_then(|()| pipes.0.flush()).expect("Spark has ended");
            pipes.1.read_line(&mut line).unwrap();
        }
        assert!(!line.is_empty(), "Spark ended at {command}");
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap().to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl SparkWarehouse {
    /// Runs statements in order; the rows of each. Panics when one fails.
    pub fn run(&self, statements: &[impl AsRef<str>]) -> Vec<Rows> {
        self.run_with(&[], statements)
    }

    /// Runs statements that find `data` in temporary views of these names.
    pub fn run_with(&self, data: &[(&str, &RecordBatch)], statements: &[impl AsRef<str>]) -> Vec<Rows> {
        self.try_run_with(data, statements).unwrap_or_else(|error| panic!("Spark: {error}"))
    }

    /// The rows of one query, as text.
    pub fn query(&self, query: &str) -> Rows {
        self.run(&[query]).remove(0)
    }

    /// The text of the error when a statement fails; those before it are done.
    pub fn try_run_with(
        &self,
        data: &[(&str, &RecordBatch)],
        statements: &[impl AsRef<str>],
    ) -> Result<Vec<Rows>, String> {
        let views: serde_json::Map<String, Value> = data
            .iter()
            .map(|(name, batch)| {
                let path = self.folder.path().join(format!("{name}.arrow"));
                write_ipc(&path, std::slice::from_ref(*batch));
                ((*name).to_owned(), json!(path))
            })
            .collect();
        let statements: Vec<&str> = statements.iter().map(AsRef::as_ref).collect();
        let command = json!({"do": "sql", "catalog": self.catalog, "statements": statements, "data": views});
        self.spark.ask(&command).map(|answer| serde_json::from_value(answer).unwrap())
    }

    /// The batches of a query.
    pub fn read(&self, query: &str) -> Vec<RecordBatch> {
        self.try_read(query).unwrap_or_else(|error| panic!("Spark: {query}: {error}"))
    }

    /// The batches of a query; the text of the error when it fails.
    pub fn try_read(&self, query: &str) -> Result<Vec<RecordBatch>, String> {
        let out = tempfile::Builder::new().suffix(".arrow").tempfile_in(self.folder.path()).unwrap();
        let command = json!({"do": "read", "catalog": self.catalog, "query": query, "out": out.path()});
        self.spark.ask(&command)?;
        Ok(read_ipc(out.path()))
    }

    /// Every row of `from` (a table, with or without `VERSION AS OF …`), in the columns of `schema`.
    pub fn table(&self, from: &str, schema: &Schema) -> Vec<RecordBatch> {
        self.read(&format!("SELECT {} FROM {from}", columns(schema)))
    }
}

/// The columns of a schema for a SELECT of Spark. A UUID is text for Spark: it becomes its 16 bytes again.
fn columns(schema: &Schema) -> String {
    let column = |field: &arrow_schema::FieldRef| {
        let name = field.name();
        match field.data_type() {
            DataType::FixedSizeBinary(16) => format!("unhex(replace(`{name}`, '-', '')) AS `{name}`"),
            _ => format!("`{name}`"),
        }
    };
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}
