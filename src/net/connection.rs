//! One connection: which protocol it speaks, and when it has to end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::reply::Body;
use super::serve::{Peer, Protocol, ServerOptions};
use super::watch::{Activity, Tracked, Watched};

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a connection has for its first request when the server is told to stop.
const FIRST_REQUEST: Duration = Duration::from_millis(250);
/// How often it is looked whether it came.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long an idle connection may take to close.
const CLOSING: Duration = Duration::from_secs(1);
/// How long an idle connection that makes room for another may take to close.
const EVICTING: Duration = Duration::from_millis(100);
/// How often at the least a connection is looked at.
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// Streams that were reset before they were looked at; more ends the connection.
const MAX_PENDING_RESETS: usize = 20;
/// Streams that were reset for errors of the client; more ends the connection.
const MAX_ERROR_RESETS: usize = 256;

/// What all connections of a server share.
pub(super) struct Server<H> {
    pub(super) options: ServerOptions,
    pub(super) handler: H,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// A connection that was accepted, with or without TLS.
pub(super) struct Accepted<S> {
    pub(super) stream: S,
    pub(super) peer: Arc<Peer>,
    pub(super) activity: Arc<Activity>,
}

impl<H, F> Server<H>
where
    H: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    /// Waits until the server was told to stop, and then as long as a connection that was just
    /// accepted has for the request that is on its way.
    pub(super) async fn stopped(&self, activity: &Activity) {
        self.stop.cancelled().await;
        let latest = Instant::now() + self.options.drain;
        let latest = latest.min(activity.opened() + FIRST_REQUEST);
        while !activity.has_begun() && Instant::now() < latest {
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Serves a connection to its end.
    pub(super) async fn serve<S>(&self, mut accepted: Accepted<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::clone(&accepted.activity);
        let detected = tokio::select! {
            detected = timeout(self.options.header_timeout, detect(&mut accepted.stream)) => detected,
            () = self.stopped(&activity) => return,
            () = activity.evict.notified() => return,
        };
        let Ok(Ok((read_ahead, is_http2))) = detected else {
            return;
        };
        let peer = Arc::clone(&accepted.peer);
        let stream = Watched::new(TokioIo::new(accepted.stream), read_ahead, Arc::clone(&activity));
        let handler = self.handler.clone();
        let tracked = Arc::clone(&activity);
        let service = service_fn(move |request| {
            let in_flight = tracked.begin();
            let response = handler(request, Arc::clone(&peer));
            async move {
                let response = response.await;
                Ok::<_, Infallible>(response.map(|body| Tracked { body, _in_flight: in_flight }))
            }
        });
        if is_http2 {
            let ended = CancellationToken::new();
            let streams = Streams { tasks: self.tasks.clone(), ended: ended.clone() };
            let connection = self.http2(streams).serve_connection(stream, service);
            self.supervise(pin!(connection), &activity).await;
            ended.cancel();
        } else if self.options.protocol == Protocol::Auto {
            let connection = self.http1().serve_connection(stream.lingering(), service);
            self.supervise(pin!(connection), &activity).await;
        }
    }

    fn http1(&self) -> http1::Builder {
        let options = &self.options;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .max_header_size(options.max_header_bytes)
            .keep_alive(options.keep_alive);
        builder
    }

    fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let options = &self.options;
        let mut builder = http2::Builder::new(streams);
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(options.max_concurrent_streams)
            .max_frame_size(options.max_frame_bytes)
            .initial_stream_window_size(options.stream_window_bytes)
            .initial_connection_window_size(options.connection_window_bytes)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_ERROR_RESETS)
            .keep_alive_interval(options.ping_interval)
            .keep_alive_timeout(options.ping_timeout);
        builder
    }

    /// Drives `connection` until it ends or one of its limits ends it.
    async fn supervise<C: Drain>(&self, mut connection: Pin<&mut C>, activity: &Activity) {
        let mut closing_until: Option<Instant> = None;
        loop {
            let verdict = match closing_until {
                Some(until) if Instant::now() >= until => return,
                Some(until) => Verdict::LookAgain(until),
                None => self.options.judge(activity, Instant::now()),
            };
            let wake = match verdict {
                Verdict::End => return,
                Verdict::Close(grace) => {
                    connection.as_mut().drain();
                    *closing_until.insert(Instant::now() + grace)
                }
                Verdict::LookAgain(wake) => wake,
            };
            let is_closing = closing_until.is_some();
            tokio::select! {
                // An answer that is ready still says that it is the last.
                biased;
                () = self.stopped(activity), if !is_closing => {
                    connection.as_mut().drain();
                    closing_until = Some(Instant::now() + self.options.drain);
                }
                () = activity.evict.notified(), if !is_closing => {
                    connection.as_mut().drain();
                    closing_until = Some(Instant::now() + EVICTING);
                }
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%error, "connection ended");
                    }
                    return;
                }
                () = sleep_until(wake) => {}
            }
            // A connection that drains for its age still has to follow a stop.
            if self.stop.is_cancelled() {
                let at_stop = Instant::now() + self.options.drain;
                closing_until = closing_until.map(|until| until.min(at_stop));
            }
        }
    }
}

