//! Rows in and out: formats, folders, standard input, time travel.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;

use serde_json::{Value, json};
use support::Floe;

/// A table of all primitive types that text can hold, with NULLs, NaN and texts that need quotes.
fn all_types() -> Floe {
    let floe = Floe::new();
    floe.file(
        "schema.json",
        r#"[{"name": "b", "type": "boolean"}, {"name": "i", "type": "int"}, {"name": "l", "type": "long"},
            {"name": "f", "type": "float"}, {"name": "d", "type": "double"}, {"name": "m", "type": "decimal(9,2)"},
            {"name": "day", "type": "date"}, {"name": "t", "type": "time"}, {"name": "ts", "type": "timestamp"},
            {"name": "tz", "type": "timestamptz"}, {"name": "s", "type": "string"}, {"name": "u", "type": "uuid"},
            {"name": "x", "type": "fixed[2]"}, {"name": "y", "type": "binary"}]"#,
    );
    floe.line("create t.t --schema schema.json").ok();
    floe.file(
        "rows.csv",
        "b,i,l,f,d,m,day,t,ts,tz,s,u,x,y\n\
         true,-1,9007199254740993,0.5,1e300,12345.67,2013-01-31,10:11:12.5,2013-01-31 10:11:12.123456,\
         2013-01-31T10:11:12+02:00,\"a, \"\"b\"\"\nc\",f79c3e09-677c-4bbd-a479-3f349cb785e7,00ff,0102\n\
         ,,,,,,,,,,,,,\n\
         false,2147483647,-9223372036854775808,-0.25,2.5,-0.01,1969-12-31,00:00:00,1969-12-31 23:59:59.999999,\
         1969-12-31T23:59:59Z,größe,00000000-0000-0000-0000-000000000000,0000,\n",
    );
    let appended = floe.line("append t.t rows.csv --json").json();
    assert_eq!(appended["rows"], 3);
    floe
}

fn data(floe: &Floe, table: &str) -> Vec<Value> {
    floe.run(&["scan", table, "--json"]).json()["data"].as_array().unwrap().clone()
}

#[test]
fn every_type_survives_csv_and_every_other_format() {
    let floe = all_types();
    let rows = data(&floe, "t.t");
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["l"], json!(9_007_199_254_740_993_i64));
    assert_eq!(rows[0]["s"], "a, \"b\"\nc");
    assert_eq!(rows[0]["day"], "2013-01-31");
    assert!(rows[0]["tz"].as_str().unwrap().starts_with("2013-01-31T08:11:12"), "{}", rows[0]["tz"]);
    assert!(rows[1].as_object().unwrap().values().all(Value::is_null), "{}", rows[1]);
    for extension in ["csv", "json", "arrow", "arrows", "parquet"] {
        let out = format!("out.{extension}");
        let wrote = floe.run(&["scan", "t.t", "--out", &out, "--json"]).json();
        assert_eq!(wrote["rows"], 3);
        assert_eq!(wrote["out_bytes"], std::fs::metadata(floe.path().join(&out)).unwrap().len());
        let table = format!("t.{extension}");
        floe.run(&["create", &table, "--schema", "schema.json"]).ok();
        floe.run(&["append", &table, &out]).ok();
        assert_eq!(data(&floe, &table), rows, "{extension}");
    }
}

#[test]
fn a_table_made_from_a_file_has_its_types_and_takes_its_rows() {
    let floe = all_types();
    for extension in ["arrow", "parquet"] {
        let out = format!("out.{extension}");
        floe.run(&["scan", "t.t", "--out", &out]).ok();
        let table = format!("t.from_{extension}");
        floe.run(&["create", &table, "--from", &out]).ok();
        let described = floe.run(&["describe", &table, "--json"]).json();
        let types: Vec<&str> = described["schema"]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["type"].as_str().unwrap())
            .collect();
        assert_eq!(&types[..6], ["boolean", "int", "long", "float", "double", "decimal(9, 2)"]);
        assert_eq!(&types[6..11], ["date", "time", "timestamp", "timestamptz", "string"]);
        floe.run(&["append", &table, &out]).ok();
        assert_eq!(data(&floe, &table), data(&floe, "t.t"));
    }
}

