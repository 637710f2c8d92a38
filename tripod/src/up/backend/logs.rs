//! Logs: the log store, the Loki API, CloudWatch Logs, and the shipper that brings the services' files to both.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use aws_local::Further;
use conventions::resource::SERVICES;
use runtime::SignalFault;
use server::{Surface, loki};
use shipper::{Destination, Shipper};

use super::Settings;
use crate::up::{
    cloudwatch::{CloudWatch, machine},
    log_store::LogStore,
};

/// Nobody listens there: the discard port.
const DEAD_URL: &str = "http://127.0.0.1:9";
/// How long the last lines may take to be delivered at the end; what is left then is delivered after the next start.
const SHIPPER_DEADLINE: Duration = Duration::from_secs(5);

/// Everything of it that runs.
pub(super) struct Logs {
    shipper: Shipper,
    loki: Surface,
    store: LogStore,
    cloudwatch: CloudWatch,
}

impl Logs {
    pub(super) async fn start(settings: &Settings<'_>) -> anyhow::Result<Self> {
        let store = LogStore::open(&settings.data.log_store(), logs::Options::default())?;
        let routes = loki::router(store.store(), loki::Options::default());
        let options = loki::surface_options(None);
        let address = settings.addresses.loki;
        let loki = Surface::bind("the Loki API", address, routes, options).await?;
        let aws_tls = settings.addresses.aws_tls;
        let cloudwatch = CloudWatch::start(aws_tls, settings.data).await?;
        let loki_url = match settings.faults.contains(&SignalFault::DeadLoki) {
            true => DEAD_URL.to_owned(),
            false => format!("http://{}", loki.address()),
        };
        let shipper = Shipper::start(shipper::Options {
            logs: settings.data.logs(),
            services: SERVICES
                .iter()
                .map(|service| (*service).to_owned())
                .collect(),
            state: settings.data.shipper(),
            env: settings.environment.clone(),
            destinations: vec![
                Destination::Loki { url: loki_url },
                Destination::CloudWatch {
                    url: format!("https://{aws_tls}"),
                    stream: machine(),
                    retention_days: None,
                    ca_file: Some(cloudwatch.ca_file()),
                    signer: None,
                },
            ],
        });
        Ok(Self {
            shipper: shipper.context("the log shipper does not start")?,
            loki,
            store,
            cloudwatch,
        })
    }

    /// What the AWS endpoint hands over.
    pub(super) fn further(&self) -> Further {
        self.cloudwatch.further()
    }

    /// The certificate that clients of CloudWatch Logs over TLS are to trust.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.cloudwatch.ca_file()
    }

    /// The last lines first, then the listeners, then the stores.
    pub(super) async fn stop(self) {
        self.shipper.stop(SHIPPER_DEADLINE).await;
        self.loki.stop().await;
        self.store.close().await;
        self.cloudwatch.stop().await;
    }
}
