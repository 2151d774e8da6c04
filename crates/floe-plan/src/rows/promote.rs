//! Values of a column as the type that it was promoted to (Iceberg spec, "Schema Evolution").

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, TimeUnit};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A cast that fails, and gives neither NULL nor another value, for a value that does not fit: Arrow's own goes round the
/// ends of timestamps for dates that are too far away.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{ArrayRef, Date32Array};
/// use arrow_schema::{DataType, TimeUnit};
/// use floe_plan::rows::promote::strict_cast;
///
/// let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
/// let date = |days| Arc::new(Date32Array::from(vec![days])) as ArrayRef;
/// assert!(strict_cast(&date(19_000), &nanoseconds).is_ok());
/// assert!(strict_cast(&date(2_932_896), &nanoseconds).is_err(), "the end of the year 9999");
/// ```
pub fn strict_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), to) {
        (DataType::Date32, DataType::Timestamp(unit, None)) => timestamps(array, *unit, to),
        (DataType::Dictionary(_, values), DataType::Timestamp(..)) if **values == DataType::Date32 => {
            strict_cast(&arrow_cast(array, values)?, to)
        }
        _ => arrow_cast(array, to),
    }
}

fn arrow_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// The midnights of dates.
fn timestamps(array: &ArrayRef, unit: TimeUnit, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let days = array.as_primitive::<Date32Type>();
    let times = |per_day: i64| {
        move |day: i32| {
            let beyond = || ArrowError::CastError("a date is beyond the range of timestamps".to_owned());
            i64::from(day).checked_mul(per_day).ok_or_else(beyond)
        }
    };
    Ok(match unit {
        TimeUnit::Microsecond => {
            Arc::new(days.try_unary::<_, TimestampMicrosecondType, _>(times(MICROS_PER_DAY))?)
        }
        TimeUnit::Nanosecond => {
            Arc::new(days.try_unary::<_, TimestampNanosecondType, _>(times(MICROS_PER_DAY * 1000))?)
        }
        TimeUnit::Second | TimeUnit::Millisecond => return arrow_cast(array, to),
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{Date32Array, DictionaryArray, Int32Array};

    use super::*;

    #[test]
    fn dates_become_midnights_or_an_error() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None, Some(2)]));
        let keys = Int32Array::from(vec![0, 1, 2]);
        let dictionary: ArrayRef =
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, dates.clone()).unwrap());
        for dates in [dates, dictionary] {
            let done = strict_cast(&dates, &micros).unwrap();
            let done = done.as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>();
            assert_eq!(done, [Some(-86_400_000_000), None, Some(172_800_000_000)]);
            let done = strict_cast(&dates, &nanos).unwrap();
            assert_eq!(done.as_primitive::<TimestampNanosecondType>().value(2), 172_800_000_000_000);
        }
        // The last day that nanoseconds reach, and the one after it; the same for microseconds.
        for (to, last) in [(&nanos, 106_751), (&micros, 106_751_991)] {
            for (days, fits) in [(last, true), (-last, true), (last + 1, false), (-last - 1, false)] {
                let date: ArrayRef = Arc::new(Date32Array::from(vec![days]));
                assert_eq!(strict_cast(&date, to).is_ok(), fits, "{days} as {to}");
            }
        }
    }
}
