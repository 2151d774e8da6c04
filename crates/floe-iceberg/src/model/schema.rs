//! Schemas as configuration, and their conversion from and to Iceberg's own.

use std::collections::HashSet;
use std::sync::Arc;

use floe_core::names::check_seen;
use floe_core::schema::schema_faults;
use floe_core::{Error, Result};
use iceberg::spec::{
    FormatVersion, ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;

/// The columns of a table (FR-012).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableSchema {
    /// The columns, in order; at least one.
    #[schemars(length(min = 1))]
    pub fields: Vec<SchemaField>,
}

/// A column, or a field within a nested column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaField {
    /// Field id, 1 or above, unique in the schema. A new table may number its fields anew.
    #[schemars(range(min = 1))]
    pub field_id: i32,
    /// Name, unique among its siblings.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Type.
    pub field_type: FieldType,
    /// Whether NULL is refused.
    #[serde(default)]
    pub required: bool,
    /// What the field means, at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub doc: Option<String>,
    /// Digits of a decimal, 1 to 38.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 38))]
    pub precision: Option<u32>,
    /// Digits after the point of a decimal; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// Bytes of a fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub length: Option<u64>,
}

/// Types of fields (Iceberg spec, "Schemas and Data Types").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// True or false.
    Boolean,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// 32-bit IEEE 754 floating point.
    Float,
    /// 64-bit IEEE 754 floating point.
    Double,
    /// Fixed-point decimal; needs `precision`.
    Decimal,
    /// Calendar date.
    Date,
    /// Time of day in microseconds.
    Time,
    /// Timestamp in microseconds, without time zone.
    Timestamp,
    /// Timestamp in microseconds, as an instant.
    Timestamptz,
    /// Timestamp in nanoseconds, without time zone (format version 3).
    TimestampNs,
    /// Timestamp in nanoseconds, as an instant (format version 3).
    TimestamptzNs,
    /// UTF-8 text.
    String,
    /// UUID.
    Uuid,
    /// Byte array of fixed `length`.
    Fixed,
    /// Byte array.
    Binary,
    /// Named fields.
    Struct {
        /// The fields, in order.
        fields: Vec<SchemaField>,
    },
    /// Elements of one type.
    List {
        /// The element; its name is always `element`.
        element: Box<SchemaField>,
    },
    /// Values by key.
    Map {
        /// The key; always required, its name is always `key`.
        key: Box<SchemaField>,
        /// The value; its name is always `value`.
        value: Box<SchemaField>,
    },
}

impl TableSchema {
    /// Checks names, ids and type parameters, for the newest format version; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        self.find_faults(FormatVersion::V3, &mut faults);
        faults.into_result("the schema")
    }

    pub(super) fn find_faults(&self, version: FormatVersion, faults: &mut Faults) {
        faults.check(!self.fields.is_empty(), || "a schema needs at least one field".into());
        let mut own = Faults::default();
        fields_faults("", &self.fields, &mut HashSet::new(), &mut own);
        let sound = own.is_empty();
        faults.append(own);
        let mut add = |schema: &Schema| {
            // Ids below 1 are named already.
            let new = schema_faults(schema, version).into_iter().filter(|fault| fault.field_id >= 1);
            new.for_each(|fault| faults.add(fault.to_string()));
        };
        match self.build() {
            Ok(schema) => add(&schema),
            Err(e) if sound => faults.add(e.message()),
            // What is wrong with the columns themselves is told all the same.
            Err(_) => {
                let alone = |field: &SchemaField| Self { fields: vec![field.clone()] }.build().ok();
                self.fields.iter().filter_map(alone).for_each(|schema| add(&schema));
            }
        }
    }

    /// The Iceberg schema. Fails with `Validation` as [`TableSchema::validate`] does.
    pub fn to_iceberg(&self) -> Result<Schema> {
        self.validate()?;
        self.build()
    }

    fn build(&self) -> Result<Schema> {
        let fields = self.fields.iter().map(SchemaField::to_iceberg).collect::<Result<Vec<_>>>()?;
        Ok(Schema::builder().with_fields(fields).build()?)
    }

    /// An Iceberg schema as configuration. Fails with `Unsupported` for a type floe does not know.
    pub fn from_iceberg(schema: &Schema) -> Result<Self> {
        Ok(Self { fields: fields_from(schema.as_struct())? })
    }
}

impl SchemaField {
    /// A field without documentation and type parameters.
    pub fn new(field_id: i32, name: impl Into<String>, field_type: FieldType, required: bool) -> Self {
        Self {
            field_id,
            name: name.into(),
            field_type,
            required,
            doc: None,
            precision: None,
            scale: None,
            length: None,
        }
    }

