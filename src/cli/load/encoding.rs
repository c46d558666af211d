//! From an export request to the body that is sent.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::{BufMut, Bytes, BytesMut};

use super::arguments::Protocol;
use crate::codec::compress::{Compression, Framing, compress};
use crate::codec::otlp_json;
use crate::data::{Batch, Context, DoorLimits, Signal};

/// Length of gRPC's prefix of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// How requests are encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    /// How they are sent.
    pub(super) protocol: Protocol,
    /// How they are compressed.
    pub(super) compression: Compression,
}

impl Encoding {
    /// What must stand before a message of this length so that it can be sent as it is.
    pub(super) fn lead(self, length: usize) -> Vec<u8> {
        match (self.protocol, self.compression) {
            (Protocol::Grpc, Compression::None) => prefix(0, length).to_vec(),
            _ => Vec::new(),
        }
    }

    /// The body that is sent of an export request behind its [`Encoding::lead`].
    pub(super) fn body(self, signal: Signal, request: Bytes) -> anyhow::Result<Bytes> {
        let message = match self.protocol {
            Protocol::HttpJson => to_json(signal, request)?,
            Protocol::Grpc | Protocol::Http => request,
        };
        if self.compression == Compression::None {
            return Ok(message);
        }
        let compressed = compress(&[message], self.compression, Framing::Block, None)?;
        if self.protocol.is_http() {
            return Ok(compressed);
        }
        let mut framed = BytesMut::with_capacity(PREFIX_BYTES + compressed.len());
        framed.put_slice(&prefix(1, compressed.len()));
        framed.put_slice(&compressed);
        Ok(framed.freeze())
    }
}

fn prefix(is_compressed: u8, length: usize) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [is_compressed, a, b, c, d]
}

fn to_json(signal: Signal, request: Bytes) -> anyhow::Result<Bytes> {
    let context = Arc::<Context>::default();
    let admitted = Batch::try_new(signal, request, context, &DoorLimits::default())
        .context("cannot write the request as JSON")?;
    Ok(otlp_json::encode(&admitted.batch))
}
