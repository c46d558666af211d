//! The one message of a unary gRPC call, read from its frames.

use bytes::{Buf, Bytes};
use http_body::Body;

use super::status::{Code, Status};
use crate::component::{Charge, Pressure};
use crate::net::{BodyError, Gather, Pieces};

/// Length of what stands before a message: whether it is compressed, and its size.
const PREFIX_LENGTH: usize = 5;

/// A message as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) is_compressed: bool,
    pub(super) bytes: Bytes,
}

/// Reads the message and makes sure that it is the only one, after `charge` agreed to each piece.
///
/// The prefix may be divided between DATA frames; a message within one frame is not copied.
pub(super) async fn read<B>(
    pieces: &mut Pieces<B>,
    max_bytes: usize,
    charge: &mut Charge,
) -> Result<Message, Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (prefix, mut piece) = read_prefix(pieces).await?;
    let [flag, size @ ..] = prefix;
    let is_compressed = match flag {
        0 => false,
        1 => true,
        _ => return Err(broken("the message has an unknown compression flag")),
    };
    let length = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if length > max_bytes {
        return Err(Status::too_large(max_bytes));
    }
    let mut message = Gather::new(length);
    loop {
        if message.len() + piece.len() > length {
            return Err(broken("more than one message came in a unary call"));
        }
        charge.try_grow(message.growth(piece.len()))?;
        message.push(piece);
        if message.len() == length {
            break;
        }
        piece = next(pieces).await?.ok_or_else(|| broken("the message was cut short"))?;
    }
    if next(pieces).await?.is_some() {
        return Err(broken("more than one message came in a unary call"));
    }
    Ok(Message { is_compressed, bytes: message.finish() })
}

async fn read_prefix<B>(pieces: &mut Pieces<B>) -> Result<([u8; PREFIX_LENGTH], Bytes), Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut prefix = [0; PREFIX_LENGTH];
    let mut filled = 0;
    loop {
        let mut piece = next(pieces).await?.ok_or_else(|| broken("the call has no message"))?;
        let size = piece.len().min(PREFIX_LENGTH - filled);
        piece.copy_to_slice(&mut prefix[filled..filled + size]);
        filled += size;
        if filled == PREFIX_LENGTH {
            return Ok((prefix, piece));
        }
    }
}

async fn next<B>(pieces: &mut Pieces<B>) -> Result<Option<Bytes>, Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pieces.next::<Pressure>().await.map_err(|error| match error {
        BodyError::Timeout => {
            Status::new(Code::DeadlineExceeded, "the message did not arrive in time")
        }
        error => broken(&error.to_string()),
    })
}

fn broken(message: &str) -> Status {
    Status::new(Code::Internal, message)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;
    use crate::component::Budget;
    use crate::net::BodyLimits;

    struct Frames(VecDeque<Bytes>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    async fn read_frames(frames: &[&[u8]]) -> Result<Message, Status> {
        let frames = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
        let mut pieces = Pieces::new(Frames(frames), &BodyLimits::default());
        let mut charge = Budget::new(1000, 0).admit("requests", 0).unwrap();
        let message = read(&mut pieces, 100, &mut charge).await?;
        assert_eq!(charge.size_bytes(), message.bytes.len());
        Ok(message)
    }

    #[tokio::test]
    async fn message_may_be_cut_into_frames_anywhere() {
        let whole = b"\x01\0\0\0\x06abcdef";
        for first in 0..whole.len() {
            for second in first..whole.len() {
                let frames = [&whole[..first], &whole[first..second], &whole[second..]];
                let message = read_frames(&frames).await.unwrap();
                assert_eq!(message.bytes, "abcdef");
                assert!(message.is_compressed);
            }
        }
        assert_eq!(read_frames(&[b"\0\0\0\0\0"]).await.unwrap().bytes, "");
    }

    #[tokio::test]
    async fn broken_calls_are_refused_by_what_is_wrong() {
        let code = async |frames: &[&[u8]]| read_frames(frames).await.unwrap_err().code;
        assert_eq!(code(&[]).await, Code::Internal);
        assert_eq!(code(&[b"\0\0\0"]).await, Code::Internal);
        assert_eq!(code(&[b"\0\0\0\0\x05abc"]).await, Code::Internal);
        assert_eq!(code(&[b"\0\0\0\0\x01ab"]).await, Code::Internal);
        assert_eq!(code(&[b"\0\0\0\0\x01a", b"\0\0\0\0\0"]).await, Code::Internal);
        assert_eq!(code(&[b"\x02\0\0\0\x01a"]).await, Code::Internal);
        // A length of 2 GiB is refused before anything is taken for it.
        assert_eq!(code(&[b"\0\x80\0\0\0"]).await, Code::ResourceExhausted);
    }
}
