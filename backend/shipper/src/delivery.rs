//! One destination: it takes the services in turn, sends what is there, and moves its position when that was taken.
//!
//! What cannot be taken now is tried again for ever, with growing pauses. What is refused for good is halved until the lines that
//! nobody takes are found; they are counted, said, and passed over. A destination that refuses everything is first given time.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::{
    Clock, Limits,
    batch::Batch,
    cloudwatch::{self, CloudWatch},
    counts::Counts,
    http::SendError,
    loki::Loki,
    positions::Positions,
    spool::Spool,
    spools::Spools,
    tail::{Chunk, Position},
};

/// Between two looks at files that had nothing new.
const POLL: Duration = Duration::from_millis(100);
/// The pause after a first failure; each further one is twice as long, up to a limit.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// A failure that goes on is said again after this.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

pub(crate) struct Delivery {
    /// Which of the spools' destinations it is.
    pub(crate) index: usize,
    pub(crate) sender: Sender,
    pub(crate) positions: Positions,
    pub(crate) spools: Arc<Spools>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) stopping: CancellationToken,
    pub(crate) said_at: Option<Instant>,
    /// Since when it has taken nothing of what it was sent, for the reason that it never will.
    pub(crate) refuses_since: Option<Instant>,
}

pub(crate) enum Sender {
    Loki(Box<Loki>),
    CloudWatch(Box<CloudWatch>),
}

/// What a destination says of a request that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Lines that it will never take.
    pub(crate) rejected: u64,
    /// Lines that it had already.
    pub(crate) duplicate: u64,
}

/// What became of a look at a service's files.
enum Step {
    Idle,
    Done,
    Stopped,
}

/// How a request ended.
enum Ended {
    Taken(Taken),
    Refused(String),
    /// It was not answered, and there is no time left to try again.
    Stopped,
}

/// What became of the parts of a batch.
#[derive(Default)]
struct Pass {
    has_taken: bool,
    /// Lines that are refused even when they are sent alone.
    bad: Vec<u32>,
    /// Why the last of them was.
    reason: String,
}

impl Delivery {
    /// Until it is stopped; then once more through all services, as far as they have whole lines and the destination takes them.
    pub(crate) async fn run(mut self) {
        loop {
            let is_last = self.stopping.is_cancelled();
            let spools = Arc::clone(&self.spools);
            let mut had_any = false;
            for spool in spools.all() {
                match self.step(spool).await {
                    Step::Idle => {}
                    Step::Done => had_any = true,
                    // What was read is not delivered: nothing behind it may be.
                    Step::Stopped => return,
                }
            }
            let waiting = spools.all().iter().map(|spool| spool.waiting(self.index));
            self.counts.lag(waiting.sum());
            if is_last && !had_any {
                return;
            }
            if !had_any {
                self.pause(POLL).await;
            }
        }
    }

    /// Delivers one batch of a service.
    async fn step(&mut self, spool: &Spool) -> Step {
        let now = (self.clock)();
        let chunk = spool.read(self.index, now);
        let lost = spool.lost(self.index);
        if lost.bytes > 0 {
            self.counts.lost(lost);
            tracing::error!(
                destination = self.counts.destination(),
                service = spool.service,
                lines = lost.lines,
                bytes = lost.bytes,
                "log lines are lost: too many wait"
            );
        }
        match chunk {
            Ok(Some(chunk)) => match self.deliver(spool, chunk, unix_ns(now)).await {
                true => Step::Done,
                false => Step::Stopped,
            },
            Ok(None) => Step::Idle,
            Err(error) => {
                self.spools.failed();
                self.say("log files cannot be read", &error.to_string());
                Step::Idle
            }
        }
    }

    /// Whether everything of it was taken or given up, durably. If not, it is for the next start.
    async fn deliver(&mut self, spool: &Spool, chunk: Chunk, now_ns: i64) -> bool {
        let bytes = chunk.bytes.len() as u64;
        let batch = Batch::of(chunk.bytes, &spool.service, now_ns);
        let mut parts = self.sender.parts(&batch);
        let mut takes_others = false;
        let mut pause = PAUSE_FIRST;
        loop {
            let Some(pass) = self.send_all(&batch, parts).await else {
                return false;
            };
            if pass.bad.is_empty() {
                break;
            }
            let since = *self.refuses_since.get_or_insert_with(Instant::now);
            if takes_others || since.elapsed() >= self.limits.refused_for_max {
                self.pass_over(spool, &pass);
                break;
            }
            if pass.has_taken {
                // It may have refused everything for a while, so those that it refused get one more chance.
                takes_others = true;
                parts = pass.bad.iter().map(|line| vec![*line]).collect();
                continue;
            }
            // More likely it is the destination than every single line.
            parts = self.sender.parts(&batch);
            self.counts.retried(1);
            self.say("log lines are all refused, trying again", &pass.reason);
            if self.stopping.is_cancelled() {
                return false;
            }
            pause = self.back_off(pause).await;
        }
        self.counts.done(bytes, batch.mended);
        self.remember(spool, chunk.end).await
    }

