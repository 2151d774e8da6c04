//! Counts and bounds of columns, gathered from the arrays on their way into a file.

use std::collections::HashMap;

use arrow_arith::aggregate::{max, min};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, ArrowNumericType, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};
use floe_core::Result;
use iceberg::spec::{Datum, NestedField, PrimitiveType, Schema, Type};

use super::bounds::{truncate_bytes, truncate_bytes_up, truncate_str, truncate_str_up};
use super::mode::MetricsMode;
use super::partition::nested;
use super::transform::byte_values;

/// A leaf column that has metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsField {
    /// Field id.
    pub id: i32,
    /// Its type.
    pub field_type: PrimitiveType,
    /// What is kept.
    pub mode: MetricsMode,
    /// Where it is in its top-level column: children of structs.
    path: Vec<usize>,
}

/// The leaf columns that have metrics, for each top-level column of `schema`. Columns inside lists and maps
/// have none: their values are not values of rows.
pub fn metrics_fields(schema: &Schema, modes: &HashMap<i32, MetricsMode>) -> Vec<Vec<MetricsField>> {
    fn add(
        field: &NestedField,
        path: &mut Vec<usize>,
        modes: &HashMap<i32, MetricsMode>,
        out: &mut Vec<MetricsField>,
    ) {
        match field.field_type.as_ref() {
            Type::Primitive(field_type) => {
                let mode = modes.get(&field.id).copied().unwrap_or(MetricsMode::None);
                if mode != MetricsMode::None {
                    let field_type = field_type.clone();
                    out.push(MetricsField { id: field.id, field_type, mode, path: path.clone() });
                }
            }
            Type::Struct(inner) => {
                for (index, field) in inner.fields().iter().enumerate() {
                    path.push(index);
                    add(field, path, modes, out);
                    path.pop();
                }
            }
            Type::List(_) | Type::Map(_) => {}
        }
    }
    let column = |field: &iceberg::spec::NestedFieldRef| {
        let mut out = Vec::new();
        add(field, &mut Vec::new(), modes, &mut out);
        out
    };
    schema.as_struct().fields().iter().map(column).collect()
}

/// The metrics of one leaf column over the rows seen so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LeafMetrics {
    /// Values, with NULLs and NaNs.
    pub value_count: u64,
    /// NULLs.
    pub null_count: u64,
    /// NaNs; 0 for types that have none.
    pub nan_count: u64,
    range: Range,
}

/// Lowest and highest value seen. NaN is left out.
#[derive(Debug, Clone, Default, PartialEq)]
enum Range {
    #[default]
    Empty,
    Bool(bool, bool),
    Int(i32, i32),
    Long(i64, i64),
    Float(f32, f32),
    Double(f64, f64),
    Wide(i128, i128),
    Bytes(Vec<u8>, Vec<u8>),
}

impl LeafMetrics {
    /// Adds the rows of `column`, the top-level column that `field` is in.
    pub fn update(&mut self, field: &MetricsField, column: &ArrayRef) {
        let array = nested(column, &field.path);
        self.value_count += array.len() as u64;
        self.null_count += array.null_count() as u64;
        let wanted = matches!(field.mode, MetricsMode::Full | MetricsMode::Truncate(_));
        match array.data_type() {
            DataType::Float32 => {
                let (nans, low, high) =
                    floats(array.as_primitive::<Float32Type>(), f32::INFINITY, -f32::INFINITY, f32::is_nan);
                self.nan_count += nans;
                if wanted && (array.len() - array.null_count()) as u64 > nans {
                    self.add(Range::Float(low, high));
                }
            }
            DataType::Float64 => {
                let (nans, low, high) =
                    floats(array.as_primitive::<Float64Type>(), f64::INFINITY, -f64::INFINITY, f64::is_nan);
                self.nan_count += nans;
                if wanted && (array.len() - array.null_count()) as u64 > nans {
                    self.add(Range::Double(low, high));
                }
            }
            _ if wanted && array.null_count() < array.len() => self.widen(&array),
            _ => {}
        }
    }

    /// Adds the rows that `other` has seen.
    pub fn merge(&mut self, other: Self) {
        self.value_count += other.value_count;
        self.null_count += other.null_count;
        self.nan_count += other.nan_count;
        self.add(other.range);
    }

