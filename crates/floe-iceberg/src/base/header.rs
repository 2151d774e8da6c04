//! What the header of a manifest says (Iceberg spec, "Manifests").

use std::collections::{HashMap, HashSet};

use floe_core::metadata_file::transform;
use iceberg::spec::{ManifestMetadata, Schema, Transform};
use serde_json::{Value, json};

use super::avro::{AvroField, AvroType};

/// Reads the header of a manifest whose partition values have the fields `partition`.
///
/// Iceberg's Java library writes the table's schema into a manifest, and that may lack the source column of a partition
/// field, which was dropped; the type of that field is null then. The column is put in again.
pub(super) fn parse(
    header: &HashMap<String, Vec<u8>>,
    partition: &[AvroField],
) -> iceberg::Result<ManifestMetadata> {
    ManifestMetadata::parse(header).or_else(|error| {
        let header = with_plain_transforms(header, partition).unwrap_or_else(|| header.clone());
        match with_dropped_columns(&header, partition) {
            Some(header) => ManifestMetadata::parse(&header),
            None => ManifestMetadata::parse(&header).map_err(|_| error),
        }
    })
}

/// The header with the fields of its partition spec as the crate takes them: transforms as it spells them, and those
/// that it does not know as void ones, of which nothing is concluded. What is void may have any name and any source
/// (Iceberg's Java library names it like the column that it came from), and so it gets ones that no other has.
fn with_plain_transforms(
    header: &HashMap<String, Vec<u8>>,
    partition: &[AvroField],
) -> Option<HashMap<String, Vec<u8>>> {
    let schema: Schema = serde_json::from_slice(header.get("schema")?).ok()?;
    let mut spec: Vec<Value> = serde_json::from_slice(header.get("partition-spec")?).ok()?;
    let mut sources = HashSet::new();
    for (number, (field, written)) in spec.iter_mut().zip(partition).enumerate() {
        let several = field["source-ids"].as_array().is_some_and(|ids| ids.len() > 1);
        if field["source-id"].is_null() {
            field["source-id"] = field["source-ids"].get(0)?.clone();
        }
        let known = if several { Transform::Unknown } else { transform(field["transform"].as_str()?) };
        let source = field["source-id"].as_i64()?;
        if !matches!(known, Transform::Void | Transform::Unknown) {
            field["transform"] = json!(known.to_string());
            continue;
        }
        field["transform"] = json!("void");
        let name = field["name"].as_str()?.to_owned();
        if schema.field_by_name(&name).is_some() {
            field["name"] = json!(format!("{name}_{}", field["field-id"]));
        }
        // A source of its own has the type of the values as they were written.
        let fits = source_type("void", &written.ty).is_some_and(|kind| {
            let column = i32::try_from(source).ok().and_then(|id| schema.field_by_id(id));
            column.is_some_and(|column| column.field_type.to_string() == kind)
        });
        if known == Transform::Unknown || !fits || !sources.insert(source) {
            field["source-id"] = json!(i32::MAX - i32::try_from(number).ok()?);
        }
    }
    let mut header = header.clone();
    header.insert("partition-spec".to_owned(), json!(spec).to_string().into_bytes());
    Some(header)
}

/// The header with the columns that its partition spec refers to and its schema lacks. `None` if there is none.
fn with_dropped_columns(
    header: &HashMap<String, Vec<u8>>,
    partition: &[AvroField],
) -> Option<HashMap<String, Vec<u8>>> {
    let schema: Schema = serde_json::from_slice(header.get("schema")?).ok()?;
    let spec: Vec<Value> = serde_json::from_slice(header.get("partition-spec")?).ok()?;
    let mut columns: HashMap<i64, Value> = HashMap::new();
    for (field, written) in spec.iter().zip(partition) {
        let source = field["source-id"].as_i64()?;
        if schema.field_by_id(i32::try_from(source).ok()?).is_some() {
            continue;
        }
        let kind = source_type(field["transform"].as_str()?, &written.ty)?;
        let name = format!("dropped_{source}");
        columns.insert(source, json!({"id": source, "name": name, "required": false, "type": kind}));
    }
    if columns.is_empty() {
        return None;
    }
    let mut schema: Value = serde_json::from_slice(header.get("schema")?).ok()?;
    schema["fields"].as_array_mut()?.extend(columns.into_values());
    let mut header = header.clone();
    header.insert("schema".to_owned(), schema.to_string().into_bytes());
    Some(header)
}

/// A type of the column from which `transform` makes values that are written as `written`.
fn source_type(transform: &str, written: &AvroType) -> Option<String> {
    let written = match written {
        AvroType::Union(branches) => branches.iter().find(|branch| **branch != AvroType::Null),
        other => Some(other),
    };
    let kept = matches!(transform, "identity" | "void") || transform.starts_with("truncate");
    Some(match written.unwrap_or(&AvroType::Null) {
        _ if transform.starts_with("bucket") => "int".to_owned(),
        _ if !kept => "timestamp".to_owned(),
        AvroType::Null | AvroType::String => "string".to_owned(),
        AvroType::Boolean => "boolean".to_owned(),
        AvroType::Int => "int".to_owned(),
        AvroType::Long => "long".to_owned(),
        AvroType::Float => "float".to_owned(),
        AvroType::Double => "double".to_owned(),
        AvroType::Fixed(size) if transform == "identity" => format!("fixed[{size}]"),
        AvroType::Bytes | AvroType::Fixed(_) => "binary".to_owned(),
        _ => return None,
    })
}
