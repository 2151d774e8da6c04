//! What comes in: streams, values that do not fit, defaults and absent columns.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, ListArray, NullArray, RecordBatch};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use support::Floe;

fn data(floe: &Floe, table: &str) -> Vec<Value> {
    let mut rows = floe.run(&["scan", table, "--json"]).json()["data"].as_array().unwrap().clone();
    rows.sort_by_key(ToString::to_string);
    rows
}

/// A FIFO that somebody writes this to, once.
fn fifo(floe: &Floe, name: &str, content: &[u8]) -> std::thread::JoinHandle<()> {
    let path = floe.path().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let content = content.to_vec();
    std::thread::spawn(move || {
        // The reader may go away before it has read all.
        let _ = std::fs::write(path, content);
    })
}

#[cfg(unix)]
#[test]
fn every_command_reads_a_fifo_once() {
    let rows = b"id,name\n1,a\n2,b\n";
    for (number, words) in [
        vec!["append", "t.t", "IN"],
        vec!["overwrite", "t.t", "IN", "--all"],
        vec!["upsert", "t.t", "IN", "--on", "id"],
        vec!["merge", "t.t", "IN", "--on", "id", "--when", "not matched then insert *"],
        vec!["create", "t.new", "--from", "IN"],
    ]
    .into_iter()
    .enumerate()
    {
        for extension in ["", ".csv"] {
            let floe = Floe::with_table();
            let name = format!("in{number}{extension}");
            let writer = fifo(&floe, &name, rows);
            let words: Vec<&str> = words.iter().map(|w| if *w == "IN" { name.as_str() } else { w }).collect();
            let run = floe.run(&[words.as_slice(), &["--json"]].concat()).json();
            writer.join().unwrap();
            if words[0] == "create" {
                assert_eq!(run["schema"]["fields"].as_array().unwrap().len(), 2, "{words:?}");
            } else {
                assert_eq!(floe.rows("t.t"), 2, "{words:?}");
                assert_eq!(run["input_repeatable"], false, "{words:?}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn streams_of_every_format_and_several_of_them_are_read() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id,name\n1,a\n2,\"\"\n");
    floe.line("append t.t a.csv").ok();
    let expected = data(&floe, "t.t");
    let mut writers = Vec::new();
    let mut words = vec!["append".to_owned(), "t.many".to_owned()];
    floe.run(&["create", "t.many", "--schema", "schema.json"]).ok();
    for format in ["csv", "json", "arrow", "parquet"] {
        let bytes = floe.run(&["scan", "t.t", "--format", format]).ok().stdout;
        let table = format!("t.{format}");
        floe.run(&["create", &table, "--schema", "schema.json"]).ok();
        let name = format!("one_{format}");
        let writer = fifo(&floe, &name, &bytes);
        floe.run(&["append", &table, &name]).ok();
        writer.join().unwrap();
        assert_eq!(data(&floe, &table), expected, "{format}");
        let name = format!("many_{format}");
        writers.push(fifo(&floe, &name, &bytes));
        words.push(name);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--json"]).collect();
    let run = floe.run(&words).json();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(
        (&run["rows"], &run["inputs"], &run["input_repeatable"]),
        (&8.into(), &4.into(), &true.into())
    );
    assert_eq!(floe.rows("t.many"), 8);
}

#[cfg(unix)]
#[test]
fn standard_input_by_its_path_is_standard_input() {
    let floe = Floe::with_table();
    let run = floe.with_input(&["append", "t.t", "/dev/stdin", "--json"], b"id,name\n1,a\n").json();
    assert_eq!(run["rows"], 1);
    let twice = floe.with_input(&["append", "t.t", "-", "/dev/stdin", "--json"], b"id\n1\n");
    assert!(twice.fails("validation", 2)["message"].as_str().unwrap().contains("once"));
    floe.file(
        "plan.json",
        r#"{"operations": [{"write": {"files": ["-"], "config": {"mode": "overwrite", "overwrite_all": true}}}, {"tag": {"name": "x"}}]}"#,
    );
    floe.with_input(&["transaction", "t.t", "plan.json", "--json"], b"id,name\n7,z\n").json();
    floe.file(
        "twice.json",
        r#"{"operations": [{"write": {"files": ["-"]}}, {"write": {"files": ["/dev/stdin"]}}]}"#,
    );
    floe.with_input(&["transaction", "t.t", "twice.json", "--json"], b"id\n8\n").fails("validation", 2);
    assert_eq!(data(&floe, "t.t"), [json!({"id": 7, "name": "z", "at": null})]);
}

#[test]
fn an_overwrite_with_nothing_takes_nothing_away_unless_told() {
    let floe = Floe::with_table();
    floe.file("a.csv", "id,name\n1,a\n2,b\n");
    floe.file("none.csv", "id,name\n");
    floe.line("append t.t a.csv").ok();
    for words in [
        vec!["overwrite", "t.t", "none.csv", "--all", "--json"],
        vec!["overwrite", "t.t", "none.csv", "--filter", "id = 1", "--json"],
        vec!["overwrite", "t.t", "none.csv", "--dynamic", "--json"],
        vec!["overwrite", "t.t", "none.csv", "--all", "--dry-run", "--json"],
    ] {
        let error = floe.run(&words).fails("validation", 2);
        assert!(error["hint"].as_str().unwrap().contains("--allow-empty"), "{error}");
        assert_eq!(floe.rows("t.t"), 2);
    }
    // Nothing would be taken away.
    floe.run(&["overwrite", "t.t", "none.csv", "--filter", "id = 9", "--json"]).json();
    floe.run(&["overwrite", "t.t", "none.csv", "--filter", "id = 1", "--allow-empty", "--json"]).json();
    assert_eq!(floe.rows("t.t"), 1);
    floe.run(&["overwrite", "t.t", "none.csv", "--all", "--allow-empty", "--json"]).json();
    assert_eq!(floe.rows("t.t"), 0);
    floe.run(&["overwrite", "t.t", "none.csv", "--all", "--json"]).json();
}

#[test]
fn values_that_do_not_fit_are_refused_with_file_line_and_column() {
    let floe = Floe::new();
    floe.file(
        "schema.json",
        r#"[{"name": "l", "type": "long"}, {"name": "m", "type": "decimal(9,2)"}, {"name": "f", "type": "float"},
            {"name": "d", "type": "double"}, {"name": "day", "type": "date"}, {"name": "ts", "type": "timestamp"}]"#,
    );
    floe.line("create t.t --schema schema.json").ok();
    for (column, value, why) in [
        ("l", "1.9", "fraction"),
        ("m", "12.349", "digits after the point"),
        ("d", "9007199254740993", "exact"),
        ("f", "1e300", "out of range"),
        ("f", "16777217", "exact"),
        ("ts", "1700000000", "--epoch"),
        ("day", "2013-01-31T10:00:00", "time of day"),
        ("ts", "2013-01-31T10:00:00+02:00", "offset"),
        ("ts", "2013-01-31T10:00:00.1234567", "finer"),
    ] {
        let quoted = if value.contains(':') { format!("\"{value}\"") } else { value.to_owned() };
        floe.file("a.csv", format!("{column}\n\n{value}\n"));
        floe.file("a.ndjson", format!("{{\"{column}\":null}}\n\n{{\"{column}\":{quoted}}}\n"));
        for file in ["a.csv", "a.ndjson"] {
            let error = floe.run(&["append", "t.t", file, "--json"]).fails("schema_mismatch", 2);
            let message = error["message"].as_str().unwrap();
            let place = format!("{file}, line 3: the value of column '{column}'");
            assert!(message.contains(&place) && message.contains(why), "{message}");
            assert!(!message.contains(value), "{message}");
        }
    }
    assert_eq!(floe.rows("t.t"), 0);
    floe.file("e.ndjson", "{\"ts\":1700000000123}\n");
    floe.run(&["append", "t.t", "e.ndjson", "--epoch", "ms"]).ok();
    assert_eq!(data(&floe, "t.t")[0]["ts"], "2023-11-14T22:13:20.123");
}

#[test]
fn nan_and_infinity_and_empty_texts_come_back() {
    let floe = Floe::new();
    floe.file("schema.json", r#"[{"name": "d", "type": "double"}, {"name": "s", "type": "string"}]"#);
    floe.line("create t.t --schema schema.json").ok();
    floe.file("a.csv", "d,s\nNaN,\"\"\ninf,\n-inf,NA\n");
    floe.line("append t.t a.csv").ok();
    let rows = data(&floe, "t.t");
    assert_eq!(
        rows,
        [
            json!({"d": "-Infinity", "s": "NA"}),
            json!({"d": "Infinity", "s": null}),
            json!({"d": "NaN", "s": ""})
        ]
    );
    let lines = floe.run(&["scan", "t.t", "--format", "csv", "--null", "NA"]).ok().lines();
    assert!(lines.contains(&"-inf,\"NA\"".to_owned()) && lines.contains(&"NaN,\"\"".to_owned()), "{lines:?}");
    for (name, more) in [("x.ndjson", vec![]), ("x.csv", vec!["--null", "NA"])] {
        floe.run(&[&["scan", "t.t", "--out", name], more.as_slice()].concat()).ok();
        floe.run(&["create", "t.back", "--schema", "schema.json"]).ok();
        floe.run(&[&["append", "t.back", name], more.as_slice()].concat()).ok();
        assert_eq!(data(&floe, "t.back"), rows, "{name}");
        floe.line("drop t.back").ok();
        let _ = std::fs::remove_dir_all(floe.warehouse().join("t/back"));
    }
}

#[test]
fn whole_numbers_beyond_long_and_nanoseconds_are_kept() {
    let floe = Floe::new();
    floe.file("r.csv", "id,at\n18446744073709551557,2024-01-01 10:00:00.123456789\n");
    floe.file("r.ndjson", "{\"id\":18446744073709551557,\"at\":\"2024-01-01T10:00:00.123456789Z\"}\n");
    for format in ["csv", "ndjson"] {
        let (table, file) = (format!("n.{format}"), format!("r.{format}"));
        let made = floe.run(&["create", &table, "--from", &file, "--json"]).json();
        assert_eq!(made["schema"]["fields"][0]["type"], "decimal(20, 0)");
        assert_eq!(made["schema"]["fields"][1]["type"], "string");
        floe.run(&["append", &table, &file]).ok();
        let text = floe.run(&["scan", &table, "--format", "csv"]).ok().text();
        assert!(text.contains("18446744073709551557") && text.contains("123456789"), "{text}");
    }
}

/// A table of version 3 whose column `n` has a default for new rows, as another engine gave it.
fn with_default() -> Floe {
    let floe = Floe::new();
    floe.file(
        "schema.json",
        r#"{"fields": [{"name": "id", "type": "long", "required": true}, {"name": "n", "type": "int"}]}"#,
    );
    floe.run(&["create", "t.t", "--schema", "schema.json", "--property", "format-version=3"]).ok();
    let metadata: Vec<PathBuf> = floe
        .files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    let mut table: Value = serde_json::from_slice(&std::fs::read(&metadata[0]).unwrap()).unwrap();
    table["schemas"][0]["fields"][1]["initial-default"] = json!(1);
    table["schemas"][0]["fields"][1]["write-default"] = json!(7);
    std::fs::write(&metadata[0], table.to_string()).unwrap();
    floe
}

#[test]
fn defaults_fill_what_is_absent() {
    let floe = with_default();
    floe.file("a.ndjson", "{\"id\":1}\n{\"id\":2,\"n\":null}\n{\"id\":3,\"n\":5}\n");
    floe.file("b.csv", "id\n4\n");
    floe.file("c.csv", "id,n\n5,6\n");
    floe.line("append t.t a.ndjson b.csv c.csv").ok();
    let values: Vec<Value> = data(&floe, "t.t").iter().map(|row| row["n"].clone()).collect();
    assert_eq!(values, [json!(7), Value::Null, json!(5), json!(7), json!(6)]);
}

#[test]
fn an_upsert_keeps_what_its_input_does_not_mention() {
    let floe = Floe::new();
    floe.file(
        "schema.json",
        r#"[{"name": "id", "type": "long", "required": true}, {"name": "name", "type": "string", "required": true},
            {"name": "n", "type": "long"}]"#,
    );
    floe.line("create t.t --schema schema.json").ok();
    floe.file("rows.csv", "id,name,n\n1,a,1\n2,b,2\n");
    floe.line("append t.t rows.csv").ok();
    floe.file("c.csv", "id,n\n1,9\n");
    floe.file("c.ndjson", "{\"id\":2,\"n\":8}\n");
    floe.file("new.csv", "id,n\n3,9\n");
    floe.file("keys.ndjson", "{\"id\":1}\n");
    floe.run(&["upsert", "t.t", "c.csv", "--on", "id"]).ok();
    floe.run(&["upsert", "t.t", "c.ndjson", "--on", "id", "--not-matched", "ignore"]).ok();
    let expected = [json!({"id": 1, "name": "a", "n": 9}), json!({"id": 2, "name": "b", "n": 8})];
    assert_eq!(data(&floe, "t.t"), expected);
    // A new row would lack its name.
    let before = floe.files();
    let error = floe.run(&["upsert", "t.t", "new.csv", "--on", "id", "--json"]).fails("schema_mismatch", 2);
    assert!(error["message"].as_str().unwrap().contains("name: this required column"), "{error}");
    assert_eq!(floe.files(), before);
    floe.run(&["upsert", "t.t", "new.csv", "--on", "id", "--not-matched", "ignore"]).ok();
    assert_eq!(data(&floe, "t.t"), expected);
    // Rows and inputs of different columns: it is not known what becomes of the others.
    floe.file("odd.ndjson", "{\"id\":1,\"n\":1}\n{\"id\":2}\n");
    let error =
        floe.run(&["upsert", "t.t", "odd.ndjson", "--on", "id", "--json"]).fails("schema_mismatch", 2);
    assert!(error["message"].as_str().unwrap().contains("line 2: the key 'n' is absent"), "{error}");
    floe.run(&["upsert", "t.t", "rows.csv", "c.csv", "--on", "id", "--json"]).fails("schema_mismatch", 2);
    floe.run(&[
        "upsert",
        "t.t",
        "keys.ndjson",
        "--on",
        "id",
        "--matched",
        "delete",
        "--not-matched",
        "ignore",
    ])
    .ok();
    assert_eq!(data(&floe, "t.t"), expected[1..]);
}

fn parquet(floe: &Floe, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    );
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    floe.file(name, writer.into_inner().unwrap())
}

#[test]
fn columns_of_nothing_but_null_fit_every_optional_column() {
    let floe = Floe::new();
    let id = |id| Arc::new(Int64Array::from(vec![id])) as ArrayRef;
    let list = |array: ListArray| Arc::new(array) as ArrayRef;
    let tags = ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>([Some(vec![Some(1)])]);
    let quantity = Arc::new(Int32Array::from(vec![5])) as ArrayRef;
    parquet(&floe, "full.parquet", vec![("id", id(1)), ("qty", quantity), ("tags", list(tags.clone()))]);
    let nulls = Arc::new(NullArray::new(1)) as ArrayRef;
    parquet(&floe, "null.parquet", vec![("id", id(2)), ("qty", nulls.clone()), ("tags", list(tags))]);
    let field = Arc::new(arrow_schema::Field::new("element", arrow_schema::DataType::Null, true));
    let offsets = arrow_buffer::OffsetBuffer::new(vec![0, 0].into());
    let empty = ListArray::try_new(field, offsets, Arc::new(NullArray::new(0)), None).unwrap();
    parquet(&floe, "list.parquet", vec![("id", id(3)), ("tags", list(empty))]);
    parquet(&floe, "upsert.parquet", vec![("id", id(1)), ("qty", nulls.clone())]);
    floe.line("create n.t --from full.parquet").ok();
    floe.line("append n.t full.parquet null.parquet list.parquet").ok();
    floe.line("upsert n.t upsert.parquet --on id").ok();
    assert_eq!(
        data(&floe, "n.t"),
        [
            json!({"id": 1, "qty": null, "tags": [1]}),
            json!({"id": 2, "qty": null, "tags": [1]}),
            json!({"id": 3, "qty": null, "tags": []})
        ]
    );
}

#[test]
fn foreign_files_are_refused_by_name() {
    let floe = Floe::with_table();
    let mut encrypted = b"PARE".to_vec();
    encrypted.extend([0; 40]);
    encrypted.extend(20_u32.to_le_bytes());
    encrypted.extend(b"PARE");
    floe.file("e.parquet", encrypted);
    let error = floe.line("append t.t e.parquet --json").fails("unsupported", 9);
    assert!(error["message"].as_str().unwrap().contains("encrypted"), "{error}");
    floe.file("bom.ndjson", "\u{feff}{\"id\":1}\n");
    floe.line("append t.t bom.ndjson").ok();
    floe.file("empty.ndjson", "{\"a\":1,\"meta\":{}}\n");
    let error = floe.line("create t.e --from empty.ndjson --json").fails("validation", 2);
    assert!(error["message"].as_str().unwrap().contains("'meta'"), "{error}");
}

/// A Parquet file whose footer says that it has no rows, while its row groups have six.
#[test]
fn row_groups_count_where_the_footer_states_no_rows() {
    let floe = Floe::new();
    let ids = Arc::new(Int64Array::from_iter_values(0..6)) as ArrayRef;
    let path = parquet(&floe, "a.parquet", vec![("id", ids)]);
    let mut bytes = std::fs::read(&path).unwrap();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let footer = bytes.len() - 8 - length;
    // The number of rows, 6 in zigzag, and the list of row groups after it.
    let at = bytes[footer..].windows(3).position(|w| w == [0x16, 0x0c, 0x19]).unwrap() + footer;
    bytes[at + 1] = 0;
    std::fs::write(&path, bytes).unwrap();
    floe.line("create t.t --from a.parquet").ok();
    assert_eq!(floe.line("append t.t a.parquet --json").json()["rows"], 6);
    assert_eq!(floe.rows("t.t"), 6);
}

/// The schema message of an Arrow stream without columns, its numbers in this order.
fn schema_message(big_endian: bool) -> Vec<u8> {
    let mut message = Vec::new();
    let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
    let half = |bytes: &mut Vec<u8>, value: u16| bytes.extend(value.to_le_bytes());
    word(&mut message, 16);
    // Where the message has its version, the type of its header, its header, the length of its body.
    for value in [12, 20, 16, 18, 4, 8] {
        half(&mut message, value);
    }
    word(&mut message, 12);
    word(&mut message, 24);
    message.extend(0_u64.to_le_bytes());
    half(&mut message, 4);
    half(&mut message, 1);
    // Where the schema has its order of bytes and its columns.
    for value in [8, 12, 8, 4] {
        half(&mut message, value);
    }
    word(&mut message, 8);
    word(&mut message, 8);
    half(&mut message, u16::from(big_endian));
    half(&mut message, 0);
    word(&mut message, 0);
    word(&mut message, 0);
    let mut stream = vec![0xff; 4];
    word(&mut stream, message.len() as u32);
    stream.extend(message);
    stream.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    stream
}

/// An Arrow file without columns or batches, its numbers in this order.
fn empty_file(big_endian: bool) -> Vec<u8> {
    let mut footer = Vec::new();
    let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
    let half = |bytes: &mut Vec<u8>, value: u16| bytes.extend(value.to_le_bytes());
    word(&mut footer, 12);
    // Where the footer has its version and its schema.
    for value in [8, 12, 4, 8] {
        half(&mut footer, value);
    }
    word(&mut footer, 8);
    half(&mut footer, 4);
    half(&mut footer, 0);
    word(&mut footer, 12);
    // Where the schema has its order of bytes and its columns.
    for value in [8, 12, 8, 4] {
        half(&mut footer, value);
    }
    word(&mut footer, 8);
    word(&mut footer, 8);
    half(&mut footer, u16::from(big_endian));
    half(&mut footer, 0);
    word(&mut footer, 0);
    let mut file = [b"ARROW1\0\0".to_vec(), schema_message(big_endian)].concat();
    let length = footer.len() as u32;
    file.extend(footer);
    word(&mut file, length);
    file.extend(b"ARROW1");
    file
}

#[test]
fn big_endian_numbers_are_refused_by_name() {
    let floe = Floe::with_table();
    for (name, bytes) in [("a.arrows", schema_message(true)), ("a.arrow", empty_file(true))] {
        floe.file(name, bytes);
        let error = floe.run(&["append", "t.t", name, "--json"]).fails("unsupported", 9);
        assert!(error["message"].as_str().unwrap().contains("big-endian"), "{error}");
    }
    for (name, bytes) in [("b.arrows", schema_message(false)), ("b.arrow", empty_file(false))] {
        floe.file(name, bytes);
        let error = floe.run(&["append", "t.t", name, "--json"]).fails("schema_mismatch", 2);
        assert!(error["message"].as_str().unwrap().contains("'id' is missing"), "{error}");
    }
}

/// A Parquet file with a timestamp as INT96 and a UUID in a struct; `nanos` are those after midnight.
fn int96(nanos: u32) -> Vec<u8> {
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::{FixedLenByteArray, Int96};

    let message = "message m { optional group s {
        optional int96 t; optional fixed_len_byte_array(16) u (UUID); } }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(message).unwrap());
    let mut bytes = Vec::new();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::Int96ColumnWriter(column) => {
                // The Julian day numbers of 0001-01-01 and 9999-12-31.
                let days = [1_721_426, 5_373_484].map(|day| {
                    let mut value = Int96::new();
                    value.set_data(nanos, 0, day);
                    value
                });
                column.write_batch(&days, Some(&[2, 2]), None).unwrap();
            }
            ColumnWriter::FixedLenByteArrayColumnWriter(column) => {
                let uuid = FixedLenByteArray::from(vec![0xab; 16]);
                column.write_batch(&[uuid.clone(), uuid], Some(&[2, 2]), None).unwrap();
            }
            _ => panic!("another column"),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn int96_and_uuids_within_structs_are_read_as_what_they_are() {
    let floe = Floe::new();
    floe.file("a.parquet", int96(5_000));
    floe.line("create n.t --from a.parquet").ok();
    floe.line("append n.t a.parquet").ok();
    let rows = floe.line("scan n.t --format json").ok().text();
    for part in ["0001-01-01", "9999-12-31", "00:00:00.000005", "abababab-abab-abab-abab-abababababab"] {
        assert!(rows.contains(part), "{part}: {rows}");
    }
    // A nanosecond more is not lost.
    floe.file("b.parquet", int96(5_001));
    let error = floe.line("append n.t b.parquet --json").fails("schema_mismatch", 2);
    assert!(error["message"].as_str().unwrap().contains("finer than microseconds"), "{error}");
}