    /// The bounds, shortened as the field's mode has it: none where no value was seen, or where no shorter
    /// bound exists (Iceberg spec, fields 125 and 128).
    pub fn bounds(&self, field: &MetricsField) -> Result<(Option<Datum>, Option<Datum>)> {
        let datum = |bytes: &[u8]| Datum::try_from_bytes(bytes, field.field_type.clone());
        let (lower, upper) = match &self.range {
            Range::Empty => return Ok((None, None)),
            Range::Bool(low, high) => (vec![u8::from(*low)], Some(vec![u8::from(*high)])),
            Range::Int(low, high) => (low.to_le_bytes().to_vec(), Some(high.to_le_bytes().to_vec())),
            Range::Long(low, high) => (low.to_le_bytes().to_vec(), Some(high.to_le_bytes().to_vec())),
            Range::Float(low, high) => {
                // Readers may order the two zeros or hold them for equal: both must be within.
                let (low, high) =
                    (if *low == 0.0 { -0.0 } else { *low }, if *high == 0.0 { 0.0 } else { *high });
                (low.to_le_bytes().to_vec(), Some(high.to_le_bytes().to_vec()))
            }
            Range::Double(low, high) => {
                let (low, high) =
                    (if *low == 0.0 { -0.0 } else { *low }, if *high == 0.0 { 0.0 } else { *high });
                (low.to_le_bytes().to_vec(), Some(high.to_le_bytes().to_vec()))
            }
            Range::Wide(low, high) => (low.to_be_bytes().to_vec(), Some(high.to_be_bytes().to_vec())),
            Range::Bytes(low, high) => shorten(field, low, high),
        };
        Ok((Some(datum(&lower)?), upper.map(|upper| datum(&upper)).transpose()?))
    }

    fn widen(&mut self, array: &ArrayRef) {
        match array.data_type() {
            DataType::Boolean => {
                let array = array.as_boolean();
                let trues = array.true_count();
                self.add(Range::Bool(trues == array.len() - array.null_count(), trues > 0));
            }
            DataType::Int32 => self.numbers::<Int32Type>(array, Range::Int),
            DataType::Date32 => self.numbers::<Date32Type>(array, Range::Int),
            DataType::Int64 => self.numbers::<Int64Type>(array, Range::Long),
            DataType::Time64(_) => self.numbers::<Time64MicrosecondType>(array, Range::Long),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.numbers::<TimestampMicrosecondType>(array, Range::Long);
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.numbers::<TimestampNanosecondType>(array, Range::Long);
            }
            DataType::Decimal128(..) => self.numbers::<Decimal128Type>(array, Range::Wide),
            _ => self.bytes(array),
        }
    }

    fn numbers<T: ArrowNumericType>(
        &mut self,
        array: &ArrayRef,
        range: impl Fn(T::Native, T::Native) -> Range,
    ) {
        let array: &PrimitiveArray<T> = array.as_primitive();
        if let (Some(low), Some(high)) = (min(array), max(array)) {
            self.add(range(low, high));
        }
    }

    fn bytes(&mut self, array: &ArrayRef) {
        let Some(values) = byte_values(array) else { return };
        let mut values = values.flatten();
        let Some(first) = values.next() else { return };
        let (mut low, mut high) = match &self.range {
            Range::Bytes(low, high) => (low.as_slice(), high.as_slice()),
            _ => (first, first),
        };
        // Eight bytes at once tell most values apart.
        let (mut low_prefix, mut high_prefix) = (prefix(low), prefix(high));
        let mut see = |value| {
            let value_prefix = prefix(value);
            if value_prefix <= low_prefix && value < low {
                (low, low_prefix) = (value, value_prefix);
            }
            if value_prefix >= high_prefix && value > high {
                (high, high_prefix) = (value, value_prefix);
            }
        };
        see(first);
        values.for_each(see);
        let range = Range::Bytes(low.to_vec(), high.to_vec());
        self.range = range;
    }

    fn add(&mut self, other: Range) {
        match (&mut self.range, other) {
            (_, Range::Empty) => {}
            (Range::Bool(low, high), Range::Bool(l, h)) => (*low, *high) = (*low && l, *high || h),
            (Range::Int(low, high), Range::Int(l, h)) => (*low, *high) = (l.min(*low), h.max(*high)),
            (Range::Long(low, high), Range::Long(l, h)) => (*low, *high) = (l.min(*low), h.max(*high)),
            (Range::Float(low, high), Range::Float(l, h)) => (*low, *high) = (l.min(*low), h.max(*high)),
            (Range::Double(low, high), Range::Double(l, h)) => (*low, *high) = (l.min(*low), h.max(*high)),
            (Range::Wide(low, high), Range::Wide(l, h)) => (*low, *high) = (l.min(*low), h.max(*high)),
            (Range::Bytes(low, high), Range::Bytes(l, h)) => {
                if l < *low {
                    *low = l;
                }
                if h > *high {
                    *high = h;
                }
            }
            (range, other) => *range = other,
        }
    }
}

