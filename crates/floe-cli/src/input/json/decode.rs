//! Tokens of JSON as columns of a table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, NullBufferBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, ListArray, MapArray, Scalar, StructArray};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use arrow_schema::{DataType, FieldRef, Fields};
use floe::plan::constant::repeat;
use floe::plan::convert::{ConvertOptions, Unfit, parse};
use floe::{Error, ErrorKind, Result};
use iceberg::spec::{NestedField, Type};

use super::super::source::Absent;
use super::tape::{Tape, Token};

/// A column, or a field within one.
pub(super) struct Column {
    name: String,
    ty: DataType,
    required: bool,
    /// What an absent key stands for.
    default: Option<ArrayRef>,
    fields: Vec<Column>,
    by_name: HashMap<String, usize>,
}

/// Where the value of a column is.
type Place = u32;
/// The object lacks the key.
const ABSENT: Place = u32::MAX;
/// The object itself is NULL.
const NULL: Place = u32::MAX - 1;

/// What is wrong with a row.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) row: usize,
    pub(super) what: What,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum What {
    /// A value that does not fit.
    Unfit { column: String, ty: DataType, why: Unfit },
    /// A key that the table, or a struct of it, does not have.
    Unknown(String),
    /// A key that comes twice in one object.
    Twice(String),
    /// A required key that is not there, or NULL.
    Missing(String),
    /// A key that is not there, though other rows have it.
    Lacks(String),
    /// Something that cannot be.
    Internal,
}

