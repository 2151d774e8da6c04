//! Real servers that tests use; their addresses come from environment variables.

/// Set to `1`, tests that need a server pass without running, and say so.
pub const SKIP: &str = "FLOE_SKIP_SERVICES";

/// The values of these variables, or nothing when [`SKIP`] is set. Panics when one is missing: a test that did
/// not run must not look like one that passed.
pub fn find<const N: usize>(names: [&str; N]) -> Option<[String; N]> {
    if std::env::var(SKIP).is_ok_and(|value| value == "1") {
        println!("NOT RUN: {SKIP}=1 leaves out the tests that need {}", names.join(", "));
        return None;
    }
    let missing: Vec<&str> = names.into_iter().filter(|name| std::env::var_os(name).is_none()).collect();
    assert!(
        missing.is_empty(),
        "{} not set: run `cargo xtask test` or `cargo xtask integration`, or set {SKIP}=1 to leave these tests out",
        missing.join(", ")
    );
    Some(names.map(|name| std::env::var(name).unwrap_or_default()))
}
