//! Manifests as the `iceberg` crate writes them, decoded here and there.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use floe_core::ErrorKind;
use iceberg::TableIdent;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, FormatVersion, Literal, ManifestFile,
    ManifestWriterBuilder, NestedField, PartitionSpec, PrimitiveType, Schema, SchemaRef, Struct, Transform,
    Type,
};
use proptest::prelude::*;

use super::avro::Container;
use super::*;

fn schema() -> SchemaRef {
    let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
    let decimal = PrimitiveType::Decimal { precision: 9, scale: 2 };
    let fields = vec![
        field(1, "a", PrimitiveType::Long),
        field(2, "b", PrimitiveType::String),
        field(3, "c", decimal),
        field(4, "d", PrimitiveType::Date),
        field(5, "u", PrimitiveType::Uuid),
        field(6, "f", PrimitiveType::Double),
    ];
    Arc::new(Schema::builder().with_fields(fields).build().unwrap())
}

fn spec(partitioned: bool) -> PartitionSpec {
    let mut builder = PartitionSpec::builder(schema()).with_spec_id(3);
    if partitioned {
        for (source, name, transform) in [
            ("b", "b", Transform::Identity),
            ("a", "a_bucket", Transform::Bucket(8)),
            ("d", "d_month", Transform::Month),
        ] {
            builder = builder.add_partition_field(source, name, transform).unwrap();
        }
    }
    builder.build().unwrap()
}

fn file(n: i64, partitioned: bool) -> DataFile {
    let partition = if partitioned {
        Struct::from_iter([Some(Literal::string("é")), Some(Literal::int(5)), None])
    } else {
        Struct::empty()
    };
    let counts = HashMap::from([(1, 7), (2, 7)]);
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(format!("memory:///t/{n}.parquet"))
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .partition_spec_id(3)
        .record_count(7)
        .file_size_in_bytes(100)
        .column_sizes(counts.clone())
        .value_counts(counts.clone())
        .null_value_counts(counts)
        .nan_value_counts(HashMap::from([(6, 2)]))
        .lower_bounds(HashMap::from([(1, Datum::long(n)), (2, Datum::string("a"))]))
        .upper_bounds(HashMap::from([(1, Datum::long(n + 9)), (2, Datum::string("z"))]))
        .key_metadata(Some(vec![1, 2]))
        .split_offsets(Some(vec![4, 50]))
        .sort_order_id(1)
        .build()
        .unwrap()
}

async fn write(version: FormatVersion, partitioned: bool) -> (FileIO, ManifestFile, Vec<u8>) {
    let io = FileIO::new_with_memory();
    let output = io.new_output("memory:///t/m.avro").unwrap();
    let builder = ManifestWriterBuilder::new(output, Some(77), schema(), spec(partitioned));
    let mut writer = match version {
        FormatVersion::V1 => builder.build_v1(),
        FormatVersion::V2 => builder.build_v2_data(),
        FormatVersion::V3 => builder.build_v3_data(),
    };
    writer.add_file(file(0, partitioned), -1).unwrap();
    writer.add_existing_file(file(10, partitioned), 5, 2, Some(2)).unwrap();
    writer.add_delete_file(file(20, partitioned), 3, Some(3)).unwrap();
    let mut manifest = writer.write_manifest_file().await.unwrap();
    manifest.sequence_number = if version == FormatVersion::V1 { 0 } else { 9 };
    let bytes = io.new_input("memory:///t/m.avro").unwrap().read().await.unwrap().to_vec();
    (io, manifest, bytes)
}

#[tokio::test]
async fn every_version_reads_as_the_crate_reads_it() {
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        for partitioned in [false, true] {
            let (io, manifest_file, bytes) = write(version, partitioned).await;
            let expected = manifest_file.load_manifest(&io).await.unwrap();
            let manifest = Manifest::decode("m", &bytes, None).unwrap();
            assert_eq!(manifest.format_version(), version);
            let entries: Vec<_> = manifest.entries(&manifest_file).collect::<Result<_>>().unwrap();
            assert_eq!(entries.len(), 3);
            for (entry, expected) in entries.iter().zip(expected.entries()) {
                assert_eq!(entry.status(), expected.status());
                assert_eq!(Some(entry.snapshot_id), expected.snapshot_id());
                assert_eq!(Some(entry.sequence_number), expected.sequence_number());
                assert_eq!(&entry.data_file().unwrap(), expected.data_file());
            }
        }
    }
}

#[tokio::test]
async fn first_row_ids_are_inherited_by_live_files_in_order() {
    let (_, mut manifest_file, bytes) = write(FormatVersion::V3, false).await;
    manifest_file.first_row_id = Some(100);
    let manifest = Manifest::decode("m", &bytes, None).unwrap();
    let ids: Vec<_> = manifest.entries(&manifest_file).map(|e| e.unwrap().first_row_id).collect();
    assert_eq!(ids, [Some(100), Some(107), None]);
}

/// The file again, its data compressed with another codec.
fn recompress(bytes: &[u8], codec: &str, compress: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    rewritten(bytes, |header| header.insert("avro.codec".to_owned(), codec.as_bytes().to_vec()), compress)
}

