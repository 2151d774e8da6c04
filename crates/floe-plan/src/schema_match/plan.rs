//! The plan: where each table column comes from, decided from the schemas alone.

use arrow_schema::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use floe_core::{Error, ErrorKind, Result};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{Literal, NestedField, PrimitiveType, Schema, Type};

use crate::convert::{ConvertOptions, Fit, casts_if_exact, fit};

/// How the columns of a table come from data of one Arrow schema; see [`match_schema`].
#[derive(Debug, Clone)]
pub struct ColumnMapping {
    /// The Arrow schema that [`super::apply`] produces: the table's, with field ids.
    pub target: SchemaRef,
    /// For each table column, in the table's order.
    pub fields: Vec<FieldMapping>,
    /// How many columns the data has.
    pub source_columns: usize,
    /// How values are converted.
    pub options: ConvertOptions,
}

impl ColumnMapping {
    /// Whether the types alone tell that every value fits, but for what is finer than the table's type.
    pub fn is_by_type(&self) -> bool {
        fn all(fields: &[FieldMapping]) -> bool {
            fields.iter().all(|field| match &field.source {
                Source::Column { conversion, .. } => one(conversion),
                Source::Null | Source::Default(_) => true,
            })
        }
        fn one(conversion: &Conversion) -> bool {
            match conversion {
                Conversion::Keep | Conversion::Cast | Conversion::ExactCast => true,
                Conversion::Checked | Conversion::UuidText => false,
                Conversion::Struct(fields) => all(fields),
                Conversion::List(element) => one(element),
                Conversion::Map(key, value) => one(key) && one(value),
            }
        }
        all(&self.fields)
    }
}

/// How one field of the table comes from the data.
#[derive(Debug, Clone)]
pub struct FieldMapping {
    /// The full name, for messages.
    pub name: String,
    /// The Iceberg field id.
    pub field_id: i32,
    /// The Arrow field it has to become.
    pub target: FieldRef,
    /// Where it comes from.
    pub source: Source,
}

/// Where a field of the table comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A column of the data, or a field of its struct, by position.
    Column {
        /// The position.
        index: usize,
        /// What has to be done to it.
        conversion: Conversion,
    },
    /// The data lacks it: NULL.
    Null,
    /// The data lacks it: the table's write default.
    Default(Literal),
}

/// What has to be done to an array.
#[derive(Debug, Clone)]
pub enum Conversion {
    /// Nothing: it has the target type.
    Keep,
    /// A cast that keeps every value.
    Cast,
    /// A cast to another unit of time, refused for batches in which a value has a finer part or is out of range.
    ExactCast,
    /// A conversion to another kind of number, or another type, refused for batches in which a value does not fit.
    Checked,
    /// The text of a UUID.
    UuidText,
    /// Each field of a struct by itself.
    Struct(Vec<FieldMapping>),
    /// The elements of a list.
    List(Box<Conversion>),
    /// Keys and values of a map.
    Map(Box<Conversion>, Box<Conversion>),
}

/// Decides how data of the Arrow schema `data` becomes rows of `table`.
///
/// Columns are found by name, whatever their order. An optional column that the data lacks is filled with its
/// write default, else with NULL. Types may differ where values can fit; [`crate::convert`] has the table: then each batch
/// is looked at, and refused when a value does not fit exactly. The Arrow NULL type goes to every optional column.
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`] with all faults at once: columns that the table does not have, columns it
/// requires and the data lacks, types that do not fit.
///
/// ```
/// use arrow_schema::{DataType, Field, Schema as ArrowSchema};
/// use floe_plan::schema_match::match_schema;
/// use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
///
/// let id = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into();
/// let table = Schema::builder().with_fields([id]).build()?;
/// let data = ArrowSchema::new(vec![Field::new("id", DataType::Int32, false)]);
/// assert!(match_schema(&data, &table).is_ok());
/// let data = ArrowSchema::new(vec![Field::new("id", DataType::Utf8, false)]);
/// assert!(match_schema(&data, &table).unwrap_err().message().contains("id: Utf8 does not fit long"));
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn match_schema(data: &ArrowSchema, table: &Schema) -> Result<ColumnMapping> {
    match_schema_with(data, table, &ConvertOptions::default())
}

/// As [`match_schema`], with options for the conversion of values.
///
/// # Errors
/// As [`match_schema`].
pub fn match_schema_with(
    data: &ArrowSchema,
    table: &Schema,
    options: &ConvertOptions,
) -> Result<ColumnMapping> {
    matched(data, table, options, true)
}

/// As [`match_schema`], for data that need not have all columns: a required one that it lacks, and that has no write
/// default, is NULL, and optional in the target schema. Whoever makes whole rows of these has to fill it.
///
/// # Errors
/// As [`match_schema`], but for columns that the data lacks.
pub fn match_given(data: &ArrowSchema, table: &Schema) -> Result<ColumnMapping> {
    matched(data, table, &ConvertOptions::default(), false)
}

