//! Tests that the same rows give the same table or the same refusal, whatever format they come in, and that what is written
//! is read back as it was.

use std::sync::{Arc, Mutex};

use arrow_array::builder::{FixedSizeBinaryBuilder, LargeBinaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use floe::Result;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType as P, Schema, StructType, Type,
};
use proptest::prelude::*;

use super::*;
use crate::args::OutputFormat;
use crate::output::{SinkOptions, Uuids, sink};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const FORMATS: [(OutputFormat, &str); 4] = [
    (OutputFormat::Csv, "csv"),
    (OutputFormat::Json, "ndjson"),
    (OutputFormat::Parquet, "parquet"),
    (OutputFormat::Arrow, "arrows"),
];

/// The rows as `floe scan` writes them.
fn written(batch: &RecordBatch, format: OutputFormat, uuids: &Uuids) -> Vec<u8> {
    let out = Shared::default();
    let options = SinkOptions { uuids: uuids.clone(), ..SinkOptions::default() };
    let mut sink = sink(format, &batch.schema(), Box::new(out.clone()), &options).unwrap();
    sink.write(batch).unwrap();
    drop(sink.finish().unwrap());
    let bytes = out.0.lock().unwrap().clone();
    bytes
}

/// The rows of a file as a write takes them.
fn loaded(bytes: &[u8], extension: &str, table: &Schema) -> Result<RecordBatch> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("rows.{extension}"));
    std::fs::write(&path, bytes).unwrap();
    let options = ReadOptions { infer_rows: 100, ..ReadOptions::default() };
    let target = Target::new(table.clone(), Absent::Default)?;
    let source = discover(&[path], &options)?.remove(0);
    let own = source.schema_for(&target, &options)?;
    let one = unify(&[("rows", own.clone())], &target)?;
    let (adapt, to) = adapter("rows".into(), &own, &one, &options)?;
    let batches =
        source.read(own, &target, &options)?.map(|batch| adapt(batch?)).collect::<Result<Vec<_>>>()?;
    Ok(arrow_select::concat::concat_batches(&to, &batches).unwrap())
}

fn table(ty: P) -> Schema {
    let field = NestedField::optional(1, "v", Type::Primitive(ty)).into();
    Schema::builder().with_fields([field]).build().unwrap()
}