#[test]
fn types_are_inferred_from_text() {
    let floe = Floe::new();
    floe.file("a.csv", "id,zip,price,ok,day,at,seen,empty\n1,007,1.5,true,2013-01-01,2013-01-01T10:00:00,2013-01-01T10:00:00Z,\n");
    let made = floe.line("create t.t --from a.csv --json").json();
    let types: Vec<&str> =
        made["schema"]["fields"].as_array().unwrap().iter().map(|f| f["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["long", "string", "double", "boolean", "date", "timestamp", "timestamptz", "string"]);
    assert_eq!((&made["rows"], &made["snapshot_id"]), (&0.into(), &Value::Null));
    floe.line("append t.t a.csv").ok();
    assert_eq!(data(&floe, "t.t")[0]["zip"], "007");
}

#[test]
fn folders_and_many_files_make_one_snapshot() {
    let floe = Floe::with_table();
    floe.file("in/b.csv", "name,id\nb,2\n");
    floe.file("in/deep/a.json", "{\"id\":1,\"at\":\"2013-01-01T00:00:00\"}\n");
    floe.file("in/_SUCCESS", "");
    floe.file("in/.hidden.csv", "nope\n1\n");
    floe.file("in/notes.txt", "nope");
    floe.file("c.csv", "id\n3\n");
    let appended = floe.line("append t.t in c.csv --json").json();
    assert_eq!((&appended["rows"], &appended["inputs"]), (&3.into(), &3.into()));
    let snapshots = floe.line("snapshots t.t --json").json();
    assert_eq!(snapshots["snapshots"].as_array().unwrap().len(), 1);
    assert_eq!(snapshots["snapshot_id"], appended["snapshot_id"]);
    let mut ids: Vec<i64> = data(&floe, "t.t").iter().map(|r| r["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn standard_input_is_read_in_every_format() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id,name\n1,a\n2,\n");
    floe.line("append t.t a.csv").ok();
    let expected = data(&floe, "t.t");
    for (format, named) in
        [("csv", false), ("csv", true), ("json", false), ("arrow", false), ("parquet", false)]
    {
        let bytes = floe.run(&["scan", "t.t", "--format", format]).ok().stdout;
        let table = format!("t.{format}_{named}");
        floe.run(&["create", &table, "--schema", "schema.json"]).ok();
        let mut words = vec!["append", &table, "-", "--json"];
        if named {
            words.extend(["--input-format", format]);
        }
        let appended: Value = floe.with_input(&words, &bytes).json();
        assert_eq!(appended["rows"], 2, "{format}");
        assert_eq!(data(&floe, &table), expected, "{format}");
    }
    let made = floe.with_input(&["create", "t.stdin", "--from", "-", "--json"], b"id,x\n1,2.5\n").json();
    assert_eq!(made["schema"]["fields"][1]["type"], "double");
    floe.with_input(&["append", "t.t", "-", "--json"], b"").fails("validation", 2);
}

#[test]
fn compressed_text_and_other_delimiters_are_read() {
    let floe = Floe::with_table();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"id,name\n1,a\n").unwrap();
    floe.file("a.csv.gz", gzip.finish().unwrap());
    floe.file("b.json.zst", zstd::encode_all(b"{\"id\":2}\n".as_slice(), 1).unwrap());
    floe.file("c.tsv", "id\tname\n3\tx,y\n");
    floe.line("append t.t a.csv.gz b.json.zst c.tsv").ok();
    floe.file("d.csv", "id;name\n4;NA\n");
    floe.run(&["append", "t.t", "d.csv", "--delimiter", ";", "--null", "NA"]).ok();
    let rows = floe
        .run(&[
            "scan",
            "t.t",
            "--filter",
            "id >= 3",
            "--format",
            "csv",
            "--columns",
            "id,name",
            "--null",
            "NULL",
        ])
        .ok();
    let mut lines = rows.lines();
    lines.sort();
    assert_eq!(lines, ["3,\"x,y\"", "4,NULL", "id,name"]);
}

#[test]
fn scans_filter_project_and_limit() {
    let floe = Floe::with_table();
    let rows = (0..1000).map(|i| format!("{i},n{i}\n")).collect::<Vec<_>>().concat();
    floe.file("a.csv", format!("id,name\n{rows}"));
    floe.line("append t.t a.csv").ok();
    let scan = floe
        .run(&["scan", "t.t", "--filter", "id >= 10 and id < 13", "--columns", "name, id", "--json"])
        .json();
    assert_eq!(scan["columns"], json!(["name", "id"]));
    assert_eq!(scan["rows"], 3);
    assert_eq!(
        scan["data"],
        json!([{"name": "n10", "id": 10}, {"name": "n11", "id": 11}, {"name": "n12", "id": 12}])
    );
    assert_eq!(scan["files"], 1);
    assert!(scan["bytes"].as_u64().unwrap() > 0 && scan["snapshot_id"].is_string());
    assert_eq!(floe.line("scan t.t --limit 7 --json").json()["rows"], 7);
    assert_eq!(floe.line("scan t.t --limit 0 --json").json()["rows"], 0);
    let pruned = floe.run(&["scan", "t.t", "--filter", "id > 5000", "--json"]).json();
    assert_eq!((&pruned["rows"], &pruned["files"], &pruned["data"]), (&0.into(), &0.into(), &json!([])));
    let table = floe.line("scan t.t --limit 2").ok().lines();
    assert_eq!(table.len(), 4, "{table:?}");
    assert!(table[2].contains("NULL"), "{table:?}");
    let lines = floe.line("scan t.t --limit 2 --format json").ok().lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(serde_json::from_str::<Value>(&lines[0]).unwrap(), json!({"id": 0, "name": "n0", "at": null}));
}

#[test]
fn tables_are_read_as_they_were() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id\n1\n");
    let first = floe.line("append t.t a.csv --json").json()["snapshot_id"].clone();
    let first = first.as_str().unwrap();
    let between = first_time(&floe);
    let second =
        floe.line("append t.t a.csv --strategy merge_commit --snapshot-property job=nightly --json").json();
    assert_eq!(second["rows"], 1);
    let snapshots = floe.line("snapshots t.t --json").json();
    let list = snapshots["snapshots"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(
        (&list[0]["snapshot_id"], &list[0]["summary"]["job"]),
        (&second["snapshot_id"], &"nightly".into())
    );
    let rows = |at: &str| floe.run(&["scan", "t.t", "--at", at, "--json"]).json()["rows"].as_u64().unwrap();
    assert_eq!(rows(first), 1);
    assert_eq!(rows(&format!("ms:{between}")), 1, "milliseconds since 1970");
    assert_eq!(rows("main"), 2);
    assert_eq!(rows("2999-01-01"), 2);
    assert_eq!(rows("2999-01-01 10:00:00"), 2);
    let files = floe.run(&["files", "t.t", "--at", first, "--json"]).json();
    assert_eq!(
        (&files["files"], &files["rows"], &files["snapshot_id"]),
        (&1.into(), &1.into(), &first.into())
    );
    assert_eq!(floe.line("files t.t --json").json()["files"], 2);
}

/// The time of the only snapshot.
fn first_time(floe: &Floe) -> i64 {
    let snapshots = floe.line("snapshots t.t --json").json();
    let time = snapshots["snapshots"][0]["timestamp"].as_str().unwrap().to_owned();
    chrono::DateTime::parse_from_rfc3339(&time).unwrap().timestamp_millis()
}

#[test]
fn an_empty_input_makes_no_snapshot() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id,name\n");
    let appended = floe.line("append t.t a.csv --json").json();
    assert_eq!((&appended["rows"], &appended["snapshot_id"]), (&0.into(), &Value::Null));
    let text = floe.line("append t.t a.csv").ok().text();
    assert!(text.contains("No rows"), "{text}");
}

#[test]
fn every_command_prints_something_for_people() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id,name\n1,a\n");
    for (line, part) in [
        ("append t.t a.csv", "Appended 1 row to t.t"),
        ("describe t.t", "long"),
        ("snapshots t.t", "append"),
        ("files t.t", "1 file, 1 row"),
        ("list", "t"),
        ("scan t.t --out x.parquet", "Wrote 1 row to x.parquet"),
        ("init", "Warehouse"),
        ("drop t.t", "Dropped t.t"),
    ] {
        let text = floe.line(line).ok().text();
        assert!(text.contains(part), "{line}: {text}");
    }
}
