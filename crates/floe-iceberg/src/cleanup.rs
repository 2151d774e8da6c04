//! Work that was cancelled deletes what it made.

use std::sync::LazyLock;

use tokio::sync::watch;

/// How many pieces of work of this process have made files that no metadata refers to.
static UNDER_WAY: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Counts as long as it lives: while files are made, and until they are handed over or deleted.
#[derive(Debug)]
pub(crate) struct UnderWay(());

impl UnderWay {
    pub(crate) fn begin() -> Self {
        UNDER_WAY.send_modify(|count| *count += 1);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.send_modify(|count| *count -= 1);
    }
}

/// Waits until no write of this process is under way: when writes were cancelled, until what they had made is deleted.
///
/// A write is cancelled when its future is dropped. It leaves the deletion of its files to the runtime, so that a program
/// which ends after that waits for this first, for as long as it can afford.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(
/// floe_iceberg::settled()
/// # );
/// ```
pub async fn settled() {
    // The sender is never dropped.
    let _ = UNDER_WAY.subscribe().wait_for(|count| *count == 0).await;
}
