//! Rows of every width and nesting come as they are, in batches that keep to the memory, whatever the footer tells.

use std::sync::Arc;

use arrow_array::builder::{LargeBinaryBuilder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Fields, SchemaRef as ArrowSchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use floe_plan::eval::{evaluate, keep};
use floe_plan::expr::Expr;
use floe_plan::rows::size::batch_bytes;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    DataContentType, ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
    UnboundPartitionSpec,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::fixture::Fixture;
use super::*;
use crate::base::bound::{DELETE_FILE_PATH, DELETE_POSITION};

const STRING: Type = Type::Primitive(PrimitiveType::String);

fn optional(id: i32, name: &str, ty: Type) -> NestedFieldRef {
    NestedField::optional(id, name, ty).into()
}

/// Every nesting in which a leaf is the only one below a column, and some where it is not.
fn schema() -> Schema {
    let structure = |fields: Vec<NestedFieldRef>| Type::Struct(StructType::new(fields));
    let list = Type::List(ListType::new(optional(31, "element", STRING)));
    let key = NestedField::map_key_element(41, STRING).into();
    let map = MapType::new(key, optional(42, "value", Type::Primitive(PrimitiveType::Binary)));
    let fields = [
        NestedField::required(1, "n", Type::Primitive(PrimitiveType::Long)).into(),
        optional(2, "text", STRING),
        optional(3, "list", list),
        optional(4, "map", Type::Map(map)),
        optional(5, "only", structure(vec![optional(51, "leaf", STRING)])),
        optional(
            6,
            "deep",
            structure(vec![optional(61, "mid", structure(vec![optional(62, "leaf", STRING)]))]),
        ),
        NestedField::required(7, "must", structure(vec![optional(71, "leaf", STRING)])).into(),
        optional(8, "two", structure(vec![optional(81, "a", STRING), optional(82, "b", STRING)])),
    ];
    let declared = Schema::builder().with_fields(fields).build().unwrap();
    // A table gives ids of its own.
    let table = Fixture::new(declared, UnboundPartitionSpec::builder().build());
    table.metadata.current_schema().as_ref().clone()
}

/// Texts by number and length; few numbers make a dictionary.
fn text(number: usize, length: usize) -> String {
    let mut text = format!("{number:04}");
    while text.len() < length {
        text.push(char::from(b'a' + (number % 26) as u8));
    }
    text
}

/// The rows: for each the number and length of its value, or NULL.
fn rows(schema: &Schema, values: &[Option<(usize, usize)>]) -> RecordBatch {
    let arrow: ArrowSchemaRef = Arc::new(schema_to_arrow_schema(schema).unwrap());
    let texts: Vec<Option<String>> =
        values.iter().map(|v| v.map(|(number, length)| text(number, length))).collect();
    let flat = || -> ArrayRef { Arc::new(texts.iter().map(Option::as_deref).collect::<StringArray>()) };
    let fields = |column: &str| -> Fields {
        let DataType::Struct(fields) = arrow.field_with_name(column).unwrap().data_type() else { panic!() };
        fields.clone()
    };
    // Every third struct is NULL, others have a NULL in them.
    let nulls = || -> arrow_buffer::NullBuffer {
        (0..values.len()).map(|row| row % 3 != 0).collect::<Vec<_>>().into()
    };
    let within = |column: &str, children: Vec<ArrayRef>| -> ArrayRef {
        Arc::new(StructArray::new(fields(column), children, Some(nulls())))
    };
    let DataType::List(item) = arrow.field_with_name("list").unwrap().data_type() else { panic!() };
    let mut list = ListBuilder::new(StringBuilder::new()).with_field(item.clone());
    let DataType::Map(entries, _) = arrow.field_with_name("map").unwrap().data_type() else { panic!() };
    let DataType::Struct(pair) = entries.data_type() else { panic!() };
    let mut map = MapBuilder::new(
        Some(arrow_array::builder::MapFieldNames {
            entry: entries.name().clone(),
            key: pair[0].name().clone(),
            value: pair[1].name().clone(),
        }),
        StringBuilder::new(),
        LargeBinaryBuilder::new(),
    )
    .with_keys_field(pair[0].clone())
    .with_values_field(pair[1].clone());
    for (row, text) in texts.iter().enumerate() {
        for _ in 0..row % 3 {
            list.values().append_option(text.as_deref());
        }
        list.append(row % 5 != 0);
        if let Some(text) = text {
            map.keys().append_value("key");
            map.values().append_value(text);
        }
        map.append(row % 7 != 0).unwrap();
    }
    let DataType::Struct(mid) = fields("deep")[0].data_type().clone() else { panic!() };
    let mid: ArrayRef = Arc::new(StructArray::new(mid, vec![flat()], Some(nulls())));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..values.len() as i64)),
        flat(),
        Arc::new(list.finish()),
        Arc::new(map.finish()),
        within("only", vec![flat()]),
        within("deep", vec![mid]),
        Arc::new(StructArray::new(fields("must"), vec![flat()], None)),
        within("two", vec![flat(), flat()]),
    ];
    RecordBatch::try_new(arrow, columns).unwrap()
}

