//! The embedded backend, where all signals go.
//!
//! Only wiring: each part is a crate of its own. Parts are started from the stores outwards and stopped from the listeners
//! inwards, so that what was accepted is stored.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use aws_local::Further;
use runtime::SignalFault;
use telemetry::MetricsHandle;

use super::{addresses::Addresses, data::Data};
use logs::Logs;
use metrics::Metrics;
use traces::Traces;

pub(super) use metrics::Reloader;

mod logs;
mod metrics;
mod traces;

/// Everything of it that runs.
pub(super) struct Backend {
    traces: Traces,
    metrics: Metrics,
    logs: Logs,
}

/// What a backend needs to know.
pub(super) struct Settings<'s> {
    pub(super) addresses: &'s Addresses,
    pub(super) data: &'s Data,
    /// A folder like `deploy/`, instead of the one this binary was built with.
    pub(super) deploy: Option<&'s Path>,
    /// What log streams are labelled with.
    pub(super) environment: String,
    /// What is wrong with its signals on purpose.
    pub(super) faults: Vec<SignalFault>,
    /// Whether samples and alerts are on a clock that stands still until it is told.
    pub(super) is_virtual: bool,
    /// The metrics of this process.
    pub(super) metrics: MetricsHandle,
}

impl Backend {
    pub(super) async fn start(settings: Settings<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            traces: Traces::start(&settings).await?,
            metrics: Metrics::start(&settings).await?,
            logs: Logs::start(&settings).await?,
        })
    }

    /// Where a virtual clock is controlled.
    pub(super) fn clock(&self) -> Option<SocketAddr> {
        self.metrics.clock()
    }

    /// What the AWS endpoint hands over.
    pub(super) fn further(&self) -> Further {
        self.logs.further()
    }

    /// The certificate that clients of CloudWatch Logs over TLS are to trust.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.logs.ca_file()
    }

    /// What SIGHUP reloads; `deploy` as it was at the start.
    pub(super) fn reloader(&self, deploy: Option<&Path>) -> Reloader {
        self.metrics.reloader(deploy)
    }

    /// Takes no more signals, decides and stores what was taken. What became of the spans.
    pub(super) async fn stop(self) -> collector::Report {
        self.metrics.stop().await;
        let report = self.traces.stop().await;
        self.logs.stop().await;
        report
    }
}
