//! Waiting between attempts.

use std::collections::HashMap;
use std::time::Duration;

use floe_core::{Error, Result};

/// The table property for [`RetryPolicy::max_retries`].
pub const NUM_RETRIES: &str = "commit.retry.num-retries";
/// The table property for [`RetryPolicy::base_delay`], in milliseconds.
pub const MIN_WAIT_MS: &str = "commit.retry.min-wait-ms";
/// The table property for [`RetryPolicy::max_delay`], in milliseconds.
pub const MAX_WAIT_MS: &str = "commit.retry.max-wait-ms";
/// The table property for [`RetryPolicy::total`], in milliseconds.
pub const TOTAL_TIMEOUT_MS: &str = "commit.retry.total-timeout-ms";

/// How often, and after what pauses, a commit is tried again (FR-029).
///
/// The pause before retry *n* (from 0) is a random part of `base_delay · 2ⁿ`, at most of `max_delay`. The whole
/// range from zero is used: writers that collided once spread out and do not collide again.
///
/// ```
/// use std::time::Duration;
/// use floe_plan::backoff::RetryPolicy;
///
/// let policy = RetryPolicy { max_retries: 2, ..RetryPolicy::default() };
/// assert_eq!(policy.delay(1, Duration::ZERO, 0.5), Some(Duration::from_millis(100)));
/// assert_eq!(policy.delay(2, Duration::ZERO, 0.5), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first one.
    pub max_retries: u32,
    /// The longest pause before the first retry.
    pub base_delay: Duration,
    /// The longest pause before any retry.
    pub max_delay: Duration,
    /// No retry starts later than this after the first attempt.
    pub total: Duration,
}

impl Default for RetryPolicy {
    /// The defaults of Iceberg's table properties: 4 retries, 100 ms, 1 minute, 30 minutes.
    fn default() -> Self {
        Self {
            max_retries: 4,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(60),
            total: Duration::from_secs(30 * 60),
        }
    }
}

impl RetryPolicy {
    /// This policy with what a table's `commit.retry.*` properties say put over it.
    ///
    /// Fails with `Validation` when one of them is no whole number.
    pub fn with_properties(mut self, properties: &HashMap<String, String>) -> Result<Self> {
        if let Some(retries) = number(properties, NUM_RETRIES)? {
            self.max_retries = u32::try_from(retries).unwrap_or(u32::MAX);
        }
        if let Some(ms) = number(properties, MIN_WAIT_MS)? {
            self.base_delay = Duration::from_millis(ms);
        }
        if let Some(ms) = number(properties, MAX_WAIT_MS)? {
            self.max_delay = Duration::from_millis(ms);
        }
        if let Some(ms) = number(properties, TOTAL_TIMEOUT_MS)? {
            self.total = Duration::from_millis(ms);
        }
        Ok(self)
    }

    /// The pause before retry number `retry` (from 0), when `elapsed` has gone by since the first attempt;
    /// `None` when there is to be no more. `random` is at least 0.0 and below 1.0.
    pub fn delay(&self, retry: u32, elapsed: Duration, random: f64) -> Option<Duration> {
        if retry >= self.max_retries || elapsed >= self.total {
            return None;
        }
        let grown = self.base_delay.saturating_mul(2_u32.saturating_pow(retry));
        let pause = grown.min(self.max_delay).mul_f64(random.clamp(0.0, 1.0));
        Some(pause.min(self.total.saturating_sub(elapsed)))
    }
}

/// The table property `key` as a whole number, if it is set.
pub(crate) fn number(properties: &HashMap<String, String>, key: &str) -> Result<Option<u64>> {
    let Some(text) = properties.get(key) else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| {
        Error::validation(format!("the table property {key} is not a whole number"))
            .with_hint("set it to a number, or remove it")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    proptest! {
        #[test]
        fn a_pause_never_exceeds_its_limits(
            retry in 0_u32..80,
            elapsed in 0_u64..10_000,
            random in 0.0_f64..1.0,
            base in 0_u64..5_000,
            max in 0_u64..20_000,
        ) {
            let policy = RetryPolicy {
                max_retries: 60,
                base_delay: Duration::from_millis(base),
                max_delay: Duration::from_millis(max),
                total: Duration::from_secs(8),
            };
            let elapsed = Duration::from_millis(elapsed);
            match policy.delay(retry, elapsed, random) {
                Some(pause) => {
                    prop_assert!(retry < 60 && elapsed < policy.total);
                    prop_assert!(pause <= policy.max_delay);
                    prop_assert!(elapsed + pause <= policy.total);
                    let doubled = policy.base_delay.as_secs_f64() * 2_f64.powi(retry as i32);
                    prop_assert!(pause.as_secs_f64() <= doubled + 1e-9);
                }
                None => prop_assert!(retry >= 60 || elapsed >= policy.total),
            }
        }
    }

    #[test]
    fn the_range_doubles_until_the_maximum() {
        let policy = RetryPolicy {
            max_retries: 9,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(5),
            ..RetryPolicy::default()
        };
        let longest = |retry| policy.delay(retry, Duration::ZERO, 1.0).unwrap().as_secs();
        assert_eq!((0..5).map(longest).collect::<Vec<_>>(), [1, 2, 4, 5, 5]);
    }

    #[test]
    fn table_properties_win_over_the_configuration() {
        let table = properties(&[(NUM_RETRIES, "7"), (MAX_WAIT_MS, "250")]);
        let policy = RetryPolicy::default().with_properties(&table).unwrap();
        assert_eq!((policy.max_retries, policy.max_delay), (7, Duration::from_millis(250)));
        assert_eq!(policy.base_delay, RetryPolicy::default().base_delay);
    }

    #[test]
    fn a_property_that_is_no_number_is_named() {
        let table = properties(&[(MIN_WAIT_MS, "soon")]);
        let error = RetryPolicy::default().with_properties(&table).unwrap_err();
        assert!(error.to_string().contains(MIN_WAIT_MS));
    }
}
