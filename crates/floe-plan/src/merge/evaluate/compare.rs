//! Comparisons.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ord::cmp;
use arrow_ord::ord::make_comparator;
use arrow_schema::{DataType, SortOptions};
use arrow_select::interleave::interleave;
use floe_core::Result;

use super::{Values, arrow, decimal};
use crate::expr::CompareOp;

/// NULL where a value is; floats as IEEE 754 says.
pub(super) fn compare(op: CompareOp, a: Values, b: Values, rows: usize) -> Result<BooleanArray> {
    let rows = if a.one && b.one { 1 } else { rows };
    match (a.array.data_type(), b.array.data_type()) {
        (DataType::Float32, _) => {
            let (a, b) = (a.expand(rows)?, b.expand(rows)?);
            let (a, b) = (a.as_primitive::<Float32Type>(), b.as_primitive::<Float32Type>());
            Ok(BooleanArray::from_binary(a, b, |a, b| holds(op, a.partial_cmp(&b))))
        }
        (DataType::Float64, _) => {
            let (a, b) = (a.expand(rows)?, b.expand(rows)?);
            let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
            Ok(BooleanArray::from_binary(a, b, |a, b| holds(op, a.partial_cmp(&b))))
        }
        (DataType::Decimal128(_, s1), DataType::Decimal128(_, s2)) => {
            let (s1, s2) = (*s1, *s2);
            let (a, b) = (a.expand(rows)?, b.expand(rows)?);
            let (a, b) = (a.as_primitive::<Decimal128Type>(), b.as_primitive::<Decimal128Type>());
            let compare =
                |a: i128, b: i128| if s1 == s2 { a.cmp(&b) } else { decimal::compare(a, s1, b, s2) };
            Ok(BooleanArray::from_binary(a, b, |a, b| holds(op, Some(compare(a, b)))))
        }
        _ => {
            let result = match op {
                CompareOp::Eq => cmp::eq(&a, &b),
                CompareOp::NotEq => cmp::neq(&a, &b),
                CompareOp::Lt => cmp::lt(&a, &b),
                CompareOp::LtEq => cmp::lt_eq(&a, &b),
                CompareOp::Gt => cmp::gt(&a, &b),
                CompareOp::GtEq => cmp::gt_eq(&a, &b),
            };
            result.map_err(arrow)
        }
    }
}

/// Whether `op` holds for values that compare so; `None` for a NaN.
fn holds(op: CompareOp, ordering: Option<Ordering>) -> bool {
    match op {
        CompareOp::Eq => ordering == Some(Ordering::Equal),
        CompareOp::NotEq => ordering != Some(Ordering::Equal),
        CompareOp::Lt => ordering == Some(Ordering::Less),
        CompareOp::LtEq => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        CompareOp::Gt => ordering == Some(Ordering::Greater),
        CompareOp::GtEq => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Where values differ, NULL and NaN being values like others.
pub(in super::super) fn distinct(a: &ArrayRef, b: &ArrayRef) -> Result<BooleanArray> {
    if let (DataType::Decimal128(_, s1), DataType::Decimal128(_, s2)) = (a.data_type(), b.data_type())
        && s1 != s2
    {
        let (a, b) = (a.as_primitive::<Decimal128Type>(), b.as_primitive::<Decimal128Type>());
        let differ = a.iter().zip(b).map(|pair| match pair {
            (Some(a), Some(b)) => decimal::compare(a, *s1, b, *s2) != Ordering::Equal,
            (a, b) => a.is_some() != b.is_some(),
        });
        return Ok(BooleanArray::from(differ.collect::<Vec<_>>()));
    }
    let decimals = matches!(a.data_type(), DataType::Decimal128(..));
    let nested = a.data_type().is_nested();
    if !nested && !decimals && a.null_count() == 0 && b.null_count() == 0 && !a.data_type().is_floating() {
        return cmp::neq(a, b).map_err(arrow);
    }
    if !nested && !decimals && !a.data_type().is_floating() {
        return cmp::distinct(a, b).map_err(arrow);
    }
    let (a, b) = (without_variants(a), without_variants(b));
    let b = match (a.data_type(), b.data_type()) {
        (DataType::Decimal128(..), DataType::Decimal128(..)) => {
            // The same scale: digits are the same too.
            let same = b.as_primitive::<Decimal128Type>().clone().with_data_type(a.data_type().clone());
            Arc::new(same) as ArrayRef
        }
        _ => b,
    };
    let compare = make_comparator(&a, &b, SortOptions::default()).map_err(arrow)?;
    Ok(BooleanArray::new(
        BooleanBuffer::collect_bool(a.len(), |row| compare(row, row) != Ordering::Equal),
        None,
    ))
}

/// Where a float is NaN; false for NULL, and for other types.
pub(in super::super) fn is_nan(array: &ArrayRef) -> BooleanArray {
    let nan: Box<dyn Fn(usize) -> bool> = match array.data_type() {
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            Box::new(|row| values.is_valid(row) && values.value(row).is_nan())
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            Box::new(|row| values.is_valid(row) && values.value(row).is_nan())
        }
        _ => Box::new(|_| false),
    };
    BooleanArray::new(BooleanBuffer::collect_bool(array.len(), nan), None)
}

/// Whether values are in a list of their type.
pub(super) fn is_in(array: &ArrayRef, list: &ArrayRef) -> Result<BooleanArray> {
    let (values, list) = (without_variants(array), without_variants(list));
    let to_list = make_comparator(&values, &list, SortOptions::default()).map_err(arrow)?;
    let in_list = make_comparator(&list, &list, SortOptions::default()).map_err(arrow)?;
    let list_nan = is_nan(&list);
    // Nothing equals NULL or NaN.
    let mut order: Vec<usize> =
        (0..list.len()).filter(|i| list.is_valid(*i) && !list_nan.value(*i)).collect();
    order.sort_by(|a, b| in_list(*a, *b));
    let found = |row: usize| order.binary_search_by(|item| to_list(row, *item).reverse()).is_ok();
    let found = BooleanBuffer::collect_bool(values.len(), |row| values.is_valid(row) && found(row));
    let known = (list.null_count() > 0).then(|| NullBuffer::new(found.clone()));
    let nulls = NullBuffer::union(values.logical_nulls().as_ref(), known.as_ref());
    Ok(BooleanArray::new(found, nulls))
}

/// The greatest or the least value of each row that is not NULL.
pub(super) fn extreme(arrays: &[ArrayRef], greatest: bool) -> Result<ArrayRef> {
    let plain: Vec<ArrayRef> = arrays.iter().map(without_variants).collect();
    let rows = arrays[0].len();
    let mut best = vec![0_usize; rows];
    for later in 1..arrays.len() {
        let compare = (0..later)
            .map(|earlier| make_comparator(&plain[later], &plain[earlier], SortOptions::default()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(arrow)?;
        for (row, best) in best.iter_mut().enumerate() {
            if plain[later].is_null(row) {
                continue;
            }
            let ordering = compare[*best](row, row);
            let better = if greatest { ordering.is_gt() } else { ordering.is_lt() };
            if plain[*best].is_null(row) || better {
                *best = later;
            }
        }
    }
    let places: Vec<(usize, usize)> = best.into_iter().enumerate().map(|(row, array)| (array, row)).collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(|array| array.as_ref()).collect();
    interleave(&arrays, &places).map_err(arrow)
}

/// The same values with one bit pattern for all NaNs, and one for both zeros; other types as they are.
pub fn without_variants(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        ),
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        ),
        _ => array.clone(),
    }
}
