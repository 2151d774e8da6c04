//! The plan: where each table column comes from, decided from the schemas alone.

use arrow_schema::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use floe_core::{Error, ErrorKind, Result};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{Literal, NestedField, Schema, Type};

use super::cast::{casts_if_exact, casts_safely};

/// How the columns of a table come from data of one Arrow schema; see [`match_schema`].
#[derive(Debug, Clone)]
pub struct ColumnMapping {
    /// The Arrow schema that [`super::apply`] produces: the table's, with field ids.
    pub target: SchemaRef,
    /// For each table column, in the table's order.
    pub fields: Vec<FieldMapping>,
    /// How many columns the data has.
    pub source_columns: usize,
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
    /// A cast to a coarser unit, refused for batches in which a value has a finer part.
    ExactCast,
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
/// write default, else with NULL. Types may differ where every value is kept: smaller integers, `float` for
/// `double`, more decimal digits, coarser timestamps, the layouts of text and bytes, dictionaries, and the
/// Arrow NULL type for optional columns. Nanoseconds are taken for microseconds if every batch fits exactly.
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
    let target = schema_to_arrow_schema(table)?;
    let mut faults = Vec::new();
    let fields = match_fields(data.fields(), table.as_struct().fields(), target.fields(), "", &mut faults);
    if faults.is_empty() {
        return Ok(ColumnMapping { target: target.into(), fields, source_columns: data.fields().len() });
    }
    let message = format!("the data does not fit the table: {}", faults.join("; "));
    Err(Error::new(ErrorKind::SchemaMismatch, message)
        .with_hint("change the data, or evolve the table's schema first"))
}

fn match_fields(
    data: &[FieldRef],
    table: &[std::sync::Arc<NestedField>],
    target: &[FieldRef],
    prefix: &str,
    faults: &mut Vec<String>,
) -> Vec<FieldMapping> {
    for (i, field) in data.iter().enumerate() {
        let name = field.name();
        if !table.iter().any(|f| f.name == *name) {
            let near = table.iter().find(|f| f.name.eq_ignore_ascii_case(name));
            let hint = near.map(|f| format!(" (it has {prefix}{})", f.name)).unwrap_or_default();
            faults.push(format!("{prefix}{name}: the table has no such column{hint}"));
        }
        if data[..i].iter().any(|f| f.name() == name) {
            faults.push(format!("{prefix}{name}: the data has several columns of this name"));
        }
    }
    let mut out = Vec::with_capacity(table.len());
    for (field, target) in table.iter().zip(target) {
        let name = format!("{prefix}{}", field.name);
        let found = data.iter().enumerate().find(|(_, f)| *f.name() == field.name);
        let source = match (found, &field.write_default) {
            (Some((index, from)), _) => convert(from, field, target, &name, faults)
                .map(|conversion| Source::Column { index, conversion }),
            (None, Some(default)) => Some(Source::Default(default.clone())),
            (None, None) if field.required => {
                faults.push(format!("{name}: the data lacks this required column"));
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
    from: &Field,
    field: &NestedField,
    target: &Field,
    name: &str,
    faults: &mut Vec<String>,
) -> Option<Conversion> {
    let before = faults.len();
    let conversion = match (from.data_type(), field.field_type.as_ref(), target.data_type()) {
        (DataType::Null, _, _) if !field.required => Some(Conversion::Cast),
        (from, _, to) if from == to => Some(Conversion::Keep),
        (from, Type::Primitive(_), to) if casts_safely(from, to) => Some(Conversion::Cast),
        (from, Type::Primitive(_), to) if casts_if_exact(from, to) => Some(Conversion::ExactCast),
        (DataType::Struct(from), Type::Struct(ty), DataType::Struct(to)) => {
            let fields = match_fields(from, ty.fields(), to, &format!("{name}."), faults);
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
        ) => convert(from, &ty.element_field, to, &format!("{name}.element"), faults)
            .map(|element| Conversion::List(Box::new(element))),
        (DataType::Map(from, _), Type::Map(ty), DataType::Map(to, _)) => {
            match (from.data_type(), to.data_type()) {
                (DataType::Struct(from), DataType::Struct(to)) if from.len() == 2 && to.len() == 2 => {
                    let key = convert(&from[0], &ty.key_field, &to[0], &format!("{name}.key"), faults);
                    let value = convert(&from[1], &ty.value_field, &to[1], &format!("{name}.value"), faults);
                    key.zip(value).map(|(key, value)| Conversion::Map(Box::new(key), Box::new(value)))
                }
                _ => None,
            }
        }
        _ => None,
    };
    if conversion.is_none() && faults.len() == before {
        faults.push(format!("{name}: {} does not fit {}", from.data_type(), describe(&field.field_type)));
    }
    conversion
}

fn describe(ty: &Type) -> String {
    match ty {
        Type::Primitive(ty) => ty.to_string(),
        Type::Struct(_) => "a struct".to_owned(),
        Type::List(_) => "a list".to_owned(),
        Type::Map(_) => "a map".to_owned(),
    }
}
