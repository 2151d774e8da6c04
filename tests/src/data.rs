//! Rows of every type, drawn from a seed.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int32Array, Int64Array, RecordBatch, StringArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields};
use arrow_select::filter::filter_record_batch;
use floe::model::{FieldType, SchemaField, TableSchema};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Strings that have broken readers or writers somewhere: empty, at and beyond 64 bytes, non-ASCII, and some that
/// mean something in a path or a URL.
pub const STRINGS: [&str; 12] = [
    "",
    "a",
    "a b",
    "é/日本 %&=",
    "null",
    "..",
    "line\nbreak",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxzz",
    "ÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿ",
    "\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}",
];

/// A table of every primitive type. Field ids follow the order, from 1.
pub fn primitive_schema() -> TableSchema {
    let mut fields = vec![SchemaField::new(1, "id", FieldType::Long, true)];
    let types = [
        ("c_boolean", FieldType::Boolean),
        ("c_int", FieldType::Int),
        ("c_float", FieldType::Float),
        ("c_double", FieldType::Double),
        ("c_decimal9", FieldType::Decimal),
        ("c_decimal18", FieldType::Decimal),
        ("c_decimal38", FieldType::Decimal),
        ("c_date", FieldType::Date),
        ("c_ts", FieldType::Timestamp),
        ("c_tstz", FieldType::Timestamptz),
        ("c_string", FieldType::String),
        ("c_uuid", FieldType::Uuid),
        ("c_fixed", FieldType::Fixed),
        ("c_binary", FieldType::Binary),
        ("c_time", FieldType::Time),
    ];
    for (id, (name, field_type)) in (2..).zip(types) {
        let mut field = SchemaField::new(id, name, field_type, false);
        (field.precision, field.scale) = match name {
            "c_decimal9" => (Some(9), Some(2)),
            "c_decimal18" => (Some(18), Some(6)),
            "c_decimal38" => (Some(38), Some(10)),
            _ => (None, None),
        };
        field.length = (name == "c_fixed").then_some(4);
        fields.push(field);
    }
    TableSchema { fields }
}

/// A table of every primitive type that Spark has too: the same without the last column, which holds times of day.
pub fn portable_schema() -> TableSchema {
    let mut schema = primitive_schema();
    assert_eq!(schema.fields.pop().unwrap().name, "c_time");
    schema
}

/// `count` rows for [`portable_schema`]; see [`primitive_batch`].
pub fn portable_batch(seed: u64, first: i64, count: usize) -> RecordBatch {
    let mut batch = primitive_batch(seed, first, count);
    batch.remove_column(batch.num_columns() - 1);
    batch
}

/// The rows whose `id` passes `keep`.
pub fn with_ids(batch: &RecordBatch, keep: impl Fn(i64) -> bool) -> RecordBatch {
    let mask: BooleanArray = ids(batch).into_iter().map(|id| Some(keep(id))).collect();
    filter_record_batch(batch, &mask).unwrap()
}

