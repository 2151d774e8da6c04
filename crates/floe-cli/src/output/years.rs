//! Dates and timestamps of years that have no text.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use chrono::NaiveDateTime;
use floe::{Error, ErrorKind, Result};

const SECONDS_A_DAY: i64 = 86_400;

/// Checks that every date and timestamp of the batch, nested ones too, has a text. Writers of JSON would put the words of
/// an error in its place.
pub(super) fn check(batch: &RecordBatch) -> Result<()> {
    if batch.columns().iter().all(fits) { Ok(()) } else { Err(beyond()) }
}

/// The error for a value that has no text.
pub(super) fn beyond() -> Error {
    Error::new(ErrorKind::Unsupported, "a value cannot be written as text")
        .with_hint("dates and times beyond the year 262143 have none; use arrow or parquet")
}

fn fits(array: &ArrayRef) -> bool {
    let array = array.as_ref();
    match array.data_type() {
        DataType::Date32 => within::<Date32Type>(array, |days| i64::from(days) * SECONDS_A_DAY),
        DataType::Date64 => within::<Date64Type>(array, |millis| millis.div_euclid(1000)),
        DataType::Timestamp(TimeUnit::Second, _) => within::<TimestampSecondType>(array, |seconds| seconds),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            within::<TimestampMillisecondType>(array, |millis| millis.div_euclid(1000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            within::<TimestampMicrosecondType>(array, |micros| micros.div_euclid(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            within::<TimestampNanosecondType>(array, |nanos| nanos.div_euclid(1_000_000_000))
        }
        // What stands below a NULL has no text, whatever it is.
        DataType::Struct(_) => array.as_struct().clone().flatten().1.iter().all(fits),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            list.iter().flatten().all(|items| fits(&items))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            list.iter().flatten().all(|items| fits(&items))
        }
        DataType::FixedSizeList(..) => array.as_fixed_size_list().iter().flatten().all(|items| fits(&items)),
        DataType::Map(..) => {
            array.as_map().iter().flatten().all(|entries| entries.columns().iter().all(fits))
        }
        _ => true,
    }
}

fn within<T: ArrowPrimitiveType>(array: &dyn Array, seconds: impl Fn(T::Native) -> i64) -> bool {
    let (first, last) = (NaiveDateTime::MIN.and_utc().timestamp(), NaiveDateTime::MAX.and_utc().timestamp());
    array.as_primitive::<T>().iter().flatten().all(|value| (first..=last).contains(&seconds(value)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, ListArray, StructArray, TimestampMicrosecondArray};
    use arrow_buffer::{NullBuffer, OffsetBuffer};
    use arrow_cast::display::{ArrayFormatter, FormatOptions};
    use arrow_schema::Field;
    use proptest::prelude::*;

    use super::*;

    /// Whether Arrow gives a text.
    fn has_text(array: &dyn Array) -> bool {
        let options = FormatOptions::default().with_display_error(false);
        let formatter = ArrayFormatter::try_new(array, &options).unwrap();
        std::fmt::write(&mut String::new(), format_args!("{}", formatter.value(0))).is_ok()
    }

    fn nested(leaf: ArrayRef) -> ArrayRef {
        let field = Arc::new(Field::new("x", leaf.data_type().clone(), true));
        let list = ListArray::new(field, OffsetBuffer::from_lengths([1]), leaf, None);
        Arc::new(StructArray::from(vec![(
            Arc::new(Field::new("list", list.data_type().clone(), true)),
            Arc::new(list) as ArrayRef,
        )]))
    }

    proptest! {
        #[test]
        fn what_is_let_through_has_a_text(micros: i64, days: i32, edge in -3_i64..3, last: bool) {
            let end = if last { NaiveDateTime::MAX } else { NaiveDateTime::MIN }.and_utc().timestamp_micros();
            for micros in [micros, end.saturating_add(edge * 1_000_000)] {
                let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![micros]));
                prop_assert!(!fits(&array) || has_text(&array));
                prop_assert_eq!(fits(&nested(array.clone())), fits(&array));
            }
            let array: ArrayRef = Arc::new(Date32Array::from(vec![days]));
            prop_assert!(!fits(&array) || has_text(&array));
        }
    }

    #[test]
    fn usual_years_fit_and_what_is_null_does_not_count() {
        let far: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX]));
        assert!(!fits(&far));
        assert!(fits(&(Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None])) as ArrayRef)));
        let field = Arc::new(Field::new("x", far.data_type().clone(), true));
        let hidden = StructArray::new(vec![field].into(), vec![far], Some(NullBuffer::from(vec![false])));
        assert!(fits(&(Arc::new(hidden) as ArrayRef)));
    }
}
