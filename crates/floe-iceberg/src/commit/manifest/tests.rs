//! Against the crate's own writer and reader.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, Manifest as CratesManifest,
    ManifestWriter, ManifestWriterBuilder, NestedField, PartitionSpec, PrimitiveLiteral as L,
    PrimitiveType as P, Schema, Struct, Transform, Type,
};
use proptest::prelude::*;

use super::*;
use crate::base::{ManifestCache, TableBase};
use crate::commit::avro::Codec;
use crate::commit::tests::world::World;

/// Those that the crate can read: of times in nanoseconds, and UUIDs, it reads none as a partition value.
const KINDS: [P; 13] = [
    P::Boolean,
    P::Int,
    P::Long,
    P::Float,
    P::Double,
    P::Date,
    P::Time,
    P::Timestamp,
    P::Timestamptz,
    P::String,
    P::Fixed(3),
    P::Binary,
    P::Decimal { precision: 20, scale: 3 },
];

/// Zeros are left out: floe's bounds hold both of them.
fn value(kind: &P) -> BoxedStrategy<L> {
    match kind {
        P::Boolean => any::<bool>().prop_map(L::Boolean).boxed(),
        P::Int | P::Date => any::<i32>().prop_map(L::Int).boxed(),
        P::Float => (1..9_i32).prop_map(|v| L::Float((v as f32 / 3.0).into())).boxed(),
        P::Double => prop_oneof![Just(f64::NAN), Just(-1.5), Just(f64::INFINITY)]
            .prop_map(|v| L::Double(v.into()))
            .boxed(),
        P::String => "[a-zß日]{0,6}".prop_map(L::String).boxed(),
        P::Fixed(_) => any::<[u8; 3]>().prop_map(|v| L::Binary(v.to_vec())).boxed(),
        P::Binary => proptest::collection::vec(any::<u8>(), 0..5).prop_map(L::Binary).boxed(),
        P::Decimal { .. } => {
            prop_oneof![-300_i64..300, any::<i64>()].prop_map(|v| L::Int128(v.into())).boxed()
        }
        P::Uuid => any::<u128>().prop_map(L::UInt128).boxed(),
        P::Time => (0..86_400_000_000_i64).prop_map(L::Long).boxed(),
        _ => any::<i64>().prop_map(L::Long).boxed(),
    }
}

fn datum(literal: &L, kind: &P) -> Datum {
    Datum::try_from_bytes(&super::value::encoded(literal).unwrap(), kind.clone()).unwrap()
}

fn partition(kinds: &[P]) -> impl Strategy<Value = Struct> + use<> {
    let fields: Vec<_> = kinds.iter().map(|kind| proptest::option::of(value(kind))).collect();
    fields.prop_map(|values| values.into_iter().map(|v| v.map(Literal::Primitive)).collect())
}

fn file(kinds: &[P], version: FormatVersion, content: ManifestContentType) -> BoxedStrategy<DataFile> {
    let counts = || proptest::collection::hash_map(1_i32..16, 0_u64..1 << 40, 0..4);
    let bounds = || {
        let columns = kinds.iter().enumerate().map(|(index, kind)| {
            let kind = kind.clone();
            proptest::option::of(value(&kind)).prop_map(move |v| Some((index as i32 + 1, datum(&v?, &kind))))
        });
        let columns: Vec<_> = columns.collect();
        columns.prop_map(|bounds| bounds.into_iter().flatten().collect::<HashMap<i32, Datum>>())
    };
    let v1 = version == FormatVersion::V1;
    let deletes = content == ManifestContentType::Deletes;
    let optional = (
        proptest::option::of(proptest::collection::vec(any::<u8>(), 1..5)),
        proptest::option::of(proptest::collection::vec(0..i64::MAX, 0..4)),
        proptest::option::of(proptest::collection::vec(1..9_i32, 1..3)),
        proptest::option::of(any::<i32>()),
        proptest::option::of("[a-z/]{1,20}"),
        proptest::option::of((0..i64::MAX, 0..i64::MAX, 0..i64::MAX)),
    );
    let plain = ("[a-zä/]{1,60}", 0_u64..1 << 50, 0_u64..1 << 50, any::<bool>(), partition(kinds));
    (plain, counts(), counts(), counts(), bounds(), bounds(), optional)
        .prop_map(move |(plain, sizes, values, nulls, lower, upper, optional)| {
            let (path, rows, bytes, positions, partition) = plain;
            let (key, offsets, equality_ids, sort_order, referenced, of_v3) = optional;
            let content = match (deletes, positions) {
                (false, _) => DataContentType::Data,
                (true, true) => DataContentType::PositionDeletes,
                (true, false) => DataContentType::EqualityDeletes,
            };
            let of_v3 = of_v3.filter(|_| version == FormatVersion::V3);
            let mut builder = DataFileBuilder::default();
            builder
                .content(content)
                .file_path(path)
                .file_format(if positions { DataFileFormat::Parquet } else { DataFileFormat::Avro })
                .partition(partition)
                .partition_spec_id(4)
                .record_count(rows)
                .file_size_in_bytes(bytes)
                .column_sizes(sizes)
                .value_counts(values)
                .null_value_counts(nulls.clone())
                .nan_value_counts(nulls)
                .lower_bounds(lower)
                .upper_bounds(upper)
                .key_metadata(key)
                .split_offsets(offsets)
                .equality_ids(equality_ids.filter(|_| !v1))
                .referenced_data_file(referenced.filter(|_| !v1))
                .first_row_id(of_v3.map(|v| v.0))
                .content_offset(of_v3.map(|v| v.1))
                .content_size_in_bytes(of_v3.map(|v| v.2));
            if let Some(id) = sort_order {
                builder.sort_order_id(id);
            }
            builder.build().unwrap()
        })
        .boxed()
}