/// The same rows with other values of `id`.
pub fn with_new_ids(batch: &RecordBatch, new: impl Fn(i64) -> i64) -> RecordBatch {
    let new = Int64Array::from_iter_values(ids(batch).into_iter().map(new));
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of("id").unwrap()] = Arc::new(new);
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// The values of `id`.
pub fn ids(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

/// The field id of a column of [`primitive_schema`].
pub fn field_id(name: &str) -> i32 {
    primitive_schema().fields.iter().find(|f| f.name == name).unwrap().field_id
}

/// Instants before and after 1970.
const MICROS: std::ops::Range<i64> = -10_000_000_000_000_000..3_000_000_000_000_000;

fn pick<T: Copy>(rng: &mut StdRng, values: &[T]) -> T {
    values[rng.random_range(0..values.len())]
}

/// `count` rows for [`primitive_schema`], whose ids start at `first`. About one value in seven is NULL.
pub fn primitive_batch(seed: u64, first: i64, count: usize) -> RecordBatch {
    let mut rng = StdRng::seed_from_u64(seed);
    let maybe = |rng: &mut StdRng| rng.random_bool(0.85);
    macro_rules! column {
        ($array:ty, $value:expr) => {{
            let values: Vec<Option<_>> = (0..count)
                .map(|_| {
                    let value = $value(&mut rng);
                    maybe(&mut rng).then_some(value)
                })
                .collect();
            <$array>::from(values)
        }};
    }
    let doubles =
        [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5, -2.25, f64::MAX, f64::MIN_POSITIVE];
    let floats = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.5, -2.25, f32::MAX];

    let id = Int64Array::from_iter_values(first..first + count as i64);
    let boolean = column!(BooleanArray, |r: &mut StdRng| r.random_bool(0.5));
    let int = column!(Int32Array, |r: &mut StdRng| pick(r, &[i32::MIN, -1, 0, 1, 2, i32::MAX]));
    let float = column!(Float32Array, |r: &mut StdRng| pick(r, &floats));
    let double = column!(Float64Array, |r: &mut StdRng| pick(r, &doubles));
    let decimal9 = column!(Decimal128Array, |r: &mut StdRng| r.random_range(-999_999_999_i128..=999_999_999));
    let decimal18 =
        column!(Decimal128Array, |r: &mut StdRng| r.random_range(-10_i128.pow(18) + 1..10_i128.pow(18)));
    let decimal38 =
        column!(Decimal128Array, |r: &mut StdRng| r.random_range(-10_i128.pow(38) + 1..10_i128.pow(38)));
    let date = column!(Date32Array, |r: &mut StdRng| r.random_range(-1500..20_000_i32));
    let time = column!(Time64MicrosecondArray, |r: &mut StdRng| r.random_range(0..86_400_000_000_i64));
    let ts = column!(TimestampMicrosecondArray, |r: &mut StdRng| r.random_range(MICROS));
    let tstz = column!(TimestampMicrosecondArray, |r: &mut StdRng| r.random_range(MICROS));
    let string = column!(StringArray, |r: &mut StdRng| pick(r, &STRINGS));
    let mut uuid = FixedSizeBinaryBuilder::with_capacity(count, 16);
    let mut fixed = FixedSizeBinaryBuilder::with_capacity(count, 4);
    for _ in 0..count {
        let (sixteen, four): ([u8; 16], [u8; 4]) = (rng.random(), rng.random());
        match maybe(&mut rng) {
            true => uuid.append_value(sixteen).unwrap(),
            false => uuid.append_null(),
        }
        match maybe(&mut rng) {
            true => fixed.append_value(four).unwrap(),
            false => fixed.append_null(),
        }
    }
    let long = [0xff_u8; 70];
    let binary =
        column!(BinaryArray, |r: &mut StdRng| pick(r, &[&b""[..], &b"\0"[..], &long[..], &b"bytes"[..]]));

    let columns: Vec<ArrayRef> = vec![
        Arc::new(id),
        Arc::new(boolean),
        Arc::new(int),
        Arc::new(float),
        Arc::new(double),
        Arc::new(decimal9.with_precision_and_scale(9, 2).unwrap()),
        Arc::new(decimal18.with_precision_and_scale(18, 6).unwrap()),
        Arc::new(decimal38.with_precision_and_scale(38, 10).unwrap()),
        Arc::new(date),
        Arc::new(ts),
        Arc::new(tstz.with_timezone("+00:00")),
        Arc::new(string),
        Arc::new(uuid.finish()),
        Arc::new(fixed.finish()),
        Arc::new(binary),
        Arc::new(time),
    ];
    let names = primitive_schema().fields;
    let named = names.iter().zip(columns).map(|(f, c)| (f.name.as_str(), c, !f.required));
    RecordBatch::try_from_iter_with_nullable(named).unwrap()
}

/// A table of structs, lists and maps, in one another.
pub fn nested_schema() -> TableSchema {
    let field = SchemaField::new;
    let place =
        vec![field(6, "name", FieldType::String, false), field(7, "height", FieldType::Double, false)];
    let tag = Box::new(field(8, "element", FieldType::String, false));
    let key = Box::new(field(9, "key", FieldType::String, true));
    let value = Box::new(field(10, "value", FieldType::Long, false));
    let leg = Box::new(field(
        11,
        "element",
        FieldType::Struct { fields: vec![field(12, "to", FieldType::String, false)] },
        false,
    ));
    TableSchema {
        fields: vec![
            field(1, "id", FieldType::Long, true),
            field(2, "place", FieldType::Struct { fields: place }, false),
            field(3, "tags", FieldType::List { element: tag }, false),
            field(4, "counts", FieldType::Map { key, value }, false),
            field(5, "legs", FieldType::List { element: leg }, false),
        ],
    }
}

/// Rows for [`nested_schema`]: full, empty, and NULL at every level.
pub fn nested_batch() -> RecordBatch {
    let fields: Fields =
        vec![Field::new("name", DataType::Utf8, true), Field::new("height", DataType::Float64, true)].into();
    let names = StringArray::from(vec![Some("é"), None, None, Some("")]);
    let heights = Float64Array::from(vec![Some(1.5), None, None, Some(-0.0)]);
    let place = StructArray::new(
        fields,
        vec![Arc::new(names), Arc::new(heights)],
        Some(NullBuffer::from(vec![true, false, true, true])),
    );
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in [Some(vec![Some("a"), None, Some("")]), Some(vec![]), None, Some(vec![Some("z")])] {
        tags.append_option(row);
    }
    let mut counts = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for (row, valid) in [
        (vec![("k", Some(1)), ("", None)], true),
        (vec![], true),
        (vec![], false),
        (vec![("日本", Some(2))], true),
    ] {
        for (key, value) in row {
            counts.keys().append_value(key);
            counts.values().append_option(value);
        }
        counts.append(valid).unwrap();
    }
    let to: Fields = vec![Field::new("to", DataType::Utf8, true)].into();
    let elements = StructArray::new(
        to.clone(),
        vec![Arc::new(StringArray::from(vec![Some("x"), None, None]))],
        Some(NullBuffer::from(vec![true, true, false])),
    );
    let legs = arrow_array::ListArray::new(
        Arc::new(Field::new("element", DataType::Struct(to), true)),
        arrow_buffer::OffsetBuffer::from_lengths([1, 0, 0, 2]),
        Arc::new(elements),
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("id", Arc::new(Int64Array::from(vec![0, 1, 2, 3])), false),
        ("place", Arc::new(place), true),
        ("tags", Arc::new(tags.finish()), true),
        ("counts", Arc::new(counts.finish()), true),
        ("legs", Arc::new(legs), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}
