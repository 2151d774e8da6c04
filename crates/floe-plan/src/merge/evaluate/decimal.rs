//! Arithmetic of decimals, exact, rounded half up where the type of the result has fewer digits. Types of results are
//! those of Spark.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef, Decimal128Array};
use arrow_buffer::i256;
use arrow_schema::DataType;
use floe_core::{Error, ErrorKind, Result};

use super::super::row_expr::Arithmetic;
use super::number::{by_zero, too_large};

/// The most digits of a decimal.
const MAX_PRECISION: i32 = 38;
/// Digits after the point that a result keeps if it has too many in all.
const MIN_SCALE: i32 = 6;

/// The type of the result of arithmetic of decimals with these precisions and scales.
pub(in super::super) fn result_type(op: Arithmetic, a: (u8, i8), b: (u8, i8)) -> (u8, i8) {
    let ((p1, s1), (p2, s2)) = ((i32::from(a.0), i32::from(a.1)), (i32::from(b.0), i32::from(b.1)));
    let (precision, scale) = match op {
        Arithmetic::Add | Arithmetic::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Arithmetic::Multiply => (p1 + p2 + 1, s1 + s2),
        Arithmetic::Divide => {
            let scale = MIN_SCALE.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        Arithmetic::Remainder => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    adjusted(precision, scale)
}

/// A precision and a scale that a decimal can have: digits after the point go first, down to six.
pub(in super::super) fn adjusted(precision: i32, scale: i32) -> (u8, i8) {
    if precision <= MAX_PRECISION {
        return (precision.max(1) as u8, scale as i8);
    }
    let kept = (MAX_PRECISION - (precision - scale)).max(scale.min(MIN_SCALE));
    (MAX_PRECISION as u8, kept as i8)
}

pub(super) fn arithmetic(op: Arithmetic, a: &ArrayRef, b: &ArrayRef) -> Result<ArrayRef> {
    let (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) = (a.data_type(), b.data_type()) else {
        return Err(Error::new(ErrorKind::Internal, "a decimal is computed with another type"));
    };
    let (precision, scale) = result_type(op, (*p1, *s1), (*p2, *s2));
    let (s1, s2, scale) = (i32::from(*s1), i32::from(*s2), i32::from(scale));
    let common = s1.max(s2);
    let ty = DataType::Decimal128(precision, scale as i8);
    let most = i256::from_i128(10).checked_pow(u32::from(precision));
    let compute = |a: i128, b: i128| -> Option<i256> {
        let (a, b) = (i256::from_i128(a), i256::from_i128(b));
        let value = match op {
            Arithmetic::Add => rescale(up(a, common - s1)?.checked_add(up(b, common - s2)?)?, common, scale),
            Arithmetic::Subtract => {
                rescale(up(a, common - s1)?.checked_sub(up(b, common - s2)?)?, common, scale)
            }
            Arithmetic::Multiply => rescale(a.checked_mul(b)?, s1 + s2, scale),
            Arithmetic::Divide => quotient(up(a, scale + s2 - s1)?, b),
            Arithmetic::Remainder => {
                rescale(up(a, common - s1)?.checked_rem(up(b, common - s2)?)?, common, scale)
            }
        }?;
        let size = if value < i256::ZERO { value.checked_neg()? } else { value };
        most.is_none_or(|most| size < most).then_some(value)
    };
    let divides = matches!(op, Arithmetic::Divide | Arithmetic::Remainder);
    let (a, b) = (a.as_primitive::<Decimal128Type>(), b.as_primitive::<Decimal128Type>());
    let values = a.iter().zip(b).map(|(a, b)| {
        let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
        if divides && b == 0 {
            return Err(by_zero());
        }
        compute(a, b).and_then(i256::to_i128).map(Some).ok_or_else(|| too_large(&ty))
    });
    let values = values.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(values.with_data_type(ty)))
}

pub(super) fn abs(array: &ArrayRef) -> ArrayRef {
    // The digits of a decimal are fewer than those of its storage: nothing overflows.
    let result = array.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(i128::wrapping_abs);
    Arc::new(result.with_data_type(array.data_type().clone()))
}

/// How two decimals of these scales compare.
pub(super) fn compare(a: i128, scale_a: i8, b: i128, scale_b: i8) -> Ordering {
    let common = i32::from(scale_a.max(scale_b));
    let up = |value, scale: i8| up(i256::from_i128(value), common - i32::from(scale));
    match (up(a, scale_a), up(b, scale_b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // 38 digits, and 38 more, always have room.
        _ => a.cmp(&b),
    }
}

/// `value` with so many more digits after the point; with fewer, if negative.
fn up(value: i256, digits: i32) -> Option<i256> {
    let ten = i256::from_i128(10);
    match u32::try_from(digits) {
        Ok(digits) => value.checked_mul(ten.checked_pow(digits)?),
        Err(_) => quotient(value, ten.checked_pow(digits.unsigned_abs())?),
    }
}

fn rescale(value: i256, from: i32, to: i32) -> Option<i256> {
    up(value, to - from)
}

/// Rounded half up, away from zero.
fn quotient(a: i256, b: i256) -> Option<i256> {
    let (whole, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    let size = |v: i256| if v < i256::ZERO { v.checked_neg() } else { Some(v) };
    let twice = size(rest)?.checked_mul(i256::from_i128(2))?;
    if twice < size(b)? {
        return Some(whole);
    }
    let one = i256::from_i128(if (a < i256::ZERO) == (b < i256::ZERO) { 1 } else { -1 });
    whole.checked_add(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![value]).with_data_type(DataType::Decimal128(precision, scale)))
    }

    fn value(array: &ArrayRef) -> (i128, DataType) {
        (array.as_primitive::<Decimal128Type>().value(0), array.data_type().clone())
    }

    #[test]
    fn types_of_results_are_those_of_spark() {
        use Arithmetic as A;
        assert_eq!(result_type(A::Add, (10, 2), (5, 4)), (13, 4));
        assert_eq!(result_type(A::Multiply, (10, 2), (5, 4)), (16, 6));
        assert_eq!(result_type(A::Divide, (10, 2), (5, 4)), (20, 8));
        assert_eq!(result_type(A::Remainder, (10, 2), (5, 4)), (5, 4));
        assert_eq!(result_type(A::Divide, (38, 10), (38, 10)), (38, 6));
        assert_eq!(result_type(A::Multiply, (38, 0), (38, 0)), (38, 0));
        assert_eq!(result_type(A::Add, (38, 38), (38, 0)), (38, 6));
    }

    #[test]
    fn quotients_are_rounded_half_away_from_zero() {
        let divide =
            |a, b| value(&arithmetic(Arithmetic::Divide, &decimal(a, 3, 0), &decimal(b, 3, 0)).unwrap());
        assert_eq!(divide(2, 3), (666_667, DataType::Decimal128(9, 6)));
        assert_eq!(divide(-2, 3).0, -666_667);
        assert_eq!(divide(1, 8).0, 125_000);
    }

    #[test]
    fn results_beyond_38_digits_and_division_by_zero_are_errors() {
        let most = 10_i128.pow(38) - 1;
        let add = arithmetic(Arithmetic::Add, &decimal(most, 38, 0), &decimal(1, 38, 0));
        assert!(add.unwrap_err().message().contains("too large"));
        let zero = arithmetic(Arithmetic::Divide, &decimal(1, 5, 2), &decimal(0, 5, 2));
        assert!(zero.unwrap_err().message().contains("zero"));
    }
}