/// A table schema with a column of each kind, and a spec of the identities of all of them.
fn shape_of(
    kinds: &[P],
    version: FormatVersion,
    content: ManifestContentType,
    codec: Codec,
) -> ManifestShape {
    let column = |(id, kind): (usize, &P)| {
        NestedField::optional(id as i32 + 1, format!("c{id}"), Type::Primitive(kind.clone())).into()
    };
    let schema = Schema::builder()
        .with_schema_id(2)
        .with_fields(kinds.iter().enumerate().map(column))
        .build()
        .unwrap();
    let schema = Arc::new(schema);
    let mut spec = PartitionSpec::builder(schema.clone()).with_spec_id(4);
    for id in 0..kinds.len() {
        spec = spec.add_partition_field(format!("c{id}"), format!("p{id}"), Transform::Identity).unwrap();
    }
    let spec = Arc::new(spec.build().unwrap());
    ManifestShape { version, content, schema, spec, compression: Compression::Always(codec), sync: [9; 16] }
}

type Listed = (u8, DataFile, i64);

fn ours(shape: &ManifestShape, location: &str, files: &[Listed]) -> EncodedManifest {
    let entries = files.iter().map(|(status, file, number)| match status {
        0 => ManifestEntry {
            status: ManifestStatus::Added,
            snapshot_id: 77,
            sequence_number: None,
            file_sequence_number: None,
            file,
        },
        status => ManifestEntry {
            status: if *status == 1 { ManifestStatus::Existing } else { ManifestStatus::Deleted },
            snapshot_id: if *status == 1 { number + 5 } else { 77 },
            sequence_number: Some(*number),
            file_sequence_number: Some(number + 1),
            file,
        },
    });
    encode(shape, location, 77, entries).unwrap()
}

async fn theirs(shape: &ManifestShape, location: &str, files: &[Listed]) -> (Vec<u8>, ManifestFile) {
    let io = FileIO::new_with_fs();
    let output = io.new_output(location).unwrap();
    let spec = shape.spec.as_ref().clone();
    let builder = ManifestWriterBuilder::new(output, Some(77), shape.schema.clone(), spec);
    let mut writer: ManifestWriter = match (shape.version, shape.content) {
        (FormatVersion::V1, _) => builder.build_v1(),
        (FormatVersion::V2, ManifestContentType::Data) => builder.build_v2_data(),
        (FormatVersion::V2, ManifestContentType::Deletes) => builder.build_v2_deletes(),
        (FormatVersion::V3, ManifestContentType::Data) => builder.build_v3_data(),
        (FormatVersion::V3, ManifestContentType::Deletes) => builder.build_v3_deletes(),
    };
    for (status, file, number) in files {
        let file = file.clone();
        match status {
            0 => writer.add_file(file, -1).unwrap(),
            1 => writer.add_existing_file(file, number + 5, *number, Some(number + 1)).unwrap(),
            _ => writer.add_delete_file(file, *number, Some(number + 1)).unwrap(),
        }
    }
    let written = writer.write_manifest_file().await.unwrap();
    let bytes = io.new_input(location).unwrap().read().await.unwrap();
    (bytes.to_vec(), written)
}