fn matched(
    data: &ArrowSchema,
    table: &Schema,
    options: &ConvertOptions,
    whole: bool,
) -> Result<ColumnMapping> {
    let mut target = schema_to_arrow_schema(table)?;
    if !whole {
        let lacks = |field: &FieldRef| data.field_with_name(field.name()).is_err();
        let fields = target.fields().iter().zip(table.as_struct().fields()).map(|(field, column)| {
            let optional = lacks(field) && column.write_default.is_none();
            if optional {
                std::sync::Arc::new(Field::clone(field).with_nullable(true))
            } else {
                field.clone()
            }
        });
        target = ArrowSchema::new(fields.collect::<Vec<_>>());
    }
    let mut matching = Matching { options, faults: Vec::new() };
    let fields = matching.fields(data.fields(), table.as_struct().fields(), target.fields(), "");
    if matching.faults.is_empty() {
        let source_columns = data.fields().len();
        return Ok(ColumnMapping { target: target.into(), fields, source_columns, options: *options });
    }
    let message = format!("the data does not fit the table: {}", matching.faults.join("; "));
    Err(Error::new(ErrorKind::SchemaMismatch, message)
        .with_hint("change the data, or evolve the table's schema first"))
}

struct Matching<'a> {
    options: &'a ConvertOptions,
    faults: Vec<String>,
}

impl Matching<'_> {
    fn fields(
        &mut self,
        data: &[FieldRef],
        table: &[std::sync::Arc<NestedField>],
        target: &[FieldRef],
        prefix: &str,
    ) -> Vec<FieldMapping> {
        for (i, field) in data.iter().enumerate() {
            let name = field.name();
            if !table.iter().any(|f| f.name == *name) {
                let near = table.iter().find(|f| f.name.eq_ignore_ascii_case(name));
                let hint = near.map(|f| format!(" (it has {prefix}{})", f.name)).unwrap_or_default();
                self.faults.push(format!("{prefix}{name}: the table has no such column{hint}"));
            }
            if data[..i].iter().any(|f| f.name() == name) {
                self.faults.push(format!("{prefix}{name}: the data has several columns of this name"));
            }
        }
        let mut out = Vec::with_capacity(table.len());
        for (field, target) in table.iter().zip(target) {
            let name = format!("{prefix}{}", field.name);
            let found = data.iter().enumerate().find(|(_, f)| *f.name() == field.name);
            let source = match (found, &field.write_default) {
                (Some((index, from)), _) => self
                    .convert(from, field, target, &name)
                    .map(|conversion| Source::Column { index, conversion }),
                (None, Some(default)) => Some(Source::Default(default.clone())),
                (None, None) if field.required && !target.is_nullable() => {
                    self.faults.push(format!("{name}: the data lacks this required column"));
                    None
                }
                (None, None) => Some(Source::Null),
            };
            if let Some(source) = source {
                out.push(FieldMapping { name, field_id: field.id, target: target.clone(), source });
            }
        }
        out
    }

    /// How `from` becomes `target`; a fault otherwise.
    fn convert(
        &mut self,
        from: &Field,
        field: &NestedField,
        target: &Field,
        name: &str,
    ) -> Option<Conversion> {
        let before = self.faults.len();
        let conversion = match (from.data_type(), field.field_type.as_ref(), target.data_type()) {
            (DataType::Null, _, _) if !field.required => Some(Conversion::Cast),
            (from, _, to) if from == to => Some(Conversion::Keep),
            (DataType::FixedSizeBinary(16), Type::Primitive(PrimitiveType::String), _) if is_uuid(from) => {
                Some(Conversion::UuidText)
            }
            (from, Type::Primitive(ty), to) => {
                match fit(from, to, *ty == PrimitiveType::Uuid, self.options) {
                    Some(Fit::Same) => Some(Conversion::Keep),
                    Some(Fit::Always) if *from != DataType::Null => Some(Conversion::Cast),
                    Some(Fit::Each) if casts_if_exact(from, to) => Some(Conversion::ExactCast),
                    Some(Fit::Each) => Some(Conversion::Checked),
                    _ => None,
                }
            }
            (DataType::Struct(from), Type::Struct(ty), DataType::Struct(to)) => {
                let fields = self.fields(from, ty.fields(), to, &format!("{name}."));
                Some(Conversion::Struct(fields))
            }
            (
                DataType::List(from)
                | DataType::LargeList(from)
                | DataType::FixedSizeList(from, _)
                | DataType::ListView(from)
                | DataType::LargeListView(from),
                Type::List(ty),
                DataType::List(to),
            ) => self
                .convert(from, &ty.element_field, to, &format!("{name}.element"))
                .map(|element| Conversion::List(Box::new(element))),
            (DataType::Map(from, _), Type::Map(ty), DataType::Map(to, _)) => {
                match (from.data_type(), to.data_type()) {
                    (DataType::Struct(from), DataType::Struct(to)) if from.len() == 2 && to.len() == 2 => {
                        let key = self.convert(&from[0], &ty.key_field, &to[0], &format!("{name}.key"));
                        let value = self.convert(&from[1], &ty.value_field, &to[1], &format!("{name}.value"));
                        key.zip(value).map(|(key, value)| Conversion::Map(Box::new(key), Box::new(value)))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        if conversion.is_none() && self.faults.len() == before {
            self.faults.push(format!(
                "{name}: {} does not fit {}",
                from.data_type(),
                describe(&field.field_type)
            ));
        }
        conversion
    }
}

/// Whether a column of 16 bytes says that it holds UUIDs.
fn is_uuid(field: &Field) -> bool {
    field.metadata().get("ARROW:extension:name").is_some_and(|name| name == "arrow.uuid")
}

fn describe(ty: &Type) -> String {
    match ty {
        Type::Primitive(ty) => ty.to_string(),
        Type::Struct(_) => "a struct".to_owned(),
        Type::List(_) => "a list".to_owned(),
        Type::Map(_) => "a map".to_owned(),
    }
}
