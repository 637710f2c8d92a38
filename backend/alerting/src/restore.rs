//! After a restart: since when an alert has been active, from the series that said so before.

use tsdb::{Match, Matcher};

use crate::Surroundings;
use crate::file::Kind;
use crate::rule::{ALERTS_FOR_STATE, Alert, Rule};

/// How long ago the series may have ended. Prometheus' default (`--rules.alert.for-outage-tolerance`).
const OUTAGE_MS_MAX: i64 = 3_600_000;
/// What holds shorter than this begins anew; what was about to fire waits this long. Prometheus' default
/// (`--rules.alert.for-grace-period`).
const GRACE_MS: i64 = 10 * 60_000;

/// Moves the begin of each active alert to what it was, and lets the rule write its series from now on.
pub(crate) fn restore(rule: &mut Rule, t_ms: i64, with: &Surroundings<'_>) {
    let Kind::Alerting { hold_ms, .. } = rule.spec.kind else {
        return;
    };
    let Some(alerting) = &mut rule.alerting else {
        return;
    };
    alerting.is_restored = true;
    if hold_ms < GRACE_MS {
        return;
    }
    for alert in alerting.active_mut() {
        match last_state(alert, t_ms, with) {
            Ok(Some((seen_ms, active_at_ms))) => {
                alert.active_at_ms = restored_ms(seen_ms, active_at_ms, t_ms, hold_ms);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    alert = rule.spec.name,
                    "the state of an alert cannot be restored, it begins anew"
                );
            }
        }
    }
}

/// When the state was last written, and since when the alert was active then. Milliseconds.
fn last_state(
    alert: &Alert,
    t_ms: i64,
    with: &Surroundings<'_>,
) -> Result<Option<(i64, i64)>, tsdb::SourceError> {
    let matchers: Vec<Matcher> = alert
        .labels
        .iter()
        .chain([(crate::labels::NAME, ALERTS_FOR_STATE)])
        .map(|(name, value)| Matcher {
            name: name.into(),
            matches: Match::Equal(value.into()),
        })
        .collect();
    let samples_max = with.engine.options().samples_max;
    let series = with
        .source
        .select(&matchers, t_ms - OUTAGE_MS_MAX..=t_ms, samples_max)?;
    // Equal matchers allow further labels: the one that has exactly these.
    let own = series
        .into_iter()
        .find(|series| series.labels.iter().len() == matchers.len());
    let values = own.into_iter().flat_map(|series| series.samples);
    let last = values.filter(|sample| !tsdb::is_stale(sample.value)).last();
    Ok(last.map(|sample| (sample.t_ms, (sample.value * 1e3) as i64)))
}

/// The time while nobody looked does not count, and nothing fires sooner than after the grace period.
fn restored_ms(seen_ms: i64, active_at_ms: i64, t_ms: i64, hold_ms: i64) -> i64 {
    let left_ms = hold_ms - (seen_ms - active_at_ms);
    match left_ms {
        ..=0 => active_at_ms,
        1..GRACE_MS => t_ms + GRACE_MS - hold_ms,
        _ => active_at_ms + (t_ms - seen_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn the_time_before_the_outage_counts_and_the_outage_does_not() {
        let (hold, now) = (30 * MINUTE, 100 * MINUTE);
        for (seen, active_at, expected) in [
            // Was firing: still is, at the next evaluation.
            (90 * MINUTE, 50 * MINUTE, 50 * MINUTE),
            // Ten minutes of thirty were over: twenty are left.
            (90 * MINUTE, 80 * MINUTE, 90 * MINUTE),
            // Five were left: ten are.
            (90 * MINUTE, 65 * MINUTE, 80 * MINUTE),
        ] {
            assert_eq!(restored_ms(seen, active_at, now, hold), expected);
        }
    }
}
