//! Which statistics of a footer are proven (Parquet specification, "Statistics", "Column Orders").

use parquet::basic::{ColumnOrder, ConvertedType, LogicalType, SortOrder, Type as Physical};
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescriptor;

use super::writer::Writer;

/// What is left of the statistics of a column chunk of `values` values when all is taken away that may be false. `None` if
/// they can be believed as they are.
pub(super) fn doubted(
    statistics: &Statistics,
    column: &ColumnDescriptor,
    order: ColumnOrder,
    writer: Option<&Writer>,
    values: i64,
) -> Option<Statistics> {
    let nulls = statistics.null_count_opt();
    let possible = nulls.filter(|nulls| i64::try_from(*nulls).is_ok_and(|nulls| nulls <= values));
    let bounded = statistics.min_bytes_opt().is_some() || statistics.max_bytes_opt().is_some();
    if bounded && !is_proven(statistics, column, order, writer) {
        return Some(without_bounds(statistics, possible));
    }
    if let Some(zeros) = with_both_zeros(statistics, possible) {
        return Some(zeros);
    }
    // What is proven is written by its new name from now on.
    let renamed = bounded && statistics.is_min_max_deprecated();
    (renamed || possible != nulls).then(|| with_nulls(statistics, possible))
}

/// Whether no value of the chunk, NULL and NaN apart, lies outside of the bounds.
pub(super) fn is_proven(
    statistics: &Statistics,
    column: &ColumnDescriptor,
    order: ColumnOrder,
    writer: Option<&Writer>,
) -> bool {
    // Statistics of the old fields are of signed comparison; of the new ones, of the order that the footer says.
    let sort = ColumnOrder::sort_order_for_type(
        column.logical_type_ref(),
        column.converted_type(),
        column.physical_type(),
    );
    let declared = match order {
        _ if statistics.is_min_max_deprecated() => SortOrder::SIGNED,
        ColumnOrder::TYPE_DEFINED_ORDER(sort) => sort,
        // Nobody compares signed numbers in another way.
        ColumnOrder::UNDEFINED if is_number(column.physical_type()) => SortOrder::SIGNED,
        ColumnOrder::UNDEFINED | ColumnOrder::UNKNOWN => SortOrder::UNDEFINED,
    };
    if declared != sort || sort == SortOrder::UNDEFINED {
        return false;
    }
    match statistics {
        Statistics::Boolean(s) => in_order(s),
        Statistics::Int32(s) => unsigned_or(sort, s, |v| *v as u32),
        Statistics::Int64(s) => unsigned_or(sort, s, |v| *v as u64),
        // Compared in ways that differ, and written by nobody who got them right for long.
        Statistics::Int96(_) => false,
        // NaN is neither less nor greater: one bound of NaN means that the other may be anything.
        Statistics::Float(s) => {
            let nan = [s.min_opt(), s.max_opt()].into_iter().flatten().any(|v| v.is_nan());
            !nan && in_order(s) && writer.is_some_and(Writer::knows_nan)
        }
        Statistics::Double(s) => {
            let nan = [s.min_opt(), s.max_opt()].into_iter().flatten().any(|v| v.is_nan());
            !nan && in_order(s) && writer.is_some_and(Writer::knows_nan)
        }
        Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_) => {
            let believed = if is_decimal(column) {
                writer.is_some_and(Writer::orders_decimal_bytes)
            } else {
                // A half-precision number is stored as two bytes.
                sort == SortOrder::UNSIGNED && writer.is_some_and(Writer::orders_bytes)
            };
            let bytes = (statistics.min_bytes_opt(), statistics.max_bytes_opt());
            let ordered = match bytes {
                (Some(min), Some(max)) if !is_decimal(column) => min <= max,
                _ => true,
            };
            believed && ordered && !statistics.is_min_max_deprecated()
        }
    }
}

fn is_number(physical: Physical) -> bool {
    matches!(
        physical,
        Physical::BOOLEAN | Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE
    )
}

fn is_decimal(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }))
        || column.converted_type() == ConvertedType::DECIMAL
}

fn in_order<T: PartialOrd>(statistics: &ValueStatistics<T>) -> bool
where
    ValueStatistics<T>: Bounds<T>,
{
    match statistics.bounds() {
        (Some(min), Some(max)) => min <= max,
        _ => true,
    }
}

