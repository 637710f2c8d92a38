//! When a job that is not done is sent (again). Pure arithmetic; `docs/jobs.md` shows it on a time line.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What the request that caused a job has to send it itself, and the worker to take it, before the relay does: longer
/// than the SDK tries to send, so a relayed job was not sent, unless the queue is that long.
const DISPATCH_GRACE: SignedDuration = SignedDuration::from_secs(15);
/// After the relay's first send. SQS loses no messages, so this is for queues that were emptied by hand.
const RESEND_FIRST: SignedDuration = SignedDuration::from_mins(1);
/// Each further send waits this much longer: a queue with a long backlog gets few copies.
const RESEND_FACTOR: i32 = 4;
const RESEND_MAX: SignedDuration = SignedDuration::from_hours(6);
/// When a job whose send failed is tried again. The relay itself pauses as well.
const RETRY: SignedDuration = SignedDuration::from_secs(1);
/// A relay that looks more often does nothing else.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause of a relay that fails again and again.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// When the relay sends a job that was committed now.
pub(crate) fn first_due(now: Timestamp) -> Timestamp {
    after(now, DISPATCH_GRACE)
}

/// When the relay sends a job again that it sends now, after `sends` times before, the first by the request itself.
pub(crate) fn next_due(now: Timestamp, sends: u32) -> Timestamp {
    let factor = RESEND_FACTOR.checked_pow(sends.saturating_sub(1));
    let delay = factor.and_then(|factor| RESEND_FIRST.checked_mul(factor));
    after(now, delay.map_or(RESEND_MAX, |delay| delay.min(RESEND_MAX)))
}

/// When the relay sends a job again whose send failed now.
pub(crate) fn retry_due(now: Timestamp) -> Timestamp {
    after(now, RETRY)
}

/// How long the relay rests after a pass: the interval, doubled with each failure in a row. `random` in 0..1 spreads
/// several relays over a quarter of it.
pub(crate) fn pause(interval: Duration, failures: u32, random: f64) -> Duration {
    let factor = 2_u32.saturating_pow(failures);
    let interval = interval.max(PAUSE_MIN);
    let pause = interval.saturating_mul(factor).min(PAUSE_MAX.max(interval));
    pause.mul_f64(1.0 - random / 4.0)
}

fn after(now: Timestamp, delay: SignedDuration) -> Timestamp {
    now.saturating_add(delay)
        .expect("hours are no calendar unit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resends_get_rarer_up_to_a_bound() {
        let now = Timestamp::UNIX_EPOCH;
        let minutes = |sends| next_due(now, sends).as_second() / 60;
        assert_eq!([0, 1, 2, 3, 4, 5].map(minutes), [1, 1, 4, 16, 64, 256]);
        assert_eq!([6, 7, 100, u32::MAX].map(minutes), [360; 4]);
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        assert_eq!(first_due(Timestamp::MAX), Timestamp::MAX);
        assert_eq!(next_due(Timestamp::MAX, 7), Timestamp::MAX);
    }

    #[test]
    fn a_failing_relay_slows_down_to_a_bound_and_spreads() {
        let seconds = |failures| pause(Duration::from_secs(1), failures, 0.0).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 1_000].map(seconds),
            [1, 2, 4, 8, 16, 30, 30, 30]
        );
        assert_eq!(
            pause(Duration::from_secs(1), 0, 1.0),
            Duration::from_millis(750)
        );
        assert_eq!(pause(Duration::ZERO, 0, 0.0), PAUSE_MIN);
        assert_eq!(
            pause(Duration::from_secs(60), 9, 0.0),
            Duration::from_secs(60)
        );
    }
}
