//! Bad input: each has its own clear error, and nothing is written.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use support::{Floe, SCHEMA};

fn parquet(columns: &[(&str, ArrayRef)]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.iter().map(|(name, column)| (*name, column.clone(), true)),
    )
    .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn ids(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<Int64Array>())
}

/// Appends `content` as a file of this name, which must fail and leave the table as it was.
#[track_caller]
fn refused(name: &str, content: &[u8], kind: &str, code: i32, part: &str) {
    let floe = Floe::with_table();
    floe.file(name, content);
    let before = floe.files();
    let error = floe.run(&["append", "t.t", name, "--json"]).fails(kind, code);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(part), "{message}");
    assert_eq!(error["table"], "t.t");
    assert!(!error.to_string().contains("hunter2"), "no values in errors: {error}");
    assert_eq!(floe.files(), before, "nothing is written");
    assert_eq!(floe.rows("t.t"), 0);
    assert_eq!(floe.line("snapshots t.t --json").json()["snapshots"].as_array().unwrap().len(), 0);
}

#[test]
fn an_unknown_column_is_refused() {
    let file = parquet(&[("id", ids(&[Some(1)])), ("nom", ids(&[Some(1)]))]);
    refused("a.parquet", &file, "schema_mismatch", 2, "'nom'");
    refused("a.csv", b"id,nom\n1,x\n", "schema_mismatch", 2, "'nom'");
    refused("a.json", b"{\"id\":1,\"nom\":2}\n", "schema_mismatch", 2, "'nom'");
}

#[test]
fn a_type_that_does_not_fit_is_refused() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["hunter2"]));
    refused("a.parquet", &parquet(&[("id", text)]), "schema_mismatch", 2, "id");
    refused("a.csv", b"id\n1\nhunter2\n", "schema_mismatch", 2, "line 3");
    refused("a.json", b"{\"id\":1}\n{\"id\":\"hunter2\"}\n", "schema_mismatch", 2, "line 2");
}

#[test]
fn null_in_a_required_column_is_refused() {
    refused("a.parquet", &parquet(&[("id", ids(&[Some(1), None]))]), "schema_mismatch", 2, "id");
    refused("a.csv", b"id,name\n1,a\n,b\n", "schema_mismatch", 2, "id");
    refused("a.csv", b"name\na\n", "schema_mismatch", 2, "'id'");
}

#[test]
fn a_file_that_is_no_parquet_is_refused() {
    refused("a.parquet", b"id\n1\n", "validation", 2, "not a Parquet file");
    refused("a.parquet", b"", "validation", 2, "empty");
    let mut cut = parquet(&[("id", ids(&[Some(1)]))]);
    cut.truncate(cut.len() - 8);
    refused("a.parquet", &cut, "validation", 2, "no end");
    let mut damaged = parquet(&[("id", ids(&[Some(1)]))]);
    let footer = damaged.len() - 40;
    damaged[footer..footer + 20].fill(0xff);
    refused("a.parquet", &damaged, "validation", 2, "footer");
}

#[test]
fn other_files_that_are_not_what_they_claim_are_refused() {
    refused("a.arrow", b"id\n1\n", "validation", 2, "Arrow");
    refused("a.csv", b"", "validation", 2, "empty");
    refused("a.csv", b"id,name\n1,a,b\n", "validation", 2, "line 2");
    refused("a.json", b"[{\"id\":1}]", "validation", 2, "array");
    refused("a.json", b"{\"id\":1}\nhunter2\n", "validation", 2, "line 2");
    refused("a.bin", b"\x00\x01\x02", "validation", 2, "format");
}

#[test]
fn a_bad_file_among_good_ones_stops_all_of_them() {
    let floe = Floe::with_table();
    floe.file("in/a.csv", "id\n1\n");
    floe.file("in/b.parquet", "no parquet");
    let before = floe.files();
    floe.line("append t.t in --json").fails("validation", 2);
    floe.line("append t.t in/a.csv in/c.csv --json").fails("file_not_found", 3);
    assert_eq!(floe.files(), before);
}

