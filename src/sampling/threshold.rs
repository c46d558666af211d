//! Randomness, thresholds and their text.

use std::fmt;

use crate::data::TraceId;

/// Bits of randomness.
const BITS: u32 = 56;
/// Hexadecimal digits of randomness.
const NUM_DIGITS: u32 = BITS / 4;
/// One more than the greatest randomness.
const RANGE: u64 = 1 << BITS;
/// The same, to compute with probabilities.
const RANGE_F64: f64 = RANGE as f64;

/// Why text is no randomness or threshold, or a number no probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SamplingError {
    /// Not 14 hexadecimal digits.
    #[error("randomness has 14 hexadecimal digits")]
    Randomness,
    /// Not 1 to 14 hexadecimal digits.
    #[error("a threshold has 1 to 14 hexadecimal digits")]
    Threshold,
    /// Not from 2^-56 to 1.
    #[error("a sampling probability is from 2^-56 to 1")]
    Probability,
}

/// What an item brings to be sampled: a number of 56 bits, uniform over all items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Randomness(u64);

impl Randomness {
    /// That which every threshold but [`Threshold::NEVER`] keeps.
    pub const MAX: Self = Self(RANGE - 1);

    pub(super) const fn clamped(value: u64) -> Self {
        Self(value % RANGE)
    }

    /// The last 56 bits of a trace id, which W3C Trace Context level 2 says are random.
    #[must_use]
    pub fn of_trace_id(id: TraceId) -> Self {
        let [.., high, a, b, c, d, e, f] = *id.as_bytes();
        Self(u64::from_be_bytes([0, high, a, b, c, d, e, f]))
    }

    /// Reads 14 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// Fails on anything else.
    pub fn parse(text: &str) -> Result<Self, SamplingError> {
        if text.len() != NUM_DIGITS as usize {
            return Err(SamplingError::Randomness);
        }
        parse_hex(text).map(Self).ok_or(SamplingError::Randomness)
    }
}

impl fmt::Display for Randomness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:014x}", self.0)
    }
}

/// What an item's randomness must reach for the item to be kept: from 0, which keeps all, to 2^56.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps everything.
    pub const ALWAYS: Self = Self(0);
    /// Keeps nothing.
    pub const NEVER: Self = Self(RANGE);
    /// The least probability that can be told.
    pub const MIN_PROBABILITY: f64 = 1.0 / RANGE_F64;

    pub(super) const fn clamped(value: u64) -> Self {
        Self(if value > RANGE { RANGE } else { value })
    }

    /// The threshold for a probability, with at most `num_digits` hexadecimal digits that count;
    /// digits are added where it begins with `0` or `f`.
    ///
    /// # Errors
    ///
    /// Fails when the probability is not from 2^-56 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 2^56, which a double holds"
    )]
    pub fn of_probability(probability: f64, num_digits: u32) -> Result<Self, SamplingError> {
        if !(Self::MIN_PROBABILITY..=1.0).contains(&probability) {
            return Err(SamplingError::Probability);
        }
        let extra = leading_digits(probability).max(leading_digits(1.0 - probability));
        let num_digits = num_digits.saturating_add(extra).clamp(1, NUM_DIGITS);
        let threshold = RANGE - (probability * RANGE_F64).round() as u64;
        let shift = BITS - num_digits * 4;
        let half = (1 << shift) >> 1;
        Ok(Self::clamped((threshold + half) >> shift << shift))
    }

    /// The probability of being kept.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most 2^56, and what a double holds of it")]
    pub const fn probability(self) -> f64 {
        (RANGE - self.0) as f64 / RANGE_F64
    }

    /// Whether an item of that randomness is kept.
    #[must_use]
    pub const fn keeps(self, randomness: Randomness) -> bool {
        self.0 <= randomness.0
    }

    /// Reads 1 to 14 hexadecimal digits; zeros behind them are left out in the text.
    ///
    /// # Errors
    ///
    /// Fails on anything else.
    pub fn parse(text: &str) -> Result<Self, SamplingError> {
        let missing = (NUM_DIGITS as usize).checked_sub(text.len());
        match (missing, parse_hex(text)) {
            (Some(missing), Some(value)) => Ok(Self(value << (missing * 4))),
            _ => Err(SamplingError::Threshold),
        }
    }
}

/// Without zeros at the end, but at least one digit; [`Threshold::NEVER`], which no item that was
/// kept has, is empty.
impl fmt::Display for Threshold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return Ok(());
        }
        let num_zeros = (self.0.trailing_zeros() / 4).min(NUM_DIGITS - 1);
        let width = (NUM_DIGITS - num_zeros) as usize;
        write!(formatter, "{:0width$x}", self.0 >> (num_zeros * 4))
    }
}

