//! Inflating of what is received, within a limit and after asking for the memory.

use std::cell::RefCell;
use std::io::{self, Read};

use bytes::Bytes;
use libdeflater::DecompressionError;
use memchr::memmem;
use zstd::zstd_safe;

/// Bytes that are asked for at a time while the size is not known.
const CHUNK_BYTES: usize = 64 * 1024;
/// Deflate makes at most 1032 bytes of one; a size beyond that is a lie.
const MAX_DEFLATE_RATIO: usize = 1032;
/// Largest window that a zstd stream may ask for, as a power of two: 16 MiB, twice what decoders
/// should support (RFC 8878, section 3.1.1.1.2).
const MAX_ZSTD_WINDOW_LOG: u32 = 24;
/// How a gzip member begins (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 3] = [0x1F, 0x8B, 8];
/// Bytes before the data of a gzip member, at the least, and after it.
const GZIP_HEADER_BYTES: usize = 10;
const GZIP_TRAILER_BYTES: usize = 8;
/// How a framed snappy stream begins (snappy, framing_format.txt, section 4.1).
const SNAPPY_STREAM: &[u8] = b"\xFF\x06\0\0sNaPpY";

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// zlib (RFC 1950), which HTTP calls `deflate`.
    Zlib,
    /// Snappy, in one block or framed: the body says which.
    Snappy,
}

impl Encoding {
    /// By its name in `content-encoding` and `grpc-encoding`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "" | "identity" | "none" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "deflate" | "zlib" => Some(Self::Zlib),
            "snappy" | "x-snappy-framed" => Some(Self::Snappy),
            _ => None,
        }
    }

    /// The name in `content-encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zlib => "zlib",
            Self::Snappy => "snappy",
        }
    }

    /// The size that `packed` says it will have; it may lie, or say nothing.
    #[must_use]
    pub fn announced_size(self, packed: &[u8]) -> Option<usize> {
        match self {
            Self::Identity => Some(packed.len()),
            Self::Gzip => {
                let size = u32::from_le_bytes(*packed.last_chunk::<4>()?);
                let size = usize::try_from(size).ok()?;
                (size <= packed.len().saturating_mul(MAX_DEFLATE_RATIO)).then_some(size)
            }
            Self::Zstd => {
                let size = zstd_safe::get_frame_content_size(packed).ok()??;
                usize::try_from(size).ok()
            }
            Self::Zlib => None,
            Self::Snappy if packed.starts_with(SNAPPY_STREAM) => None,
            Self::Snappy => snap::raw::decompress_len(packed).ok(),
        }
    }
}

/// Why a body was not inflated; `E` says why its memory was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError<E> {
    /// It becomes larger than allowed.
    #[error("inflated it is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// It is not what it is said to be.
    #[error("it is not valid {encoding}")]
    Damaged {
        /// How it should be compressed.
        encoding: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// There is no memory for it.
    #[error("no memory to inflate it")]
    Refused(E),
}

/// Inflates `packed` to at most `max_bytes`, after `grow` agreed to each piece of memory.
///
/// # Errors
///
/// Fails when the limit is passed, the data is damaged, or `grow` fails.
pub fn inflate<E>(
    encoding: Encoding,
    packed: &[u8],
    max_bytes: usize,
    grow: &mut dyn FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, InflateError<E>> {
    let mut output = Output { encoding, max_bytes, grow, reserved: 0, plain: Vec::new() };
    match encoding {
        Encoding::Identity => output.read(packed)?,
        Encoding::Gzip => {
            if !output.gzip_at_once(packed)? {
                output.read(flate2::bufread::MultiGzDecoder::new(packed))?;
            }
        }
        Encoding::Zlib => output.read(flate2::bufread::ZlibDecoder::new(packed))?,
        Encoding::Zstd => {
            if !output.zstd_at_once(packed)? {
                let decoder =
                    zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
                        decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                        Ok(decoder)
                    });
                let decoder = decoder.map_err(|error| output.damaged(error))?;
                output.read(decoder)?;
            }
        }
        // A framed stream of nothing.
        Encoding::Snappy if packed.is_empty() => {}
        Encoding::Snappy if packed.starts_with(SNAPPY_STREAM) => {
            output.read(snap::read::FrameDecoder::new(packed))?;
        }
        Encoding::Snappy => output.snappy_block(packed)?,
    }
    Ok(Bytes::from(output.plain))
}

