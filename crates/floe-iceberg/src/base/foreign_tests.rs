//! Manifests and manifest lists as others may write them: generated writers' schemas (unions, order, promotions, names,
//! fields nobody knows) and generated entries, against a model that is only a list of values.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use floe_core::ErrorKind;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, FieldSummary, FormatVersion, Literal,
    ManifestContentType, ManifestFile, ManifestStatus, NestedField, PartitionSpec, PrimitiveType, Schema,
    SchemaRef, SortOrder, Struct, TableMetadataBuilder, Transform, Type,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::header::Known;
use super::{Manifest, manifest_list};
use crate::commit::test_avro;

/// Numbers drawn from a seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() >> 11) as usize % count
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// A type that a writer declares.
#[derive(Debug, Clone)]
enum Ty {
    Null,
    Boolean,
    Int,
    Long,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum,
    Array(Box<Ty>),
    Map(Box<Ty>),
    Record(Vec<Fd>),
    Union(Vec<Ty>),
    /// A list in which every node is a record with the next one in it.
    Chain,
}

#[derive(Debug, Clone)]
struct Fd {
    declared: Value,
    /// What the field is in the model; `None` for what floe does not know.
    what: Option<&'static str>,
    ty: Ty,
}

#[derive(Debug, Clone, PartialEq)]
enum Val {
    Null,
    Bool(bool),
    Num(i64),
    Bytes(Vec<u8>),
    List(Vec<Val>),
    Pairs(Vec<(i64, Val)>),
    Rec(BTreeMap<&'static str, Val>),
}

impl Ty {
    fn json(&self, names: &mut usize) -> Value {
        *names += 1;
        let name = format!("n{names}");
        match self {
            Self::Null => json!("null"),
            Self::Boolean => json!("boolean"),
            Self::Int => json!({"type": "int", "logicalType": "whatever"}),
            Self::Long => json!("long"),
            Self::Double => json!("double"),
            Self::Bytes => json!("bytes"),
            Self::String => json!("string"),
            Self::Fixed(size) => json!({"type": "fixed", "name": name, "size": size}),
            Self::Enum => json!({"type": "enum", "name": name, "symbols": ["A", "B", "C"]}),
            Self::Array(item) => json!({"type": "array", "items": item.json(names)}),
            Self::Map(value) => json!({"type": "map", "values": value.json(names)}),
            Self::Record(fields) => {
                let fields = fields.iter().map(|field| {
                    let mut declared = field.declared.clone();
                    declared["type"] = field.ty.json(names);
                    declared
                });
                let fields: Vec<Value> = fields.collect();
                json!({"type": "record", "name": name, "namespace": "x.y", "fields": fields})
            }
            Self::Union(branches) => branches.iter().map(|branch| branch.json(names)).collect(),
            Self::Chain => json!({"type": "record", "name": name, "fields": [
                {"name": "value", "type": "long"},
                {"name": "next", "type": ["null", name]},
            ]}),
        }
    }

    fn admits(&self, value: &Val) -> bool {
        match (self, value) {
            (Self::Null, Val::Null)
            | (Self::Boolean, Val::Bool(_))
            | (Self::Long, Val::Num(_))
            | (Self::Bytes | Self::String, Val::Bytes(_))
            | (Self::Array(_), Val::List(_) | Val::Pairs(_))
            | (Self::Map(_), Val::Pairs(_))
            | (Self::Record(_), Val::Rec(_)) => true,
            (Self::Int, Val::Num(number)) => i32::try_from(*number).is_ok(),
            (Self::Union(branches), value) => branches.iter().any(|branch| branch.admits(value)),
            _ => false,
        }
    }

