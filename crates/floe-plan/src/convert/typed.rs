//! Values that have a type already: columns of Parquet, Arrow and other Arrow data.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, StringArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use super::{ConvertOptions, Unfit, text, why};
use crate::rows::promote;

/// How values of one type fit a column of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// They have its type.
    Same,
    /// Every value fits.
    Always,
    /// Each value is looked at, because some may not fit: they are finer, have a fraction, are out of range.
    Each,
}

/// Whether values of type `from` can go to a column of type `to`, the Arrow type of an Iceberg type; `uuid` tells a
/// `uuid` from a `fixed(16)`. `None` if no value can, NULL aside. See [the table](super).
///
/// ```
/// use arrow_schema::DataType;
/// use floe_plan::convert::{ConvertOptions, Fit, fit};
///
/// let fit = |from: &DataType, to: &DataType| fit(from, to, false, &ConvertOptions::default());
/// assert_eq!(fit(&DataType::Int32, &DataType::Int64), Some(Fit::Always));
/// assert_eq!(fit(&DataType::Int64, &DataType::Int32), Some(Fit::Each));
/// assert_eq!(fit(&DataType::Utf8, &DataType::Int64), None);
/// ```
pub fn fit(from: &DataType, to: &DataType, uuid: bool, options: &ConvertOptions) -> Option<Fit> {
    use DataType as T;
    if let T::Dictionary(_, values) = from {
        return fit(values, to, uuid, options).map(cast_at_least);
    }
    if let T::RunEndEncoded(_, values) = from {
        return fit(values.data_type(), to, uuid, options).map(cast_at_least);
    }
    if from == to {
        return Some(Fit::Same);
    }
    if *from == T::Null || casts_safely(from, to) {
        return Some(Fit::Always);
    }
    let each = match (from, to) {
        (from, to) if casts_if_exact(from, to) => true,
        (from, to) if is_number(from) && is_number(to) => true,
        (from, T::Timestamp(..)) if is_number(from) => options.epoch.is_some(),
        (T::Timestamp(_, from), T::Timestamp(_, to)) => from.is_some() == to.is_some(),
        (T::Date32 | T::Date64, T::Timestamp(_, None)) | (T::Timestamp(_, None), T::Date32) => true,
        (T::Binary | T::LargeBinary | T::BinaryView, T::FixedSizeBinary(_)) => true,
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, T::FixedSizeBinary(16)) => uuid,
        _ => false,
    };
    each.then_some(Fit::Each)
}

fn cast_at_least(fit: Fit) -> Fit {
    if fit == Fit::Same { Fit::Always } else { fit }
}

/// The values as type `to`, where [`fit`] gives a way. NULL stays NULL.
///
/// # Errors
/// The first value that does not fit.
pub fn convert(array: &ArrayRef, to: &DataType, options: &ConvertOptions) -> Result<ArrayRef, Unfit> {
    use DataType as T;
    let from = array.data_type();
    if from == to {
        return Ok(array.clone());
    }
    match (from, to) {
        (T::Null, _) => Ok(new_null_array(to, array.len())),
        (T::Dictionary(_, values), _) if !casts_safely(values, to) => {
            convert(&cast(array, values)?, to, options)
        }
        (T::RunEndEncoded(_, values), _) if !casts_safely(values.data_type(), to) => {
            convert(&cast(array, values.data_type())?, to, options)
        }
        (from, to) if casts_safely(from, to) => cast(array, to),
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, T::FixedSizeBinary(_)) => {
            text::parse(cast(array, &T::Utf8)?.as_string::<i32>(), to, options)
        }
        (T::Float16, to) => convert(&cast(array, &T::Float32)?, to, options),
        (T::Float32 | T::Float64, to) => text::parse(&float_texts(array), to, options),
        (
            T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..),
            T::Float32 | T::Float64 | T::Timestamp(..),
        ) => text::parse(cast(array, &T::Utf8)?.as_string::<i32>(), to, options),
        (from, T::Timestamp(..)) if is_number(from) => {
            text::parse(cast(array, &T::Utf8)?.as_string::<i32>(), to, options)
        }
        (T::Date32, T::Timestamp(..)) => {
            promote::strict_cast(array, to).map_err(|_| Unfit::new(0, why::RANGE))
        }
        (T::Date64, T::Timestamp(..)) => {
            convert(&cast(array, &T::Timestamp(TimeUnit::Millisecond, None))?, to, options)
        }
        (T::Binary | T::LargeBinary | T::BinaryView, T::FixedSizeBinary(_)) => lengths(array, to),
        (T::Timestamp(from, _), T::Timestamp(to_unit, _)) if rank(*from) < rank(*to_unit) => {
            in_range(array, to)
        }
        (from, to) => there_and_back(array, to, fault(from, to)),
    }
}

/// A cast that loses nothing of values that are in range.
fn in_range(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unfit> {
    let there =
        cast_with_options(array, to, &CastOptions::default()).map_err(|_| Unfit::new(0, why::RANGE))?;
    if there.null_count() == array.null_count() {
        return Ok(there);
    }
    let row = (0..array.len()).find(|&row| there.is_null(row) && array.is_valid(row));
    Err(Unfit::new(row.unwrap_or(0), why::RANGE))
}

/// A cast that fails only for data that is not of the type that it announces.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unfit> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(|_| Unfit::new(0, why::RANGE))
}