fn cases() -> impl Strategy<Value = (ManifestShape, Vec<Listed>)> {
    let head =
        (1_u8..=3, any::<bool>(), any::<bool>(), proptest::sample::subsequence(KINDS.to_vec(), 0..=13));
    head.prop_flat_map(|(version, deletes, packed, kinds)| {
        let version = [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3][usize::from(version) - 1];
        let deletes = deletes && version != FormatVersion::V1;
        let content = if deletes { ManifestContentType::Deletes } else { ManifestContentType::Data };
        let codec = if packed { Codec::Deflate(1) } else { Codec::Null };
        let files = (0_u8..3, file(&kinds, version, content), 1..i64::MAX / 2);
        (Just(shape_of(&kinds, version, content, codec)), proptest::collection::vec(files, 1..12))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_crate_reads_what_it_would_have_written_itself((shape, files) in cases()) {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}/m.avro", folder.path().display());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (expected, mut of_crate) = runtime.block_on(theirs(&shape, &location, &files));
        let encoded = ours(&shape, &location, &files);
        let (read, expected) =
            (CratesManifest::parse_avro(&encoded.bytes).unwrap(), CratesManifest::parse_avro(&expected).unwrap());
        prop_assert_eq!(read.metadata(), expected.metadata());
        prop_assert_eq!(read.entries(), expected.entries());
        of_crate.manifest_length = encoded.bytes.len() as i64;
        prop_assert_eq!(encoded.file, of_crate);
    }
}

/// What floe's reader finds in a manifest.
async fn read_back(encoded: EncodedManifest) -> Vec<DataFile> {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(FormatVersion::V2, &[]);
    let base = TableBase::new(world.table(), Arc::new(ManifestCache::default()));
    let mut file = encoded.file;
    file.manifest_path = format!("file://{}/m.avro", folder.path().display());
    file.sequence_number = 1;
    let output = base.table.file_io.new_output(&file.manifest_path).unwrap();
    output.write(encoded.bytes.into()).await.unwrap();
    base.live_files(&file).await.unwrap().into_iter().map(|live| live.data_file).collect()
}

fn plain(values: Vec<L>) -> DataFile {
    let mut builder = DataFileBuilder::default();
    builder.content(DataContentType::Data).file_path("f".into()).file_format(DataFileFormat::Parquet);
    let partition: Struct = values.into_iter().map(|v| Some(Literal::Primitive(v))).collect();
    builder.partition(partition).partition_spec_id(4).record_count(1).file_size_in_bytes(1).build().unwrap()
}

#[tokio::test]
async fn uuids_come_back_as_partition_values_with_every_codec() {
    let kinds = [P::Uuid, P::Uuid];
    for codec in [Codec::Null, Codec::Deflate(6), Codec::Zstandard(1), Codec::Snappy] {
        let shape = shape_of(&kinds, FormatVersion::V2, ManifestContentType::Data, codec);
        let files: Vec<Listed> =
            (1..4).map(|i| (0, plain(vec![L::UInt128(i), L::UInt128(i << 126)]), 0)).collect();
        let encoded = ours(&shape, "m", &files);
        let summaries = encoded.file.partitions.clone().unwrap();
        assert_eq!(summaries[0].lower_bound.as_ref().unwrap().as_ref(), 1_u128.to_be_bytes());
        assert_eq!(summaries[0].upper_bound.as_ref().unwrap().as_ref(), 3_u128.to_be_bytes());
        assert_eq!(summaries[1].lower_bound, None, "readers differ about the order of these");
        let read = read_back(encoded).await;
        let read: Vec<&Struct> = read.iter().map(DataFile::partition).collect();
        assert_eq!(read, files.iter().map(|f| f.1.partition()).collect::<Vec<_>>(), "{codec:?}");
    }
}

#[tokio::test]
async fn values_from_before_a_column_was_widened_are_written_as_the_wider_type() {
    let shape = shape_of(&[P::Long, P::Double], FormatVersion::V2, ManifestContentType::Data, Codec::Null);
    let file = plain(vec![L::Int(-7), L::Float(1.5.into())]);
    let read = read_back(ours(&shape, "m", &[(1, file, 3)])).await;
    assert_eq!(read[0].partition(), plain(vec![L::Long(-7), L::Double(1.5.into())]).partition());
}

#[tokio::test]
async fn times_in_nanoseconds_come_back_as_partition_values() {
    let kinds = [P::TimestampNs, P::TimestamptzNs];
    let shape = shape_of(&kinds, FormatVersion::V3, ManifestContentType::Data, Codec::Null);
    let file = plain(vec![L::Long(-1), L::Long(i64::MAX)]);
    let read = read_back(ours(&shape, "m", &[(0, file.clone(), 0)])).await;
    assert_eq!(read[0].partition(), file.partition());
}

#[test]
fn a_value_that_does_not_fit_is_refused_and_the_file_named() {
    let kind = P::Decimal { precision: 4, scale: 0 };
    let shape = shape_of(&[kind], FormatVersion::V2, ManifestContentType::Data, Codec::Null);
    for value in [L::Int128(40_000), L::Int(1)] {
        let file = plain(vec![value]);
        let entry = ManifestEntry {
            status: ManifestStatus::Added,
            snapshot_id: 1,
            sequence_number: None,
            file_sequence_number: None,
            file: &file,
        };
        let error = encode(&shape, "m", 1, [entry]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().contains("the file f"), "{error}");
    }
}
