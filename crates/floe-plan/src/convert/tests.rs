//! Tests of the table of conversions.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Date32Array, Date64Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int64Array, NullArray, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow_schema::{DataType, TimeUnit};
use proptest::prelude::*;

use super::*;

fn micros(zone: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.then(|| "+00:00".into()))
}

fn nanos(zone: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, zone.then(|| "+00:00".into()))
}

/// One text as a type: the value, as Arrow writes it, or what is wrong.
fn read_with(text: &str, to: &DataType, options: &ConvertOptions) -> Result<String, String> {
    let texts = StringArray::from(vec![Some(text)]);
    let array = parse(&texts, to, options).map_err(|unfit| unfit.to_string())?;
    assert_eq!(array.data_type(), to, "{text}");
    assert!(array.is_valid(0), "{text}");
    Ok(arrow_cast::display::array_value_to_string(&array, 0).unwrap())
}

fn read(text: &str, to: &DataType) -> Result<String, String> {
    read_with(text, to, &ConvertOptions::default())
}

#[track_caller]
fn fits(to: &DataType, cases: &[(&str, &str)]) {
    for (text, value) in cases {
        assert_eq!(read(text, to).as_deref(), Ok(*value), "{text} as {to}");
    }
}

#[track_caller]
fn refused(to: &DataType, cases: &[(&str, &str)]) {
    for (text, fault) in cases {
        let said = read(text, to).expect_err(&format!("{text} as {to}"));
        let fault = if fault.is_empty() { "it cannot be read as such" } else { fault };
        assert_eq!(said, fault, "{text} as {to}");
    }
}