fn unsigned_or<T: PartialOrd, U: PartialOrd>(
    sort: SortOrder,
    statistics: &ValueStatistics<T>,
    unsigned: impl Fn(&T) -> U,
) -> bool
where
    ValueStatistics<T>: Bounds<T>,
{
    match statistics.bounds() {
        (Some(min), Some(max)) if sort == SortOrder::UNSIGNED => unsigned(min) <= unsigned(max),
        _ => in_order(statistics),
    }
}

/// The two bounds of statistics, whatever their type.
trait Bounds<T> {
    fn bounds(&self) -> (Option<&T>, Option<&T>);
}

macro_rules! bounds {
    ($($ty:ty),*) => {$(
        impl Bounds<$ty> for ValueStatistics<$ty> {
            fn bounds(&self) -> (Option<&$ty>, Option<&$ty>) {
                (self.min_opt(), self.max_opt())
            }
        }
    )*};
}

bounds!(bool, i32, i64, f32, f64);

fn without_bounds(statistics: &Statistics, nulls: Option<u64>) -> Statistics {
    let distinct = statistics.distinct_count_opt();
    match statistics {
        Statistics::Boolean(_) => Statistics::boolean(None, None, distinct, nulls, false),
        Statistics::Int32(_) => Statistics::int32(None, None, distinct, nulls, false),
        Statistics::Int64(_) => Statistics::int64(None, None, distinct, nulls, false),
        Statistics::Int96(_) => Statistics::int96(None, None, distinct, nulls, false),
        Statistics::Float(_) => Statistics::float(None, None, distinct, nulls, false),
        Statistics::Double(_) => Statistics::double(None, None, distinct, nulls, false),
        Statistics::ByteArray(_) => {
            let none = ValueStatistics::<ByteArray>::new(None, None, distinct, nulls, false);
            Statistics::ByteArray(none)
        }
        Statistics::FixedLenByteArray(_) => {
            let none = ValueStatistics::<FixedLenByteArray>::new(None, None, distinct, nulls, false);
            Statistics::FixedLenByteArray(none)
        }
    }
}

/// The statistics with another count of NULLs. Bounds of bytes stay as exact as they are.
fn with_nulls(statistics: &Statistics, nulls: Option<u64>) -> Statistics {
    macro_rules! again {
        ($variant:ident, $s:expr) => {
            Statistics::$variant(
                ValueStatistics::new(
                    $s.min_opt().cloned(),
                    $s.max_opt().cloned(),
                    $s.distinct_count(),
                    nulls,
                    false,
                )
                .with_min_is_exact($s.min_is_exact())
                .with_max_is_exact($s.max_is_exact()),
            )
        };
    }
    match statistics {
        Statistics::Boolean(s) => again!(Boolean, s),
        Statistics::Int32(s) => again!(Int32, s),
        Statistics::Int64(s) => again!(Int64, s),
        Statistics::Int96(s) => again!(Int96, s),
        Statistics::Float(s) => again!(Float, s),
        Statistics::Double(s) => again!(Double, s),
        Statistics::ByteArray(s) => again!(ByteArray, s),
        Statistics::FixedLenByteArray(s) => again!(FixedLenByteArray, s),
    }
}

/// Bounds of zero may stand for the zero of the other sign: both must lie within (Parquet specification, `ColumnOrder`).
fn with_both_zeros(statistics: &Statistics, nulls: Option<u64>) -> Option<Statistics> {
    let distinct = statistics.distinct_count_opt();
    match statistics {
        Statistics::Float(s) => {
            let (min, max) = (s.min_opt().copied(), s.max_opt().copied());
            let low = min.map(|v| if v == 0.0 { -0.0 } else { v });
            let high = max.map(|v| if v == 0.0 { 0.0 } else { v });
            let same = low.map(f32::to_bits) == min.map(f32::to_bits)
                && high.map(f32::to_bits) == max.map(f32::to_bits);
            (!same).then(|| Statistics::float(low, high, distinct, nulls, false))
        }
        Statistics::Double(s) => {
            let (min, max) = (s.min_opt().copied(), s.max_opt().copied());
            let low = min.map(|v| if v == 0.0 { -0.0 } else { v });
            let high = max.map(|v| if v == 0.0 { 0.0 } else { v });
            let same = low.map(f64::to_bits) == min.map(f64::to_bits)
                && high.map(f64::to_bits) == max.map(f64::to_bits);
            (!same).then(|| Statistics::double(low, high, distinct, nulls, false))
        }
        _ => None,
    }
}
