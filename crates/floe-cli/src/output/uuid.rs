//! Which columns hold UUIDs: Arrow has bytes for them, and text formats want their text.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use arrow_schema::{Field, Fields, Schema, SchemaRef};
use iceberg::spec::{NestedField, PrimitiveType, Schema as TableSchema, Type};

use crate::schema_from::{EXTENSION, UUID};

/// The key under which a field of an Arrow schema carries its Iceberg field id.
const FIELD_ID: &str = "PARQUET:field_id";

/// The field ids of columns that hold UUIDs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uuids(HashSet<i32>);

impl Uuids {
    /// Those of any of a table's schemas: a column keeps its id, and its being a UUID.
    pub(crate) fn of<'a>(schemas: impl Iterator<Item = &'a TableSchema>) -> Self {
        let mut uuids = Self::default();
        for schema in schemas {
            for field in schema.as_struct().fields() {
                uuids.add(field);
            }
        }
        uuids
    }

    fn add(&mut self, field: &NestedField) {
        match &*field.field_type {
            Type::Primitive(PrimitiveType::Uuid) => {
                self.0.insert(field.id);
            }
            Type::Primitive(_) => {}
            Type::Struct(ty) => {
                for field in ty.fields() {
                    self.add(field);
                }
            }
            Type::List(ty) => self.add(&ty.element_field),
            Type::Map(ty) => {
                self.add(&ty.key_field);
                self.add(&ty.value_field);
            }
        }
    }

    /// Whether a column is one of them.
    pub(super) fn have(&self, field: &Field) -> bool {
        let id = field.metadata().get(FIELD_ID).and_then(|id| id.parse().ok());
        id.is_some_and(|id| self.has(id))
    }

    /// Whether a column of this field id is one of them.
    pub(super) fn has(&self, id: i32) -> bool {
        self.0.contains(&id)
    }

    /// The schema, its columns marked as Arrow marks UUIDs.
    pub(super) fn marked(&self, schema: &SchemaRef) -> SchemaRef {
        let fields = schema.fields().iter().map(|field| {
            if !self.have(field) {
                return field.clone();
            }
            let mut metadata = field.metadata().clone();
            metadata.insert(EXTENSION.to_owned(), UUID.to_owned());
            Arc::new(Field::clone(field).with_metadata(metadata))
        });
        Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()))
    }
}

/// Writes a UUID: `f79c3e09-677c-4bbd-a479-3f349cb785e7`.
pub(super) fn write(bytes: &[u8], out: &mut String) {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        // A string takes everything.
        let _ = write!(out, "{byte:02x}");
    }
}
