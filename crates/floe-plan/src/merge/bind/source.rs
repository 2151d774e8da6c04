//! The rows of a source, as expressions see them.

use std::cell::RefCell;
use std::sync::Arc;

use arrow_arith::boolean::and;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_buffer::BooleanBuffer;
use arrow_cast::CastOptions;
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use floe_core::{Error, Result};
use iceberg::spec::{NestedField, Schema};

use super::super::evaluate::{arrow, distinct, is_nan};
use super::super::row_expr::{RowExpr, RowPair};
use super::scope::position;
use super::types::Typed;
use crate::convert::ConvertOptions;
use crate::schema_match::{ColumnMapping, FieldMapping, Source, apply, infer, match_schema};

/// The key under which a field of an Arrow schema carries its Iceberg field id.
const FIELD_ID: &str = "PARQUET:field_id";

/// The columns of a source. Those that expressions name are noted, and given positions in the order of their use.
pub(super) struct Columns {
    names: Vec<String>,
    /// How each comes from the data; what the fault is, if it has no type that Iceberg has.
    fields: Vec<Result<FieldMapping>>,
    used: RefCell<Vec<usize>>,
    /// Whether some name is that of a column of the table. Where none is, the names may be values: a first row that was taken
    /// for the line of names.
    named: bool,
}

impl Columns {
    /// A column of the name of a table's column has its type where that keeps every value, as in an append; others have the
    /// type that a table made of the data would have.
    pub(super) fn new(data: &ArrowSchema, table: &Schema) -> Self {
        let fields = data.fields().iter().enumerate().map(|(index, field)| {
            let one = ArrowSchema::new(vec![field.clone()]);
            let known = table.as_struct().fields().iter().find(|f| f.name == *field.name());
            let of_table = known.and_then(|known| {
                let optional = NestedField { required: false, ..known.as_ref().clone() };
                let alone = Schema::builder().with_fields([Arc::new(optional)]).build().ok()?;
                match_schema(&one, &alone).ok().filter(ColumnMapping::is_by_type)
            });
            let mapping = match of_table {
                Some(mapping) => mapping,
                None => match_schema(&one, &infer(&one)?)?,
            };
            let mapped = mapping.fields.into_iter().next();
            let mut mapped = mapped.ok_or_else(|| Error::validation("a column of the source has no type"))?;
            if let Source::Column { index: from, .. } = &mut mapped.source {
                *from = index;
            }
            Ok(mapped)
        });
        let fields = fields.collect();
        let names: Vec<String> = data.fields().iter().map(|f| f.name().clone()).collect();
        let named = table.as_struct().fields().iter().any(|field| names.contains(&field.name));
        Self { names, fields, used: RefCell::default(), named }
    }

    /// The names, for messages; none where they may be values.
    pub(super) fn names(&self) -> &[String] {
        if self.named { &self.names } else { &[] }
    }

    /// What its columns are, for hints.
    pub(super) fn listed(&self) -> String {
        match self.named {
            true => format!("its columns are {}", self.names.join(", ")),
            false => format!(
                "none of its {} columns has the name of one of the table: does it begin with a line of names?",
                self.names.len()
            ),
        }
    }

    pub(super) fn has(&self, path: &[String]) -> bool {
        path.first()
            .is_some_and(|first| !matches!(position(self.names.iter().map(String::as_str), first), Ok(None)))
    }

    /// The column of this name, as one that is used.
    pub(super) fn find(&self, path: &[String]) -> Result<Option<Typed>> {
        let Some((first, rest)) = path.split_first() else { return Ok(None) };
        let Some(index) = position(self.names.iter().map(String::as_str), first)? else { return Ok(None) };
        let mut ty = match &self.fields[index] {
            Ok(field) => field.target.data_type().clone(),
            Err(error) => return Err(error.clone().context("the source")),
        };
        let at = {
            let mut used = self.used.borrow_mut();
            used.iter().position(|used| *used == index).unwrap_or_else(|| {
                used.push(index);
                used.len() - 1
            })
        };
        let mut expr = RowExpr::Source(at);
        for name in rest {
            let DataType::Struct(fields) = &ty else { return Ok(None) };
            let Some(field) = position(fields.iter().map(|f| f.name().as_str()), name)? else {
                return Ok(None);
            };
            let inner = fields[field].data_type().clone();
            (expr, ty) = (RowExpr::Field(Box::new(expr), field), inner);
        }
        Ok(Some(Typed::new(expr, ty)))
    }

    pub(super) fn unknown(&self, path: &[String]) -> Error {
        Error::validation(format!("the source has no column '{}'", path.join("."))).with_hint(self.listed())
    }

    /// The columns that are used, in the order of their positions.
    fn mapping(self) -> Result<ColumnMapping> {
        let source_columns = self.names.len();
        let mut fields = self.fields;
        let used = self.used.into_inner();
        let fields = used
            .iter()
            .map(|index| {
                std::mem::replace(&mut fields[*index], Err(Error::validation("a column is used twice")))
            })
            .collect::<Result<Vec<_>>>()?;
        let target = fields.iter().map(|field| {
            // NULL is allowed wherever the column is not stored, and its field id is that of another column perhaps.
            let plain = Field::new(field.target.name(), field.target.data_type().clone(), true);
            Arc::new(plain)
        });
        let target = Arc::new(ArrowSchema::new(target.collect::<Vec<_>>()));
        Ok(ColumnMapping { target, fields, source_columns, options: ConvertOptions::default() })
    }
}

