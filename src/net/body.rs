//! Reading of bodies with a cap, a charge for what they take, and deadlines.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use tokio::time::{Instant, timeout_at};

/// Smallest allocation for a body that comes in more than one piece.
const MIN_CAPACITY: usize = 16 * 1024;
/// Up to this size memory is taken by what the client says; beyond it, as the body grows.
const MAX_TRUSTED_LENGTH: usize = 1024 * 1024;

/// What a body may take in space and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Largest size in bytes.
    pub max_bytes: usize,
    /// Longest wait for the first or any next piece.
    pub stall: Duration,
    /// Longest time for the whole.
    pub total: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
            stall: Duration::from_secs(30),
            total: Duration::from_secs(300),
        }
    }
}

/// Why a body was not read; `E` says why its memory was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError<E> {
    /// It is larger than allowed.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// It does not come fast enough.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The connection or the stream broke off.
    #[error("the body broke off")]
    Broken {
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no memory for it.
    #[error("no memory for the body")]
    Refused(E),
}

/// Reads `body` whole, after `charge` agreed to the memory that each piece takes more.
///
/// A body of one piece is not copied.
///
/// # Errors
///
/// Fails when the body is too large, too slow or broken, and when `charge` does.
pub async fn read<B, E>(
    body: B,
    limits: &BodyLimits,
    mut charge: impl FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, BodyError<E>>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || BodyError::TooLarge { max_bytes: limits.max_bytes };
    let announced =
        body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if announced.is_some_and(|size| size > limits.max_bytes) {
        return Err(too_large());
    }
    let mut pieces = Pieces::new(body, limits);
    let mut gathered = Gather::new(announced.unwrap_or(0));
    while let Some(piece) = pieces.next().await? {
        if gathered.len() + piece.len() > limits.max_bytes {
            return Err(too_large());
        }
        charge(gathered.growth(piece.len())).map_err(BodyError::Refused)?;
        gathered.push(piece);
    }
    Ok(gathered.finish())
}

/// The pieces of a body as they arrive, with deadlines; trailers are passed over.
#[derive(Debug)]
pub struct Pieces<B> {
    body: B,
    stall: Duration,
    deadline: Instant,
}

