//! Old but valid layouts, and files that are not what they say.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Date32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema as ArrowSchema};
use floe_core::ErrorKind;
use floe_plan::expr::Expr;
use floe_testkit::SeededEnvironment;
use iceberg::spec::{ListType, MapType, NestedField, PrimitiveType, StructType, Type};
use parquet::arrow::ArrowWriter;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, Int96};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;
use crate::execute::delete::delete;
use crate::execute::rows::{RowMode, RowOptions};

const LONG: Type = Type::Primitive(PrimitiveType::Long);
const TIMESTAMP: Type = Type::Primitive(PrimitiveType::Timestamp);

fn batch(columns: Vec<(i32, &str, ArrayRef)>) -> RecordBatch {
    let fields = columns.iter().map(|(id, name, array)| {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
        Field::new(*name, array.data_type().clone(), true).with_metadata(id)
    });
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, _, array)| array).collect()).unwrap()
}

/// A file without page indexes, as old writers made them.
fn written(batch: &RecordBatch, rows_in_group: usize, dictionaries: bool) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows_in_group))
        .set_dictionary_enabled(dictionaries)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn numbers(count: i64) -> (Vec<(i32, &'static str, Type)>, RecordBatch) {
    let ids: ArrayRef = Arc::new((0..count).collect::<Int64Array>());
    let texts: ArrayRef =
        Arc::new((0..count).map(|n| Some(["a", "b"][n as usize % 2])).collect::<StringArray>());
    let columns = vec![(1, "id", LONG), (2, "s", Type::Primitive(PrimitiveType::String))];
    (columns, batch(vec![(1, "id", ids), (2, "s", texts)]))
}

async fn of_file(columns: Vec<(i32, &str, Type)>, bytes: Vec<u8>, rows: u64, size: Option<u64>) -> Fixture {
    let mut fixture = table(columns);
    let file = stored(&mut fixture, bytes, rows, size).await;
    fixture.commit(vec![file]).await;
    fixture
}

#[tokio::test]
async fn rows_are_those_of_the_row_groups_whatever_the_footer_says_in_all() {
    let (columns, batch) = numbers(9);
    for total in [0, 3, 100] {
        let bytes =
            forged(&written(&batch, 4, true), |metadata| with_whole(metadata, |whole| whole.rows = total));
        let fixture = of_file(columns.clone(), bytes.clone(), 9, None).await;
        for filter in [None, Some("id >= 0"), Some("s = 'a' OR s = 'b'")] {
            assert_eq!(longs(&fixture, 0, filter).await.unwrap(), (0..9).collect::<Vec<_>>(), "{total}");
        }
        // What the manifest says is checked.
        let fixture = of_file(columns.clone(), bytes, 8, None).await;
        let error = failed(&fixture, None).await;
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.to_string().contains("9 rows") && error.to_string().contains("says 8"), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_that_counts_no_rows_hides_none() {
    let (columns, batch) = numbers(3);
    let fixture = of_file(columns, written(&batch, 4, true), 0, None).await;
    for filter in [None, Some("id = 1"), Some("s = 'b'")] {
        assert_eq!(failed(&fixture, filter).await.kind(), ErrorKind::Corrupted, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_that_hold_other_rows_than_their_row_group_says_are_an_error() {
    let (columns, batch) = numbers(12);
    for by in [-3_i64, -1, 1, 5] {
        let bytes = forged(&written(&batch, 6, true), |metadata| {
            let mut builder = metadata.into_builder();
            let mut groups = builder.take_row_groups();
            let last = groups.pop().unwrap();
            let rows = last.num_rows() + by;
            groups.push(last.into_builder().set_num_rows(rows).build().unwrap());
            let metadata = builder.set_row_groups(groups).build();
            with_whole(metadata, |whole| whole.rows += by)
        });
        let fixture = of_file(columns.clone(), bytes, (12 + by) as u64, None).await;
        for filter in
            [None, Some("id >= 0"), Some("s = 'a'"), Some("id IN (7, 8) AND s = 'a'"), Some("id <> 3")]
        {
            let error = failed(&fixture, filter).await;
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{by}, {filter:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_dictionary_page_at_offset_zero_is_none() {
    let (columns, batch) = numbers(9);
    let bytes = forged(&written(&batch, 4, false), |metadata| {
        with_chunks(metadata, |_, chunk| {
            chunk.into_builder().set_dictionary_page_offset(Some(0)).build().unwrap()
        })
    });
    let fixture = of_file(columns, bytes, 9, None).await;
    assert_eq!(longs(&fixture, 0, None).await.unwrap(), (0..9).collect::<Vec<_>>());
    assert_eq!(longs(&fixture, 0, Some("s = 'b'")).await.unwrap(), [1, 3, 5, 7]);
}

#[tokio::test]
async fn chunks_without_the_header_of_their_dictionary_page_are_whole() {
    let (columns, batch) = numbers(50);
    for missing in [1, 12, 40] {
        let bytes = |created_by: &str| {
            forged(&written(&batch, 20, true), |metadata| {
                let metadata = with_whole(metadata, |whole| whole.created_by = Some(created_by.to_owned()));
                with_chunks(metadata, |_, chunk| {
                    let size = chunk.compressed_size() - missing;
                    chunk.into_builder().set_total_compressed_size(size).build().unwrap()
                })
            })
        };
        let fixture = of_file(columns.clone(), bytes("parquet-mr version 1.2.8 (build x)"), 50, None).await;
        assert_eq!(longs(&fixture, 0, None).await.unwrap(), (0..50).collect::<Vec<_>>(), "{missing}");
        // Of a writer that did not do that, it is damage.
        let fixture = of_file(columns.clone(), bytes("parquet-mr version 1.12.0"), 50, None).await;
        assert_eq!(failed(&fixture, None).await.kind(), ErrorKind::Corrupted, "{missing}");
    }
}

#[tokio::test]
async fn a_recorded_size_that_is_wrong_is_looked_up() {
    let (columns, batch) = numbers(9);
    let bytes = written(&batch, 4, true);
    let real = bytes.len() as u64;
    for recorded in [0, 1, real - 40, real - 1, real, real + 1, real + 5000, u64::from(u32::MAX)] {
        let fixture = of_file(columns.clone(), bytes.clone(), 9, Some(recorded)).await;
        assert_eq!(
            longs(&fixture, 0, None).await.unwrap(),
            (0..9).collect::<Vec<_>>(),
            "{recorded} of {real}"
        );
        let options = RowOptions { mode: Some(RowMode::CopyOnWrite), ..RowOptions::default() };
        let (filter, env) = (Expr::parse("id = 4").unwrap(), SeededEnvironment::new(1));
        let change = delete(&fixture.base(), "main", &filter, &options, &env).await.unwrap();
        assert_eq!(change.counts.rows_removed, 1, "{recorded}");
    }
    let fixture = of_file(columns, bytes[..bytes.len() - 1].to_vec(), 9, None).await;
    assert_eq!(failed(&fixture, None).await.kind(), ErrorKind::Corrupted);
}

#[tokio::test]
async fn encrypted_files_are_unsupported_by_name_and_damaged_ones_corrupted() {
    let (columns, batch) = numbers(9);
    let whole = [b"PARE".as_slice(), &[0; 40], &20_u32.to_le_bytes(), b"PARE"].concat();
    let mut columns_only = written(&batch, 20, false);
    let end = columns_only.len();
    let length = u32::from_le_bytes(columns_only[end - 8..end - 4].try_into().unwrap());
    let start = end - 8 - length as usize;
    columns_only[4..start].fill(0xee);
    let damaged = columns_only.clone();
    // Field 8 of the footer, after field 7: an algorithm without parameters; and another length.
    columns_only.splice(end - 9..end - 4, [0x1c, 0x1c, 0, 0, 0]);
    columns_only.splice(columns_only.len() - 4..columns_only.len() - 4, (length + 4).to_le_bytes());
    for (bytes, kind, said) in [
        (whole, ErrorKind::Unsupported, "encrypted"),
        (columns_only, ErrorKind::Unsupported, "encrypted"),
        (damaged, ErrorKind::Corrupted, "cannot be read"),
    ] {
        let fixture = of_file(columns.clone(), bytes, 9, None).await;
        let error = failed(&fixture, None).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// A file of one row group, whose columns `write` writes in order.
fn by_hand(message: &str, write: impl Fn(usize, &mut ColumnWriter<'_>)) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut index = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        write(index, column.untyped());
        column.close().unwrap();
        index += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn field(id: i32, name: &str, ty: Type) -> Arc<NestedField> {
    Arc::new(NestedField::optional(id, name, ty))
}

/// 0001-01-01, 1900-06-01 12:00 and 9999-12-31: days of Julian day numbers, nanoseconds of the day, and microseconds.
const MOMENTS: [(u32, u64, i64); 3] = [
    (1_721_426, 0, -62_135_596_800_000_000),
    (2_415_172, 43_200_000_000_000, -2_195_899_200_000_000),
    (5_373_484, 1_000, 253_402_214_400_000_001),
];

#[tokio::test]
async fn int96_is_read_right_at_every_depth_and_stays_so_when_rows_are_rewritten() {
    let message = "message m {
        optional int64 id = 1;
        optional int96 t = 2;
        optional group s = 3 { optional int96 t = 6; }
        optional group l (LIST) = 4 { repeated group list { optional int96 element = 7; } }
        optional group m (MAP) = 5 { repeated group key_value {
            required binary key (STRING) = 8; optional group value = 9 { optional int96 t = 10; } } }
    }";
    let moments: Vec<Int96> = MOMENTS
        .iter()
        .map(|(day, nanos, _)| {
            let mut value = Int96::new();
            value.set_data(*nanos as u32, (*nanos >> 32) as u32, *day);
            value
        })
        .collect();
    let levels = |level: i16| vec![level; 3];
    let bytes = by_hand(message, |index, column| match (index, column) {
        (0, ColumnWriter::Int64ColumnWriter(w)) => {
            w.write_batch(&[0, 1, 2], Some(&levels(1)), None).map(|_| ()).unwrap();
        }
        (4, ColumnWriter::ByteArrayColumnWriter(w)) => {
            let keys = vec![ByteArray::from("k"); 3];
            w.write_batch(&keys, Some(&levels(2)), Some(&levels(0))).map(|_| ()).unwrap();
        }
        (at, ColumnWriter::Int96ColumnWriter(w)) => {
            let (definition, repetition) =
                [(0, None), (1, None), (2, None), (3, Some(0)), (0, None), (4, Some(0))][at];
            let repetition = repetition.map(levels);
            w.write_batch(&moments, Some(&levels(definition)), repetition.as_deref()).map(|_| ()).unwrap();
        }
        (at, _) => panic!("column {at}"),
    });
    let inner = |id| Type::Struct(StructType::new(vec![field(id, "t", TIMESTAMP)]));
    let map = MapType::new(
        Arc::new(NestedField::map_key_element(8, Type::Primitive(PrimitiveType::String))),
        Arc::new(NestedField::map_value_element(9, inner(10), false)),
    );
    let columns = vec![
        (1, "id", LONG),
        (2, "t", TIMESTAMP),
        (3, "s", inner(6)),
        (4, "l", Type::List(ListType::new(Arc::new(NestedField::list_element(7, TIMESTAMP, false))))),
        (5, "m", Type::Map(map)),
    ];
    let mut fixture = of_file(columns, bytes, 3, None).await;
    let check = async |fixture: &Fixture, left: &[usize]| {
        let batches = scanned(fixture, None).await.unwrap();
        let batch = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap();
        let times = |array: &ArrayRef| array.as_primitive::<TimestampMicrosecondType>().values().to_vec();
        let expected: Vec<i64> = left.iter().map(|at| MOMENTS[*at].2).collect();
        let ids: Vec<i64> = left.iter().map(|at| *at as i64).collect();
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().values().to_vec(), ids);
        assert_eq!(times(batch.column(1)), expected);
        assert_eq!(times(batch.column(2).as_struct().column(0)), expected);
        assert_eq!(times(batch.column(3).as_list::<i32>().values()), expected);
        assert_eq!(times(batch.column(4).as_map().values().as_struct().column(0)), expected);
    };
    check(&fixture, &[0, 1, 2]).await;
    assert_eq!(longs(&fixture, 0, Some("t < TIMESTAMP '0002-01-01 00:00:00'")).await.unwrap(), [0]);
    let options = RowOptions { mode: Some(RowMode::CopyOnWrite), ..RowOptions::default() };
    let env = SeededEnvironment::new(3);
    let change =
        delete(&fixture.base(), "main", &Expr::parse("id = 1").unwrap(), &options, &env).await.unwrap();
    fixture.replace(&change.change.removed, &change.change.added).await;
    check(&fixture, &[0, 2]).await;
}

/// Floe reads microseconds of INT96, and cuts nothing.
#[tokio::test]
async fn int96_is_refused_for_columns_of_nanoseconds() {
    let value = |ty: PrimitiveType| Type::Primitive(ty);
    let messages = [
        "message m { optional int96 t = 1; }",
        "message m { optional group t = 1 { optional int96 x = 2; } }",
        "message m { optional group t (LIST) = 1 { repeated group list { optional int96 element = 2; } } }",
    ];
    for ty in [PrimitiveType::TimestampNs, PrimitiveType::TimestamptzNs] {
        let types = [
            value(ty.clone()),
            Type::Struct(StructType::new(vec![field(2, "x", value(ty.clone()))])),
            Type::List(ListType::new(Arc::new(NestedField::list_element(2, value(ty.clone()), false)))),
        ];
        for ((message, column), level) in messages.iter().zip(types).zip([1, 2, 3]) {
            let bytes = by_hand(message, |_, writer| {
                let ColumnWriter::Int96ColumnWriter(w) = writer else { panic!("one column") };
                let mut moment = Int96::new();
                moment.set_data(1, 0, 2_460_000);
                w.write_batch(&[moment], Some(&[level]), (level == 3).then_some(&[0][..]))
                    .map(|_| ())
                    .unwrap();
            });
            let fixture = of_file(vec![(1, "t", column)], bytes, 1, None).await;
            let error = failed(&fixture, None).await;
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("INT96"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_file_whose_type_floe_does_not_read_as_that_of_the_column_is_no_damage() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    for (array, ty) in [
        (texts, LONG),
        (numbers.clone(), Type::Primitive(PrimitiveType::Int)),
        (numbers, Type::Struct(StructType::new(vec![field(2, "x", LONG)]))),
    ] {
        let bytes = written(&batch(vec![(1, "n", array)]), 10, true);
        let fixture = of_file(vec![(1, "n", ty)], bytes, 1, None).await;
        let error = failed(&fixture, None).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("column 'n'"), "{error}");
    }
}

#[tokio::test]
async fn lists_and_maps_of_old_annotations_are_read_with_a_name_mapping_and_without() {
    let messages = [
        // Two levels, as Avro and Thrift writers had them; and the annotation that maps had before.
        "message m {
            optional group l (LIST) { repeated int64 array; }
            optional group m (MAP) { repeated group map (MAP_KEY_VALUE) { required binary key (UTF8); optional int64 value; } }
        }",
        "message m {
            optional group l (LIST) { repeated int64 l_tuple; }
            optional group m (MAP_KEY_VALUE) { repeated group map { required binary key (UTF8); optional int64 value; } }
        }",
        // Three levels, by other names.
        "message m {
            optional group l (LIST) { repeated group bag { optional int64 array_element; } }
            optional group m (MAP) { repeated group entries { required binary k (UTF8); optional int64 v; } }
        }",
    ];
    let mapping = r#"[{"field-id":1,"names":["l"],"fields":[{"field-id":3,"names":["element"]}]},
        {"field-id":2,"names":["m"],"fields":[{"field-id":4,"names":["key"]},{"field-id":5,"names":["value"]}]}]"#;
    for (number, message) in messages.iter().enumerate() {
        let three_levels = number == 2;
        let bytes = by_hand(message, |index, column| match (index, column) {
            // [1, 2], NULL, [3]
            (0, ColumnWriter::Int64ColumnWriter(w)) => {
                let full = if three_levels { 3 } else { 2 };
                let (definition, repetition) = ([full, full, 0, full], [0, 1, 0, 0]);
                w.write_batch(&[1, 2, 3], Some(&definition), Some(&repetition)).map(|_| ()).unwrap();
            }
            // {a: 7}, {}, NULL
            (1, ColumnWriter::ByteArrayColumnWriter(w)) => {
                w.write_batch(&[ByteArray::from("a")], Some(&[2, 1, 0]), Some(&[0, 0, 0]))
                    .map(|_| ())
                    .unwrap();
            }
            (2, ColumnWriter::Int64ColumnWriter(w)) => {
                w.write_batch(&[7], Some(&[3, 1, 0]), Some(&[0, 0, 0])).map(|_| ()).unwrap();
            }
            (at, _) => panic!("column {at}"),
        });
        for mapped in [true, false] {
            let map = MapType::new(
                Arc::new(NestedField::map_key_element(4, Type::Primitive(PrimitiveType::String))),
                Arc::new(NestedField::map_value_element(5, LONG, false)),
            );
            let list = ListType::new(Arc::new(NestedField::list_element(3, LONG, false)));
            let mut fixture = table(vec![(1, "l", Type::List(list)), (2, "m", Type::Map(map))]);
            if mapped {
                let property = ("schema.name-mapping.default".to_owned(), mapping.to_owned());
                fixture.change(|builder| builder.set_properties(HashMap::from([property])).unwrap());
            }
            let file = stored(&mut fixture, bytes.clone(), 3, None).await;
            fixture.commit(vec![file]).await;
            let batches = scanned(&fixture, None).await.unwrap();
            let lists = batches[0].column(0).as_list::<i32>();
            let items = lists.values().as_primitive::<Int64Type>().values().to_vec();
            assert_eq!(
                (items, lists.is_null(1), lists.value_length(2)),
                (vec![1, 2, 3], true, 1),
                "{number}"
            );
            let maps = batches[0].column(1).as_map();
            assert_eq!(maps.keys().as_string::<i32>().value(0), "a", "{number}");
            assert_eq!(maps.values().as_primitive::<Int64Type>().value(0), 7, "{number}");
            assert_eq!((maps.is_null(1), maps.is_null(2)), (false, true), "{number}");
        }
    }
}

#[tokio::test]
async fn values_of_sparks_old_calendar_are_refused_and_all_others_read() {
    let days = |days: Vec<i32>| -> ArrayRef { Arc::new(Date32Array::from(days)) };
    let times = |times: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(times)) };
    let list = |values: ArrayRef| -> ArrayRef {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), "3".to_owned())]);
        let item = Field::new("element", values.data_type().clone(), true).with_metadata(id);
        let offsets = arrow_buffer::OffsetBuffer::from_lengths(vec![1; values.len()]);
        Arc::new(ListArray::new(Arc::new(item), offsets, values, None))
    };
    let date = || Type::Primitive(PrimitiveType::Date);
    let of_list = |ty: Type| Type::List(ListType::new(Arc::new(NestedField::list_element(3, ty, false))));
    let (old_day, new_day) = (-141_428, -141_427);
    let (old_time, new_time) = (-2_208_988_800_000_001, -2_208_988_800_000_000);
    let version = "org.apache.spark.version";
    let legacy = "org.apache.spark.legacyDateTime";
    let notes: [(&[(&str, &str)], bool); 6] = [
        (&[], false),
        (&[(version, "3.5.1")], false),
        (&[(version, "3.5.1"), ("org.apache.spark.legacyINT96", "")], false),
        (&[(version, "3.5.1"), (legacy, "")], true),
        (&[(version, "2.4.8")], true),
        (&[(legacy, "")], true),
    ];
    for (pairs, is_old) in notes {
        for (ty, values, in_old_calendar) in [
            (date(), days(vec![0, old_day]), true),
            (date(), days(vec![0, new_day]), false),
            (TIMESTAMP, times(vec![0, old_time]), true),
            (TIMESTAMP, times(vec![0, new_time]), false),
            (of_list(date()), list(days(vec![old_day, 0])), true),
            (of_list(TIMESTAMP), list(times(vec![new_time, 0])), false),
            (of_list(TIMESTAMP), list(times(vec![old_time, 0])), true),
        ] {
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
            let batch = batch(vec![(1, "v", values.clone()), (2, "id", ids)]);
            let bytes = forged(&written(&batch, 1, true), |metadata| {
                with_whole(metadata, |whole| {
                    whole.pairs =
                        pairs.iter().map(|(k, v)| KeyValue::new((*k).to_owned(), (*v).to_owned())).collect();
                })
            });
            let fixture = of_file(vec![(1, "v", ty), (2, "id", LONG)], bytes, 2, None).await;
            let what = format!("{pairs:?} {:?}", values.data_type());
            let options = RowOptions { mode: Some(RowMode::CopyOnWrite), ..RowOptions::default() };
            let env = SeededEnvironment::new(3);
            let rewritten =
                delete(&fixture.base(), "main", &Expr::parse("id = 2").unwrap(), &options, &env).await;
            if is_old && in_old_calendar {
                let error = failed(&fixture, None).await;
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{what}: {error}");
                assert!(error.to_string().contains("Spark"), "{what}: {error}");
                // Rows that are kept are not passed on with another meaning.
                let keeps_old = values.data_type().is_nested();
                assert_eq!(rewritten.is_err(), keeps_old, "{what}");
            } else {
                assert_eq!(longs(&fixture, 1, None).await.unwrap(), [1, 2], "{what}");
                assert_eq!(rewritten.unwrap().counts.rows_removed, 1, "{what}");
            }
        }
    }
}
