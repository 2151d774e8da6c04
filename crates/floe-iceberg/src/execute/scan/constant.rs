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
use arrow_schema::{ArrowError, DataType, TimeUnit};
use iceberg::spec::{Literal, PrimitiveLiteral};

/// `rows` times the value, as an array of type `ty`, which must be the Arrow type of the value's Iceberg type.
pub(super) fn repeat(value: Option<&Literal>, ty: &DataType, rows: usize) -> Result<ArrayRef, ArrowError> {
    let Some(value) = value else {
        return Ok(new_null_array(ty, rows));
    };
    let unfit = || ArrowError::NotYetImplemented(format!("a constant of type {ty}"));
    let Literal::Primitive(value) = value else {
        return Err(unfit());
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
        (P::Binary(v), DataType::FixedSizeBinary(size)) => fixed(v, *size, rows)?,
        (P::UInt128(v), DataType::FixedSizeBinary(size)) => fixed(&v.to_be_bytes(), *size, rows)?,
        _ => return Err(unfit()),
    })
}

fn numbers<T: ArrowPrimitiveType>(value: T::Native, rows: usize, ty: &DataType) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_value(value, rows).with_data_type(ty.clone()))
}

fn fixed(value: &[u8], size: i32, rows: usize) -> Result<ArrayRef, ArrowError> {
    if rows == 0 {
        return Ok(new_null_array(&DataType::FixedSizeBinary(size), 0));
    }
    let array = FixedSizeBinaryArray::try_from_iter((0..rows).map(|_| value))?;
    if array.value_length() != size {
        return Err(ArrowError::InvalidArgumentError("a constant has the wrong length".to_owned()));
    }
    Ok(Arc::new(array))
}
