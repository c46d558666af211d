//! What a connection is doing, as its supervisor needs to know it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

use super::reply::Body;

/// How long a closed connection is read on.
const MAX_LINGER: Duration = Duration::from_secs(1);
/// How much of what still comes is read on a closed connection.
const MAX_LINGER_BYTES: usize = 128 * 1024 * 1024;

/// What one connection is doing; shared by its stream, its requests and its supervisor.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose response is not written yet.
    in_flight: AtomicUsize,
    has_begun: AtomicBool,
    /// When the last response was done with, in milliseconds after `opened`.
    idle_since: AtomicU64,
    /// When a write began to wait for the client, in milliseconds after `opened`; 0: it does not.
    blocked_since: AtomicU64,
    /// Wakes the supervisor to close the connection in favour of another.
    pub(super) evict: Notify,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            has_begun: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            evict: Notify::new(),
        }
    }

    /// Whether there was a request.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    pub(super) const fn opened(&self) -> Instant {
        self.opened
    }

    /// Since when no request is under way.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.in_flight.load(Ordering::Acquire) > 0 {
            return None;
        }
        Some(self.opened + Duration::from_millis(self.idle_since.load(Ordering::Relaxed)))
    }

    /// Since when a write waits for the client to read.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        match self.blocked_since.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(self.opened + Duration::from_millis(millis)),
        }
    }

    /// Counts a request as under way until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.has_begun.store(true, Ordering::Relaxed);
        InFlight { activity: Arc::clone(self) }
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = self.activity.age_millis();
        self.activity.idle_since.store(now, Ordering::Relaxed);
        self.activity.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A response body whose request is under way until it is written.
pub(super) struct Tracked {
    pub(super) body: Body,
    pub(super) _in_flight: InFlight,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes when its writes wait for the client, gives bytes read ahead again, and
/// may take what a client still sends when it is closed.
///
/// A socket that is closed with unread bytes resets the connection, and the client never reads
/// the answer (a 413, say) that was sent before.
pub(super) struct Watched<S> {
    stream: S,
    read_ahead: Bytes,
    activity: Arc<Activity>,
    linger: Option<Linger>,
}

/// Reading on after the end of writing.
struct Linger {
    until: Option<Pin<Box<Sleep>>>,
    bytes_left: usize,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, read_ahead: Bytes, activity: Arc<Activity>) -> Self {
        Self { stream, read_ahead, activity, linger: None }
    }

    /// Reads on for a while when the stream is closed.
    pub(super) fn lingering(mut self) -> Self {
        self.linger = Some(Linger { until: None, bytes_left: MAX_LINGER_BYTES });
        self
    }

    fn note_write<T>(&self, result: Poll<T>) -> Poll<T> {
        let blocked = &self.activity.blocked_since;
        match result {
            Poll::Pending if blocked.load(Ordering::Relaxed) == 0 => {
                blocked.store(self.activity.age_millis().max(1), Ordering::Relaxed);
            }
            Poll::Ready(_) if blocked.load(Ordering::Relaxed) != 0 => {
                blocked.store(0, Ordering::Relaxed);
            }
            _ => {}
        }
        result
    }
}

impl<S: Read + Unpin> Read for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let size = self.read_ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.read_ahead[..size]);
        self.read_ahead.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl<S: Read + Write + Unpin> Write for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.note_write(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(linger) = &mut this.linger else {
            return Pin::new(&mut this.stream).poll_shutdown(context);
        };
        let until = match &mut linger.until {
            Some(until) => until,
            None => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
                linger.until.insert(Box::pin(sleep(MAX_LINGER)))
            }
        };
        while linger.bytes_left > 0 && until.as_mut().poll(context).is_pending() {
            let mut scratch = [0; 4096];
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(context, buffer.unfilled()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.bytes_left = linger.bytes_left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, data);
        self.note_write(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connection_is_idle_when_no_request_is_under_way() {
        let activity = Arc::new(Activity::new());
        assert!(activity.idle_since().is_some());
        let first = activity.begin();
        let second = activity.begin();
        drop(first);
        assert!(activity.idle_since().is_none());
        drop(second);
        assert!(activity.idle_since().is_some());
    }
}