#[test]
fn integers_take_what_is_whole_and_in_range() {
    fits(
        &DataType::Int64,
        &[
            ("0", "0"),
            ("-7", "-7"),
            ("+5", "5"),
            ("007", "7"),
            ("2.0", "2"),
            ("1e3", "1000"),
            ("1.50e1", "15"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9007199254740993.000", "9007199254740993"),
            ("-0.0", "0"),
            ("0e999999999999", "0"),
        ],
    );
    refused(
        &DataType::Int64,
        &[
            ("1.9", why::FRACTION),
            ("1e-3", why::FRACTION),
            ("9223372036854775808", why::RANGE),
            ("1e16x", ""),
            ("1.1e16", why::FLOAT),
            ("1e400", why::FLOAT),
            ("99999999999999999999999999999999999999999", why::RANGE),
            ("", ""),
            (" 1", ""),
            ("1 ", ""),
            ("1 2", ""),
            ("0x10", ""),
            ("1,5", ""),
            ("NaN", ""),
            ("true", ""),
            ("1e", ""),
            ("-", ""),
            (".", ""),
            ("1.2.3", ""),
            ("--1", ""),
            ("٣", ""),
        ],
    );
    fits(&DataType::Int32, &[("2147483647", "2147483647"), ("-2147483648", "-2147483648")]);
    refused(&DataType::Int32, &[("2147483648", why::RANGE), ("3000000000.0", why::RANGE)]);
}

#[test]
fn decimals_keep_every_digit() {
    let to = DataType::Decimal128(5, 2);
    fits(
        &to,
        &[
            ("1.5", "1.50"),
            ("1.500", "1.50"),
            ("-12", "-12.00"),
            ("999.99", "999.99"),
            ("1e1", "10.00"),
            ("-.5", "-0.50"),
            ("1.25e2", "125.00"),
            ("0.0000", "0.00"),
        ],
    );
    refused(
        &to,
        &[
            ("12.349", why::SCALE),
            ("1000", why::RANGE),
            ("1e-3", why::SCALE),
            ("NaN", ""),
            ("Infinity", ""),
            ("", ""),
            ("1e20", why::FLOAT),
        ],
    );
    let wide = DataType::Decimal128(38, 0);
    let most = "9".repeat(38);
    fits(&wide, &[(&most, &most), (&format!("-{most}"), &format!("-{most}"))]);
    refused(&wide, &[(&format!("{most}9"), why::RANGE)]);
    let fine = DataType::Decimal128(38, 38);
    let text = format!("0.{most}");
    fits(&fine, &[(&text, &text)]);
}

#[test]
fn floats_take_the_nearest_of_a_fraction_and_the_very_whole_number() {
    fits(
        &DataType::Float64,
        &[
            ("0.1", "0.1"),
            ("1e300", "1e300"),
            ("9007199254740992", "9007199254740992.0"),
            ("-0", "-0.0"),
            ("NaN", "NaN"),
            ("inf", "inf"),
            ("-Infinity", "-inf"),
            ("0.10000000000000000555", "0.1"),
            ("18014398509481984", "1.8014398509481984e16"),
            ("5e-324", "5e-324"),
            ("00", "0.0"),
        ],
    );
    refused(
        &DataType::Float64,
        &[
            ("9007199254740993", why::EXACT),
            ("-9007199254740993.0", why::EXACT),
            ("1e400", why::RANGE),
            ("-1e309", why::RANGE),
            ("1e-400", why::SMALL),
            ("", ""),
            ("1,5", ""),
            ("x", ""),
            (&"9".repeat(400), why::RANGE),
        ],
    );
    fits(
        &DataType::Float32,
        &[
            ("0.1", "0.1"),
            ("16777216", "16777216.0"),
            ("3.4028235e38", "3.4028235e38"),
            ("0.333333343", "0.33333334"),
            ("0.5000000000000", "0.5"),
            ("0.0001220703125", "0.00012207031"),
        ],
    );
    refused(
        &DataType::Float32,
        &[
            ("16777217", why::EXACT),
            ("1e300", why::RANGE),
            ("1e-60", why::SMALL),
            ("0.1234567890123", why::DIGITS),
        ],
    );
}

#[test]
fn dates_have_no_time() {
    fits(
        &DataType::Date32,
        &[
            ("1970-01-03", "1970-01-03"),
            ("2013-01-31T00:00:00", "2013-01-31"),
            ("2013-01-31 00:00:00.000", "2013-01-31"),
            ("+12345-01-01", "+12345-01-01"),
            ("-0001-12-31", "-0001-12-31"),
        ],
    );
    refused(
        &DataType::Date32,
        &[
            ("2013-01-31T10:11:12", why::TIME),
            ("2013-01-31T00:00:00Z", why::TIME),
            ("2013-02-30", ""),
            ("20000", ""),
            ("", ""),
        ],
    );
}

#[test]
fn times_are_not_cut() {
    let to = DataType::Time64(TimeUnit::Microsecond);
    fits(
        &to,
        &[
            ("10:11:12.5", "10:11:12.500"),
            ("00:00:00", "00:00:00"),
            ("10:11:12.123456000", "10:11:12.123456"),
        ],
    );
    refused(&to, &[("10:11:12.1234567", why::FINER), ("24:00:00", ""), ("23:59:60", why::LEAP), ("1", "")]);
}

#[test]
fn timestamps_are_neither_cut_nor_shifted() {
    fits(
        &micros(false),
        &[
            ("2013-01-31 10:11:12", "2013-01-31T10:11:12"),
            ("2013-01-31T10:11:12.123456", "2013-01-31T10:11:12.123456"),
            ("2013-01-31T10:11:12.123456000", "2013-01-31T10:11:12.123456"),
            ("2013-01-31", "2013-01-31T00:00:00"),
            ("+12345-01-01T00:00:01", "+12345-01-01T00:00:01"),
            ("-0044-03-15 12:00:00", "-0044-03-15T12:00:00"),
        ],
    );
    refused(
        &micros(false),
        &[
            ("2013-01-31T10:11:12Z", why::OFFSET),
            ("2013-01-31 10:11:12+02:00", why::OFFSET),
            ("2013-01-31T10:11:12-0500", why::OFFSET),
            ("2013-01-31T10:11:12.1234567", why::FINER),
            ("2013-01-31T23:59:60", why::LEAP),
            ("1700000000", why::EPOCH),
            ("20130131", why::EPOCH),
            ("-5", why::EPOCH),
            ("+12345-01-01T00:00:00Z", why::OFFSET),
            ("+12345-01-01T00:00:00.1234567", why::FINER),
            ("yesterday", ""),
            ("", ""),
        ],
    );
    fits(
        &micros(true),
        &[
            ("1970-01-01T01:00:00Z", "1970-01-01T01:00:00Z"),
            ("1970-01-01T02:00:00+01:00", "1970-01-01T01:00:00Z"),
            ("1970-01-01 01:00:00", "1970-01-01T01:00:00Z"),
        ],
    );
    refused(&micros(true), &[("2013-01-31T10:11:12.1234567Z", why::FINER), ("1700000000", why::EPOCH)]);
    fits(&nanos(false), &[("2013-01-31T10:11:12.123456789", "2013-01-31T10:11:12.123456789")]);
    refused(
        &nanos(false),
        &[("2013-01-31T10:11:12.1234567891", why::FINER), ("2500-01-01T00:00:00", why::RANGE)],
    );
}

#[test]
fn numbers_are_times_only_with_their_unit() {
    let with = |epoch| ConvertOptions { epoch: Some(epoch) };
    for (text, epoch, value) in [
        ("1", Epoch::Seconds, Some("1970-01-01T00:00:01")),
        ("-1", Epoch::Milliseconds, Some("1969-12-31T23:59:59.999")),
        ("1.5", Epoch::Seconds, Some("1970-01-01T00:00:01.500")),
        ("7", Epoch::Microseconds, Some("1970-01-01T00:00:00.000007")),
        ("7000", Epoch::Nanoseconds, Some("1970-01-01T00:00:00.000007")),
        ("7001", Epoch::Nanoseconds, None),
        ("9999999999999999", Epoch::Seconds, None),
    ] {
        let read = read_with(text, &micros(false), &with(epoch));
        assert_eq!(read.ok().as_deref(), value, "{text}");
    }
    let typed: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), None]));
    assert_eq!(fit(typed.data_type(), &micros(true), false, &ConvertOptions::default()), None);
    assert_eq!(fit(typed.data_type(), &micros(true), false, &with(Epoch::Seconds)), Some(Fit::Each));
    let times = convert(&typed, &micros(true), &with(Epoch::Seconds)).unwrap();
    let times: Vec<_> = times.as_primitive::<TimestampMicrosecondType>().iter().collect();
    assert_eq!(times, [Some(2_000_000), None]);
}