impl Column {
    /// A column of a table.
    pub(super) fn new(field: &NestedField, arrow: &FieldRef) -> Result<Self> {
        let default = match &field.write_default {
            Some(value) => {
                Some(repeat(Some(value), arrow.data_type(), 1).map_err(|e| e.context(&field.name))?)
            }
            None => None,
        };
        let fields = match (&*field.field_type, arrow.data_type()) {
            (Type::Struct(ty), DataType::Struct(arrow)) => columns(ty.fields(), arrow)?,
            (Type::List(ty), DataType::List(arrow)) => vec![Self::new(&ty.element_field, arrow)?],
            (Type::Map(ty), DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(arrow) => {
                    vec![Self::new(&ty.key_field, &arrow[0])?, Self::new(&ty.value_field, &arrow[1])?]
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        let by_name = fields.iter().enumerate().map(|(i, field)| (field.name.clone(), i)).collect();
        let (name, ty) = (field.name.clone(), arrow.data_type().clone());
        Ok(Self { name, ty, required: field.required, default, fields, by_name })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn columns(fields: &[Arc<NestedField>], arrow: &Fields) -> Result<Vec<Column>> {
    fields.iter().zip(arrow).map(|(field, arrow)| Column::new(field, arrow)).collect()
}

/// The columns of rows.
pub(super) struct Decoder {
    rows: Column,
    absent: Absent,
    options: ConvertOptions,
}

impl Decoder {
    pub(super) fn new(columns: Vec<Column>, absent: Absent, options: ConvertOptions) -> Result<Self> {
        let by_name: HashMap<String, usize> =
            columns.iter().enumerate().map(|(i, column)| (column.name.clone(), i)).collect();
        if by_name.len() != columns.len() {
            return Err(Error::new(ErrorKind::Internal, "two columns have one name"));
        }
        let ty = DataType::Struct(Fields::empty());
        let rows =
            Column { name: String::new(), ty, required: true, default: None, fields: columns, by_name };
        Ok(Self { rows, absent, options })
    }

    /// The columns of rows, which are objects at these places.
    pub(super) fn decode(&self, tape: &Tape<'_>, rows: &[Place]) -> Result<Vec<ArrayRef>, Fault> {
        let places = self.members(tape, rows, &self.rows, "")?;
        self.fields(tape, &self.rows, &places, "", true)
    }

    /// Where the values of each field are, in objects.
    fn members(
        &self,
        tape: &Tape<'_>,
        objects: &[Place],
        column: &Column,
        path: &str,
    ) -> Result<Vec<Vec<Place>>, Fault> {
        let mut places = vec![Vec::with_capacity(objects.len()); column.fields.len()];
        for (row, object) in objects.iter().enumerate() {
            let present = !matches!(*object, ABSENT | NULL);
            let (count, at) = match present.then(|| tape.token(*object)) {
                Some(Token::Object(count, _)) => (count, *object + 1),
                Some(Token::Null) | None => {
                    for places in &mut places {
                        places.push(NULL);
                    }
                    continue;
                }
                Some(_) => {
                    let (column, ty) = (path.to_owned(), column.ty.clone());
                    let why = Unfit { row, why: None };
                    return Err(Fault { row, what: What::Unfit { column, ty, why } });
                }
            };
            for places in &mut places {
                places.push(ABSENT);
            }
            let (mut at, mut expected) = (at, 0);
            for _ in 0..count {
                let key = tape.string(tape.token(at)).unwrap_or_default();
                // Keys mostly come in one order.
                let index = match column.fields.get(expected) {
                    Some(field) if field.name == key => Some(expected),
                    _ => column.by_name.get(key).copied(),
                };
                let Some(index) = index else {
                    return Err(Fault { row, what: What::Unknown(joined(path, key)) });
                };
                if places[index][row] != ABSENT {
                    return Err(Fault { row, what: What::Twice(joined(path, key)) });
                }
                places[index][row] = at + 1;
                expected = index + 1;
                at = tape.after(at + 1);
            }
        }
        Ok(places)
    }

    fn fields(
        &self,
        tape: &Tape<'_>,
        column: &Column,
        places: &[Vec<Place>],
        path: &str,
        top: bool,
    ) -> Result<Vec<ArrayRef>, Fault> {
        let fields = column.fields.iter().zip(places);
        fields
            .map(|(field, places)| self.column(tape, field, places, &joined(path, &field.name), top))
            .collect()
    }

    fn column(
        &self,
        tape: &Tape<'_>,
        column: &Column,
        places: &[Place],
        path: &str,
        top: bool,
    ) -> Result<ArrayRef, Fault> {
        let mut absent = false;
        for (row, place) in places.iter().enumerate() {
            let fault = match *place {
                ABSENT if top && self.absent == Absent::Refused => What::Lacks(path.to_owned()),
                ABSENT if top && self.absent == Absent::Unknown => {
                    absent = true;
                    continue;
                }
                ABSENT if column.required && column.default.is_none() => What::Missing(path.to_owned()),
                ABSENT => {
                    absent = true;
                    continue;
                }
                NULL => continue,
                place if column.required && matches!(tape.token(place), Token::Null) => {
                    What::Missing(path.to_owned())
                }
                _ => continue,
            };
            return Err(Fault { row, what: fault });
        }
        let values = self.values(tape, column, places, path)?;
        match &column.default {
            Some(default) if absent => {
                let given = BooleanBuffer::collect_bool(places.len(), |row| places[row] == ABSENT);
                let mask = BooleanArray::new(given, None);
                arrow_select::zip::zip(&mask, &Scalar::new(default.clone()), &values).map_err(|_| internal())
            }
            _ => Ok(values),
        }
    }

    fn values(
        &self,
        tape: &Tape<'_>,
        column: &Column,
        places: &[Place],
        path: &str,
    ) -> Result<ArrayRef, Fault> {
        let token = |place: Place| match place {
            ABSENT | NULL => Token::Null,
            place => tape.token(place),
        };
        let unfit = |why: Unfit| {
            let (column, ty) = (path.to_owned(), column.ty.clone());
            Fault { row: why.row, what: What::Unfit { column, ty, why } }
        };
        let wrong = |row| unfit(Unfit { row, why: None });
        match &column.ty {
            DataType::Boolean => {
                let mut builder = BooleanBuilder::with_capacity(places.len());
                for (row, place) in places.iter().enumerate() {
                    match token(*place) {
                        Token::Bool(value) => builder.append_value(value),
                        Token::Null => builder.append_null(),
                        _ => return Err(wrong(row)),
                    }
                }
                Ok(Arc::new(builder.finish()))
            }
            DataType::Struct(fields) => {
                let inner = self.members(tape, places, column, path)?;
                let columns = self.fields(tape, column, &inner, path, false)?;
                let mut nulls = NullBufferBuilder::new(places.len());
                for place in places {
                    nulls.append(!matches!(token(*place), Token::Null));
                }
                if fields.is_empty() {
                    return Ok(Arc::new(StructArray::new_empty_fields(places.len(), nulls.finish())));
                }
                let array = StructArray::try_new(fields.clone(), columns, nulls.finish());
                array.map(|array| Arc::new(array) as ArrayRef).map_err(|_| internal())
            }
            DataType::List(element) => {
                let mut lists = Lists::new(places.len());
                for (row, place) in places.iter().enumerate() {
                    match token(*place) {
                        Token::Null => lists.push(None, tape),
                        Token::Array(count, _) => lists.push(Some((*place + 1, count, 1)), tape),
                        _ => return Err(wrong(row)),
                    }
                }
                let Lists { places, offsets, mut nulls, .. } = lists;
                let inner = self
                    .column(tape, &column.fields[0], &places, &joined(path, "element"), false)
                    .map_err(|fault| outer(fault, &offsets))?;
                let offsets = OffsetBuffer::new(offsets.into());
                let array = ListArray::try_new(element.clone(), offsets, inner, nulls.finish());
                array.map(|array| Arc::new(array) as ArrayRef).map_err(|_| internal())
            }
            DataType::Map(entries, sorted) => {
                let mut maps = Lists::new(places.len());
                for (row, place) in places.iter().enumerate() {
                    match token(*place) {
                        Token::Null => maps.push(None, tape),
                        Token::Object(count, _) => maps.push(Some((*place + 1, count, 2)), tape),
                        _ => return Err(wrong(row)),
                    }
                }
                let Lists { places, offsets, mut nulls, .. } = maps;
                // Each entry stands at its key; the value comes after it.
                for (row, pair) in offsets.windows(2).enumerate() {
                    let keys = places[pair[0] as usize..pair[1] as usize].iter();
                    let mut seen = std::collections::HashSet::new();
                    let mut keys = keys.map(|place| tape.string(tape.token(*place)).unwrap_or_default());
                    if keys.any(|key| !seen.insert(key)) {
                        return Err(Fault { row, what: What::Twice(joined(path, "key")) });
                    }
                }
                let values: Vec<Place> = places.iter().map(|place| place + 1).collect();
                let [key, value] = column.fields.as_slice() else { return Err(internal()) };
                let keys = self.column(tape, key, &places, &joined(path, "key"), false);
                let values = self.column(tape, value, &values, &joined(path, "value"), false);
                let keys = keys.map_err(|fault| outer(fault, &offsets))?;
                let values = values.map_err(|fault| outer(fault, &offsets))?;
                let DataType::Struct(fields) = entries.data_type() else { return Err(internal()) };
                let inner = StructArray::try_new(fields.clone(), vec![keys, values], None);
                let inner = inner.map_err(|_| internal())?;
                let offsets = OffsetBuffer::new(offsets.into());
                let array = MapArray::try_new(entries.clone(), offsets, inner, nulls.finish(), *sorted);
                array.map(|array| Arc::new(array) as ArrayRef).map_err(|_| internal())
            }
            ty => {
                let numbers = matches!(
                    ty,
                    DataType::Int32
                        | DataType::Int64
                        | DataType::Float32
                        | DataType::Float64
                        | DataType::Decimal128(..)
                        | DataType::Timestamp(..)
                );
                let mut texts = StringBuilder::with_capacity(places.len(), 8 * places.len());
                for (row, place) in places.iter().enumerate() {
                    let token = token(*place);
                    let text = if numbers { tape.raw(token) } else { tape.string(token) };
                    match (text, token) {
                        (Some(text), _) => texts.append_value(text),
                        (None, Token::Null) => texts.append_null(),
                        _ => return Err(wrong(row)),
                    }
                }
                let texts = texts.finish();
                if *ty == DataType::Utf8 {
                    return Ok(Arc::new(texts));
                }
                parse(&texts, ty, &self.options).map_err(unfit)
            }
        }
    }
}

/// Lists, or maps, flattened.
struct Lists {
    places: Vec<Place>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Lists {
    fn new(rows: usize) -> Self {
        Self { places: Vec::new(), offsets: vec![0], nulls: NullBufferBuilder::new(rows) }
    }

    /// Adds a list: its first token, how many elements it has, and of how many values each is.
    fn push(&mut self, list: Option<(Place, u32, u32)>, tape: &Tape<'_>) {
        self.nulls.append(list.is_some());
        if let Some((mut at, count, values)) = list {
            for _ in 0..count {
                self.places.push(at);
                for _ in 0..values {
                    at = tape.after(at);
                }
            }
        }
        self.offsets.push(self.places.len() as i32);
    }
}

/// The fault of an element as that of the row that holds it.
fn outer(fault: Fault, offsets: &[i32]) -> Fault {
    let row = offsets.partition_point(|offset| *offset as usize <= fault.row).saturating_sub(1);
    Fault { row, ..fault }
}

fn internal() -> Fault {
    Fault { row: 0, what: What::Internal }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
