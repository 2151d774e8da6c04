//! Tests of matching, casting and inference.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, NullArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use floe_core::ErrorKind;
use iceberg::spec::{ListType, Literal, NestedField, PrimitiveType, Schema, StructType, Type};
use proptest::prelude::*;

use super::*;

fn optional(id: i32, name: &str, ty: PrimitiveType) -> NestedField {
    NestedField::optional(id, name, Type::Primitive(ty))
}

fn schema(fields: Vec<NestedField>) -> Schema {
    Schema::builder().with_fields(fields.into_iter().map(Arc::new)).build().unwrap()
}

fn fit(table: &Schema, columns: Vec<(&str, ArrayRef)>) -> floe_core::Result<RecordBatch> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    apply(&match_schema(batch.schema_ref(), table)?, &batch)
}

#[test]
fn all_faults_come_in_one_error() {
    let table = schema(vec![
        optional(1, "a", PrimitiveType::Int),
        NestedField::required(2, "b", Type::Primitive(PrimitiveType::String)),
        optional(3, "c", PrimitiveType::Timestamp),
    ]);
    let data = ArrowSchema::new(vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("C", DataType::Int64, true),
        Field::new("c", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
    ]);
    let error = match_schema(&data, &table).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    for part in [
        "a: Utf8 does not fit int",
        "C: the table has no such column (it has c)",
        "b: the data lacks",
        "c: Timestamp",
    ] {
        assert!(error.message().contains(part), "{part} is missing in {error}");
    }
}

#[test]
fn the_result_has_the_tables_order_types_and_field_ids() {
    let table = schema(vec![
        optional(7, "a", PrimitiveType::Long),
        optional(3, "b", PrimitiveType::String),
        optional(9, "absent", PrimitiveType::Double),
        optional(10, "filled", PrimitiveType::Timestamp).with_write_default(Literal::timestamp(5)),
        optional(11, "nothing", PrimitiveType::Uuid),
    ]);
    let words: DictionaryArray<Int32Type> = [Some("x"), None, Some("x")].into_iter().collect();
    let out = fit(
        &table,
        vec![
            ("nothing", Arc::new(NullArray::new(3)) as ArrayRef),
            ("b", Arc::new(words)),
            ("a", Arc::new(Int8Array::from(vec![Some(-1), Some(2), None]))),
        ],
    )
    .unwrap();
    assert_eq!(*out.schema(), iceberg::arrow::schema_to_arrow_schema(&table).unwrap());
    assert_eq!(out.column(0).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(-1), Some(2), None]));
    assert_eq!(out.column(1).as_string::<i32>(), &StringArray::from(vec![Some("x"), None, Some("x")]));
    assert_eq!(out.column(2).null_count(), 3);
    let filled: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![5, 5, 5]));
    assert_eq!(out.column(3), &filled);
    assert_eq!(out.column(4).null_count(), 3);
}

#[test]
fn null_in_a_required_column_is_counted_and_refused() {
    let table = schema(vec![NestedField::required(1, "a", Type::Primitive(PrimitiveType::Int))]);
    let column: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(1), None]));
    let batch = RecordBatch::try_from_iter([("a", column.clone())]).unwrap();
    for error in [check_required(&batch, &table).unwrap_err(), fit(&table, vec![("a", column)]).unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert!(error.message().starts_with("a: ") && error.message().contains("2 rows"), "{error}");
    }
}

#[test]
fn nanoseconds_are_taken_only_if_nothing_is_lost() {
    let table = schema(vec![optional(1, "t", PrimitiveType::Timestamp)]);
    let good: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(-7_000), None]));
    let expected: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(-7), None]));
    assert_eq!(fit(&table, vec![("t", good)]).unwrap().column(0), &expected);
    let bad: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(7_001), None]));
    assert_eq!(fit(&table, vec![("t", bad)]).unwrap_err().kind(), ErrorKind::SchemaMismatch);
}