    fn to_iceberg(&self) -> Result<NestedFieldRef> {
        let field_type = match &self.field_type {
            FieldType::Boolean => Type::Primitive(PrimitiveType::Boolean),
            FieldType::Int => Type::Primitive(PrimitiveType::Int),
            FieldType::Long => Type::Primitive(PrimitiveType::Long),
            FieldType::Float => Type::Primitive(PrimitiveType::Float),
            FieldType::Double => Type::Primitive(PrimitiveType::Double),
            FieldType::Decimal => Type::Primitive(PrimitiveType::Decimal {
                precision: self.precision.unwrap_or(0),
                scale: self.scale.unwrap_or(0),
            }),
            FieldType::Date => Type::Primitive(PrimitiveType::Date),
            FieldType::Time => Type::Primitive(PrimitiveType::Time),
            FieldType::Timestamp => Type::Primitive(PrimitiveType::Timestamp),
            FieldType::Timestamptz => Type::Primitive(PrimitiveType::Timestamptz),
            FieldType::TimestampNs => Type::Primitive(PrimitiveType::TimestampNs),
            FieldType::TimestamptzNs => Type::Primitive(PrimitiveType::TimestamptzNs),
            FieldType::String => Type::Primitive(PrimitiveType::String),
            FieldType::Uuid => Type::Primitive(PrimitiveType::Uuid),
            FieldType::Fixed => Type::Primitive(PrimitiveType::Fixed(self.length.unwrap_or(0))),
            FieldType::Binary => Type::Primitive(PrimitiveType::Binary),
            FieldType::Struct { fields } => Type::Struct(StructType::new(
                fields.iter().map(Self::to_iceberg).collect::<Result<Vec<_>>>()?,
            )),
            FieldType::List { element } => {
                let inner = element.to_iceberg()?;
                let element =
                    NestedField::list_element(inner.id, (*inner.field_type).clone(), inner.required);
                Type::List(ListType::new(Arc::new(element)))
            }
            FieldType::Map { key, value } => {
                let (key, value) = (key.to_iceberg()?, value.to_iceberg()?);
                let key = NestedField::map_key_element(key.id, (*key.field_type).clone());
                let value =
                    NestedField::map_value_element(value.id, (*value.field_type).clone(), value.required);
                Type::Map(MapType::new(Arc::new(key), Arc::new(value)))
            }
        };
        let field = NestedField::new(self.field_id, &self.name, field_type, self.required);
        Ok(Arc::new(match &self.doc {
            Some(doc) => field.with_doc(doc),
            None => field,
        }))
    }

    fn from_iceberg(field: &NestedField) -> Result<Self> {
        let mut out = Self::new(field.id, field.name.clone(), FieldType::Boolean, field.required);
        out.doc.clone_from(&field.doc);
        out.field_type = match field.field_type.as_ref() {
            Type::Primitive(primitive) => match primitive {
                PrimitiveType::Boolean => FieldType::Boolean,
                PrimitiveType::Int => FieldType::Int,
                PrimitiveType::Long => FieldType::Long,
                PrimitiveType::Float => FieldType::Float,
                PrimitiveType::Double => FieldType::Double,
                PrimitiveType::Decimal { precision, scale } => {
                    (out.precision, out.scale) = (Some(*precision), Some(*scale));
                    FieldType::Decimal
                }
                PrimitiveType::Date => FieldType::Date,
                PrimitiveType::Time => FieldType::Time,
                PrimitiveType::Timestamp => FieldType::Timestamp,
                PrimitiveType::Timestamptz => FieldType::Timestamptz,
                PrimitiveType::TimestampNs => FieldType::TimestampNs,
                PrimitiveType::TimestamptzNs => FieldType::TimestamptzNs,
                PrimitiveType::String => FieldType::String,
                PrimitiveType::Uuid => FieldType::Uuid,
                PrimitiveType::Fixed(length) => {
                    out.length = Some(*length);
                    FieldType::Fixed
                }
                PrimitiveType::Binary => FieldType::Binary,
                #[allow(unreachable_patterns)]
                other => {
                    return Err(Error::new(
                        floe_core::ErrorKind::Unsupported,
                        format!("column '{}' has the type {other}, which floe does not know", field.name),
                    ));
                }
            },
            Type::Struct(fields) => FieldType::Struct { fields: fields_from(fields)? },
            Type::List(list) => {
                FieldType::List { element: Box::new(Self::from_iceberg(&list.element_field)?) }
            }
            Type::Map(map) => FieldType::Map {
                key: Box::new(Self::from_iceberg(&map.key_field)?),
                value: Box::new(Self::from_iceberg(&map.value_field)?),
            },
            #[allow(unreachable_patterns)]
            other => {
                return Err(Error::new(
                    floe_core::ErrorKind::Unsupported,
                    format!("column '{}' has the type {other}, which floe does not know", field.name),
                ));
            }
        };
        Ok(out)
    }
}