    fn encode(&self, value: &Val, draw: &mut Draw, out: &mut Vec<u8>) {
        match (self, value) {
            (Self::Null, Val::Null) => {}
            (Self::Boolean, Val::Bool(value)) => out.push(u8::from(*value)),
            (Self::Int | Self::Long, Val::Num(number)) => test_avro::long(out, *number),
            (Self::Bytes | Self::String, Val::Bytes(bytes)) => test_avro::bytes(out, bytes),
            (Self::Array(item), Val::List(items)) => {
                items_of(out, draw, items, |item_value, draw, out| item.encode(item_value, draw, out));
            }
            (Self::Array(item), Val::Pairs(pairs)) => {
                items_of(out, draw, pairs, |(key, value), draw, out| {
                    let pair = BTreeMap::from([("key", Val::Num(*key)), ("value", value.clone())]);
                    item.encode(&Val::Rec(pair), draw, out);
                });
            }
            (Self::Map(values), Val::Pairs(pairs)) => {
                items_of(out, draw, pairs, |(key, value), draw, out| {
                    test_avro::bytes(out, key.to_string().as_bytes());
                    values.encode(value, draw, out);
                });
            }
            (Self::Record(fields), Val::Rec(values)) => {
                for field in fields {
                    match field.what {
                        Some(what) => field.ty.encode(values.get(what).unwrap_or(&Val::Null), draw, out),
                        None => field.ty.random(draw, out, 0),
                    }
                }
            }
            (Self::Union(branches), value) => {
                let fit: Vec<usize> = (0..branches.len()).filter(|at| branches[*at].admits(value)).collect();
                let at = fit[draw.below(fit.len())];
                test_avro::long(out, at as i64);
                branches[at].encode(value, draw, out);
            }
            (ty, value) => panic!("{ty:?} has no {value:?}"),
        }
    }

    /// Any value of the type.
    fn random(&self, draw: &mut Draw, out: &mut Vec<u8>, depth: usize) {
        match self {
            Self::Null => {}
            Self::Boolean => out.push(draw.below(2) as u8),
            Self::Int | Self::Long => test_avro::long(out, i64::from(draw.next() as i32)),
            Self::Double => out.extend_from_slice(&draw.next().to_le_bytes()),
            Self::Bytes | Self::String => test_avro::bytes(out, b"some"),
            Self::Fixed(size) => out.extend(std::iter::repeat_n(7, *size)),
            Self::Enum => test_avro::long(out, draw.below(3) as i64),
            Self::Array(item) => {
                let items = vec![(); draw.below(3)];
                items_of(out, draw, &items, |(), draw, out| item.random(draw, out, depth));
            }
            Self::Map(value) => {
                let items = vec![(); draw.below(3)];
                items_of(out, draw, &items, |(), draw, out| {
                    test_avro::bytes(out, b"k");
                    value.random(draw, out, depth);
                });
            }
            Self::Record(fields) => {
                for field in fields {
                    field.ty.random(draw, out, depth);
                }
            }
            Self::Union(branches) => {
                let at = draw.below(branches.len());
                test_avro::long(out, at as i64);
                branches[at].random(draw, out, depth);
            }
            Self::Chain => {
                test_avro::long(out, 5);
                if depth < 20 && draw.chance(60) {
                    test_avro::long(out, 1);
                    self.random(draw, out, depth + 1);
                } else {
                    test_avro::long(out, 0);
                }
            }
        }
    }
}

/// Items in one block or more, with their size or without.
fn items_of<T>(
    out: &mut Vec<u8>,
    draw: &mut Draw,
    items: &[T],
    mut encode: impl FnMut(&T, &mut Draw, &mut Vec<u8>),
) {
    let mut rest = items;
    while !rest.is_empty() {
        let (block, after) = rest.split_at(1 + draw.below(rest.len()));
        let mut bytes = Vec::new();
        for item in block {
            encode(item, draw, &mut bytes);
        }
        if draw.chance(30) {
            test_avro::long(out, -(block.len() as i64));
            test_avro::long(out, bytes.len() as i64);
        } else {
            test_avro::long(out, block.len() as i64);
        }
        out.extend_from_slice(&bytes);
        rest = after;
    }
    test_avro::long(out, 0);
}

/// What a writer makes of a schema.
struct Style<'d> {
    draw: &'d mut Draw,
    /// Whether fields carry ids.
    ids: bool,
}

