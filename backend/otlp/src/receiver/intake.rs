//! What both transports share: the sinks, the limits, the counting of what goes in.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Options,
    budget::Budget,
    counts::{Counts, Transport},
    failure::Failure,
};
use crate::{
    Accepted, LogSink, TraceSink,
    wire::{self, put},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

pub(super) struct Intake {
    traces: Arc<dyn TraceSink>,
    logs: Option<Arc<dyn LogSink>>,
    pub options: Options,
    pub budget: Budget,
    pub counts: Counts,
}

impl Intake {
    pub(super) fn new(
        options: Options,
        traces: Arc<dyn TraceSink>,
        logs: Option<Arc<dyn LogSink>>,
    ) -> Self {
        Self {
            traces,
            logs,
            budget: Budget::new(options.under_way_bytes_max),
            options,
            counts: Counts::new(),
        }
    }

    /// Whether anybody wants it.
    pub(super) fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Traces || self.logs.is_some()
    }

    /// Hands a request to its sink.
    pub(super) fn accept(
        &self,
        transport: Transport,
        signal: Signal,
        request: Bytes,
    ) -> Result<Accepted, Failure> {
        let items = wire::count(&request).map_err(|error| Failure::Malformed(error.to_string()))?;
        let result = match (signal, &self.logs) {
            (Signal::Traces, _) => self.traces.accept(request),
            (Signal::Logs, Some(logs)) => logs.accept(request),
            (Signal::Logs, None) => unreachable!("nobody wants logs, and `takes` said so"),
        };
        let refused = result
            .as_ref()
            .map_or(items, |accepted| accepted.rejected.min(items));
        self.counts
            .items(transport, signal, items - refused, refused);
        Ok(result?)
    }
}

/// `ExportTraceServiceResponse` or `ExportLogsServiceResponse`: their numbers are the same. Without a `partial_success`
/// when all is well, as the specification demands.
pub(super) fn response(accepted: &Accepted) -> Vec<u8> {
    let mut out = Vec::new();
    if *accepted != Accepted::default() {
        put::message_field(&mut out, 1, |partial| {
            put::number_field(partial, 1, accepted.rejected);
            put::bytes_field(partial, 2, accepted.message.as_bytes());
        });
    }
    out
}

/// The same as protobuf's JSON.
pub(super) fn response_json(signal: Signal, accepted: &Accepted) -> Vec<u8> {
    if *accepted == Accepted::default() {
        return b"{}".to_vec();
    }
    let rejected = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
    };
    let partial = serde_json::json!({
        rejected: accepted.rejected.to_string(),
        "errorMessage": accepted.message,
    });
    serde_json::json!({ "partialSuccess": partial })
        .to_string()
        .into_bytes()
}