impl<B> Pieces<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Starts to read; the time for the whole body runs from now.
    pub fn new(body: B, limits: &BodyLimits) -> Self {
        Self { body, stall: limits.stall, deadline: Instant::now() + limits.total }
    }

    /// The next piece that is not empty, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Fails when the piece does not come in time or the body breaks off.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next<E>(&mut self) -> Result<Option<Bytes>, BodyError<E>> {
        loop {
            let deadline = self.deadline.min(Instant::now() + self.stall);
            let body = &mut self.body;
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            match timeout_at(deadline, frame).await {
                Err(_) => return Err(BodyError::Timeout),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(BodyError::Broken { source: error.into() }),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Pieces laid end to end; a single one is kept as it is.
///
/// Beyond 1 MiB they are kept in segments which are joined at the end: memory that was outgrown
/// would stay with the allocator for a while, and clients that never end could fill it.
#[derive(Debug, Default)]
pub struct Gather {
    expected: usize,
    first: Bytes,
    /// What is full.
    segments: Vec<BytesMut>,
    segments_len: usize,
    last: BytesMut,
}

impl Gather {
    /// An empty one that expects `expected` bytes, 0 if that is not known. What is expected is
    /// trusted up to 1 MiB; beyond that memory is taken as pieces come.
    #[must_use]
    pub fn new(expected: usize) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.segments_len + self.last.len()
    }

    /// Whether there is nothing yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory that a piece of `size` bytes takes more: 0 where there is room for it.
    #[must_use]
    pub fn growth(&self, size: usize) -> usize {
        if self.is_empty() {
            return size;
        }
        if self.first.len() + self.last.len() + size <= self.last.capacity() {
            return 0;
        }
        let outgrown = if self.is_segment() { 0 } else { self.last.capacity() + self.first.len() };
        self.next_capacity(size).saturating_sub(outgrown)
    }

    /// Whether what was gathered last is large enough to be kept when it is outgrown.
    fn is_segment(&self) -> bool {
        self.last.len() >= MAX_TRUSTED_LENGTH / 2
    }

    /// The capacity that takes the place of, or comes behind, what a piece of `size` bytes does not
    /// fit in.
    fn next_capacity(&self, size: usize) -> usize {
        let (before, needed) = match self.is_segment() {
            true => (self.len(), size),
            false => (self.segments_len, self.first.len() + self.last.len() + size),
        };
        let expected = self.expected.saturating_sub(before);
        let by_growth = (needed + self.len() / 2).max(MIN_CAPACITY);
        match expected {
            expected if expected < needed => by_growth,
            expected if expected <= MAX_TRUSTED_LENGTH => expected,
            expected => by_growth.max(MAX_TRUSTED_LENGTH).min(expected),
        }
    }

    /// Adds `piece` at the end.
    pub fn push(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = piece;
            return;
        }
        if self.first.len() + self.last.len() + piece.len() > self.last.capacity() {
            let next = BytesMut::with_capacity(self.next_capacity(piece.len()));
            let is_segment = self.is_segment();
            let last = mem::replace(&mut self.last, next);
            if is_segment {
                self.segments_len += last.len();
                self.segments.push(last);
            } else {
                self.last.extend_from_slice(&last);
            }
        }
        if !self.first.is_empty() {
            self.last.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.last.extend_from_slice(&piece);
    }

    /// All pieces as one. Joining segments takes as much memory again for a moment.
    #[must_use]
    pub fn finish(self) -> Bytes {
        if self.segments.is_empty() {
            return if self.last.is_empty() { self.first } else { self.last.freeze() };
        }
        let mut joined = BytesMut::with_capacity(self.len());
        for segment in self.segments.into_iter().chain([self.last]) {
            joined.extend_from_slice(&segment);
        }
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::io;
    use std::task::{Context, Poll};

    use http_body::{Frame, SizeHint};
    use http_body_util::Full;

    use super::*;

    /// A body of given pieces; after the last it ends, fails or hangs.
    struct Scripted {
        pieces: VecDeque<Bytes>,
        end: Option<Poll<io::ErrorKind>>,
        size: Option<u64>,
    }

    impl Scripted {
        fn new(pieces: &[&'static [u8]]) -> Self {
            let pieces = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
            Self { pieces, end: None, size: None }
        }
    }

    impl Body for Scripted {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            match (self.pieces.pop_front(), &self.end) {
                (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                (None, None) => Poll::Ready(None),
                (None, Some(Poll::Ready(kind))) => Poll::Ready(Some(Err((*kind).into()))),
                (None, Some(Poll::Pending)) => Poll::Pending,
            }
        }

        fn size_hint(&self) -> SizeHint {
            self.size.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    fn limits(max_bytes: usize) -> BodyLimits {
        BodyLimits { max_bytes, ..BodyLimits::default() }
    }

    fn free(_size: usize) -> Result<(), Infallible> {
        Ok(())
    }

    #[tokio::test]
    async fn single_piece_is_not_copied() {
        let sent = Bytes::from(vec![7; 100]);
        let read = read(Full::new(sent.clone()), &limits(100), free).await.unwrap();
        assert_eq!(read.as_ptr(), sent.as_ptr());
        assert_eq!(read.len(), 100);
    }

    #[tokio::test]
    async fn pieces_are_joined_and_charged_as_they_come() {
        let mut charged = Vec::new();
        let body = Scripted::new(&[b"one", b"", b"two", b"three"]);
        let charge = |size| {
            charged.push(size);
            Ok::<_, Infallible>(())
        };
        assert_eq!(read(body, &limits(11), charge).await.unwrap(), "onetwothree");
        assert_eq!(charged, [3, MIN_CAPACITY - 3, 0]);
    }

    #[test]
    fn growth_is_the_memory_that_is_taken() {
        let sizes = [1, 50, 2000, 600_000, 1_500_000, 900_000, 3, 5_000_000];
        for expected in [0, 100, 3 << 20, sizes.iter().sum()] {
            let mut gathered = Gather::new(expected);
            let mut taken = 0;
            let mut wanted = Vec::new();
            for (number, size) in (0..).zip(sizes) {
                taken += gathered.growth(size);
                gathered.push(Bytes::from(vec![number; size]));
                wanted.resize(wanted.len() + size, number);
                let segments = gathered.segments.iter().map(BytesMut::capacity).sum::<usize>();
                let capacity = gathered.first.len() + segments + gathered.last.capacity();
                assert_eq!(capacity, taken, "{expected} {size}");
                let most = (gathered.len() * 3 / 2).max(MAX_TRUSTED_LENGTH) + MAX_TRUSTED_LENGTH;
                assert!(taken <= most, "{taken} of {}", gathered.len());
            }
            assert!(gathered.finish() == wanted, "{expected}");
        }
    }

    #[tokio::test]
    async fn limit_holds_for_announced_and_for_real_sizes() {
        let mut announced = Scripted::new(&[b"x"]);
        announced.size = Some(12);
        let error = read(announced, &limits(11), free).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { max_bytes: 11 }));
        let real = Scripted::new(&[b"onetwo", b"threes"]);
        let error = read(real, &limits(11), free).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { max_bytes: 11 }));
    }

    #[tokio::test]
    async fn refused_charge_ends_the_reading() {
        let body = Scripted::new(&[b"one", b"two"]);
        let error = read(body, &limits(11), |_| Err("full")).await.unwrap_err();
        assert!(matches!(error, BodyError::Refused("full")));
    }

    #[tokio::test]
    async fn stalled_body_times_out() {
        let mut body = Scripted::new(&[b"one"]);
        body.end = Some(Poll::Pending);
        let limits = BodyLimits { stall: Duration::from_millis(5), ..limits(11) };
        let error = read(body, &limits, free).await.unwrap_err();
        assert!(matches!(error, BodyError::Timeout));
    }

    #[tokio::test]
    async fn broken_body_says_why() {
        let mut body = Scripted::new(&[b"one"]);
        body.end = Some(Poll::Ready(io::ErrorKind::ConnectionReset));
        let error = read(body, &limits(11), free).await.unwrap_err();
        assert!(matches!(error, BodyError::Broken { .. }));
    }

    #[test]
    fn large_announced_size_is_not_allocated_at_once() {
        let mut gathered = Gather::new(1 << 30);
        gathered.push(Bytes::from_static(b"one"));
        gathered.push(Bytes::from_static(b"two"));
        assert!(gathered.last.capacity() <= MAX_TRUSTED_LENGTH);
        assert_eq!(gathered.finish(), "onetwo");
    }
}