#[test]
fn booleans_uuids_and_bytes_have_their_texts() {
    fits(&DataType::Boolean, &[("true", "true"), ("F", "false"), ("Yes", "true"), ("0", "false")]);
    refused(&DataType::Boolean, &[("2", ""), ("", ""), ("tru", "")]);
    let uuid = DataType::FixedSizeBinary(16);
    let hex = "f79c3e09677c4bbda4793f349cb785e7";
    fits(&uuid, &[("f79c3e09-677c-4bbd-a479-3f349cb785e7", hex), (hex, hex), (&hex.to_uppercase(), hex)]);
    refused(
        &uuid,
        &[("f79c3e09", why::LENGTH), ("f79c3e09-677c-4bbd-a479-3f349cb785eg", ""), ("f79c-3e09", "")],
    );
    fits(&DataType::LargeBinary, &[("00ff", "00ff"), ("", "")]);
    refused(&DataType::LargeBinary, &[("0", ""), ("zz", ""), ("é0", "")]);
}

#[test]
fn the_first_text_that_does_not_fit_is_named_by_its_row() {
    let column = StringArray::from(vec![Some("1"), None, Some("2.0"), Some("x"), Some("y")]);
    let options = ConvertOptions::default();
    assert_eq!(parse(&column, &DataType::Int32, &options).unwrap_err().row, 3);
    let good = parse(&column.slice(0, 3), &DataType::Int32, &options).unwrap();
    assert_eq!(good.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(2)]);
}