/// A column of some type, and what it is.
fn column() -> impl Strategy<Value = (P, ArrayRef)> {
    fn some<T: std::fmt::Debug + Clone + 'static>(
        values: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Vec<Option<T>>> {
        prop::collection::vec(prop::option::weighted(0.8, values), 1..6)
    }
    let whole = || {
        prop_oneof![
            -5_i64..5,
            any::<i32>().prop_map(i64::from),
            any::<i64>(),
            Just(1 << 53),
            Just((1 << 53) + 1)
        ]
    };
    let double = || {
        prop_oneof![
            2 => (-500_i64..500).prop_map(|n| n as f64 / 100.0),
            2 => (-5_i64..5).prop_map(|n| n as f64),
            1 => any::<f64>(),
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(1e300), Just(9_007_199_254_740_994.0), Just(1e17), Just(-0.0)],
        ]
    };
    let text = || {
        prop_oneof![
            "[a-z,\"\n\r ]{0,5}",
            Just(String::new()),
            Just("NA".to_owned()),
            Just("NULL".to_owned()),
            Just("ü\u{1F600}\\".to_owned()),
            Just("\u{feff}".to_owned()),
        ]
    };
    // Times of day at midnight now and then.
    let micros = || {
        prop_oneof![
            (-40_000_i64..40_000).prop_map(|d| d * 86_400_000_000),
            -60_000_000_000_000_000_i64..250_000_000_000_000_000
        ]
    };
    let utc = "+00:00";
    prop_oneof![
        some(any::<bool>()).prop_map(|v| (P::Boolean, Arc::new(BooleanArray::from(v)) as ArrayRef)),
        some(any::<i32>()).prop_map(|v| (P::Int, Arc::new(Int32Array::from(v)) as ArrayRef)),
        some(whole()).prop_map(|v| (P::Long, Arc::new(Int64Array::from(v)) as ArrayRef)),
        some(any::<u64>()).prop_map(|v| (P::Long, Arc::new(UInt64Array::from(v)) as ArrayRef)),
        some(any::<f32>()).prop_map(|v| (P::Float, Arc::new(Float32Array::from(v)) as ArrayRef)),
        some(double()).prop_map(|v| (P::Double, Arc::new(Float64Array::from(v)) as ArrayRef)),
        some(-999_999_999_i128..=999_999_999).prop_map(|v| {
            let array = Decimal128Array::from(v).with_data_type(DataType::Decimal128(9, 2));
            (P::Decimal { precision: 9, scale: 2 }, Arc::new(array) as ArrayRef)
        }),
        some(whole()).prop_map(|v| {
            let array: Decimal128Array = v.into_iter().map(|v| v.map(|v| i128::from(v) * 7)).collect();
            (
                P::Decimal { precision: 38, scale: 0 },
                Arc::new(array.with_data_type(DataType::Decimal128(38, 0))) as ArrayRef,
            )
        }),
        some(-1_000_000_i32..3_000_000).prop_map(|v| (P::Date, Arc::new(Date32Array::from(v)) as ArrayRef)),
        some(0_i64..86_400_000_000)
            .prop_map(|v| (P::Time, Arc::new(Time64MicrosecondArray::from(v)) as ArrayRef)),
        some(micros()).prop_map(|v| (P::Timestamp, Arc::new(TimestampMicrosecondArray::from(v)) as ArrayRef)),
        some(micros()).prop_map(move |v| {
            (P::Timestamptz, Arc::new(TimestampMicrosecondArray::from(v).with_timezone(utc)) as ArrayRef)
        }),
        some(prop_oneof![any::<i64>(), any::<i32>().prop_map(|v| i64::from(v) * 1000)])
            .prop_map(|v| (P::TimestampNs, Arc::new(TimestampNanosecondArray::from(v)) as ArrayRef)),
        some(text()).prop_map(|v| (P::String, Arc::new(StringArray::from(v)) as ArrayRef)),
        some(prop::collection::vec(any::<u8>(), 0..20)).prop_map(|v| {
            let mut builder = LargeBinaryBuilder::new();
            for v in &v {
                builder.append_option(v.as_ref());
            }
            (P::Binary, Arc::new(builder.finish()) as ArrayRef)
        }),
        some(any::<[u8; 16]>()).prop_map(|v| {
            let mut builder = FixedSizeBinaryBuilder::new(16);
            for v in v {
                match v {
                    Some(v) => builder.append_value(v).unwrap(),
                    None => builder.append_null(),
                }
            }
            (P::Uuid, Arc::new(builder.finish()) as ArrayRef)
        }),
    ]
}

fn types() -> impl Strategy<Value = P> {
    let decimal = |precision, scale| Just(P::Decimal { precision, scale });
    prop_oneof![
        Just(P::Boolean),
        Just(P::Int),
        Just(P::Long),
        Just(P::Float),
        Just(P::Double),
        decimal(5, 1),
        decimal(9, 2),
        decimal(20, 0),
        decimal(38, 10),
        Just(P::Date),
        Just(P::Time),
        Just(P::Timestamp),
        Just(P::Timestamptz),
        Just(P::TimestampNs),
        Just(P::TimestamptzNs),
        Just(P::String),
        Just(P::Uuid),
        Just(P::Fixed(16)),
        Just(P::Binary),
    ]
}

/// Whether text can tell that a column is not of this type, or means the same without telling.
fn tells(from: &P, to: &P) -> bool {
    let bytes = |ty: &P| matches!(ty, P::Uuid | P::Fixed(_) | P::Binary);
    let zoned = |ty: &P| matches!(ty, P::Timestamptz | P::TimestamptzNs);
    match (from, to) {
        (from, to) if from == to => true,
        // Everything is a text in a text.
        (_, P::String) | (P::String, _) => false,
        // Digits may be hexadecimal, and 0 and 1 are booleans.
        (from, to) if bytes(from) || bytes(to) => bytes(from) && bytes(to) && *from != P::Uuid,
        (_, P::Boolean) => false,
        // A text without zone is of UTC, where a stored timestamp without zone is no instant.
        (P::Date | P::Timestamp | P::TimestampNs, to) if zoned(to) => false,
        // A stored float is widened bit by bit, its text means the nearest double.
        (P::Float, P::Double) => false,
        _ => true,
    }
}

