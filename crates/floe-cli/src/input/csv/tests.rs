//! Tests of reading CSV.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::*;

fn text(bytes: &[u8]) -> Text {
    Text::stream(Box::new(Cursor::new(bytes.to_vec()))).unwrap()
}

fn options(nulls: &[&str]) -> ReadOptions {
    let nulls = nulls.iter().map(|n| (*n).to_owned()).collect();
    ReadOptions { infer_rows: 100, nulls, ..ReadOptions::default() }
}

fn table() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)])
}

#[test]
fn names_and_types_come_from_the_file() {
    let bytes = "\u{feff}id,name,at\n1,a,2013-01-01\n2,,2013-01-02\n";
    let schema = infer(&text(bytes.as_bytes()), "f", &options(&[])).unwrap();
    let types: Vec<_> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int64, DataType::Utf8, DataType::Date32]);
    assert_eq!(schema.field(0).name(), "id");
}

#[test]
fn an_empty_field_is_null_unless_another_text_is() {
    let bytes = b"id,name\n1,\nNA,x\n";
    let typed = |nulls: &[&str], row: &[u8]| {
        let options = options(nulls);
        let schema = schema_for(&text(row), "f", &table(), &options).unwrap();
        read(text(row), "f".into(), schema, &options).unwrap().next().unwrap()
    };
    let batch = typed(&["NA"], bytes).unwrap();
    assert!(batch.column(0).is_null(1));
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "");
    let batch = typed(&[], b"id,name\n1,\n").unwrap();
    assert!(batch.column(1).is_null(0));
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 1);
}

#[test]
fn errors_name_file_line_and_column_but_no_value() {
    let bytes = b"id,name\n1,a\nhunter2,b\n";
    let schema = schema_for(&text(bytes), "f.csv", &table(), &options(&[])).unwrap();
    let error = read(text(bytes), "f.csv".into(), schema, &options(&[])).unwrap().next().unwrap();
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "f.csv, line 3: the value of column 'id' is no long");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn unknown_and_double_columns_are_refused() {
    let error = schema_for(&text(b"id,nom\n"), "f", &table(), &options(&[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    for bytes in [b"id,id\n".as_slice(), b"id,\n", b"", b"\n\n"] {
        let error = schema_for(&text(bytes), "f", &table(), &options(&[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
    }
}

#[test]
fn rows_of_another_length_are_refused() {
    let bytes = b"id,name\n1,a\n2\n";
    let schema = schema_for(&text(bytes), "f", &table(), &options(&[])).unwrap();
    let error = read(text(bytes), "f".into(), schema, &options(&[])).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}

fn all(bytes: &[u8], options: &ReadOptions) -> Result<Vec<RecordBatch>> {
    let schema = schema_for(&text(bytes), "f.csv", &table(), options)?;
    read(text(bytes), "f.csv".into(), schema, options)?.collect()
}

#[test]
fn what_is_in_quotes_is_no_null() {
    let batch = &all(b"id,name\n1,\"\"\n2,\n3,NA\n", &options(&[])).unwrap()[0];
    let names: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
    assert_eq!(names, [Some(""), None, Some("NA")]);
    let batch = &all(b"id,name\n1,\"NA\"\n2,NA\n3,\n", &options(&["NA"])).unwrap()[0];
    let names: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
    assert_eq!(names, [Some("NA"), None, Some("")]);
    let quoted = ReadOptions { null_quoted: true, ..options(&[]) };
    let batch = &all(b"id,name\n\"1\",\"\"\n", &quoted).unwrap()[0];
    assert!(batch.column(1).is_null(0));
    let error = all(b"id,name\n\"\",a\n", &options(&[])).unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("--null-quoted")), "{error}");
}

#[test]
fn quotes_lines_and_delimiters_are_read_whatever_the_buffer() {
    // Fields of every kind, again and again, so that some lie across the ends of buffers.
    let row = "7,\"a \"\"b\"\",\nc\r\n\"\r\n8,plain\n\n9,\"\"\r";
    let text = format!("\u{feff}\"id\",name\n{}", row.repeat(40_000));
    let batches = all(text.as_bytes(), &options(&[])).unwrap();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 120_000);
    for batch in batches {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        for (id, name) in ids.values().iter().zip(batch.column(1).as_string::<i32>().iter()) {
            let expected = match id {
                7 => "a \"b\",\nc\r\n",
                8 => "plain",
                _ => "",
            };
            assert_eq!(name, Some(expected));
        }
    }
}

#[test]
fn malformed_rows_are_refused_with_their_line() {
    for (bytes, fault) in [
        (b"id,name\n1,\"a\n2,b\n".as_slice(), "line 2: a field in quotes does not end"),
        (b"id,name\n1,\"a\"b\n", "line 2: text follows a field in quotes"),
        (b"id,name\n1,\"a\nb\"\n2,c,d\n", "line 4: 3 fields, the header has 2"),
        (b"id,name\n1,a\n2,\xff\n", "line 3: this is not UTF-8"),
    ] {
        let error = all(bytes, &options(&[])).unwrap_err();
        assert!(error.to_string().contains(fault), "{error}");
    }
}

#[test]
fn in_one_column_an_empty_line_is_a_row() {
    let batch = &all(b"name\na\n\n\"\"\n", &options(&[])).unwrap()[0];
    let names: Vec<_> = batch.column(0).as_string::<i32>().iter().collect();
    assert_eq!(names, [Some("a"), None, Some("")]);
}

#[test]
fn batches_are_made_by_bytes() {
    // Three rows have more than a batch may.
    let wide = "x".repeat(floe::data::decoding::BATCH_BYTES as usize * 2 / 5);
    let rows = (0..20).map(|id| format!("{id},{wide}\n")).collect::<Vec<_>>().concat();
    let batches = all(format!("id,name\n{rows}").as_bytes(), &options(&[])).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20);
    assert!(batches.iter().all(|batch| batch.num_rows() <= 3), "{}", batches[0].num_rows());
}
