//! The body of an answer, watched for pauses.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};
use tokio::time::{Instant, Sleep};

use super::failure::Failure;

/// A body that is waited for comes at so many bytes a second at least, after the first pause.
const SLOWEST: u64 = 4 << 10;

/// Fails when nothing arrives for too long, or so little that it has no end. The whole may take as long as it likes, as long as it
/// keeps coming: only the time that is spent waiting for the store counts. Fails, too, for more bytes than there may be.
pub(super) struct WatchedBody {
    inner: HttpResponseBody,
    idle: Duration,
    pace: Pace,
    most: u64,
    /// Runs while the body is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl WatchedBody {
    pub(super) fn new(inner: HttpResponseBody, idle: Duration, most: u64) -> Self {
        Self { inner, idle, pace: Pace::default(), most, alarm: None }
    }
}

/// How much came, and how long it was waited for.
#[derive(Debug, Default)]
struct Pace {
    received: u64,
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Pace {
    fn waits(&mut self) {
        self.waits_since.get_or_insert_with(Instant::now);
    }

    /// Whether a piece that arrives is one of a body that comes fast enough.
    fn arrives(&mut self, bytes: usize, patience: Duration) -> bool {
        self.waited += self.waits_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.received += bytes as u64;
        self.waited <= patience + Duration::from_secs(self.received / SLOWEST)
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.alarm = None;
            let bytes = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => return Poll::Ready(frame),
            };
            let idle = self.idle;
            if !self.pace.arrives(bytes, idle) {
                return Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, Failure::Stalled))));
            }
            if self.pace.received > self.most {
                let failure = Failure::TooLarge(self.most);
                return Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Unknown, failure))));
            }
            return Poll::Ready(frame);
        }
        self.pace.waits();
        let end = Instant::now() + self.idle;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, Failure::Stalled))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// A body of pieces, each after a pause.
    fn body(pieces: usize, bytes: usize, pause: Duration) -> HttpResponseBody {
        let pieces = futures::stream::unfold(0, move |piece| async move {
            if piece == pieces {
                return None;
            }
            tokio::time::sleep(pause).await;
            Some((Ok(Frame::data(Bytes::from(vec![0; bytes]))), piece + 1))
        });
        HttpResponseBody::new(StreamBody::new(Box::pin(pieces)))
    }

    async fn read(body: HttpResponseBody, idle: u64, most: u64) -> Result<usize, HttpError> {
        let watched = WatchedBody::new(body, Duration::from_millis(idle), most);
        Ok(watched.collect().await?.to_bytes().len())
    }

    #[tokio::test]
    async fn a_body_that_trickles_without_end_ends() {
        let pause = Duration::from_millis(20);
        let begun = Instant::now();
        let error = read(body(usize::MAX, 1, pause), 200, u64::MAX).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // A slow line is no fault, however long it takes.
        assert_eq!(read(body(30, 4 << 10, pause), 200, u64::MAX).await.unwrap(), 30 * (4 << 10));
        // Nor is a short answer that takes its time.
        assert_eq!(read(body(3, 1, pause), 2_000, u64::MAX).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn more_than_there_may_be_is_refused() {
        assert_eq!(read(body(10, 10, Duration::ZERO), 1_000, 100).await.unwrap(), 100);
        assert!(read(body(usize::MAX, 10, Duration::ZERO), 1_000, 100).await.is_err());
    }
}
