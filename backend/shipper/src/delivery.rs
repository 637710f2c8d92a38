//! One destination: it takes the services in turn, sends what is there, and moves its position when that was taken.
//!
//! What cannot be taken now is tried again for ever, with growing pauses. What is refused for good is halved until the lines that
//! nobody takes are found; they are counted, said, and passed over.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use conventions::metrics as names;
use reqwest::Client;
use tokio::{task, time};
use tokio_util::sync::CancellationToken;

use crate::{
    Destination, Options,
    batch::{BATCH_BYTES_MAX, Batch},
    cloudwatch::CloudWatch,
    loki::Loki,
    own_metrics,
    positions::{Positions, PositionsError},
    spool::{Chunk, Position, Spool},
};

/// Between two looks at files that had nothing new.
const POLL: Duration = Duration::from_millis(100);
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Pauses between attempts.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A failure that goes on is said again after this.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{0}")]
    Later(String),
    #[error("{0}")]
    Refused(String),
    #[error("the group or the stream does not exist")]
    Missing,
    #[error("it exists already")]
    Exists,
}

/// Shared with whoever looks for new files while a destination is away.
pub(crate) type SharedSpool = Arc<Mutex<Spool>>;

pub(crate) struct Delivery {
    name: &'static str,
    sender: Sender,
    positions: Positions,
    services: Vec<(String, SharedSpool)>,
    said_at: Option<Instant>,
}

enum Sender {
    Loki(Loki),
    CloudWatch(CloudWatch),
}

impl Delivery {
    pub(crate) fn open(
        options: &Options,
        destination: &Destination,
        client: Client,
    ) -> Result<Self, PositionsError> {
        let (name, sender) = match destination {
            Destination::Loki { url } => {
                ("loki", Sender::Loki(Loki::new(client, url, &options.env)))
            }
            Destination::CloudWatch { url, stream } => (
                "cloudwatch",
                Sender::CloudWatch(CloudWatch::new(client, url, &options.env, stream)),
            ),
        };
        let positions = Positions::open(&options.state, name)?;
        let mut services = Vec::new();
        for service in &options.services {
            let path = options.logs.join(format!("{service}.log"));
            let spool = Spool::open(&path, positions.get(service));
            let spool = spool.map_err(|source| PositionsError::Io { path, source })?;
            services.push((service.clone(), Arc::new(Mutex::new(spool))));
        }
        Ok(Self {
            name,
            sender,
            positions,
            services,
            said_at: None,
        })
    }

    pub(crate) fn spools(&self) -> impl Iterator<Item = SharedSpool> {
        self.services.iter().map(|(_, spool)| Arc::clone(spool))
    }