/// The file without what newer writers note of the sizes of values.
fn without_sizes(file: Vec<u8>) -> Vec<u8> {
    let bytes = bytes::Bytes::from(file);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| {
            let builder = column.clone().into_builder();
            let builder = builder.set_unencoded_byte_array_data_bytes(None);
            builder
                .set_offset_index_offset(None)
                .set_offset_index_length(None)
                .set_column_index_offset(None)
                .set_column_index_length(None)
                .build()
                .unwrap()
        });
        group.clone().into_builder().set_column_metadata(columns.collect()).build().unwrap()
    });
    let groups = groups.collect();
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap());
    let mut file = bytes[..bytes.len() - 8 - length as usize].to_vec();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish().unwrap();
    file.extend(footer);
    file
}

#[derive(Debug, Clone)]
struct Layout {
    group_rows: usize,
    dictionary: bool,
    sizes: bool,
    deltas: bool,
}

fn encoded(batch: &RecordBatch, layout: &Layout) -> Vec<u8> {
    let mut properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(layout.group_rows))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_page_size_limit(64 << 20)
        .set_data_page_row_count_limit(50)
        .set_write_batch_size(16)
        .set_dictionary_enabled(layout.dictionary);
    if layout.deltas {
        properties = properties.set_encoding(parquet::basic::Encoding::DELTA_BYTE_ARRAY);
        properties = properties.set_column_encoding("n".into(), parquet::basic::Encoding::PLAIN);
    }
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    if layout.sizes { file } else { without_sizes(file) }
}

async fn table(batch: &RecordBatch, layout: &Layout) -> Fixture {
    let mut fixture = Fixture::new(schema(), UnboundPartitionSpec::builder().build());
    let content = encoded(batch, layout);
    let size = content.len() as u64;
    let file = fixture
        .data_file(&batch.slice(0, 1), 1, |file| {
            file.file_path("memory:///t/wide.parquet".to_owned())
                .record_count(batch.num_rows() as u64)
                .file_size_in_bytes(size);
        })
        .await;
    fixture.file_io.new_output("memory:///t/wide.parquet").unwrap().write(content.into()).await.unwrap();
    fixture.commit(vec![file]).await;
    fixture
}

fn layout() -> impl Strategy<Value = Layout> {
    (20_usize..400, any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(group_rows, dictionary, sizes, deltas)| Layout {
            group_rows,
            dictionary: dictionary && !deltas,
            sizes,
            deltas,
        },
    )
}