/// What is to become of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It ends at once.
    End,
    /// It takes no more requests, and ends when it has none or after this time.
    Close(Duration),
    /// It goes on; this is when to ask again.
    LookAgain(Instant),
}

impl ServerOptions {
    fn judge(&self, activity: &Activity, now: Instant) -> Verdict {
        let mut wake = now + MAX_CHECK_INTERVAL;
        if let Some(blocked_since) = activity.blocked_since()
            && let Some(write_timeout) = self.write_timeout
        {
            let until = blocked_since + write_timeout;
            if now >= until {
                return Verdict::End;
            }
            wake = wake.min(until);
        } else if let Some(write_timeout) = self.write_timeout {
            wake = wake.min(now + write_timeout);
        }
        if let Some(max_age) = self.max_connection_age {
            let until = activity.opened() + max_age;
            if now >= until {
                return Verdict::Close(self.max_connection_age_grace);
            }
            wake = wake.min(until);
        }
        if let Some(idle_timeout) = self.idle_timeout {
            let until = activity.idle_since().unwrap_or(now) + idle_timeout;
            if now >= until {
                return Verdict::Close(CLOSING);
            }
            wake = wake.min(until);
        }
        Verdict::LookAgain(wake)
    }
}

/// A connection that can be told to take no more requests.
trait Drain: Future<Output = hyper::Result<()>> {
    /// Sends GOAWAY or `Connection: close` and finishes what it has.
    fn drain(self: Pin<&mut Self>);
}

impl<I, S, B> Drain for http1::Connection<I, S>
where
    Self: Future<Output = hyper::Result<()>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Drain for http2::Connection<I, S, E>
where
    Self: Future<Output = hyper::Result<()>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn drain(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs the streams of an HTTP/2 connection as tasks that end with it.
#[derive(Clone)]
struct Streams {
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.tasks.spawn(self.ended.clone().run_until_cancelled_owned(stream));
    }
}

/// Reads until it is clear whether the client speaks HTTP/2; gives what was read.
async fn detect<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(Bytes, bool)> {
    let mut read = [0; PREFACE.len()];
    let mut length = 0;
    while length < PREFACE.len() && PREFACE.starts_with(&read[..length]) {
        match stream.read(&mut read[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            size => length += size,
        }
    }
    Ok((Bytes::copy_from_slice(&read[..length]), read == PREFACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn protocol_is_told_by_the_first_bytes() {
        let mut http1: &[u8] = b"POST /v1/logs HTTP/1.1\r\n";
        let (read_ahead, is_http2) = detect(&mut http1).await.unwrap();
        assert!(!is_http2);
        assert_eq!([&read_ahead[..], http1].concat(), b"POST /v1/logs HTTP/1.1\r\n");
        let mut http2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest";
        let (read_ahead, is_http2) = detect(&mut http2).await.unwrap();
        assert!(is_http2);
        assert_eq!(read_ahead, PREFACE);
        let mut short: &[u8] = b"PRI * HT";
        assert!(detect(&mut short).await.is_err());
    }

    #[tokio::test]
    async fn connection_is_judged_by_age_and_idleness() {
        let activity = Arc::new(Activity::new());
        let second = Duration::from_secs(1);
        let options = ServerOptions {
            idle_timeout: Some(10 * second),
            max_connection_age: Some(100 * second),
            max_connection_age_grace: 5 * second,
            ..ServerOptions::default()
        };
        let opened = activity.opened();
        assert_eq!(
            options.judge(&activity, opened + second),
            Verdict::LookAgain(opened + 10 * second)
        );
        assert_eq!(options.judge(&activity, opened + 10 * second), Verdict::Close(CLOSING));
        let _request = activity.begin();
        assert!(matches!(options.judge(&activity, opened + 20 * second), Verdict::LookAgain(_)));
        assert_eq!(options.judge(&activity, opened + 100 * second), Verdict::Close(5 * second));
    }
}
