//! Collecting every fault of a configuration before it is refused.

use floe_core::{Error, Result};

/// Faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    /// Adds a fault unless `ok`.
    pub(crate) fn check(&mut self, ok: bool, fault: impl FnOnce() -> String) {
        if !ok {
            self.0.push(fault());
        }
    }

    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of `other`.
    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// One `Validation` error that names them all, if there are any.
    pub(crate) fn into_result(self, what: &str) -> Result<()> {
        match self.0.as_slice() {
            [] => Ok(()),
            [one] => Err(Error::validation(format!("{what} is not valid: {one}"))),
            many => Err(Error::validation(format!(
                "{what} is not valid, {} faults: {}",
                many.len(),
                many.join("; ")
            ))),
        }
    }
}
