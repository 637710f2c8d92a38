//! `/tail`: lines as they are stored, over a WebSocket, after those that were there before.
//!
//! One task reads what the store announces and one writes to the client. Between them is a bounded queue: a client that does
//! not keep up misses lines and is told which. Everything ends with the surface.

use std::{
    ops::{ControlFlow, Range},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use logql::{
    Direction, Engine, Entry, Expr, LogExpr, Scanned, Selection, Source, SourceError, Stream,
};
use logs::Push;
use serde_json::{Value, json};
use tokio::{
    sync::{
        Semaphore,
        broadcast::{self, error::RecvError},
        mpsc::{self, error::TrySendError},
    },
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tsdb::{Labels, Matcher};

use super::{Loki, Shared, answer, failure::Failure, params::Params};

/// Clients that tail at a time, as Loki's own limit.
const TAILS_MAX: usize = 10;
/// Messages that wait for a client.
const QUEUE_MESSAGES: usize = 16;
/// Announced pushes that go into one message.
const BATCH_PUSHES_MAX: usize = 256;
/// Missed lines that are named in a message; more are missed without a name.
const DROPPED_MAX: usize = 1_000;
/// `delay_for` in seconds.
const DELAY_MAX: i64 = 5;
/// A client that is gone without a word is noticed by its missing answers.
const PING: Duration = Duration::from_secs(1);
/// A client that takes nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Then the client has to come again.
const TAIL_TIMEOUT: Duration = Duration::from_secs(3_600);
/// What is shown of the time before, without a start.
const BEFORE_NS: i64 = 3_600_000_000_000;
/// Bytes that a client may send at a time: it has nothing to say.
const CLIENT_BYTES_MAX: usize = 4 << 10;

/// What all tails share.
pub(super) struct Tails {
    room: Arc<Semaphore>,
    /// Cancelled when the surface is gone.
    ended: CancellationToken,
    _end: DropGuard,
}

impl Tails {
    pub(super) fn new() -> Self {
        let ended = CancellationToken::new();
        Self {
            room: Arc::new(Semaphore::new(TAILS_MAX)),
            _end: ended.clone().drop_guard(),
            ended,
        }
    }
}

/// A line on its way.
struct Tailed {
    labels: Labels,
    t_ns: i64,
    line: Box<str>,
}

/// A line that a client missed.
struct Dropped {
    labels: Labels,
    t_ns: i64,
}

/// What the reading and the writing task share.
#[derive(Default)]
struct Missed(Mutex<Vec<Dropped>>);

/// What is asked for.
struct Asked {
    log: LogExpr,
    start_ns: i64,
    limit: usize,
    delay: Duration,
}

pub(super) async fn tail(
    State(loki): Shared,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    params: Params,
) -> Response {
    let expr = match logql::parse(params.query()) {
        Ok(expr) => expr,
        Err(error) => return Failure::from(error).into_response(),
    };
    let asked = match asked(&params, (loki.now_ns)()) {
        Ok(asked) => asked,
        Err(failure) => return failure.into_response(),
    };
    let Ok(upgrade) = upgrade else {
        return no_upgrade();
    };
    let upgrade = upgrade.max_message_size(CLIENT_BYTES_MAX);
    let (start_ns, limit, delay) = asked;
    let Expr::Log(log) = expr else {
        return upgrade.on_upgrade(|socket| refuse(socket, "only log selector is supported"));
    };
    let Ok(permit) = Arc::clone(&loki.tails.room).try_acquire_owned() else {
        return upgrade.on_upgrade(|socket| {
            refuse(
                socket,
                "max concurrent tail requests limit exceeded, count > limit (11 > 10)",
            )
        });
    };
    let asked = Asked {
        log,
        start_ns,
        limit,
        delay,
    };
    upgrade.on_upgrade(async move |socket| {
        serve(loki, asked, socket).await;
        drop(permit);
    })
}

/// `start`, `limit` and `delay_for`.
fn asked(params: &Params, now_ns: i64) -> Result<(i64, usize, Duration), Failure> {
    let limit = params.limit(usize::MAX)?;
    let start_ns = match params.time("start")? {
        Some(start_ns) => start_ns,
        None => now_ns.saturating_sub(BEFORE_NS),
    };
    let delay = match params.get("delay_for") {
        Some(text) => crate::go::atoi(text).map_err(Failure::bad_request)?,
        None => 0,
    };
    if delay > DELAY_MAX {
        return Err(Failure::bad_request("delay_for can't be greater than 5"));
    }
    let delay = Duration::from_secs(u64::try_from(delay).unwrap_or(0));
    Ok((start_ns, limit, delay))
}

fn no_upgrade() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::BAD_REQUEST, headers, "Bad Request\n").into_response()
}

