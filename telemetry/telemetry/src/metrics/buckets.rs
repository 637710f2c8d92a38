//! Which upper bounds a histogram gets, by its name.
//!
//! A caller's rule goes before the built-in ones and a later rule before an earlier. Bounds never change afterwards.

use std::sync::Arc;

use conventions::defaults::{DB_BUCKETS, HTTP_BUCKETS, JOB_BUCKETS};

/// Most buckets of a histogram beside `+Inf`: each costs a line per series on every page and some 100 bytes.
pub(super) const BUCKETS_MAX: usize = 64;

/// Which histograms a rule is for. Names are compared as they are exposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// The one with this name.
    Full(String),
    /// Those whose name starts so.
    Prefix(String),
    /// Those whose name ends so.
    Suffix(String),
}

/// Why bounds cannot be a histogram's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    /// A histogram needs one bound beside `+Inf`.
    #[error("there are no bounds")]
    Empty,
    /// There may be at most 64.
    #[error("there are more than {BUCKETS_MAX} bounds")]
    TooMany,
    /// `+Inf` is implied, and NaN is no bound.
    #[error("a bound is not finite")]
    NotFinite,
    /// Each bound must be larger than the one before.
    #[error("the bounds do not increase")]
    NotIncreasing,
}

/// Rules in the order they were given.
#[derive(Debug)]
pub(super) struct Rules(Vec<(Matcher, Arc<[f64]>)>);

impl Default for Rules {
    fn default() -> Self {
        let built_in = |matcher, bounds: &[f64]| (matcher, Arc::from(bounds));
        Self(vec![
            built_in(Matcher::Prefix(String::new()), HTTP_BUCKETS),
            built_in(
                Matcher::Suffix("_request_duration_seconds".to_owned()),
                HTTP_BUCKETS,
            ),
            built_in(
                Matcher::Suffix("_client_operation_duration_seconds".to_owned()),
                DB_BUCKETS,
            ),
            built_in(
                Matcher::Suffix("_process_duration_seconds".to_owned()),
                JOB_BUCKETS,
            ),
            built_in(Matcher::Prefix("job_".to_owned()), JOB_BUCKETS),
        ])
    }
}

impl Rules {
    pub(super) fn add(&mut self, matcher: Matcher, bounds: &[f64]) -> Result<(), BoundsError> {
        check(bounds)?;
        self.0.push((matcher, Arc::from(bounds)));
        Ok(())
    }

    /// The bounds of the histogram with this name.
    pub(super) fn bounds(&self, name: &str) -> Arc<[f64]> {
        let rule = self
            .0
            .iter()
            .rev()
            .find(|(matcher, _)| matcher.matches(name));
        let (_, bounds) = rule.expect("the first rule matches every name");
        Arc::clone(bounds)
    }
}

impl Matcher {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Full(full) => name == full,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => name.ends_with(suffix.as_str()),
        }
    }
}

fn check(bounds: &[f64]) -> Result<(), BoundsError> {
    if bounds.is_empty() {
        return Err(BoundsError::Empty);
    }
    if bounds.len() > BUCKETS_MAX {
        return Err(BoundsError::TooMany);
    }
    if !bounds.iter().all(|bound| bound.is_finite()) {
        return Err(BoundsError::NotFinite);
    }
    if !bounds.is_sorted_by(|earlier, later| earlier < later) {
        return Err(BoundsError::NotIncreasing);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use conventions::metrics::*;

    use super::*;

    #[test]
    fn every_duration_of_the_contract_gets_its_semantic_bounds() {
        let rules = Rules::default();
        let check = |name, bounds: &[f64]| assert_eq!(*rules.bounds(name), *bounds, "{name}");
        check(HTTP_SERVER_REQUEST_DURATION, HTTP_BUCKETS);
        check(HTTP_CLIENT_REQUEST_DURATION, HTTP_BUCKETS);
        check(DB_CLIENT_OPERATION_DURATION, DB_BUCKETS);
        check(MESSAGING_CLIENT_OPERATION_DURATION, DB_BUCKETS);
        check(MESSAGING_PROCESS_DURATION, JOB_BUCKETS);
        check(JOB_QUEUE_LATENCY, JOB_BUCKETS);
        check("anything_else", HTTP_BUCKETS);
    }

    #[test]
    fn a_later_rule_goes_before_an_earlier_one() {
        let mut rules = Rules::default();
        let added = [
            (Matcher::Suffix("_bytes".to_owned()), [1.0, 2.0]),
            (Matcher::Full("body_bytes".to_owned()), [3.0, 4.0]),
            (Matcher::Prefix("job_".to_owned()), [5.0, 6.0]),
        ];
        for (matcher, bounds) in added {
            assert_eq!(rules.add(matcher, &bounds), Ok(()));
        }
        let check = |name, bounds: [f64; 2]| assert_eq!(*rules.bounds(name), bounds, "{name}");
        check("page_bytes", [1.0, 2.0]);
        check("body_bytes", [3.0, 4.0]);
        check(JOB_QUEUE_LATENCY, [5.0, 6.0]);
    }

    #[test]
    fn bounds_that_make_no_histogram_are_refused() {
        let check = |bounds: &[f64], expected| {
            let added = Rules::default().add(Matcher::Full("m".to_owned()), bounds);
            assert_eq!(added, Err(expected), "{bounds:?}");
        };
        check(&[], BoundsError::Empty);
        check(&[1.0, 1.0], BoundsError::NotIncreasing);
        check(&[2.0, 1.0], BoundsError::NotIncreasing);
        check(&[0.0, -0.0], BoundsError::NotIncreasing);
        check(&[1.0, f64::INFINITY], BoundsError::NotFinite);
        check(&[f64::NAN], BoundsError::NotFinite);
        let many: Vec<f64> = (0..65).map(f64::from).collect();
        check(&many, BoundsError::TooMany);
    }
}
