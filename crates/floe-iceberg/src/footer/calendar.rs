//! Dates and times of Spark's old calendar.
//!
//! Spark before version 3, and later in its legacy mode, counted days before 1582-10-15 by the Julian calendar, and took
//! local times before 1900 from other tables of time zones. It notes that in the footer. The same numbers mean other days in
//! Iceberg, whose calendar is the proleptic Gregorian one (Iceberg spec, "Primitive Types"), so that such values are refused.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use floe_core::{Error, ErrorKind};
use parquet::basic::Type as Physical;
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::writer::Writer;

const VERSION: &str = "org.apache.spark.version";
const LEGACY_DATES: &str = "org.apache.spark.legacyDateTime";
const LEGACY_INT96: &str = "org.apache.spark.legacyINT96";

/// Marks a column whose values may be of the old calendar.
const MARK: &str = "floe.old-calendar";

/// 1582-10-15, from when on both calendars agree.
const FIRST_DAY: i32 = -141_427;
/// 1900-01-01 in UTC, from when on both agree in every time zone.
const FIRST_SECOND: i64 = -2_208_988_800;

/// Which columns of a file may hold values of the old calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Calendar {
    dates: bool,
    int96: bool,
}

impl Calendar {
    pub(crate) fn of(file: &FileMetaData) -> Self {
        let Some(pairs) = file.key_value_metadata() else { return Self::default() };
        let find = |key: &str| pairs.iter().find(|pair| pair.key == key);
        let version = find(VERSION).and_then(|pair| pair.value.as_deref());
        let before = |than| version.is_some_and(|version| Writer::before(version, than));
        Self {
            dates: find(LEGACY_DATES).is_some() || before([3, 0, 0]),
            int96: find(LEGACY_INT96).is_some() || before([3, 1, 0]),
        }
    }

    /// Whether any column may hold such values.
    pub(crate) fn is_old(self) -> bool {
        self.dates || self.int96
    }

    /// Whether this column may.
    pub(super) fn concerns(self, column: &ColumnDescriptor) -> bool {
        use parquet::basic::{ConvertedType as C, LogicalType as L};
        if column.physical_type() == Physical::INT96 {
            return self.int96;
        }
        let of_dates = matches!(column.logical_type_ref(), Some(L::Date | L::Timestamp { .. }))
            || matches!(column.converted_type(), C::DATE | C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS);
        self.dates && of_dates
    }

    /// The columns of a file, those marked that may hold such values.
    pub(crate) fn marked(self, fields: Fields, schema: &SchemaDescriptor) -> Fields {
        if !self.is_old() {
            return fields;
        }
        marked_leaves(&fields, schema, MARK, &|column| self.concerns(column))
    }
}

/// The columns of a file, with a mark in the metadata of the leaves that are concerned.
pub(super) fn marked_leaves(
    fields: &Fields,
    schema: &SchemaDescriptor,
    mark: &str,
    concerns: &dyn Fn(&ColumnDescriptor) -> bool,
) -> Fields {
    let mut next = 0;
    let concerns = |leaf: usize| leaf < schema.num_columns() && concerns(&schema.column(leaf));
    fields.iter().map(|field| marked(field, mark, &mut next, &concerns)).collect()
}

fn marked(field: &FieldRef, mark: &str, next: &mut usize, concerns: &dyn Fn(usize) -> bool) -> FieldRef {
    let inner = |inner: &FieldRef, next: &mut usize| marked(inner, mark, next, concerns);
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| inner(field, next)).collect()),
        DataType::List(item) => DataType::List(inner(item, next)),
        DataType::LargeList(item) => DataType::LargeList(inner(item, next)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item, next), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries, next), *sorted),
        _ => {
            let leaf = *next;
            *next += 1;
            if !concerns(leaf) {
                return field.clone();
            }
            let mut metadata: HashMap<String, String> = field.metadata().clone();
            metadata.insert(mark.to_owned(), String::new());
            return Arc::new(Field::clone(field).with_metadata(metadata));
        }
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// The columns of an input file that may hold values of the old calendar.
#[derive(Debug, Clone)]
pub struct OldCalendar(Option<Fields>);

impl OldCalendar {
    /// Those of the file with this footer; `schema` is its Arrow form, with all its columns.
    pub fn of(footer: &ParquetMetaData, schema: &Schema) -> Self {
        let file = footer.file_metadata();
        let calendar = Calendar::of(file);
        Self(calendar.is_old().then(|| calendar.marked(schema.fields().clone(), file.schema_descr())))
    }

    /// Fails with `Unsupported` if a value is from before both calendars agree: it would be read as another day.
    pub fn check(&self, batch: &RecordBatch) -> floe_core::Result<()> {
        let Some(fields) = &self.0 else { return Ok(()) };
        fields.iter().zip(batch.columns()).try_for_each(|(field, column)| check_all(field, column))
    }
}

fn check_all(field: &Field, array: &ArrayRef) -> floe_core::Result<()> {
    match (field.data_type(), array.data_type()) {
        (DataType::Struct(fields), DataType::Struct(_)) => {
            let columns = array.as_struct().columns().iter();
            fields.iter().zip(columns).try_for_each(|(field, column)| check_all(field, column))
        }
        (DataType::List(item), DataType::List(_)) => check_all(item, array.as_list::<i32>().values()),
        (DataType::LargeList(item), DataType::LargeList(_)) => {
            check_all(item, array.as_list::<i64>().values())
        }
        (DataType::FixedSizeList(item, _), DataType::FixedSizeList(..)) => {
            check_all(item, array.as_fixed_size_list().values())
        }
        (DataType::Map(entries, _), DataType::Map(..)) => {
            let pairs: ArrayRef = Arc::new(array.as_map().entries().clone());
            check_all(entries, &pairs)
        }
        _ if is_marked(field) => refuse_old(array),
        _ => Ok(()),
    }
}

/// Whether a column was marked by [`Calendar::marked`].
pub(crate) fn is_marked(field: &Field) -> bool {
    field.metadata().contains_key(MARK)
}

/// Fails with `Unsupported` if a value of a marked column is from before both calendars agree.
pub(crate) fn check(array: &ArrayRef) -> Result<(), ArrowError> {
    refuse_old(array).map_err(|e| ArrowError::ExternalError(Box::new(e)))
}

fn refuse_old(array: &ArrayRef) -> floe_core::Result<()> {
    fn before<T: ArrowPrimitiveType>(array: &ArrayRef, first: T::Native) -> bool {
        array.as_primitive::<T>().iter().flatten().any(|value| value < first)
    }
    let old = match array.data_type() {
        DataType::Date32 => before::<Date32Type>(array, FIRST_DAY),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => before::<TimestampSecondType>(array, FIRST_SECOND),
            TimeUnit::Millisecond => before::<TimestampMillisecondType>(array, FIRST_SECOND * 1000),
            TimeUnit::Microsecond => before::<TimestampMicrosecondType>(array, FIRST_SECOND * 1_000_000),
            TimeUnit::Nanosecond => before::<TimestampNanosecondType>(array, FIRST_SECOND * 1_000_000_000),
        },
        _ => false,
    };
    if !old {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::Unsupported,
        "it holds dates before 1582-10-15, or times before 1900, in the calendar of Spark before version 3, which floe does not convert",
    );
    let hint = "read the file with Spark and write it anew; Spark notes no old calendar then";
    Err(error.with_hint(hint))
}