impl Style<'_> {
    fn optional(&mut self, ty: Ty, percent: usize) -> Ty {
        if !self.draw.chance(percent) {
            return ty;
        }
        let mut branches = vec![Ty::Null, ty];
        self.draw.shuffle(&mut branches);
        Ty::Union(branches)
    }

    fn bytes(&mut self) -> Ty {
        if self.draw.chance(50) { Ty::Bytes } else { Ty::String }
    }

    fn list(&mut self) -> Ty {
        let item = Ty::Long;
        Ty::Array(Box::new(self.optional(item, 30)))
    }

    fn map(&mut self, value: Ty) -> Ty {
        let value = self.optional(value, 30);
        if self.draw.chance(15) {
            return Ty::Map(Box::new(value));
        }
        let key = self.optional(Ty::Int, 20);
        let mut fields = vec![named("key", key), named("value", value)];
        if self.draw.chance(20) {
            fields.push(self.extra());
        }
        if self.draw.chance(30) {
            self.draw.shuffle(&mut fields);
        }
        Ty::Array(Box::new(self.optional(Ty::Record(fields), 20)))
    }

    /// A field by its id, its name, or another name of it.
    fn field(&mut self, id: i32, name: &'static str, what: &'static str, ty: Ty) -> Fd {
        let declared = match (self.ids, self.draw.below(4)) {
            (true, 0) => json!({"name": format!("renamed_{id}"), "field-id": id}),
            (true, _) => json!({"name": name, "field-id": id}),
            (false, 0) => json!({"name": format!("renamed_{id}"), "aliases": ["old", name]}),
            (false, _) => json!({"name": name, "default": null}),
        };
        Fd { declared, what: Some(what), ty }
    }

    fn extra(&mut self) -> Fd {
        let id = 5000 + (self.draw.next() % 100_000) as i32;
        let declared = if self.ids {
            json!({"name": format!("extra_{id}"), "field-id": id})
        } else {
            json!({"name": format!("extra_{id}")})
        };
        Fd { declared, what: None, ty: self.any(3) }
    }

    fn any(&mut self, depth: usize) -> Ty {
        match self.draw.below(if depth == 0 { 8 } else { 14 }) {
            0 => Ty::Null,
            1 => Ty::Boolean,
            2 => Ty::Int,
            3 => Ty::Double,
            4 => Ty::Bytes,
            5 => Ty::Fixed(self.draw.below(4)),
            6 => Ty::Enum,
            7 => Ty::String,
            8 => Ty::Array(Box::new(self.any(depth - 1))),
            9 => Ty::Map(Box::new(self.any(depth - 1))),
            10 => Ty::Chain,
            11 => Ty::Union(vec![Ty::Null, Ty::String, Ty::Long]),
            _ => Ty::Record(
                (0..self.draw.below(3))
                    .map(|_| Fd { declared: json!({"name": "f"}), what: None, ty: self.any(depth - 1) })
                    .enumerate()
                    .map(|(at, mut field)| {
                        field.declared["name"] = format!("f{at}").into();
                        field
                    })
                    .collect(),
            ),
        }
    }

    /// The fields with some more among them, in some order.
    fn record(&mut self, mut fields: Vec<Fd>) -> Ty {
        for _ in 0..self.draw.below(4) {
            let extra = self.extra();
            fields.insert(self.draw.below(fields.len() + 1), extra);
        }
        if self.draw.chance(50) {
            self.draw.shuffle(&mut fields);
        }
        Ty::Record(fields)
    }
}

fn named(name: &'static str, ty: Ty) -> Fd {
    Fd { declared: json!({"name": name}), what: Some(name), ty }
}

/// A container file with these records.
fn container(schema: &Ty, header: &[(&str, String)], records: &[Val], draw: &mut Draw) -> Vec<u8> {
    let mut metadata: Vec<(&str, String)> = header.to_vec();
    metadata.push(("avro.schema", schema.json(&mut 0).to_string()));
    let codec = ["null", "deflate", "snappy", "zstandard"][draw.below(4)];
    if codec != "null" || draw.chance(50) {
        metadata.push(("avro.codec", codec.to_owned()));
    }
    draw.shuffle(&mut metadata);
    let mut file = b"Obj\x01".to_vec();
    items_of(&mut file, draw, &metadata, |(key, value), _, out| {
        test_avro::bytes(out, key.as_bytes());
        test_avro::bytes(out, value.as_bytes());
    });
    file.extend_from_slice(&[3; 16]);
    for block in records.chunks(1 + draw.below(4)) {
        let mut data = Vec::new();
        for record in block {
            schema.encode(record, draw, &mut data);
        }
        let packed = match codec {
            "deflate" => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&data).unwrap();
                encoder.finish().unwrap()
            }
            "snappy" => {
                let mut packed = snap::raw::Encoder::new().compress_vec(&data).unwrap();
                let mut crc = flate2::Crc::new();
                crc.update(&data);
                packed.extend_from_slice(&crc.sum().to_be_bytes());
                packed
            }
            "zstandard" => zstd::stream::encode_all(data.as_slice(), 1).unwrap(),
            _ => data,
        };
        test_avro::long(&mut file, block.len() as i64);
        test_avro::bytes(&mut file, &packed);
        file.extend_from_slice(&[3; 16]);
    }
    file
}

fn table_schema() -> SchemaRef {
    let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
    let fields = vec![
        field(1, "a", PrimitiveType::Long),
        field(2, "b", PrimitiveType::String),
        field(3, "c", PrimitiveType::Double),
    ];
    Arc::new(Schema::builder().with_fields(fields).build().unwrap())
}

