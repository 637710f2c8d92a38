//! SHA-256 over a sequence of parts, such that no two sequences have the same digest: each part goes in with its
//! length.

use sha2::{Digest, Sha256};

pub(crate) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_between_parts_counts() {
        let joined = |parts: [&'static str; 2]| sha256(parts.map(str::as_bytes));
        assert_eq!(joined(["ab", "c"]), joined(["ab", "c"]));
        assert_ne!(joined(["ab", "c"]), joined(["a", "bc"]));
        assert_ne!(joined(["ab", ""]), sha256([b"ab".as_slice()]));
    }
}