/// The file again, with another header and other data.
fn rewritten<R>(
    bytes: &[u8],
    mend: impl FnOnce(&mut HashMap<String, Vec<u8>>) -> R,
    data: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let container = Container::read(bytes).unwrap();
    let mut file = b"Obj\x01".to_vec();
    let long = |file: &mut Vec<u8>, value: usize| {
        let mut rest = (value as u64) << 1;
        while rest > 0x7f {
            file.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        file.push(rest as u8);
    };
    let mut metadata = container.metadata.clone();
    mend(&mut metadata);
    long(&mut file, metadata.len());
    for (key, value) in &metadata {
        long(&mut file, key.len());
        file.extend_from_slice(key.as_bytes());
        long(&mut file, value.len());
        file.extend_from_slice(value);
    }
    file.push(0);
    file.extend_from_slice(&[3; 16]);
    let block = data(&container.data);
    long(&mut file, container.count);
    long(&mut file, block.len());
    file.extend_from_slice(&block);
    file.extend_from_slice(&[3; 16]);
    file
}

#[tokio::test]
async fn every_codec_is_read() {
    let (_, manifest_file, bytes) = write(FormatVersion::V2, true).await;
    let deflate = |data: &[u8]| {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let snappy = |data: &[u8]| {
        let mut block = snap::raw::Encoder::new().compress_vec(data).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(data);
        block.extend_from_slice(&crc.sum().to_be_bytes());
        block
    };
    let zstandard = |data: &[u8]| zstd::stream::encode_all(data, 3).unwrap();
    for bytes in [
        recompress(&bytes, "null", <[u8]>::to_vec),
        recompress(&bytes, "deflate", deflate),
        recompress(&bytes, "snappy", snappy),
        recompress(&bytes, "zstandard", zstandard),
    ] {
        let manifest = Manifest::decode("m", &bytes, None).unwrap();
        let first = manifest.entries(&manifest_file).next().unwrap().unwrap();
        assert_eq!(first.data_file().unwrap(), file(0, true));
    }
    let error = Manifest::decode("m", &recompress(&bytes, "lzma", <[u8]>::to_vec), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// Iceberg's Java library writes the table's schema and a field of type null.
#[tokio::test]
async fn a_manifest_whose_schema_lacks_a_dropped_partition_column_is_read() {
    let (_, manifest_file, bytes) = write(FormatVersion::V2, true).await;
    // Branch 1 of the union, and a text of two bytes.
    let values = [&[2, 4][..], "é".as_bytes()].concat();
    let mend = |header: &mut HashMap<String, Vec<u8>>| {
        header.insert("avro.codec".to_owned(), b"null".to_vec());
        let mut schema: serde_json::Value = serde_json::from_slice(&header["schema"]).unwrap();
        schema["fields"].as_array_mut().unwrap().retain(|field| field["id"] != 2 && field["id"] != 4);
        header.insert("schema".to_owned(), schema.to_string().into_bytes());
        let mut avro: serde_json::Value = serde_json::from_slice(&header["avro.schema"]).unwrap();
        let file =
            avro["fields"].as_array_mut().unwrap().iter_mut().find(|f| f["name"] == "data_file").unwrap();
        let fields = file["type"]["fields"].as_array_mut().unwrap();
        let partition = fields.iter_mut().find(|f| f["name"] == "partition").unwrap();
        partition["type"]["fields"][0]["type"] = "null".into();
        header.insert("avro.schema".to_owned(), avro.to_string().into_bytes());
    };
    let lost = rewritten(&bytes, mend, |data| {
        let mut kept = data.to_vec();
        while let Some(at) = kept.windows(values.len()).position(|bytes| bytes == values) {
            kept.drain(at..at + values.len());
        }
        assert_eq!(data.len() - kept.len(), 3 * values.len());
        kept
    });
    let manifest = Manifest::decode("m", &lost, None).unwrap();
    assert_eq!(manifest.partition_spec().fields().len(), 3);
    let entries: Vec<_> = manifest.entries(&manifest_file).collect::<Result<_>>().unwrap();
    let partition = Struct::from_iter([None, Some(Literal::int(5)), None]);
    assert!(entries.iter().all(|entry| entry.partition().unwrap() == partition));
    assert_eq!(entries[2].data_file().unwrap().file_path(), "memory:///t/20.parquet");
    // What is wrong otherwise stays wrong.
    let broken = |header: &mut HashMap<String, Vec<u8>>| {
        header.insert("partition-spec".to_owned(), b"[{}]".to_vec());
    };
    let error = Manifest::decode("m", &rewritten(&lost, broken, <[u8]>::to_vec), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
}

#[tokio::test]
async fn live_files_carry_what_they_inherit() {
    let (io, manifest_file, _) = write(FormatVersion::V2, true).await;
    let cache = ManifestCache::default();
    let table = LoadedTable {
        ident: TableIdent::from_strs(["n", "t"]).unwrap(),
        metadata: super::foreign_tests::known(true, manifest_file.content).table,
        metadata_location: "memory:///t/m.json".to_owned(),
        file_io: io.clone(),
    };
    let manifest = cache.manifest(&table, &manifest_file).await.unwrap();
    io.delete("memory:///t/m.avro").await.unwrap();
    let again = cache.manifest(&table, &manifest_file).await.unwrap();
    assert!(Arc::ptr_eq(&manifest, &again), "a manifest is read once");
    let live: Vec<_> = manifest.entries(&manifest_file).map(|e| e.unwrap()).filter(|e| e.is_live()).collect();
    let numbers: Vec<_> = live.iter().map(|e| (e.snapshot_id, e.sequence_number)).collect();
    assert_eq!(numbers, [(77, 9), (5, 2)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_manifest_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
        static GOOD: std::sync::OnceLock<(ManifestFile, Vec<u8>)> = std::sync::OnceLock::new();
        let (manifest_file, good) = GOOD.get_or_init(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let (_, manifest_file, bytes) = runtime.block_on(write(FormatVersion::V2, true));
            (manifest_file, recompress(&bytes, "null", <[u8]>::to_vec))
        });
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = to }
        if let Ok(manifest) = Manifest::decode("m", &bytes, None) {
            for entry in manifest.entries(manifest_file).flatten() {
                // An error or a file: either is an answer.
                let _ = entry.data_file();
            }
        }
    }
}
