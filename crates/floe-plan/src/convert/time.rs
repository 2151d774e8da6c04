//! Dates and times as they are written.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::{Epoch, Unfit, number, why};

/// What is wrong with a text that Arrow reads as a timestamp, though it is none of this column: `digits` of a second, with
/// `zone` or without.
pub(super) fn check_timestamp(text: &str, digits: usize, zone: bool) -> Result<(), &'static str> {
    let Some(time) = text.as_bytes().get(11..).filter(|time| !time.is_empty()) else { return Ok(()) };
    let end = time.iter().position(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z')).unwrap_or(time.len());
    if end < time.len() && !zone {
        return Err(why::OFFSET);
    }
    check_second(&time[..end], digits)
}

/// What is wrong with a text that Arrow reads as a time of day.
pub(super) fn check_second(time: &[u8], digits: usize) -> Result<(), &'static str> {
    // hh:mm:ss or hhmmss.
    let second = match time {
        [_, _, b':', _, _, b':', a, b, ..] => Some([*a, *b]),
        [_, _, _, _, a @ b'0'..=b'9', b @ b'0'..=b'9', ..] => Some([*a, *b]),
        _ => None,
    };
    if second == Some(*b"60") {
        return Err(why::LEAP);
    }
    let Some(point) = time.iter().position(|byte| *byte == b'.') else { return Ok(()) };
    let fraction = time[point + 1..].iter().take_while(|byte| byte.is_ascii_digit());
    if fraction.skip(digits).any(|digit| *digit != b'0') { Err(why::FINER) } else { Ok(()) }
}

/// A date, or a timestamp at midnight.
pub(super) fn date(text: &str, row: usize) -> Result<i32, Unfit> {
    let date = if let Ok(date) = text.parse::<NaiveDate>() {
        date
    } else {
        let Some(at) = naive(text) else {
            let instant = text.parse::<DateTime<Utc>>().is_ok();
            return Err(if instant { Unfit::new(row, why::TIME) } else { Unfit::unreadable(row) });
        };
        if at.time() != NaiveTime::MIN {
            return Err(Unfit::new(row, why::TIME));
        }
        at.date()
    };
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_err(|_| Unfit::new(row, why::RANGE))
}

/// A timestamp of a form that Arrow does not read: years of more than four digits, of before the year 0; numbers.
pub(super) fn timestamp(
    text: &str,
    digits: usize,
    zone: bool,
    epoch: Option<Epoch>,
    row: usize,
) -> Result<i64, Unfit> {
    if let Some(number) = number::parse(text) {
        let epoch = epoch.ok_or(Unfit::new(row, why::EPOCH))?;
        let value = number.shifted(digits as i64 - epoch.digits());
        let value =
            value.map_err(|fault| Unfit::new(row, if fault == why::SCALE { why::FINER } else { fault }))?;
        return i64::try_from(value).map_err(|_| Unfit::new(row, why::RANGE));
    }
    let at = if let Some(at) = naive(text) {
        at.and_utc()
    } else if let Ok(at) = text.parse::<DateTime<Utc>>() {
        if !zone {
            return Err(Unfit::new(row, why::OFFSET));
        }
        at
    } else if let Ok(date) = text.parse::<NaiveDate>() {
        date.and_time(NaiveTime::MIN).and_utc()
    } else {
        return Err(Unfit::unreadable(row));
    };
    let nanos = i128::from(at.timestamp()) * 1_000_000_000 + i128::from(at.timestamp_subsec_nanos());
    let unit = if digits == 9 { 1 } else { 1000 };
    if at.timestamp_subsec_nanos() >= 1_000_000_000 {
        return Err(Unfit::new(row, why::LEAP));
    }
    if nanos % unit != 0 {
        return Err(Unfit::new(row, why::FINER));
    }
    i64::try_from(nanos / unit).map_err(|_| Unfit::new(row, why::RANGE))
}

fn naive(text: &str) -> Option<NaiveDateTime> {
    text.parse().ok().or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok())
}
