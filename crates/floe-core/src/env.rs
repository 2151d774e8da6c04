//! Time and randomness, as arguments: a seeded simulation replays any interleaving of writers and faults.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

/// Where an operation gets the time, randomness and its pauses from.
#[async_trait]
pub trait Environment: Send + Sync + fmt::Debug {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;

    /// 64 random bits.
    fn random_u64(&self) -> u64;

    /// Waits.
    async fn sleep(&self, duration: Duration);

    /// A random (version 4) UUID.
    fn random_uuid(&self) -> Uuid {
        let (high, low) = (u128::from(self.random_u64()), u128::from(self.random_u64()));
        uuid::Builder::from_random_bytes(((high << 64) | low).to_be_bytes()).into_uuid()
    }

    /// A random number at least 0.0 and below 1.0.
    fn random_unit(&self) -> f64 {
        // 53 bits fill the mantissa of a double.
        (self.random_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A random snapshot id: positive, as all writers of Iceberg make them.
    fn random_snapshot_id(&self) -> i64 {
        ((self.random_u64() >> 1) as i64).max(1)
    }
}

/// The clock and the random source of the machine, and the timer of the tokio runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

#[async_trait]
impl Environment for SystemEnvironment {
    fn now_ms(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }

    fn random_u64(&self) -> u64 {
        rand::random()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
