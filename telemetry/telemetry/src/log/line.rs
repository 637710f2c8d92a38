//! The fixed parts of a log line, in front of the fields and after them. Where a line's ids and fields come from is
//! the caller's.

use std::time::SystemTime;

use conventions::fields::{
    FIELDS, LEVEL, MESSAGE, SERVICE, SPAN, SPAN_ID, TARGET, TIMESTAMP, TRACE_ID, TRACE_SCOPE,
    TRACE_SCOPE_PROCESS,
};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId};
use tracing::Level;

use super::{json, timestamp};
use crate::cuts::{cuts, told};

/// Longest line. Beyond it the fields give way to a message that says so: log stores cut or refuse such lines
/// (Loki and CloudWatch Logs at 256 KiB), and one value must not fill the writer's queue.
pub(super) const LINE_BYTES_MAX: usize = 256 << 10;

/// The span a line belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    trace_id: TraceId,
    span_id: SpanId,
}

/// What is the same in every line of a process.
#[derive(Debug, Clone)]
pub(crate) struct Format {
    /// `","service":"…"`, as JSON: closes the span id and goes on.
    service: Vec<u8>,
    /// The start-up trace, for lines outside any span.
    process: Option<Ids>,
}

impl Ids {
    /// `None` for a context without a valid span.
    pub(crate) fn of(context: &SpanContext) -> Option<Self> {
        context.is_valid().then(|| Self {
            trace_id: context.trace_id(),
            span_id: context.span_id(),
        })
    }

    /// Those of the current span, if there is one.
    pub(super) fn current() -> Option<Self> {
        Context::map_current(|context| Self::of(context.span().span_context()))
    }
}

impl Format {
    pub(crate) fn new(service: &str, process: &SpanContext) -> Self {
        let mut text = b"\",\"".to_vec();
        text.extend_from_slice(SERVICE.as_bytes());
        text.extend_from_slice(b"\":");
        json::string(&mut text, service);
        Self {
            service: text,
            process: Ids::of(process),
        }
    }

    /// Everything up to the members of `fields`.
    pub(super) fn begin(&self, out: &mut Vec<u8>, ids: Option<Ids>, level: Level) {
        let scope = ids.or(self.process);
        let scope = scope.filter(|_| !cuts().log_ids);
        let (trace_id, span_id) = scope.map_or((TraceId::INVALID, SpanId::INVALID), |ids| {
            (ids.trace_id, ids.span_id)
        });
        text(out, &["{\"", TRACE_ID, "\":\""]);
        json::hex(out, &trace_id.to_bytes());
        text(out, &["\",\"", SPAN_ID, "\":\""]);
        json::hex(out, &span_id.to_bytes());
        out.extend_from_slice(&self.service);
        if ids.is_none() {
            text(
                out,
                &[",\"", TRACE_SCOPE, "\":\"", TRACE_SCOPE_PROCESS, "\""],
            );
        }
        text(out, &[",\"", TIMESTAMP, "\":\""]);
        timestamp::write(out, told(SystemTime::now()));
        text(
            out,
            &[
                "\",\"",
                LEVEL,
                "\":\"",
                level.as_str(),
                "\",\"",
                FIELDS,
                "\":{",
            ],
        );
    }

    /// Everything after the members of `fields`. `begun` is where they begin.
    pub(super) fn end(&self, out: &mut Vec<u8>, begun: usize, target: &str, span: Option<&[u8]>) {
        let length = out.len() + target.len() + span.map_or(0, <[u8]>::len);
        let too_long = length > LINE_BYTES_MAX;
        if too_long {
            out.truncate(begun);
            json::string(out, MESSAGE);
            out.push(b':');
            let notice =
                format!("event left out: its line of {length} bytes exceeds {LINE_BYTES_MAX}");
            json::string(out, &notice);
        }
        text(out, &["},\"", TARGET, "\":"]);
        json::string(out, target);
        if let Some(span) = span.filter(|_| !too_long) {
            text(out, &[",\"", SPAN, "\":"]);
            out.extend_from_slice(span);
        }
        out.extend_from_slice(b"}\n");
    }
}

fn text(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}
