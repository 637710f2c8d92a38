//! How many of `n` independent events with probability `p` may happen before chance is no explanation. Exact, no approximation
//! by a normal distribution.

use std::ops::RangeInclusive;

/// The counts outside of which lies less than `alpha / 2` on either side, for `n` trials of probability `p`, 0 < p ≤ 1.
pub(crate) fn interval(n: u64, p: f64, alpha: f64) -> RangeInclusive<u64> {
    if p >= 1.0 {
        return n..=n;
    }
    let probabilities: Vec<f64> = probabilities(n, p);
    let tail = |counts: &mut dyn Iterator<Item = u64>| {
        let mut sum = 0.0;
        let mut last = None;
        for count in counts {
            sum += probabilities[usize::try_from(count).expect("n fits, it indexes a vector")];
            if sum >= alpha / 2.0 {
                return count;
            }
            last = Some(count);
        }
        last.unwrap_or(0)
    };
    tail(&mut (0..=n))..=tail(&mut (0..=n).rev())
}

/// P(X = k) for every k from 0 to n: from logarithms, since factorials overflow.
fn probabilities(n: u64, p: f64) -> Vec<f64> {
    let (ln_p, ln_q) = (p.ln(), (-p).ln_1p());
    let mut ln_choose = 0.0;
    (0..=n)
        .map(|k| {
            if k > 0 {
                ln_choose += ((n - k + 1) as f64 / k as f64).ln();
            }
            (ln_choose + k as f64 * ln_p + (n - k) as f64 * ln_q).exp()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_textbook() {
        let ten_coins = probabilities(10, 0.5);
        assert!((ten_coins[5] - 252.0 / 1024.0).abs() < 1e-12);
        assert!((ten_coins[0] - 1.0 / 1024.0).abs() < 1e-12);
        let sum: f64 = probabilities(5_000, 0.05).iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn the_interval_holds_all_but_its_tails() {
        // P(X = 0) = P(X = 10) = 1/1024, P(X ≤ 1) = 11/1024.
        assert_eq!(interval(10, 0.5, 2.0 / 1024.0), 0..=10);
        assert_eq!(interval(10, 0.5, 2.1 / 1024.0), 1..=9);
        assert_eq!(interval(10, 0.5, 22.1 / 1024.0), 2..=8);
        // The tables have 31 and 71 for 1,000 trials at 5 % and 0.2 %.
        let interval = interval(1_000, 0.05, 0.002);
        assert!((29..=32).contains(interval.start()), "{interval:?}");
        assert!((70..=74).contains(interval.end()), "{interval:?}");
    }

    #[test]
    fn no_trials_have_no_events() {
        assert_eq!(interval(0, 0.05, 1e-6), 0..=0);
    }
}
