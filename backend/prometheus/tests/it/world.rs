//! A target and an Alertmanager of the test's own, and a Prometheus between them that does nothing by itself.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::header, routing::get, routing::post};
use prometheus::{Configuration, Drive, Options, Prometheus, StorageOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, time};

/// When the clock of the test begins.
pub(crate) const START_MS: i64 = 1_700_000_000_000;
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A target whose page the test writes.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) page: Arc<Mutex<String>>,
}

/// What was posted, alert by alert.
pub(crate) struct Alertmanager {
    pub(crate) address: SocketAddr,
    posted: Arc<Mutex<Vec<Value>>>,
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    now_ms: Arc<AtomicI64>,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let page = Arc::new(Mutex::new(String::from("# EOF\n")));
        let shown = Arc::clone(&page);
        let content = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let show = move || {
            let page = shown.lock().unwrap().clone();
            async move { ([(header::CONTENT_TYPE, content)], page) }
        };
        let address = serve(Router::new().route("/metrics", get(show))).await;
        Self { address, page }
    }

    pub(crate) fn show(&self, page: &str) {
        *self.page.lock().unwrap() = format!("{page}\n# EOF\n");
    }
}

impl Alertmanager {
    pub(crate) async fn start() -> Self {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&posted);
        let take = move |body: axum::body::Bytes| {
            let alerts: Vec<Value> = serde_json::from_slice(&body).unwrap();
            taken.lock().unwrap().extend(alerts);
            async {}
        };
        let address = serve(Router::new().route("/api/v2/alerts", post(take))).await;
        Self { address, posted }
    }

    /// Waits until as many alerts came; all that came.
    pub(crate) async fn wait_for(&self, number: usize) -> Vec<Value> {
        let deadline = time::Instant::now() + PATIENCE;
        loop {
            let posted = self.posted.lock().unwrap().clone();
            if posted.len() >= number {
                return posted;
            }
            assert!(time::Instant::now() < deadline, "only {posted:?} came");
            time::sleep(POLL).await;
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        Self {
            folder: TempDir::new().unwrap(),
            now_ms: Arc::new(AtomicI64::new(START_MS)),
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// With the file `prometheus.yml` of the folder.
    pub(crate) async fn start(&self) -> Arc<Prometheus> {
        self.try_start().await.unwrap()
    }

    pub(crate) async fn try_start(&self) -> Result<Arc<Prometheus>, prometheus::StartError> {
        let clock = Arc::clone(&self.now_ms);
        Prometheus::start(Options {
            configuration: Configuration::File(self.path("prometheus.yml")),
            data: self.path("data"),
            storage: StorageOptions::default(),
            drive: Drive::Calls,
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            external_url: "http://prometheus.test".into(),
            moved: Arc::new(|_| None),
        })
        .await
    }

    /// Scrapes and evaluates every 15 s from `from_s` to `to_s` after the start, both included.
    pub(crate) async fn run(&self, prometheus: &Arc<Prometheus>, from_s: i64, to_s: i64) {
        for at_s in (from_s..=to_s).step_by(15) {
            let now_ms = START_MS + at_s * 1_000;
            self.now_ms.store(now_ms, Ordering::SeqCst);
            prometheus.scrape_once(now_ms).await;
            prometheus.evaluate(now_ms).await;
        }
    }
}

/// The value of an expression that gives one, `at_s` after the start.
pub(crate) fn value(prometheus: &Prometheus, expr: &str, at_s: i64) -> Option<f64> {
    let expr = promql::parse(expr).unwrap();
    let answer = prometheus
        .engine()
        .instant(&**prometheus.store(), &expr, START_MS + at_s * 1_000)
        .unwrap();
    match answer.value {
        promql::Value::Vector(series) => series.first().map(|(_, sample)| sample.value),
        other => panic!("{other:?} is no vector"),
    }
}

/// A configuration with one target and one Alertmanager.
pub(crate) fn config(target: SocketAddr, alertmanager: SocketAddr, rules: &Path) -> String {
    format!(
        "global: {{scrape_interval: 15s, evaluation_interval: 15s, external_labels: {{cluster: test, severity: none}}}}\n\
         rule_files: ['{}']\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n\
         scrape_configs:\n\
         - {{job_name: shop, static_configs: [{{targets: ['{target}'], labels: {{service: shop}}}}]}}\n",
        rules.display()
    )
}

async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}