thread_local! {
    /// What takes long to make, kept by each thread that inflates.
    static GZIP: RefCell<libdeflater::Decompressor> = RefCell::new(libdeflater::Decompressor::new());
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

struct Output<'a, E> {
    encoding: Encoding,
    max_bytes: usize,
    grow: &'a mut dyn FnMut(usize) -> Result<(), E>,
    reserved: usize,
    plain: Vec<u8>,
}

impl<E> Output<'_, E> {
    fn damaged(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> InflateError<E> {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        InflateError::Damaged { encoding: self.encoding.name(), source }
    }

    /// Asks for `size` bytes in all, what was asked for already included.
    fn reserve(&mut self, size: usize) -> Result<(), InflateError<E>> {
        if size > self.max_bytes {
            return Err(InflateError::TooLarge { max_bytes: self.max_bytes });
        }
        let more = size.saturating_sub(self.reserved);
        if more > 0 {
            (self.grow)(more).map_err(InflateError::Refused)?;
            self.reserved += more;
        }
        Ok(())
    }

    /// The whole in one step, where it is one member that tells its size truly.
    fn gzip_at_once(&mut self, packed: &[u8]) -> Result<bool, InflateError<E>> {
        if packed.len() < GZIP_HEADER_BYTES + GZIP_TRAILER_BYTES {
            return Ok(false);
        }
        let Some(size) = Encoding::Gzip.announced_size(packed) else {
            return Ok(false);
        };
        // libdeflate passes over what follows the first member.
        let is_maybe_divided = memmem::find(&packed[GZIP_HEADER_BYTES..], &GZIP_MAGIC).is_some();
        if is_maybe_divided || size > self.max_bytes {
            return Ok(false);
        }
        self.reserve(size)?;
        self.plain = vec![0; size];
        let done =
            GZIP.with_borrow_mut(|gzip| gzip.gzip_decompress(packed, self.plain.as_mut_slice()));
        match done {
            Ok(length) if length == size => Ok(true),
            Ok(_) | Err(DecompressionError::InsufficientSpace) => {
                self.plain = Vec::new();
                Ok(false)
            }
            Err(error @ DecompressionError::BadData) => Err(self.damaged(error)),
        }
    }

    /// The whole in one step, where it tells its size truly.
    fn zstd_at_once(&mut self, packed: &[u8]) -> Result<bool, InflateError<E>> {
        let Some(size) = Encoding::Zstd.announced_size(packed) else {
            return Ok(false);
        };
        self.reserve(size)?;
        let mut plain = Vec::with_capacity(size);
        let done = ZSTD.with_borrow_mut(|kept| {
            let decompressor = match kept {
                Some(decompressor) => decompressor,
                None => kept.insert(zstd::bulk::Decompressor::new()?),
            };
            decompressor.decompress_to_buffer(packed, &mut plain)
        });
        // Else there may be a second frame, which the stream reader sees.
        let is_whole = done.is_ok_and(|length| length == size);
        if is_whole {
            self.plain = plain;
        }
        Ok(is_whole)
    }

    fn snappy_block(&mut self, packed: &[u8]) -> Result<(), InflateError<E>> {
        let size = snap::raw::decompress_len(packed).map_err(|error| self.damaged(error))?;
        self.reserve(size)?;
        let plain = snap::raw::Decoder::new().decompress_vec(packed);
        self.plain = plain.map_err(|error| self.damaged(error))?;
        Ok(())
    }

    fn read(&mut self, mut reader: impl Read) -> Result<(), InflateError<E>> {
        loop {
            let length = self.plain.len();
            // One byte more than is allowed, to see that there is more.
            let room = (self.max_bytes - length).saturating_add(1);
            let chunk = CHUNK_BYTES.max(length).min(room);
            self.reserve((length + chunk).min(self.max_bytes))?;
            self.plain.reserve_exact(chunk);
            let limit = u64::try_from(chunk).unwrap_or(u64::MAX);
            let read = reader.by_ref().take(limit).read_to_end(&mut self.plain);
            read.map_err(|error| self.damaged(error))?;
            if self.plain.len() > self.max_bytes {
                return Err(InflateError::TooLarge { max_bytes: self.max_bytes });
            }
            if self.plain.len() < length + chunk {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    fn plain(encoding: Encoding, packed: &[u8]) -> Result<Bytes, InflateError<Infallible>> {
        let mut asked = 0;
        let result = inflate(encoding, packed, MAX, &mut |size| {
            asked += size;
            Ok(())
        });
        assert!(asked <= MAX);
        if let Ok(plain) = &result {
            assert!(asked >= plain.len());
        }
        result
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_sized(data: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(data, 1).unwrap()
    }

    fn zstd_stream(data: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(data, 1).unwrap()
    }

    fn snappy_block(data: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(data).unwrap()
    }

    fn snappy_stream(data: &[u8]) -> Vec<u8> {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(data).unwrap();
        encoder.into_inner().unwrap()
    }

    type Pack = fn(&[u8]) -> Vec<u8>;

    const FORMATS: [(Encoding, Pack); 6] = [
        (Encoding::Gzip, gzip),
        (Encoding::Zlib, zlib),
        (Encoding::Zstd, zstd_sized),
        (Encoding::Zstd, zstd_stream),
        (Encoding::Snappy, snappy_block),
        (Encoding::Snappy, snappy_stream),
    ];

    #[test]
    fn what_was_compressed_comes_back() {
        for size in [0, 1, 1000, 70_000, MAX - 1, MAX] {
            let data: Vec<u8> = (0..size).map(|i| (i / 7) as u8).collect();
            for (encoding, pack) in FORMATS {
                assert_eq!(plain(encoding, &pack(&data)).unwrap(), data, "{encoding:?} {size}");
            }
        }
    }

    #[test]
    fn one_byte_more_than_allowed_is_too_large() {
        for size in [MAX + 1, 64 * MAX] {
            let data = vec![0; size];
            for (encoding, pack) in FORMATS {
                let error = plain(encoding, &pack(&data)).unwrap_err();
                assert!(matches!(error, InflateError::TooLarge { max_bytes: MAX }), "{encoding:?}");
            }
        }
    }

    #[test]
    fn there_may_be_no_limit() {
        let data = vec![7; 200_000];
        for (encoding, pack) in FORMATS {
            let grow = &mut |_| Ok::<_, Infallible>(());
            assert_eq!(inflate(encoding, &pack(&data), usize::MAX, grow).unwrap(), data);
        }
    }

    #[test]
    fn members_laid_end_to_end_are_one_body() {
        for (first, second) in [("same", "same"), ("one", "another"), ("", "x")] {
            let whole = [first, second].concat();
            let [first, second] = [first.as_bytes(), second.as_bytes()];
            let members = [gzip(first), gzip(second)].concat();
            assert_eq!(plain(Encoding::Gzip, &members).unwrap(), whole);
            let frames = [zstd_sized(first), zstd_sized(second)].concat();
            assert_eq!(plain(Encoding::Zstd, &frames).unwrap(), whole);
        }
    }

    #[test]
    fn lying_size_makes_no_difference() {
        let data = vec![7; 5000];
        for lie in [0_u32, 1, 4999, 5001, 1 << 20, u32::MAX] {
            let mut packed = gzip(&data);
            let end = packed.len() - 4;
            packed[end..].copy_from_slice(&lie.to_le_bytes());
            let error = plain(Encoding::Gzip, &packed).unwrap_err();
            assert!(matches!(error, InflateError::Damaged { .. }), "{lie}: {error:?}");
        }
    }

    #[test]
    fn refused_memory_ends_it() {
        let packed = gzip(&vec![0; MAX]);
        let error = inflate(Encoding::Gzip, &packed, MAX, &mut |_| Err("full")).unwrap_err();
        assert!(matches!(error, InflateError::Refused("full")));
    }

    #[test]
    fn huge_zstd_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&vec![7; 5000]).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(matches!(plain(Encoding::Zstd, &packed), Err(InflateError::Damaged { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_inflated_or_refused(
            packed in prop::collection::vec(any::<u8>(), 0..300),
            format in 0..FORMATS.len(),
        ) {
            let _ = plain(FORMATS[format].0, &packed);
        }

        #[test]
        fn damaged_bodies_are_inflated_or_refused(
            data in prop::collection::vec(any::<u8>(), 0..300),
            format in 0..FORMATS.len(),
            cut in any::<prop::sample::Index>(),
            flip in any::<prop::sample::Index>(),
        ) {
            let (encoding, pack) = FORMATS[format];
            let mut packed = pack(&data);
            if !packed.is_empty() {
                let position = flip.index(packed.len());
                packed[position] ^= 0x10;
                packed.truncate(cut.index(packed.len()) + 1);
            }
            let _ = plain(encoding, &packed);
        }
    }
}