    /// Sends parts of a batch, the first one first. `None` when it was stopped.
    async fn send_all(&mut self, batch: &Batch, mut parts: Vec<Vec<u32>>) -> Option<Pass> {
        parts.reverse();
        let mut pass = Pass::default();
        while let Some(part) = parts.pop() {
            match self.until_answered(batch, &part).await {
                Ended::Taken(taken) => {
                    pass.has_taken = true;
                    self.refuses_since = None;
                    self.count(part.len() as u64, taken);
                }
                Ended::Refused(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second.to_vec(), first.to_vec()]);
                }
                Ended::Refused(reason) => {
                    pass.bad.extend(part);
                    pass.reason = reason;
                }
                Ended::Stopped => return None,
            }
        }
        Some(pass)
    }

    fn pass_over(&self, spool: &Spool, pass: &Pass) {
        let lines = pass.bad.len() as u64;
        self.counts.rejected(lines);
        tracing::error!(
            destination = self.counts.destination(),
            service = spool.service,
            lines,
            reason = pass.reason,
            "log lines are refused and passed over"
        );
    }

    async fn until_answered(&mut self, batch: &Batch, lines: &[u32]) -> Ended {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.sender.send(batch, lines).await {
                Ok(taken) => {
                    self.said_at = None;
                    return Ended::Taken(taken);
                }
                Err(SendError::Refused(reason)) => return Ended::Refused(reason),
                Err(SendError::Later(reason)) => {
                    self.counts.retried(1);
                    self.say("log lines cannot be delivered, trying again", &reason);
                }
            }
            if self.stopping.is_cancelled() {
                return Ended::Stopped;
            }
            pause = self.back_off(pause).await;
        }
    }

    fn count(&self, lines: u64, taken: Taken) {
        let Taken {
            rejected,
            duplicate,
        } = taken;
        self.counts.rejected(rejected);
        self.counts.duplicate(duplicate);
        self.counts
            .delivered(lines.saturating_sub(rejected + duplicate));
        if rejected > 0 {
            let destination = self.counts.destination();
            tracing::error!(
                destination,
                lines = rejected,
                "log lines are rejected as too old or too new"
            );
        }
    }

    /// Tries until the position is on disk: without it everything would be sent again after a kill. Whether it is.
    async fn remember(&mut self, spool: &Spool, position: Position) -> bool {
        let mut pause = PAUSE_FIRST;
        loop {
            let kept = self.positions.set(&spool.service, position);
            match kept.and_then(|()| spool.taken(self.index, position)) {
                Ok(()) => return true,
                Err(error) => {
                    self.spools.failed();
                    self.say("a position cannot be kept", &error.to_string());
                }
            }
            if self.stopping.is_cancelled() {
                return false;
            }
            pause = self.back_off(pause).await;
        }
    }

    /// The pause after the next failure. Destinations that come back are not met by all at once.
    async fn back_off(&self, pause: Duration) -> Duration {
        self.pause(pause.mul_f64(rand::random_range(0.5..1.0)))
            .await;
        (pause * 2).min(self.limits.pause_max)
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = time::sleep(pause) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Once in a while.
    fn say(&mut self, message: &str, reason: &str) {
        if self.said_at.is_none_or(|at| at.elapsed() > SAY_AGAIN_AFTER) {
            self.said_at = Some(Instant::now());
            tracing::warn!(destination = self.counts.destination(), reason, "{message}");
        }
    }
}

impl Sender {
    /// The lines of a batch by requests.
    fn parts(&self, batch: &Batch) -> Vec<Vec<u32>> {
        match self {
            Self::Loki(_) if batch.lines.is_empty() => Vec::new(),
            Self::Loki(_) => vec![(0..batch.lines.len() as u32).collect()],
            Self::CloudWatch(_) => cloudwatch::parts(batch),
        }
    }

    async fn send(&mut self, batch: &Batch, lines: &[u32]) -> Result<Taken, SendError> {
        match self {
            Self::Loki(loki) => loki.send(batch, lines).await.map(|()| Taken::default()),
            Self::CloudWatch(cloudwatch) => cloudwatch.send(batch, lines).await,
        }
    }
}

fn unix_ns(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
