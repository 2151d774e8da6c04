//! Running an operation again that met a conflict.
//!
//! A commit that lost a race is tried again with the same files ([`crate::backoff`]). An operation whose *reading* was
//! overtaken (a file that it rewrites is gone, rows came that match) has to read the table as it is now, and do its work
//! anew. When, and how often, is decided here.

use std::collections::HashMap;
use std::time::Duration;

use floe_core::Result;

use crate::backoff::number;

/// The table property for [`RerunPolicy::max_attempts`].
pub const MAX_ATTEMPTS: &str = "commit.rerun.max-attempts";
/// The table property for [`RerunPolicy::total`], in milliseconds.
pub const TOTAL_TIMEOUT_MS: &str = "commit.rerun.total-timeout-ms";

/// The longest pause before the first time that an operation is run again.
const BASE_DELAY: Duration = Duration::from_millis(20);
/// The longest pause before any time.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// As many times are run beside other writers; later ones keep these waiting.
const FREE_ATTEMPTS: u32 = 1;

/// How often an operation that met a conflict is run again, and for how long.
///
/// ```
/// use std::time::Duration;
/// use floe_plan::rerun::RerunPolicy;
///
/// let policy = RerunPolicy { max_attempts: 2, ..RerunPolicy::default() };
/// assert!(!policy.next(0, Duration::ZERO, 0.5).unwrap().in_turn);
/// assert!(policy.next(1, Duration::ZERO, 0.5).unwrap().in_turn);
/// assert_eq!(policy.next(2, Duration::ZERO, 0.5), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RerunPolicy {
    /// Runs after the first one; none at all for 0.
    pub max_attempts: u32,
    /// No run starts later than this after the first one began.
    pub total: Duration,
}

/// How an operation is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rerun {
    /// The pause before it.
    pub pause: Duration,
    /// Whether other writers of the table are kept waiting while it runs, where the catalog has turns: an operation that
    /// takes longer than the pauses between the commits of others would never end.
    pub in_turn: bool,
}

impl Default for RerunPolicy {
    /// 10 times, within half an hour.
    fn default() -> Self {
        Self { max_attempts: 10, total: Duration::from_secs(30 * 60) }
    }
}

impl RerunPolicy {
    /// This policy with what a table's `commit.rerun.*` properties say put over it.
    ///
    /// Fails with `Validation` when one of them is no whole number.
    pub fn with_properties(mut self, properties: &HashMap<String, String>) -> Result<Self> {
        if let Some(attempts) = number(properties, MAX_ATTEMPTS)? {
            self.max_attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        }
        if let Some(ms) = number(properties, TOTAL_TIMEOUT_MS)? {
            self.total = Duration::from_millis(ms);
        }
        Ok(self)
    }

    /// How an operation that was run again `done` times is run once more, when `elapsed` has gone by since it began; `None`
    /// when it is not. `random` is at least 0.0 and below 1.0.
    pub fn next(&self, done: u32, elapsed: Duration, random: f64) -> Option<Rerun> {
        if done >= self.max_attempts || elapsed >= self.total {
            return None;
        }
        let grown = BASE_DELAY.saturating_mul(2_u32.saturating_pow(done)).min(MAX_DELAY);
        let pause = grown.mul_f64(random.clamp(0.0, 1.0)).min(self.total.saturating_sub(elapsed));
        Some(Rerun { pause, in_turn: done >= FREE_ATTEMPTS })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_bounded_in_number_and_in_time(
            attempts in 0_u32..20,
            total in 0_u64..10_000,
            done in 0_u32..40,
            elapsed in 0_u64..20_000,
            random in 0.0_f64..1.0,
        ) {
            let policy = RerunPolicy { max_attempts: attempts, total: Duration::from_millis(total) };
            let elapsed = Duration::from_millis(elapsed);
            match policy.next(done, elapsed, random) {
                Some(rerun) => {
                    prop_assert!(done < attempts && elapsed < policy.total);
                    prop_assert!(elapsed + rerun.pause <= policy.total && rerun.pause <= MAX_DELAY);
                    prop_assert_eq!(rerun.in_turn, done > 0);
                }
                None => prop_assert!(done >= attempts || elapsed >= policy.total),
            }
        }
    }

    #[test]
    fn table_properties_win_and_one_that_is_no_number_is_named() {
        let set = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
        let policy = RerunPolicy::default().with_properties(&set(MAX_ATTEMPTS, " 3 ")).unwrap();
        assert_eq!(policy, RerunPolicy { max_attempts: 3, ..RerunPolicy::default() });
        let policy = RerunPolicy::default().with_properties(&set(TOTAL_TIMEOUT_MS, "250")).unwrap();
        assert_eq!(policy.total, Duration::from_millis(250));
        for key in [MAX_ATTEMPTS, TOTAL_TIMEOUT_MS] {
            for bad in ["", "-1", "many", "1.5"] {
                let error = RerunPolicy::default().with_properties(&set(key, bad)).unwrap_err();
                assert!(error.to_string().contains(key), "{error}");
            }
        }
    }
}