#[test]
fn typed_values_fit_exactly_or_are_refused_with_their_row() {
    let options = ConvertOptions::default();
    let cases: Vec<(ArrayRef, DataType, Option<(usize, &str)>)> = vec![
        (Arc::new(Int64Array::from(vec![1, 2_147_483_648])), DataType::Int32, Some((1, why::RANGE))),
        (Arc::new(Int64Array::from(vec![i64::MAX])), DataType::Float64, Some((0, why::EXACT))),
        (Arc::new(Int64Array::from(vec![1 << 62])), DataType::Float64, None),
        (
            Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)])),
            DataType::Int64,
            Some((2, why::RANGE)),
        ),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), DataType::Decimal128(20, 0), None),
        (Arc::new(Float64Array::from(vec![2.0, -0.0])), DataType::Int64, None),
        (Arc::new(Float64Array::from(vec![2.0, 2.5])), DataType::Int64, Some((1, why::FRACTION))),
        (
            Arc::new(Float64Array::from(vec![f64::NAN])),
            DataType::Int64,
            Some((0, "it cannot be read as such")),
        ),
        (Arc::new(Float64Array::from(vec![12.34])), DataType::Decimal128(9, 2), None),
        (Arc::new(Float64Array::from(vec![12.349])), DataType::Decimal128(9, 2), Some((0, why::SCALE))),
        (Arc::new(Float64Array::from(vec![0.1, f64::NAN, f64::INFINITY, 1e30])), DataType::Float32, None),
        (Arc::new(Float64Array::from(vec![1e300])), DataType::Float32, Some((0, why::RANGE))),
        (Arc::new(Float64Array::from(vec![0.123_456_789_012_3])), DataType::Float32, Some((0, why::DIGITS))),
        (Arc::new(Decimal128Array::from(vec![1200, 1250])), DataType::Int64, None),
        (Arc::new(Date32Array::from(vec![i32::MAX])), nanos(false), Some((0, why::RANGE))),
        (Arc::new(Date64Array::from(vec![86_400_000, 86_400_001])), DataType::Date32, Some((1, why::TIME))),
        (Arc::new(TimestampMicrosecondArray::from(vec![86_400_000_000])), DataType::Date32, None),
        (Arc::new(TimestampMicrosecondArray::from(vec![0, 1])), DataType::Date32, Some((1, why::TIME))),
        (Arc::new(TimestampNanosecondArray::from(vec![Some(7_001)])), micros(false), Some((0, why::FINER))),
        (
            Arc::new(TimestampSecondArray::from(vec![Some(1), Some(i64::MAX)])),
            micros(false),
            Some((1, why::RANGE)),
        ),
        (
            Arc::new(BinaryArray::from(vec![b"ab".as_slice(), b"abc"])),
            DataType::FixedSizeBinary(2),
            Some((1, why::LENGTH)),
        ),
        (
            Arc::new(StringArray::from(vec!["f79c3e09677c4bbda4793f349cb785e7"])),
            DataType::FixedSizeBinary(16),
            None,
        ),
    ];
    for (array, to, unfit) in cases {
        // The decimals are 12.00 and 12.50 in tenths of a cent.
        let array = match array.as_primitive_opt::<Decimal128Type>() {
            Some(decimals) => {
                Arc::new(decimals.clone().with_data_type(DataType::Decimal128(9, 2))) as ArrayRef
            }
            None => array,
        };
        let from = array.data_type().clone();
        let unfit = if matches!(from, DataType::Decimal128(..)) {
            Some((1, "it has a fraction or is out of range"))
        } else {
            unfit
        };
        assert!(fit(&from, &to, true, &options).is_some(), "{from} to {to}");
        let got = convert(&array, &to, &options);
        match unfit {
            None => {
                let got = got.unwrap_or_else(|unfit| panic!("{from} to {to}: {unfit:?}"));
                assert_eq!((got.data_type(), got.len()), (&to, array.len()));
                assert_eq!(got.null_count(), array.null_count(), "{from} to {to}");
            }
            Some((row, why)) => {
                let got = got.expect_err(&format!("{from} to {to}"));
                assert_eq!((got.row, got.to_string().as_str()), (row, why), "{from} to {to}");
            }
        }
        let dictionary =
            arrow_cast::cast(&array, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(from)));
        if let Ok(dictionary) = dictionary {
            let got = convert(&dictionary, &to, &options);
            assert_eq!(got.is_ok(), unfit.is_none(), "a dictionary of {}", array.data_type());
        }
    }
    let dictionary: DictionaryArray<Int32Type> = [Some("x"), None].into_iter().collect();
    let texts = convert(&(Arc::new(dictionary) as ArrayRef), &DataType::Utf8, &options).unwrap();
    assert_eq!(texts.as_string::<i32>(), &StringArray::from(vec![Some("x"), None]));
}

#[test]
fn nothing_but_null_fits_every_type() {
    let nulls: ArrayRef = Arc::new(NullArray::new(2));
    let list = DataType::List(Arc::new(arrow_schema::Field::new("element", DataType::Int32, true)));
    for to in [DataType::Int32, DataType::Utf8, micros(true), DataType::FixedSizeBinary(16), list] {
        assert_eq!(fit(&DataType::Null, &to, false, &ConvertOptions::default()), Some(Fit::Always));
        let array = convert(&nulls, &to, &ConvertOptions::default()).unwrap();
        assert_eq!((array.data_type(), array.null_count()), (&to, 2));
    }
}

