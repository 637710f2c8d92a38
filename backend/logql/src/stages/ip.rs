//! Addresses in text: one, a range or a network, of either family.

use std::net::IpAddr;

use crate::units::quote;

const V4: &[u8] = b"0123456789.";
const V6: &[u8] = b"0123456789abcdefABCDEF:.";

/// What `ip("…")` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IpMatcher {
    One(IpAddr),
    /// Both ends included.
    Range(IpAddr, IpAddr),
    Network {
        address: IpAddr,
        bits: u8,
    },
}

impl IpMatcher {
    pub(crate) fn new(written: &str) -> Result<Self, String> {
        Self::parse(written).ok_or_else(|| format!("ip: invalid pattern: {}", quote(written)))
    }

    fn parse(written: &str) -> Option<Self> {
        if let Ok(address) = written.parse() {
            return Some(Self::One(address));
        }
        if let Some((address, bits)) = written.split_once('/') {
            let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network { address, bits });
        }
        let (from, to) = written.split_once('-')?;
        let (from, to): (IpAddr, IpAddr) = (from.parse().ok()?, to.parse().ok()?);
        (from.is_ipv4() == to.is_ipv4() && from <= to).then_some(Self::Range(from, to))
    }

    fn holds(&self, address: IpAddr) -> bool {
        match self {
            Self::One(wanted) => *wanted == address,
            Self::Range(from, to) => {
                from.is_ipv4() == address.is_ipv4() && *from <= address && address <= *to
            }
            Self::Network {
                address: wanted,
                bits,
            } => match (wanted, address) {
                (IpAddr::V4(wanted), IpAddr::V4(found)) => {
                    let differ = wanted.to_bits() ^ found.to_bits();
                    differ.leading_zeros() >= u32::from(*bits)
                }
                (IpAddr::V6(wanted), IpAddr::V6(found)) => {
                    let differ = wanted.to_bits() ^ found.to_bits();
                    differ.leading_zeros() >= u32::from(*bits)
                }
                _ => false,
            },
        }
    }

    /// Whether the text has such an address somewhere.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let charset = if looks_like_v4(rest) {
                V4
            } else if looks_like_v6(rest) {
                V6
            } else {
                at += 1;
                continue;
            };
            let length = rest
                .iter()
                .take_while(|byte| charset.contains(byte))
                .count();
            let found = text[at..at + length].parse::<IpAddr>();
            if found.is_ok_and(|address| self.holds(address)) {
                return true;
            }
            at += length + 1;
        }
        false
    }
}

fn looks_like_v4(rest: &[u8]) -> bool {
    rest.len() > 3 && rest[0].is_ascii_digit() && rest[1..4].contains(&b'.')
}

fn looks_like_v6(rest: &[u8]) -> bool {
    if rest.len() < 5 {
        return false;
    }
    let digits = rest
        .iter()
        .take(4)
        .take_while(|byte| byte.is_ascii_hexdigit());
    let digits = digits.count();
    rest.starts_with(b"::") && rest[2].is_ascii_hexdigit() || digits > 0 && rest[digits] == b':'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(written: &str, has: &[&str], has_not: &[&str]) {
        let ip = IpMatcher::new(written).unwrap();
        for text in has {
            assert!(ip.is_in(text), "{written} in {text}");
        }
        for text in has_not {
            assert!(!ip.is_in(text), "{written} not in {text}");
        }
    }

    #[test]
    fn addresses_are_found_anywhere() {
        check(
            "10.0.0.1",
            &["from 10.0.0.1:80", "10.0.0.1"],
            &["10.0.0.11", "x", ""],
        );
        check(
            "10.0.0.0/8",
            &["a=10.9.8.7 b"],
            &["11.0.0.1", "::ffff:10.0.0.1"],
        );
        check("10.0.0.1-10.0.0.9", &["10.0.0.9"], &["10.0.0.10"]);
        check("::1", &["to ::1 x"], &["::2 ab"]);
        check("2001:db8::/32", &["[2001:db8::5]"], &["2001:db9::5"]);
        check("0.0.0.0/0", &["1.2.3.4"], &["fe80::1:2"]);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for written in [
            "",
            "10.0.0",
            "10.0.0.1/33",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-::1",
        ] {
            assert!(IpMatcher::new(written).is_err(), "{written}");
        }
    }
}
