//! Conversions from one type to another.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, new_null_array};
use arrow_cast::display::FormatOptions;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use floe_core::{Error, Result};

use super::text;
pub(in super::super) use crate::convert::type_name as name;
use crate::rows::promote;

/// How timestamps are written as text.
const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Whether `CAST` knows the way from a type to another.
pub(in super::super) fn can_cast(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let number = |ty: &T| is_number(ty);
    match (from, to) {
        (from, to) if from == to => true,
        (T::Null, _) => true,
        (from, to) if number(from) && number(to) => true,
        (T::Boolean, to) if is_integer(to) => true,
        (from, T::Boolean) if is_integer(from) => true,
        (from, T::Utf8) => {
            number(from)
                || matches!(from, T::Boolean | T::Date32 | T::Time64(_) | T::Timestamp(..) | T::LargeBinary)
        }
        (T::Utf8, to) => {
            number(to)
                || matches!(
                    to,
                    T::Boolean
                        | T::Date32
                        | T::Time64(_)
                        | T::Timestamp(..)
                        | T::LargeBinary
                        | T::FixedSizeBinary(16)
                )
        }
        (T::Date32 | T::Timestamp(..), T::Date32 | T::Timestamp(..)) => true,
        (T::FixedSizeBinary(_), T::LargeBinary) | (T::LargeBinary, T::FixedSizeBinary(_)) => true,
        _ => false,
    }
}

/// Whether a value of a type may be stored in a column of another without a `CAST` (ANSI SQL, store assignment). Whether
/// each value fits is found out row by row.
pub(in super::super) fn can_assign(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (from, to) if from == to => true,
        (T::Null, _) => true,
        (from, to) if is_number(from) && is_number(to) => true,
        (T::Date32, T::Timestamp(_, None)) | (T::Timestamp(_, None), T::Date32) => true,
        (T::Timestamp(_, a), T::Timestamp(_, b)) => a.is_some() == b.is_some(),
        (T::FixedSizeBinary(_), T::LargeBinary) => true,
        (from, T::Utf8) => is_integer(from) || matches!(from, T::Decimal128(..) | T::Boolean | T::Date32),
        _ => false,
    }
}

/// The values as another type, for which [`can_cast`] is true.
pub(in super::super) fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    if array.data_type() == &DataType::Null {
        return Ok(new_null_array(to, array.len()));
    }
    if let (DataType::Utf8, DataType::FixedSizeBinary(16)) = (array.data_type(), to) {
        return uuids(array);
    }
    let trimmed;
    let array = match (array.data_type(), to) {
        (DataType::Utf8, DataType::LargeBinary) => array,
        (DataType::Utf8, _) => {
            trimmed = text::each(array, |text| text.trim().into());
            &trimmed
        }
        _ => array,
    };
    let format = FormatOptions::default()
        .with_timestamp_format(Some(TIMESTAMP))
        .with_timestamp_tz_format(Some(TIMESTAMP));
    let options = CastOptions { safe: false, format_options: format };
    let unfit = || unfit(array.data_type(), to);
    // The cast's own message may quote the value.
    let done = match (array.data_type(), to) {
        (DataType::Date32, DataType::Timestamp(..)) => promote::strict_cast(array, to),
        _ => cast_with_options(array, to, &options),
    };
    let done = done.map_err(|_| unfit())?;
    if let (DataType::Float64, DataType::Float32) = (array.data_type(), to) {
        let (from, done) = (array.as_primitive::<Float64Type>(), done.as_primitive::<Float32Type>());
        if from
            .iter()
            .flatten()
            .zip(done.iter().flatten())
            .any(|(from, to)| from.is_finite() && !to.is_finite())
        {
            return Err(unfit());
        }
    }
    if array.null_count() != done.null_count() {
        return Err(unfit());
    }
    Ok(done)
}

fn uuids(array: &ArrayRef) -> Result<ArrayRef> {
    let texts = array.as_string::<i32>().iter();
    let uuids = texts.map(|text| {
        text.map(|text| uuid::Uuid::try_parse(text.trim()).map(uuid::Uuid::into_bytes)).transpose()
    });
    let uuids = uuids
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Error::validation("a text cannot be read as uuid"))?;
    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16);
    array.map(|array| Arc::new(array) as ArrayRef).map_err(super::arrow)
}

fn unfit(from: &DataType, to: &DataType) -> Error {
    let what = match from {
        DataType::Utf8 => "a text cannot be read as".to_owned(),
        from => format!("a value of {} does not fit", name(from)),
    };
    Error::validation(format!("{what} {}", name(to)))
}

pub(in super::super) fn is_integer(ty: &DataType) -> bool {
    matches!(ty, DataType::Int32 | DataType::Int64)
}

pub(in super::super) fn is_number(ty: &DataType) -> bool {
    is_integer(ty) || matches!(ty, DataType::Float32 | DataType::Float64 | DataType::Decimal128(..))
}
