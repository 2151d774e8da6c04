//! How an Iceberg table looks in Glue: as Iceberg's GlueCatalog for Java writes it.
//!
//! The pointer to the metadata file is the truth; columns and descriptions are for people and for tools that list
//! columns, and are cut to what Glue takes.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_sdk_glue::types::{Column, StorageDescriptor, Table, TableInput};
use floe_core::metadata_file::Written;
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{NestedField, PrimitiveType, TableMetadata, Type};

/// The parameter that says what kind of table it is.
const TABLE_TYPE: &str = "table_type";
/// The value of [`TABLE_TYPE`]; read in any case, written in upper case.
const ICEBERG: &str = "ICEBERG";
/// The parameter with the pointer.
const METADATA_LOCATION: &str = "metadata_location";
/// The parameter with the pointer before the last swap.
const PREVIOUS_METADATA_LOCATION: &str = "previous_metadata_location";
/// The kind of table in the eyes of Hive.
const EXTERNAL_TABLE: &str = "EXTERNAL_TABLE";
/// The table property that is shown as the table's description.
const COMMENT: &str = "comment";
/// Table properties that name places of files outside of the table's location.
const PLACES: [&str; 4] =
    ["write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"];
/// How many characters Glue takes in a description of a table, and in a comment on a column.
const LONGEST: (usize, usize) = (2048, 255);
/// How many characters Glue takes in the type of a column.
const LONGEST_TYPE: usize = 131_072;

/// Whether a table of Glue is an Iceberg table.
pub(crate) fn is_iceberg(table: &Table) -> bool {
    parameter(table, TABLE_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(ICEBERG))
}

/// Where the metadata of a table is, if it says so.
pub(crate) fn metadata_location(table: &Table) -> Option<&str> {
    parameter(table, METADATA_LOCATION)
}

/// The kind of a table that is not an Iceberg one, for people.
pub(crate) fn kind(table: &Table) -> &str {
    parameter(table, TABLE_TYPE)
        .or(table.table_type())
        .or_else(|| parameter(table, "classification"))
        .unwrap_or("of no kind that it names")
}

/// What Glue keeps for a table whose metadata was written; `before` is what it keeps now.
pub(crate) fn table_input(name: &str, written: &Written, before: Option<&Table>) -> Result<TableInput> {
    let metadata = &written.metadata;
    let mut parameters = before.and_then(|table| table.parameters.clone()).unwrap_or_default();
    if let Some(previous) = before.and_then(metadata_location) {
        parameters.insert(PREVIOUS_METADATA_LOCATION.to_owned(), previous.to_owned());
    }
    parameters.insert(TABLE_TYPE.to_owned(), ICEBERG.to_owned());
    parameters.insert(METADATA_LOCATION.to_owned(), written.location.clone());
    let comment = metadata.properties().get(COMMENT).map(|text| cut(text, LONGEST.0, true));
    let description = comment.or_else(|| before.and_then(|table| table.description.clone()));
    let storage = before.and_then(|table| table.storage_descriptor.as_ref());
    copied(name, before)
        .set_description(description)
        .table_type(EXTERNAL_TABLE)
        .set_parameters(Some(parameters))
        .storage_descriptor(storage_descriptor(metadata, storage)?)
        .build()
        .map_err(incomplete)
}

/// The same table under another name.
pub(crate) fn renamed(name: &str, table: &Table) -> Result<TableInput> {
    copied(name, Some(table))
        .set_description(table.description.clone())
        .set_table_type(table.table_type.clone())
        .set_parameters(table.parameters.clone())
        .set_storage_descriptor(table.storage_descriptor.clone())
        .build()
        .map_err(incomplete)
}

/// What no commit changes. UpdateTable replaces the whole table, so that what is not given is lost.
fn copied(name: &str, before: Option<&Table>) -> aws_sdk_glue::types::builders::TableInputBuilder {
    let input = TableInput::builder().name(name);
    let Some(table) = before else { return input };
    input
        .set_owner(table.owner.clone())
        .set_last_access_time(table.last_access_time)
        .set_last_analyzed_time(table.last_analyzed_time)
        .retention(table.retention)
        .set_partition_keys(table.partition_keys.clone())
}

