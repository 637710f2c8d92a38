//! Which traces are kept: the predicate of the Collector's probabilistic policy, computed here once more, so that an error of
//! the services is not repeated by who judges them.

use std::fmt;

use serde::Deserialize;

/// What the Collector takes when its policy names no salt.
const SALT_DEFAULT: &str = "default-hash-seed";

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

impl TraceId {
    /// A new one that no other request has.
    pub fn random() -> Self {
        loop {
            let id = Self(rand::random());
            // All zeros is no trace id.
            if id.0 != [0; 16] {
                return id;
            }
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
        }
        // All zeros is no trace id.
        (bytes != [0; 16]).then_some(Self(bytes))
    }
}

/// The policy of traces without an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Sampler {
    salt: String,
    /// The largest hash that is kept.
    threshold: u64,
    /// Share of the traces that is kept, 0 to 1.
    pub share: f64,
}

/// As it stands in files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    percentage: f64,
    hash_salt: Option<String>,
}

/// No share of anything.
#[derive(Debug, thiserror::Error)]
#[error("percentage {0} is not above 0 and at most 100")]
pub struct NoPercentage(f64);

impl Sampler {
    /// # Errors
    /// See [`NoPercentage`].
    pub fn new(percentage: f64, salt: &str) -> Result<Self, NoPercentage> {
        if !(percentage > 0.0 && percentage <= 100.0) {
            return Err(NoPercentage(percentage));
        }
        let share = percentage / 100.0;
        Ok(Self {
            salt: salt.to_owned(),
            threshold: threshold(share),
            share,
        })
    }

    /// Whether a trace without any error is kept: FNV-1a-64 over salt and id is at most the threshold.
    pub fn is_kept(&self, id: TraceId) -> bool {
        let bytes = self.salt.bytes().chain(id.0);
        let hash = bytes.fold(FNV_OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        });
        hash <= self.threshold
    }

    /// A new id that is kept.
    pub fn kept(&self) -> TraceId {
        loop {
            let id = TraceId::random();
            if self.is_kept(id) {
                return id;
            }
        }
    }
}

impl TryFrom<Written> for Sampler {
    type Error = NoPercentage;

    fn try_from(written: Written) -> Result<Self, NoPercentage> {
        let salt = written.hash_salt.as_deref().unwrap_or(SALT_DEFAULT);
        Self::new(written.percentage, salt)
    }
}

/// `share` of the largest hash, as the Collector computes it: a product with 64 significant bits, of which the fraction is cut.
fn threshold(share: f64) -> u64 {
    if share >= 1.0 {
        return u64::MAX;
    }
    let bits = share.to_bits();
    let exponent = (bits >> 52) as i32 - 1_075;
    let mantissa = u128::from((bits & ((1 << 52) - 1)) | (1 << 52));
    let product = mantissa * u128::from(u64::MAX);
    let excess = (u128::BITS - product.leading_zeros()).saturating_sub(u64::BITS);
    let half = (1_u128 << excess) >> 1;
    let (mut head, rest) = (product >> excess, product & ((1 << excess) - 1));
    let is_odd = head & 1 == 1;
    if rest > half || (rest == half && is_odd) {
        head += 1;
    }
    let shift = exponent + excess.cast_signed();
    let whole = head.checked_shr(shift.unsigned_abs()).unwrap_or(0);
    u64::try_from(whole).unwrap_or(u64::MAX)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = TraceId::random();
        assert_eq!(TraceId::parse(&id.to_string()), Some(id));
        for text in [
            "",
            "4bf9",
            "00000000000000000000000000000000",
            "4bf92f3577b34da6a3ce929d0e0e473g",
            "é".repeat(16).as_str(),
        ] {
            assert_eq!(TraceId::parse(text), None);
        }
    }

    #[test]
    fn the_threshold_is_the_collectors() {
        let of = |percentage| Sampler::new(percentage, "").unwrap().threshold;
        assert_eq!(of(5.0), 0x0CCC_CCCC_CCCC_CCFF);
        assert_eq!(of(50.0), 0x7FFF_FFFF_FFFF_FFFF);
        assert_eq!(of(100.0), u64::MAX);
        assert!(of(1e-15) < 1_000);
        for percentage in [0.0, -1.0, 100.1, f64::NAN] {
            assert!(Sampler::new(percentage, "").is_err());
        }
    }

    #[test]
    fn about_one_in_twenty_is_kept() {
        let sampler = Sampler::new(5.0, "tripod-v1").unwrap();
        let kept = (0..100_000)
            .filter(|_| sampler.is_kept(TraceId::random()))
            .count();
        // Six standard deviations.
        assert!((4_586..=5_414).contains(&kept), "{kept}");
    }
}
