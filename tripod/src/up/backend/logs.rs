//! Logs: the log store, the Loki API, and the shipper that brings the services' files to it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use conventions::resource::SERVICES;
use logs::Store;
use server::{Surface, loki};
use shipper::{Destination, Shipper};
use tokio::task::JoinHandle;

use super::Settings;

/// Time between two looks at what is too old.
const RETAIN_INTERVAL: Duration = Duration::from_secs(60);
/// How long the last lines may take to be delivered at the end; what is left then is delivered after the next start.
const SHIPPER_DEADLINE: Duration = Duration::from_secs(5);

/// Everything of it that runs.
pub(super) struct Logs {
    shipper: Shipper,
    loki: Surface,
    store: Arc<Store>,
    retention: JoinHandle<()>,
}

impl Logs {
    pub(super) async fn start(settings: &Settings<'_>) -> anyhow::Result<Self> {
        let store = Arc::new(open(&settings.data.log_store())?);
        let routes = loki::router(Arc::clone(&store), loki::Options::default());
        let options = loki::surface_options(None);
        let address = settings.addresses.loki;
        let loki = Surface::bind("the Loki API", address, routes, options).await?;
        let shipper = Shipper::start(shipper::Options {
            logs: settings.data.logs(),
            services: SERVICES
                .iter()
                .map(|service| (*service).to_owned())
                .collect(),
            state: settings.data.shipper(),
            env: settings.environment.clone(),
            destinations: vec![Destination::Loki {
                url: format!("http://{}", loki.address()),
            }],
        });
        Ok(Self {
            shipper: shipper.context("the log shipper does not start")?,
            loki,
            retention: tokio::spawn(retain(Arc::clone(&store))),
            store,
        })
    }

    /// The last lines first, then the listener, then the store.
    pub(super) async fn stop(self) {
        self.shipper.stop(SHIPPER_DEADLINE).await;
        self.loki.stop().await;
        self.retention.abort();
        let _ = self.retention.await;
        // The last owner closes it.
        let closed = tokio::task::spawn_blocking(|| drop(self.store));
        closed.await.expect("closing a store does not panic");
    }
}

fn open(folder: &Path) -> anyhow::Result<Store> {
    let opened = Store::open(folder, logs::Options::default());
    let (store, recovery) =
        opened.with_context(|| format!("the log store {} does not open", folder.display()))?;
    if recovery.torn_bytes > 0 || recovery.damaged_bytes > 0 || !recovery.damaged.is_empty() {
        tracing::warn!(?recovery, "the log store was not closed well");
    }
    Ok(store)
}

async fn retain(store: Arc<Store>) {
    loop {
        tokio::time::sleep(RETAIN_INTERVAL).await;
        let store = Arc::clone(&store);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let retained = tokio::task::spawn_blocking(move || store.retain(now_ns)).await;
        if let Ok(Err(error)) = retained {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "old log lines cannot be deleted"
            );
        }
    }
}
