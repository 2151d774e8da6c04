//! Names of folders for partitions and object storage.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate, TimeDelta};
use iceberg::spec::{Literal, PartitionSpec, PrimitiveLiteral, PrimitiveType, Struct, StructType, Transform};

use super::hash::murmur3;

/// `name=value/name=value` for one partition, both parts URL-encoded; readers do not take values from it.
///
/// A part that is longer than file systems take is cut, and ends in a hash of the whole. `partition_type` is the
/// type of `values`: the result types of the transforms, in the order of the spec.
pub fn partition_path(spec: &PartitionSpec, partition_type: &StructType, values: &Struct) -> String {
    let parts = texts(spec, partition_type, values).map(|(name, text)| shorten(encoded_part(name, &text)));
    parts.collect::<Vec<_>>().join("/")
}

/// The same, whole: the name of a partition in a snapshot's summary.
pub fn partition_name(spec: &PartitionSpec, partition_type: &StructType, values: &Struct) -> String {
    let parts = texts(spec, partition_type, values).map(|(name, text)| encoded_part(name, &text));
    parts.collect::<Vec<_>>().join("/")
}

/// The same for people: whole, and not URL-encoded.
pub fn partition_text(spec: &PartitionSpec, partition_type: &StructType, values: &Struct) -> String {
    let parts = texts(spec, partition_type, values).map(|(name, text)| format!("{name}={text}"));
    parts.collect::<Vec<_>>().join("/")
}

/// A value for people: dates and times as in ISO 8601, bytes in Base64. Never panics, whatever the value is, as
/// `Datum` does for instants before 1970 that have a fraction of a second.
pub fn value_text(ty: &PrimitiveType, value: &PrimitiveLiteral) -> String {
    plain(ty, value)
}

/// The names of the fields of a spec, each with its value for people.
fn texts<'a>(
    spec: &'a PartitionSpec,
    partition_type: &'a StructType,
    values: &'a Struct,
) -> impl Iterator<Item = (&'a str, String)> {
    let fields = spec.fields().iter().zip(partition_type.fields()).zip(values.fields());
    fields.map(|((field, result), value)| {
        let text = match (value, result.field_type.as_primitive_type()) {
            (Some(Literal::Primitive(value)), Some(result)) => human(field.transform, result, value),
            _ => "null".to_owned(),
        };
        (field.name.as_str(), text)
    })
}

fn encoded_part(name: &str, text: &str) -> String {
    let mut part = String::new();
    url_encode(name, &mut part);
    part.push('=');
    url_encode(text, &mut part);
    part
}

/// File systems take names of 255 bytes.
const MAX_PART: usize = 200;

/// Cuts a part between two characters: readers decode names, and half a character is no UTF-8.
fn shorten(mut part: String) -> String {
    if part.len() > MAX_PART {
        let hash = murmur3(part.as_bytes());
        let limit = MAX_PART - "-00000000".len();
        part.truncate(character_starts(&part).take_while(|start| *start <= limit).last().unwrap_or(0));
        write!(part, "-{hash:08x}").expect("a string takes any text");
    }
    part
}

/// Where the characters of a URL-encoded text start. One of several bytes is several escapes, of which all but
/// the first stand for `0b10xx_xxxx`: `%C3%A9`.
fn character_starts(encoded: &str) -> impl Iterator<Item = usize> {
    let bytes = encoded.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            at += if bytes[at] == b'%' { 3 } else { 1 };
            let goes_on =
                bytes[start] == b'%' && matches!(bytes.get(start + 1), Some(b'8' | b'9' | b'A' | b'B'));
            if !goes_on {
                return Some(start);
            }
        }
        None
    })
}

/// Folders that spread files over the key space of an object store: 20 bits of the hash of `name`, as
/// `0110/1010/1101/11011101`.
pub fn entropy_path(name: &str) -> String {
    let bits = format!("{:020b}", murmur3(name.as_bytes()) & 0xf_ffff);
    format!("{}/{}/{}/{}", &bits[..4], &bits[4..8], &bits[8..12], &bits[12..])
}

fn human(transform: Transform, result: &PrimitiveType, value: &PrimitiveLiteral) -> String {
    match (transform, value) {
        (Transform::Year, PrimitiveLiteral::Int(years)) => format!("{:04}", 1970 + i64::from(*years)),
        (Transform::Month, PrimitiveLiteral::Int(months)) => {
            let months = i64::from(*months) + 1970 * 12;
            format!("{:04}-{:02}", months.div_euclid(12), months.rem_euclid(12) + 1)
        }
        (Transform::Day, PrimitiveLiteral::Int(days)) => date(*days),
        (Transform::Hour, PrimitiveLiteral::Int(hours)) => {
            format!("{}-{:02}", date(hours.div_euclid(24)), hours.rem_euclid(24))
        }
        _ => plain(result, value),
    }
}

