//! The files of a table, as a user looks at them.

use std::collections::BTreeMap;
use std::fmt;

use floe_core::Result;
use floe_core::location::masked;
use floe_plan::rows::path::{partition_text, value_text};
use iceberg::spec::{DataContentType, Datum, ManifestFile, PrimitiveLiteral, PrimitiveType, Schema};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Entry, Manifest};

/// A live file of a table.
#[derive(Clone, PartialEq, Serialize, JsonSchema)]
pub struct TableFile {
    /// Where the file is stored.
    pub path: String,
    /// `data`, `position_deletes` or `equality_deletes`.
    pub content: String,
    /// `parquet`, `avro`, `orc` or `puffin`.
    pub format: String,
    /// The partition as `name=value/…`, empty when the file's spec has no fields.
    pub partition: String,
    /// The partition spec of the file.
    pub spec_id: i32,
    /// How many rows the file has.
    pub rows: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The data sequence number of the file.
    pub sequence_number: i64,
    /// The snapshot that added the file.
    #[serde(with = "floe_core::json_id")]
    #[schemars(with = "String")]
    pub snapshot_id: i64,
    /// What is known of the columns, by name. A column without metrics is not listed.
    pub columns: BTreeMap<String, ColumnBounds>,
}

/// Without values of the table's data.
impl fmt::Debug for TableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableFile")
            .field("path", &masked(&self.path))
            .field("content", &self.content)
            .field("format", &self.format)
            .field("spec_id", &self.spec_id)
            .field("rows", &self.rows)
            .field("bytes", &self.bytes)
            .field("sequence_number", &self.sequence_number)
            .field("snapshot_id", &self.snapshot_id)
            .finish_non_exhaustive()
    }
}

/// What a manifest knows of a column of a file. Bounds need not be values of the column: they may be cut short.
#[derive(Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct ColumnBounds {
    /// At most the smallest value.
    pub lower: Option<String>,
    /// At least the largest value.
    pub upper: Option<String>,
    /// How many values are NULL.
    pub nulls: Option<u64>,
    /// How many values are NaN.
    pub nans: Option<u64>,
}

/// Without values of the table's data.
impl fmt::Debug for ColumnBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnBounds").finish_non_exhaustive()
    }
}

/// The live files of a manifest.
pub(super) fn list(manifest: &Manifest, file: &ManifestFile, schema: &Schema) -> Result<Vec<TableFile>> {
    let columns = primitive_columns(schema);
    let mut files = Vec::new();
    for entry in manifest.entries(file) {
        let entry = entry?;
        if entry.is_live() {
            files.push(table_file(manifest, &entry, &columns)?);
        }
    }
    Ok(files)
}

fn table_file(
    manifest: &Manifest,
    entry: &Entry<'_>,
    columns: &[(i32, String, PrimitiveType)],
) -> Result<TableFile> {
    let content = match entry.content() {
        DataContentType::Data => "data",
        DataContentType::PositionDeletes => "position_deletes",
        DataContentType::EqualityDeletes => "equality_deletes",
    };
    let bounds = columns.iter().filter_map(|(id, name, ty)| {
        let text = |datum: Option<Datum>| datum.map(|datum| bound_text(&datum));
        let bounds = ColumnBounds {
            lower: text(entry.lower(*id, ty)),
            upper: text(entry.upper(*id, ty)),
            nulls: entry.null_count(*id),
            nans: entry.nan_count(*id),
        };
        (bounds != ColumnBounds::default()).then(|| (name.clone(), bounds))
    });
    Ok(TableFile {
        path: entry.path()?.to_owned(),
        content: content.to_owned(),
        format: entry.format()?.to_string(),
        partition: partition_of(manifest, entry)?,
        spec_id: manifest.partition_spec().spec_id(),
        rows: entry.record_count(),
        bytes: entry.file_size(),
        sequence_number: entry.sequence_number,
        snapshot_id: entry.snapshot_id,
        columns: bounds.collect(),
    })
}

/// The partition in the form that the names of folders have: `name=value/…`, each value as its transform shows it.
fn partition_of(manifest: &Manifest, entry: &Entry<'_>) -> Result<String> {
    Ok(partition_text(manifest.partition_spec(), manifest.partition_type(), &entry.partition()?))
}

fn bound_text(bound: &Datum) -> String {
    match bound.literal() {
        PrimitiveLiteral::Binary(_) => bound.to_human_string(),
        literal => value_text(bound.data_type(), literal),
    }
}

fn primitive_columns(schema: &Schema) -> Vec<(i32, String, PrimitiveType)> {
    let ids = schema.field_id_to_name_map().iter();
    let columns = ids.filter_map(|(id, name)| {
        let ty = schema.field_by_id(*id)?.field_type.as_primitive_type()?;
        Some((*id, name.clone(), ty.clone()))
    });
    columns.collect()
}