/// A cast, refused where casting back does not give the same.
fn there_and_back(array: &ArrayRef, to: &DataType, why: &'static str) -> Result<ArrayRef, Unfit> {
    let options = CastOptions::default();
    let unfit = |_| Unfit::new(0, why);
    let there = cast_with_options(array, to, &options).map_err(unfit)?;
    let back = cast_with_options(&there, array.data_type(), &options).map_err(unfit)?;
    if back.as_ref() == array.as_ref() {
        return Ok(there);
    }
    let differs = arrow_ord::cmp::distinct(&back, array).map_err(unfit)?;
    match differs.values().set_indices().next() {
        Some(row) => Err(Unfit::new(row, why)),
        None => Ok(there),
    }
}

/// What is wrong with a value that comes back as another.
fn fault(from: &DataType, to: &DataType) -> &'static str {
    use DataType as T;
    match (from, to) {
        (T::Timestamp(..) | T::Date64, T::Date32) => why::TIME,
        (T::Timestamp(from, _), T::Timestamp(to, _)) if rank(*from) > rank(*to) => why::FINER,
        (T::Time64(_), T::Time64(_)) => why::FINER,
        (_, T::Float32 | T::Float64) => why::EXACT,
        (
            T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..),
            T::Int32 | T::Int64,
        ) => "it has a fraction or is out of range",
        (from, T::Decimal128(..)) if !is_integer(from) => "it has more digits than the column can hold",
        _ => why::RANGE,
    }
}

/// The shortest texts that mean the numbers, with an exponent if they are large: as such they count.
fn float_texts(array: &ArrayRef) -> StringArray {
    match array.data_type() {
        DataType::Float32 => {
            array.as_primitive::<Float32Type>().iter().map(|v| v.map(|v| format!("{v:?}"))).collect()
        }
        _ => array.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| format!("{v:?}"))).collect(),
    }
}

fn lengths(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unfit> {
    let DataType::FixedSizeBinary(width) = to else { return Err(Unfit::unreadable(0)) };
    let bytes = cast(array, &DataType::LargeBinary)?;
    let bytes = bytes.as_binary::<i64>();
    if let Some(row) = bytes.iter().position(|value| value.is_some_and(|v| v.len() != *width as usize)) {
        return Err(Unfit::new(row, why::LENGTH));
    }
    let fixed = arrow_array::FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes.iter(), *width);
    fixed.map(|fixed| Arc::new(fixed) as ArrayRef).map_err(|_| Unfit::new(0, why::LENGTH))
}

fn is_integer(ty: &DataType) -> bool {
    use DataType as T;
    matches!(ty, T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64)
}

fn is_number(ty: &DataType) -> bool {
    use DataType as T;
    let other = matches!(
        ty,
        T::Float16
            | T::Float32
            | T::Float64
            | T::Decimal32(..)
            | T::Decimal64(..)
            | T::Decimal128(..)
            | T::Decimal256(..)
    );
    other || is_integer(ty)
}

/// Whether every value of `from` is a value of `to`, and a cast gives it.
pub(crate) fn casts_safely(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (from, to) if from == to => true,
        (T::Dictionary(_, from), to) => casts_safely(from, to),
        (T::RunEndEncoded(_, from), to) => casts_safely(from.data_type(), to),
        (T::Int8 | T::Int16 | T::UInt8 | T::UInt16, T::Int32 | T::Int64 | T::Float32)
        | (T::Int32 | T::UInt32, T::Int64)
        | (T::Float16, T::Float32 | T::Float64)
        | (T::Float32 | T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32, T::Float64) => true,
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, T::Utf8) => true,
        (T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_), T::Binary | T::LargeBinary) => {
            true
        }
        (
            T::Decimal32(precision, scale) | T::Decimal64(precision, scale) | T::Decimal128(precision, scale),
            T::Decimal128(to_precision, to_scale),
        ) => scale == to_scale && precision <= to_precision,
        (
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64,
            T::Decimal128(p, 0),
        ) => digits(from) <= *p,
        (T::Time32(_), T::Time64(TimeUnit::Microsecond)) => true,
        (T::Timestamp(unit, from_zone), T::Timestamp(to_unit, to_zone)) => {
            from_zone.is_some() == to_zone.is_some() && unit == to_unit
        }
        _ => false,
    }
}

/// Whether a cast from `from` to `to` keeps the values that have no finer part than `to` can hold and are in its range, so
/// that each batch has to be looked at: other units of timestamps, nanoseconds of a day, dates in milliseconds.
pub(crate) fn casts_if_exact(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Dictionary(_, from), to) => casts_if_exact(from, to),
        (T::RunEndEncoded(_, from), to) => casts_if_exact(from.data_type(), to),
        (T::Timestamp(from, from_zone), T::Timestamp(to, to_zone)) => {
            from != to && from_zone.is_some() == to_zone.is_some()
        }
        (T::Time64(TimeUnit::Nanosecond), T::Time64(TimeUnit::Microsecond)) | (T::Date64, T::Date32) => true,
        _ => false,
    }
}

/// The most decimal digits that an integer of this type has.
fn digits(ty: &DataType) -> u8 {
    match ty {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        _ => 20,
    }
}

fn rank(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

/// What Iceberg calls the type, as far as there is a name; for messages.
pub fn type_name(ty: &DataType) -> String {
    match ty {
        DataType::Null => "NULL".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int32 => "int".into(),
        DataType::Int64 => "long".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::Date32 => "date".into(),
        DataType::Time64(_) => "time".into(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns".into(),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => "timestamptz_ns".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::LargeBinary | DataType::Binary => "binary".into(),
        DataType::FixedSizeBinary(length) => format!("fixed[{length}]"),
        DataType::Struct(_) => "a struct".into(),
        DataType::List(_) => "a list".into(),
        DataType::Map(..) => "a map".into(),
        other => other.to_string(),
    }
}