#[test]
fn a_missing_table_namespace_or_warehouse_is_told() {
    let floe = Floe::new();
    floe.file("a.csv", "id\n1\n");
    floe.line("append t.t a.csv --json").fails("file_not_found", 3);
    floe.line("scan t.t --json").fails("file_not_found", 3);
    assert!(!floe.warehouse().exists(), "a command that cannot succeed makes no warehouse");
    let floe = Floe::with_table();
    floe.file("a.csv", "id\n1\n");
    let error = floe.line("append t.nope a.csv --json").fails("no_such_table", 3);
    assert_eq!(error["table"], "t.nope");
    for command in
        ["append nope.t a.csv", "scan nope.t", "describe nope.t", "snapshots nope.t", "files nope.t"]
    {
        let run = floe.line(&format!("{command} --json"));
        assert_eq!(run.code, 3, "{command}: {}", run.stderr);
    }
    floe.line("list nope --json").fails("no_such_namespace", 3);
}

#[test]
fn a_table_that_is_there_is_not_made_again() {
    let floe = Floe::with_table();
    let before = floe.files();
    let error = floe.line("create t.t --schema schema.json --json").fails("table_already_exists", 4);
    assert!(error["hint"].as_str().unwrap().contains("--if-not-exists"), "{error}");
    assert_eq!(floe.files(), before);
}

#[test]
fn bad_create_leaves_no_warehouse() {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    floe.file("bad.json", "{\"fields\": [{\"name\": \"x\", \"type\": \"integer\"}]}");
    floe.file("a.parquet", "no parquet");
    for words in [
        vec!["create", "t.t", "--from", "a.parquet"],
        vec!["create", "t.t", "--schema", "bad.json"],
        vec!["create", "t.t", "--schema", "schema.json", "--partition", "day(nope)"],
        vec!["create", "t.t", "--schema", "schema.json", "--partition", "day(name)"],
        vec!["create", "t.t", "--schema", "schema.json", "--partition", "bucket(16 id)"],
        vec!["create", "t. t", "--schema", "schema.json"],
        vec!["create", "t.t", "--schema", "schema.json", "--property", "format-version=9"],
    ] {
        floe.run(&[words.clone(), vec!["--json"]].concat()).fails("validation", 2);
    }
    floe.line("create t.t --from nope.csv --json").fails("file_not_found", 3);
    assert!(!floe.warehouse().exists());
}

#[test]
fn a_malformed_filter_or_column_is_refused() {
    let floe = Floe::with_table();
    for filter in ["id = ", "id ==== 1", "nope = 1", "id = 'x' or", "(id = 1", "id = 'hunter2'"] {
        let error = floe.run(&["scan", "t.t", "--filter", filter, "--json"]).fails("validation", 2);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    floe.run(&["scan", "t.t", "--columns", "id,nope", "--json"]).fails("validation", 2);
}

#[test]
fn an_unknown_snapshot_is_told() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id\n1\n");
    floe.line("append t.t a.csv").ok();
    for at in ["12345", "nope", "2001-01-01", "2001-01-01T00:00:00Z"] {
        floe.run(&["scan", "t.t", "--at", at, "--json"]).fails("snapshot_not_found", 3);
        floe.run(&["files", "t.t", "--at", at, "--json"]).fails("snapshot_not_found", 3);
    }
}

#[test]
fn damaged_metadata_is_told() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id\n1\n");
    floe.line("append t.t a.csv").ok();
    let (metadata, manifests): (Vec<_>, Vec<_>) = floe
        .files()
        .into_iter()
        .map(|(p, _)| p)
        .filter(|p| p.parent().unwrap().ends_with("metadata"))
        .partition(|p| p.to_string_lossy().ends_with(".json"));
    for path in manifests {
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, b"Obj\x01 not really").unwrap();
        let error = floe.line("scan t.t --json").fails("corrupted", 9);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(error["message"].as_str().unwrap().contains(&name), "the file is named: {error}");
        std::fs::write(&path, good).unwrap();
    }
    assert_eq!(floe.rows("t.t"), 1);
    for path in metadata {
        std::fs::write(&path, "{\"format-version\": 2").unwrap();
    }
    for command in ["scan t.t", "append t.t a.csv", "describe t.t", "snapshots t.t"] {
        floe.line(&format!("{command} --json")).fails("corrupted", 9);
    }
}

