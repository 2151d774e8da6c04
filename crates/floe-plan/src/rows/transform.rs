//! Partition transforms over Arrow arrays (Iceberg spec, "Partition Transforms").

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, Date32Array, Int32Array, StringArray, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{PrimitiveType, Transform};

use super::bounds::{truncate_bytes, truncate_str};
use super::hash::murmur3;
use crate::expr::Value;

const MICROS_PER_DAY: i64 = 86_400_000_000;
const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// The partition value of each value of `input`, an array as the table's Arrow schema has it. NULL gives NULL.
///
/// Fails with `Unsupported` for a transform that the type of `input` does not have.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{Date32Array, Int32Array, TimestampMicrosecondArray};
/// use floe_plan::rows::transform::apply;
/// use iceberg::spec::Transform;
///
/// let times = Arc::new(TimestampMicrosecondArray::from(vec![-1, 0]));
/// let days = apply(Transform::Day, &(times as _)).unwrap();
/// assert_eq!(days.as_ref(), &Date32Array::from(vec![-1, 0]) as &dyn arrow_array::Array);
/// ```
pub fn apply(transform: Transform, input: &ArrayRef) -> Result<ArrayRef> {
    match transform {
        Transform::Identity => Ok(input.clone()),
        Transform::Void => Ok(new_null_array(input.data_type(), input.len())),
        Transform::Year => {
            Ok(Arc::new(days(transform, input)?.unary::<_, Int32Type>(|d| months_of_day(d).div_euclid(12))))
        }
        Transform::Month => Ok(Arc::new(days(transform, input)?.unary::<_, Int32Type>(months_of_day))),
        Transform::Day => Ok(Arc::new(days(transform, input)?)),
        Transform::Hour => hours(input),
        Transform::Bucket(buckets) => bucket(buckets, input),
        Transform::Truncate(width) => truncate(width, input),
        Transform::Unknown => Err(unsupported(transform, input)),
    }
}

fn unsupported(transform: Transform, input: &ArrayRef) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the transform {transform} of {} is not known", input.data_type()),
    )
    .with_hint("change the table's partition spec")
}

fn micros_of_nanos(nanos: i64) -> i64 {
    nanos.div_euclid(1000)
}

/// Days from 1970-01-01.
fn days(transform: Transform, input: &ArrayRef) -> Result<Date32Array> {
    match input.data_type() {
        DataType::Date32 => Ok(input.as_primitive::<Date32Type>().clone()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(input
            .as_primitive::<TimestampMicrosecondType>()
            .unary::<_, Date32Type>(|v| v.div_euclid(MICROS_PER_DAY) as i32)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Ok(input
                .as_primitive::<TimestampNanosecondType>()
                .unary::<_, Date32Type>(|v| v.div_euclid(MICROS_PER_DAY * 1000) as i32))
        }
        _ => Err(unsupported(transform, input)),
    }
}

/// Hours from 1970-01-01T00:00. A microsecond timestamp more than 245,000 years away has none in 32 bits.
fn hours(input: &ArrayRef) -> Result<ArrayRef> {
    let hours: Int32Array = match input.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => input
            .as_primitive::<TimestampMicrosecondType>()
            .try_unary(|v| i32::try_from(v.div_euclid(MICROS_PER_HOUR)))
            .map_err(|_| {
                let message = "a timestamp is too far from 1970 to be partitioned by hour";
                Error::new(ErrorKind::SchemaMismatch, message)
            })?,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => input
            .as_primitive::<TimestampNanosecondType>()
            .unary(|v| v.div_euclid(MICROS_PER_HOUR * 1000) as i32),
        _ => return Err(unsupported(Transform::Hour, input)),
    };
    Ok(Arc::new(hours))
}

/// Months from 1970-01, of a day of the proleptic Gregorian calendar.
fn months_of_day(day: i32) -> i32 {
    // Years that begin in March, in eras of 400 years: leap days come last.
    let shifted = i64::from(day) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let months = (year_of_era + era * 400) * 12 + month_from_march + 2;
    (months - 1970 * 12) as i32
}

