//! Storage in memory, and targets that answer over TCP whatever a test wants.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use scrape::{
    config::Config,
    manager::{Clock, Drive, Manager, TargetStatus},
    sink::{Batch, ExemplarOf, ExemplarOutcome, Outcome, Report, Sink, SinkError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tsdb::{Labels, is_stale};

use crate::recorder;

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
/// A request that does not end in this many bytes is none.
const HEAD_BYTES_MAX: usize = 16 << 10;

pub(crate) const TEXT: &str = "text/plain; version=0.0.4";
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Storage with the rules of Prometheus.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) series: Mutex<BTreeMap<Labels, Vec<(i64, f64)>>>,
    pub(crate) exemplars: Mutex<Vec<ExemplarOf<u64>>>,
}

impl Memory {
    /// All that `scrape_series_added` ever said, by job.
    pub(crate) fn series_added(&self) -> BTreeMap<String, f64> {
        let stored = self.series.lock().unwrap();
        let added = stored
            .iter()
            .filter(|(labels, _)| labels.get("__name__") == "scrape_series_added");
        added
            .map(|(labels, samples)| {
                let sum = samples.iter().map(|(_, value)| value).sum();
                (labels.get("job").to_owned(), sum)
            })
            .collect()
    }
}

impl Sink for Memory {
    type Series = u64;

    fn append(&self, batch: &Batch<u64>) -> Result<Report<u64>, SinkError> {
        let mut stored = self.series.lock().unwrap();
        let samples = batch.samples.iter().map(|sample| {
            let samples = stored.entry(sample.labels.clone()).or_default();
            let outcome = match samples.last() {
                Some((t_ms, _)) if sample.t_ms < *t_ms => Outcome::OutOfOrder,
                Some((t_ms, value))
                    if sample.t_ms == *t_ms && sample.value.to_bits() != value.to_bits() =>
                {
                    Outcome::Duplicate
                }
                _ => Outcome::Stored,
            };
            if outcome == Outcome::Stored {
                samples.push((sample.t_ms, sample.value));
            }
            (outcome, Some(1))
        });
        let samples = samples.collect();
        self.exemplars
            .lock()
            .unwrap()
            .extend(batch.exemplars.iter().cloned());
        Ok(Report {
            samples,
            exemplars: vec![ExemplarOutcome::Stored; batch.exemplars.len()],
        })
    }
}

impl Memory {
    /// Samples of all series of this name, a marker as `stale`, by the value of a label.
    pub(crate) fn of(&self, name: &str, label: &str) -> Vec<(String, Vec<String>)> {
        let stored = self.series.lock().unwrap();
        let own = stored
            .iter()
            .filter(|(labels, _)| labels.get("__name__") == name);
        own.map(|(labels, samples)| {
            let samples = samples.iter().map(|(t_ms, value)| {
                if is_stale(*value) {
                    format!("{t_ms}:stale")
                } else {
                    format!("{t_ms}:{value}")
                }
            });
            (labels.get(label).to_owned(), samples.collect())
        })
        .collect()
    }
}

/// A manager, its storage, and the clock of both.
pub(crate) struct World {
    pub(crate) manager: Arc<Manager<Memory>>,
    pub(crate) sink: Arc<Memory>,
    pub(crate) now_ms: Arc<AtomicI64>,
}

impl World {
    /// With a clock that stands still until told otherwise.
    pub(crate) async fn driven(yaml: &str) -> Self {
        let now_ms = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&now_ms);
        Self::new(
            yaml,
            Drive::Calls,
            now_ms,
            Arc::new(move || clock.load(Ordering::SeqCst)),
        )
        .await
    }

    pub(crate) async fn looping(yaml: &str) -> Self {
        let started = std::time::Instant::now();
        let clock = move || i64::try_from(started.elapsed().as_millis()).unwrap() + 1_000_000;
        Self::new(yaml, Drive::Loops, Arc::default(), Arc::new(clock)).await
    }

    async fn new(yaml: &str, drive: Drive, now_ms: Arc<AtomicI64>, clock: Clock) -> Self {
        install_cryptography();
        recorder::install();
        let sink = Arc::new(Memory::default());
        let manager = Manager::new(Arc::clone(&sink), clock, drive).unwrap();
        manager.apply(config(yaml)).await;
        Self {
            manager,
            sink,
            now_ms,
        }
    }

    pub(crate) async fn scrape(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
        self.manager.scrape_once(now_ms).await;
    }

    /// The one whose label `service` this is.
    pub(crate) fn target(&self, service: &str) -> TargetStatus {
        self.target_with("service", service)
    }

    pub(crate) fn target_with(&self, label: &str, value: &str) -> TargetStatus {
        let mut targets = self.manager.targets().active.into_iter();
        let found = targets.find(|status| status.target.labels.get(label) == value);
        found.unwrap_or_else(|| panic!("no target {value}"))
    }
}

pub(crate) fn config(yaml: &str) -> Config {
    Config::parse(Path::new("/tmp/prometheus.yml"), yaml).unwrap()
}

fn install_cryptography() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another test of the process may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Waits for a condition that other tasks bring about.
pub(crate) async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(POLL).await;
    }
}

/// A server that answers every request with what a function makes of its head.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

/// What a server does with a request.
pub(crate) enum Reply {
    /// These bytes; the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, and the end.
    BytesAndEnd(Vec<u8>),
    /// Nothing, for ever.
    Silence,
    /// These bytes, and then the same again and again, with a pause between them.
    Endless {
        head: Vec<u8>,
        chunk: Vec<u8>,
        pause: Duration,
    },
}

impl Server {
    pub(crate) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (
            Arc::clone(&server.requests),
            Arc::clone(&server.connections),
        );
        let reply = Arc::new(reply);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&reply), Arc::clone(&requests)));
            }
        });
        server
    }

    /// One that has one page, which may be changed.
    pub(crate) async fn page(body: &str) -> (Self, Arc<Mutex<String>>) {
        let body = Arc::new(Mutex::new(body.to_owned()));
        let shown = Arc::clone(&body);
        let server =
            Self::start(move |_| Reply::Bytes(ok(TEXT, shown.lock().unwrap().as_bytes()))).await;
        (server, body)
    }
}

async fn serve(
    mut stream: TcpStream,
    reply: Arc<impl Fn(&str) -> Reply>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        requests.lock().unwrap().push(head.clone());
        match reply(&head) {
            Reply::Bytes(bytes) if stream.write_all(&bytes).await.is_ok() => {}
            Reply::BytesAndEnd(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Bytes(_) => return,
            Reply::Silence => std::future::pending().await,
            Reply::Endless { head, chunk, pause } => {
                let mut written = stream.write_all(&head).await;
                while written.is_ok() {
                    sleep(pause).await;
                    written = stream.write_all(&chunk).await;
                }
                return;
            }
        }
    }
}

pub(crate) fn ok(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}