    /// Until `stopping`; then once more through all services, as far as they have whole lines.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        loop {
            let is_last = stopping.is_cancelled();
            let mut had_any = false;
            for index in 0..self.services.len() {
                had_any |= self.service(index).await;
            }
            let lag = self
                .services
                .iter()
                .map(|(_, spool)| lock(spool).waiting())
                .sum();
            own_metrics::lag(self.name, lag);
            if !had_any {
                if is_last {
                    return;
                }
                tokio::select! {
                    () = time::sleep(POLL) => {}
                    () = stopping.cancelled() => {}
                }
            }
        }
    }

    /// Delivers one batch of a service. Whether there was one.
    async fn service(&mut self, index: usize) -> bool {
        let spool = &self.services[index].1;
        let chunk = task::block_in_place(|| lock(spool).read(BATCH_BYTES_MAX));
        let chunk = match chunk {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return false,
            Err(error) => {
                self.say("log files cannot be read", &error.to_string());
                return false;
            }
        };
        if chunk.lost > 0 {
            own_metrics::lost(self.name, chunk.lost);
            let bytes = chunk.lost;
            tracing::error!(
                destination = self.name,
                bytes,
                "log lines are lost: too many wait"
            );
        }
        self.deliver(index, &chunk).await;
        true
    }

    /// Does not return before everything of it was taken or given up.
    async fn deliver(&mut self, index: usize, chunk: &Chunk) {
        let batch = Batch::of(&chunk.bytes, now_ns());
        let service = self.services[index].0.clone();
        let mut parts = vec![batch.clone()];
        while let Some(part) = parts.pop() {
            if part.lines.is_empty() {
                continue;
            }
            let lines = part.lines.len() as u64;
            match self.until_answered(&service, &part).await {
                Ok(rejected) => {
                    own_metrics::lines(self.name, names::OUTCOME_DELIVERED, lines - rejected);
                    own_metrics::lines(self.name, names::OUTCOME_REJECTED, rejected);
                }
                Err(reason) => match part.split() {
                    // The first half goes first.
                    Some((first, second)) => parts.extend([second, first]),
                    None => {
                        own_metrics::lines(self.name, names::OUTCOME_REJECTED, 1);
                        tracing::error!(
                            destination = self.name,
                            service,
                            reason,
                            "a log line is refused and passed over"
                        );
                    }
                },
            }
        }
        own_metrics::delivered(self.name, chunk.bytes.len() as u64, batch.mended);
        self.remember(&service, chunk.end).await;
    }

    /// The number of lines that were rejected, or why all of them were refused.
    async fn until_answered(&mut self, service: &str, batch: &Batch) -> Result<u64, String> {
        let mut pause = PAUSE_FIRST;
        loop {
            let sent = time::timeout(REQUEST_TIMEOUT, self.sender.send(service, batch)).await;
            let reason = match sent {
                Ok(Ok(rejected)) => {
                    self.said_at = None;
                    return Ok(rejected);
                }
                Ok(Err(SendError::Refused(reason))) => return Err(reason),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {REQUEST_TIMEOUT:?}"),
            };
            own_metrics::retried(self.name);
            self.say("log lines cannot be delivered, trying again", &reason);
            // Destinations that come back are not met by all at once.
            time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Tries until the position is on disk: without it everything would be sent again after a kill.
    async fn remember(&mut self, service: &str, position: Position) {
        while let Err(error) = task::block_in_place(|| self.positions.set(service, position)) {
            let error = std::error::Error::source(&error).map(ToString::to_string);
            self.say("a position cannot be kept", &error.unwrap_or_default());
            time::sleep(PAUSE_MAX).await;
        }
    }

    /// Once in a while.
    fn say(&mut self, message: &str, reason: &str) {
        if self.said_at.is_none_or(|at| at.elapsed() > SAY_AGAIN_AFTER) {
            self.said_at = Some(Instant::now());
            tracing::warn!(destination = self.name, reason, "{message}");
        }
    }
}

impl Sender {
    async fn send(&self, service: &str, batch: &Batch) -> Result<u64, SendError> {
        match self {
            Self::Loki(loki) => loki.send(service, batch).await.map(|()| 0),
            Self::CloudWatch(cloudwatch) => cloudwatch.send(service, batch).await,
        }
    }
}

/// Without an answer it is tried again.
pub(crate) fn answered<T>(answer: Result<T, reqwest::Error>) -> Result<T, SendError> {
    answer.map_err(|error| {
        let source = std::error::Error::source(&error);
        SendError::Later(source.map_or(error.to_string(), |source| format!("{error}: {source}")))
    })
}

/// Looks for new files all the time: one that is rotated away is kept only if it was seen.
pub(crate) async fn keep_looking(spools: Vec<SharedSpool>) {
    loop {
        task::block_in_place(|| {
            for spool in &spools {
                // Whoever reads them says what is wrong.
                let _ = lock(spool).look();
            }
        });
        time::sleep(POLL).await;
    }
}

fn lock(spool: &Mutex<Spool>) -> MutexGuard<'_, Spool> {
    spool.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
