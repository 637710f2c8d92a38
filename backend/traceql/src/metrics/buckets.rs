//! Histogram buckets: powers of two, and quantiles out of them as Tempo estimates them.

use crate::Literal;

use super::SECOND_NS;

/// The upper bound of the bucket of a value: the next power of two, of a duration of its nanoseconds, said in seconds. Values
/// below two, floats and what is no number have none.
pub(super) fn of(value: &Literal) -> Option<f64> {
    match value {
        Literal::Int(number) => power(*number),
        Literal::Duration(ns) => power(*ns).map(|bound| bound / SECOND_NS),
        _ => None,
    }
}

fn power(number: i64) -> Option<f64> {
    let number = u64::try_from(number).ok().filter(|number| *number >= 2)?;
    Some(2_f64.powi((u64::BITS - (number - 1).leading_zeros()) as i32))
}

/// The quantile of counts by upper bound, ascending: interpolated in the logarithm of the bound. 0 without counts.
pub(super) fn quantile(quantile: f64, buckets: &[(f64, f64)]) -> f64 {
    let total: f64 = buckets.iter().map(|(_, count)| count).sum();
    if total == 0.0 {
        return 0.0;
    }
    let wanted = (quantile * total).ceil().max(1.0);
    let mut before = 0.0;
    for (number, (bound, count)) in buckets.iter().enumerate() {
        if before + count < wanted {
            before += count;
            continue;
        }
        if before + count == wanted {
            return *bound;
        }
        let top = bound.log2();
        let below = number.checked_sub(1).map(|number| buckets[number].0.log2());
        let bottom = below.unwrap_or(top - 1.0);
        return (bottom + (top - bottom) * (wanted - before) / count).exp2();
    }
    buckets.last().map_or(0.0, |(bound, _)| *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_the_next_powers_of_two() {
        for (value, expected) in [
            (Literal::Int(1), None),
            (Literal::Int(-5), None),
            (Literal::Int(2), Some(2.0)),
            (Literal::Int(3), Some(4.0)),
            (Literal::Int(1_024), Some(1_024.0)),
            (Literal::Int(i64::MAX), Some(2_f64.powi(63))),
            (Literal::Duration(100_000_000), Some(0.134_217_728)),
            (Literal::Float(7.0), None),
            (Literal::Nil, None),
        ] {
            assert_eq!(of(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn quantiles_are_those_of_tempo() {
        // 1 µs, 100 ms, 400 ms and 1 s.
        let buckets = [
            (0.000_001_024, 1.0),
            (0.134_217_728, 1.0),
            (0.536_870_912, 1.0),
            (1.073_741_824, 1.0),
        ];
        assert_eq!(quantile(0.5, &buckets), 0.134_217_728);
        assert_eq!(quantile(1.0, &buckets), 1.073_741_824);
        assert_eq!(quantile(0.0, &buckets), 0.000_001_024);
        assert_eq!(quantile(0.5, &[]), 0.0);
        // Halfway between 1 and 2 in the logarithm.
        assert!((quantile(0.5, &[(2.0, 4.0)]) - 2_f64.sqrt()).abs() < 1e-12);
    }
}
