//! Which casts keep every value.

use arrow_schema::{DataType, TimeUnit};

/// Whether every value of `from` is a value of `to`, and a cast gives it.
pub(super) fn casts_safely(from: &DataType, to: &DataType) -> bool {
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
            from_zone.is_some() == to_zone.is_some() && rank(*unit) <= rank(*to_unit)
        }
        _ => false,
    }
}

/// Whether a cast from `from` to `to` keeps the values that have no finer part than `to` can hold, so that each
/// batch has to be looked at: nanoseconds as microseconds, dates in milliseconds as days.
pub(super) fn casts_if_exact(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Dictionary(_, from), to) => casts_if_exact(from, to),
        (T::RunEndEncoded(_, from), to) => casts_if_exact(from.data_type(), to),
        (T::Timestamp(TimeUnit::Nanosecond, from_zone), T::Timestamp(TimeUnit::Microsecond, to_zone)) => {
            from_zone.is_some() == to_zone.is_some()
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
