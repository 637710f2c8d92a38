//! Which traces are kept: the predicate of DESIGN's sampling section, computed here once more, so that an error of the
//! services is not repeated by who judges them.

use std::fmt;

use conventions::defaults::SAMPLING_SALT;

/// The largest hash that is kept: 5 % as the Collector's probabilistic policy computes it.
pub const THRESHOLD: u64 = 0x0CCC_CCCC_CCCC_CCFF;

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

    /// A new one that is kept.
    pub fn kept() -> Self {
        loop {
            let id = Self::random();
            if id.is_kept() {
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

    /// Whether a trace without any error is kept: FNV-1a-64 over salt and id is at most the threshold.
    pub fn is_kept(self) -> bool {
        let bytes = SAMPLING_SALT.bytes().chain(self.0);
        let hash = bytes.fold(FNV_OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        });
        hash <= THRESHOLD
    }
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
    fn about_one_in_twenty_is_kept() {
        let kept = (0..100_000).filter(|_| TraceId::random().is_kept()).count();
        // Six standard deviations.
        assert!((4_586..=5_414).contains(&kept), "{kept}");
    }
}
