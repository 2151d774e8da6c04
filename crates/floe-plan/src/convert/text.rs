//! Text to values: columns of strings, read as the type of a table's column.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, FixedSizeBinaryBuilder, LargeBinaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use super::{ConvertOptions, Unfit, number, time, why};

/// Reads every text as a `to`, the Arrow type of an Iceberg type; NULL stays NULL. See [the table](super).
///
/// # Errors
/// The first text that does not fit.
///
/// ```
/// use arrow_array::StringArray;
/// use arrow_schema::DataType;
/// use floe_plan::convert::{ConvertOptions, parse};
///
/// let texts = StringArray::from(vec![Some("2"), None, Some("2.5")]);
/// let unfit = parse(&texts, &DataType::Int64, &ConvertOptions::default()).unwrap_err();
/// assert_eq!((unfit.row, unfit.why), (2, Some("it has a fraction")));
/// assert!(parse(&texts.slice(0, 2), &DataType::Int64, &ConvertOptions::default()).is_ok());
/// ```
pub fn parse(texts: &StringArray, to: &DataType, options: &ConvertOptions) -> Result<ArrayRef, Unfit> {
    match to {
        DataType::Utf8 => Ok(Arc::new(texts.clone())),
        DataType::Boolean => booleans(texts),
        DataType::Int32 => integers::<Int32Type>(texts),
        DataType::Int64 => integers::<Int64Type>(texts),
        DataType::Float32 => floats::<Float32Type>(texts),
        DataType::Float64 => floats::<Float64Type>(texts),
        DataType::Decimal128(precision, scale) => decimals(texts, *precision, *scale),
        DataType::Date32 => dates(texts),
        DataType::Time64(TimeUnit::Microsecond) => times(texts),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            timestamps::<TimestampMicrosecondType>(texts, to, 6, zone.is_some(), options)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            timestamps::<TimestampNanosecondType>(texts, to, 9, zone.is_some(), options)
        }
        DataType::LargeBinary => {
            let mut builder = LargeBinaryBuilder::with_capacity(texts.len(), 0);
            for (row, text) in texts.iter().enumerate() {
                match text {
                    Some(text) => builder.append_value(hex(text).ok_or(Unfit::unreadable(row))?),
                    None => builder.append_null(),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::FixedSizeBinary(width) => fixed(texts, *width),
        _ => Err(Unfit::unreadable(0)),
    }
}

/// Texts that Arrow cannot read come out as NULL.
fn lenient(texts: &StringArray, to: &DataType) -> Result<ArrayRef, Unfit> {
    cast_with_options(texts, to, &CastOptions::default()).map_err(|_| Unfit::unreadable(0))
}

/// The values, those that came out as NULL read again by `slow`.
fn completed<T: ArrowPrimitiveType>(
    texts: &StringArray,
    read: &ArrayRef,
    slow: impl Fn(&str, usize) -> Result<T::Native, Unfit>,
) -> Result<ArrayRef, Unfit> {
    if read.null_count() == texts.null_count() {
        return Ok(read.clone());
    }
    let fast = read.as_primitive::<T>();
    let values = texts.iter().enumerate().map(|(row, text)| match text {
        None => Ok(None),
        Some(_) if fast.is_valid(row) => Ok(Some(fast.value(row))),
        Some(text) => slow(text, row).map(Some),
    });
    let values = values.collect::<Result<PrimitiveArray<T>, Unfit>>()?;
    Ok(Arc::new(values.with_data_type(read.data_type().clone())))
}

fn booleans(texts: &StringArray) -> Result<ArrayRef, Unfit> {
    let mut builder = BooleanBuilder::with_capacity(texts.len());
    let is = |text: &str, words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    for (row, text) in texts.iter().enumerate() {
        match text {
            None => builder.append_null(),
            Some(text) if is(text, &["true", "t", "yes", "y", "on", "1"]) => builder.append_value(true),
            Some(text) if is(text, &["false", "f", "no", "n", "off", "0"]) => builder.append_value(false),
            Some(_) => return Err(Unfit::unreadable(row)),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn integers<T: ArrowPrimitiveType>(texts: &StringArray) -> Result<ArrayRef, Unfit>
where
    T::Native: TryFrom<i128>,
{
    let read = lenient(texts, &T::DATA_TYPE)?;
    completed::<T>(texts, &read, |text, row| {
        let number = number::parse(text).ok_or(Unfit::unreadable(row))?;
        let value = number.integer().map_err(|fault| Unfit::new(row, fault))?;
        T::Native::try_from(value).map_err(|_| Unfit::new(row, why::RANGE))
    })
}

/// What the two types of floats need.
trait Float: Copy + Into<f64> {
    /// The greatest integer up to which the type has all.
    const EXACT: f64;
    /// How many digits tell every value of the type; fewer than a text may have.
    const DIGITS: Option<u32>;
}

impl Float for f32 {
    const EXACT: f64 = 16_777_216.0;
    const DIGITS: Option<u32> = Some(9);
}

impl Float for f64 {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    const DIGITS: Option<u32> = None;
}

fn floats<T: ArrowPrimitiveType>(texts: &StringArray) -> Result<ArrayRef, Unfit>
where
    T::Native: Float,
{
    let read = lenient(texts, &T::DATA_TYPE)?;
    if read.null_count() > texts.null_count() {
        let row = (0..texts.len()).find(|&row| read.is_null(row) && texts.is_valid(row));
        return Err(Unfit::unreadable(row.unwrap_or(0)));
    }
    let values = read.as_primitive::<T>();
    for (row, (number, text)) in values.values().iter().zip(texts.iter()).enumerate() {
        let Some(text) = text else { continue };
        let value: f64 = (*number).into();
        let long = T::Native::DIGITS.is_some_and(|digits| text.len() > digits as usize);
        // Most values need no second look.
        if value != 0.0 && value.abs() < T::Native::EXACT && !long {
            continue;
        }
        check_float(*number, text).map_err(|fault| Unfit::new(row, fault))?;
    }
    Ok(read)
}

fn check_float<F: Float>(nearest: F, text: &str) -> Result<(), &'static str> {
    // `NaN` and `Infinity` are no numbers.
    let Some(number) = number::parse(text) else { return Ok(()) };
    let value: f64 = nearest.into();
    if value.is_infinite() {
        return Err(why::RANGE);
    }
    if value == 0.0 {
        return if number.digits == 0 { Ok(()) } else { Err(why::SMALL) };
    }
    if number.whole && value.abs() >= F::EXACT {
        // Formatted without fraction, floats are written out exactly.
        let digits = text.split('.').next().unwrap_or(text);
        let exact =
            format!("{:.0}", value.abs()) == digits.trim_start_matches(['+', '-']).trim_start_matches('0');
        // With a point, it may be the value in as many digits as tell it, as floats are written. Programs do not agree on how
        // many these are, so that it need not be the shortest text.
        let decimals = number.digits.saturating_sub(1) as usize;
        let written =
            !number.overflow && text.contains('.') && number.equals(&format!("{value:.decimals$e}"));
        return if exact || written { Ok(()) } else { Err(why::EXACT) };
    }
    match F::DIGITS {
        Some(digits) if number.digits > digits && !number.equals(&format!("{value:.149}")) => {
            Err(why::DIGITS)
        }
        _ => Ok(()),
    }
}

fn decimals(texts: &StringArray, precision: u8, scale: i8) -> Result<ArrayRef, Unfit> {
    let values = texts.iter().enumerate().map(|(row, text)| {
        let Some(text) = text else { return Ok(None) };
        let number = number::parse(text).ok_or(Unfit::unreadable(row))?;
        number.decimal(precision, scale).map(Some).map_err(|fault| Unfit::new(row, fault))
    });
    let values = values.collect::<Result<PrimitiveArray<Decimal128Type>, Unfit>>()?;
    Ok(Arc::new(values.with_data_type(DataType::Decimal128(precision, scale))))
}

fn dates(texts: &StringArray) -> Result<ArrayRef, Unfit> {
    let read = lenient(texts, &DataType::Date32)?;
    let read = completed::<Date32Type>(texts, &read, time::date)?;
    for (row, text) in texts.iter().enumerate() {
        // Arrow cuts the time of a timestamp.
        if let Some(text) = text.filter(|text| text.len() > 10 && text.contains(':')) {
            time::date(text, row)?;
        }
    }
    Ok(read)
}

fn times(texts: &StringArray) -> Result<ArrayRef, Unfit> {
    let read = lenient(texts, &DataType::Time64(TimeUnit::Microsecond))?;
    let read = completed::<Time64MicrosecondType>(texts, &read, |_, row| Err(Unfit::unreadable(row)))?;
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text else { continue };
        if !text.contains(':') {
            // Arrow takes a number for microseconds.
            return Err(Unfit::unreadable(row));
        }
        time::check_second(text.as_bytes(), 6).map_err(|fault| Unfit::new(row, fault))?;
    }
    Ok(read)
}

fn timestamps<T: ArrowPrimitiveType<Native = i64>>(
    texts: &StringArray,
    to: &DataType,
    digits: usize,
    zone: bool,
    options: &ConvertOptions,
) -> Result<ArrayRef, Unfit> {
    for (row, text) in texts.iter().enumerate() {
        // Years of five digits, and numbers, are looked at below.
        if let Some(text) = text.filter(|text| text.as_bytes().get(4) == Some(&b'-')) {
            time::check_timestamp(text, digits, zone).map_err(|fault| Unfit::new(row, fault))?;
        }
    }
    let read = lenient(texts, to)?;
    completed::<T>(texts, &read, |text, row| time::timestamp(text, digits, zone, options.epoch, row))
}

fn fixed(texts: &StringArray, width: i32) -> Result<ArrayRef, Unfit> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(texts.len(), width);
    for (row, text) in texts.iter().enumerate() {
        match text {
            Some(text) => {
                let bytes = match width {
                    16 if text.contains('-') => {
                        uuid::Uuid::try_parse(text).ok().map(|v| v.as_bytes().to_vec())
                    }
                    _ => hex(text),
                };
                let bytes = bytes.ok_or(Unfit::unreadable(row))?;
                builder.append_value(bytes).map_err(|_| Unfit::new(row, why::LENGTH))?;
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}
