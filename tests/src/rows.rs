//! Rows as text, so that rows of any reader compare whatever Arrow types it chose for them.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

/// Every row of `batches` as text, sorted: `columns`, in this order, as `name=value` pairs.
///
/// Widths and encodings of Arrow do not show (`int32` and `int64`, `utf8` and `large_utf8`); values do: `-0.0` is
/// not `0.0`, NULL is not an empty string, and every NaN is the same. Panics when a column is not there.
pub fn rows(batches: &[RecordBatch], columns: &[impl AsRef<str>]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        let arrays: Vec<(&str, ArrayRef)> = columns
            .iter()
            .map(|name| {
                let name = name.as_ref();
                let column = batch
                    .column_by_name(name)
                    .unwrap_or_else(|| panic!("no column {name} in {:?}", batch.schema()));
                (name, column.clone())
            })
            .collect();
        for row in 0..batch.num_rows() {
            let mut text = String::new();
            for (name, array) in &arrays {
                let _ = write!(text, "{name}={} ", value(array, row));
            }
            rows.push(text);
        }
    }
    rows.sort_unstable();
    rows
}

/// The names of all columns of `batch`.
pub fn column_names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|f| f.name().clone()).collect()
}

/// Fails with the first rows that differ.
pub fn assert_same_rows(what: &str, actual: &[String], expected: &[String]) {
    if actual == expected {
        return;
    }
    let missing: Vec<&String> = difference(expected, actual);
    let surplus: Vec<&String> = difference(actual, expected);
    panic!(
        "{what}: {} rows, expected {}\n{} missing, the first: {:#?}\n{} surplus, the first: {:#?}",
        actual.len(),
        expected.len(),
        missing.len(),
        missing.first(),
        surplus.len(),
        surplus.first()
    );
}

/// What sorted `left` has and sorted `right` has not, counting repeats.
fn difference<'a>(left: &'a [String], right: &[String]) -> Vec<&'a String> {
    let mut right = right.iter().peekable();
    let mut only = Vec::new();
    for row in left {
        while right.peek().is_some_and(|r| *r < row) {
            right.next();
        }
        if right.peek().is_some_and(|r| *r == row) {
            right.next();
        } else {
            only.push(row);
        }
    }
    only
}

fn value(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".into();
    }
    let as_type = |wanted: &DataType| arrow_cast::cast(array, wanted).unwrap();
    match array.data_type() {
        DataType::Null => "NULL".into(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        t if t.is_integer() => as_type(&DataType::Int64).as_primitive::<Int64Type>().value(row).to_string(),
        t if t.is_floating() => {
            let value = as_type(&DataType::Float64).as_primitive::<Float64Type>().value(row);
            if value.is_nan() { "NaN".into() } else { format!("{value:?}") }
        }
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            decimal(&as_type(&DataType::Decimal128(*precision, *scale)), row, *scale)
        }
        DataType::Decimal128(_, scale) => decimal(array, row, *scale),
        DataType::Date32 => format!("day {}", array.as_primitive::<Date32Type>().value(row)),
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = as_type(&DataType::Time64(TimeUnit::Microsecond));
            format!("time {}", micros.as_primitive::<Time64MicrosecondType>().value(row))
        }
        DataType::Timestamp(_, zone) => {
            let micros = as_type(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()));
            let micros = micros.as_primitive::<TimestampMicrosecondType>().value(row);
            format!("{} {micros}", if zone.is_some() { "instant" } else { "timestamp" })
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            format!("{:?}", as_type(&DataType::LargeUtf8).as_string::<i64>().value(row))
        }
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            hex(as_type(&DataType::LargeBinary).as_binary::<i64>().value(row))
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::Struct(fields) => {
            let fields = fields.iter().zip(array.as_struct().columns());
            let parts: Vec<String> = fields.map(|(f, c)| format!("{}={}", f.name(), value(c, row))).collect();
            format!("{{{}}}", parts.join(" "))
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut parts: Vec<String> =
                (0..entries.len()).map(|i| format!("{}:{}", value(keys, i), value(values, i))).collect();
            parts.sort_unstable();
            format!("map({})", parts.join(" "))
        }
        other => panic!("rows of type {other} are not compared"),
    }
}

fn decimal(array: &ArrayRef, row: usize, scale: i8) -> String {
    format!("{}e-{scale}", array.as_primitive::<Decimal128Type>().value(row))
}

fn list(elements: &ArrayRef) -> String {
    let parts: Vec<String> = (0..elements.len()).map(|i| value(elements, i)).collect();
    format!("[{}]", parts.join(" "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".into(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float32Array, Float64Array, Int32Array, Int64Array, StringArray};

    use super::*;

    fn one(array: impl Array + 'static) -> Vec<String> {
        let batch =
            RecordBatch::try_from_iter_with_nullable([("v", Arc::new(array) as ArrayRef, true)]).unwrap();
        rows(&[batch], &["v"])
    }

    #[test]
    fn widths_do_not_show() {
        assert_eq!(one(Int32Array::from(vec![1, -2])), one(Int64Array::from(vec![1, -2])));
        assert_eq!(one(Float32Array::from(vec![0.5])), one(Float64Array::from(vec![0.5])));
    }

    #[test]
    fn different_values_stay_different() {
        assert_ne!(one(Float64Array::from(vec![0.0])), one(Float64Array::from(vec![-0.0])));
        assert_ne!(one(StringArray::from(vec![Some("")])), one(StringArray::from(vec![None::<&str>])));
        assert_ne!(one(StringArray::from(vec!["NULL"])), one(StringArray::from(vec![None::<&str>])));
    }

    #[test]
    #[should_panic(expected = "1 missing")]
    fn a_row_that_is_there_once_instead_of_twice_is_missing() {
        assert_same_rows("rows", &["a".into(), "b".into()], &["a".into(), "a".into(), "b".into()]);
    }
}
