//! Sizes as Prometheus writes them: `10MB`, `1GiB`. Durations are [`tsdb::duration`]'s.

/// Each also with an `i` before its `B`, of the same size.
const SIZES: [(&str, u64); 7] = [
    ("EB", 1 << 60),
    ("PB", 1 << 50),
    ("TB", 1 << 40),
    ("GB", 1 << 30),
    ("MB", 1 << 20),
    ("KB", 1 << 10),
    ("B", 1),
];

/// Bytes of a size. Zero needs no unit.
pub(crate) fn size_bytes(text: &str) -> Result<u64, String> {
    let malformed = || format!("{text:?} is no size");
    if text == "0" {
        return Ok(0);
    }
    let (number, unit, rest) = part(text).ok_or_else(malformed)?;
    let unit = unit.replace('i', "");
    let known = SIZES.iter().find(|(name, _)| *name == unit);
    let (_, length) = known.filter(|_| rest.is_empty()).ok_or_else(malformed)?;
    let number: u64 = number.parse().map_err(|_| malformed())?;
    number.checked_mul(*length).ok_or_else(malformed)
}

/// A number, its unit, and what follows.
fn part(text: &str) -> Option<(&str, &str, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let end = rest
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(rest.len());
    (!number.is_empty()).then_some((number, &rest[..end], &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_two() {
        for (text, bytes) in [
            ("0", 0),
            ("7B", 7),
            ("2KB", 2048),
            ("2KiB", 2048),
            ("10MB", 10 << 20),
        ] {
            assert_eq!(size_bytes(text), Ok(bytes));
        }
        for text in ["", "1", "MB", "1K", "1MB1KB", "1.5MB", "99999999999EB"] {
            assert!(size_bytes(text).is_err(), "{text}");
        }
    }
}