#[test]
fn errors_name_column_and_type_and_quote_no_value() {
    let secret = 4_611_686_018_427_387_904;
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![Some(secret), None]));
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![secret + 1]));
    let words: ArrayRef = Arc::new(StringArray::from(vec![secret.to_string()]));
    for (column, kept) in [(seconds, "timestamp"), (nanos, "timestamp"), (words, "long")] {
        let ty = if kept == "long" { PrimitiveType::Long } else { PrimitiveType::Timestamp };
        let error = fit(&schema(vec![optional(1, "c", ty)]), vec![("c", column)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        let said = format!("{error} {error:?}");
        assert!(said.contains("c: ") && !said.contains("46116860184"), "{said}");
        assert!(std::error::Error::source(&error).is_none(), "{said}");
    }
}

#[test]
fn a_batch_that_is_not_as_announced_is_refused() {
    let table = schema(vec![optional(1, "c", PrimitiveType::Long)]);
    let announced = ArrowSchema::new(vec![Field::new("c", DataType::Int64, true)]);
    let mapping = match_schema(&announced, &table).unwrap();
    let other: ArrayRef = Arc::new(StringArray::from(vec!["secret"]));
    let batch = RecordBatch::try_from_iter([("c", other)]).unwrap();
    let error = apply(&mapping, &batch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    assert!(error.message().contains("c: a batch has Utf8"), "{error}");
}

#[test]
fn structs_and_lists_are_fitted_inside() {
    let inner = StructType::new(vec![
        optional(3, "x", PrimitiveType::Long).into(),
        optional(4, "y", PrimitiveType::String).into(),
    ]);
    let element = NestedField::list_element(5, Type::Primitive(PrimitiveType::Long), false);
    let table = schema(vec![
        NestedField::optional(1, "s", Type::Struct(inner)),
        NestedField::optional(2, "l", Type::List(ListType::new(element.into()))),
    ]);
    let x: ArrayRef = Arc::new(Int16Array::from(vec![1, 2, 3]));
    let s = StructArray::try_new(
        vec![Field::new("x", DataType::Int16, true)].into(),
        vec![x],
        Some(vec![true, false, true].into()),
    )
    .unwrap();
    let l = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(9)]),
        None,
        Some(vec![Some(1), None]),
    ]);
    // A slice: offsets do not start at zero.
    let batch =
        RecordBatch::try_from_iter([("l", Arc::new(l) as ArrayRef), ("s", Arc::new(s))]).unwrap().slice(1, 2);
    let out = apply(&match_schema(batch.schema_ref(), &table).unwrap(), &batch).unwrap();
    let s = out.column(0).as_struct();
    assert!(s.is_null(0) && s.column(0).as_primitive::<Int64Type>().value(1) == 3 && s.column(1).is_null(1));
    let l = out.column(1).as_list::<i32>();
    assert!(l.is_null(0));
    assert_eq!(l.value(1).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), None]));
}

#[test]
fn inference_gives_a_table_that_takes_the_same_data() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("t", Arc::new(TimestampNanosecondArray::from(vec![1_000, -2_000]))),
        ("d", Arc::new(["a", "b"].into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("s", Arc::new(StringArray::from(vec!["ü", ""]))),
    ];
    let batch = RecordBatch::try_from_iter(columns.clone()).unwrap();
    let table = infer(batch.schema_ref()).unwrap();
    assert!(table.as_struct().fields().iter().all(|f| !f.required));
    let out = fit(&table, columns).unwrap();
    let decimal = out.column(0).as_primitive::<arrow_array::types::Decimal128Type>();
    assert_eq!(decimal.value(0), i128::from(u64::MAX));
    let data = ArrowSchema::new(vec![
        Field::new("i", DataType::Interval(arrow_schema::IntervalUnit::DayTime), true),
        Field::new("n", DataType::Null, true),
    ]);
    let error = infer(&data).unwrap_err();
    assert!(error.message().contains("i: ") && error.message().contains("n: "), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn casts_that_are_allowed_keep_every_value(values in prop::collection::vec(any::<Option<i64>>(), 0..20)) {
        let source: ArrayRef = Arc::new(Int64Array::from(values));
        let types = [
            DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64, DataType::UInt8, DataType::UInt16,
            DataType::UInt32, DataType::UInt64, DataType::Float32, DataType::Float64, DataType::Utf8,
            DataType::LargeUtf8, DataType::Decimal128(10, 0), DataType::Decimal128(20, 0),
        ];
        for from in &types {
            // What does not fit the narrower type is NULL there; it is the starting point.
            let array = arrow_cast::cast(&source, from).unwrap();
            for to in types.iter().filter(|to| crate::convert::casts_safely(from, to)) {
                let options = arrow_cast::CastOptions { safe: false, ..Default::default() };
                let there = arrow_cast::cast_with_options(&array, to, &options).unwrap();
                let back = arrow_cast::cast(&there, from).unwrap();
                prop_assert_eq!(&back, &array, "{} to {}", from, to);
            }
        }
    }
}