fn spec(partitioned: bool) -> PartitionSpec {
    let mut builder = PartitionSpec::builder(table_schema()).with_spec_id(0);
    if partitioned {
        for (source, name, transform) in [
            ("b", "p_b", Transform::Identity),
            ("a", "p_a", Transform::Bucket(8)),
            ("c", "p_c", Transform::Identity),
        ] {
            builder = builder.add_partition_field(source, name, transform).unwrap();
        }
    }
    builder.build().unwrap()
}

/// What the table and the manifest list know.
pub(super) fn known(partitioned: bool, content: ManifestContentType) -> Known {
    let table = TableMetadataBuilder::new(
        table_schema().as_ref().clone(),
        spec(partitioned).into_unbound(),
        SortOrder::unsorted_order(),
        "memory:///t".to_owned(),
        FormatVersion::V2,
        HashMap::new(),
    );
    let listed = listed_with(content);
    Known { table: Arc::new(table.unwrap().build().unwrap().metadata), listed }
}

fn listed_with(content: ManifestContentType) -> ManifestFile {
    ManifestFile {
        manifest_path: "memory:///t/m.avro".to_owned(),
        manifest_length: 1,
        partition_spec_id: 0,
        content,
        sequence_number: 9,
        min_sequence_number: 2,
        added_snapshot_id: 77,
        added_files_count: Some(1),
        existing_files_count: Some(2),
        deleted_files_count: None,
        added_rows_count: None,
        existing_rows_count: Some(4),
        deleted_rows_count: Some(0),
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    }
}

/// An entry of the model.
struct Modelled {
    status: i64,
    snapshot_id: i64,
    sequence: i64,
    file: DataFile,
    record: Val,
}

const OPTIONAL: [&str; 13] = [
    "column_sizes",
    "value_counts",
    "null_value_counts",
    "nan_value_counts",
    "lower_bounds",
    "upper_bounds",
    "key_metadata",
    "split_offsets",
    "equality_ids",
    "sort_order_id",
    "referenced",
    "offset",
    "size_in_file",
];