/// Few or many values, most of them short and some long; spread, or long ones all in one place, where no average holds.
fn values() -> impl Strategy<Value = Vec<Option<(usize, usize)>>> {
    (1_usize..20, 4_usize..3000, 4_usize..20_000, any::<bool>()).prop_flat_map(
        |(different, short, long, together)| {
            // A value has one length, so that a dictionary holds few.
            let length = move |number: usize| if number % 9 == 8 { long } else { short };
            let value = (0..different).prop_map(move |number| (number, length(number)));
            let values = prop::collection::vec(prop::option::weighted(0.9, value), 1..300);
            values.prop_map(move |mut values| {
                if together {
                    values.sort_by_key(|value| value.map_or(0, |(_, length)| length));
                }
                values
            })
        },
    )
}

/// Filters over every leaf.
fn filters() -> impl Strategy<Value = Option<String>> {
    let leaf =
        prop::sample::select(vec!["text", "only.leaf", "deep.mid.leaf", "must.leaf", "two.a", "two.b"]);
    let one = (leaf.clone(), 0_usize..20).prop_map(|(leaf, n)| format!("{leaf} > '{n:04}'"));
    let null = leaf.clone().prop_map(|leaf| format!("{leaf} is null"));
    let two = (leaf.clone(), leaf, 0_usize..20)
        .prop_map(|(a, b, n)| format!("{a} is not null and not {b} starts with '{n:04}' and n > {n}"));
    prop::option::weighted(0.7, prop_oneof![one, null, two])
}

fn projections() -> impl Strategy<Value = Option<Vec<String>>> {
    let names = vec!["n", "text", "list", "map", "only", "deep", "must", "two"];
    let some = prop::sample::subsequence(names, 1..=8);
    prop::option::of(some.prop_map(|names| names.into_iter().map(str::to_owned).collect()))
}

fn check(batches: &[RecordBatch], expected: &RecordBatch, plan: &ScanPlan) {
    let most = plan.batch_bytes();
    for batch in batches {
        let bytes = batch_bytes(batch);
        assert!(batch.num_rows() == 1 || bytes <= most, "{} rows with {bytes} bytes", batch.num_rows());
    }
    let columns = plan.projection.as_struct().fields().iter();
    let columns: Vec<usize> =
        columns.map(|column| expected.schema().index_of(&column.name).unwrap()).collect();
    let expected = expected.project(&columns).unwrap();
    let found = concat_batches(&expected.schema(), batches).unwrap();
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 400 }))]

    #[test]
    fn rows_of_any_width_come_as_they_are_in_batches_that_keep_to_the_memory(
        values in values(), layout in layout(), filter in filters(), columns in projections(),
        memory in prop::sample::select(vec![1_u64 << 10, 4 << 20, 256 << 20]), deleted in prop::collection::vec(0_u64..300, 0..4),
    ) {
        Runtime::new().unwrap().block_on(async {
            let batch = rows(&schema(), &values);
            let mut fixture = table(&batch, &layout).await;
            let deleted: std::collections::BTreeSet<u64> =
                deleted.into_iter().filter(|p| (*p as usize) < values.len()).collect();
            if !deleted.is_empty() {
                let delete = positions(&mut fixture, &deleted).await;
                fixture.commit(vec![delete]).await;
            }
            let mut expected = batch;
            let live: Vec<bool> = (0..values.len() as u64).map(|row| !deleted.contains(&row)).collect();
            expected = filter_record_batch(&expected, &live.into()).unwrap();
            let filter = filter.map(|filter| Expr::parse(&filter).unwrap());
            if let Some(filter) = &filter {
                let bound = filter.bind(&schema(), true).unwrap();
                let matching = keep(&evaluate(&bound, &expected, &|_| None).unwrap());
                expected = filter_record_batch(&expected, &matching).unwrap();
            }
            let request = ScanRequest { filter, columns, memory_bytes: memory, preserve_order: true, ..ScanRequest::default() };
            let (batches, summary) = fixture.scan(&request).await;
            check(&batches, &expected, &fixture.plan(&request).await);
            // Row groups that the filter rules out are not read.
            let deleted = deleted.len() as u64;
            prop_assert!(summary.rows_deleted == deleted || request.filter.is_some() && summary.rows_deleted < deleted);
            Ok(())
        })?;
    }
}

