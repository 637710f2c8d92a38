//! Faults in the signals themselves, for proofs that they would be noticed: `TRIPOD_SIGNAL_FAULTS` holds
//! `SERVICE:FAULT` pairs, separated by commas, of which each process takes its own.
//!
//! Set at the start and for good, unlike the faults of the admin listener. Refused unless faults are allowed.

use std::{env, time::Duration};

use telemetry::{Config, Cuts};

/// The variable.
pub const VARIABLE: &str = "TRIPOD_SIGNAL_FAULTS";
/// Longer than anything takes: nothing is late.
const NEVER_LATE: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer than any request, and short enough that everything is still found where it is looked for.
const AHEAD: Duration = Duration::from_secs(3);

/// What is wrong with the signals of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalFault {
    /// Requests carry no `traceparent`.
    NoHttpTraceparent,
    /// Messages carry no `traceparent`.
    NoSqsTraceparent,
    /// Log lines have ids of zeros.
    NoLogIds,
    /// Every signal names another service.
    OtherServiceName,
    /// No sample names its trace.
    NoExemplars,
    /// Samples name traces that the collector drops.
    AllExemplars,
    /// Spans that end after the decision are not marked.
    NoLateMark,
    /// Series of failed requests are not there before the first failure.
    LazyFailures,
    /// Spans and log lines are some seconds ahead.
    ClockAhead,
    /// Log lines are shipped to a Loki that is not there. Of the backend.
    DeadLoki,
}

/// The variable cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalFaultError {
    #[error("{VARIABLE}: {0:?} is no SERVICE:FAULT")]
    NoPair(String),
    #[error("{VARIABLE}: there is no fault {0:?}")]
    Unknown(String),
    #[error("{VARIABLE} is set, but faults are not allowed (--allow-faults)")]
    NotAllowed,
}

impl SignalFault {
    const ALL: [(&'static str, Self); 10] = [
        ("no-http-traceparent", Self::NoHttpTraceparent),
        ("no-sqs-traceparent", Self::NoSqsTraceparent),
        ("no-log-ids", Self::NoLogIds),
        ("other-service-name", Self::OtherServiceName),
        ("no-exemplars", Self::NoExemplars),
        ("all-exemplars", Self::AllExemplars),
        ("no-late-mark", Self::NoLateMark),
        ("lazy-failures", Self::LazyFailures),
        ("clock-ahead", Self::ClockAhead),
        ("dead-loki", Self::DeadLoki),
    ];

    /// Those of a service, as the environment says.
    ///
    /// # Errors
    /// See [`SignalFaultError`].
    pub fn of(service: &str, are_allowed: bool) -> Result<Vec<Self>, SignalFaultError> {
        match env::var(VARIABLE) {
            Ok(text) if !text.is_empty() && !are_allowed => Err(SignalFaultError::NotAllowed),
            Ok(text) => Self::parse(&text, service),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Every pair is read, so that a misspelt one is no fault that nothing ever feels.
    fn parse(text: &str, service: &str) -> Result<Vec<Self>, SignalFaultError> {
        let mut own = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (of, name) = pair
                .split_once(':')
                .ok_or_else(|| SignalFaultError::NoPair(pair.to_owned()))?;
            let known = Self::ALL.iter().find(|(known, _)| *known == name);
            let (_, fault) = known.ok_or_else(|| SignalFaultError::Unknown(name.to_owned()))?;
            if of == service {
                own.push(*fault);
            }
        }
        Ok(own)
    }
}

/// Configures the telemetry of a process so that these faults are in it.
pub(crate) fn apply(faults: &[SignalFault], config: &mut Config) {
    let has = |fault| faults.contains(&fault);
    config.cuts = Cuts {
        http_traceparent: has(SignalFault::NoHttpTraceparent),
        sqs_traceparent: has(SignalFault::NoSqsTraceparent),
        log_ids: has(SignalFault::NoLogIds),
        exemplars: has(SignalFault::NoExemplars),
        failures_at_start: has(SignalFault::LazyFailures),
        ahead: match has(SignalFault::ClockAhead) {
            true => AHEAD,
            false => Duration::ZERO,
        },
    };
    if has(SignalFault::OtherServiceName) {
        config.service = format!("other-{}", config.service);
    }
    if has(SignalFault::AllExemplars) {
        config.sampling.percentage = 100.0;
    }
    if has(SignalFault::NoLateMark) {
        config.decision_wait = NEVER_LATE;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_process_takes_its_own_and_nobody_takes_what_is_misspelt() {
        let text = "gateway:no-exemplars,worker:no-log-ids,gateway:no-late-mark";
        assert_eq!(
            SignalFault::parse(text, "gateway").unwrap(),
            [SignalFault::NoExemplars, SignalFault::NoLateMark]
        );
        assert!(SignalFault::parse(text, "task-service").unwrap().is_empty());
        assert!(SignalFault::parse("", "gateway").unwrap().is_empty());
        for text in ["gateway", "worker:nothing", "gateway:no-exemplars,x"] {
            assert!(SignalFault::parse(text, "gateway").is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_changes_what_it_says_and_nothing_else() {
        let configured = |faults: &[SignalFault]| {
            let mut config = Config::new("gateway", "1");
            apply(faults, &mut config);
            config
        };
        assert_eq!(configured(&[]).cuts, Cuts::default());
        assert_eq!(configured(&[]).service, "gateway");
        assert!(configured(&[SignalFault::NoLogIds]).cuts.log_ids);
        assert_eq!(
            configured(&[SignalFault::OtherServiceName]).service,
            "other-gateway"
        );
    }
}
