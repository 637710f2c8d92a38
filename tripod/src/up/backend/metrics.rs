//! Metrics: scraping, rules, the Prometheus API; alerts: the Alertmanager and its API.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alertmanager::{config::Config, manager::Manager};
use anyhow::Context;
use prometheus::{Clock, Configuration, Drive, Prometheus};
use server::{Surface, virtual_clock::VirtualClock};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Settings;
use crate::up::deploy;

/// Everything of it that runs.
pub(super) struct Metrics {
    /// The control of a virtual clock.
    clock: Option<Surface>,
    prometheus_api: Surface,
    alertmanager_api: Surface,
    prometheus: Arc<Prometheus>,
    manager: Manager,
    alertmanager_stop: CancellationToken,
    alertmanager: JoinHandle<()>,
}

/// Reads the configuration of scraping, rules and alerts again.
#[derive(Clone)]
pub(in crate::up) struct Reloader {
    prometheus: Arc<Prometheus>,
    manager: Manager,
    deploy: Option<PathBuf>,
}

impl Reloader {
    /// What cannot be used changes nothing: each of the two goes on with what it had.
    pub(in crate::up) async fn reload(&self) {
        let prometheus = self.prometheus.reload().await.map_err(anyhow::Error::from);
        let (manager, deploy) = (self.manager.clone(), self.deploy.clone());
        let alertmanager = tokio::task::spawn_blocking(move || {
            let config = alertmanager_config(deploy.as_deref())?;
            manager.reload(Arc::new(config));
            anyhow::Ok(())
        });
        let alertmanager = alertmanager.await.expect("reading a file does not panic");
        for (part, outcome) in [("Prometheus", prometheus), ("Alertmanager", alertmanager)] {
            match outcome {
                Ok(()) => tracing::info!(part, "configuration is loaded"),
                Err(error) => {
                    tracing::error!(
                        part,
                        error = format!("{error:#}"),
                        "configuration is not loaded, the earlier one goes on"
                    );
                }
            }
        }
    }
}

impl Metrics {
    pub(super) async fn start(settings: &Settings<'_>) -> anyhow::Result<Self> {
        let virtual_clock = settings
            .is_virtual
            .then(|| VirtualClock::starting_at(now_ms()));
        let clock: Clock = match virtual_clock.clone() {
            Some(clock) => Arc::new(move || clock.now_ms()),
            None => Arc::new(now_ms),
        };
        let manager = open_alertmanager(settings, &clock)?;
        let alertmanager_stop = CancellationToken::new();
        let (running, stop) = (manager.clone(), alertmanager_stop.clone());
        let alertmanager = tokio::spawn(async move { running.run(stop).await });
        let prometheus = Prometheus::start(prometheus_options(settings, clock)).await?;
        Ok(Self {
            clock: match virtual_clock {
                Some(clock) => Some(serve_clock(clock, &prometheus, &manager).await?),
                None => None,
            },
            prometheus_api: serve_prometheus(settings, &prometheus).await?,
            alertmanager_api: serve_alertmanager(settings, &manager).await?,
            prometheus,
            manager,
            alertmanager_stop,
            alertmanager,
        })
    }

    pub(super) fn reloader(&self, deploy: Option<&Path>) -> Reloader {
        Reloader {
            prometheus: Arc::clone(&self.prometheus),
            manager: self.manager.clone(),
            deploy: deploy.map(Path::to_owned),
        }
    }

    /// Where a virtual clock is controlled.
    pub(super) fn clock(&self) -> Option<SocketAddr> {
        self.clock.as_ref().map(Surface::address)
    }

    /// Listeners first, the Alertmanager last: it is told of what is evaluated until the end.
    pub(super) async fn stop(self) {
        if let Some(clock) = self.clock {
            clock.stop().await;
        }
        self.prometheus_api.stop().await;
        self.prometheus.stop().await;
        self.alertmanager_api.stop().await;
        self.alertmanager_stop.cancel();
        // It ends by itself, and a panic of it has been said already.
        let _ = self.alertmanager.await;
    }
}