/// A number as text, in one of the ways in which it may be written.
fn written() -> impl Strategy<Value = String> {
    let digits = "[0-9]{1,24}";
    let fraction = prop_oneof![Just(String::new()), "\\.[0-9]{0,20}".prop_map(|f| f)];
    let exponent = prop_oneof![3 => Just(String::new()), 1 => "[eE][+-]?[0-9]{1,3}".prop_map(|e| e)];
    let sign = prop_oneof![Just(""), Just("-")];
    (sign, digits, fraction, exponent)
        .prop_map(|(sign, digits, fraction, exponent)| format!("{sign}{digits}{fraction}{exponent}"))
}

/// The exact value of a text as a fraction of 10^60 and its digits, or `None` if it is too long for that.
fn exact(text: &str) -> Option<(i128, i64)> {
    let number = number::parse(text)?;
    (!number.overflow).then(|| {
        let unscaled = i128::try_from(number.unscaled).unwrap();
        (if number.negative { -unscaled } else { unscaled }, number.scale)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A number that fits an integer or a decimal is that number; one that is refused has no such value.
    #[test]
    fn numbers_that_fit_are_the_very_numbers(text in written(), (precision, scale) in (1_u8..=38).prop_flat_map(|p| (Just(p), 0..=p as i8))) {
        let to = DataType::Decimal128(precision, scale);
        let texts = StringArray::from(vec![text.as_str()]);
        let got = parse(&texts, &to, &ConvertOptions::default());
        if let (Ok(array), Some((unscaled, from))) = (&got, exact(&text)) {
            let value = array.as_primitive::<Decimal128Type>().value(0);
            // value / 10^scale == unscaled / 10^from
            let power = i64::from(scale) - from;
            prop_assert!(power >= 0 || unscaled == 0, "{}", text);
            prop_assert_eq!(Some(value), 10_i128.checked_pow(power.max(0) as u32).and_then(|p| unscaled.checked_mul(p)));
            prop_assert!(value.unsigned_abs() < 10_u128.pow(precision.into()));
        }
        let long = parse(&texts, &DataType::Int64, &ConvertOptions::default());
        let wide = parse(&texts, &DataType::Decimal128(38, 0), &ConvertOptions::default());
        match (long, wide) {
            (Ok(long), Ok(wide)) => {
                let long = long.as_primitive::<Int64Type>().value(0);
                prop_assert_eq!(i128::from(long), wide.as_primitive::<Decimal128Type>().value(0));
            }
            (Ok(_), Err(unfit)) => prop_assert!(false, "{}: {}", text, unfit),
            (Err(unfit), Ok(wide)) => {
                prop_assert_eq!(unfit.why, Some(why::RANGE));
                prop_assert!(i64::try_from(wide.as_primitive::<Decimal128Type>().value(0)).is_err());
            }
            (Err(_), Err(_)) => {}
        }
    }

    /// A double is what the standard library reads; whole numbers are exact.
    #[test]
    fn texts_mean_the_nearest_double(text in written()) {
        let texts = StringArray::from(vec![text.as_str()]);
        let nearest: f64 = text.parse().unwrap();
        match parse(&texts, &DataType::Float64, &ConvertOptions::default()) {
            Ok(array) => {
                let value = array.as_primitive::<Float64Type>().value(0);
                prop_assert_eq!(value.to_bits(), nearest.to_bits(), "{}", text);
                if let (false, Ok(whole)) = (text.contains(['e', 'E', '.']), text.parse::<i128>()) {
                    prop_assert_eq!(value as i128, whole);
                }
            }
            Err(unfit) => {
                let whole = !text.contains(['e', 'E']);
                let fine = nearest.is_infinite() && unfit.why == Some(why::RANGE)
                    || nearest == 0.0 && unfit.why == Some(why::SMALL)
                    || whole && unfit.why == Some(why::EXACT) && nearest.abs() >= 9_007_199_254_740_992.0;
                prop_assert!(fine, "{}: {}", text, unfit);
            }
        }
    }

    /// What a column of a type says as text comes back as the same, and as the same as from the typed column.
    #[test]
    fn texts_of_values_come_back(long in any::<i64>(), double in any::<f64>(), float in any::<f32>(), days in -2_000_000_i32..2_000_000, at in any::<i64>()) {
        let options = ConvertOptions::default();
        let back = |array: &ArrayRef| {
            let text = arrow_cast::display::array_value_to_string(array, 0).unwrap();
            parse(&StringArray::from(vec![text.as_str()]), array.data_type(), &options).map_err(|e| format!("{text}: {e}"))
        };
        let array: ArrayRef = Arc::new(Int64Array::from(vec![long]));
        prop_assert_eq!(back(&array).unwrap().as_primitive::<Int64Type>().value(0), long);
        let array: ArrayRef = Arc::new(Float64Array::from(vec![double]));
        let got = back(&array).unwrap().as_primitive::<Float64Type>().value(0);
        prop_assert!(got.to_bits() == double.to_bits() || got.is_nan() && double.is_nan(), "{} {}", got, double);
        let array: ArrayRef = Arc::new(Float32Array::from(vec![float]));
        let got = back(&array).unwrap().as_primitive::<Float32Type>().value(0);
        prop_assert!(got.to_bits() == float.to_bits() || got.is_nan() && float.is_nan(), "{} {}", got, float);
        let array: ArrayRef = Arc::new(Date32Array::from(vec![days]));
        prop_assert_eq!(back(&array).unwrap().as_primitive::<Date32Type>().value(0), days);
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![at]));
        prop_assert_eq!(back(&array).unwrap().as_primitive::<TimestampNanosecondType>().value(0), at);
        let at = at / 40;
        let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("+00:00"));
        prop_assert_eq!(back(&array).unwrap().as_primitive::<TimestampMicrosecondType>().value(0), at);
    }

    /// A stored float goes where its shortest text goes.
    #[test]
    fn typed_floats_are_as_their_texts(double in prop_oneof![any::<f64>(), (-1_000_000_i64..1_000_000).prop_map(|n| n as f64 / 100.0)]) {
        let options = ConvertOptions::default();
        let typed: ArrayRef = Arc::new(Float64Array::from(vec![double]));
        let texts = StringArray::from(vec![format!("{double:?}")]);
        for to in [DataType::Int32, DataType::Int64, DataType::Float32, DataType::Decimal128(12, 2)] {
            let (a, b) = (convert(&typed, &to, &options), parse(&texts, &to, &options));
            prop_assert_eq!(a.is_ok(), b.is_ok());
            if let (Ok(a), Ok(b)) = (a, b) {
                prop_assert_eq!(&a, &b);
            }
        }
    }
}

