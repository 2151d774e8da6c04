//! Deleting what a commit wrote and nobody needs.

use futures::StreamExt;
use iceberg::io::FileIO;
use tracing::warn;

/// How many files are deleted at a time.
const AT_A_TIME: usize = 16;

/// Deletes files. A file that cannot be deleted is left to orphan removal: the outcome of the commit stands.
pub(super) async fn delete(file_io: &FileIO, locations: Vec<String>) {
    let failed = futures::stream::iter(locations)
        .map(|location| async move { file_io.delete(&location).await.is_err() })
        .buffer_unordered(AT_A_TIME)
        .filter(|failed| std::future::ready(*failed))
        .count()
        .await;
    if failed > 0 {
        warn!(files = failed, "files of a commit could not be deleted");
    }
}
