//! TraceQL metrics: series over time out of all spans that match.

use std::ops::ControlFlow;
use std::time::Instant;

use traceql::metrics::{Aggregation, RangeQuery};

use super::scan::{Visitor, Walk};
use super::{Error, Store};
use crate::joined::JoinedTrace;
use crate::own_metrics::{self, Asked};
use crate::request::{MetricsRequest, MetricsResponse, Partial, TimeRange};

/// Series told apart. Tempo's default (`max_response_series`).
const SERIES_MAX: usize = 1_000;
/// Samples of a series.
const STEPS_MAX: u64 = 11_000;

impl Store {
    /// The series of a metrics query.
    ///
    /// # Errors
    /// It is no metrics query, its steps are too many, or blocks cannot be read.
    pub fn query_range(&self, request: &MetricsRequest) -> Result<MetricsResponse, Error> {
        let begun = Instant::now();
        let result = self.aggregate(request);
        let partial = result.as_ref().map(|found| found.partial.as_ref());
        own_metrics::asked(Asked::Metrics, partial, begun.elapsed());
        result
    }

    fn aggregate(&self, request: &MetricsRequest) -> Result<MetricsResponse, Error> {
        check(&request.range)?;
        let aggregation = Aggregation::new(&request.query, request.range, SERIES_MAX);
        let mut observing = Observing(aggregation.ok_or(Error::NotMetrics)?);
        let RangeQuery {
            start_ns, end_ns, ..
        } = request.range;
        let walk = Walk {
            range: TimeRange {
                start_ns,
                end_ns: end_ns.saturating_add(1),
            },
            candidates: &request.query.candidates(),
        };
        let walked = self.walk(&walk, &mut observing)?;
        let max = SERIES_MAX;
        let cut = observing
            .0
            .is_truncated()
            .then_some(Partial::Series { max });
        Ok(MetricsResponse {
            series: observing.0.finish(),
            metrics: walked.metrics,
            partial: walked.partial.or(cut),
        })
    }
}

struct Observing<'q>(Aggregation<'q>);

impl Visitor for Observing<'_> {
    fn trace(&mut self, trace: &JoinedTrace<'_>) -> ControlFlow<Partial> {
        self.0.observe(trace);
        ControlFlow::Continue(())
    }
}

fn check(range: &RangeQuery) -> Result<(), Error> {
    let Some(length_ns) = range.end_ns.checked_sub(range.start_ns) else {
        return Err(Error::Query("the range ends before it starts".to_owned()));
    };
    match length_ns.checked_div(range.step_ns) {
        None => Err(Error::Query("the step is zero".to_owned())),
        Some(steps) if steps > STEPS_MAX => Err(Error::Query(format!(
            "{steps} steps are more than {STEPS_MAX}"
        ))),
        Some(_) => Ok(()),
    }
}