/// One side of a key: what the source has for a column of the table.
#[derive(Debug, Clone)]
pub(super) struct SourceKey {
    pub(super) field_id: i32,
    /// The value, of the type of the column, or of one that is wider.
    pub(super) value: RowExpr,
    pub(super) from: DataType,
    pub(super) to: DataType,
    /// Whether NULL matches NULL, and NaN NaN.
    pub(super) null_safe: bool,
}

/// Makes the rows of a source ready to be joined: the columns that are needed, and before them the keys.
#[derive(Debug, Clone)]
pub struct SourceRows {
    mapping: ColumnMapping,
    keys: Vec<SourceKey>,
    /// What a row of the source must be to match anything.
    condition: Option<RowExpr>,
    masked: bool,
    schema: SchemaRef,
    /// The columns of the mapping that come after the keys.
    rest: Vec<usize>,
}

impl SourceRows {
    /// Gives the rows, and where columns of the source are in them.
    pub(super) fn new(
        columns: Columns,
        keys: Vec<SourceKey>,
        condition: Option<RowExpr>,
    ) -> Result<(Self, impl Fn(usize) -> usize)> {
        let mapping = columns.mapping()?;
        let masked = condition.is_some() || keys.iter().any(|key| !key.null_safe || key.narrows());
        let ahead = keys.len() + usize::from(masked);
        // A key that is a column as it stands need not be there twice.
        let same = |column: usize| {
            keys.iter().position(|key| {
                matches!(key.value, RowExpr::Source(at) if at == column) && key.from == key.to
            })
        };
        let (mut places, mut rest) = (Vec::new(), Vec::new());
        for column in 0..mapping.fields.len() {
            places.push(same(column).unwrap_or_else(|| {
                rest.push(column);
                ahead + rest.len() - 1
            }));
        }
        let mut fields: Vec<Arc<Field>> = keys
            .iter()
            .enumerate()
            .map(|(number, key)| {
                let id = (FIELD_ID.to_owned(), key.field_id.to_string());
                Arc::new(Field::new(format!("_key{number}"), key.to.clone(), true).with_metadata([id].into()))
            })
            .collect();
        if masked {
            fields.push(Arc::new(Field::new("_matches", DataType::Boolean, false)));
        }
        fields.extend(rest.iter().map(|column| Arc::new(mapping.target.field(*column).clone())));
        let schema = Arc::new(ArrowSchema::new(fields));
        Ok((Self { mapping, keys, condition, masked, schema, rest }, move |column| places[column]))
    }

    /// The schema of the rows: the keys with the field ids of the table's columns, then [`SourceRows::mask`], then the
    /// columns that expressions look at.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The position of the column that tells which rows can match at all; `None` if all can.
    pub fn mask(&self) -> Option<usize> {
        self.masked.then_some(self.keys.len())
    }

    /// Makes the rows of a batch ready.
    ///
    /// # Errors
    /// [`floe_core::ErrorKind::SchemaMismatch`] when the batch does not have the schema of the source, and what the
    /// expressions of keys fail with.
    pub fn prepare(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let source = apply(&self.mapping, batch)?;
        let pair = RowPair { source: Some(source), target: None, rows };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        let mut mask = BooleanArray::new(BooleanBuffer::new_set(rows), None);
        for key in &self.keys {
            let value = key.value.evaluate(&pair)?;
            let array = if key.narrows() {
                let (narrow, fits) = narrowed(&value, &key.to)?;
                mask = and(&mask, &fits).map_err(arrow)?;
                narrow
            } else {
                value
            };
            if !key.null_safe {
                mask = and(&mask, &comparable(&array)).map_err(arrow)?;
            }
            columns.push(array);
        }
        if let Some(condition) = &self.condition {
            mask = and(&mask, &condition.is_true(&pair)?).map_err(arrow)?;
        }
        if self.masked {
            columns.push(Arc::new(mask));
        }
        if let Some(source) = &pair.source {
            columns.extend(self.rest.iter().map(|column| source.column(*column).clone()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(arrow)
    }
}

impl SourceKey {
    fn narrows(&self) -> bool {
        self.from != self.to
    }
}

/// The values as a narrower type, and which of them it has. NULL is one of every type.
fn narrowed(value: &ArrayRef, to: &DataType) -> Result<(ArrayRef, BooleanArray)> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let narrow = arrow_cast::cast_with_options(value, to, &options).map_err(arrow)?;
    let back = arrow_cast::cast_with_options(&narrow, value.data_type(), &options).map_err(arrow)?;
    let differs = distinct(value, &back)?;
    let fits = arrow_arith::boolean::not(&differs).map_err(arrow)?;
    Ok((narrow, fits))
}

/// Which values are equal to anything: neither NULL nor NaN.
fn comparable(array: &ArrayRef) -> BooleanArray {
    let valid = match array.logical_nulls() {
        None => BooleanBuffer::new_set(array.len()),
        Some(nulls) => nulls.into_inner(),
    };
    let nan: BooleanArray = is_nan(array);
    BooleanArray::new(&valid & &!nan.values(), None)
}
