//! The one thread that encodes ended spans and gets them to the collector, trying again while it is away.
//!
//! It owns the order of attempts and their waits. What is lost is counted by [`Queue`]; one request is `client`'s.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry::Context;

use super::batch::{Next, Queue, Settled};
use super::encode::Encoder;
use crate::report::Spans;

#[cfg(test)]
mod tests;

/// See [`Pace::backoff_min`].
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// Longest wait between two attempts, also of those a collector asks for.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Attempts in vain, during a shutdown, after which the collector counts as away and the rest as dropped: enough
/// for one that restarts, few enough that a missing one does not hold up every exit until the deadline.
const SHUTDOWN_ATTEMPTS_MAX: u32 = 3;

/// Batches that the room kept for spans has room for.
const KEPT_BATCHES: usize = 4;

/// Sends one encoded batch, once.
pub(crate) trait Transport {
    /// Returns how many spans of the batch the collector rejected.
    fn send(&mut self, body: Bytes, timeout: Duration) -> Result<usize, SendError>;
}

/// One attempt failed.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Trying again can help: no connection, no answer in time, or an answer that says so.
    Unavailable {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// The collector will never take this batch.
    Refused { reason: String },
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Bound of one attempt.
    pub(crate) timeout: Duration,
    /// First wait after a failed attempt; doubled by each further one. Also the shortest, whatever a collector says.
    pub(crate) backoff_min: Duration,
}

/// Empties a [`Queue`] through a [`Transport`].
pub(crate) struct Exporter<T> {
    queue: Arc<Queue>,
    transport: T,
    encoder: Encoder,
    pace: Pace,
    /// The next wait.
    backoff: Duration,
    attempts_in_shutdown: u32,
    /// Trouble is said once, not per batch, until a batch passes without.
    trouble_reported: bool,
}

impl<T: Transport> Exporter<T> {
    pub(crate) fn new(queue: Arc<Queue>, transport: T, encoder: Encoder, pace: Pace) -> Self {
        Self {
            queue,
            transport,
            encoder,
            pace,
            backoff: pace.backoff_min,
            attempts_in_shutdown: 0,
            trouble_reported: false,
        }
    }

    /// Exports until the queue closes.
    pub(crate) fn run(mut self) {
        let _no_spans_of_our_own = Context::enter_telemetry_suppressed_scope();
        let mut spans = Vec::new();
        while self.queue.take(&mut spans) {
            let mut left = spans.as_slice();
            while !left.is_empty() {
                let batch = &left[..left.len().min(self.queue.batch_max())];
                let (body, count) = self.encoder.encode(batch);
                left = &left[count..];
                if self.deliver(body.into(), count) == Next::Stop {
                    return;
                }
            }
            spans.clear();
            // The room goes back to the queue, unless a burst made it large.
            spans.shrink_to(KEPT_BATCHES * self.queue.batch_max());
        }
    }

    /// Sends a request with this many spans until the collector takes or refuses it.
    fn deliver(&mut self, body: Bytes, spans: usize) -> Next {
        loop {
            let left = self.queue.remaining().unwrap_or(self.pace.timeout);
            if left.is_zero() {
                self.queue.close();
                return Next::Stop;
            }
            let timeout = left.min(self.pace.timeout);
            match self.transport.send(body.clone(), timeout) {
                Ok(rejected) => {
                    let failed = rejected.min(spans);
                    match failed {
                        0 => self.all_is_well(),
                        _ => self.report("collector rejected a part of the spans", ""),
                    }
                    let exported = spans - failed;
                    self.queue.settle(Settled { exported, failed });
                    return Next::GoOn;
                }
                Err(SendError::Refused { reason }) => {
                    self.report("collector refused spans", &reason);
                    self.queue.settle(Settled {
                        exported: 0,
                        failed: spans,
                    });
                    return Next::GoOn;
                }
                Err(SendError::Unavailable {
                    reason,
                    retry_after,
                }) => {
                    self.report("spans cannot be exported, trying again", &reason);
                    if self.wait(retry_after) == Next::Stop {
                        return Next::Stop;
                    }
                }
            }
        }
    }

    fn all_is_well(&mut self) {
        self.backoff = self.pace.backoff_min;
        if mem::take(&mut self.trouble_reported) {
            let Spans {
                failed, dropped, ..
            } = self.queue.totals();
            tracing::info!(failed, dropped, "spans are exported again");
        }
    }

    fn report(&mut self, trouble: &'static str, reason: &str) {
        if !mem::replace(&mut self.trouble_reported, true) {
            tracing::warn!(reason, "{trouble}");
        }
    }

    fn wait(&mut self, retry_after: Option<Duration>) -> Next {
        if self.queue.remaining().is_some() {
            self.attempts_in_shutdown += 1;
            if self.attempts_in_shutdown >= SHUTDOWN_ATTEMPTS_MAX {
                self.queue.close();
                return Next::Stop;
            }
        }
        let pause = jittered(self.backoff).max(retry_after.unwrap_or_default());
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.queue.pause(pause.min(BACKOFF_MAX))
    }
}

/// Half to all of a wait, so that services which lost the same collector do not come back in step.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    wait.mul_f64(0.5 + share / 2.0)
}
