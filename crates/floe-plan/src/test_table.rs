//! A small table for the tests of this crate: `id long, category string`, partitioned by `category`.

use std::collections::HashMap;

use iceberg::TableCreation;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, FormatVersion, Literal, NestedField,
    PrimitiveType, Schema, Struct, TableMetadata, TableMetadataBuilder, Transform, Type,
    UnboundPartitionSpec,
};

pub(crate) fn metadata(version: FormatVersion) -> TableMetadata {
    let schema = Schema::builder()
        .with_fields([
            NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into(),
            NestedField::optional(2, "category", Type::Primitive(PrimitiveType::String)).into(),
        ])
        .build()
        .unwrap();
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(2, "category", Transform::Identity)
        .unwrap()
        .build();
    let creation = TableCreation::builder()
        .name("t".into())
        .location("memory:///t".into())
        .schema(schema)
        .partition_spec(spec)
        .format_version(version)
        .properties(HashMap::new())
        .build();
    TableMetadataBuilder::from_table_creation(creation).unwrap().build().unwrap().metadata
}

/// The table after its column `category` was dropped; its default spec has no fields.
pub(crate) fn without_category() -> TableMetadata {
    let table = metadata(FormatVersion::V2);
    let kept = table.current_schema().as_struct().fields().iter().filter(|f| f.name != "category").cloned();
    let schema = Schema::builder().with_fields(kept).build().unwrap();
    let builder = table.into_builder(None).add_partition_spec(UnboundPartitionSpec::default());
    let builder = builder.unwrap().set_default_partition_spec(-1).unwrap();
    builder.add_current_schema(schema).unwrap().build().unwrap().metadata
}

pub(crate) fn data_file(name: &str, category: Option<&str>) -> DataFile {
    file(name, category, DataContentType::Data, 10)
}

pub(crate) fn delete_file(name: &str, category: Option<&str>) -> DataFile {
    file(name, category, DataContentType::PositionDeletes, 2)
}

pub(crate) fn file(name: &str, category: Option<&str>, content: DataContentType, rows: u64) -> DataFile {
    DataFileBuilder::default()
        .content(content)
        .file_path(format!("memory:///t/data/{name}"))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter([category.map(Literal::string)]))
        .record_count(rows)
        .file_size_in_bytes(100)
        .build()
        .unwrap()
}

/// A table whose snapshots are numbered from 0, each with the parent of its place.
pub(crate) fn with_parents(parents: &[Option<i64>]) -> TableMetadata {
    let mut json = serde_json::to_value(metadata(FormatVersion::V2)).unwrap();
    let snapshot = |(id, parent): (usize, &Option<i64>)| {
        let mut snapshot = serde_json::json!({
            "snapshot-id": id, "sequence-number": id + 1, "timestamp-ms": 1_000, "manifest-list": "memory:///l",
            "summary": {"operation": "append"}, "schema-id": 0,
        });
        if let Some(parent) = parent {
            snapshot["parent-snapshot-id"] = (*parent).into();
        }
        snapshot
    };
    json["snapshots"] = parents.iter().enumerate().map(snapshot).collect();
    json["last-sequence-number"] = (parents.len() + 1).into();
    serde_json::from_value(json).unwrap()
}
