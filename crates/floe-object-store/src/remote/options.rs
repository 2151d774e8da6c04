//! How patient a client of a store is.

use std::collections::BTreeMap;
use std::time::Duration;

use floe_core::{Error, Result, SecretString};
use object_store::{BackoffConfig, RetryConfig};
use serde::{Deserialize, Serialize};

/// The slowest upload that is waited for, in bytes a second.
const SLOWEST: u64 = 64 << 10;

/// How requests are sent, and for how long.
///
/// Trying to connect ends after some seconds, so that a wrong address shows at once; an answer of the store
/// that asks for patience (503 SlowDown, 429) is waited out for much longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct NetworkOptions {
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// Attempts to connect are repeated for this long before the store counts as unavailable.
    pub connect_patience: Duration,
    /// How long the answer to a request may take, besides the time that its body needs on a slow line.
    pub response_timeout: Duration,
    /// How long a body may pause while it is received.
    pub idle_timeout: Duration,
    /// How often a request is repeated after an error of the server, a broken connection or a request to slow
    /// down. A request that is not idempotent is repeated only where it certainly had no effect.
    pub max_retries: usize,
    /// The first pause between two attempts; later ones grow, with jitter.
    pub min_backoff: Duration,
    /// The longest pause between two attempts.
    pub max_backoff: Duration,
    /// No attempt is started this long after the first.
    pub retry_timeout: Duration,
    /// A proxy for every request, with its credentials in the URL if it needs any. Absent: `HTTPS_PROXY`,
    /// `HTTP_PROXY` and `NO_PROXY` of the environment.
    pub proxy: Option<SecretString>,
    /// A file of PEM certificates to trust besides those of the system.
    pub ca_file: Option<String>,
    /// Headers of every request. No secrets: they are shown.
    pub headers: BTreeMap<String, String>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            connect_patience: Duration::from_secs(6),
            response_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            max_retries: 10,
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            retry_timeout: Duration::from_secs(120),
            proxy: None,
            ca_file: None,
            headers: BTreeMap::new(),
        }
    }
}

impl NetworkOptions {
    /// With another limit for an attempt to connect; several are made in twice that time.
    pub fn with_connect_timeout(self, limit: Duration) -> Self {
        Self { connect_timeout: limit, connect_patience: limit * 2, ..self }
    }

    /// With another limit for the answer to a request, and for a pause in it.
    pub fn with_request_timeout(self, limit: Duration) -> Self {
        Self { response_timeout: limit, idle_timeout: limit, ..self }
    }

    /// The retries, as `object_store` takes them.
    pub fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: self.min_backoff,
                max_backoff: self.max_backoff,
                base: 2.0,
            },
            max_retries: self.max_retries,
            retry_timeout: self.retry_timeout,
        }
    }

    /// How long a request whose body has `length` bytes may take until its answer begins.
    pub(crate) fn until_response(&self, length: usize) -> Duration {
        self.response_timeout + Duration::from_secs(length as u64 / SLOWEST)
    }
}

/// A time limit in seconds, as PyIceberg writes it: `5` or `0.5`. `key` names the property in the error.
pub fn seconds(key: &str, value: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| Error::validation(format!("property '{key}' must be a positive number of seconds")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_gets_more_time() {
        let options = NetworkOptions::default();
        assert_eq!(options.until_response(0), Duration::from_secs(30));
        assert!(options.until_response(8 << 20) >= Duration::from_secs(150));
    }

    #[test]
    fn only_positive_times_are_limits() {
        assert_eq!(seconds("t", 0.5).unwrap(), Duration::from_millis(500));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(seconds("t", bad).unwrap_err().to_string().contains("'t'"));
        }
    }
}