fn modelled(draw: &mut Draw, partitioned: bool, deletes: bool, left_out: &[&str], nulls: bool) -> Modelled {
    let mut file = BTreeMap::new();
    let mut builder = DataFileBuilder::default();
    let content = if deletes { 1 + draw.below(2) as i64 } else { 0 };
    let (rows, bytes) = (draw.below(1000) as u64, draw.below(100_000) as u64);
    let path = format!("memory:///t/é{}.parquet", draw.below(1000));
    builder
        .content(match content {
            0 => DataContentType::Data,
            1 => DataContentType::PositionDeletes,
            _ => DataContentType::EqualityDeletes,
        })
        .file_path(path.clone())
        .file_format(DataFileFormat::Parquet)
        .partition_spec_id(0)
        .record_count(rows)
        .file_size_in_bytes(bytes);
    file.insert("content", Val::Num(content));
    file.insert("path", Val::Bytes(path.into_bytes()));
    file.insert("format", Val::Bytes(b"PARQUET".to_vec()));
    file.insert("records", Val::Num(rows as i64));
    file.insert("size", Val::Num(bytes as i64));
    if partitioned {
        let text = draw.chance(70).then(|| format!("v{}", draw.below(9)));
        let bucket = draw.chance(70).then(|| draw.below(8) as i32);
        builder.partition(Struct::from_iter([
            text.as_ref().map(|text| Literal::string(text.as_str())),
            bucket.map(Literal::int),
            None,
        ]));
        let values = BTreeMap::from([
            ("p_b", text.map_or(Val::Null, |text| Val::Bytes(text.into_bytes()))),
            ("p_a", bucket.map_or(Val::Null, |bucket| Val::Num(bucket.into()))),
            ("p_c", Val::Null),
        ]);
        file.insert("partition", Val::Rec(values));
    } else {
        builder.partition(Struct::empty());
        file.insert("partition", if nulls { Val::Null } else { Val::Rec(BTreeMap::new()) });
    }
    let there = |draw: &mut Draw, what: &str| !left_out.contains(&what) && draw.chance(80);
    for what in ["column_sizes", "value_counts", "null_value_counts", "nan_value_counts"] {
        let counts: HashMap<i32, u64> = match there(draw, what) {
            true => (1..=3).map(|id| (id, draw.below(99) as u64)).filter(|(_, n)| n % 3 > 0).collect(),
            false => HashMap::new(),
        };
        let pairs = counts.iter().map(|(id, count)| (i64::from(*id), Val::Num(*count as i64)));
        file.insert(what, Val::Pairs(pairs.collect()));
        match what {
            "column_sizes" => builder.column_sizes(counts),
            "value_counts" => builder.value_counts(counts),
            "null_value_counts" => builder.null_value_counts(counts),
            _ => builder.nan_value_counts(counts),
        };
    }
    for what in ["lower_bounds", "upper_bounds"] {
        let mut bounds = HashMap::new();
        let mut pairs = Vec::new();
        if there(draw, what) {
            let number = draw.next() as i64;
            bounds.insert(1, Datum::long(number));
            pairs.push((1, Val::Bytes(number.to_le_bytes().to_vec())));
            bounds.insert(2, Datum::string("zß"));
            pairs.push((2, Val::Bytes("zß".as_bytes().to_vec())));
            // A column that no schema has, and a bound that is none: both are kept as they are.
            bounds.insert(900, Datum::binary(b"kept".to_vec()));
            pairs.push((900, Val::Bytes(b"kept".to_vec())));
            bounds.insert(3, Datum::binary(b"odd".to_vec()));
            pairs.push((3, Val::Bytes(b"odd".to_vec())));
        }
        file.insert(what, Val::Pairs(pairs));
        if what == "lower_bounds" {
            builder.lower_bounds(bounds)
        } else {
            builder.upper_bounds(bounds)
        };
    }
    let key = there(draw, "key_metadata").then(|| vec![0xff, 0, 7]);
    file.insert("key_metadata", key.clone().map_or(Val::Null, Val::Bytes));
    builder.key_metadata(key);
    let offsets = there(draw, "split_offsets").then(|| vec![4_i64, draw.below(9999) as i64]);
    let list = |numbers: &Option<Vec<i64>>| match numbers {
        Some(numbers) => Val::List(numbers.iter().map(|number| Val::Num(*number)).collect()),
        None => Val::Null,
    };
    file.insert("split_offsets", list(&offsets));
    builder.split_offsets(offsets);
    let ids = there(draw, "equality_ids").then(|| vec![1_i64, 2]);
    file.insert("equality_ids", list(&ids));
    builder.equality_ids(ids.map(|ids| ids.into_iter().map(|id| id as i32).collect()));
    if there(draw, "sort_order_id") {
        file.insert("sort_order_id", Val::Num(3));
        builder.sort_order_id(3);
    }
    let referenced = there(draw, "referenced").then(|| "memory:///t/1".to_owned());
    file.insert("referenced", referenced.clone().map_or(Val::Null, |path| Val::Bytes(path.into_bytes())));
    builder.referenced_data_file(referenced);
    let number = |draw: &mut Draw, what| there(draw, what).then(|| draw.below(1 << 30) as i64);
    let (offset, size) = (number(draw, "offset"), number(draw, "size_in_file"));
    file.insert("offset", offset.map_or(Val::Null, Val::Num));
    file.insert("size_in_file", size.map_or(Val::Null, Val::Num));
    builder.content_offset(offset).content_size_in_bytes(size);
    let (status, snapshot_id, sequence) =
        (draw.below(3) as i64, draw.below(1 << 40) as i64, draw.below(99) as i64);
    let record = BTreeMap::from([
        ("status", Val::Num(status)),
        ("snapshot_id", Val::Num(snapshot_id)),
        ("sequence_number", Val::Num(sequence)),
        ("file_sequence_number", Val::Num(sequence)),
        ("data_file", Val::Rec(file)),
    ]);
    Modelled { status, snapshot_id, sequence, file: builder.build().unwrap(), record: Val::Rec(record) }
}