fn fields_from(fields: &StructType) -> Result<Vec<SchemaField>> {
    fields.fields().iter().map(|f| SchemaField::from_iceberg(f)).collect()
}

fn fields_faults(path: &str, fields: &[SchemaField], ids: &mut HashSet<i32>, faults: &mut Faults) {
    let mut names = HashSet::new();
    for field in fields {
        faults.check(names.insert(field.name.as_str()), || {
            format!("two fields are called '{path}{}'", field.name)
        });
        field_faults(path, field, ids, faults);
    }
}

fn field_faults(path: &str, field: &SchemaField, ids: &mut HashSet<i32>, faults: &mut Faults) {
    let name = format!("{path}{}", field.name);
    let chars = field.name.chars().count();
    faults.check((1..=255).contains(&chars), || {
        format!("the name of column {} must have 1 to 255 characters", field.field_id)
    });
    if let Err(e) = check_seen(&format!("column {}", field.field_id), &field.name) {
        faults.add(e.message());
    }
    faults.check(field.field_id >= 1, || format!("'{name}': field_id must be 1 or above"));
    faults
        .check(ids.insert(field.field_id), || format!("'{name}': field_id {} is used twice", field.field_id));
    faults.check(field.doc.as_ref().is_none_or(|d| d.chars().count() <= 1000), || {
        format!("'{name}': doc has more than 1000 characters")
    });
    match (&field.field_type, field.precision) {
        (FieldType::Decimal, None) => faults.add(format!("'{name}': decimal needs a precision")),
        (FieldType::Decimal, Some(_)) => {}
        (_, precision) => faults.check(precision.is_none() && field.scale.is_none(), || {
            format!("'{name}': precision and scale are for decimal only")
        }),
    }
    let is_fixed = field.field_type == FieldType::Fixed;
    faults.check(is_fixed == field.length.is_some(), || {
        if is_fixed {
            format!("'{name}': fixed needs a length")
        } else {
            format!("'{name}': length is for fixed only")
        }
    });
    match &field.field_type {
        FieldType::Struct { fields } => fields_faults(&format!("{name}."), fields, ids, faults),
        FieldType::List { element } => field_faults(&format!("{name}."), element, ids, faults),
        FieldType::Map { key, value } => {
            field_faults(&format!("{name}."), key, ids, faults);
            field_faults(&format!("{name}."), value, ids, faults);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(id: i32, name: &str, precision: Option<u32>, scale: Option<u32>) -> SchemaField {
        SchemaField { precision, scale, ..SchemaField::new(id, name, FieldType::Decimal, false) }
    }

    #[test]
    fn nested_schemas_survive_the_way_to_iceberg_and_back() {
        let element = SchemaField::new(4, "element", FieldType::Long, true);
        let key = SchemaField::new(6, "key", FieldType::String, true);
        let value = decimal(7, "value", Some(9), Some(2));
        let schema = TableSchema {
            fields: vec![
                SchemaField {
                    doc: Some("the key".into()),
                    ..SchemaField::new(1, "id", FieldType::Long, true)
                },
                SchemaField { length: Some(16), ..SchemaField::new(2, "hash", FieldType::Fixed, false) },
                SchemaField::new(3, "list", FieldType::List { element: Box::new(element) }, false),
                SchemaField::new(
                    5,
                    "map",
                    FieldType::Map { key: Box::new(key), value: Box::new(value) },
                    false,
                ),
                SchemaField::new(
                    8,
                    "inner",
                    FieldType::Struct { fields: vec![SchemaField::new(9, "x", FieldType::Uuid, false)] },
                    false,
                ),
            ],
        };
        assert_eq!(TableSchema::from_iceberg(&schema.to_iceberg().unwrap()).unwrap(), schema);
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<TableSchema>(&json).unwrap(), schema);
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let schema = TableSchema {
            fields: vec![
                decimal(1, "a", None, None),
                decimal(1, "b", Some(39), None),
                decimal(9, "e", Some(5), Some(6)),
                SchemaField::new(0, "b", FieldType::Fixed, false),
                SchemaField { scale: Some(1), ..SchemaField::new(3, "c", FieldType::Int, false) },
            ],
        };
        let message = schema.validate().unwrap_err().to_string();
        for fault in
            ["needs a precision", "1 to 38", "used twice", "1 or above", "called 'b'", "length", "'c'"]
        {
            assert!(message.contains(fault), "{fault}: {message}");
        }
    }

    #[test]
    fn an_empty_schema_is_refused() {
        assert!(TableSchema { fields: vec![] }.validate().is_err());
    }
}
