//! Whether a file is the one that it was.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

use super::Source;

/// Times of files are kept by some file systems in steps as long as this: a change within one step cannot be seen.
const STEP: Duration = Duration::from_secs(2);

/// A regular file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    /// Another text when it is another file, or was changed since; `None` where that cannot be told.
    identity: Option<String>,
}

impl FileState {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { identity: identity(metadata, SystemTime::now()) }
    }
}

/// What is another text when one of `sources` is another file, or was changed since; `None` where that cannot be told.
pub(crate) fn untouched(sources: &[Source]) -> Option<String> {
    let each = sources.iter().map(|source| source.state()?.identity.clone());
    each.collect::<Option<Vec<_>>>().map(|all| all.join("\n"))
}

/// Device, number, size, and the times of the last change of content and of anything.
#[cfg(unix)]
fn identity(metadata: &Metadata, now: SystemTime) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let changed =
        Duration::new(u64::try_from(metadata.ctime()).ok()?, u32::try_from(metadata.ctime_nsec()).ok()?);
    let age = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.checked_sub(changed)?;
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    (age >= STEP).then(|| format!("{} {} {} {times:?}", metadata.dev(), metadata.ino(), metadata.size()))
}

/// Nowhere else is there a time that no program can set back.
#[cfg(not(unix))]
fn identity(_: &Metadata, _: SystemTime) -> Option<String> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_another_one_once_it_was_changed_even_if_its_time_is_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, "a\n1\n").unwrap();
        let later = |seconds| SystemTime::now() + Duration::from_secs(seconds);
        let metadata = std::fs::metadata(&path).unwrap();
        let before = identity(&metadata, later(10)).unwrap();
        assert_eq!(identity(&metadata, later(20)), Some(before.clone()));
        assert_eq!(identity(&metadata, later(0)), None, "it may be changed within the same step of time");
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(&path, "a\n2\n").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(metadata.modified().unwrap()).unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.len(), after.modified().unwrap()), (metadata.len(), metadata.modified().unwrap()));
        assert_ne!(identity(&after, later(10)), Some(before));
    }
}
