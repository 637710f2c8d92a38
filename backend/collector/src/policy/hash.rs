//! The `probabilistic` policy: which trace ids are kept, bit for bit as the Collector's `tail_sampling` computes it.
//!
//! A trace is kept if FNV-1a-64(salt ‖ trace id) ≤ threshold, and the threshold is the share of 2^64 - 1 in the
//! Collector's own arithmetic: a product rounded to 64 bits of mantissa, then cut. Services compute the same predicate
//! to know which exemplars will resolve.

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// What the Collector hashes in front of a trace id when `hash_salt` is empty.
const SALT_DEFAULT: &str = "default-hash-seed";

/// Explicit bits of an `f64`'s mantissa.
const MANTISSA_BITS: u32 = 52;

/// A salt and a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probability {
    /// State of the hash after the salt.
    salted: u64,
    threshold: u64,
}

impl Probability {
    /// `percentage`: 0 and less keeps nothing, 100 and more everything; must not be NaN.
    pub(crate) fn new(salt: &str, percentage: f64) -> Self {
        let salt = if salt.is_empty() { SALT_DEFAULT } else { salt };
        Self {
            salted: fnv(FNV_OFFSET, salt.as_bytes()),
            threshold: threshold(percentage),
        }
    }

    pub(super) fn holds(self, trace_id: &[u8; 16]) -> bool {
        fnv(self.salted, trace_id) <= self.threshold
    }
}

fn fnv(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
    })
}

/// (2^64 - 1) × `percentage` / 100, rounded half to even at 64 bits of mantissa, cut to an integer, clamped.
fn threshold(percentage: f64) -> u64 {
    let ratio = percentage / 100.0;
    if ratio >= 1.0 {
        return u64::MAX;
    }
    if ratio <= 0.0 {
        return 0;
    }
    let bits = ratio.to_bits();
    let fraction = u128::from(bits & ((1 << MANTISSA_BITS) - 1));
    // A subnormal has no implicit bit, and the exponent of the smallest normal number.
    let (mantissa, exponent) = match (bits >> MANTISSA_BITS) as i32 {
        0 => (fraction, 1),
        exponent => (fraction | 1 << MANTISSA_BITS, exponent),
    };
    let exponent = exponent - 1023 - MANTISSA_BITS as i32;
    // 64 and 53 bits: the product fits.
    let product = mantissa * u128::from(u64::MAX);
    let excess = (u128::BITS - product.leading_zeros()).saturating_sub(64);
    let rounded = round(product, excess);
    // Below 1 the result is under 2^64, so bits are only ever cut.
    let cut = -(exponent + excess as i32);
    rounded.checked_shr(cut as u32).unwrap_or(0) as u64
}

/// `value` / 2^`bits`, half to even.
fn round(value: u128, bits: u32) -> u128 {
    if bits == 0 {
        return value;
    }
    let (quotient, rest, half) = (value >> bits, value & ((1 << bits) - 1), 1 << (bits - 1));
    quotient + u128::from(rest > half || (rest == half && quotient & 1 == 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn thresholds_are_those_of_gos_big_floats() {
        for line in include_str!("thresholds.txt").lines() {
            let (percentage, expected) = line.split_once(' ').unwrap();
            let percentage = f64::from_bits(u64::from_str_radix(percentage, 16).unwrap());
            let expected = u64::from_str_radix(expected, 16).unwrap();
            assert_eq!(threshold(percentage), expected, "{percentage} %");
        }
        assert_eq!(threshold(5.0), 0x0CCC_CCCC_CCCC_CCFF);
    }

    #[test]
    fn the_hash_is_of_the_salt_and_the_bytes_of_the_id() {
        let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
        let by_default = Probability::new("", 0.0);
        assert_eq!(fnv(by_default.salted, &id), 0xa545_33ba_2e49_70b5);
        assert_eq!(
            fnv(by_default.salted, &1_u128.to_be_bytes()),
            0xe195_35ee_d1bb_aa8a
        );
        assert_eq!(by_default, Probability::new("default-hash-seed", 0.0));
        assert_ne!(by_default, Probability::new("tripod-v1", 0.0));
    }

    #[test]
    fn the_threshold_itself_is_kept() {
        let id = 1_u128.to_be_bytes();
        let hash = fnv(FNV_OFFSET, &id);
        assert!(
            Probability {
                salted: FNV_OFFSET,
                threshold: hash
            }
            .holds(&id)
        );
        assert!(
            !Probability {
                salted: FNV_OFFSET,
                threshold: hash - 1
            }
            .holds(&id)
        );
    }
}
