//! A Prometheus of our own with its surface, and a target for it, in a folder that goes with them.

use std::{
    net::SocketAddr,
    sync::{Arc, Once},
    time::{SystemTime, UNIX_EPOCH},
};

use ::prometheus::{Configuration, Drive, Prometheus, StorageOptions};
use axum::{Router, http::header, routing::get};
use server::{Surface, prometheus};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use super::write_request::{TimeSeries, body};
use crate::client::{Answer, Client};

pub(super) const WRITE_HEADERS: [(&str, &str); 2] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
];

pub(super) struct Ours {
    pub(super) address: SocketAddr,
    pub(super) prometheus: Arc<Prometheus>,
    pub(super) runtime: Runtime,
    surface: Option<Surface>,
    _folder: TempDir,
}

impl Ours {
    /// With a clock that stands still; nothing happens by itself.
    pub(super) fn still(configuration: Configuration, now_ms: i64) -> Self {
        let options = prometheus::Options::default();
        Self::start(configuration, options, Drive::Calls, move || now_ms)
    }

    /// Scraping and evaluating by itself.
    pub(super) fn running(configuration: Configuration) -> Self {
        let options = prometheus::Options {
            is_lifecycle_enabled: true,
            ..prometheus::Options::default()
        };
        Self::start(configuration, options, Drive::Loops, system_ms)
    }

    pub(super) fn start(
        configuration: Configuration,
        options: prometheus::Options,
        drive: Drive,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let folder = TempDir::new().unwrap();
        let runtime = Runtime::new().unwrap();
        let started = runtime.block_on(Prometheus::start(::prometheus::Options {
            configuration,
            data: folder.path().join("data"),
            storage: StorageOptions::default(),
            drive,
            clock: Arc::new(clock),
            external_url: "http://prometheus.test".to_owned(),
            moved: Arc::new(|_| None),
        }));
        let prometheus = started.unwrap();
        let routes = prometheus::router(Arc::clone(&prometheus), options);
        let surface = runtime.block_on(Surface::bind(
            "the Prometheus API",
            ([127, 0, 0, 1], 0).into(),
            routes,
            prometheus::surface_options(None),
        ));
        let surface = surface.unwrap();
        Self {
            address: surface.address(),
            prometheus,
            runtime,
            surface: Some(surface),
            _folder: folder,
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            if let Some(surface) = self.surface.take() {
                surface.stop().await;
            }
            self.prometheus.stop().await;
        });
    }
}

/// What is scraped: always the same page.
pub(super) fn target(runtime: &Runtime, page: &str) -> SocketAddr {
    let page = page.to_owned();
    let show = move || {
        let page = page.clone();
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        async move { ([(header::CONTENT_TYPE, kind)], page) }
    };
    let routes = Router::new().route("/metrics", get(show));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, routes).await });
    address
}

pub(super) fn write(client: &mut Client, series: &[TimeSeries]) -> Answer {
    client.ask("POST", "/api/v1/write", &WRITE_HEADERS, &body(series))
}

pub(super) fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
