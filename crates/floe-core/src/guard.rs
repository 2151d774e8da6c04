//! The guard around everything that reads bytes which floe did not write: files that are loaded, data files and metadata of
//! tables, replies of servers.
//!
//! Libraries that decode such bytes panic now and then, where they should give an error. A [`Guard`] turns that into one error
//! that names the file and the reader, and keeps the panic off standard error. The place of the panic goes to the log at the
//! level `debug`; so does its text, without anything that may be a value.
//!
//! Only panics that unwind are caught. A guard is no excuse for a defect of floe: a panic in floe's own code is
//! [`ErrorKind::Internal`], and its place is in the message.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll};

use futures::Stream;

use crate::{Error, ErrorKind, Result};

thread_local! {
    static GUARDS: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Where a panic came from.
#[derive(Debug, Clone)]
struct Place {
    /// `crate/src/file.rs:line`, without the folders of the machine it was built on.
    at: String,
    ours: bool,
}

/// Guards the reading of one file, or of one reply.
///
/// ```
/// use floe_core::ErrorKind;
/// use floe_core::guard::Guard;
///
/// let guard = Guard::new("the Arrow reader", "orders.arrow");
/// let error = guard.call(|| -> floe_core::Result<u8> { Ok([1, 2, 3][std::hint::black_box(7)]) }).unwrap_err();
/// assert!(error.to_string().starts_with("orders.arrow: the Arrow reader"));
/// assert_eq!(guard.call(|| Ok(1)).unwrap(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Guard {
    reader: &'static str,
    file: Arc<str>,
    /// Every panic is a defect of floe.
    own: bool,
}

impl Guard {
    /// A guard that names a reader, such as `the Parquet reader`, and the file, or what else is read.
    pub fn new(reader: &'static str, file: impl Into<Arc<str>>) -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| match GUARDS.get() {
                0 => before(info),
                _ => note(info),
            }));
        });
        Self { reader, file: file.into(), own: false }
    }

    /// The last guard, around a whole command of a program: whatever panics within it is a defect of that program.
    pub fn command() -> Self {
        Self { own: true, ..Self::new("the command", "") }
    }

    /// What `read` gives. Fails as it does, with `Corrupted` when a library panics, and with `Internal` when floe does.
    pub fn call<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        let inside = Inside::enter();
        let done = catch_unwind(AssertUnwindSafe(read));
        drop(inside);
        done.unwrap_or_else(|_| Err(self.error()))
    }

    /// As [`Guard::call`], for work that waits: every step of it is guarded, on whatever thread it runs.
    pub async fn future<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| match self.step(|| work.as_mut().poll(cx)) {
            Ok(polled) => polled,
            Err(error) => Poll::Ready(Err(error)),
        })
        .await
    }

    /// As [`Guard::call`], for each item of a stream, which ends after a panic.
    pub fn stream<S, T>(&self, stream: S) -> Guarded<S>
    where
        S: Stream<Item = Result<T>> + Unpin,
    {
        Guarded { guard: self.clone(), inner: Some(stream) }
    }

    /// As [`Guard::call`], for each item, with none after a panic.
    pub fn iter<I, T>(&self, items: I) -> Guarded<I>
    where
        I: Iterator<Item = Result<T>>,
    {
        Guarded { guard: self.clone(), inner: Some(items) }
    }

    fn step<T>(&self, step: impl FnOnce() -> T) -> Result<T> {
        let inside = Inside::enter();
        let done = catch_unwind(AssertUnwindSafe(step));
        drop(inside);
        done.map_err(|_| self.error())
    }

    fn error(&self) -> Error {
        let place = LAST.take();
        let (reader, file) = (self.reader, &self.file);
        let at = place.as_ref().map(|place| format!(" (at {})", place.at)).unwrap_or_default();
        if self.own {
            let hint = "please report it; FLOE_LOG=debug shows more";
            return Error::new(ErrorKind::Internal, format!("{reader} failed: a defect of floe{at}"))
                .with_hint(hint);
        }
        if place.is_some_and(|place| place.ours) {
            let what = format!("{file}: {reader} failed: a defect of floe{at}");
            return Error::new(ErrorKind::Internal, what);
        }
        let what =
            format!("{file}: {reader} cannot read this: it is damaged, or not as its format demands{at}");
        Error::new(ErrorKind::Corrupted, what)
    }
}

/// A stream or an iterator, guarded.
#[derive(Debug)]
pub struct Guarded<I> {
    guard: Guard,
    /// Gone after a panic: what is left of it cannot be trusted.
    inner: Option<I>,
}

