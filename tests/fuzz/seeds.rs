//! Valid files, of which the corpus is made: `cargo test -p floe-tests --test fuzz -- --ignored` writes them again.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, LargeBinaryArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, SchemaRef as ArrowSchemaRef};
use floe::iceberg::arrow::schema_to_arrow_schema;
use floe::iceberg::io::FileIO;
use floe::iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, Datum, FormatVersion, ListType, ManifestFile,
    ManifestListWriter, ManifestWriterBuilder, NestedField, NestedFieldRef, Operation, PrimitiveType, Schema,
    Snapshot, SortOrder, Struct, StructType, Summary, TableMetadata, TableMetadataBuilder, Type,
    UnboundPartitionSpec,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

/// Rows of each valid data file.
pub(crate) const ROWS: u64 = 40;

/// The schema of all seeds.
pub(crate) fn schema() -> Schema {
    let optional =
        |id, name: &str, ty: Type| -> NestedFieldRef { NestedField::optional(id, name, ty).into() };
    let primitive = Type::Primitive;
    let leaf = optional(61, "leaf", primitive(PrimitiveType::String));
    let fields = [
        optional(1, "number", primitive(PrimitiveType::Long)),
        optional(2, "text", primitive(PrimitiveType::String)),
        optional(3, "price", primitive(PrimitiveType::Decimal { precision: 12, scale: 2 })),
        optional(4, "at", primitive(PrimitiveType::Timestamp)),
        optional(
            5,
            "list",
            Type::List(ListType::new(optional(51, "element", primitive(PrimitiveType::String)))),
        ),
        optional(6, "only", Type::Struct(StructType::new(vec![leaf]))),
        optional(7, "raw", primitive(PrimitiveType::Binary)),
        optional(8, "flag", primitive(PrimitiveType::Boolean)),
        optional(9, "ratio", primitive(PrimitiveType::Double)),
    ];
    Schema::builder().with_schema_id(0).with_fields(fields).build().unwrap()
}

fn rows() -> RecordBatch {
    let arrow: ArrowSchemaRef = Arc::new(schema_to_arrow_schema(&schema()).unwrap());
    let numbers = 0..ROWS as i64;
    let text = |n: i64| (n % 7 != 0).then(|| format!("text {}", n % 5));
    let DataType::List(item) = arrow.field(4).data_type() else { panic!() };
    let mut list = ListBuilder::new(StringBuilder::new()).with_field(item.clone());
    for n in numbers.clone() {
        for value in 0..n % 3 {
            list.values().append_option(text(n + value));
        }
        list.append(n % 4 != 0);
    }
    let DataType::Struct(fields) = arrow.field(5).data_type() else { panic!() };
    let leaf: ArrayRef = Arc::new(numbers.clone().map(text).collect::<StringArray>());
    let nulls = numbers.clone().map(|n| n % 3 != 0).collect::<Vec<_>>().into();
    let price = numbers.clone().map(|n| (n % 6 != 0).then_some(i128::from(n) * 100));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(numbers.clone())),
        Arc::new(numbers.clone().map(text).collect::<StringArray>()),
        Arc::new(price.collect::<Decimal128Array>().with_precision_and_scale(12, 2).unwrap()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(numbers.clone().map(|n| n * 1_000_000))),
        Arc::new(list.finish()),
        Arc::new(StructArray::new(fields.clone(), vec![leaf], Some(nulls))),
        Arc::new(LargeBinaryArray::from_iter_values(
            numbers.clone().map(|n| vec![n as u8; (n % 9) as usize]),
        )),
        Arc::new(numbers.clone().map(|n| Some(n % 2 == 0)).collect::<BooleanArray>()),
        Arc::new(Float64Array::from_iter_values(numbers.map(|n| n as f64 / 3.0))),
    ];
    RecordBatch::try_new(arrow, columns).unwrap()
}

/// Metadata of a table with the schema, and a snapshot.
pub(crate) fn metadata() -> TableMetadata {
    built(TableMetadataBuilder::new(
        schema(),
        UnboundPartitionSpec::builder().build(),
        SortOrder::unsorted_order(),
        "memory:///t".to_owned(),
        FormatVersion::V2,
        HashMap::from([("owner".to_owned(), "fuzz".to_owned())]),
    ))
}

fn built(builder: floe::iceberg::Result<TableMetadataBuilder>) -> TableMetadata {
    let snapshot = Snapshot::builder()
        .with_snapshot_id(1000)
        .with_sequence_number(1)
        .with_timestamp_ms(4_102_444_800_000)
        .with_manifest_list("memory:///t/list.avro")
        .with_summary(Summary { operation: Operation::Append, additional_properties: HashMap::new() })
        .with_schema_id(0)
        .build();
    builder.unwrap().set_branch_snapshot(snapshot, "main").unwrap().build().unwrap().metadata
}

/// How a manifest list speaks of the manifest that is damaged.
pub(crate) fn manifest_file(path: &str) -> ManifestFile {
    ManifestFile {
        manifest_path: path.to_owned(),
        manifest_length: 0,
        partition_spec_id: 0,
        content: floe::iceberg::spec::ManifestContentType::Data,
        sequence_number: 1,
        min_sequence_number: 1,
        added_snapshot_id: 1000,
        added_files_count: Some(3),
        existing_files_count: Some(0),
        deleted_files_count: Some(0),
        added_rows_count: Some(30),
        existing_rows_count: Some(0),
        deleted_rows_count: Some(0),
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    }
}