fn plain(result: &PrimitiveType, value: &PrimitiveLiteral) -> String {
    match (result, value) {
        (PrimitiveType::Date, PrimitiveLiteral::Int(days)) => date(*days),
        (PrimitiveType::Time, PrimitiveLiteral::Long(micros)) => {
            let time = chrono::NaiveTime::MIN.overflowing_add_signed(TimeDelta::microseconds(*micros)).0;
            time.format("%H:%M:%S%.f").to_string()
        }
        (PrimitiveType::Timestamp, PrimitiveLiteral::Long(v)) => {
            timestamp(DateTime::from_timestamp_micros(*v), *v, "")
        }
        (PrimitiveType::Timestamptz, PrimitiveLiteral::Long(v)) => {
            timestamp(DateTime::from_timestamp_micros(*v), *v, "+00:00")
        }
        (PrimitiveType::TimestampNs, PrimitiveLiteral::Long(v)) => {
            timestamp(Some(DateTime::from_timestamp_nanos(*v)), *v, "")
        }
        (PrimitiveType::TimestamptzNs, PrimitiveLiteral::Long(v)) => {
            timestamp(Some(DateTime::from_timestamp_nanos(*v)), *v, "+00:00")
        }
        (PrimitiveType::Decimal { scale, .. }, PrimitiveLiteral::Int128(v)) => decimal(*v, *scale as usize),
        (_, PrimitiveLiteral::Boolean(v)) => v.to_string(),
        (_, PrimitiveLiteral::Int(v)) => v.to_string(),
        (_, PrimitiveLiteral::Long(v)) => v.to_string(),
        (_, PrimitiveLiteral::Float(v)) => v.to_string(),
        (_, PrimitiveLiteral::Double(v)) => v.to_string(),
        (_, PrimitiveLiteral::String(v)) => v.clone(),
        (_, PrimitiveLiteral::Binary(v)) => base64(v),
        (_, PrimitiveLiteral::Int128(v)) => v.to_string(),
        (_, PrimitiveLiteral::UInt128(v)) => uuid::Uuid::from_u128(*v).to_string(),
        (_, PrimitiveLiteral::AboveMax | PrimitiveLiteral::BelowMin) => "null".to_owned(),
    }
}

/// `2020-01-31`, or the number of days where the calendar ends.
fn date(days: i32) -> String {
    let epoch = DateTime::UNIX_EPOCH.date_naive();
    let date: Option<NaiveDate> = epoch.checked_add_signed(TimeDelta::days(days.into()));
    date.map_or_else(|| days.to_string(), |date| date.to_string())
}

fn timestamp(time: Option<DateTime<chrono::Utc>>, raw: i64, zone: &str) -> String {
    time.map_or_else(|| raw.to_string(), |time| format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f")))
}

fn decimal(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0_u32, |word, (i, b)| word | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn url_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => write!(out, "%{byte:02X}").expect("a string takes any text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{NestedField, Schema, Type};

    use super::*;

    fn path(of: PrimitiveType, transform: Transform, value: Option<Literal>) -> String {
        let field = NestedField::optional(1, "a b", Type::Primitive(of)).into();
        let schema = Schema::builder().with_fields([field]).build().unwrap();
        let builder = PartitionSpec::builder(schema.clone());
        let spec = builder.add_partition_field("a b", "p é", transform).unwrap().build().unwrap();
        let path = partition_path(&spec, &spec.partition_type(&schema).unwrap(), &Struct::from_iter([value]));
        path.strip_prefix("p+%C3%A9=").unwrap().to_owned()
    }

    #[test]
    fn values_are_readable_and_encoded() {
        use PrimitiveType as P;
        use Transform as T;
        assert_eq!(path(P::String, T::Identity, Some(Literal::string("ä/b=c"))), "%C3%A4%2Fb%3Dc");
        assert_eq!(path(P::String, T::Identity, None), "null");
        assert_eq!(path(P::Date, T::Day, Some(Literal::int(-1))), "1969-12-31");
        assert_eq!(path(P::Date, T::Month, Some(Literal::int(-1))), "1969-12");
        assert_eq!(path(P::Date, T::Year, Some(Literal::int(50))), "2020");
        assert_eq!(path(P::Timestamp, T::Hour, Some(Literal::int(-1))), "1969-12-31-23");
        assert_eq!(path(P::Date, T::Identity, Some(Literal::date(1))), "1970-01-02");
        let decimal = P::Decimal { precision: 9, scale: 2 };
        assert_eq!(path(decimal, T::Identity, Some(Literal::decimal(-5))), "-0.05");
        assert_eq!(path(P::Binary, T::Identity, Some(Literal::binary([1, 2]))), "AQI%3D");
        let time = Literal::timestamptz(1_500_000);
        assert_eq!(path(P::Timestamptz, T::Identity, Some(time)), "1970-01-01T00%3A00%3A01.500%2B00%3A00");
    }

    #[test]
    fn long_values_fit_a_file_system_and_stay_apart() {
        let of = |text: String| path(PrimitiveType::String, Transform::Identity, Some(Literal::string(text)));
        for lead in 0..3 {
            let long = |tail: &str| of(format!("{}{}{tail}", "x".repeat(lead), "é".repeat(200)));
            let (one, other) = (long("a"), long("b"));
            assert!(one.len() <= MAX_PART && one != other, "{one}");
            let (encoded, _) = one.rsplit_once('-').unwrap();
            assert!(encoded.ends_with("%A9"), "{encoded}");
        }
        assert_eq!(of("x".repeat(100)), "x".repeat(100));
    }

    #[test]
    fn base64_pads() {
        assert_eq!([base64(b""), base64(b"f"), base64(b"fo"), base64(b"foo")], ["", "Zg==", "Zm8=", "Zm9v"]);
    }

    #[test]
    fn entropy_is_that_of_other_writers() {
        // The values of the reference implementation's own tests.
        assert_eq!(entropy_path("a"), "0101/0110/1001/10110010");
        assert_eq!(entropy_path("b"), "1110/0111/1110/00000011");
    }

    #[test]
    fn instants_before_1970_with_a_fraction_of_a_second_have_a_text() {
        for ty in [PrimitiveType::Timestamptz, PrimitiveType::Timestamp] {
            assert!(value_text(&ty, &PrimitiveLiteral::Long(-1)).starts_with("1969-12-31T23:59:59.999999"));
        }
        assert_eq!(value_text(&PrimitiveType::Date, &PrimitiveLiteral::Int(i32::MIN)), i32::MIN.to_string());
    }
}
