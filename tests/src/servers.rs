//! Where the servers are that tests run against: variables that `cargo xtask` sets.

use std::env;

/// Set to `1`, tests that need a server pass without running, and say so.
pub const SKIP: &str = "FLOE_SKIP_SERVICES";

/// The value of a variable that names a server, or `None` when [`SKIP`] is set. Panics when neither is: a test that
/// did not run must not look like one that passed.
pub fn variable(name: &str) -> Option<String> {
    if let Ok(value) = env::var(name) {
        return Some(value);
    }
    if env::var(SKIP).is_ok_and(|value| value == "1") {
        println!("NOT RUN: {SKIP}=1 leaves out the tests that need {name}");
        return None;
    }
    panic!(
        "{name} is not set: run `cargo xtask test` or `cargo xtask integration`, which start the server, or set {SKIP}=1 \
         to leave these tests out"
    );
}
