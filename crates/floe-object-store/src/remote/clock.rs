//! This machine's clock beside a store's.

use std::time::{SystemTime, UNIX_EPOCH};

/// Stores bear with a difference of this many seconds; Azure and S3 with 900, Google with 300.
const BORNE: i64 = 300;

/// By how much this machine's clock is ahead of the one that wrote the header `Date` of an answer (RFC 9110, section
/// 6.6.1), in seconds; nothing where that is no reason to refuse a signature.
pub(super) fn seconds_ahead(date: &str) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    difference(now, date)
}

fn difference(now: i64, date: &str) -> Option<i64> {
    let theirs = chrono::DateTime::parse_from_rfc2822(date).ok()?.timestamp();
    Some(now - theirs).filter(|ahead| ahead.abs() > BORNE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_difference_that_matters_is_told() {
        let date = "Thu, 01 Jan 1970 02:00:00 GMT";
        assert_eq!(difference(7_200, date), None);
        assert_eq!(difference(7_400, date), None);
        assert_eq!(difference(0, date), Some(-7_200));
        assert_eq!(difference(14_400, date), Some(7_200));
        assert_eq!(difference(0, "soon"), None);
    }
}
