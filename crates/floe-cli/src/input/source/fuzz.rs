//! Damaged inputs: a panic reaches nobody, errors are of few kinds, nothing takes long, and no rows come from nowhere.
//!
//! The files are those of `tests/fuzz/corpus`; `floe_testkit::fuzz` says how to run more cases, or one again.

use std::io::Cursor;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use floe::ErrorKind;
use floe_testkit::fuzz::{Corpus, Outcome};

use super::*;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus");
const KINDS: [ErrorKind; 4] =
    [ErrorKind::Validation, ErrorKind::SchemaMismatch, ErrorKind::Corrupted, ErrorKind::Unsupported];

/// The columns of the corpus.
fn table() -> Schema {
    let list = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
    let only = DataType::Struct(vec![Field::new("leaf", DataType::Utf8, true)].into());
    let columns = [
        ("number", DataType::Int64),
        ("text", DataType::Utf8),
        ("price", DataType::Decimal128(12, 2)),
        ("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("list", list),
        ("only", only),
        ("raw", DataType::LargeBinary),
        ("flag", DataType::Boolean),
        ("ratio", DataType::Float64),
    ];
    Schema::new(columns.map(|(name, ty)| Field::new(name, ty, true)).to_vec())
}

/// Reads an input for the table, and infers a schema from it. Its rows.
fn read(bytes: &[u8], format: InputFormat) -> Outcome {
    let options = ReadOptions { format: Some(format), infer_rows: 100, ..ReadOptions::default() };
    let source = || Source::stream("input".to_owned(), Box::new(Cursor::new(bytes.to_vec())), &options);
    let inferred = source()?.infer_schema(&options);
    if let Ok(schema) = &inferred {
        // What is inferred need not hold for all rows.
        let rows = source()?.read(schema.clone(), &options);
        rows.into_iter().flatten().take_while(Result::is_ok).for_each(drop);
    }
    let source = source()?;
    let _ = source.rows();
    let schema = source.schema_for(&table(), &options)?;
    let mut rows = 0;
    for batch in source.read(schema, &options)? {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

fn run(folder: &str, format: InputFormat, usual: u64, most: impl Fn(&[u8]) -> u64, words: &[&str]) {
    let tally = Corpus::load(CORPUS, folder).with_words(words).run(usual, &KINDS, |bytes| {
        let found = read(bytes, format);
        if let Ok(rows) = found {
            assert!(rows <= most(bytes), "{rows} rows");
        }
        found
    });
    let one = std::env::var_os("FLOE_TEST_SEED").is_some();
    assert!(one || tally.read > 0 && tally.refused > 0, "{tally:?}");
}

/// A row takes a line at least.
fn lines(bytes: &[u8]) -> u64 {
    1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64
}

#[test]
fn csv() {
    run("csv", InputFormat::Csv, 4000, lines, &["\"", "\"\"", ",", "\r\n", "\0", "\u{feff}", "1e400", "NaN"]);
}

#[test]
fn ndjson() {
    let words = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "null",
        "1e400",
        "-0",
        "\\ud83d",
        "\"number\":",
        "\n",
        "[[[[[[[[",
        "{\"a\":{",
    ];
    run("ndjson", InputFormat::Json, 4000, lines, &words);
}

#[test]
fn arrow() {
    run("arrow", InputFormat::Arrow, 3000, |_| u64::MAX, &[]);
}

#[test]
fn parquet() {
    run("parquet", InputFormat::Parquet, 1500, |_| u64::MAX, &[]);
}