fn data_files() -> impl Iterator<Item = floe::iceberg::spec::DataFile> {
    (0..3_i64).map(|n| {
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(format!("memory:///t/data/{n}.parquet"))
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::empty())
            .partition_spec_id(0)
            .record_count(10)
            .file_size_in_bytes(1000)
            .value_counts(HashMap::from([(1, 10), (2, 10)]))
            .null_value_counts(HashMap::from([(1, 0), (2, 3)]))
            .lower_bounds(HashMap::from([(1, Datum::long(n)), (2, Datum::string("a"))]))
            .upper_bounds(HashMap::from([(1, Datum::long(n + 9)), (2, Datum::string("z"))]))
            .split_offsets(Some(vec![4, 500]))
            .build()
            .unwrap()
    })
}

fn parquet(properties: WriterPropertiesBuilder) -> Vec<u8> {
    let mut file = Vec::new();
    let properties = properties.set_max_row_group_row_count(Some(25)).set_data_page_row_count_limit(8);
    let batch = rows();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn ipc() -> Vec<(&'static str, Vec<u8>)> {
    let batch = rows();
    let plain = IpcWriteOptions::default();
    let zstd = plain.clone().try_with_compression(Some(arrow_ipc::CompressionType::ZSTD)).unwrap();
    let mut files = Vec::new();
    for (name, options) in [("plain", plain), ("zstd", zstd)] {
        let (mut file, mut stream) = (Vec::new(), Vec::new());
        let mut writer =
            FileWriter::try_new_with_options(&mut file, &batch.schema(), options.clone()).unwrap();
        let mut streaming =
            StreamWriter::try_new_with_options(&mut stream, &batch.schema(), options).unwrap();
        for at in [0, 20] {
            writer.write(&batch.slice(at, 20)).unwrap();
            streaming.write(&batch.slice(at, 20)).unwrap();
        }
        writer.finish().unwrap();
        streaming.finish().unwrap();
        drop((writer, streaming));
        files.push((name, file));
        files.push((if name == "plain" { "plain-stream" } else { "zstd-stream" }, stream));
    }
    files
}

/// Writes the seeds into the corpus.
#[tokio::test]
#[ignore = "writes into the source folder"]
async fn write_the_corpus() {
    let write = |folder: &str, name: &str, bytes: Vec<u8>| {
        let folder = Path::new(super::CORPUS).join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    let properties = WriterProperties::builder;
    let deltas = properties()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY)
        .set_column_encoding("number".into(), Encoding::DELTA_BINARY_PACKED);
    let deltas = ["price", "at", "flag", "ratio"]
        .into_iter()
        .fold(deltas, |deltas, name| deltas.set_column_encoding(name.into(), Encoding::PLAIN));
    let files = [
        ("plain", properties().set_dictionary_enabled(false)),
        ("snappy", properties().set_compression(Compression::SNAPPY)),
        ("zstd", properties().set_compression(Compression::ZSTD(ZstdLevel::default()))),
        (
            "v2",
            properties()
                .set_writer_version(WriterVersion::PARQUET_2_0)
                .set_compression(Compression::GZIP(GzipLevel::default())),
        ),
        ("deltas", deltas),
    ];
    for (name, properties) in files {
        write("parquet", &format!("valid-{ROWS}-{name}.parquet"), parquet(properties));
    }
    for (name, bytes) in ipc() {
        write("arrow", &format!("valid-{ROWS}-{name}.arrow"), bytes);
    }
    let file_io = FileIO::new_with_memory();
    for version in [1, 2] {
        let path = format!("memory:///t/{version}.avro");
        let spec = metadata().default_partition_spec().as_ref().clone();
        let output = file_io.new_output(&path).unwrap();
        let builder = ManifestWriterBuilder::new(output, Some(1000), schema().into(), spec);
        let mut writer = if version == 1 { builder.build_v1() } else { builder.build_v2_data() };
        data_files().for_each(|file| writer.add_file(file, 1).unwrap());
        let manifest = writer.write_manifest_file().await.unwrap();
        let bytes = file_io.new_input(&path).unwrap().read().await.unwrap();
        write("manifest", &format!("valid-3-v{version}.avro"), bytes.to_vec());
        let list = format!("memory:///t/list{version}.avro");
        let output = file_io.new_output(&list).unwrap().writer().await.unwrap();
        let mut writer = match version {
            1 => ManifestListWriter::v1(output, 1000, None),
            _ => ManifestListWriter::v2(output, 1000, None, 1),
        };
        writer.add_manifests(std::iter::once(manifest)).unwrap();
        writer.close().await.unwrap();
        let bytes = file_io.new_input(&list).unwrap().read().await.unwrap();
        write("manifest-list", &format!("valid-1-v{version}.avro"), bytes.to_vec());
    }
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        let spec = UnboundPartitionSpec::builder()
            .add_partition_field(1, "number_bucket", floe::iceberg::spec::Transform::Bucket(4))
            .unwrap();
        let builder = TableMetadataBuilder::new(
            schema(),
            spec.build(),
            SortOrder::unsorted_order(),
            "memory:///t".to_owned(),
            version,
            HashMap::from([("owner".to_owned(), "fuzz".to_owned())]),
        );
        let metadata = match version {
            FormatVersion::V2 => built(builder),
            _ => builder.unwrap().build().unwrap().metadata,
        };
        let count = metadata.snapshots().count();
        let json = serde_json::to_vec_pretty(&metadata).unwrap();
        write("metadata", &format!("valid-{count}-{version}.json"), json);
    }
}
