//! Which series satisfy matchers, answered from sorted lists of series by label pair.
//!
//! The head and each block are an [`Index`]. Equalities and expressions that are a choice of literals are looked up; other
//! matchers go over the label's values, or over the series that are left when these are fewer.

mod literals;

use std::cmp::Ordering;

use crate::{Match, Matcher};

/// The label pairs of the head or of a block. Lists of series rise and have no doubles.
pub(crate) trait Index {
    type Error;

    fn all(&mut self) -> Result<Vec<u32>, Self::Error>;

    /// The series with this pair.
    fn pair(&mut self, name: &str, value: &str) -> Result<Vec<u32>, Self::Error>;

    /// The lists of all values of a label that are `wanted`.
    fn pairs(
        &mut self,
        name: &str,
        wanted: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Vec<Vec<u32>>, Self::Error>;

    /// How many values a label has.
    fn values(&mut self, name: &str) -> Result<usize, Self::Error>;

    /// Whether one series satisfies a matcher.
    fn holds(&mut self, series: u32, matcher: &Matcher) -> Result<bool, Self::Error>;
}

/// The series that satisfy all matchers.
pub(crate) fn select<I: Index>(index: &mut I, matchers: &[Matcher]) -> Result<Vec<u32>, I::Error> {
    let mut left: Option<Vec<u32>> = None;
    let mut others = Vec::new();
    for matcher in matchers {
        let Some(found) = looked_up(index, matcher)? else {
            others.push(matcher);
            continue;
        };
        let both = match left {
            Some(left) => intersect(&left, &found),
            None => found,
        };
        if both.is_empty() {
            return Ok(both);
        }
        left = Some(both);
    }
    // Those that a missing label does not satisfy narrow; they come before those that only leave out.
    others.sort_by_key(|matcher| matcher.matches.holds(""));
    for matcher in others {
        left = Some(narrowed(index, matcher, left)?);
    }
    match left {
        Some(left) => Ok(left),
        None => index.all(),
    }
}

/// The series of a matcher that names its values.
fn looked_up<I: Index>(index: &mut I, matcher: &Matcher) -> Result<Option<Vec<u32>>, I::Error> {
    let values = match &matcher.matches {
        Match::Equal(value) if !value.is_empty() => {
            return index.pair(&matcher.name, value).map(Some);
        }
        Match::Regex(regex) => literals::of(regex.as_str()),
        _ => None,
    };
    let Some(values) = values else {
        return Ok(None);
    };
    let mut lists = Vec::with_capacity(values.len());
    for value in values {
        lists.push(index.pair(&matcher.name, &value)?);
    }
    Ok(Some(union(lists)))
}

fn narrowed<I: Index>(
    index: &mut I,
    matcher: &Matcher,
    left: Option<Vec<u32>>,
) -> Result<Vec<u32>, I::Error> {
    let holds_without = matcher.matches.holds("");
    let left = match left {
        Some(left) if left.len() <= index.values(&matcher.name)? => {
            return each_that_holds(index, matcher, left);
        }
        Some(left) => left,
        None if holds_without => index.all()?,
        None => {
            let lists = index.pairs(&matcher.name, &mut |value| matcher.matches.holds(value))?;
            return Ok(union(lists));
        }
    };
    let lists = index.pairs(&matcher.name, &mut |value| {
        matcher.matches.holds(value) != holds_without
    })?;
    Ok(match holds_without {
        true => subtract(&left, &union(lists)),
        false => intersect(&left, &union(lists)),
    })
}

fn each_that_holds<I: Index>(
    index: &mut I,
    matcher: &Matcher,
    mut left: Vec<u32>,
) -> Result<Vec<u32>, I::Error> {
    let mut kept = Vec::with_capacity(left.len());
    for series in left.drain(..) {
        if index.holds(series, matcher)? {
            kept.push(series);
        }
    }
    Ok(kept)
}

/// The shorter list looks up its members in the longer one, from where the last was found.
pub(crate) fn intersect(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (short, mut long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut both = Vec::with_capacity(short.len());
    for series in short {
        long = &long[leap(long, *series)..];
        match long.first() {
            Some(found) if found == series => both.push(*series),
            Some(_) => {}
            None => break,
        }
    }
    both
}

pub(crate) fn subtract(from: &[u32], mut unwanted: &[u32]) -> Vec<u32> {
    let mut kept = Vec::with_capacity(from.len());
    for series in from {
        unwanted = &unwanted[leap(unwanted, *series)..];
        if unwanted.first() != Some(series) {
            kept.push(*series);
        }
    }
    kept
}

/// Where the first member is that is not below `series`: doubling steps, then halves.
fn leap(list: &[u32], series: u32) -> usize {
    let mut step = 1;
    while step < list.len() && list[step - 1] < series {
        step *= 2;
    }
    let start = step / 2;
    let end = step.min(list.len());
    start + list[start..end].partition_point(|member| *member < series)
}

/// Merged pairwise, so that no member is moved more often than the number of lists has bits.
pub(crate) fn union(mut lists: Vec<Vec<u32>>) -> Vec<u32> {
    while lists.len() > 1 {
        lists = lists
            .chunks(2)
            .map(|pair| match pair {
                [a, b] => merge(a, b),
                other => other.concat(),
            })
            .collect();
    }
    lists.pop().unwrap_or_default()
}

fn merge(mut a: &[u32], mut b: &[u32]) -> Vec<u32> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    while let ([x, a_rest @ ..], [y, b_rest @ ..]) = (a, b) {
        merged.push(*x.min(y));
        match x.cmp(y) {
            Ordering::Less => a = a_rest,
            Ordering::Greater => b = b_rest,
            Ordering::Equal => (a, b) = (a_rest, b_rest),
        }
    }
    merged.extend_from_slice(a);
    merged.extend_from_slice(b);
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_are_sets(a: BTreeSet<u8>, b: BTreeSet<u8>, c: BTreeSet<u8>) {
            let list = |set: &BTreeSet<u8>| set.iter().map(|n| u32::from(*n)).collect::<Vec<_>>();
            prop_assert_eq!(intersect(&list(&a), &list(&b)), list(&(&a & &b)));
            prop_assert_eq!(subtract(&list(&a), &list(&b)), list(&(&a - &b)));
            prop_assert_eq!(union(vec![list(&a), list(&b), list(&c)]), list(&(&(&a | &b) | &c)));
        }

        #[test]
        fn a_leap_ends_at_the_first_that_is_not_below(a: BTreeSet<u16>, series: u16) {
            let list: Vec<u32> = a.iter().map(|n| u32::from(*n)).collect();
            let expected = list.partition_point(|member| *member < u32::from(series));
            prop_assert_eq!(leap(&list, u32::from(series)), expected);
        }
    }
}
