//! Traces: OTLP in, tail sampling, the trace store, the Tempo API.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use bytes::Bytes;
use collector::{Collector, Config, Export, ExportError};
use otlp::Receiver;
use server::{MetricsPage, RenderMetrics, Surface, tempo};
use telemetry::MetricsHandle;
use tokio::task::JoinHandle;
use traces::Store;

use super::Settings;
use crate::up::deploy;

/// Bytes of one OTLP request, as the same file says to the real Collector.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// Time between two looks at what is too old.
const RETAIN_INTERVAL: Duration = Duration::from_secs(60);
/// How long decided spans may take to be stored at the end.
const COLLECTOR_DEADLINE: Duration = Duration::from_secs(10);

/// Everything of it that runs.
pub(super) struct Traces {
    tempo: Surface,
    receiver: Receiver,
    collector: Collector,
    store: Arc<Store>,
    retention: JoinHandle<()>,
}

impl Traces {
    pub(super) async fn start(settings: &Settings<'_>) -> anyhow::Result<Self> {
        let config = collector_config(settings.deploy)?;
        let folder = settings.data.traces();
        let opened = Store::open(&folder, traces::Options::default());
        let (store, recovery) = opened
            .with_context(|| format!("the trace store {} does not open", folder.display()))?;
        say(&recovery);
        let store = Arc::new(store);
        let export = Arc::new(ToStore(Arc::clone(&store)));
        let options = collector::Options::default();
        let collector = Collector::start(config, options, collector::monotonic(), export)
            .context("the collector does not start")?;
        let options = otlp::Options {
            grpc: settings.addresses.otlp_grpc,
            http: settings.addresses.otlp_http,
            grpc_request_bytes_max: REQUEST_BYTES_MAX,
            http_request_bytes_max: REQUEST_BYTES_MAX,
            ..otlp::Options::default()
        };
        let receiver = Receiver::bind(options, Arc::new(collector.handle()), None).await?;
        let routes = tempo::router(Arc::clone(&store), tempo::Options::default());
        let surface = tempo::surface_options(Some(render(settings.metrics.clone())));
        let tempo =
            Surface::bind("the Tempo API", settings.addresses.tempo, routes, surface).await?;
        let retention = tokio::spawn(retain(Arc::clone(&store)));
        Ok(Self {
            tempo,
            receiver,
            collector,
            store,
            retention,
        })
    }

    /// Takes no more spans, decides and stores what was taken. What became of all of them.
    pub(super) async fn stop(self) -> collector::Report {
        self.receiver.stop().await;
        self.tempo.stop().await;
        self.retention.abort();
        let _ = self.retention.await;
        let stopped = tokio::task::spawn_blocking(|| {
            let report = self.collector.stop(COLLECTOR_DEADLINE);
            // The last owner closes it; a query that is still under way would be another one.
            drop(self.store);
            report
        });
        stopped.await.expect("stopping does not panic")
    }
}

fn collector_config(deploy: Option<&Path>) -> anyhow::Result<Config> {
    let env = |name: &str| std::env::var(name).ok();
    match deploy {
        Some(folder) => {
            let path = folder.join(deploy::COLLECTOR_PATH);
            Config::read(&path, &env)
                .with_context(|| format!("the collector cannot use {}", path.display()))
        }
        None => Config::parse(deploy::COLLECTOR, &env)
            .context("the collector cannot use its configuration"),
    }
}

/// What a crash left, once.
fn say(recovery: &traces::Recovery) {
    if recovery.is_clean() {
        return;
    }
    tracing::warn!(?recovery, "the trace store was not closed well");
}

fn render(metrics: MetricsHandle) -> RenderMetrics {
    Arc::new(move |accepted| {
        let page = metrics.render(accepted);
        MetricsPage {
            content_type: page.content_type,
            body: Bytes::from(page.body),
        }
    })
}

/// Kept spans go straight into the store of this process.
struct ToStore(Arc<Store>);

impl Export for ToStore {
    fn export(&self, request: Bytes, _spans: u64) -> Result<(), ExportError> {
        match self.0.ingest(&request, now_ns()) {
            Ok(_) => Ok(()),
            Err(error @ traces::Error::Malformed(_)) => Err(ExportError::Refused(error.into())),
            Err(error) => Err(ExportError::Unavailable(error.into())),
        }
    }
}

async fn retain(store: Arc<Store>) {
    loop {
        tokio::time::sleep(RETAIN_INTERVAL).await;
        let store = Arc::clone(&store);
        let retained = tokio::task::spawn_blocking(move || store.retain(now_ns())).await;
        if let Ok(Err(error)) = retained {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "old traces cannot be deleted"
            );
        }
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