fn entry_type(style: &mut Style<'_>, partitioned: bool, left_out: &[&str], nulls: bool) -> Ty {
    let mut partition = Vec::new();
    if partitioned {
        for (id, what) in [(1000, "p_b"), (1001, "p_a"), (1002, "p_c")] {
            let ty = match what {
                "p_b" => style.bytes(),
                "p_a" => [Ty::Int, Ty::Long][style.draw.below(2)].clone(),
                _ => Ty::Double,
            };
            let ty = style.optional(ty, 100);
            partition.push(style.field(id, what, what, ty));
        }
    }
    let partition = style.record(partition);
    let partition = style.optional(partition, if nulls { 100 } else { 30 });
    let mut fields = Vec::new();
    for (id, name, what) in [
        (134, "content", "content"),
        (100, "file_path", "path"),
        (101, "file_format", "format"),
        (103, "record_count", "records"),
        (104, "file_size_in_bytes", "size"),
        (108, "column_sizes", "column_sizes"),
        (109, "value_counts", "value_counts"),
        (110, "null_value_counts", "null_value_counts"),
        (137, "nan_value_counts", "nan_value_counts"),
        (125, "lower_bounds", "lower_bounds"),
        (128, "upper_bounds", "upper_bounds"),
        (131, "key_metadata", "key_metadata"),
        (132, "split_offsets", "split_offsets"),
        (135, "equality_ids", "equality_ids"),
        (140, "sort_order_id", "sort_order_id"),
        (143, "referenced_data_file", "referenced"),
        (144, "content_offset", "offset"),
        (145, "content_size_in_bytes", "size_in_file"),
    ] {
        if left_out.contains(&what) {
            continue;
        }
        let ty = match what {
            "path" | "format" | "referenced" | "key_metadata" => style.bytes(),
            "split_offsets" | "equality_ids" => style.list(),
            "lower_bounds" | "upper_bounds" => {
                let value = style.bytes();
                style.map(value)
            }
            "column_sizes" | "value_counts" | "null_value_counts" | "nan_value_counts" => {
                let value = Ty::Long;
                style.map(value)
            }
            _ => Ty::Long,
        };
        let ty = style.optional(ty, if OPTIONAL.contains(&what) { 100 } else { 30 });
        fields.push(style.field(id, name, what, ty));
    }
    fields.push(style.field(102, "partition", "partition", partition));
    let file = style.record(fields);
    let file = style.optional(file, 40);
    let mut fields = vec![style.field(0, "status", "status", Ty::Int)];
    for (id, name) in [(1, "snapshot_id"), (3, "sequence_number"), (4, "file_sequence_number")] {
        let ty = style.optional(Ty::Long, 50);
        fields.push(style.field(id, name, name, ty));
    }
    fields.push(style.field(2, "data_file", "data_file", file));
    style.record(fields)
}

/// A manifest and what must be read of it.
fn manifest(seed: u64) -> (Vec<u8>, Vec<Modelled>, Known) {
    let mut draw = Draw(seed | 1);
    let (partitioned, deletes) = (draw.chance(50), draw.chance(30));
    let nulls = draw.chance(50);
    let left_out: Vec<&str> = OPTIONAL.into_iter().filter(|_| draw.chance(20)).collect();
    let ids = draw.chance(50);
    let schema = entry_type(&mut Style { draw: &mut draw, ids }, partitioned, &left_out, nulls);
    let count = draw.below(8);
    let entries: Vec<Modelled> =
        (0..count).map(|_| modelled(&mut draw, partitioned, deletes, &left_out, nulls)).collect();
    let content = if deletes { ManifestContentType::Deletes } else { ManifestContentType::Data };
    let mut header = vec![
        ("schema", serde_json::to_string(table_schema().as_ref()).unwrap()),
        ("schema-id", "0".to_owned()),
        ("partition-spec", serde_json::to_string(spec(partitioned).fields()).unwrap()),
        ("partition-spec-id", "0".to_owned()),
        ("format-version", "2".to_owned()),
        ("content", content.to_string()),
    ];
    header.retain(|_| !draw.chance(25));
    let records: Vec<Val> = entries.iter().map(|entry| entry.record.clone()).collect();
    (container(&schema, &header, &records, &mut draw), entries, known(partitioned, content))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn manifests_of_any_writer_read_as_the_model_has_them(seed in any::<u64>()) {
        let (bytes, entries, known) = manifest(seed);
        let manifest = Manifest::decode("m", &bytes, Some(&known)).unwrap();
        prop_assert_eq!(manifest.content(), known.listed.content);
        prop_assert_eq!(manifest.len(), entries.len());
        for (entry, modelled) in manifest.entries(&known.listed).zip(&entries) {
            let entry = entry.unwrap();
            let status = match modelled.status {
                0 => ManifestStatus::Existing,
                1 => ManifestStatus::Added,
                _ => ManifestStatus::Deleted,
            };
            prop_assert_eq!(entry.status(), status);
            prop_assert_eq!(entry.snapshot_id, modelled.snapshot_id);
            prop_assert_eq!(entry.sequence_number, modelled.sequence);
            let file = entry.data_file().unwrap();
            prop_assert_eq!(&file, &modelled.file);
            for id in 1..4 {
                prop_assert_eq!(entry.null_count(id), file.null_value_counts().get(&id).copied());
                prop_assert_eq!(entry.nan_count(id), file.nan_value_counts().get(&id).copied());
            }
            let lower = entry.lower(1, &PrimitiveType::Long);
            prop_assert_eq!(lower, file.lower_bounds().get(&1).cloned());
            prop_assert_eq!(entry.upper(3, &PrimitiveType::Double), None);
        }
    }

    #[test]
    fn a_damaged_manifest_of_any_writer_never_panics(
        seed in any::<u64>(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>(),
    ) {
        let (mut bytes, _, known) = manifest(seed);
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = to }
        if let Ok(manifest) = Manifest::decode("m", &bytes, Some(&known)) {
            for entry in manifest.entries(&known.listed).flatten() {
                // An error or a file: either is an answer.
                let _ = entry.data_file();
            }
        }
    }

    #[test]
    fn manifest_lists_of_any_writer_read_as_the_model_has_them(seed in any::<u64>()) {
        let (bytes, files) = list(seed);
        prop_assert_eq!(manifest_list::decode(&bytes).unwrap(), files);
    }

    #[test]
    fn a_damaged_manifest_list_of_any_writer_never_panics(
        seed in any::<u64>(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>(),
    ) {
        let (mut bytes, _) = list(seed);
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = to }
        let _ = manifest_list::decode(&bytes);
    }
}

