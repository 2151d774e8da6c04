//! What became of a change to the catalog whose reply was lost: it is looked up, never repeated.

use std::time::Duration;

use floe_core::{Error, ErrorKind, Result};

use super::IcebergTableManager;

/// How often it is looked, while the change may still be under way.
const LOOKS: u32 = 3;
/// The pause before the second look; each after it is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// What a look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen<T> {
    /// The catalog is as the change leaves it.
    Done(T),
    /// It is as it was: the change may still come.
    NotYet,
    /// It is neither: why, as a sentence without a final stop.
    Mixed(String),
}

impl IcebergTableManager {
    /// The outcome of a change that answered `error`: the error itself where it says that nothing happened, and else what
    /// `look` shows. `CommitStateUnknown` when that cannot be told.
    pub(super) async fn settle<T>(&self, error: Error, look: impl AsyncFn() -> Result<Seen<T>>) -> Result<T> {
        if error.kind() != ErrorKind::CommitStateUnknown {
            return Err(error);
        }
        for number in 0..LOOKS {
            if number > 0 {
                self.environment.sleep(PAUSE * (1 << (number - 1))).await;
            }
            match look().await {
                Ok(Seen::Done(done)) => return Ok(done),
                Ok(Seen::NotYet) => {}
                Ok(Seen::Mixed(why)) => return Err(error.context(why)),
                Err(e) => return Err(error.context(format!("it could not be looked up ({})", e.kind()))),
            }
        }
        Err(error.context("it has not taken effect so far, and may still do so"))
    }
}
