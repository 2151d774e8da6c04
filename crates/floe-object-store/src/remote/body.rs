//! The body of an answer, watched for pauses.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};
use tokio::time::{Instant, Sleep};

use super::failure::Failure;

/// Fails when nothing arrives for too long. The whole may take as long as it likes.
pub(super) struct WatchedBody {
    inner: HttpResponseBody,
    idle: Duration,
    /// Runs while the body is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl WatchedBody {
    pub(super) fn new(inner: HttpResponseBody, idle: Duration) -> Self {
        Self { inner, idle, alarm: None }
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
            return Poll::Ready(frame);
        }
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