/// A manifest list and what must be read of it.
fn list(seed: u64) -> (Vec<u8>, Vec<ManifestFile>) {
    let mut draw = Draw(seed | 1);
    let ids = draw.chance(50);
    let mut style = Style { draw: &mut draw, ids };
    let mut summary = Vec::new();
    for (id, name, what) in [
        (509, "contains_null", "null"),
        (518, "contains_nan", "nan"),
        (510, "lower_bound", "lower"),
        (511, "upper_bound", "upper"),
    ] {
        let ty = if id == 509 || id == 518 { Ty::Boolean } else { style.bytes() };
        let ty = style.optional(ty, if id == 509 { 30 } else { 100 });
        summary.push(style.field(id, name, what, ty));
    }
    let summary = style.record(summary);
    let summary = style.optional(summary, 40);
    let mut fields = Vec::new();
    let names = [
        (500, "manifest_path"),
        (501, "manifest_length"),
        (502, "partition_spec_id"),
        (517, "content"),
        (515, "sequence_number"),
        (516, "min_sequence_number"),
        (503, "added_snapshot_id"),
        (504, "added_files_count"),
        (505, "existing_files_count"),
        (506, "deleted_files_count"),
        (512, "added_rows_count"),
        (513, "existing_rows_count"),
        (514, "deleted_rows_count"),
        (507, "partitions"),
        (519, "key_metadata"),
    ];
    for (id, name) in names {
        let ty = match id {
            500 | 519 => style.bytes(),
            507 => Ty::Array(Box::new(summary.clone())),
            _ => Ty::Long,
        };
        let optional = matches!(id, 504..=507 | 512..=514 | 519);
        let ty = style.optional(ty, if optional { 100 } else { 30 });
        fields.push(style.field(id, name, name, ty));
    }
    let schema = style.record(fields);
    let mut files = Vec::new();
    let mut records = Vec::new();
    for number in 0..draw.below(5) {
        let content = [ManifestContentType::Data, ManifestContentType::Deletes][draw.below(2)];
        let mut file = listed_with(content);
        file.manifest_path = format!("memory:///t/{number}.avro");
        file.key_metadata = draw.chance(20).then(|| vec![1, 0xff]);
        let summaries = draw.chance(70).then(|| {
            let summary = |draw: &mut Draw| FieldSummary {
                contains_null: draw.chance(50),
                contains_nan: draw.chance(50).then_some(false),
                lower_bound: draw.chance(50).then(|| vec![0xff, 1].into()),
                upper_bound: draw.chance(50).then(|| Vec::new().into()),
            };
            (0..draw.below(3)).map(|_| summary(&mut draw)).collect::<Vec<_>>()
        });
        file.partitions = summaries;
        let count = |count: Option<u64>| count.map_or(Val::Null, |count| Val::Num(count as i64));
        let summary = |s: &FieldSummary| {
            Val::Rec(BTreeMap::from([
                ("null", Val::Bool(s.contains_null)),
                ("nan", s.contains_nan.map_or(Val::Null, Val::Bool)),
                ("lower", s.lower_bound.as_ref().map_or(Val::Null, |bytes| Val::Bytes(bytes.to_vec()))),
                ("upper", s.upper_bound.as_ref().map_or(Val::Null, |bytes| Val::Bytes(bytes.to_vec()))),
            ]))
        };
        records.push(Val::Rec(BTreeMap::from([
            ("manifest_path", Val::Bytes(file.manifest_path.clone().into_bytes())),
            ("manifest_length", Val::Num(file.manifest_length)),
            ("partition_spec_id", Val::Num(0)),
            ("content", Val::Num(content as i64)),
            ("sequence_number", Val::Num(file.sequence_number)),
            ("min_sequence_number", Val::Num(file.min_sequence_number)),
            ("added_snapshot_id", Val::Num(file.added_snapshot_id)),
            ("added_files_count", count(file.added_files_count.map(u64::from))),
            ("existing_files_count", count(file.existing_files_count.map(u64::from))),
            ("deleted_files_count", count(file.deleted_files_count.map(u64::from))),
            ("added_rows_count", count(file.added_rows_count)),
            ("existing_rows_count", count(file.existing_rows_count)),
            ("deleted_rows_count", count(file.deleted_rows_count)),
            (
                "partitions",
                file.partitions
                    .as_ref()
                    .map_or(Val::Null, |all| Val::List(all.iter().map(summary).collect())),
            ),
            ("key_metadata", file.key_metadata.clone().map_or(Val::Null, Val::Bytes)),
        ])));
        files.push(file);
    }
    (container(&schema, &[], &records, &mut draw), files)
}

