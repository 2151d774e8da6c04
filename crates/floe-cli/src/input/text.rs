//! Text to values: columns of strings, parsed to the type of a table's column.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, LargeBinaryBuilder};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;

/// Parses every string as a `to`; NULL stays NULL. The error is the row of the first text that is none.
///
/// Binary is written in hexadecimal, a UUID in hexadecimal with or without hyphens. A decimal with more digits
/// after its point than the type has is refused, not rounded.
pub(super) fn parse(texts: &StringArray, to: &DataType) -> Result<ArrayRef, usize> {
    let parsed: ArrayRef = match to {
        DataType::Utf8 => return Ok(Arc::new(texts.clone())),
        DataType::LargeBinary => {
            let mut builder = LargeBinaryBuilder::with_capacity(texts.len(), 0);
            for (row, text) in texts.iter().enumerate() {
                match text {
                    Some(text) => builder.append_value(hex(text).ok_or(row)?),
                    None => builder.append_null(),
                }
            }
            return Ok(Arc::new(builder.finish()));
        }
        DataType::FixedSizeBinary(width) => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(texts.len(), *width);
            for (row, text) in texts.iter().enumerate() {
                match text {
                    Some(text) => {
                        let text = if *width == 16 { text.replace('-', "") } else { text.to_owned() };
                        builder.append_value(hex(&text).ok_or(row)?).map_err(|_| row)?;
                    }
                    None => builder.append_null(),
                }
            }
            return Ok(Arc::new(builder.finish()));
        }
        DataType::Decimal128(_, scale) => {
            let fine = |text: &str| fraction_digits(text) > i64::from(*scale);
            if let Some(row) = texts.iter().position(|t| t.is_some_and(fine)) {
                return Err(row);
            }
            lenient(texts, to)?
        }
        _ => lenient(texts, to)?,
    };
    if parsed.null_count() > texts.null_count() {
        let row = (0..texts.len()).find(|&row| parsed.is_null(row) && texts.is_valid(row));
        return Err(row.unwrap_or(0));
    }
    Ok(parsed)
}

/// Texts that cannot be parsed come out as NULL.
fn lenient(texts: &StringArray, to: &DataType) -> Result<ArrayRef, usize> {
    cast_with_options(texts, to, &CastOptions::default()).map_err(|_| 0)
}

/// Digits after the point that matter, less the exponent.
fn fraction_digits(text: &str) -> i64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let fraction = mantissa.split_once('.').map_or("", |(_, f)| f).trim_end_matches('0');
    fraction.len() as i64 - exponent.parse::<i64>().unwrap_or(0)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, TimestampMicrosecondType};
    use arrow_schema::TimeUnit;

    use super::*;

    fn texts(texts: &[Option<&str>]) -> StringArray {
        texts.iter().copied().collect()
    }

    #[test]
    fn the_first_text_that_does_not_parse_is_named_by_its_row() {
        let column = texts(&[Some("1"), None, Some("x"), Some("y")]);
        assert_eq!(parse(&column, &DataType::Int32).unwrap_err(), 2);
        for bad in ["1.5", "2147483648", "", "1 2", "0x10"] {
            assert_eq!(parse(&texts(&[Some(bad)]), &DataType::Int32).unwrap_err(), 0, "{bad}");
        }
    }

    #[test]
    fn numbers_dates_and_times_parse() {
        let ints = parse(&texts(&[Some("-7"), None]), &DataType::Int32).unwrap();
        assert_eq!(ints.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(-7), None]);
        let dates = parse(&texts(&[Some("1970-01-03")]), &DataType::Date32).unwrap();
        assert_eq!(dates.as_primitive::<Date32Type>().value(0), 2);
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        for text in ["1970-01-01T01:00:00Z", "1970-01-01T02:00:00+01:00", "1970-01-01 01:00:00"] {
            let times = parse(&texts(&[Some(text)]), &utc).unwrap();
            assert_eq!(times.as_primitive::<TimestampMicrosecondType>().value(0), 3_600_000_000, "{text}");
        }
    }

    #[test]
    fn decimals_are_not_rounded() {
        let to = DataType::Decimal128(5, 2);
        let parsed = parse(&texts(&[Some("1.5"), Some("1.500"), Some("-12")]), &to).unwrap();
        assert_eq!(parsed.as_primitive::<Decimal128Type>().values(), &[150, 150, -1200]);
        assert_eq!(parse(&texts(&[Some("1.5"), Some("1.505")]), &to).unwrap_err(), 1);
        assert_eq!(parse(&texts(&[Some("1000")]), &to).unwrap_err(), 0);
    }

    #[test]
    fn bytes_are_hexadecimal() {
        let binary = parse(&texts(&[Some("00ff"), None, Some("")]), &DataType::LargeBinary).unwrap();
        assert_eq!(binary.as_binary::<i64>().value(0), [0, 255]);
        assert!(binary.is_null(1) && binary.as_binary::<i64>().value(2).is_empty());
        let uuid = "f79c3e09-677c-4bbd-a479-3f349cb785e7";
        let parsed = parse(&texts(&[Some(uuid)]), &DataType::FixedSizeBinary(16)).unwrap();
        assert_eq!(parsed.as_fixed_size_binary().value(0)[0], 0xf7);
        for bad in ["0", "zz", "é0"] {
            assert!(parse(&texts(&[Some(bad)]), &DataType::LargeBinary).is_err(), "{bad}");
        }
        assert!(parse(&texts(&[Some("00")]), &DataType::FixedSizeBinary(16)).is_err());
    }
}