fn batch(array: ArrayRef, ty: &P) -> (RecordBatch, Uuids) {
    let id = ("PARQUET:field_id".to_owned(), "1".to_owned());
    let field = Field::new("v", array.data_type().clone(), true).with_metadata([id].into());
    let schema: SchemaRef = Arc::new(ArrowSchema::new(vec![field]));
    (RecordBatch::try_new(schema, vec![array]).unwrap(), Uuids::of([&table(ty.clone())].into_iter()))
}

/// NaN is itself here, whatever its bits.
fn same(a: &ArrayRef, b: &ArrayRef) -> bool {
    match (a.as_primitive_opt::<Float64Type>(), b.as_primitive_opt::<Float64Type>()) {
        (Some(a), Some(b)) => {
            let bits = |v: Option<f64>| v.map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() });
            a.iter().map(bits).eq(b.iter().map(bits))
        }
        _ => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_rows_give_the_same_table_or_the_same_refusal((from, array) in column(), to in types()) {
        // Of nothing but NULL, text does not tell the type.
        if !tells(&from, &to) || from != to && array.null_count() == array.len() {
            return Ok(());
        }
        let (batch, uuids) = batch(array, &from);
        let table = table(to.clone());
        let tables = FORMATS.map(|(format, extension)| {
            let bytes = written(&batch, format, &uuids);
            (extension, loaded(&bytes, extension, &table).map(|batch| batch.column(0).clone()))
        });
        let (_, first) = &tables[0];
        for (extension, got) in &tables[1..] {
            match (first, got) {
                (Ok(a), Ok(b)) => prop_assert!(same(a, b), "{} to {}: {:?} in csv, {:?} in {}", from, to, a, b, extension),
                (Err(_), Err(_)) => {}
                (a, b) => prop_assert!(false, "{} to {}: csv {:?}, {} {:?}", from, to, a, extension, b),
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back((ty, array) in column()) {
        if *array.data_type() == DataType::UInt64 {
            return Ok(());
        }
        let (batch, uuids) = batch(array.clone(), &ty);
        let table = table(ty);
        for (format, extension) in FORMATS {
            let bytes = written(&batch, format, &uuids);
            let got = loaded(&bytes, extension, &table).unwrap();
            prop_assert!(same(got.column(0), &array), "{}: {:?} is {:?}", extension, array, got.column(0));
        }
    }

    #[test]
    fn nested_rows_are_read_back(rows in prop::collection::vec(nested_row(), 1..8)) {
        let table = nested();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let batch = loaded(text.as_bytes(), "ndjson", &table).unwrap();
        prop_assert_eq!(batch.num_rows(), rows.len());
        let schema = batch.schema();
        prop_assert_eq!(schema.as_ref(), &schema_to_arrow_schema(&table).unwrap());
        let uuids = Uuids::of([&table].into_iter());
        for (format, extension) in &FORMATS[1..] {
            let bytes = written(&batch, *format, &uuids);
            let got = loaded(&bytes, extension, &table).unwrap();
            prop_assert_eq!(got.columns(), batch.columns(), "{}", extension);
        }
    }

    /// Whatever the bytes, there are rows or one error.
    #[test]
    fn no_text_stops_the_readers(mut bytes in prop::collection::vec(any::<u8>(), 0..200), rows in prop::collection::vec(nested_row(), 0..3), cut in any::<prop::sample::Index>(), json in any::<bool>()) {
        let mut text: Vec<u8> = rows.iter().flat_map(|row| format!("{row}\n").into_bytes()).collect();
        let at = cut.index(text.len() + 1);
        bytes.truncate(3);
        text.splice(at..at, bytes);
        let _ = loaded(&text, if json { "ndjson" } else { "csv" }, &nested());
    }

    /// A file that ends too early is no file with fewer rows.
    #[test]
    fn cut_files_are_refused((ty, array) in column(), cut in any::<prop::sample::Index>()) {
        let (batch, uuids) = batch(array, &ty);
        let table = table(ty);
        let bytes = written(&batch, OutputFormat::Parquet, &uuids);
        prop_assert!(loaded(&bytes[..cut.index(bytes.len())], "parquet", &table).is_err());
        let bytes = written(&batch, OutputFormat::Arrow, &uuids);
        // The end of a stream may be left out; the rows may not.
        if let Ok(got) = loaded(&bytes[..cut.index(bytes.len())], "arrows", &table) {
            prop_assert!(got.num_rows() == batch.num_rows() || got.num_rows() == 0);
        }
    }
}

fn nested() -> Schema {
    let field = |id, name: &str, ty: Type| -> NestedFieldRef { NestedField::optional(id, name, ty).into() };
    let primitive = |ty| Type::Primitive(ty);
    let inner = StructType::new(vec![
        field(10, "at", primitive(P::Timestamptz)),
        field(11, "u", primitive(P::Uuid)),
        field(12, "x", primitive(P::Double)),
    ]);
    let element: NestedFieldRef = NestedField::list_element(13, Type::Struct(inner.clone()), false).into();
    let map = MapType {
        key_field: NestedField::map_key_element(14, primitive(P::String)).into(),
        value_field: NestedField::map_value_element(
            15,
            primitive(P::Decimal { precision: 9, scale: 2 }),
            false,
        )
        .into(),
    };
    let other =
        StructType::new(vec![field(16, "y", primitive(P::Date)), field(17, "z", primitive(P::Binary))]);
    let fields = [
        field(1, "n", primitive(P::Long)),
        field(2, "s", Type::Struct(other)),
        field(3, "l", Type::List(ListType { element_field: element })),
        field(4, "m", Type::Map(map)),
    ];
    Schema::builder().with_fields(fields).build().unwrap()
}

/// An object of the columns of [`nested`].
fn nested_row() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let or_null = |values: BoxedStrategy<Value>| prop_oneof![4 => values, 1 => Just(Value::Null)].boxed();
    let time = or_null(
        (0_i64..4_000_000_000_000_000)
            .prop_map(|us| json!(chrono::DateTime::from_timestamp_micros(us).unwrap().to_rfc3339()))
            .boxed(),
    );
    let uuid = or_null(any::<u128>().prop_map(|v| json!(format!("{v:032x}"))).boxed());
    let double = or_null(
        prop_oneof![
            any::<i32>().prop_map(|v| json!(f64::from(v) / 8.0)),
            Just(json!("NaN")),
            Just(json!("-Infinity"))
        ]
        .boxed(),
    );
    let inner =
        or_null((time, uuid, double).prop_map(|(at, u, x)| json!({"at": at, "u": u, "x": x})).boxed());
    let list = or_null(prop::collection::vec(inner, 0..4).prop_map(Value::from).boxed());
    let map = or_null(
        prop::collection::btree_map(
            "[a-z\"\\\\é]{0,3}",
            or_null((0_i32..9_999_999).prop_map(|v| json!(format!("{}.{:02}", v / 100, v % 100))).boxed()),
            0..3,
        )
        .prop_map(|m| json!(m))
        .boxed(),
    );
    let date = or_null(
        (0_i32..40_000)
            .prop_map(|d| json!((chrono::NaiveDate::default() + chrono::Days::new(d as u64)).to_string()))
            .boxed(),
    );
    let bytes = or_null("([0-9a-f]{2}){0,4}".prop_map(Value::from).boxed());
    let other = or_null((date, bytes).prop_map(|(y, z)| json!({"y": y, "z": z})).boxed());
    let number = or_null(any::<i64>().prop_map(Value::from).boxed());
    (number, other, list, map).prop_map(|(n, s, l, m)| json!({"n": n, "s": s, "l": l, "m": m}))
}