fn open_alertmanager(settings: &Settings<'_>, clock: &Clock) -> anyhow::Result<Manager> {
    let folder = settings.data.alerts();
    let config = alertmanager_config(settings.deploy)?;
    let options = alertmanager::machine::Options {
        external_url: format!("http://{}", settings.addresses.alertmanager),
        ..alertmanager::machine::Options::default()
    };
    let opened = Manager::open(&folder, Arc::new(config), options, Arc::clone(clock));
    let (manager, recovery) =
        opened.with_context(|| format!("alerts cannot be kept in {}", folder.display()))?;
    if recovery.lost_bytes > 0 {
        tracing::warn!(?recovery, "the journal of alerts was not closed well");
    }
    Ok(manager)
}

async fn serve_alertmanager(settings: &Settings<'_>, manager: &Manager) -> anyhow::Result<Surface> {
    let (again, deploy) = (manager.clone(), settings.deploy.map(Path::to_owned));
    let reload = move || {
        let config = alertmanager_config(deploy.as_deref());
        let config = config.map_err(|error| format!("{error:#}"))?;
        again.reload(Arc::new(config));
        Ok(())
    };
    let options = server::alertmanager::Options {
        reload: Some(Arc::new(reload)),
    };
    let routes = server::alertmanager::router(manager.clone(), options);
    let options = server::alertmanager::surface_options(None);
    let address = settings.addresses.alertmanager;
    Ok(Surface::bind("the Alertmanager API", address, routes, options).await?)
}

async fn serve_prometheus(
    settings: &Settings<'_>,
    prometheus: &Arc<Prometheus>,
) -> anyhow::Result<Surface> {
    let options = server::prometheus::Options::default();
    let routes = server::prometheus::router(Arc::clone(prometheus), options);
    let options = server::prometheus::surface_options(None);
    let address = settings.addresses.prometheus;
    Ok(Surface::bind("the Prometheus API", address, routes, options).await?)
}

async fn serve_clock(
    clock: VirtualClock,
    prometheus: &Arc<Prometheus>,
    manager: &Manager,
) -> anyhow::Result<Surface> {
    let routes = server::virtual_clock::router(clock, Arc::clone(prometheus), manager.clone());
    let any_port = (Ipv4Addr::LOCALHOST, 0).into();
    let options = server::Options::default();
    Ok(Surface::bind("the virtual clock", any_port, routes, options).await?)
}

fn alertmanager_config(deploy: Option<&Path>) -> anyhow::Result<Config> {
    match deploy {
        Some(folder) => {
            let path = folder.join(deploy::ALERTMANAGER_PATH);
            Config::read(&path)
                .with_context(|| format!("the Alertmanager cannot use {}", path.display()))
        }
        None => Config::parse(deploy::ALERTMANAGER, Path::new(""))
            .context("the Alertmanager cannot use its configuration"),
    }
}

fn prometheus_options(settings: &Settings<'_>, clock: Clock) -> prometheus::Options {
    let configuration = match settings.deploy {
        Some(folder) => Configuration::File(folder.join(deploy::PROMETHEUS_PATH)),
        None => Configuration::BuiltIn {
            path: PathBuf::from(deploy::PROMETHEUS_PATH),
            config: deploy::PROMETHEUS,
            rules: deploy::RULES
                .iter()
                .map(|(path, text)| (PathBuf::from(path), *text))
                .collect(),
        },
    };
    let addresses = *settings.addresses;
    let drive = match settings.is_virtual {
        true => Drive::Calls,
        false => Drive::Loops,
    };
    prometheus::Options {
        configuration,
        data: settings.data.metrics(),
        storage: prometheus::StorageOptions::default(),
        drive,
        clock,
        external_url: format!("http://{}", addresses.prometheus),
        moved: Arc::new(move |address| addresses.instead_of(address)),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
