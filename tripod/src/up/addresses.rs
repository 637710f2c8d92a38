//! Which surface listens where: the standard ports, shifted or picked freely.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    str::FromStr,
};

use anyhow::{Context, bail};
use conventions::resource::{GATEWAY, TASK_SERVICE, WORKER};

/// Free ports are picked from here: below the range from which the kernel takes ports for outgoing connections, so
/// that none of those sits on a port between the moment it is picked and the moment it is used.
const AUTO_PORTS: std::ops::Range<u16> = 10_240..32_000;
/// Standard ports that the configuration of Prometheus names.
const GATEWAY_ADMIN: u16 = 9101;
const TASK_SERVICE_ADMIN: u16 = 9102;
const WORKER_ADMIN: u16 = 9103;
const TEMPO: u16 = 3200;
const ALERTMANAGER: u16 = 9093;
const PROMETHEUS: u16 = 9090;
const LOKI: u16 = 3100;

/// How ports are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    /// The standard ports plus this.
    Offset(u16),
    /// Any free ones.
    Auto,
}

/// The word behind `--ports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Auto;

/// Chooses addresses, each once.
#[derive(Debug)]
pub(crate) struct Picker {
    ports: Ports,
    picked: HashSet<u16>,
}

/// Where each surface listens; loopback only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) gateway: SocketAddr,
    pub(crate) task_service: SocketAddr,
    pub(crate) gateway_admin: SocketAddr,
    pub(crate) task_service_admin: SocketAddr,
    pub(crate) worker_admin: SocketAddr,
    pub(crate) aws: SocketAddr,
    pub(crate) aws_tls: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    pub(crate) tempo: SocketAddr,
    pub(crate) prometheus: SocketAddr,
    pub(crate) alertmanager: SocketAddr,
    pub(crate) loki: SocketAddr,
}

impl FromStr for Auto {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            Ok(Self)
        } else {
            Err("the only value is `auto`")
        }
    }
}

impl Picker {
    pub(crate) fn new(ports: Ports) -> Self {
        Self {
            ports,
            picked: HashSet::new(),
        }
    }

    /// An address for a surface that has this port by default. It is free now.
    ///
    /// # Errors
    /// A taken port, with its surface and the flag that avoids it.
    pub(crate) fn address(&mut self, surface: &str, standard: u16) -> anyhow::Result<SocketAddr> {
        match self.ports {
            Ports::Offset(offset) => shifted(surface, standard, offset),
            Ports::Auto => {
                free(&mut self.picked).with_context(|| format!("no free port for {surface}"))
            }
        }
    }
}

impl Addresses {
    /// Chooses a port for every surface and makes sure that each is free now.
    ///
    /// # Errors
    /// A taken port, with its surface and the flag that avoids it.
    pub(crate) fn plan(picker: &mut Picker) -> anyhow::Result<Self> {
        let (aws, aws_tls) = Self::plan_aws(picker)?;
        let mut address = |surface: &str, standard| picker.address(surface, standard);
        Ok(Self {
            gateway: address("the gateway API", 8080)?,
            task_service: address("the task-service", 8081)?,
            gateway_admin: address("the gateway's admin listener", GATEWAY_ADMIN)?,
            task_service_admin: address("the task-service's admin listener", TASK_SERVICE_ADMIN)?,
            worker_admin: address("the worker's admin listener", WORKER_ADMIN)?,
            aws,
            aws_tls,
            otlp_grpc: address("OTLP over gRPC", 4317)?,
            otlp_http: address("OTLP over HTTP", 4318)?,
            tempo: address("the Tempo API", TEMPO)?,
            prometheus: address("the Prometheus API", PROMETHEUS)?,
            alertmanager: address("the Alertmanager API", ALERTMANAGER)?,
            loki: address("the Loki API", LOKI)?,
        })
    }

    /// The same for the embedded AWS alone: over HTTP, and over TLS.
    ///
    /// # Errors
    /// As [`Addresses::plan`].
    pub(crate) fn plan_aws(picker: &mut Picker) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        Ok((
            picker.address("DynamoDB, SQS and CloudWatch Logs", 4566)?,
            picker.address("CloudWatch Logs over TLS", 4567)?,
        ))
    }

    /// The admin listeners, by service name.
    pub(crate) fn admin(&self) -> [(&'static str, SocketAddr); 3] {
        [
            (GATEWAY, self.gateway_admin),
            (TASK_SERVICE, self.task_service_admin),
            (WORKER, self.worker_admin),
        ]
    }

    /// Where a surface really is that a configuration file puts at its standard address.
    pub(crate) fn instead_of(&self, standard: &str) -> Option<String> {
        let standard: SocketAddr = standard.parse().ok()?;
        let mut named = self.named_in_files().into_iter();
        let (_, address) = named.find(|(named, _)| standard == *named)?;
        Some(address.to_string())
    }

    /// Addresses that configuration files name, and where these surfaces really are.
    pub(crate) fn named_in_files(&self) -> [(SocketAddr, SocketAddr); 7] {
        [
            (GATEWAY_ADMIN, self.gateway_admin),
            (TASK_SERVICE_ADMIN, self.task_service_admin),
            (WORKER_ADMIN, self.worker_admin),
            (TEMPO, self.tempo),
            (ALERTMANAGER, self.alertmanager),
            (PROMETHEUS, self.prometheus),
            (LOKI, self.loki),
        ]
        .map(|(port, address)| (loopback(port), address))
    }
}

fn shifted(surface: &str, standard: u16, offset: u16) -> anyhow::Result<SocketAddr> {
    let Some(port) = standard.checked_add(offset) else {
        bail!("--port-offset {offset} moves {surface} beyond port 65535");
    };
    let address = loopback(port);
    TcpListener::bind(address).with_context(|| {
        format!("port {port} of {surface} cannot be used; choose others with --port-offset N or --ports auto")
    })?;
    Ok(address)
}

/// A free port that was not picked before.
fn free(picked: &mut HashSet<u16>) -> Option<SocketAddr> {
    let span = AUTO_PORTS.end - AUTO_PORTS.start;
    let start = rand::random_range(0..span);
    (0..span)
        .map(|step| AUTO_PORTS.start + (start + step) % span)
        .find(|port| !picked.contains(port) && TcpListener::bind(loopback(*port)).is_ok())
        .map(|port| {
            picked.insert(port);
            loopback(port)
        })
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_surface_and_the_flag() {
        let holder = TcpListener::bind(loopback(0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = shifted("the gateway API", port, 0).unwrap_err().to_string();
        for part in [&port.to_string(), "the gateway API", "--port-offset"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_offset_beyond_the_last_port_is_refused() {
        assert!(
            shifted("the gateway API", 8080, u16::MAX)
                .unwrap_err()
                .to_string()
                .contains("65535")
        );
    }

    #[test]
    fn picked_ports_differ() {
        let planned = Addresses::plan(&mut Picker::new(Ports::Auto)).unwrap();
        let ports: HashSet<_> = planned
            .admin()
            .iter()
            .map(|(_, address)| address.port())
            .collect();
        assert_eq!(ports.len(), 3);
        assert_ne!(planned.gateway, planned.task_service);
    }
}
