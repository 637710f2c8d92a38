//! The `traceparent` and `traceresponse` values: <https://www.w3.org/TR/trace-context-2/#traceparent-header>.
//!
//! Bytes in, ids out, and back. Knows nothing of headers, `tracestate` or contexts.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Length of a version 00 value, and the least length of any later version.
const LENGTH: usize = 55;
/// The only version that is written, and the highest that is known.
const VERSION: u8 = 0;
/// Forbidden by the specification.
const VERSION_INVALID: u8 = 0xff;
/// Flags version 00 defines; the others must be sent as zero.
const FLAGS_KNOWN: u8 = FLAG_SAMPLED | FLAG_RANDOM;
const FLAG_SAMPLED: u8 = 0x01;
/// The rightmost seven bytes of the trace id are random: passed on as it came, never decided here.
const FLAG_RANDOM: u8 = 0x02;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What a `traceparent` says: a remote span of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traceparent {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

impl Traceparent {
    /// Reads a value; `None` means that the trace must be restarted. Surrounding optional whitespace is no part of it.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let value = super::trim_whitespace(value);
        let (known, rest) = value.split_at_checked(LENGTH)?;
        if [known[2], known[35], known[52]] != [b'-'; 3] {
            return None;
        }
        let version = u8::try_from(hex(&known[..2])?).expect("two digits fit");
        let flags = u8::try_from(hex(&known[53..])?).expect("two digits fit");
        let flags = match version {
            VERSION if rest.is_empty() => flags & FLAGS_KNOWN,
            VERSION | VERSION_INVALID => return None,
            // A later version may append fields after a dash; of its flags only `sampled` has a known meaning.
            _ if rest.is_empty() || rest[0] == b'-' => flags & FLAG_SAMPLED,
            _ => return None,
        };
        let trace_id = TraceId::from(hex(&known[3..35])?);
        let span_id = SpanId::from(u64::try_from(hex(&known[36..52])?).expect("16 digits fit"));
        let valid = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
        valid.then_some(Self {
            trace_id,
            span_id,
            flags: TraceFlags::new(flags),
        })
    }

    /// The value for a span of this process; `None` when the context is not valid.
    pub(super) fn of(span: &SpanContext) -> Option<Self> {
        span.is_valid().then(|| Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            flags: TraceFlags::new(span.trace_flags().to_u8() & FLAGS_KNOWN),
        })
    }

    pub(super) fn span_context(self, state: TraceState) -> SpanContext {
        SpanContext::new(self.trace_id, self.span_id, self.flags, true, state)
    }

    /// Always version 00, also for what came as a later one.
    pub(super) fn format(self) -> String {
        let mut text = String::with_capacity(LENGTH);
        push_hex(&mut text, &[VERSION]);
        text.push('-');
        push_hex(&mut text, &self.trace_id.to_bytes());
        text.push('-');
        push_hex(&mut text, &self.span_id.to_bytes());
        text.push('-');
        push_hex(&mut text, &[self.flags.to_u8()]);
        text
    }
}

/// At most 32 lower-case digits; upper case is not allowed in either header.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
}