/// NaNs, lowest and highest other value. Without a branch in the loop, so that it is vectorised.
fn floats<T: ArrowNumericType>(
    array: &PrimitiveArray<T>,
    highest: T::Native,
    lowest: T::Native,
    is_nan: impl Fn(T::Native) -> bool,
) -> (u64, T::Native, T::Native) {
    let (mut nans, mut low, mut high) = (0_u64, highest, lowest);
    let mut see = |v: T::Native| {
        nans += u64::from(is_nan(v));
        // A comparison with NaN is false.
        low = if v < low { v } else { low };
        high = if v > high { v } else { high };
    };
    if array.null_count() == 0 {
        array.values().iter().for_each(|v| see(*v));
    } else {
        array.iter().flatten().for_each(see);
    }
    (nans, low, high)
}

/// The first eight bytes as a number that orders like them.
fn prefix(value: &[u8]) -> u64 {
    match value.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => value.iter().enumerate().fold(0, |n, (i, b)| n | u64::from(*b) << (56 - 8 * i)),
    }
}

fn shorten(field: &MetricsField, low: &[u8], high: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let width = match field.mode {
        MetricsMode::Truncate(width) if field.field_type != PrimitiveType::Uuid => width,
        _ => return (low.to_vec(), Some(high.to_vec())),
    };
    match (std::str::from_utf8(low), std::str::from_utf8(high)) {
        (Ok(low), Ok(high)) if field.field_type == PrimitiveType::String => {
            let upper = truncate_str_up(high, width).map(String::into_bytes);
            (truncate_str(low, width).as_bytes().to_vec(), upper)
        }
        _ => (truncate_bytes(low, width).to_vec(), truncate_bytes_up(high, width)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array, LargeBinaryArray,
        StringArray,
    };
    use iceberg::spec::PrimitiveLiteral;
    use proptest::prelude::*;

    use super::*;

    fn field(field_type: PrimitiveType, mode: MetricsMode) -> MetricsField {
        MetricsField { id: 1, field_type, mode, path: vec![] }
    }

    /// Metrics of the array in slices of three rows, half of them merged in from another set.
    fn gather(field: &MetricsField, array: ArrayRef) -> LeafMetrics {
        let mut parts = [LeafMetrics::default(), LeafMetrics::default()];
        for (part, at) in (0..array.len()).step_by(3).enumerate() {
            let slice = array.slice(at, 3.min(array.len() - at));
            parts[part % 2].update(field, &slice);
        }
        let [mut first, second] = parts;
        first.merge(second);
        first
    }

    fn literal(datum: Option<Datum>) -> Option<PrimitiveLiteral> {
        datum.map(|datum| datum.literal().clone())
    }

    #[test]
    fn zeros_of_both_signs_are_within_the_bounds() {
        let field = field(PrimitiveType::Double, MetricsMode::STANDARD);
        for zero in [0.0, -0.0] {
            let metrics = gather(&field, Arc::new(Float64Array::from(vec![zero])));
            let (lower, upper) = metrics.bounds(&field).unwrap();
            assert_eq!(lower.unwrap().to_bytes().unwrap().to_vec(), (-0.0_f64).to_le_bytes());
            assert_eq!(upper.unwrap().to_bytes().unwrap().to_vec(), 0.0_f64.to_le_bytes());
        }
    }

    #[test]
    fn only_nans_have_no_bounds() {
        let field = field(PrimitiveType::Double, MetricsMode::Full);
        let metrics = gather(&field, Arc::new(Float64Array::from(vec![Some(f64::NAN), None])));
        assert_eq!((metrics.value_count, metrics.null_count, metrics.nan_count), (2, 1, 1));
        assert_eq!(metrics.bounds(&field).unwrap(), (None, None));
    }

    #[test]
    fn infinities_are_bounds() {
        let field = field(PrimitiveType::Double, MetricsMode::Full);
        let metrics = gather(&field, Arc::new(Float64Array::from(vec![f64::INFINITY])));
        let (lower, upper) = metrics.bounds(&field).unwrap();
        assert_eq!((lower, upper), (Some(Datum::double(f64::INFINITY)), Some(Datum::double(f64::INFINITY))));
    }

    #[test]
    fn counts_mode_has_no_bounds() {
        let field = field(PrimitiveType::Int, MetricsMode::Counts);
        let metrics = gather(&field, Arc::new(Int32Array::from(vec![1, 2])));
        assert_eq!((metrics.value_count, metrics.bounds(&field).unwrap()), (2, (None, None)));
    }

    #[test]
    fn decimals_of_38_digits_and_uuids_are_whole() {
        let high = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
        let decimal = field(PrimitiveType::Decimal { precision: 38, scale: 0 }, MetricsMode::STANDARD);
        let metrics = gather(&decimal, Arc::new(Decimal128Array::from(vec![high, -high])));
        let (lower, upper) = metrics.bounds(&decimal).unwrap();
        assert_eq!(literal(lower), Some(PrimitiveLiteral::Int128(-high)));
        assert_eq!(literal(upper), Some(PrimitiveLiteral::Int128(high)));
        let uuid = field(PrimitiveType::Uuid, MetricsMode::Truncate(4));
        let values = FixedSizeBinaryArray::try_from_iter([[200_u8; 16], [100; 16]].into_iter()).unwrap();
        let (lower, upper) = gather(&uuid, Arc::new(values)).bounds(&uuid).unwrap();
        assert_eq!(literal(lower), Some(PrimitiveLiteral::UInt128(u128::from_be_bytes([100; 16]))));
        assert_eq!(literal(upper), Some(PrimitiveLiteral::UInt128(u128::from_be_bytes([200; 16]))));
    }

    #[test]
    fn booleans_have_bounds() {
        let field = field(PrimitiveType::Boolean, MetricsMode::Full);
        let metrics = gather(&field, Arc::new(BooleanArray::from(vec![Some(true), None])));
        assert_eq!(metrics.bounds(&field).unwrap(), (Some(Datum::bool(true)), Some(Datum::bool(true))));
    }

    proptest! {
        #[test]
        fn every_string_lies_within_the_bounds(
            values in proptest::collection::vec(
                proptest::option::of("[\u{0}a\u{ff}-\u{100}\u{d7ff}\u{e000}\u{10ffff}]{0,12}"), 0..30),
            width in 1_usize..12,
        ) {
            let field = field(PrimitiveType::String, MetricsMode::Truncate(width));
            let metrics = gather(&field, Arc::new(StringArray::from(values.clone())));
            prop_assert_eq!(metrics.value_count, values.len() as u64);
            prop_assert_eq!(metrics.null_count, values.iter().filter(|v| v.is_none()).count() as u64);
            let (lower, upper) = metrics.bounds(&field).unwrap();
            prop_assert_eq!(lower.is_some(), values.iter().any(Option::is_some));
            for value in values.iter().flatten() {
                let Some(PrimitiveLiteral::String(lower)) = literal(lower.clone()) else { panic!("a string") };
                prop_assert!(lower <= *value && lower.chars().count() <= width);
                if let Some(PrimitiveLiteral::String(upper)) = literal(upper.clone()) {
                    prop_assert!(upper >= *value && upper.chars().count() <= width);
                }
            }
        }

        #[test]
        fn whole_bounds_of_bytes_are_the_extremes(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..30),
        ) {
            let field = field(PrimitiveType::Binary, MetricsMode::Full);
            let metrics = gather(&field, Arc::new(LargeBinaryArray::from_iter_values(&values)));
            let (lower, upper) = metrics.bounds(&field).unwrap();
            prop_assert_eq!(literal(lower), values.iter().min().cloned().map(PrimitiveLiteral::Binary));
            prop_assert_eq!(literal(upper), values.iter().max().cloned().map(PrimitiveLiteral::Binary));
        }

        #[test]
        fn bounds_of_doubles_are_the_extremes(
            values in proptest::collection::vec(
                proptest::option::of(prop_oneof![any::<f64>(), Just(f64::NAN)]), 1..40),
        ) {
            let field = field(PrimitiveType::Double, MetricsMode::Full);
            let metrics = gather(&field, Arc::new(Float64Array::from(values.clone())));
            let numbers = || values.iter().flatten().filter(|v| !v.is_nan()).copied();
            prop_assert_eq!(metrics.nan_count, values.iter().flatten().filter(|v| v.is_nan()).count() as u64);
            let (lower, upper) = metrics.bounds(&field).unwrap();
            prop_assert_eq!(lower, numbers().reduce(f64::min).map(Datum::double));
            prop_assert_eq!(upper, numbers().reduce(f64::max).map(Datum::double));
        }
    }
}
