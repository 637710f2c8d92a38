//! When a trace began, as its own member of `tracestate` tells it: `tripod=t:<unix milliseconds, hex>`. Who puts the
//! member there is decided by the sampler and, for traces from outside, by `w3c`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conventions::headers::{TRACESTATE_MEMBER, TRACESTATE_START_PREFIX};
use opentelemetry::trace::TraceState;

/// The member's value for a trace that begins at `start`. A clock before 1970 counts as 1970.
pub(crate) fn member(start: SystemTime) -> String {
    let since_epoch = start.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{TRACESTATE_START_PREFIX}{:x}", since_epoch.as_millis())
}

/// The start a trace state tells, or `None` when it tells none that can be understood.
pub(crate) fn read(trace_state: &TraceState) -> Option<SystemTime> {
    let digits = trace_state
        .get(TRACESTATE_MEMBER)?
        .strip_prefix(TRACESTATE_START_PREFIX)?;
    let milliseconds = u64::from_str_radix(digits, 16).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn state(value: &str) -> TraceState {
        TraceState::from_key_value([("foreign", "1"), (TRACESTATE_MEMBER, value)]).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_in_milliseconds() {
        let start = UNIX_EPOCH + Duration::from_micros(1_790_000_000_123_456);
        assert_eq!(member(start), "t:1a0c4506c7b");
        let expected = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
        assert_eq!(read(&state(&member(start))), Some(expected));
    }

    #[test]
    fn what_is_not_ours_is_no_start() {
        for value in ["", "t:", "t:xyz", "1a0", "t:-1", "t:11111111111111111"] {
            assert_eq!(read(&state(value)), None, "{value:?}");
        }
        assert_eq!(read(&TraceState::NONE), None);
    }
}
