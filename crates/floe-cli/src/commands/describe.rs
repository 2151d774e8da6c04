//! `floe describe`.

use std::fmt::Write;

use floe::text::escape;
use floe::{LoadedTable, Result};
use iceberg::spec::{PartitionSpec, Schema, Transform};
use serde_json::{Value, json};

use crate::args::TableArgs;
use crate::exit::internal;
use crate::output::plain_table;
use crate::partition::PartitionTerm;
use crate::render;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Shows what a table is.
pub(super) async fn run(command: &str, args: TableArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let table = manager.load_table(&args.table.ident()).await?;
    let metadata = &table.metadata;
    let schema = metadata.current_schema();
    let summary = |key: &str| -> Option<u64> {
        let summary = metadata.current_snapshot()?.summary();
        summary.additional_properties.get(key)?.parse().ok()
    };
    let empty = metadata.current_snapshot().is_none().then_some(0);
    let rows = empty.or_else(|| summary("total-records"));
    let files = empty.or_else(|| summary("total-data-files"));
    let bytes = empty.or_else(|| summary("total-files-size"));

    let mut text = format!("{}\n", args.table);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12} {}", escape(&value));
    };
    line("location", metadata.location().to_owned());
    line("format", format!("Iceberg v{}", metadata.format_version() as u8));
    let partition = partition_text(&table);
    line("partitioned", if partition.is_empty() { "no".to_owned() } else { format!("by {partition}") });
    if let Some(snapshot) = metadata.current_snapshot() {
        let made = chrono::DateTime::from_timestamp_millis(snapshot.timestamp_ms()).unwrap_or_default();
        line("snapshot", format!("{} of {}", snapshot.snapshot_id(), render::time(made)));
    } else {
        line("snapshot", "none yet: the table is empty".to_owned());
    }
    let known = |n: Option<u64>, show: fn(u64) -> String| n.map_or_else(|| "unknown".to_owned(), show);
    line("rows", known(rows, render::count));
    line("files", format!("{}, {}", known(files, render::count), known(bytes, render::bytes)));
    line("snapshots", metadata.snapshots().count().to_string());

    let mut columns = plain_table(&["ID", "COLUMN", "TYPE", "NULL", "DOC"], ui.layout());
    for field in schema.as_struct().fields() {
        columns.add_row([
            field.id.to_string().as_str(),
            &field.name,
            &field.field_type.to_string(),
            if field.required { "no" } else { "yes" },
            field.doc.as_deref().unwrap_or(""),
        ]);
    }
    let _ = write!(text, "\n{}\n", columns.trim_fmt());
    let mut properties: Vec<_> = metadata.properties().iter().collect();
    properties.sort();
    if !properties.is_empty() {
        let mut table = plain_table(&["PROPERTY", "VALUE"], ui.layout());
        for (key, value) in &properties {
            table.add_row([key, value]);
        }
        let _ = write!(text, "\n{}\n", table.trim_fmt());
    }
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .id("snapshot_id", metadata.current_snapshot_id())
        .with("rows", rows)
        .with("files", files)
        .with("bytes", bytes)
        .with("snapshots", metadata.snapshots().count())
        .with("location", metadata.location())
        .with("metadata_location", table.metadata_location.as_str())
        .with("table_uuid", metadata.uuid().to_string())
        .with("format_version", metadata.format_version() as u8)
        .with("last_updated_ms", metadata.last_updated_ms())
        .with("schema", schema_json(schema)?)
        .with("partition", partition_json(&table))
        .with("properties", json!(metadata.properties()))
        .lines(text);
    ui.print(&report)
}

/// The schema as Iceberg metadata has it.
pub(super) fn schema_json(schema: &Schema) -> Result<Value> {
    serde_json::to_value(schema).map_err(|e| internal(e.to_string()))
}

/// The partition terms, as `create --partition` takes them.
pub(super) fn partition_text(table: &LoadedTable) -> String {
    let spec: &PartitionSpec = table.metadata.default_partition_spec();
    terms(spec, table.metadata.current_schema())
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The default partition spec: name, transform and source column of each field.
pub(super) fn partition_json(table: &LoadedTable) -> Value {
    let schema = table.metadata.current_schema();
    let fields = table.metadata.default_partition_spec().fields().iter().map(|field| {
        json!({
            "name": field.name,
            "transform": field.transform.to_string(),
            "column": schema.name_by_field_id(field.source_id),
            "source_id": field.source_id,
            "field_id": field.field_id,
        })
    });
    Value::Array(fields.collect())
}

fn terms(spec: &PartitionSpec, schema: &Schema) -> Vec<PartitionTerm> {
    let live = spec.fields().iter().filter(|f| f.transform != Transform::Void);
    live.map(|field| PartitionTerm {
        column: schema.name_by_field_id(field.source_id).unwrap_or(&field.name).to_owned(),
        transform: field.transform,
    })
    .collect()
}
