//! Schema evolution: which updates of the metadata make a batch of changes (FR-002, FR-017 to FR-021).
//!
//! Columns are told apart by their ids, which stay the same through every change, so that files written before are read
//! right after it (Iceberg spec, "Schema Evolution"). The id of a column that is gone is never given again.

mod attached;
mod change;
mod name_mapping;
mod promote;
mod tree;

use floe_core::schema::check_change;
use floe_core::{Error, ErrorKind, Result};
use iceberg::TableUpdate;
use iceberg::spec::{Schema, TableMetadata};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attached::attached;
pub use change::SchemaChange;

/// A batch of changes of a schema, made one after the other, all or none.
///
/// ```
/// use floe_plan::evolve::SchemaEvolution;
///
/// let evolution: SchemaEvolution = serde_json::from_str(
///     r#"{"changes": [{"rename_column": {"column": "id", "new_name": "order_id"}}]}"#,
/// )?;
/// assert!(!evolution.allow_incompatible_changes);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaEvolution {
    /// The changes, in order; at least one. Each sees the columns as those before it left them.
    #[schemars(length(min = 1))]
    pub changes: Vec<SchemaChange>,
    /// Whether columns may be deleted, which readers that name them do not survive.
    #[serde(default)]
    pub allow_incompatible_changes: bool,
}

/// The updates that make `evolution` on `table`, with those of what hangs on its schema, see [`attached`]. None when the
/// table has that very schema already.
///
/// Fails with `Validation` for a batch of no changes; `SchemaEvolution` when a change does not fit the table: no such
/// column, a name that is taken, a type that no column can have; `IncompatibleSchemaChange`, naming the column and the reason, for one that would make
/// existing data wrong or unreadable.
///
/// ```
/// # use iceberg::TableCreation;
/// # use iceberg::spec::{NestedField, PrimitiveType, Schema, TableMetadataBuilder, Type};
/// use floe_plan::evolve::{SchemaChange, SchemaEvolution, evolve};
/// # let id = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Int)).into();
/// # let schema = Schema::builder().with_fields([id]).build()?;
/// # let creation =
/// #     TableCreation::builder().name("t".into()).location("memory:///t".into()).schema(schema).build();
/// # let table = TableMetadataBuilder::from_table_creation(creation)?.build()?.metadata;
///
/// let widen = SchemaChange::WidenType { column: "id".into(), to: PrimitiveType::Long };
/// let updates = evolve(&table, &SchemaEvolution { changes: vec![widen], ..SchemaEvolution::default() })?;
/// assert_eq!(updates.len(), 2);
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn evolve(table: &TableMetadata, evolution: &SchemaEvolution) -> Result<Vec<TableUpdate>> {
    if evolution.changes.is_empty() {
        return Err(Error::validation("a schema evolution needs at least one change"));
    }
    let mut evolved = Evolved {
        table,
        schema: table.current_schema().as_ref().clone(),
        last_column_id: table.last_column_id(),
        allow_incompatible: evolution.allow_incompatible_changes,
    };
    for change in &evolution.changes {
        evolved.apply(change)?;
    }
    let schema = evolved.schema;
    if same(&schema, table.current_schema()) {
        return Ok(Vec::new());
    }
    check_change(table.current_schema(), &schema, table.format_version())
        .map_err(|e| e.with_kind(ErrorKind::SchemaEvolution))?;
    let follows = attached(table.current_schema(), &schema, table.properties())?;
    // A schema that the table had before is not added again: a server would not count it as the last added.
    let mut updates = match table.schemas_iter().find(|former| same(&schema, former)) {
        Some(former) => vec![TableUpdate::SetCurrentSchema { schema_id: former.schema_id() }],
        None => {
            vec![TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: LAST_ADDED }]
        }
    };
    updates.extend(follows);
    Ok(updates)
}

/// The schema that the update before it added (Iceberg REST specification, `SetCurrentSchemaUpdate`).
const LAST_ADDED: i32 = -1;

/// A schema on its way.
struct Evolved<'t> {
    table: &'t TableMetadata,
    schema: Schema,
    last_column_id: i32,
    allow_incompatible: bool,
}

fn same(one: &Schema, other: &Schema) -> bool {
    let identifiers = |schema: &Schema| {
        let mut ids: Vec<i32> = schema.identifier_field_ids().collect();
        ids.sort_unstable();
        ids
    };
    one.as_struct() == other.as_struct() && identifiers(one) == identifiers(other)
}

/// A change that does not fit the table.
fn unfit(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::SchemaEvolution, why)
}

/// A change that would make existing data wrong or unreadable.
fn incompatible(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::IncompatibleSchemaChange, why)
}

#[cfg(test)]
mod tests;