/// What an item says of how it was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplingState {
    /// Its randomness, where it is said.
    pub randomness: Option<Randomness>,
    /// With which threshold it was kept so far. `None` is not [`Threshold::ALWAYS`]: it is not
    /// known then how many items this one stands for.
    pub threshold: Option<Threshold>,
}

impl SamplingState {
    /// How many items this one stands for, if that is known.
    #[must_use]
    pub fn adjusted_count(&self) -> Option<f64> {
        self.threshold.filter(|it| *it != Threshold::NEVER).map(|it| 1.0 / it.probability())
    }
}

/// How many hexadecimal digits behind the point are 0; of 0 none is counted.
const fn leading_digits(fraction: f64) -> u32 {
    let exponent = (fraction.to_bits() >> 52 & 0x7ff) as u32;
    // A fraction from 1/2 up to 1 has the exponent 1022.
    if exponent == 0 { 0 } else { 1022_u32.saturating_sub(exponent) / 4 }
}

fn parse_hex(text: &str) -> Option<u64> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(probability: f64, num_digits: u32) -> String {
        Threshold::of_probability(probability, num_digits).unwrap().to_string()
    }

    #[test]
    fn thresholds_are_those_of_the_specification() {
        // OTEP 235 and the tracestate specification: 1/3, 2/3 and 3/3 with three digits, powers.
        assert_eq!([1.0, 2.0, 3.0].map(|third| text(third / 3.0, 3)), ["aab", "555", "0"]);
        assert_eq!([1.0, 0.5, 0.25, 0.125].map(|it| text(it, 4)), ["0", "8", "c", "e"]);
        assert_eq!(text(0.01, 4), "fd70a");
        assert_eq!(text(0.99, 4), "028f6");
        assert_eq!(text(0.01, 14), "fd70a3d70a3d71");
        assert_eq!(text(Threshold::MIN_PROBABILITY, 1), "ffffffffffffff");
        let out_of_range = [0.0, -1.0, 1.1, f64::NAN, Threshold::MIN_PROBABILITY / 2.0];
        for probability in out_of_range {
            assert!(Threshold::of_probability(probability, 4).is_err(), "{probability}");
        }
    }

    #[test]
    fn only_hexadecimal_digits_are_read() {
        for text in ["", "123456789abcdef", "+1", "0x1", "g", "-1", "1_0"] {
            assert_eq!(Threshold::parse(text), Err(SamplingError::Threshold), "{text}");
        }
        for text in ["", "123456789abcd", "+123456789abcd", "123456789abcdef"] {
            assert_eq!(Randomness::parse(text), Err(SamplingError::Randomness), "{text}");
        }
        assert_eq!(Threshold::parse("8").unwrap().probability(), 0.5);
        assert_eq!(Threshold::parse("0"), Ok(Threshold::ALWAYS));
        let id = TraceId::from_hex("5b8efff798038103d269b633813fc60c").unwrap();
        assert_eq!(Randomness::of_trace_id(id).to_string(), "69b633813fc60c");
    }

    #[test]
    fn count_is_known_with_a_threshold_only() {
        let state = |threshold| SamplingState { randomness: None, threshold };
        assert_eq!(state(None).adjusted_count(), None);
        assert_eq!(state(Some(Threshold::ALWAYS)).adjusted_count(), Some(1.0));
        assert_eq!(state(Threshold::parse("c").ok()).adjusted_count(), Some(4.0));
    }

    proptest! {
        #[test]
        fn text_is_read_back(threshold in 0..RANGE, randomness in 0..RANGE) {
            let (threshold, randomness) = (Threshold(threshold), Randomness(randomness));
            prop_assert_eq!(Threshold::parse(&threshold.to_string()), Ok(threshold));
            prop_assert_eq!(Randomness::parse(&randomness.to_string()), Ok(randomness));
        }

        #[test]
        fn who_is_kept_is_kept_at_every_higher_percentage(
            low in 0.0001_f64..100.0,
            more in 0.0_f64..50.0,
            randomness in 0..RANGE,
            num_digits in 1_u32..=14,
        ) {
            let threshold = |percentage: f64| {
                Threshold::of_probability((percentage / 100.0).min(1.0), num_digits).unwrap()
            };
            prop_assert!(threshold(low) >= threshold(low + more) || num_digits < 3);
            let full = |percentage: f64| {
                Threshold::of_probability((percentage / 100.0).min(1.0), 14).unwrap()
            };
            let randomness = Randomness(randomness);
            prop_assert!(full(low + more).keeps(randomness) || !full(low).keeps(randomness));
            prop_assert!((threshold(low).probability() / (low / 100.0) - 1.0).abs() <= 0.5);
        }
    }
}