/// A whole number in so many digits, with a point, as programs write floats that are not too large.
fn plain(value: f64, digits: usize) -> String {
    let text = format!("{:.*e}", digits - 1, value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap();
    let (digits, exponent): (String, usize) = (mantissa.replace('.', ""), exponent.parse().unwrap());
    let whole = format!("{digits:0<width$}", width = exponent + 1);
    format!("{}{whole}.0", if value < 0.0 { "-" } else { "" })
}

proptest! {
    /// Which of the shortest texts of a float is written differs from program to program.
    #[test]
    fn floats_may_be_written_in_any_digits_that_tell_them(
        small in 16_777_216_f32..1e15, large in 9_007_199_254_740_992_f64..1e20, minus: bool, digits in 1_usize..9, more in 8_usize..17,
    ) {
        let sign = if minus { -1.0 } else { 1.0 };
        let (small, large) = ((small * sign as f32).trunc(), (large * sign).trunc());
        let text = plain(f64::from(small), digits);
        if text.parse() == Ok(small) {
            let array = parse(&StringArray::from(vec![text.as_str()]), &DataType::Float32, &ConvertOptions::default());
            prop_assert_eq!(array.map(|a| a.as_primitive::<Float32Type>().value(0)), Ok(small), "{}", text);
        }
        let text = plain(large, more);
        if text.parse() == Ok(large) {
            let array = parse(&StringArray::from(vec![text.as_str()]), &DataType::Float64, &ConvertOptions::default());
            prop_assert_eq!(array.map(|a| a.as_primitive::<Float64Type>().value(0)), Ok(large), "{}", text);
        }
    }
}

#[test]
fn a_float_on_the_border_of_another_is_read_as_two_programs_write_it() {
    // Half way to the next value, which takes a digit less.
    for text in ["-201676610.0", "-201676600.0", "-201676608.0", "-201676608"] {
        let array = parse(&StringArray::from(vec![text]), &DataType::Float32, &ConvertOptions::default());
        assert_eq!(array.map(|a| a.as_primitive::<Float32Type>().value(0)), Ok(-201_676_608.0), "{text}");
    }
    for text in ["-201676610", "-201676607.0", "-201676609.0"] {
        assert!(read(text, &DataType::Float32).is_err(), "{text}");
    }
}
