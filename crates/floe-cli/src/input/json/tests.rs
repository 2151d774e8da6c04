//! Tests of reading JSON.

use std::io::Cursor;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::DataType;
use iceberg::spec::{Literal, NestedField, PrimitiveType, Type};

use super::*;

fn text(bytes: &[u8]) -> Text {
    Text::stream(Box::new(Cursor::new(bytes.to_vec()))).unwrap()
}

fn options() -> ReadOptions {
    ReadOptions { infer_rows: 100, ..ReadOptions::default() }
}

fn target(absent: Absent) -> Target {
    let primitive = |id, name: &str, ty| NestedField::optional(id, name, Type::Primitive(ty));
    let id = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long));
    let at = primitive(2, "at", PrimitiveType::Timestamp);
    let raw = primitive(3, "raw", PrimitiveType::Binary);
    let n = primitive(4, "n", PrimitiveType::Int).with_write_default(Literal::int(7));
    let fields = [id, at, raw, n].map(Arc::new);
    Target::new(iceberg::spec::Schema::builder().with_fields(fields).build().unwrap(), absent).unwrap()
}

fn read_as(bytes: &[u8], absent: Absent) -> Result<Vec<RecordBatch>> {
    let target = target(absent);
    let schema = schema_for(&text(bytes), "f.json", &target)?;
    read(text(bytes), "f.json".into(), schema, &target, &options())?.collect()
}

fn read_all(bytes: &[u8]) -> Result<Vec<RecordBatch>> {
    read_as(bytes, Absent::Default)
}

#[test]
fn types_come_from_values_and_times_from_texts() {
    let bytes = br#"{"id":1,"at":"2013-01-01","x":{"y":[1.5]},"n":null}
        {"id":2,"z":true}"#;
    let schema = infer(&text(bytes), "f", &options()).unwrap();
    assert_eq!(schema.field_with_name("id").unwrap().data_type(), &DataType::Int64);
    assert_eq!(schema.field_with_name("at").unwrap().data_type(), &DataType::Date32);
    assert_eq!(schema.field_with_name("n").unwrap().data_type(), &DataType::Utf8);
    assert!(matches!(schema.field_with_name("x").unwrap().data_type(), DataType::Struct(_)));
}

#[test]
fn rows_have_the_types_of_the_table_and_missing_keys_are_null() {
    let batches =
        read_all(b"{\"id\":1,\"raw\":\"00ff\"}\n\n{\"at\":\"2013-01-01T00:00:00\",\"id\":2}").unwrap();
    let batch = &batches[0];
    assert_eq!(batch.num_rows(), 2);
    assert!(batch.column(1).is_null(0) && batch.column(1).is_valid(1));
    assert_eq!(batch.column(2).as_binary::<i64>().value(0), [0, 255]);
}