impl<I, T> Iterator for Guarded<I>
where
    I: Iterator<Item = Result<T>>,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let inner = self.inner.as_mut()?;
        match self.guard.step(|| inner.next()) {
            Ok(item) => item,
            Err(error) => {
                forget(&self.guard, &mut self.inner);
                Some(Err(error))
            }
        }
    }
}

impl<S, T> Stream for Guarded<S>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(inner) = this.inner.as_mut() else { return Poll::Ready(None) };
        match this.guard.step(|| Pin::new(inner).poll_next(cx)) {
            Ok(polled) => polled,
            Err(error) => {
                forget(&this.guard, &mut this.inner);
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

/// Drops what panicked; that may panic again.
fn forget<I>(guard: &Guard, inner: &mut Option<I>) {
    let inner = inner.take();
    let _ = guard.step(|| drop(inner));
}

/// While there is one, panics of this thread are noted, not printed.
struct Inside;

impl Inside {
    fn enter() -> Self {
        GUARDS.set(GUARDS.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        GUARDS.set(GUARDS.get().saturating_sub(1));
    }
}

fn note(info: &PanicHookInfo<'_>) {
    let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
    let place = Place { at: format!("{}:{line}", shortened(file)), ours: is_ours(file) };
    let text = info.payload_as_str().map(masked).unwrap_or_default();
    tracing::debug!(at = place.at, panic = text, "a reader panicked");
    LAST.set(Some(place));
}

/// A source file without the folders above its crate.
fn shortened(file: &str) -> String {
    let parts: Vec<&str> = file.split(['/', '\\']).collect();
    let source = parts.iter().rposition(|part| *part == "src").unwrap_or(0);
    parts[source.saturating_sub(1)..].join("/")
}

fn is_ours(file: &str) -> bool {
    let short = shortened(file);
    let name = short.split('/').next().unwrap_or_default();
    name == "floe" || name.starts_with("floe-")
}

/// The text of a panic without what may be a value: digits, and whatever is quoted.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for c in text.chars().take(300) {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`' | '\'') => {
                quote = Some(c);
                out.push('…');
            }
            None if c.is_ascii_digit() => out.push('#'),
            None => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::StreamExt;

    use super::*;

    fn guard() -> Guard {
        Guard::new("the reader", "f.bin")
    }

    fn panic_of_ours(row: usize) -> Result<u8> {
        Ok([1_u8, 2][row])
    }

    #[test]
    fn a_defect_of_ours_is_internal_and_says_where() {
        let error = guard().call(|| panic_of_ours(std::hint::black_box(5))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("floe-core/src/guard.rs:"), "{error}");
        assert!(!error.message().contains("/work"), "{error}");
    }

    #[test]
    fn a_panic_of_a_library_is_damage_of_the_file() {
        // A library whose panic is reported at its own place.
        let error = guard().call(|| Ok(bytes::Bytes::from_static(b"ab").slice(1..9))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.message().starts_with("f.bin: the reader"), "{error}");
    }

    #[test]
    fn errors_and_values_pass() {
        assert_eq!(guard().call(|| Ok(7)).unwrap(), 7);
        let error = guard().call(|| Err::<(), _>(Error::validation("no"))).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Validation, "no"));
        assert_eq!(GUARDS.get(), 0);
    }

    #[test]
    fn items_end_after_a_panic() {
        let items = [1_usize, 0, 9, 1].into_iter().map(panic_of_ours);
        let found: Vec<_> = guard().iter(items).collect();
        assert_eq!(found.len(), 3);
        assert!(found[2].is_err());
    }

    #[tokio::test]
    async fn every_step_of_what_waits_is_guarded() {
        let work = async {
            tokio::task::yield_now().await;
            panic_of_ours(std::hint::black_box(3))
        };
        assert_eq!(guard().future(work).await.unwrap_err().kind(), ErrorKind::Internal);
        let items = futures::stream::iter([0_usize, 9, 0]).map(panic_of_ours);
        let found: Vec<_> = guard().stream(items).collect().await;
        assert_eq!(found.len(), 2);
        assert!(found[1].is_err());
        assert_eq!(GUARDS.get(), 0);
    }

    #[test]
    fn texts_of_panics_keep_no_values() {
        assert_eq!(masked("no `hunter2` at 17 of \"secret\": bad"), "no … at ## of …: bad");
        assert_eq!(
            shortened("/home/x/.cargo/registry/src/i/parquet-58.4.1/src/a/b.rs"),
            "parquet-58.4.1/src/a/b.rs"
        );
        assert!(is_ours("crates/floe-plan/src/lib.rs") && is_ours("/r/floe-plan-0.1.0/src/lib.rs"));
        assert!(!is_ours("/home/floe-dev/registry/parquet-58.4.1/src/lib.rs") && !is_ours(""));
    }
}
