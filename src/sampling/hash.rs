//! Randomness from a hash, as the Collector's probabilistic sampler makes it.

use super::{Randomness, Threshold};

const BUCKET_BITS: u32 = 14;
const NUM_BUCKETS: u32 = 1 << BUCKET_BITS;

/// The hash FNV-1a of 32 bits, of a seed (its bytes from low to high) and then `bytes`.
#[must_use]
pub fn fnv1a32(seed: u32, bytes: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in seed.to_le_bytes().iter().chain(bytes) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    hash
}

impl Randomness {
    /// The randomness of bytes, such as a trace id: 14 bits of a hash decide, the others only fill
    /// up.
    #[must_use]
    pub fn of_hash(seed: u32, bytes: &[u8]) -> Self {
        let hash = fnv1a32(seed, bytes);
        let bucket = u64::from(hash % NUM_BUCKETS);
        let unused = u64::from(hash >> (u32::BITS - BUCKET_BITS));
        let mixed = unused ^ (unused << 10);
        let inverted = u64::from(NUM_BUCKETS - 1) - bucket;
        Self::clamped(inverted << 42 | mixed << BUCKET_BITS | bucket)
    }
}

/// How many of the 16,384 hash buckets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashBuckets(u32);

impl HashBuckets {
    /// Those for a percentage, rounded down, as the Collector computes them with 32-bit floats.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "brought in range")]
    pub const fn of_percentage(percentage: f32) -> Self {
        const PER_PERCENT: f32 = NUM_BUCKETS as f32 / 100.0;
        Self((percentage.clamp(0.0, 100.0) * PER_PERCENT) as u32)
    }

    /// The threshold that keeps just these buckets of [`Randomness::of_hash`].
    #[must_use]
    pub fn threshold(self) -> Threshold {
        match self.0 {
            0 => Threshold::NEVER,
            kept => Threshold::clamped(u64::from(NUM_BUCKETS - kept) << 42),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_fnv_1a() {
        // From the reference list of the algorithm's authors; a seed of bytes is a prefix.
        assert_eq!(fnv1a32(u32::from_le_bytes(*b"foob"), b"ar"), 0xbf9c_f968);
        assert_eq!(fnv1a32(u32::from_le_bytes(*b"http"), b"://www.google.com/"), {
            let mut hash = 0x811c_9dc5_u32;
            for byte in b"http://www.google.com/" {
                hash = (hash ^ u32::from(*byte)).wrapping_mul(16_777_619);
            }
            hash
        });
    }

    #[test]
    fn threshold_keeps_just_the_buckets() {
        for percentage in [0.001_f32, 0.01, 1.0, 15.3, 50.0, 99.99, 100.0, 250.0] {
            let scaled = (percentage.min(100.0) * 163.84_f32) as u32;
            let threshold = HashBuckets::of_percentage(percentage).threshold();
            for number in 0..2000_u32 {
                let bytes = number.to_be_bytes();
                let is_kept = fnv1a32(22, &bytes) & 0x3fff < scaled;
                assert_eq!(threshold.keeps(Randomness::of_hash(22, &bytes)), is_kept);
            }
        }
    }
}