/// The hash of a value, modulo the number of buckets (Iceberg spec, "Bucket Transform Details", appendix B).
fn bucket(buckets: u32, input: &ArrayRef) -> Result<ArrayRef> {
    if buckets == 0 || buckets > i32::MAX as u32 {
        return Err(Error::validation("a bucket transform needs at least one bucket, at most 2147483647"));
    }
    let of = |bytes: &[u8]| bucket_of_bytes(bytes, buckets);
    let of_long = |v: i64| of(&v.to_le_bytes());
    let array: Int32Array = match input.data_type() {
        DataType::Int32 => input.as_primitive::<Int32Type>().unary(|v| of_long(v.into())),
        DataType::Date32 => input.as_primitive::<Date32Type>().unary(|v| of_long(v.into())),
        DataType::Int64 => input.as_primitive::<Int64Type>().unary(of_long),
        DataType::Time64(TimeUnit::Microsecond) => {
            input.as_primitive::<Time64MicrosecondType>().unary(of_long)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            input.as_primitive::<TimestampMicrosecondType>().unary(of_long)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            input.as_primitive::<TimestampNanosecondType>().unary(|v| of_long(micros_of_nanos(v)))
        }
        DataType::Decimal128(..) => {
            input.as_primitive::<Decimal128Type>().unary(|v| of(&v.to_be_bytes()[16 - signed_bytes(v)..]))
        }
        _ => {
            let values = byte_values(input).ok_or_else(|| unsupported(Transform::Bucket(buckets), input))?;
            values.map(|value| value.map(of)).collect()
        }
    };
    Ok(Arc::new(array))
}

/// The bucket of one value of a column of type `ty`; `None` for a type that has no buckets.
pub(crate) fn bucket_of(value: &Value, ty: &PrimitiveType, buckets: u32) -> Option<i32> {
    if buckets == 0 || buckets > i32::MAX as u32 {
        return None;
    }
    Some(match (value, ty) {
        (Value::Integer(v), PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs) => {
            bucket_of_bytes(&micros_of_nanos(*v).to_le_bytes(), buckets)
        }
        (Value::Integer(v), _) => bucket_of_bytes(&v.to_le_bytes(), buckets),
        (Value::Decimal(v), _) => bucket_of_bytes(&v.to_be_bytes()[16 - signed_bytes(*v)..], buckets),
        (Value::String(_) | Value::Bytes(_), _) => bucket_of_bytes(value.as_ordered_bytes()?, buckets),
        (Value::Boolean(_) | Value::Float(_), _) => return None,
    })
}

fn bucket_of_bytes(bytes: &[u8], buckets: u32) -> i32 {
    ((murmur3(bytes) & i32::MAX as u32) % buckets) as i32
}

/// How many bytes the two's complement of `v` needs: 1 to 16.
fn signed_bytes(v: i128) -> usize {
    let significant = 128 - if v < 0 { v.leading_ones() } else { v.leading_zeros() };
    significant as usize / 8 + 1
}

/// The multiple of `width` at or below a number; the first `width` code points or bytes of the rest.
fn truncate(width: u32, input: &ArrayRef) -> Result<ArrayRef> {
    if width == 0 || width > i32::MAX as u32 {
        return Err(Error::validation(
            "a truncate transform needs a width of at least 1, at most 2147483647",
        ));
    }
    let wide = i64::from(width);
    Ok(match input.data_type() {
        DataType::Int32 => Arc::new(
            input
                .as_primitive::<Int32Type>()
                .unary::<_, Int32Type>(|v| (i64::from(v) - i64::from(v).rem_euclid(wide)) as i32),
        ),
        DataType::Int64 => Arc::new(
            input.as_primitive::<Int64Type>().unary::<_, Int64Type>(|v| v.wrapping_sub(v.rem_euclid(wide))),
        ),
        DataType::Decimal128(precision, scale) => Arc::new(
            input
                .as_primitive::<Decimal128Type>()
                .unary::<_, Decimal128Type>(|v| v.wrapping_sub(v.rem_euclid(wide.into())))
                .with_data_type(DataType::Decimal128(*precision, *scale)),
        ),
        DataType::Utf8 => {
            let strings = input.as_string::<i32>().iter();
            Arc::new(strings.map(|v| v.map(|v| truncate_str(v, width as usize))).collect::<StringArray>())
        }
        DataType::Binary | DataType::LargeBinary => {
            let values = byte_values(input).ok_or_else(|| unsupported(Transform::Truncate(width), input))?;
            Arc::new(values.map(|v| v.map(|v| truncate_bytes(v, width as usize))).collect::<BinaryArray>())
        }
        _ => return Err(unsupported(Transform::Truncate(width), input)),
    })
}

