//! The type of a text column, from a sample of its values.

use std::sync::Arc;

use arrow_array::{Array, StringArray};
use arrow_schema::{DataType, TimeUnit};
use floe::plan::convert::{ConvertOptions, parse};

use super::normalise::UTC;

/// The narrowest type that every value of the sample has: boolean, long, decimal for whole numbers beyond it, double, date, timestamp with or
/// without zone, and else string. A sample without values is a string column.
///
/// Whole numbers are long, however small those of the sample are. Numbers with leading zeros (`007`) are
/// identifiers, and stay strings.
pub(super) fn infer(sample: &StringArray) -> DataType {
    let is_number = |t: &str| !has_leading_zero(t) && !t.starts_with('+');
    if sample.null_count() == sample.len() {
        return DataType::Utf8;
    }
    if sample.iter().flatten().all(|t| t.eq_ignore_ascii_case("true") || t.eq_ignore_ascii_case("false")) {
        return DataType::Boolean;
    }
    if sample.iter().flatten().all(is_number)
        && let Some(number) = infer_number(sample)
    {
        return number;
    }
    infer_time(sample).unwrap_or(DataType::Utf8)
}

/// The type that has every number of the sample exactly: long, decimal for whole numbers beyond it, else double.
pub(super) fn infer_number(sample: &StringArray) -> Option<DataType> {
    let whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let mut types = vec![DataType::Float64];
    if sample.iter().flatten().all(whole) {
        types = vec![DataType::Int64, DataType::Decimal128(20, 0), DataType::Decimal128(38, 0)];
    }
    types.into_iter().find(|to| fits(sample, to))
}

fn fits(sample: &StringArray, to: &DataType) -> bool {
    parse(sample, to, &ConvertOptions::default()).is_ok()
}

/// Date, timestamp or instant, if every value of the sample is one. For JSON, where text is no number.
pub(super) fn infer_time(sample: &StringArray) -> Option<DataType> {
    if sample.null_count() == sample.len() {
        return None;
    }
    let all = |what: fn(&str) -> bool| sample.iter().flatten().all(what);
    let zone: Option<Arc<str>> = Some(UTC.into());
    let to = if all(is_date) {
        DataType::Date32
    } else if all(|t| has_time(t) && has_zone(t)) {
        DataType::Timestamp(TimeUnit::Microsecond, zone)
    } else if all(|t| is_date(t) || has_time(t) && !has_zone(t)) {
        DataType::Timestamp(TimeUnit::Microsecond, None)
    } else {
        return None;
    };
    fits(sample, &to).then_some(to)
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

/// `2013-01-31`.
fn is_date(text: &str) -> bool {
    text.len() == 10 && shape(text)
}

/// A date, `T` or a space, and more.
fn has_time(text: &str) -> bool {
    text.len() >= 16 && shape(text) && matches!(text.as_bytes()[10], b'T' | b' ' | b't')
}

/// `…Z`, `…+01:00`, `…-0500`.
fn has_zone(text: &str) -> bool {
    text.ends_with(['Z', 'z']) || text.get(11..).is_some_and(|time| time.contains(['+', '-']))
}

fn shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().take(10).enumerate().all(|(i, b)| match i {
        4 | 7 => *b == b'-',
        _ => b.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> DataType {
        infer(&values.iter().map(|v| (!v.is_empty()).then_some(*v)).collect())
    }

    #[test]
    fn the_narrowest_type_wins() {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (values, expected) in [
            (vec!["true", "", "False"], DataType::Boolean),
            (vec!["1", "-2", "0"], DataType::Int64),
            (vec!["1", "2.5"], DataType::Float64),
            (vec!["1e3", "nan", "0.5"], DataType::Float64),
            (vec!["2013-01-31"], DataType::Date32),
            (vec!["2013-01-31T10:00:00Z", "2013-01-31 10:00:00+02:00"], instant),
            (vec!["2013-01-31 10:00:00", "2013-02-01"], timestamp),
            (vec!["2013-01-31T10:00:00", "2013-01-31T10:00:00Z"], DataType::Utf8),
            (vec!["2013-02-31"], DataType::Utf8),
            (vec!["007", "1"], DataType::Utf8),
            (vec!["-01"], DataType::Utf8),
            (vec!["+49301234"], DataType::Utf8),
            (vec!["99999999999999999999"], DataType::Decimal128(20, 0)),
            (vec!["1", "999999999999999999999"], DataType::Decimal128(38, 0)),
            (vec!["9007199254740993", "0.5"], DataType::Utf8),
            (vec!["2013-01-31 10:00:00.123456789"], DataType::Utf8),
            (vec!["1", "x"], DataType::Utf8),
            (vec!["", ""], DataType::Utf8),
            (vec!["größe 12345678"], DataType::Utf8),
        ] {
            assert_eq!(of(&values), expected, "{values:?}");
        }
    }
}
