//! Turns at committing.

use std::fmt;

/// A turn at committing to a table; see [`crate::CatalogClient::turn`]. It ends when it is dropped.
#[derive(Default)]
pub struct CommitTurn {
    held: Option<Box<dyn Send>>,
}

impl CommitTurn {
    /// A turn that holds nobody up.
    pub fn none() -> Self {
        Self::default()
    }

    /// A turn that lasts as long as `guard`.
    pub fn holding(guard: impl Send + 'static) -> Self {
        Self { held: Some(Box::new(guard)) }
    }

    /// Whether others wait until this turn is over.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

impl fmt::Debug for CommitTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitTurn").field("held", &self.is_held()).finish()
    }
}
