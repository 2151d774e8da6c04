//! Damaged inputs: a panic reaches nobody, errors are of few kinds, nothing takes long, and no rows come from nowhere.
//!
//! The files are those of `tests/fuzz/corpus`; `floe_testkit::fuzz` says how to run more cases, or one again.

use std::io::Cursor;

use floe::ErrorKind;
use floe_testkit::fuzz::{Corpus, Outcome};
use iceberg::spec::{ListType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type};

use super::super::{adapter, unify};
use super::*;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus");
const KINDS: [ErrorKind; 4] =
    [ErrorKind::Validation, ErrorKind::SchemaMismatch, ErrorKind::Corrupted, ErrorKind::Unsupported];

/// The columns of the corpus.
fn table() -> Target {
    let text = || Type::Primitive(PrimitiveType::String);
    let optional = |id, name: &str, ty| -> NestedFieldRef { NestedField::optional(id, name, ty).into() };
    let fields = [
        optional(1, "number", Type::Primitive(PrimitiveType::Long)),
        optional(2, "text", text()),
        optional(3, "price", Type::Primitive(PrimitiveType::Decimal { precision: 12, scale: 2 })),
        optional(4, "at", Type::Primitive(PrimitiveType::Timestamp)),
        optional(5, "list", Type::List(ListType::new(optional(51, "element", text())))),
        optional(6, "only", Type::Struct(StructType::new(vec![optional(61, "leaf", text())]))),
        optional(7, "raw", Type::Primitive(PrimitiveType::Binary)),
        optional(8, "flag", Type::Primitive(PrimitiveType::Boolean)),
        optional(9, "ratio", Type::Primitive(PrimitiveType::Double)),
    ];
    let schema = iceberg::spec::Schema::builder().with_fields(fields).build().unwrap();
    Target::new(schema, Absent::Default).unwrap()
}

/// Reads an input for the table, and infers a schema from it. Its rows.
fn read(bytes: &[u8], format: InputFormat) -> Outcome {
    let options = ReadOptions { format: Some(format), infer_rows: 100, ..ReadOptions::default() };
    let source = || Source::stream("input".to_owned(), Box::new(Cursor::new(bytes.to_vec())), &options);
    let _ = source()?.infer_schema(&options);
    let target = table();
    let source = source()?;
    let _ = source.rows();
    let own = source.schema_for(&target, &options)?;
    let one = unify(&[("input", own.clone())], &target)?;
    let guard = source.guard();
    let (adapt, _) = adapter("input".to_owned(), &own, &one, &options)?;
    let mut rows = 0;
    for batch in source.read(own, &target, &options)? {
        let batch = batch?;
        rows += guard.call(|| adapt(batch))?.num_rows() as u64;
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
