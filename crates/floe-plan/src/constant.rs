//! Arrays that hold one value again and again: partition values and defaults.

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray, PrimitiveArray,
    StringArray, new_null_array,
};
use arrow_schema::{DataType, TimeUnit};
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{Literal, PrimitiveLiteral};

/// `rows` times the value, NULL for none, as an array of type `ty`.
///
/// `ty` must be the Arrow type of the value's Iceberg type, or of the type that it was widened to.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a nested value, [`ErrorKind::Internal`] for one of another type.
///
/// ```
/// use arrow_array::Int64Array;
/// use arrow_schema::DataType;
/// use iceberg::spec::Literal;
///
/// let fives = floe_plan::constant::repeat(Some(&Literal::int(5)), &DataType::Int64, 2)?;
/// assert_eq!(fives.as_ref(), &Int64Array::from(vec![5, 5]) as &dyn arrow_array::Array);
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn repeat(value: Option<&Literal>, ty: &DataType, rows: usize) -> Result<ArrayRef> {
    let Some(value) = value else {
        return Ok(new_null_array(ty, rows));
    };
    let unfit = || Error::new(ErrorKind::Internal, format!("a constant does not go with the type {ty}"));
    let Literal::Primitive(value) = value else {
        return Err(Error::new(ErrorKind::Unsupported, "a nested default cannot be filled in"));
    };
    use PrimitiveLiteral as P;
    Ok(match (value, ty) {
        (P::Boolean(v), DataType::Boolean) => Arc::new(BooleanArray::from(vec![*v; rows])),
        (P::Int(v), DataType::Int32) => numbers::<Int32Type>(*v, rows, ty),
        (P::Int(v), DataType::Int64) => numbers::<Int64Type>(i64::from(*v), rows, ty),
        (P::Int(v), DataType::Date32) => numbers::<Date32Type>(*v, rows, ty),
        (P::Long(v), DataType::Int64) => numbers::<Int64Type>(*v, rows, ty),
        (P::Long(v), DataType::Time64(TimeUnit::Microsecond)) => {
            numbers::<Time64MicrosecondType>(*v, rows, ty)
        }
        (P::Long(v), DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            numbers::<TimestampMicrosecondType>(*v, rows, ty)
        }
        (P::Long(v), DataType::Timestamp(TimeUnit::Nanosecond, _)) => {
            numbers::<TimestampNanosecondType>(*v, rows, ty)
        }
        (P::Float(v), DataType::Float32) => numbers::<Float32Type>(v.0, rows, ty),
        (P::Float(v), DataType::Float64) => numbers::<Float64Type>(f64::from(v.0), rows, ty),
        (P::Double(v), DataType::Float64) => numbers::<Float64Type>(v.0, rows, ty),
        (P::Int128(v), DataType::Decimal128(..)) => numbers::<Decimal128Type>(*v, rows, ty),
        (P::String(v), DataType::Utf8) => Arc::new(StringArray::from_iter_values((0..rows).map(|_| v))),
        (P::Binary(v), DataType::LargeBinary) => {
            Arc::new(LargeBinaryArray::from_iter_values((0..rows).map(|_| v)))
        }
        (P::Binary(v), DataType::FixedSizeBinary(size)) => fixed(v, *size, rows).ok_or_else(unfit)?,
        (P::UInt128(v), DataType::FixedSizeBinary(size)) => {
            fixed(&v.to_be_bytes(), *size, rows).ok_or_else(unfit)?
        }
        _ => return Err(unfit()),
    })
}

fn numbers<T: ArrowPrimitiveType>(value: T::Native, rows: usize, ty: &DataType) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_value(value, rows).with_data_type(ty.clone()))
}

fn fixed(value: &[u8], size: i32, rows: usize) -> Option<ArrayRef> {
    if usize::try_from(size) != Ok(value.len()) {
        return None;
    }
    let values = arrow_buffer::Buffer::from(value.repeat(rows));
    Some(Arc::new(FixedSizeBinaryArray::try_new(size, values, None).ok()?))
}