fn storage_descriptor(
    metadata: &TableMetadata,
    before: Option<&StorageDescriptor>,
) -> Result<StorageDescriptor> {
    let places: Vec<String> = PLACES
        .iter()
        .filter_map(|key| metadata.properties().get(*key))
        .cloned()
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let mut storage = before.cloned().unwrap_or_else(|| StorageDescriptor::builder().build());
    storage.columns =
        Some(columns(metadata, before.and_then(|storage| storage.columns.as_deref()).unwrap_or_default())?);
    storage.location = Some(metadata.location().to_owned());
    storage.additional_locations = (!places.is_empty()).then_some(places);
    Ok(storage)
}

/// The columns of the current schema, and after them those of other schemas whose names are not taken.
fn columns(metadata: &TableMetadata, before: &[Column]) -> Result<Vec<Column>> {
    let comments: HashMap<&str, &str> =
        before.iter().filter_map(|column| Some((column.name(), column.comment()?))).collect();
    let current = metadata.current_schema();
    // By id: the order in which the metadata gives them is that of a hash map.
    let others: BTreeMap<_, _> = metadata.schemas_iter().map(|schema| (schema.schema_id(), schema)).collect();
    let others = others.values().filter(|schema| schema.schema_id() != current.schema_id());
    let fields = current.as_struct().fields().iter().map(|field| (field, true));
    let fields = fields
        .chain(others.flat_map(|schema| schema.as_struct().fields().iter().map(|field| (field, false))));
    let mut taken = HashSet::new();
    fields
        .filter(|(field, _)| taken.insert(field.name.as_str()))
        .map(|(field, is_current)| column(field, is_current, comments.get(field.name.as_str()).copied()))
        .collect()
}

fn column(field: &NestedField, current: bool, before: Option<&str>) -> Result<Column> {
    let doc = field.doc.as_deref().filter(|doc| !doc.is_empty());
    Column::builder()
        .name(&field.name)
        .r#type(cut(&type_string(&field.field_type), LONGEST_TYPE, false))
        .set_comment(doc.map(|doc| cut(doc, LONGEST.1, false)).or_else(|| before.map(str::to_owned)))
        .parameters("iceberg.field.id", field.id.to_string())
        .parameters("iceberg.field.optional", (!field.required).to_string())
        .parameters("iceberg.field.current", current.to_string())
        .build()
        .map_err(incomplete)
}

/// The type as Hive would name it. For people: nothing reads data by it.
fn type_string(of: &Type) -> String {
    match of {
        Type::Primitive(primitive) => match primitive {
            PrimitiveType::Boolean => "boolean".to_owned(),
            PrimitiveType::Int => "int".to_owned(),
            PrimitiveType::Long => "bigint".to_owned(),
            PrimitiveType::Float => "float".to_owned(),
            PrimitiveType::Double => "double".to_owned(),
            PrimitiveType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            PrimitiveType::Date => "date".to_owned(),
            PrimitiveType::Time | PrimitiveType::String | PrimitiveType::Uuid => "string".to_owned(),
            PrimitiveType::Timestamp | PrimitiveType::Timestamptz => "timestamp".to_owned(),
            PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => "timestamp_nano".to_owned(),
            PrimitiveType::Fixed(_) | PrimitiveType::Binary => "binary".to_owned(),
        },
        Type::Struct(of) => {
            let fields = of.fields().iter().map(|f| format!("{}:{}", f.name, type_string(&f.field_type)));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
        Type::List(of) => format!("array<{}>", type_string(&of.element_field.field_type)),
        Type::Map(of) => {
            format!(
                "map<{},{}>",
                type_string(&of.key_field.field_type),
                type_string(&of.value_field.field_type)
            )
        }
    }
}

/// At most `longest` characters of a text, without control characters; line ends stay where `lines` may.
fn cut(text: &str, longest: usize, lines: bool) -> String {
    let plain =
        |c: char| if c.is_control() && !(c == '\t' || lines && matches!(c, '\n' | '\r')) { ' ' } else { c };
    text.chars().take(longest).map(plain).collect()
}

fn parameter<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.parameters()?.get(key).map(String::as_str)
}

pub(crate) fn incomplete(error: aws_sdk_glue::error::BuildError) -> Error {
    Error::new(ErrorKind::Internal, "a request for Glue is not complete").with_source(error)
}

#[cfg(test)]
mod tests;
