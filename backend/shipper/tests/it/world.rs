//! Log files as the supervisor writes them, and a shipper for them.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Once},
    time::{Duration, Instant, SystemTime},
};

use shipper::{Destination, Limits, Options, Shipper, Stats};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::sink::Sink;

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const SERVICES: [&str; 2] = ["gateway", "worker"];
/// Rotated files that the supervisor keeps.
const FILES_MAX: u32 = 4;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) loki: Sink,
    pub(crate) cloudwatch: Sink,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = runtime();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        Self {
            loki: runtime.block_on(Sink::start()),
            cloudwatch: runtime.block_on(Sink::start()),
            folder,
            runtime,
        }
    }

    pub(crate) fn start(&self) -> Shipper {
        self.start_with(Limits::default())
    }

    pub(crate) fn start_with(&self, limits: Limits) -> Shipper {
        let destinations = destinations(&self.loki.url(), &self.cloudwatch.url());
        let options = options(self.folder.path(), destinations);
        Shipper::start_with(options, limits, Arc::new(SystemTime::now)).unwrap()
    }

    pub(crate) fn stop(&self, shipper: Shipper) -> Vec<Stats> {
        self.runtime.block_on(shipper.stop(PATIENCE))
    }

    pub(crate) fn append(&self, service: &str, text: impl AsRef<[u8]>) {
        append(self.folder.path(), service, text.as_ref());
    }
}

pub(crate) fn runtime() -> Runtime {
    install_tls();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn install_tls() {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

pub(crate) fn destinations(loki: &str, cloudwatch: &str) -> Vec<Destination> {
    vec![
        Destination::Loki {
            url: loki.to_owned(),
        },
        Destination::CloudWatch {
            url: cloudwatch.to_owned(),
            stream: "one".to_owned(),
            retention_days: Some(30),
            ca_file: None,
            signer: None,
        },
    ]
}

pub(crate) fn options(folder: &Path, destinations: Vec<Destination>) -> Options {
    Options {
        logs: folder.join("logs"),
        services: SERVICES.map(str::to_owned).into(),
        state: folder.join("shipper"),
        env: "test".to_owned(),
        destinations,
    }
}

pub(crate) fn append(folder: &Path, service: &str, text: &[u8]) {
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .append(true)
        .open(log(folder, service, 0));
    file.unwrap().write_all(text).unwrap();
}

/// Renames as the supervisor does, and deletes the oldest.
pub(crate) fn rotate(folder: &Path, service: &str) {
    for number in (0..FILES_MAX).rev() {
        let (from, to) = (
            log(folder, service, number),
            log(folder, service, number + 1),
        );
        let _ = fs::rename(from, to);
    }
}

pub(crate) fn log(folder: &Path, service: &str, number: u32) -> PathBuf {
    folder.join("logs").join(match number {
        0 => format!("{service}.log"),
        _ => format!("{service}.log.{number}"),
    })
}

/// One line as a service writes it, different for each number.
pub(crate) fn line(service: &str, number: usize) -> String {
    let level = ["INFO", "ERROR"][number % 2];
    format!(
        "{{\"trace_id\":\"{number:032x}\",\"span_id\":\"{number:016x}\",\"service\":\"{service}\",\
         \"timestamp\":\"2026-11-23T19:{:02}:{:02}.{:06}Z\",\"level\":\"{level}\",\"fields\":{{\"message\":\"line {number}\"}},\
         \"target\":\"{service}::http\",\"span\":{{\"name\":\"GET /v1/tasks\",\"http.route\":\"/v1/tasks\",\"task\":\"é\"}}}}",
        number / 60_000 % 60,
        number / 1_000 % 60,
        number % 1_000 * 1_000
    )
}

/// Lines with their line breaks.
pub(crate) fn lines(service: &str, numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| line(service, number) + "\n").collect()
}

pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
