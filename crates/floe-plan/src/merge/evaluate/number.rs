//! Arithmetic.

use std::sync::Arc;

use arrow_arith::numeric;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{ArrowError, DataType};
use floe_core::{Error, Result};

use super::super::row_expr::Arithmetic;
use super::{Values, arrow, decimal};

pub(super) fn arithmetic(op: Arithmetic, a: Values, b: Values, rows: usize) -> Result<ArrayRef> {
    let ty = a.array.data_type().clone();
    if matches!(ty, DataType::Decimal128(..)) {
        let rows = if a.one && b.one { 1 } else { rows };
        return decimal::arithmetic(op, &a.expand(rows)?, &b.expand(rows)?);
    }
    let divides = matches!(op, Arithmetic::Divide | Arithmetic::Remainder);
    if divides && has_zero(&b.array) {
        // Zero divides nothing where the other number is NULL.
        let (a, b) = (a.expand(rows)?, b.expand(rows)?);
        let zero = match ty {
            DataType::Float32 => divides_by_zero::<Float32Type>(&a, &b),
            DataType::Float64 => divides_by_zero::<Float64Type>(&a, &b),
            DataType::Int32 => divides_by_zero::<Int32Type>(&a, &b),
            _ => divides_by_zero::<Int64Type>(&a, &b),
        };
        if zero {
            return Err(by_zero());
        }
        return compute(op, &Values::many(a), &Values::many(b), &ty);
    }
    compute(op, &a, &b, &ty)
}

fn compute(op: Arithmetic, a: &Values, b: &Values, ty: &DataType) -> Result<ArrayRef> {
    let result = match op {
        Arithmetic::Add => numeric::add(a, b),
        Arithmetic::Subtract => numeric::sub(a, b),
        Arithmetic::Multiply => numeric::mul(a, b),
        Arithmetic::Divide => numeric::div(a, b),
        Arithmetic::Remainder => numeric::rem(a, b),
    };
    result.map_err(|error| failed(error, ty))
}

pub(super) fn negate(array: &ArrayRef) -> Result<ArrayRef> {
    numeric::neg(array).map_err(|error| failed(error, array.data_type()))
}

pub(super) fn abs(array: &ArrayRef) -> Result<ArrayRef> {
    let overflow = || too_large(array.data_type());
    macro_rules! checked {
        ($type:ty) => {{
            let result = array
                .as_primitive::<$type>()
                .try_unary::<_, $type, Error>(|v| v.checked_abs().ok_or_else(overflow))?;
            Ok(Arc::new(result) as ArrayRef)
        }};
    }
    match array.data_type() {
        DataType::Int32 => checked!(Int32Type),
        DataType::Int64 => checked!(Int64Type),
        DataType::Float32 => {
            Ok(Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::abs)))
        }
        DataType::Float64 => {
            Ok(Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::abs)))
        }
        _ => Ok(decimal::abs(array)),
    }
}

/// Whether any value is zero, those under NULL included.
fn has_zero(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().values().contains(&0.0),
        DataType::Float64 => array.as_primitive::<Float64Type>().values().contains(&0.0),
        DataType::Int32 => array.as_primitive::<Int32Type>().values().contains(&0),
        DataType::Int64 => array.as_primitive::<Int64Type>().values().contains(&0),
        _ => true,
    }
}

fn divides_by_zero<T: ArrowPrimitiveType>(a: &ArrayRef, b: &ArrayRef) -> bool {
    let (Some(a), Some(b)) = (a.as_primitive_opt::<T>(), b.as_primitive_opt::<T>()) else { return false };
    a.iter().zip(b).any(|(a, b)| a.is_some() && b == Some(T::default_value()))
}

fn failed(error: ArrowError, ty: &DataType) -> Error {
    match error {
        ArrowError::DivideByZero => by_zero(),
        ArrowError::ArithmeticOverflow(_) | ArrowError::ComputeError(_) => too_large(ty),
        other => arrow(other),
    }
}

pub(super) fn by_zero() -> Error {
    Error::validation("a number is divided by zero")
        .with_hint("divide by NULLIF(…, 0), or leave such rows out with a condition")
}

pub(super) fn too_large(ty: &DataType) -> Error {
    Error::validation(format!("a result is too large for {}", super::convert::name(ty)))
        .with_hint("CAST an operand to a larger type, or leave such rows out with a condition")
}