#[test]
fn errors_name_line_and_column_but_no_value() {
    for (bytes, expected) in [
        ("{\"id\":1}\n{\"id\":\"hunter2\"}\n", "line 2: the value of column 'id' is no long"),
        ("{\"id\":1}\n{\"id\":2,\"raw\":\"hunter2\"}\n", "line 2: the value of column 'raw' is no binary"),
        ("{\"id\":1}\n\n{\"id\":2,\"raw\":\"hunter2\"}\n", "line 3: the value of column 'raw' is no binary"),
        ("{\"id\":1}\n{\"id\":\"hunter2\n", "line 2: this is not one JSON object"),
    ] {
        let error = read_all(bytes.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn unknown_columns_are_refused_before_and_after_the_sample() {
    let error = read_all(b"{\"id\":1,\"nom\":2}\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let mut late = b"{\"id\":1}\n".repeat(200);
    late.extend(b"{\"id\":1,\"nom\":2}\n");
    let error = read_all(&late).unwrap_err();
    assert!(error.to_string().contains("line 201") && error.to_string().contains("'nom'"), "{error}");
}

#[test]
fn arrays_and_other_text_are_refused() {
    for bytes in [b"[{\"id\":1}]".as_slice(), b"id,at", b"", b" \n"] {
        assert_eq!(read_all(bytes).unwrap_err().kind(), ErrorKind::Validation);
    }
}

#[test]
fn an_absent_key_is_the_default_and_null_is_null() {
    let batch = &read_all(b"{\"id\":1}\n{\"id\":2,\"n\":null}\n{\"n\":5,\"id\":3}\n").unwrap()[0];
    let n: Vec<_> = batch.column(3).as_primitive::<arrow_array::types::Int32Type>().iter().collect();
    assert_eq!(n, [Some(7), None, Some(5)]);
    let error = read_all(b"{\"id\":1}\n{\"n\":1}\n").unwrap_err();
    assert!(error.to_string().contains("line 2: the required column 'id'"), "{error}");
}

#[test]
fn an_upsert_takes_rows_with_the_same_keys() {
    let batch = &read_as(b"{\"id\":1,\"n\":2}\n{\"n\":null,\"id\":2}\n", Absent::Refused).unwrap()[0];
    assert_eq!(batch.num_columns(), 2);
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
    let error = read_as(b"{\"id\":1,\"n\":2}\n{\"id\":2}\n", Absent::Refused).unwrap_err();
    assert!(error.to_string().contains("line 2: the key 'n' is absent"), "{error}");
}

#[test]
fn a_key_that_comes_twice_is_refused() {
    let error = read_all(b"{\"id\":1}\n{\"id\":1,\"id\":2}\n").unwrap_err();
    assert!(error.to_string().contains("line 2: the key 'id' comes twice"), "{error}");
    let error = infer(&text(b"{\"id\":1,\"id\":2}\n"), "f", &options()).unwrap_err();
    assert!(error.to_string().contains("'id' comes twice"), "{error}");
}

#[test]
fn numbers_are_as_they_are_written() {
    let fault = |row: &str| read_all(row.as_bytes()).unwrap_err().to_string();
    assert!(fault("{\"id\":1.9}\n").contains("it has a fraction"));
    assert!(fault("{\"id\":1,\"at\":1700000000}\n").contains("--epoch"));
    assert!(fault("{\"id\":1,\"raw\":1234}\n").contains("'raw' is no binary"));
    assert_eq!(read_all(b"{\"id\":2.0}\n").unwrap()[0].column(0).as_primitive::<Int64Type>().value(0), 2);
}

#[test]
fn whole_numbers_beyond_long_keep_their_digits() {
    let ty =
        |rows: &str| infer(&text(rows.as_bytes()), "f", &options()).map(|s| s.field(0).data_type().clone());
    assert_eq!(ty("{\"a\":18446744073709551557}").unwrap(), DataType::Decimal128(20, 0));
    assert_eq!(ty("{\"a\":1}\n{\"a\":123456789012345678901}").unwrap(), DataType::Decimal128(38, 0));
    assert_eq!(ty("{\"a\":1}\n{\"a\":1.5}").unwrap(), DataType::Float64);
    assert!(ty("{\"a\":9007199254740993}\n{\"a\":1.5}").is_err());
    let error = ty("{\"a\":1}\n{\"a\":\"x\"}").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("'a' has values of different types"), "{error}");
    assert!(ty("{\"a\":{}}").unwrap_err().to_string().contains("'a' is an object without keys"));
}

#[test]
fn batches_are_made_by_bytes() {
    // Three lines have more than a batch may.
    let wide = "0f".repeat(floe::data::decoding::BATCH_BYTES as usize / 5);
    let lines =
        (0..20).map(|id| format!("{{\"id\":{id},\"raw\":\"{wide}\"}}\n")).collect::<Vec<_>>().concat();
    let batches = read_all(lines.as_bytes()).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20);
    assert!(batches.iter().all(|batch| batch.num_rows() <= 3), "{}", batches[0].num_rows());
}
