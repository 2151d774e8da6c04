//! `floe create`.

use floe::model::{PartitionField, PartitionSpec, PartitionTransform, SchemaField, TableConfig, TableSchema};
use floe::{Error, ErrorKind, IcebergTableManager, LoadedTable, Result, names};
use iceberg::NamespaceIdent;
use iceberg::spec::Transform;

use super::describe::{partition_json, partition_text, schema_json};
use super::drop::dropping;
use crate::args::CreateArgs;
use crate::exit::internal;
use crate::input::{ReadOptions, discover};
use crate::partition::PartitionTerm;
use crate::schema_file;
use crate::schema_from::table_schema;
use crate::ui::{Report, Ui};
use crate::undo::{Line, Undo};
use crate::values::{NamespaceName, TableName};
use crate::warehouse::Location;

/// Makes an empty table.
pub(super) async fn run(command: &str, args: CreateArgs, location: &Location, ui: &Ui) -> Result<()> {
    // The input is read before the warehouse is touched: bad input leaves nothing behind.
    let in_table = |e: Error| e.with_table(&args.table);
    let schema = match (&args.from, &args.schema) {
        (Some(from), _) => {
            let options = ReadOptions::from(&args.input);
            let sources = discover(std::slice::from_ref(from), &options).map_err(in_table)?;
            let source = sources.first().ok_or_else(|| internal("no input"))?;
            table_schema(source.infer_schema(&options).map_err(in_table)?.as_ref()).map_err(in_table)?
        }
        (None, Some(file)) => schema_file::read(file).map_err(in_table)?,
        (None, None) => return Err(in_table(Error::validation("a table needs --from or --schema"))),
    };
    let mut config = TableConfig::new(args.table.namespace_text(), args.table.name.clone(), schema);
    config.partition_spec = partition_spec(&config.table_schema, &args.partition).map_err(in_table)?;
    config.location = args.location.clone();
    for pair in &args.property {
        if config.properties.insert(pair.key.clone(), pair.value.clone()).is_some() {
            return Err(in_table(Error::validation(format!("the property '{}' is given twice", pair.key))));
        }
    }
    config.validate()?;

    let manager = location.open_to_create().await?;
    let Created { table, created, namespaces } =
        create(&manager, &args.table, &config, args.if_not_exists).await?;
    let metadata = &table.metadata;
    let state = if created { "Created" } else { "There already:" };
    let text = format!(
        "{state} {} with {} columns{}",
        args.table,
        metadata.current_schema().as_struct().fields().len(),
        match partition_text(&table).as_str() {
            "" => String::new(),
            partition => format!(", partitioned by {partition}"),
        }
    );
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("created", created)
        .id("snapshot_id", metadata.current_snapshot_id())
        .with("rows", 0)
        .with("files", 0)
        .with("bytes", 0)
        .with("location", metadata.location())
        .with("metadata_location", table.metadata_location.as_str())
        .with("format_version", metadata.format_version() as u8)
        .with("schema", schema_json(metadata.current_schema())?)
        .with("partition", partition_json(&table))
        .undo(&undo(&args.table, created, &namespaces), location)
        .text(text);
    let quotes = (created && !names::is_plain(&args.table.name)).then(|| {
        format!("the name {} needs quotes in SQL; names of letters, digits and '_' need none", args.table)
    });
    ui.print(&report.maybe_note(quotes))
}

/// A table that was made, or was there.
pub(super) struct Created {
    pub(super) table: LoadedTable,
    /// Whether it is new.
    pub(super) created: bool,
    /// The namespaces that were made for it, the topmost first.
    namespaces: Vec<NamespaceIdent>,
}

fn undo(table: &TableName, created: bool, namespaces: &[NamespaceIdent]) -> Undo {
    let table = if created { dropping(table) } else { Undo::Nothing };
    namespaces.iter().rev().fold(table, |undo, namespace| {
        undo.then(Undo::by(Line::new("namespace drop").name(NamespaceName::from(namespace))))
    })
}

/// Makes the table, and its namespace if it is missing.
pub(super) async fn create(
    manager: &IcebergTableManager,
    name: &TableName,
    config: &TableConfig,
    if_not_exists: bool,
) -> Result<Created> {
    // What the catalog would refuse later is refused before a namespace is made for it.
    if config.location.is_none() && !manager.catalog().capabilities().server_side_metadata {
        names::check_folder(&name.ident())?;
    }
    let made = manager.ensure_namespace(&name.namespace_ident()).await;
    let namespaces = made.map_err(|e| e.with_table(name))?;
    if if_not_exists {
        let (table, created) = manager.create_table_if_missing(config).await?;
        return Ok(Created { table, created, namespaces });
    }
    let made = manager.create_table(config, false).await;
    made.map(|table| Created { table, created: true, namespaces }).map_err(|e| match e.kind() {
        ErrorKind::TableAlreadyExists => e.with_hint("choose another name, or pass --if-not-exists"),
        _ => e,
    })
}

/// The partition spec that the terms ask for.
pub(super) fn partition_spec(schema: &TableSchema, terms: &[PartitionTerm]) -> Result<Option<PartitionSpec>> {
    if terms.is_empty() {
        return Ok(None);
    }
    let fields = terms.iter().enumerate().map(|(i, term)| {
        let column = find_column(&schema.fields, &term.column).ok_or_else(|| {
            let names: Vec<&str> = schema.fields.iter().map(|f| f.name.as_str()).collect();
            Error::validation(format!("partition '{term}': there is no column '{}'", term.column))
                .with_hint(format!("columns: {}", names.join(", ")))
        })?;
        let (transform, num_buckets, width) = match term.transform {
            Transform::Identity => (PartitionTransform::Identity, None, None),
            Transform::Year => (PartitionTransform::Year, None, None),
            Transform::Month => (PartitionTransform::Month, None, None),
            Transform::Day => (PartitionTransform::Day, None, None),
            Transform::Hour => (PartitionTransform::Hour, None, None),
            Transform::Bucket(n) => (PartitionTransform::Bucket, Some(n), None),
            Transform::Truncate(w) => (PartitionTransform::Truncate, None, Some(w)),
            other => return Err(Error::validation(format!("the transform {other} cannot be used"))),
        };
        Ok(PartitionField {
            source_field_id: column.field_id,
            partition_field_id: 1000 + i as i32,
            name: term.field_name(),
            transform,
            num_buckets,
            width,
        })
    });
    Ok(Some(PartitionSpec { fields: fields.collect::<Result<_>>()? }))
}

/// A column by its name, or a field within a struct by its path.
fn find_column<'a>(fields: &'a [SchemaField], path: &str) -> Option<&'a SchemaField> {
    if let Some(field) = fields.iter().find(|f| f.name == path) {
        return Some(field);
    }
    let (first, rest) = path.split_once('.')?;
    match &fields.iter().find(|f| f.name == first)?.field_type {
        floe::model::FieldType::Struct { fields } => find_column(fields, rest),
        _ => None,
    }
}
