//! One test over one array.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType, UInt8Type,
    UInt16Type, UInt32Type,
};
use arrow_array::{Array, ArrayAccessor, ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, TimeUnit};
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::PrimitiveType;

use crate::expr::{BoundLeaf, CompareOp, Test, Value};
use crate::rows::promote;

/// Lists up to this length are searched in order, longer ones through a hash set.
const SHORT_LIST: usize = 8;

pub(super) fn evaluate(leaf: &BoundLeaf, array: &ArrayRef) -> Result<BooleanArray> {
    // The values of a dictionary are tested once each, not once a row.
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        if matches!(leaf.test, Test::IsNull) {
            return Ok(is_null(array));
        }
        let values = evaluate(leaf, dictionary.values())?;
        let taken = arrow_select::take::take(&values, dictionary.keys(), None)
            .map_err(|_| unreadable(leaf, array.data_type()))?;
        let taken = taken.as_boolean().clone();
        return Ok(if matches!(leaf.test, Test::IsNan) { super::keep(&taken) } else { taken });
    }
    let array = &canonical(leaf, array)?;
    match &leaf.test {
        Test::IsNull => Ok(is_null(array)),
        Test::IsNan => {
            let nan = match array.data_type() {
                DataType::Float32 => {
                    BooleanArray::from_unary(array.as_primitive::<Float32Type>(), f32::is_nan)
                }
                DataType::Float64 => {
                    BooleanArray::from_unary(array.as_primitive::<Float64Type>(), f64::is_nan)
                }
                _ => constant(array, false),
            };
            Ok(super::keep(&nan))
        }
        Test::NotNullIs(value) => Ok(constant(array, *value)),
        _ if *array.data_type() == DataType::Null => Ok(constant(array, false)),
        test => values(leaf, test, array),
    }
}

/// The array in a type that [`values`] reads.
fn canonical(leaf: &BoundLeaf, array: &ArrayRef) -> Result<ArrayRef> {
    use PrimitiveType as T;
    let to = match (array.data_type(), &leaf.field_type) {
        (DataType::RunEndEncoded(_, values), _) => {
            let flat = strict_cast(leaf, array, values.data_type())?;
            return canonical(leaf, &flat);
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), T::Timestamp | T::Timestamptz)
        | (DataType::Timestamp(TimeUnit::Nanosecond, _), T::TimestampNs | T::TimestamptzNs) => {
            return Ok(array.clone());
        }
        (DataType::Timestamp(TimeUnit::Nanosecond, _), T::Timestamp | T::Timestamptz) => {
            // Rounded down, before 1970 too, where a cast would round towards zero.
            let nanos = array.as_primitive::<TimestampNanosecondType>();
            return Ok(Arc::new(nanos.unary::<_, TimestampMicrosecondType>(|v| v.div_euclid(1000))));
        }
        (DataType::Timestamp(_, zone), T::Timestamp | T::Timestamptz) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        (DataType::Timestamp(_, zone), T::TimestampNs | T::TimestamptzNs) => {
            DataType::Timestamp(TimeUnit::Nanosecond, zone.clone())
        }
        (DataType::Date32, T::Timestamp) => DataType::Timestamp(TimeUnit::Microsecond, None),
        (DataType::Date32, T::TimestampNs) => DataType::Timestamp(TimeUnit::Nanosecond, None),
        (DataType::Time32(_) | DataType::Time64(TimeUnit::Nanosecond), T::Time) => {
            DataType::Time64(TimeUnit::Microsecond)
        }
        (
            DataType::Decimal32(_, had) | DataType::Decimal64(_, had) | DataType::Decimal256(_, had),
            T::Decimal { scale, .. },
        ) if i64::from(*had) == i64::from(*scale) => DataType::Decimal128(38, *had),
        (DataType::Float16, T::Float | T::Double) => DataType::Float32,
        _ => return Ok(array.clone()),
    };
    strict_cast(leaf, array, &to)
}

/// A cast that fails, and does not give NULL, for a value that does not fit.
fn strict_cast(leaf: &BoundLeaf, array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    // The cast's own error is not kept: it may quote the value.
    promote::strict_cast(array, to).map_err(|_| {
        let from = array.data_type();
        let message = format!("column {}: a value of Arrow type {from} does not fit {to}", leaf.column);
        Error::new(ErrorKind::SchemaMismatch, message)
    })
}

