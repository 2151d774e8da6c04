//! Where output goes: standard output, or a file that appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use floe::text::escape_lines;
use floe::{Error, Result};
use tempfile::NamedTempFile;

use super::sink::Out;

/// Whether the reader of standard output went away (`floe scan … | head`): no error, there is nothing more to do.
pub(crate) fn stdout_is_closed() -> bool {
    STDOUT_CLOSED.load(Ordering::Relaxed)
}

/// Standard output. Notes when its reader goes away; see [`stdout_is_closed`].
pub(crate) fn stdout() -> impl Write + Send {
    Tracked { inner: io::stdout(), failure: Failure::default(), is_stdout: true }
}

static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// The first IO error of a writer. Encoders turn such errors into text, and lose what they were.
type Failure = Arc<Mutex<Option<io::ErrorKind>>>;

struct Tracked<W> {
    inner: W,
    failure: Failure,
    is_stdout: bool,
}

impl<W> Tracked<W> {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            if self.is_stdout && error.kind() == io::ErrorKind::BrokenPipe {
                STDOUT_CLOSED.store(true, Ordering::Relaxed);
            }
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.kind());
        }
        result
    }
}

impl<W: Write> Write for Tracked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.note(result)
    }
}

/// Writes text with [`escape_lines`]. A character that comes in two writes waits for its end.
struct Seen<W> {
    inner: W,
    rest: Vec<u8>,
}

impl<W> Seen<W> {
    fn new(inner: W) -> Self {
        Self { inner, rest: Vec::new() }
    }
}

impl<W: Write> Write for Seen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        // The last character may be cut, at most its last three bytes.
        let whole = match std::str::from_utf8(&self.rest) {
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            _ => self.rest.len(),
        };
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        self.inner.write_all(escape_lines(&String::from_utf8_lossy(&text)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Where output goes.
pub(crate) struct Target {
    place: Place,
    failure: Failure,
}

enum Place {
    Stdout,
    /// Written beside its final place, and moved there at the end.
    File {
        temporary: NamedTempFile,
        path: PathBuf,
    },
    /// A device or a pipe, which is written as it is.
    Special {
        file: File,
        path: PathBuf,
    },
}

impl Target {
    /// Standard output, or a file at `path`; fails when it cannot be written there.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Place::Stdout.into()) };
        let in_path = |e: io::Error| Error::from(e).context(path.display());
        if let Ok(metadata) = fs::metadata(path) {
            if metadata.is_dir() {
                return Err(Error::validation(format!("{}: this is a folder", path.display()))
                    .with_hint("--out takes the path of a file"));
            }
            if !metadata.is_file() {
                let file = fs::OpenOptions::new().write(true).open(path).map_err(in_path)?;
                return Ok(Place::Special { file, path: path.to_owned() }.into());
            }
        }
        // A link is written through: what it points at is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".floe-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As for any new file; the umask takes its share.
            let mode = fs::metadata(&path).map_or(0o666, |m| m.permissions().mode() & 0o777);
            builder.permissions(fs::Permissions::from_mode(mode));
        }
        let temporary = builder.tempfile_in(folder).map_err(in_path)?;
        Ok(Place::File { temporary, path }.into())
    }

    /// A writer of text or bytes, buffered. What goes to a terminal is text for people, whatever its format, and is escaped
    /// as all text is; JSON stays the same JSON.
    pub(crate) fn writer(&self) -> Result<Out> {
        Ok(match &self.place {
            Place::Stdout if io::stdout().is_terminal() => self.buffered(Seen::new(io::stdout()), true),
            Place::Stdout => self.buffered(io::stdout(), true),
            Place::File { temporary, .. } => self.buffered(temporary.reopen()?, false),
            Place::Special { file, .. } => self.buffered(file.try_clone()?, false),
        })
    }

    fn buffered(&self, inner: impl Write + Send + 'static, is_stdout: bool) -> Out {
        let tracked = Tracked { inner, failure: self.failure.clone(), is_stdout };
        Box::new(BufWriter::with_capacity(1 << 17, tracked))
    }

    /// Whether people see the output as it is written.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.place, Place::Stdout) && io::stdout().is_terminal()
    }

    /// `error`, or what it really is when writing here failed: a full disk, no permission.
    pub(crate) fn blame(&self, error: Error) -> Error {
        let failure = *self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kind) = failure else { return error };
        let error = Error::from(io::Error::from(kind));
        match &self.place {
            Place::Stdout => error.context("standard output"),
            Place::File { path, .. } | Place::Special { path, .. } => error.context(path.display()),
        }
    }

    /// Makes what was written last: gives the size of the file, if it is one.
    pub(crate) fn commit(self, mut out: Out) -> Result<Option<u64>> {
        out.flush().map_err(|e| self.blame(Error::from(e)))?;
        drop(out);
        match self.place {
            Place::Stdout => Ok(None),
            Place::Special { .. } => Ok(None),
            Place::File { temporary, path } => {
                let in_path = |e: io::Error| Error::from(e).context(path.display());
                temporary.as_file().sync_all().map_err(in_path)?;
                let bytes = temporary.as_file().metadata().map_err(in_path)?.len();
                temporary.persist(&path).map_err(|e| in_path(e.error))?;
                Ok(Some(bytes))
            }
        }
    }
}

impl From<Place> for Target {
    fn from(place: Place) -> Self {
        Self { place, failure: Failure::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        fs::write(&path, "old").unwrap();
        let abandoned = Target::open(Some(&path)).unwrap();
        abandoned.writer().unwrap().write_all(b"half").unwrap();
        drop(abandoned);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");

        let target = Target::open(Some(&path)).unwrap();
        let mut out = target.writer().unwrap();
        out.write_all(b"new text").unwrap();
        assert_eq!(target.commit(out).unwrap(), Some(8));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new text");
    }

    #[test]
    fn a_terminal_gets_text_however_it_is_cut() {
        let text = "{\"a\":\"\u{9b}2J é表\u{202e}😀\u{1b}\"}\n";
        for size in 1..8 {
            let mut seen = Seen::new(Vec::new());
            for part in text.as_bytes().chunks(size) {
                seen.write_all(part).unwrap();
            }
            assert_eq!(String::from_utf8(seen.inner).unwrap(), escape_lines(text), "{size}");
        }
        let mut seen = Seen::new(Vec::new());
        seen.write_all(b"a\xff\x9bb").unwrap();
        assert_eq!(seen.inner, "a\u{fffd}\u{fffd}b".as_bytes());
    }

    #[test]
    fn folders_and_missing_folders_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Target::open(Some(folder.path())).is_err());
        assert!(Target::open(Some(&folder.path().join("no/such/x.csv"))).is_err());
    }
}
