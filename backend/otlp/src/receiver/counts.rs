//! The receiver's own metrics. All series exist from the start.

use conventions::metrics as names;
use metrics::{Counter, counter, describe_counter};

use super::intake::Signal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Grpc,
    Http,
}

/// What became of a request; in the order of [`names::RECEIVER_OUTCOMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    Malformed,
    TooLarge,
    Overloaded,
    Unsupported,
    Timeout,
    BrokenOff,
}

/// Of both transports, in the order of [`Transport`].
pub(super) struct Counts([OneTransport; 2]);

struct OneTransport {
    requests: [Counter; names::RECEIVER_OUTCOMES.len()],
    spans: Items,
    log_records: Items,
}

struct Items {
    accepted: Counter,
    refused: Counter,
}

impl Counts {
    pub(super) fn new() -> Self {
        describe_counter!(
            names::OTELCOL_RECEIVER_ACCEPTED_SPANS,
            "Number of spans successfully pushed into the pipeline."
        );
        describe_counter!(
            names::OTELCOL_RECEIVER_REFUSED_SPANS,
            "Number of spans that could not be pushed into the pipeline."
        );
        describe_counter!(
            names::OTELCOL_RECEIVER_ACCEPTED_LOG_RECORDS,
            "Number of log records successfully pushed into the pipeline."
        );
        describe_counter!(
            names::OTELCOL_RECEIVER_REFUSED_LOG_RECORDS,
            "Number of log records that could not be pushed into the pipeline."
        );
        describe_counter!(
            names::RECEIVER_REQUESTS,
            "OTLP requests by what became of them."
        );
        Self([names::TRANSPORT_GRPC, names::TRANSPORT_HTTP].map(OneTransport::new))
    }

    pub(super) fn request(&self, transport: Transport, outcome: Outcome) {
        self.0[transport as usize].requests[outcome as usize].increment(1);
    }

    pub(super) fn items(&self, transport: Transport, signal: Signal, accepted: u64, refused: u64) {
        let transport = &self.0[transport as usize];
        let items = match signal {
            Signal::Traces => &transport.spans,
            Signal::Logs => &transport.log_records,
        };
        items.accepted.increment(accepted);
        items.refused.increment(refused);
    }
}

impl OneTransport {
    fn new(transport: &'static str) -> Self {
        let items = |name: &'static str| counter!(name, names::RECEIVER => names::RECEIVER_OTLP, names::TRANSPORT => transport);
        Self {
            requests: names::RECEIVER_OUTCOMES.map(|outcome| {
                counter!(names::RECEIVER_REQUESTS, names::TRANSPORT => transport, names::OUTCOME => outcome)
            }),
            spans: Items {
                accepted: items(names::OTELCOL_RECEIVER_ACCEPTED_SPANS),
                refused: items(names::OTELCOL_RECEIVER_REFUSED_SPANS),
            },
            log_records: Items {
                accepted: items(names::OTELCOL_RECEIVER_ACCEPTED_LOG_RECORDS),
                refused: items(names::OTELCOL_RECEIVER_REFUSED_LOG_RECORDS),
            },
        }
    }
}