/// The values of an array of strings, binaries or fixed-size binaries, as bytes.
pub(super) fn byte_values(array: &ArrayRef) -> Option<Box<dyn Iterator<Item = Option<&[u8]>> + '_>> {
    Some(match array.data_type() {
        DataType::Utf8 => Box::new(array.as_string::<i32>().iter().map(|v| v.map(str::as_bytes))),
        DataType::LargeUtf8 => Box::new(array.as_string::<i64>().iter().map(|v| v.map(str::as_bytes))),
        DataType::Binary => Box::new(array.as_binary::<i32>().iter()),
        DataType::LargeBinary => Box::new(array.as_binary::<i64>().iter()),
        DataType::FixedSizeBinary(_) => Box::new(array.as_fixed_size_binary().iter()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        Decimal128Array, FixedSizeBinaryArray, Int64Array, LargeBinaryArray, Time64MicrosecondArray,
        TimestampMicrosecondArray, TimestampNanosecondArray,
    };
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn ints(transform: Transform, input: impl Array + 'static) -> Vec<i32> {
        let output = apply(transform, &(Arc::new(input) as ArrayRef)).unwrap();
        match output.data_type() {
            DataType::Date32 => output.as_primitive::<Date32Type>().values().to_vec(),
            _ => output.as_primitive::<Int32Type>().values().to_vec(),
        }
    }

    #[test]
    fn hashes_are_those_of_the_specification() {
        let all = i32::MAX as u32;
        let of = |hash: i32| vec![(hash & i32::MAX) % i32::MAX];
        let bucket = Transform::Bucket(all);
        assert_eq!(ints(bucket, Int32Array::from(vec![34])), of(2_017_239_379));
        assert_eq!(ints(bucket, Int64Array::from(vec![34])), of(2_017_239_379));
        let decimal = Decimal128Array::from(vec![1420]).with_precision_and_scale(9, 2).unwrap();
        assert_eq!(ints(bucket, decimal), of(-500_754_589));
        assert_eq!(ints(bucket, Date32Array::from(vec![17_486])), of(-653_330_422));
        assert_eq!(ints(bucket, Time64MicrosecondArray::from(vec![81_068_000_000])), of(-662_762_989));
        let micros = 1_510_871_468_000_000;
        assert_eq!(ints(bucket, TimestampMicrosecondArray::from(vec![micros])), of(-2_047_944_441));
        assert_eq!(
            ints(bucket, TimestampNanosecondArray::from(vec![micros * 1000 + 999])),
            of(-2_047_944_441)
        );
        assert_eq!(ints(bucket, StringArray::from(vec!["iceberg"])), of(1_210_000_089));
        let uuid = 0xf79c_3e09_677c_4bbd_a479_3f34_9cb7_85e7_u128.to_be_bytes();
        let uuids = FixedSizeBinaryArray::try_from_iter([uuid].into_iter()).unwrap();
        assert_eq!(ints(bucket, uuids), of(1_488_055_340));
        let fixed = FixedSizeBinaryArray::try_from_iter([[0_u8, 1, 2, 3]].into_iter()).unwrap();
        assert_eq!(ints(bucket, fixed), of(-188_683_207));
        assert_eq!(ints(bucket, LargeBinaryArray::from(vec![[0_u8, 1, 2, 3].as_slice()])), of(-188_683_207));
    }

    /// Values that another implementation gives.
    #[test]
    fn hashes_are_those_of_other_writers() {
        let bucket = Transform::Bucket(i32::MAX as u32);
        assert_eq!(ints(bucket, Int32Array::from(vec![-1])), [1_651_860_712]);
        assert_eq!(ints(bucket, Int64Array::from(vec![i64::MIN])), [1_366_273_829]);
        let decimals =
            Decimal128Array::from(vec![-128, -129, 128, 0]).with_precision_and_scale(9, 2).unwrap();
        assert_eq!(ints(bucket, decimals), [267_099_677, 1_711_945_809, 1_544_076_949, 1_364_076_727]);
        let wide = Decimal128Array::from(vec![-(10_i128.pow(37))]).with_precision_and_scale(38, 0).unwrap();
        assert_eq!(ints(bucket, wide), [60_620_405]);
        assert_eq!(ints(bucket, Date32Array::from(vec![-1])), [1_651_860_712]);
        let times = TimestampMicrosecondArray::from(vec![-1, 1_510_871_468_000_001]);
        assert_eq!(ints(bucket, times), [1_651_860_712, 940_286_838]);
        let strings = StringArray::from(vec!["", "Ångström\u{10ffff}"]);
        assert_eq!(ints(bucket, strings), [0, 1_129_700_651]);
    }

    /// The library rounds the day of a time in the last second before a midnight before 1970 up, which is why it is not
    /// used; `prune` finds the rows of such files nevertheless.
    #[test]
    fn a_time_within_a_second_before_midnight_belongs_to_its_own_day() {
        let input = TimestampMicrosecondArray::from(vec![-86_400_500_000]);
        assert_eq!(ints(Transform::Day, input.clone()), [-2]);
        let theirs = iceberg::transform::create_transform_function(&Transform::Day).unwrap();
        let theirs = theirs.transform(Arc::new(input)).unwrap();
        assert_eq!(theirs.as_primitive::<Date32Type>().values(), &[-1]);
    }

    #[test]
    fn an_hour_that_32_bits_cannot_count_is_refused() {
        let input: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX]));
        assert_eq!(apply(Transform::Hour, &input).unwrap_err().kind(), ErrorKind::SchemaMismatch);
    }

    /// Near the borders of hours, days, months and years, and anywhere.
    fn nanos() -> impl Strategy<Value = i64> {
        let second = 1_000_000_000;
        prop_oneof![
            (-900_i64..900, -2 * second..2 * second).prop_map(move |(days, n)| days * 86_400 * second + n),
            (-90_i64..90, -2_i64..3).prop_map(move |(hours, n)| hours * 3_600 * second + n),
            any::<i64>(),
        ]
    }

    fn times_agree(input: impl Array + 'static, nanos: i128) {
        let input: ArrayRef = Arc::new(input);
        let of = |transform| {
            let output = apply(transform, &input).unwrap();
            arrow_cast::cast(&output, &DataType::Int32).unwrap().as_primitive::<Int32Type>().value(0)
        };
        let day = nanos.div_euclid(86_400_000_000_000) as i64;
        let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::TimeDelta::days(day);
        assert_eq!(of(Transform::Year), date.year() - 1970);
        assert_eq!(of(Transform::Month), (date.year() - 1970) * 12 + date.month0() as i32);
        assert_eq!(i64::from(of(Transform::Day)), day);
        assert_eq!(i128::from(of(Transform::Hour)), nanos.div_euclid(3_600_000_000_000));
        let micros = nanos.div_euclid(1000) as i64;
        let hash = murmur3(&micros.to_le_bytes()) & i32::MAX as u32;
        assert_eq!(of(Transform::Bucket(97)), (hash % 97) as i32);
    }

    #[test]
    fn a_nanosecond_before_the_epoch_belongs_to_the_microsecond_before() {
        let nanos = ints(Transform::Bucket(1000), TimestampNanosecondArray::from(vec![-1]));
        assert_eq!(nanos, ints(Transform::Bucket(1000), TimestampMicrosecondArray::from(vec![-1])));
        assert_eq!(ints(Transform::Day, TimestampNanosecondArray::from(vec![-1])), [-1]);
        assert_eq!(ints(Transform::Hour, TimestampNanosecondArray::from(vec![-1])), [-1]);
    }

    #[test]
    fn numbers_are_truncated_downwards() {
        assert_eq!(
            ints(Transform::Truncate(10), Int32Array::from(vec![-1, -10, 0, 9, 10])),
            [-10, -10, 0, 0, 10]
        );
        let decimals = Decimal128Array::from(vec![1065, -1065]).with_precision_and_scale(9, 2).unwrap();
        let output = apply(Transform::Truncate(50), &(Arc::new(decimals) as ArrayRef)).unwrap();
        assert_eq!(output.data_type(), &DataType::Decimal128(9, 2));
        assert_eq!(output.as_primitive::<Decimal128Type>().values(), &[1050, -1100]);
    }

    #[test]
    fn strings_are_truncated_by_code_points_and_binaries_by_bytes() {
        let strings: ArrayRef = Arc::new(StringArray::from(vec![Some("ääää"), None, Some("b")]));
        let expected = StringArray::from(vec![Some("äää"), None, Some("b")]);
        assert_eq!(apply(Transform::Truncate(3), &strings).unwrap().as_ref(), &expected as &dyn Array);
        let bytes: ArrayRef = Arc::new(LargeBinaryArray::from(vec![[1_u8, 2, 3].as_slice()]));
        let expected = BinaryArray::from(vec![[1_u8, 2].as_slice()]);
        assert_eq!(apply(Transform::Truncate(2), &bytes).unwrap().as_ref(), &expected as &dyn Array);
    }

    #[test]
    fn a_float_has_no_bucket() {
        let floats: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![1.0]));
        assert_eq!(apply(Transform::Bucket(4), &floats).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    proptest! {
        #[test]
        fn dates_agree_with_the_calendar(day in -700_000_i32..700_000) {
            let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Days::new(0)
                + chrono::TimeDelta::days(day.into());
            let months = (date.year() - 1970) * 12 + date.month0() as i32;
            prop_assert_eq!(ints(Transform::Month, Date32Array::from(vec![day])), vec![months]);
            prop_assert_eq!(ints(Transform::Year, Date32Array::from(vec![day])), vec![date.year() - 1970]);
        }

        #[test]
        fn times_agree_with_a_plain_model(nanos in nanos(), far in -60_000_000_000_000_000_i64..60_000_000_000_000_000) {
            for micros in [nanos / 1000, far] {
                let input = TimestampMicrosecondArray::from(vec![micros]);
                times_agree(input, i128::from(micros) * 1000);
            }
            times_agree(TimestampNanosecondArray::from(vec![nanos]), nanos.into());
        }

        #[test]
        fn integers_are_truncated_as_a_plain_model_does(v in any::<i64>(), near in 0..9_i64, width in 1..1_000_u32) {
            for v in [v, i64::MIN + near, i64::MAX - near, near - 5] {
                // Below the least number it comes out at the other end, as in Java.
                let wide = i128::from(v) - i128::from(v).rem_euclid(width.into());
                let output = apply(Transform::Truncate(width), &(Arc::new(Int64Array::from(vec![v])) as _)).unwrap();
                prop_assert_eq!(output.as_primitive::<Int64Type>().value(0), wide as i64);
                let v = v as i32;
                let wide = i64::from(v) - i64::from(v).rem_euclid(width.into());
                prop_assert_eq!(ints(Transform::Truncate(width), Int32Array::from(vec![v])), vec![wide as i32]);
            }
        }

        #[test]
        fn one_value_has_the_bucket_of_its_array(v in any::<i64>(), text in ".{0,9}", buckets in 1..2_000_u32) {
            use PrimitiveType as T;
            let number = Value::Integer(v);
            let cases: [(Value, T, ArrayRef); 6] = [
                (number.clone(), T::Long, Arc::new(Int64Array::from(vec![v]))),
                (Value::Integer((v as i32).into()), T::Int, Arc::new(Int32Array::from(vec![v as i32]))),
                (number.clone(), T::Timestamp, Arc::new(TimestampMicrosecondArray::from(vec![v]))),
                (number, T::TimestamptzNs, Arc::new(TimestampNanosecondArray::from(vec![v]))),
                (
                    Value::Decimal(v.into()),
                    T::Decimal { precision: 38, scale: 0 },
                    Arc::new(Decimal128Array::from(vec![i128::from(v)])),
                ),
                (Value::String(text.clone()), T::String, Arc::new(StringArray::from(vec![text]))),
            ];
            for (value, ty, array) in cases {
                let of_array = apply(Transform::Bucket(buckets), &array).unwrap();
                let of_array = of_array.as_primitive::<Int32Type>().value(0);
                prop_assert_eq!(bucket_of(&value, &ty, buckets), Some(of_array), "{}", ty);
            }
        }

        #[test]
        fn decimals_agree_with_the_library(value in any::<i64>(), shift in 0_u32..60) {
            let decimal = Decimal128Array::from(vec![i128::from(value) << shift]);
            let input: ArrayRef = Arc::new(decimal.with_precision_and_scale(38, 2).unwrap());
            for transform in [Transform::Bucket(1009), Transform::Truncate(37)] {
                let theirs = iceberg::transform::create_transform_function(&transform).unwrap();
                prop_assert_eq!(&apply(transform, &input).unwrap(), &theirs.transform(input.clone()).unwrap());
            }
        }
    }
}
