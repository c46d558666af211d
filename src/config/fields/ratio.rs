//! Fractions and percentages.

use serde::Deserialize;

/// A fraction in the closed interval from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Ratio(f64);

impl Ratio {
    /// The fraction, brought into the interval; what is no number is 0.
    #[must_use]
    pub const fn clamped(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// From 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Ratio {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            return Ok(Self(value));
        }
        Err(format!("expected a fraction from 0 to 1, here is `{value}`"))
    }
}

/// A percentage in the closed interval from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Percentage(f64);

impl Percentage {
    /// The percentage, brought into the interval; what is no number is 0.
    #[must_use]
    pub const fn clamped(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 100.0) })
    }

    /// From 0 to 100.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// From 0 to 1.
    #[must_use]
    pub const fn ratio(self) -> Ratio {
        Ratio(self.0 / 100.0)
    }
}

impl TryFrom<f64> for Percentage {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=100.0).contains(&value) {
            return Ok(Self(value));
        }
        Err(format!("expected a percentage from 0 to 100, here is `{value}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_within_is_taken() {
        assert_eq!(Ratio::try_from(0.5).map(Ratio::get), Ok(0.5));
        assert!(Ratio::try_from(1.1).is_err());
        assert!(Ratio::try_from(f64::NAN).is_err());
        assert_eq!(Percentage::try_from(15.0).map(|value| value.ratio().get()), Ok(0.15));
        assert!(Percentage::try_from(-1.0).is_err());
        assert_eq!(Percentage::clamped(120.0).get(), 100.0);
    }
}