async fn positions(
    fixture: &mut Fixture,
    deleted: &std::collections::BTreeSet<u64>,
) -> iceberg::spec::DataFile {
    let required = |id, name: &str, ty| NestedField::required(id, name, Type::Primitive(ty)).into();
    let schema = Schema::builder()
        .with_fields([
            required(DELETE_FILE_PATH, "file_path", PrimitiveType::String),
            required(DELETE_POSITION, "pos", PrimitiveType::Long),
        ])
        .build()
        .unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(deleted.iter().map(|_| "memory:///t/wide.parquet"))),
        Arc::new(Int64Array::from_iter_values(deleted.iter().map(|p| *p as i64))),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema_to_arrow_schema(&schema).unwrap()), columns).unwrap();
    let content = |file: &mut iceberg::spec::DataFileBuilder| {
        file.content(DataContentType::PositionDeletes);
    };
    fixture.data_file(&batch, 100, content).await
}

/// Nine thousand times one of three values of 280,000 bytes: more than a column can hold, from a file of a few kilobytes.
#[tokio::test]
async fn few_wide_values_that_are_repeated_often_are_read_within_the_memory() {
    let values: Vec<Option<(usize, usize)>> = (0..9000).map(|row| Some((row % 3, 280_000))).collect();
    let fields = [
        NestedField::required(1, "n", Type::Primitive(PrimitiveType::Long)).into(),
        optional(2, "text", STRING),
    ];
    let schema = Schema::builder().with_fields(fields).build().unwrap();
    let arrow: ArrowSchemaRef = Arc::new(schema_to_arrow_schema(&schema).unwrap());
    let properties = WriterProperties::builder().set_dictionary_page_size_limit(64 << 20).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, arrow.clone(), Some(properties)).unwrap();
    for (part, values) in values.chunks(300).enumerate() {
        let texts = values.iter().map(|v| v.map(|(number, length)| text(number, length)));
        let first = part as i64 * 300;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(first..first + values.len() as i64)),
            Arc::new(texts.collect::<StringArray>()),
        ];
        writer.write(&RecordBatch::try_new(arrow.clone(), columns).unwrap()).unwrap();
    }
    writer.close().unwrap();
    for sizes in [true, false] {
        let content = if sizes { file.clone() } else { without_sizes(file.clone()) };
        let mut fixture = Fixture::new(schema.clone(), UnboundPartitionSpec::builder().build());
        let size = content.len() as u64;
        let small = RecordBatch::new_empty(arrow.clone());
        let data = fixture
            .data_file(&small, 1, |file| {
                file.file_path("memory:///t/d.parquet".to_owned())
                    .record_count(9000)
                    .file_size_in_bytes(size);
            })
            .await;
        fixture.file_io.new_output("memory:///t/d.parquet").unwrap().write(content.into()).await.unwrap();
        fixture.commit(vec![data]).await;
        for filter in [None, Some("n >= 10"), Some("text > '0000' and n < 8000")] {
            let filter = filter.map(|filter| Expr::parse(filter).unwrap());
            let request = ScanRequest { filter, ..ScanRequest::default() };
            let plan = fixture.plan(&request).await;
            let metrics = Arc::new(ScanMetrics::default());
            let mut found = execute_scan(&fixture.file_io, &plan, &metrics).unwrap();
            let mut count = 0;
            while let Some(batch) = futures::StreamExt::next(&mut found.stream).await {
                let batch = batch.unwrap();
                assert!(batch_bytes(&batch) <= plan.batch_bytes());
                assert!(batch.column(1).as_string::<i32>().iter().all(|t| t.unwrap().len() == 280_000));
                count += batch.num_rows();
            }
            assert!((5000..=9000).contains(&count) && (request.filter.is_some() || count == 9000), "{count}");
        }
    }
}
