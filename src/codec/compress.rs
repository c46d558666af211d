//! Compression of what is sent. Inflating, with its limits, is for the receiving side.

use std::cell::RefCell;
use std::io::{self, Write};

use bytes::Bytes;
use libdeflater::CompressionLvl;
use serde::Deserialize;

/// The fastest level: for telemetry, higher ones cost far more than they save.
const DEFLATE_LEVEL: i32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// How bodies are compressed, by its name in the Collector's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[serde(alias = "")]
    None,
    /// gzip (RFC 1952).
    #[default]
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Snappy: over HTTP one block, over gRPC the framed format.
    Snappy,
    /// zlib (RFC 1950), which HTTP calls `deflate`.
    #[serde(alias = "zlib")]
    Deflate,
}

impl Compression {
    /// The name in `content-encoding` and `grpc-encoding`; `None` where there is no such header.
    #[must_use]
    pub const fn header(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Snappy => Some("snappy"),
            Self::Deflate => Some("deflate"),
        }
    }
}

/// Why a body cannot be compressed.
#[derive(Debug, thiserror::Error)]
#[error("cannot compress with {}", .compression.header().unwrap_or("nothing"))]
pub struct CompressError {
    /// How.
    pub compression: Compression,
    /// What failed.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Whether snappy writes one block or frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One block, as over HTTP and in remote-write.
    Block,
    /// The framed format, as over gRPC.
    Framed,
}

/// Compresses a body that comes in pieces. `level` is that of the format, if it has any.
///
/// # Errors
///
/// Fails when the compressor does, which for bodies of less than 4 GiB it does not.
pub fn compress(
    pieces: &[Bytes],
    compression: Compression,
    framing: Framing,
    level: Option<i32>,
) -> Result<Bytes, CompressError> {
    let whole = in_one(pieces);
    let compressed = match compression {
        Compression::None => return Ok(whole),
        Compression::Gzip => deflate(&whole, level, Container::Gzip),
        Compression::Deflate => deflate(&whole, level, Container::Zlib),
        Compression::Zstd => {
            zstd::bulk::compress(&whole, level.unwrap_or(ZSTD_LEVEL)).map_err(Into::into)
        }
        Compression::Snappy => match framing {
            Framing::Block => snap::raw::Encoder::new().compress_vec(&whole).map_err(Into::into),
            Framing::Framed => snappy_framed(&whole).map_err(Into::into),
        },
    };
    match compressed {
        Ok(compressed) => Ok(Bytes::from(compressed)),
        Err(source) => Err(CompressError { compression, source }),
    }
}

fn in_one(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [] => Bytes::new(),
        [one] => one.clone(),
        many => Bytes::from(many.concat()),
    }
}

#[derive(Clone, Copy)]
enum Container {
    Gzip,
    Zlib,
}

thread_local! {
    /// A compressor takes hundreds of kilobytes to make; each thread keeps the one of its level.
    static COMPRESSOR: RefCell<Option<(i32, libdeflater::Compressor)>> =
        const { RefCell::new(None) };
}

fn deflate(
    body: &[u8],
    level: Option<i32>,
    container: Container,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let level = level.unwrap_or(DEFLATE_LEVEL).clamp(1, 12);
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(held, _)| *held != level) {
            let lvl = CompressionLvl::new(level).unwrap_or_default();
            *kept = Some((level, libdeflater::Compressor::new(lvl)));
        }
        let Some((_, compressor)) = kept else { return Err("no compressor".into()) };
        let bound = match container {
            Container::Gzip => compressor.gzip_compress_bound(body.len()),
            Container::Zlib => compressor.zlib_compress_bound(body.len()),
        };
        let mut out = vec![0; bound];
        let len = match container {
            Container::Gzip => compressor.gzip_compress(body, &mut out)?,
            Container::Zlib => compressor.zlib_compress(body, &mut out)?,
        };
        out.truncate(len);
        Ok(out)
    })
}

fn snappy_framed(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::with_capacity(body.len() / 2));
    encoder.write_all(body)?;
    encoder.into_inner().map_err(|error| error.into_error())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn pieces() -> Vec<Bytes> {
        vec![Bytes::from(vec![b'a'; 1000]), Bytes::from("bc".repeat(500))]
    }

    fn made(compression: Compression, framing: Framing) -> Bytes {
        compress(&pieces(), compression, framing, None).unwrap()
    }

    #[test]
    fn other_implementations_inflate_it() {
        let whole = pieces().concat();
        let mut out = Vec::new();
        let gzip = made(Compression::Gzip, Framing::Block);
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut out).unwrap();
        assert_eq!(out, whole);
        out.clear();
        let zlib = made(Compression::Deflate, Framing::Block);
        flate2::read::ZlibDecoder::new(&zlib[..]).read_to_end(&mut out).unwrap();
        assert_eq!(out, whole);
        out.clear();
        let framed = made(Compression::Snappy, Framing::Framed);
        snap::read::FrameDecoder::new(&framed[..]).read_to_end(&mut out).unwrap();
        assert_eq!(out, whole);
        let block = made(Compression::Snappy, Framing::Block);
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&block).unwrap(), whole);
        out.clear();
        let zstd = made(Compression::Zstd, Framing::Block);
        zstd::stream::read::Decoder::new(&zstd[..]).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, whole);
        assert_eq!(made(Compression::None, Framing::Block), whole);
    }

    #[test]
    fn level_changes_what_is_written() {
        let body = [Bytes::from((0..20_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>())];
        let at =
            |level| compress(&body, Compression::Gzip, Framing::Block, Some(level)).unwrap().len();
        assert!(at(12) < at(1));
    }
}
