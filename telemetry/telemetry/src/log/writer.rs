//! The one thread that writes log lines, behind a bounded queue: logging never waits for the output.
//!
//! Every line ends as written, failed (the output refused it) or dropped (the queue was full), and is counted. What a
//! line says is `line`'s; which file it goes to, the configuration's.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use conventions::metrics::{
    OUTCOME, OUTCOME_DROPPED, OUTCOME_FAILED, OUTCOME_WRITTEN, TELEMETRY_LOG_LINES,
};
use metrics::Counter;

use crate::config::LogOutput;
use crate::report::LogLines;

#[cfg(test)]
mod tests;

/// After a write, how long the thread collects further lines before it writes again. While it does, a new line wakes
/// nobody, which is most of a line's cost; it is also the longest delay of a line.
const COLLECT: Duration = Duration::from_millis(10);

/// Waiting bytes that end the collecting early.
const COLLECT_BYTES: usize = 64 << 10;

/// Pause before the next attempt when the output is a pipe whose reader made it non-blocking, and which is full.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(10);

/// Buffers that grew beyond this in a burst are given back.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A handle on the queue.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    state: Mutex<State>,
    /// The thread has something to do.
    work: Condvar,
    /// Lines were settled.
    settled: Condvar,
    counters: Counters,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines, one after the other.
    waiting: Vec<u8>,
    waiting_lines: u64,
    /// Bytes and lines in the thread's hands.
    taken_bytes: usize,
    taken_lines: u64,
    totals: LogLines,
    /// The thread sleeps until it is woken.
    idle: bool,
    /// Flushes that wait: the thread does not collect while there are any.
    flushes: usize,
}

#[derive(Debug)]
struct Counters {
    written: Counter,
    failed: Counter,
    dropped: Counter,
}

/// Where lines go, and what it did last.
struct Output<W> {
    inner: W,
    /// The last line was written in part: the next one begins on a new line.
    torn: bool,
    /// Said once per failure, not per line.
    failing: bool,
}

impl Writer {
    /// Starts the thread. Its counters are registered at 0 with the recorder that is current now.
    pub(crate) fn start(output: LogOutput, bytes_max: usize) -> io::Result<Self> {
        let inner: Box<dyn Write + Send> = match output {
            // A handle of its own: the standard library's would buffer once more and keep what failed.
            LogOutput::Stdout => Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            LogOutput::Writer(inner) => inner,
        };
        let shared = Arc::new(Shared {
            bytes_max,
            state: Mutex::default(),
            work: Condvar::new(),
            settled: Condvar::new(),
            counters: Counters::registered(),
        });
        let writer = Self {
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("telemetry-logs".to_owned())
            .spawn(move || shared.run(Output::new(inner)))?;
        Ok(writer)
    }

    /// Queues one line, or drops it if there is no room; says which. Never waits for the output.
    pub(crate) fn push(&self, line: &[u8]) -> bool {
        let mut state = self.shared.lock();
        if state.waiting.len() + state.taken_bytes + line.len() > self.shared.bytes_max {
            state.totals.dropped += 1;
            drop(state);
            self.shared.counters.dropped.increment(1);
            return false;
        }
        state.waiting.extend_from_slice(line);
        state.waiting_lines += 1;
        let wake = mem::take(&mut state.idle) || state.waiting.len() >= COLLECT_BYTES;
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
        true
    }

    /// Waits until every line that was queued at the call is settled, at most until `deadline`.
    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        let mut state = self.shared.lock();
        let settled = |totals: &LogLines| totals.written + totals.failed;
        let goal = settled(&state.totals) + state.waiting_lines + state.taken_lines;
        state.flushes += 1;
        state.idle = false;
        self.shared.work.notify_one();
        let timeout = deadline.saturating_duration_since(Instant::now());
        let unsettled = |state: &mut State| settled(&state.totals) < goal;
        let waited = self
            .shared
            .settled
            .wait_timeout_while(state, timeout, unsettled);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.flushes -= 1;
        settled(&state.totals) >= goal
    }

    pub(crate) fn totals(&self) -> LogLines {
        self.shared.lock().totals
    }
}

impl Shared {
    fn run(&self, mut output: Output<impl Write>) {
        let mut lines = Vec::new();
        loop {
            let queued = self.take(&mut lines);
            let written = output.write_lines(&lines, queued);
            self.settle(queued, written);
            if lines.capacity() > KEPT_BYTES_MAX {
                lines = Vec::new();
            }
            lines.clear();
            self.collect();
        }
    }

    /// Sleeps until there are lines, moves them to `lines` and says how many.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            state.idle = true;
            let woken = self.work.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        mem::swap(&mut state.waiting, lines);
        state.taken_bytes = lines.len();
        state.taken_lines = mem::take(&mut state.waiting_lines);
        state.taken_lines
    }

    fn settle(&self, queued: u64, written: u64) {
        let mut state = self.lock();
        state.taken_bytes = 0;
        state.taken_lines = 0;
        let failed = queued - written;
        state.totals.written += written;
        state.totals.failed += failed;
        drop(state);
        self.counters.written.increment(written);
        self.counters.failed.increment(failed);
        self.settled.notify_all();
    }

    fn collect(&self) {
        let state = self.lock();
        let collecting =
            |state: &mut State| state.waiting.len() < COLLECT_BYTES && state.flushes == 0;
        let collected = self.work.wait_timeout_while(state, COLLECT, collecting);
        drop(collected.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock can leave the state half changed, so a panic elsewhere is no reason to stop.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> Output<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            torn: false,
            failing: false,
        }
    }

    /// Writes whole lines and returns how many of the `queued` ones were written.
    fn write_lines(&mut self, lines: &[u8], queued: u64) -> u64 {
        match self.try_write(lines) {
            Ok(()) => {
                self.failing = false;
                queued
            }
            Err((accepted, error)) => {
                let accepted = &lines[..accepted];
                self.torn |= accepted.last().is_some_and(|last| *last != b'\n');
                self.report(&error);
                accepted.iter().filter(|byte| **byte == b'\n').count() as u64
            }
        }
    }

    /// On failure, how many bytes of `lines` were accepted before it.
    fn try_write(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.torn {
            self.write_all(b"\n").map_err(|(_, error)| (0, error))?;
            self.torn = false;
        }
        self.write_all(lines)?;
        self.inner.flush().map_err(|error| (0, error))
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut accepted = 0;
        while accepted < bytes.len() {
            match self.inner.write(&bytes[accepted..]) {
                Ok(0) => return Err((accepted, ErrorKind::WriteZero.into())),
                Ok(count) => accepted += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(FULL_PIPE_PAUSE);
                }
                Err(error) => return Err((accepted, error)),
            }
        }
        Ok(())
    }

    fn report(&mut self, error: &io::Error) {
        if !mem::replace(&mut self.failing, true) {
            // Standard error may be closed as well; then the counter is all there is.
            let _ = writeln!(
                io::stderr(),
                "log lines cannot be written: {error}; they are counted until they can"
            );
        }
    }
}

impl Counters {
    fn registered() -> Self {
        let of = |outcome: &'static str| metrics::counter!(TELEMETRY_LOG_LINES, OUTCOME => outcome);
        Self {
            written: of(OUTCOME_WRITTEN),
            failed: of(OUTCOME_FAILED),
            dropped: of(OUTCOME_DROPPED),
        }
    }
}
