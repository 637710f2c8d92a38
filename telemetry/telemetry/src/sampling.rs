//! The collector's own sampling predicate, evaluated in the process: which successful traces will be kept.
//!
//! The OpenTelemetry Collector's `tail_sampling` policy `probabilistic` is deterministic: it hashes the salt and the
//! trace id and compares with a threshold. Knowing the answer beforehand lets an exemplar name only traces that
//! will be found. Decides nothing else; errors are kept whatever this says.

use std::sync::OnceLock;

use opentelemetry::trace::TraceId;

/// FNV-1a, 64 bit: offset basis (<http://www.isthe.com/chongo/tech/comp/fnv/>).
const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
/// FNV-1a, 64 bit: prime.
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// What the Collector hashes when `hash_salt` is empty.
const EMPTY_SALT: &str = "default-hash-seed";

static PROCESS_PREDICATE: OnceLock<Predicate> = OnceLock::new();

/// Share and salt of the collector's baseline policy. Both sides read them from one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Percentage of successful traces that are kept, 0 to 100.
    pub percentage: f64,
    /// The policy's `hash_salt`.
    pub salt: String,
}

/// `kept(trace_id) = FNV-1a-64(salt ‖ 16 trace-id bytes) ≤ threshold`.
///
/// ```
/// use opentelemetry::trace::TraceId;
/// use telemetry::sampling::{Predicate, Sampling};
///
/// let predicate = Predicate::new(&Sampling::default());
/// assert_eq!(predicate.threshold(), 0x0CCC_CCCC_CCCC_CCFF);
/// // Spread over all bytes, as the random ids of real traces are.
/// let id = |n: u128| TraceId::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
/// let kept = (1..=10_000).filter(|n| predicate.keeps(id(*n))).count();
/// assert!((400..600).contains(&kept), "5 % of 10,000, got {kept}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// FNV state after the salt: the part that is the same for every trace id.
    salted: u64,
    threshold: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            percentage: conventions::defaults::SAMPLING_PERCENTAGE,
            salt: conventions::defaults::SAMPLING_SALT.to_owned(),
        }
    }
}

impl Predicate {
    /// The predicate for a share and a salt. A percentage outside 0 to 100 counts as the nearer bound.
    pub fn new(sampling: &Sampling) -> Self {
        let salt = match sampling.salt.as_str() {
            "" => EMPTY_SALT,
            salt => salt,
        };
        Self {
            salted: fnv1a(FNV_OFFSET_BASIS, salt.as_bytes()),
            threshold: threshold(sampling.percentage),
        }
    }

    /// Whether the collector keeps this trace although nothing in it failed.
    pub fn keeps(&self, trace_id: TraceId) -> bool {
        fnv1a(self.salted, &trace_id.to_bytes()) <= self.threshold
    }

    /// The largest hash that is kept.
    pub fn threshold(&self) -> u64 {
        self.threshold
    }
}

/// The predicate of this process: what [`crate::init`] was given, the default sampling before that.
pub fn predicate() -> &'static Predicate {
    PROCESS_PREDICATE.get_or_init(|| Predicate::new(&Sampling::default()))
}

/// Sets the predicate of this process. The first call wins, as does the first use of [`predicate`].
pub(crate) fn set_predicate(sampling: &Sampling) -> &'static Predicate {
    PROCESS_PREDICATE.get_or_init(|| Predicate::new(sampling))
}

/// `trunc(round64((2^64 − 1) · percentage / 100))`, where `round64` rounds half to even at a 64-bit mantissa
/// (`tailsamplingprocessor/internal/sampling/probabilistic.go`, `calculateThreshold`: a `big.Float` made from a
/// `uint64` has that precision). The product of two integers and a power of two is exact in 128 bits.
fn threshold(percentage: f64) -> u64 {
    let ratio = percentage / 100.0;
    if ratio.is_nan() || ratio <= 0.0 {
        return 0;
    }
    if ratio >= 1.0 {
        return u64::MAX;
    }
    let bits = ratio.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).expect("eleven bits fit") - 1075;
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    let product = u128::from(u64::MAX) * u128::from(mantissa);

    let excess = 128 - product.leading_zeros() - 64;
    let kept = round_half_even(product, excess);
    let shift = i32::try_from(excess).expect("at most 53") + exponent;
    match shift {
        0.. => u64::try_from(kept << shift).unwrap_or(u64::MAX),
        -127..0 => u64::try_from(kept >> -shift).expect("below 2^64, since the ratio is below 1"),
        _ => 0,
    }
}

/// `value / 2^bits`, rounded half to even.
fn round_half_even(value: u128, bits: u32) -> u128 {
    let quotient = value >> bits;
    let remainder = value & ((1 << bits) - 1);
    let half = 1 << (bits - 1);
    let up = remainder > half || (remainder == half && quotient & 1 == 1);
    quotient + u128::from(up)
}

fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace_id(hex: &str) -> TraceId {
        TraceId::from_hex(hex).expect("a test vector is a trace id")
    }

    #[test]
    fn fnv1a_matches_its_published_vectors() {
        assert_eq!(fnv1a(FNV_OFFSET_BASIS, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_OFFSET_BASIS, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV_OFFSET_BASIS, b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn an_empty_salt_means_the_collectors_default_seed() {
        let predicate = Predicate::new(&Sampling {
            percentage: 5.0,
            salt: String::new(),
        });
        let hash = |hex| fnv1a(predicate.salted, &trace_id(hex).to_bytes());
        assert_eq!(
            hash("4bf92f3577b34da6a3ce929d0e0e4736"),
            0xa545_33ba_2e49_70b5
        );
        assert_eq!(
            hash("00000000000000000000000000000001"),
            0xe195_35ee_d1bb_aa8a
        );
        assert!(!predicate.keeps(trace_id("4bf92f3577b34da6a3ce929d0e0e4736")));
    }

    #[test]
    fn thresholds_match_the_collectors_arithmetic() {
        assert_eq!(threshold(5.0), 0x0CCC_CCCC_CCCC_CCFF);
        assert_eq!(threshold(0.0), 0);
        assert_eq!(threshold(-1.0), 0);
        assert_eq!(threshold(f64::NAN), 0);
        assert_eq!(threshold(100.0), u64::MAX);
        assert_eq!(threshold(250.0), u64::MAX);
        assert_eq!(threshold(50.0), 0x7fff_ffff_ffff_ffff);
        assert_eq!(threshold(f64::MIN_POSITIVE), 0);
    }

    #[test]
    fn the_boundary_hash_itself_is_kept() {
        let id = trace_id("4bf92f3577b34da6a3ce929d0e0e4736");
        let mut predicate = Predicate::new(&Sampling::default());
        predicate.threshold = fnv1a(predicate.salted, &id.to_bytes());
        assert!(predicate.keeps(id));
        predicate.threshold -= 1;
        assert!(!predicate.keeps(id));
    }
}