/// The tests that look at values.
fn values(leaf: &BoundLeaf, test: &Test, array: &ArrayRef) -> Result<BooleanArray> {
    macro_rules! integers {
        ($type:ty) => {
            integers(test, array.as_primitive::<$type>(), |v| i64::from(v))
        };
    }
    let result = match (array.data_type(), &leaf.field_type) {
        (DataType::Boolean, PrimitiveType::Boolean) => booleans(test, array.as_boolean()),
        (DataType::Int8, PrimitiveType::Int | PrimitiveType::Long) => integers!(Int8Type),
        (DataType::Int16, PrimitiveType::Int | PrimitiveType::Long) => integers!(Int16Type),
        (DataType::UInt8, PrimitiveType::Int | PrimitiveType::Long) => integers!(UInt8Type),
        (DataType::UInt16, PrimitiveType::Int | PrimitiveType::Long) => integers!(UInt16Type),
        (DataType::UInt32, PrimitiveType::Long) => integers!(UInt32Type),
        (DataType::Int32, PrimitiveType::Int | PrimitiveType::Long | PrimitiveType::Date) => {
            integers!(Int32Type)
        }
        (DataType::Int64, PrimitiveType::Int | PrimitiveType::Long) => integers!(Int64Type),
        (DataType::Date32, PrimitiveType::Date) => integers!(Date32Type),
        (DataType::Time64(TimeUnit::Microsecond), PrimitiveType::Time) => integers!(Time64MicrosecondType),
        (
            DataType::Timestamp(TimeUnit::Microsecond, _),
            PrimitiveType::Timestamp | PrimitiveType::Timestamptz,
        ) => {
            integers!(TimestampMicrosecondType)
        }
        (
            DataType::Timestamp(TimeUnit::Nanosecond, _),
            PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs,
        ) => integers!(TimestampNanosecondType),
        (DataType::Float32, PrimitiveType::Float | PrimitiveType::Double) => {
            floats(test, array.as_primitive::<Float32Type>(), f64::from)
        }
        (DataType::Float64, PrimitiveType::Float | PrimitiveType::Double) => {
            floats(test, array.as_primitive::<Float64Type>(), |v| v)
        }
        (DataType::Decimal128(_, had), PrimitiveType::Decimal { scale, .. })
            if i64::from(*had) == i64::from(*scale) =>
        {
            decimals(test, array.as_primitive::<Decimal128Type>())
        }
        (DataType::Utf8, PrimitiveType::String) => {
            bytes(test, array.as_string::<i32>(), |v: &str| v.as_bytes())
        }
        (DataType::LargeUtf8, PrimitiveType::String) => {
            bytes(test, array.as_string::<i64>(), |v: &str| v.as_bytes())
        }
        (DataType::Utf8View, PrimitiveType::String) => {
            bytes(test, array.as_string_view(), |v: &str| v.as_bytes())
        }
        (DataType::Binary, PrimitiveType::Binary | PrimitiveType::Fixed(_)) => {
            bytes(test, array.as_binary::<i32>(), |v: &[u8]| v)
        }
        (DataType::LargeBinary, PrimitiveType::Binary | PrimitiveType::Fixed(_)) => {
            bytes(test, array.as_binary::<i64>(), |v: &[u8]| v)
        }
        (DataType::BinaryView, PrimitiveType::Binary | PrimitiveType::Fixed(_)) => {
            bytes(test, array.as_binary_view(), |v: &[u8]| v)
        }
        (
            DataType::FixedSizeBinary(_),
            PrimitiveType::Uuid | PrimitiveType::Binary | PrimitiveType::Fixed(_),
        ) => bytes(test, array.as_fixed_size_binary(), |v: &[u8]| v),
        _ => None,
    };
    result.ok_or_else(|| unreadable(leaf, array.data_type()))
}

fn unreadable(leaf: &BoundLeaf, found: &DataType) -> Error {
    let message = format!(
        "column {} of type {} was read as Arrow type {found}, which the filter cannot compare",
        leaf.column, leaf.field_type
    );
    Error::new(ErrorKind::SchemaMismatch, message)
}

fn booleans(test: &Test, array: &BooleanArray) -> Option<BooleanArray> {
    match test {
        Test::Compare(op, Value::Boolean(value)) => Some(compare(*op, array, |v| v, *value)),
        Test::In(list) => Some(BooleanArray::from_unary(array, |v| list.contains(&Value::Boolean(v)))),
        _ => None,
    }
}

