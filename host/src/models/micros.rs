//! Numbers with six decimals, kept as integers: money must not be counted in floating point.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const MICRO: f64 = 1_000_000.0;
/// The largest number that is taken: above it, `f64` no longer tells millionths apart.
const MAX: f64 = 1_000_000_000.0;

/// A number that is not negative, in millionths. In files and documents it is written as the number itself: `2.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Micros(u64);

impl Micros {
    /// One.
    pub const ONE: Self = Self(1_000_000);

    /// A number from its millionths.
    #[must_use]
    pub const fn new(millionths: u64) -> Self {
        Self(millionths)
    }

    /// The millionths.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number nearest to `value`; `None` if that is negative, not a number, or too large.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    pub fn from_number(value: f64) -> Option<Self> {
        (0.0..=MAX).contains(&value).then(|| Self((value * MICRO).round() as u64))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers that are taken have fewer digits than f64")]
    fn to_number(self) -> f64 {
        self.0 as f64 / MICRO
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_number().fmt(f)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_number())
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::from_number(value).ok_or_else(|| D::Error::custom(format!("{value} is not a number from 0 to {MAX}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were_written() {
        for text in ["0.0", "2.5", "0.0375", "0.00001", "15.0", "999999999.999999"] {
            let micros: Micros = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&micros).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<Micros>("3").unwrap(), Micros::new(3_000_000));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["-0.1", "1e300", "\"1\"", "null"] {
            assert!(serde_json::from_str::<Micros>(text).is_err(), "{text}");
        }
        assert_eq!(Micros::from_number(f64::NAN), None);
    }
}