/// The most memory that a run of the binary held, in bytes, and how it ended.
#[cfg(target_os = "linux")]
fn peak_of(floe: &Floe, line: &str) -> (u64, support::Run) {
    let words: Vec<&str> = line.split(' ').collect();
    let child = support::piped(floe.command().args(&words));
    let status = format!("/proc/{}/status", child.id());
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ended = done.clone();
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = kib.unwrap_or(0).max(peak);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        peak * 1024
    });
    let run = support::Run::of(child.wait_with_output().unwrap(), &words);
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    (watcher.join().unwrap(), run)
}

/// A small file whose rows are wide: values of a dictionary, each of which comes often.
#[cfg(target_os = "linux")]
#[test]
fn wide_values_of_a_dictionary_take_the_memory_of_few_rows() {
    const ROWS: i64 = 16_384;
    let floe = Floe::new();
    let texts: Vec<String> = (0..8).map(|n| n.to_string().repeat(40 << 10)).collect();
    let file = std::fs::File::create(floe.path().join("wide.parquet")).unwrap();
    let batch = |from: i64| {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 256));
        let values = (from..from + 256).map(|id| texts[id as usize % 8].as_str());
        let values: ArrayRef = Arc::new(arrow_array::StringArray::from_iter_values(values));
        RecordBatch::try_from_iter([("id", ids), ("text", values)]).unwrap()
    };
    let mut writer = ArrowWriter::try_new(file, batch(0).schema(), None).unwrap();
    for from in (0..ROWS).step_by(256) {
        writer.write(&batch(from)).unwrap();
    }
    let groups = writer.close().unwrap().num_row_groups();
    assert_eq!(groups, 1, "the rows can be decoded at once");
    floe.file(
        "schema.json",
        r#"{"fields": [{"name": "id", "type": "long"}, {"name": "text", "type": "string"}]}"#,
    );
    floe.line("create t.t --schema schema.json").ok();
    let (peak, run) = peak_of(&floe, "append t.t wide.parquet --memory 64MB");
    run.ok();
    assert!(peak > 0 && peak < 450 << 20, "{} MiB", peak >> 20);
}