fn integers<T: ArrowPrimitiveType>(
    test: &Test,
    array: &arrow_array::PrimitiveArray<T>,
    widen: impl Fn(T::Native) -> i64 + Copy,
) -> Option<BooleanArray> {
    match test {
        Test::Compare(op, Value::Integer(value)) => Some(compare(*op, array, widen, *value)),
        Test::In(list) => {
            let list: Option<Vec<i64>> =
                list.iter().map(|v| if let Value::Integer(v) = v { Some(*v) } else { None }).collect();
            Some(is_in(array, widen, list?))
        }
        _ => None,
    }
}

fn decimals(test: &Test, array: &arrow_array::PrimitiveArray<Decimal128Type>) -> Option<BooleanArray> {
    match test {
        Test::Compare(op, Value::Decimal(value)) => Some(compare(*op, array, |v| v, *value)),
        Test::In(list) => {
            let list: Option<Vec<i128>> =
                list.iter().map(|v| if let Value::Decimal(v) = v { Some(*v) } else { None }).collect();
            Some(is_in(array, |v| v, list?))
        }
        _ => None,
    }
}

fn floats<T: ArrowPrimitiveType>(
    test: &Test,
    array: &arrow_array::PrimitiveArray<T>,
    widen: impl Fn(T::Native) -> f64 + Copy,
) -> Option<BooleanArray> {
    match test {
        Test::Compare(op, Value::Float(value)) => Some(compare(*op, array, widen, *value)),
        Test::In(list) => {
            // Hashed by bits: both zeros are one value, and no NaN is in the list.
            let list: Option<Vec<u64>> = list
                .iter()
                .map(|v| if let Value::Float(v) = v { Some((v + 0.0).to_bits()) } else { None })
                .collect();
            let list = list?.into_iter().filter(|bits| !f64::from_bits(*bits).is_nan()).collect();
            Some(is_in(array, move |v| (widen(v) + 0.0).to_bits(), list))
        }
        _ => None,
    }
}

fn bytes<'a, A, I>(test: &'a Test, array: A, view: impl Fn(I) -> &'a [u8] + Copy) -> Option<BooleanArray>
where
    A: ArrayAccessor<Item = I>,
{
    match test {
        Test::Compare(op, value) => Some(compare(*op, array, view, value.as_ordered_bytes()?)),
        Test::In(list) => {
            let list: Option<Vec<&[u8]>> = list.iter().map(Value::as_ordered_bytes).collect();
            Some(is_in(array, view, list?))
        }
        Test::StartsWith(prefix) => {
            let prefix = prefix.as_bytes();
            Some(BooleanArray::from_unary(array, |v| view(v).starts_with(prefix)))
        }
        _ => None,
    }
}

/// One tight loop for each operator; `PartialOrd` of floats is the IEEE comparison.
fn compare<A: ArrayAccessor, V: PartialOrd + Copy>(
    op: CompareOp,
    array: A,
    view: impl Fn(A::Item) -> V,
    value: V,
) -> BooleanArray {
    match op {
        CompareOp::Eq => BooleanArray::from_unary(array, |v| view(v) == value),
        CompareOp::NotEq => BooleanArray::from_unary(array, |v| view(v) != value),
        CompareOp::Lt => BooleanArray::from_unary(array, |v| view(v) < value),
        CompareOp::LtEq => BooleanArray::from_unary(array, |v| view(v) <= value),
        CompareOp::Gt => BooleanArray::from_unary(array, |v| view(v) > value),
        CompareOp::GtEq => BooleanArray::from_unary(array, |v| view(v) >= value),
    }
}

fn is_in<A: ArrayAccessor, V: Eq + Hash>(
    array: A,
    view: impl Fn(A::Item) -> V,
    list: Vec<V>,
) -> BooleanArray {
    if list.len() <= SHORT_LIST {
        return BooleanArray::from_unary(array, |v| list.contains(&view(v)));
    }
    let set: HashSet<V> = list.into_iter().collect();
    BooleanArray::from_unary(array, |v| set.contains(&view(v)))
}

fn is_null(array: &ArrayRef) -> BooleanArray {
    let values = match array.logical_nulls() {
        Some(nulls) => !nulls.inner(),
        None => BooleanBuffer::new_unset(array.len()),
    };
    BooleanArray::new(values, None)
}

/// `value` for every row that is not NULL, NULL for the others.
fn constant(array: &ArrayRef, value: bool) -> BooleanArray {
    let values =
        if value { BooleanBuffer::new_set(array.len()) } else { BooleanBuffer::new_unset(array.len()) };
    let nulls: Option<NullBuffer> = array.logical_nulls();
    BooleanArray::new(values, nulls)
}
