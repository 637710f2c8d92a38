//! An Alertmanager surface of our own over a manager in a folder that goes with it, and the real one.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ::alertmanager::{
    config::Config,
    machine,
    manager::{Manager, system_clock},
};
use peers::{Peer, component, free_address};
use server::{Surface, alertmanager};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);
/// Nobody is told: what is asked for is the API.
pub(crate) const CONFIG: &str = "\
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 1s
  routes:
    - {receiver: team.a, matchers: [team=a]}
inhibit_rules:
  - {source_matchers: [severity=page], target_matchers: [severity=ticket], equal: [service]}
receivers: [{name: nobody}, {name: team.a}]
";

pub(crate) struct Ours {
    pub address: SocketAddr,
    surface: Option<Surface>,
    stop: CancellationToken,
    runtime: Runtime,
    _folder: TempDir,
}

pub(crate) struct Real {
    pub address: SocketAddr,
    _peer: Peer,
    _folder: TempDir,
}

impl Ours {
    pub(crate) fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let config = Config::parse(CONFIG, Path::new("")).unwrap();
        let runtime = Runtime::new().unwrap();
        let (stop, options) = (CancellationToken::new(), machine::Options::default());
        let (manager, _) =
            Manager::open(folder.path(), Arc::new(config), options, system_clock()).unwrap();
        let (running, token) = (manager.clone(), stop.clone());
        runtime.spawn(async move { running.run(token).await });
        let options = alertmanager::Options {
            reload: Some(Arc::new(|| Ok(()))),
        };
        let surface = runtime.block_on(Surface::bind(
            "the Alertmanager API",
            ([127, 0, 0, 1], 0).into(),
            alertmanager::router(manager, options),
            alertmanager::surface_options(None),
        ));
        let surface = surface.unwrap();
        Self {
            address: surface.address(),
            surface: Some(surface),
            stop,
            runtime,
            _folder: folder,
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(surface) = self.surface.take() {
            self.runtime.block_on(surface.stop());
        }
    }
}

impl Real {
    /// `None`, and said, if it is not at hand.
    pub(crate) fn start() -> Option<Self> {
        let program = component("alertmanager")?;
        let (folder, address) = (TempDir::new().unwrap(), free_address());
        let file = folder.path().join("alertmanager.yml");
        fs::write(&file, CONFIG).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let peer = Peer::start(command, &[address], PATIENCE).unwrap();
        Some(Self {
            address,
            _peer: peer,
            _folder: folder,
        })
    }
}