#[test]
fn codecs_that_floe_does_not_read_are_unsupported_by_name() {
    for codec in ["bzip2", "xz", "lzma", "brotli"] {
        let mut file = b"Obj\x01".to_vec();
        test_avro::long(&mut file, 2);
        for (key, value) in [("avro.codec", codec), ("avro.schema", "\"long\"")] {
            test_avro::bytes(&mut file, key.as_bytes());
            test_avro::bytes(&mut file, value.as_bytes());
        }
        test_avro::long(&mut file, 0);
        file.extend_from_slice(&[3; 16]);
        let error = Manifest::decode("m", &file, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(codec), "{error}");
        assert!(!error.hint().unwrap_or_default().contains("roll"), "{error}");
        assert_eq!(manifest_list::decode(&file).unwrap_err().kind, ErrorKind::Unsupported);
    }
}

#[test]
fn newer_things_are_unsupported_and_damage_is_corrupted() {
    let (bytes, _, known) = manifest(1);
    let error = Manifest::decode("m", &bytes[..bytes.len() - 1], Some(&known)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    let entry = |status: i64, content: i64, format: &str| {
        let mut file: BTreeMap<&'static str, Val> = BTreeMap::from([
            ("content", Val::Num(content)),
            ("path", Val::Bytes(b"f".to_vec())),
            ("format", Val::Bytes(format.as_bytes().to_vec())),
            ("records", Val::Num(1)),
            ("size", Val::Num(1)),
        ]);
        file.insert("partition", Val::Rec(BTreeMap::new()));
        let names = [
            ("content", Ty::Int),
            ("path", Ty::String),
            ("format", Ty::String),
            ("records", Ty::Long),
            ("size", Ty::Long),
            ("partition", Ty::Record(Vec::new())),
        ];
        let written =
            ["content", "file_path", "file_format", "record_count", "file_size_in_bytes", "partition"];
        let fields = names.into_iter().zip(written).map(|((what, ty), name)| Fd {
            declared: json!({"name": name}),
            what: Some(what),
            ty,
        });
        let ty = Ty::Record(vec![named("status", Ty::Int), named("data_file", Ty::Record(fields.collect()))]);
        let record = Val::Rec(BTreeMap::from([("status", Val::Num(status)), ("data_file", Val::Rec(file))]));
        let bytes = container(&ty, &[], &[record], &mut Draw(7));
        let known = self::known(false, ManifestContentType::Data);
        let manifest = Manifest::decode("m", &bytes, Some(&known))?;
        let entry = manifest.entries(&known.listed).next().unwrap()?;
        entry.data_file().map(|file| file.file_format())
    };
    assert_eq!(entry(1, 0, "parquet").unwrap(), DataFileFormat::Parquet);
    for (error, named) in [
        (entry(9, 0, "PARQUET").unwrap_err(), "status 9"),
        (entry(1, 7, "PARQUET").unwrap_err(), "content 7"),
        (entry(1, 0, "VORTEX").unwrap_err(), "VORTEX"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}