async fn refuse(socket: WebSocket, reason: &'static str) {
    close(socket, close_code::ERROR, reason).await;
}

async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    };
    // A client that is gone needs no farewell.
    let _ = socket.send(Message::Close(Some(frame))).await;
}

/// The lines from before, and then those that come, until the client, the surface or the time ends.
async fn serve(loki: Arc<Loki>, asked: Asked, socket: WebSocket) {
    // Before the past is read, so that nothing falls between.
    let announced = loki.store.subscribe();
    let (engine, ended) = (loki.engine.clone(), loki.tails.ended.clone());
    let asked = Arc::new(asked);
    let past = match past(&loki, &asked).await {
        Ok(past) => past,
        Err(failure) => {
            tracing::warn!({ conventions::fields::ERROR } = ?failure, "lines of a tail cannot be read");
            return refuse(socket, "internal error").await;
        }
    };
    // Else this task would keep alive what it is to end with.
    drop(loki);
    let missed = Arc::new(Missed::default());
    let (sender, messages) = mpsc::channel(QUEUE_MESSAGES);
    let reading = Reading {
        engine,
        asked,
        announced,
        sender,
        missed: Arc::clone(&missed),
    };
    let reading = tokio::spawn(reading.run(past));
    write(socket, messages, &missed, ended).await;
    reading.abort();
}

/// The last lines since the start, oldest first.
async fn past(loki: &Arc<Loki>, asked: &Arc<Asked>) -> Result<Vec<Tailed>, Failure> {
    let (at, asked) = (Arc::clone(loki), Arc::clone(asked));
    let end_ns = (loki.now_ns)().saturating_add(1);
    let read = loki.queries.run(move || {
        let range_ns = asked.start_ns.min(end_ns)..end_ns;
        let limit = asked.limit.min(at.engine.options().entries_max);
        let found =
            at.engine
                .log_query(&*at.store, &asked.log, range_ns, Direction::Backward, limit)?;
        Ok::<_, Failure>(in_order(found.value))
    });
    read.await
}

/// From what the store announces to the queue of a client.
struct Reading {
    engine: Engine,
    asked: Arc<Asked>,
    announced: broadcast::Receiver<Arc<Push>>,
    sender: mpsc::Sender<Vec<Tailed>>,
    missed: Arc<Missed>,
}

impl Reading {
    async fn run(mut self, past: Vec<Tailed>) {
        // What was announced while the past was read may be part of it.
        let mut waiting = self.announced.len();
        let known: Vec<(i64, Box<str>)> = past
            .iter()
            .map(|tailed| (tailed.t_ns, tailed.line.clone()))
            .collect();
        self.hand_over(past);
        while let Some(pushes) = self.next().await {
            let taken = pushes.len();
            let Some(mut lines) = self.selected(pushes).await else {
                return;
            };
            if waiting > 0 {
                lines.retain(|tailed| {
                    let mut known = known.iter();
                    !known.any(|(t_ns, line)| *t_ns == tailed.t_ns && *line == tailed.line)
                });
                waiting = waiting.saturating_sub(taken);
            }
            self.hand_over(lines);
        }
    }

    /// One push, and those that came while it was delayed; `None` when the store is gone.
    async fn next(&mut self) -> Option<Vec<Arc<Push>>> {
        let first = loop {
            match self.announced.recv().await {
                Ok(push) => break push,
                Err(RecvError::Lagged(count)) => self.missed.unnamed(count),
                Err(RecvError::Closed) => return None,
            }
        };
        tokio::time::sleep(self.asked.delay).await;
        let mut pushes = vec![first];
        while pushes.len() < BATCH_PUSHES_MAX
            && let Ok(push) = self.announced.try_recv()
        {
            pushes.push(push);
        }
        Some(pushes)
    }

    /// The lines of pushes that the query selects; `None` at the end of the runtime.
    async fn selected(&self, mut pushes: Vec<Arc<Push>>) -> Option<Vec<Tailed>> {
        let matchers = self.asked.log.matchers();
        pushes.retain(|push| has(&push.labels, matchers));
        if pushes.is_empty() {
            return Some(Vec::new());
        }
        let (engine, asked) = (self.engine.clone(), Arc::clone(&self.asked));
        let selecting = spawn_blocking(move || {
            let pushed = Pushed(&pushes);
            let range_ns = asked.start_ns..i64::MAX;
            let limit = engine.options().entries_max;
            let found = engine.log_query(&pushed, &asked.log, range_ns, Direction::Forward, limit);
            // Nothing is read from a disk, and what takes too long is not shown.
            found.map_or(Vec::new(), |found| in_order(found.value))
        });
        selecting.await.ok()
    }

