//! What the header of a manifest says (Iceberg spec, "Manifests").

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use floe_core::metadata_file::transform;
use floe_plan::change::partition_type;
use iceberg::spec::{
    ManifestFile, ManifestMetadata, Schema, SchemaRef, StructType, TableMetadata, TableMetadataRef, Transform,
};
use serde_json::{Value, json};

use super::avro::{AvroField, AvroType, Broken, Decoded};

/// What is known of a manifest besides the file.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The table.
    pub(super) table: TableMetadataRef,
    /// The entry of the manifest in a manifest list.
    pub(super) listed: ManifestFile,
}

/// Reads the header of a manifest whose partition values have the fields `partition`. Gives the type of the values too.
///
/// Some writers leave keys of the header out, or all of them, and newer ones may write types that the crate does not
/// parse. The table's metadata and the manifest list have the same then.
pub(super) fn parse(
    header: &HashMap<String, Vec<u8>>,
    partition: &[AvroField],
    known: Option<&Known>,
) -> Decoded<(ManifestMetadata, StructType)> {
    of_header(header, partition, known).or_else(|why| match known.map(|known| of_table(header, known)) {
        Some(Ok(of_table)) => Ok(of_table),
        _ => Err(why),
    })
}

/// What the header says. Iceberg's Java library writes the table's schema into a manifest, and that may lack the source
/// column of a partition field, which was dropped; the type of that field is null then. The column is put in again.
fn of_header(
    header: &HashMap<String, Vec<u8>>,
    partition: &[AvroField],
    known: Option<&Known>,
) -> Decoded<(ManifestMetadata, StructType)> {
    let missing = ["schema", "partition-spec"].into_iter().find(|key| !header.contains_key(*key));
    if let Some(key) = missing {
        return Err(Broken::new(format!("its header has no {key}")));
    }
    let mut header = Cow::Borrowed(header);
    if DEFAULTED.iter().any(|key| !header.contains_key(*key)) {
        for (key, value) in DEFAULTED.iter().zip(known.map(defaults).into_iter().flatten()) {
            if !header.contains_key(*key) {
                header.to_mut().insert((*key).to_owned(), value.into_bytes());
            }
        }
    }
    let metadata = ManifestMetadata::parse(&header).or_else(|error| {
        let header = with_plain_transforms(&header, partition).map_or(header, Cow::Owned);
        match with_dropped_columns(&header, partition) {
            Some(header) => ManifestMetadata::parse(&header),
            None => ManifestMetadata::parse(&header).map_err(|_| error),
        }
    });
    let metadata = metadata.map_err(|e| reason(&e))?;
    let of = metadata.partition_spec.partition_type(&metadata.schema).map_err(|e| reason(&e))?;
    Ok((metadata, of))
}

/// What the table and the manifest list say in place of the header.
fn of_table(header: &HashMap<String, Vec<u8>>, known: &Known) -> Decoded<(ManifestMetadata, StructType)> {
    let Known { table, listed } = known;
    let id = listed.partition_spec_id;
    let spec = table
        .partition_spec_by_id(id)
        .ok_or_else(|| Broken::new(format!("it is of partition spec {id}, which the table does not have")))?;
    let of = partition_type(table, id).map_err(|e| Broken {
        why: e.message().to_owned(),
        kind: e.kind(),
        limit: None,
    })?;
    let metadata = ManifestMetadata::builder()
        .schema(schema_of(header, table))
        .schema_id(table.current_schema_id())
        .partition_spec(spec.as_ref().clone())
        .format_version(table.format_version())
        .content(listed.content)
        .build();
    Ok((metadata, of))
}

/// The schema that the header names, else the current one; with the columns that were dropped since, so that what is known
/// of them can be read.
fn schema_of(header: &HashMap<String, Vec<u8>>, table: &TableMetadata) -> SchemaRef {
    let id = header.get("schema-id").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
    let schema = id.and_then(|id| table.schema_by_id(id)).unwrap_or_else(|| table.current_schema());
    let mut fields = schema.as_struct().fields().to_vec();
    for other in table.schemas_iter().flat_map(|schema| schema.as_struct().fields()) {
        if schema.field_by_id(other.id).is_none() && !fields.iter().any(|field| field.id == other.id) {
            let mut dropped = other.as_ref().clone();
            dropped.name = format!("dropped_{}", other.id);
            dropped.required = false;
            fields.push(Arc::new(dropped));
        }
    }
    let all = Schema::builder().with_schema_id(schema.schema_id()).with_fields(fields).build();
    all.map_or_else(|_| schema.clone(), Arc::new)
}

/// Keys of a header that may be left out.
const DEFAULTED: [&str; 4] = ["schema-id", "partition-spec-id", "format-version", "content"];

/// Their values, as the table and the manifest list have them.
fn defaults(known: &Known) -> [String; 4] {
    [
        known.table.current_schema_id().to_string(),
        known.listed.partition_spec_id.to_string(),
        (known.table.format_version() as u8).to_string(),
        known.listed.content.to_string(),
    ]
}

fn reason(error: &iceberg::Error) -> Broken {
    let why = match std::error::Error::source(error) {
        Some(source) => format!("{}: {source}", error.message()),
        None => error.message().to_owned(),
    };
    Broken::new(why)
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
