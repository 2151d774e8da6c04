//! What a text means, before the table is looked at.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};
use floe_core::{Error, Result};

/// The prefix of a time in milliseconds.
const MS: &str = "ms:";
/// The prefix of a snapshot id.
const ID: &str = "id:";

/// What a text says by its form alone. A branch or tag of that very name goes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A snapshot id: `N`, or `id:N`.
    Snapshot(i64),
    /// A time, in milliseconds since 1970-01-01T00:00:00Z: `ms:N`, a date, or a date and time, in UTC unless it has an
    /// offset.
    Time(i64),
    /// Anything else: a name.
    Name(String),
}

/// Reads a text by its form.
///
/// Fails with `SnapshotNotFound` for a number that no id can be, and `Validation` for `ms:` and `id:` without a number.
///
/// ```
/// use floe_plan::state::{Reading, read};
///
/// assert_eq!(read("3051729675574597004")?, Reading::Snapshot(3051729675574597004));
/// assert_eq!(read("2024")?, Reading::Snapshot(2024), "a number is never a time");
/// assert_eq!(read("ms:2024")?, Reading::Time(2024));
/// assert_eq!(read("2013-01-02")?, Reading::Time(1_357_084_800_000));
/// assert_eq!(read("audit")?, Reading::Name("audit".into()));
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn read(text: &str) -> Result<Reading> {
    for (prefix, of) in [(MS, Reading::Time as fn(i64) -> Reading), (ID, Reading::Snapshot)] {
        if let Some(number) = text.strip_prefix(prefix) {
            return integer(number).and_then(|n| n.ok()).map(of).ok_or_else(|| {
                Error::validation(format!("'{text}' has no whole number after '{prefix}'"))
                    .with_hint("ms:N is a time in milliseconds since 1970 (UTC), id:N a snapshot id")
            });
        }
    }
    if let Some(number) = integer(text) {
        return number.map(Reading::Snapshot).map_err(|()| {
            Error::new(
                floe_core::ErrorKind::SnapshotNotFound,
                format!("there is no snapshot {text}: ids have 64 bits"),
            )
            .with_hint("list the snapshots; a time in milliseconds is written ms:N")
        });
    }
    Ok(time(text).map_or_else(|| Reading::Name(text.to_owned()), Reading::Time))
}

/// A time for people, which [`read`] takes back: `2024-05-01T12:00:00.000Z`, or `ms:N` beyond the calendar.
pub fn time_text(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{MS}{ms}"),
    }
}

/// A whole number in digits alone, with or without a minus; `Err` when it does not fit into 64 bits.
fn integer(text: &str) -> Option<Result<i64, ()>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().map_err(|_| ()))
}

/// A date, or a date and time, in milliseconds since 1970; parts of a millisecond are dropped.
fn time(text: &str) -> Option<i64> {
    // The parsers skip spaces, which a name may have.
    if text.trim() != text || !text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') {
        return None;
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
}