#[test]
fn a_catalog_file_that_is_missing_or_no_catalog_is_told() {
    let floe = Floe::with_table();
    let catalog = floe.warehouse().join("catalog.db");
    let good = std::fs::read(&catalog).unwrap();
    std::fs::write(&catalog, "this is no database, but it is long enough to look like one".repeat(20))
        .unwrap();
    floe.line("scan t.t --json").fails("corrupted", 9);
    std::fs::remove_file(&catalog).unwrap();
    floe.line("scan t.t --json").fails("file_not_found", 3);
    // A new catalog would hide the tables that are there.
    let error = floe.line("create t.u --schema schema.json --json").fails("file_not_found", 3);
    assert!(error["hint"].as_str().unwrap().contains("floe init"), "{error}");
    assert!(!catalog.exists());
    std::fs::write(&catalog, good).unwrap();
    assert_eq!(floe.rows("t.t"), 0);
}

#[test]
fn an_output_that_cannot_be_written_is_told() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id\n1\n");
    floe.line("append t.t a.csv").ok();
    floe.line("scan t.t --out no/such/folder/x.csv --json").fails("file_not_found", 3);
    floe.line("scan t.t --out warehouse --format csv --json").fails("validation", 2);
    floe.line("scan t.t --out x.unknown --json").fails("validation", 2);
    floe.line("scan t.t --format csv --json").fails("validation", 2);
    if std::path::Path::new("/dev/full").exists() {
        for format in ["csv", "json", "table", "arrow", "parquet"] {
            let run = floe.run(&["scan", "t.t", "--out", "/dev/full", "--format", format, "--json"]);
            run.fails("storage_full", 9);
        }
    }
}

#[test]
fn errors_for_people_have_a_hint() {
    let floe = Floe::with_table();
    let run = floe.line("create t.t --schema schema.json");
    assert_eq!(run.code, 4);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("error: t.t: "), "{lines:?}");
    assert!(lines[1].starts_with("hint: "), "{lines:?}");
    assert_eq!(run.text(), "");
}

/// A stream of one message: a schema without columns (Arrow format, "Schema message").
fn arrow_schema(big_endian: bool) -> Vec<u8> {
    let message = [
        // Where the message is.
        &[16_u16, 0][..],
        // Where its fields are, and the message: version 5, a schema, which lies behind.
        &[10, 12, 8, 10, 4, 0],
        &[12, 0, 16, 0, 4, 1],
        // Where the fields of the schema are, and the schema: the columns lie behind, the order of bytes.
        &[8, 12, 8, 4],
        &[8, 0, 8, 0, u16::from(big_endian), 0],
        // No columns.
        &[0, 0, 0, 0],
    ]
    .concat();
    let mut stream = vec![0xff, 0xff, 0xff, 0xff, 56, 0, 0, 0];
    stream.extend(message.iter().flat_map(|word| word.to_le_bytes()));
    stream.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    stream
}

#[test]
fn big_endian_arrow_data_is_refused_by_name() {
    refused("a.arrow", &arrow_schema(true), "unsupported", 9, "big-endian");
    // But for that it is a valid one, which lacks a required column.
    refused("a.arrow", &arrow_schema(false), "schema_mismatch", 2, "id");
}

/// Files that make libraries panic, of the corpus of the fuzzers.
#[test]
fn what_makes_a_library_panic_gives_one_error() {
    let floe = Floe::with_table();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus");
    floe.run(&["create", "t.p", "--from", &format!("{corpus}/parquet/valid-40-plain.parquet")]).ok();
    let mut panics = 0;
    for format in ["parquet", "arrow"] {
        for file in std::fs::read_dir(format!("{corpus}/{format}")).unwrap() {
            let path = file.unwrap().path();
            if !path.file_name().unwrap().to_string_lossy().starts_with("panic") {
                continue;
            }
            let before = floe.files();
            let error = floe.run(&["append", "t.p", path.to_str().unwrap(), "--json"]).fails("corrupted", 9);
            panics += u32::from(error["message"].as_str().unwrap().contains("cannot read this"));
            assert_eq!(floe.files(), before, "nothing is written");
        }
    }
    assert!(panics > 0);
}
