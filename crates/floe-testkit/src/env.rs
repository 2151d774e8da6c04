//! A deterministic clock and random source.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use floe_core::Environment;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

/// An [`Environment`] that repeats itself: random numbers come from a seed, and the clock is virtual.
///
/// Each reading of the clock advances it by one millisecond, so that two snapshots never share a timestamp;
/// `sleep` advances it by the whole duration at once and yields, so that other tasks get their turn.
///
/// ```
/// use floe_core::Environment;
/// use floe_testkit::SeededEnvironment;
///
/// let (a, b) = (SeededEnvironment::new(7), SeededEnvironment::new(7));
/// assert_eq!(a.random_u64(), b.random_u64());
/// assert!(a.now_ms() < a.now_ms());
/// ```
#[derive(Debug)]
pub struct SeededEnvironment {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    now_ms: i64,
    slept: Duration,
}

impl SeededEnvironment {
    /// 2024-01-01T00:00:00Z: where every virtual clock starts.
    pub const START_MS: i64 = 1_704_067_200_000;

    /// An environment whose random numbers follow from `seed`.
    pub fn new(seed: u64) -> Self {
        let state =
            State { random: StdRng::seed_from_u64(seed), now_ms: Self::START_MS, slept: Duration::ZERO };
        Self { state: Mutex::new(state) }
    }

    /// Moves the clock on.
    pub fn advance(&self, duration: Duration) {
        self.lock().now_ms += duration.as_millis() as i64;
    }

    /// How long `sleep` was asked to wait, in all.
    pub fn slept(&self) -> Duration {
        self.lock().slept
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Environment for SeededEnvironment {
    fn now_ms(&self) -> i64 {
        let mut state = self.lock();
        state.now_ms += 1;
        state.now_ms
    }

    fn random_u64(&self) -> u64 {
        self.lock().random.next_u64()
    }

    async fn sleep(&self, duration: Duration) {
        {
            let mut state = self.lock();
            state.now_ms += duration.as_millis() as i64;
            state.slept += duration;
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleep_advances_the_clock_at_once() {
        let env = SeededEnvironment::new(1);
        let before = env.now_ms();
        env.sleep(Duration::from_hours(1)).await;
        assert!(env.now_ms() - before >= 3_600_000);
        assert_eq!(env.slept(), Duration::from_hours(1));
    }

    #[test]
    fn another_seed_gives_other_numbers() {
        let draw = |seed| {
            let env = SeededEnvironment::new(seed);
            (0..8).map(|_| env.random_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }
}
