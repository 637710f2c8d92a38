//! What answers otherwise than Tempo 3.0.3, and why. The comparison fails on any other difference, and on an entry that no
//! longer is one.

/// The start of a case's name, and the reason.
pub(crate) const EXPLAINED: &[(&str, &str)] = &[];

/// The reason that covers a case.
pub(crate) fn explained(case: &str) -> Option<usize> {
    EXPLAINED
        .iter()
        .position(|(start, _)| case.starts_with(start))
}