    fn hand_over(&self, lines: Vec<Tailed>) {
        if lines.is_empty() {
            return;
        }
        match self.sender.try_send(lines) {
            // A client that is gone misses nothing.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(lines)) => self.missed.add(lines),
        }
    }
}

impl Missed {
    fn add(&self, lines: Vec<Tailed>) {
        let mut missed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = DROPPED_MAX.saturating_sub(missed.len());
        missed.extend(lines.into_iter().take(room).map(|tailed| Dropped {
            labels: tailed.labels,
            t_ns: tailed.t_ns,
        }));
    }

    /// Pushes whose lines are not known.
    fn unnamed(&self, count: u64) {
        let count = usize::try_from(count)
            .unwrap_or(DROPPED_MAX)
            .min(DROPPED_MAX);
        let nameless = || Tailed {
            labels: Labels::default(),
            t_ns: 0,
            line: Box::default(),
        };
        self.add(std::iter::repeat_with(nameless).take(count).collect());
    }

    fn take(&self) -> Vec<Dropped> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes messages until the queue, the client, the surface or the time ends.
async fn write(
    mut socket: WebSocket,
    mut messages: mpsc::Receiver<Vec<Tailed>>,
    missed: &Missed,
    ended: CancellationToken,
) {
    let over = Instant::now() + TAIL_TIMEOUT;
    let mut pings = tokio::time::interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        let message = tokio::select! {
            lines = messages.recv() => match lines {
                Some(lines) => Message::Text(message(&lines, &missed.take()).into()),
                None => return close(socket, close_code::AWAY, "").await,
            },
            said = socket.recv() => match said {
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            _ = pings.tick() => Message::Ping(Vec::new().into()),
            () = ended.cancelled() => return close(socket, close_code::AWAY, "").await,
            () = tokio::time::sleep_until(over) => {
                return refuse(socket, "reached tail max duration limit").await;
            }
        };
        let sent = tokio::time::timeout(WRITE_TIMEOUT, socket.send(message));
        if !matches!(sent.await, Ok(Ok(()))) {
            return;
        }
    }
}

/// In Loki's shape: a stream for each line.
fn message(lines: &[Tailed], dropped: &[Dropped]) -> String {
    let streams: Vec<Value> = lines
        .iter()
        .map(|tailed| {
            json!({
                "stream": answer::map(&tailed.labels),
                "values": [[tailed.t_ns.to_string(), tailed.line]],
            })
        })
        .collect();
    let mut message = json!({"streams": streams});
    if !dropped.is_empty() {
        let dropped = dropped.iter().map(|dropped| {
            json!({"timestamp": dropped.t_ns.to_string(), "labels": answer::map(&dropped.labels)})
        });
        message["dropped_entries"] = dropped.collect();
    }
    message.to_string()
}

fn in_order(streams: Vec<Stream>) -> Vec<Tailed> {
    let mut lines: Vec<Tailed> = streams
        .into_iter()
        .flat_map(|stream| {
            let labels = stream.labels;
            stream.entries.into_iter().map(move |entry| Tailed {
                labels: labels.clone(),
                t_ns: entry.t_ns,
                line: entry.line,
            })
        })
        .collect();
    lines.sort_by_key(|tailed| tailed.t_ns);
    lines
}

fn has(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.holds(labels))
}

/// Pushes as the engine reads them.
struct Pushed<'p>(&'p [Arc<Push>]);

impl Source for Pushed<'_> {
    fn scan(
        &self,
        selection: &Selection<'_>,
        visit: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, SourceError> {
        let mut scanned = Scanned::default();
        for push in self
            .0
            .iter()
            .filter(|push| has(&push.labels, selection.matchers))
        {
            for entry in &push.entries {
                if !selection.range_ns.contains(&entry.t_ns) {
                    continue;
                }
                scanned.lines += 1;
                scanned.bytes += entry.line.len() as u64;
                let metadata = entry.metadata.iter();
                let metadata: Vec<(&str, &str)> =
                    metadata.map(|(name, value)| (&**name, &**value)).collect();
                let entry = Entry {
                    t_ns: entry.t_ns,
                    line: &entry.line,
                    metadata: &metadata,
                };
                if visit(&push.labels, entry).is_break() {
                    return Ok(scanned);
                }
            }
        }
        Ok(scanned)
    }

    fn streams(
        &self,
        matchers: &[Matcher],
        _range_ns: Range<i64>,
    ) -> Result<Vec<Labels>, SourceError> {
        let labels = self.0.iter().map(|push| &push.labels);
        Ok(labels
            .filter(|labels| has(labels, matchers))
            .cloned()
            .collect())
    }
}
