//! The spent budget, computed from the services' own counters and compared with the answers that clients got.

use slo::burn::PERIOD;

use crate::{
    evidence::Check,
    http::HttpError,
    run::{Observed, Stage},
};

pub(super) const ID: &str = "budget-spent";
pub(super) const CLAIM: &str = "the counters say what share of the period's budget was spent";

impl Stage {
    pub(super) async fn budget_spent(
        &self,
        service: &str,
        budget: f64,
        share: f64,
        observed: &Observed,
    ) -> Result<Check, HttpError> {
        let names = &self.target.names;
        let (metric, label) = (&names.server_duration, &names.service);
        let total = format!("sum({metric}_count{{{label}=\"{service}\"}})");
        let failed = format!(
            "sum({metric}_count{{{label}=\"{service}\",http_response_status_code=~\"5..\"}})"
        );
        let played = observed.faulty();
        let mut counts = Vec::new();
        let mut answers = Vec::new();
        for expr in [&total, &failed] {
            for at_ms in [played.start_ms, played.end_ms] {
                let (value, answer) = self.prometheus.value(expr, at_ms).await?;
                counts.push(value);
                answers.push(answer);
            }
        }
        // `rate` and `increase` see nothing of the value with which a series appears.
        let is_seen = counts.iter().all(Option::is_some);
        let count = |number: usize| counts[number].unwrap_or(0.0);
        let (requests, failures) = (count(1) - count(0), count(3) - count(2));
        let burning = (played.end_ms - played.start_ms) as f64 / 1_000.0;
        let period = self.clock.shortened(PERIOD).as_secs_f64();
        let of = |failures: f64| failures / requests / budget * burning / period;
        let spent = of(failures);
        let seen = observed.made_in_fault().filter(|made| made.status >= 500);
        let seen = seen.count() as f64;
        // A fault hits an exact share of the requests; one request more or less is its rounding, and what is under way at
        // the edges of a real clock is counted on either side.
        let tolerance = of(1.0 + self.clock.edge_requests());
        let is_held = is_seen
            && requests > 0.0
            && (spent - share).abs() <= tolerance
            && (failures - seen).abs() <= self.clock.edge_requests();
        Ok(Check::judged(ID, CLAIM, is_held)
            .expected(format!(
                "{:.2} % ± {:.2} %, and the {seen} failures that clients saw",
                100.0 * share,
                100.0 * tolerance
            ))
            .observed(match is_seen {
                true => format!(
                    "{failures} of {requests} requests failed in {burning} s: {:.2} %",
                    100.0 * spent
                ),
                false => "no series of failures before the first one: `rate` misses it".to_owned(),
            })
            .asked(&answers))
    }
}
