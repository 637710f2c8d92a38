//! The real components: where each listens and keeps its data, how it is run, what says that it is ready.
//!
//! Pure, but for looking which programs are at hand: running them is [`super::running`], their files are
//! [`super::configuration`].

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::up::{Addresses, Data, Picker, deploy};

const FLUENT_BIT: &str = "fluent-bit";
/// As long as the embedded store keeps samples.
const RETENTION: &str = "35d";

/// Where everything of a stack is. Loopback only.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) addresses: Addresses,
    /// What only the components use.
    pub(super) inner: Inner,
    /// Rendered configuration, data and output of the components.
    pub(super) folder: PathBuf,
    /// Where the services' log files are.
    logs: PathBuf,
}

/// How log lines are shipped.
#[derive(Debug)]
pub(super) struct Shipping {
    /// Label `env`, and part of a group's name.
    pub(super) environment: String,
    /// Name of the streams in CloudWatch: who writes.
    pub(super) instance: String,
    pub(super) cloudwatch: CloudWatchEndpoint,
}

/// Which CloudWatch Logs lines go to; TLS in either case.
#[derive(Debug)]
pub(super) struct CloudWatchEndpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) ca_file: PathBuf,
    /// Credentials, where the environment has none that are meant for it.
    pub(super) environment: Vec<(String, String)>,
}

/// Surfaces that only components use among each other.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) collector_health: SocketAddr,
    pub(super) collector_metrics: SocketAddr,
    pub(super) tempo_otlp: SocketAddr,
    pub(super) tempo_grpc: SocketAddr,
    pub(super) tempo_memberlist: SocketAddr,
    pub(super) loki_grpc: SocketAddr,
    pub(super) fluent_bit: SocketAddr,
}

/// A component to run.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// Answers 200 when it is ready.
    pub(super) ready: String,
}

/// What is at hand and what is not.
#[derive(Debug)]
pub(super) struct Chosen {
    /// What receives comes before what sends to it.
    pub(super) components: Vec<Component>,
    pub(super) missing: Vec<Missing>,
}

/// A component that cannot be run, since its program is nowhere.
#[derive(Debug)]
pub(super) struct Missing {
    name: &'static str,
    page: &'static str,
}

/// How a component is run, whether or not it is at hand.
struct Plan {
    name: &'static str,
    /// Where one that `make stack` does not build comes from.
    page: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    ready: String,
}

impl Layout {
    /// # Errors
    /// A taken port, with its surface and the flag that avoids it.
    pub(super) fn plan(
        addresses: &Addresses,
        data: &Data,
        picker: &mut Picker,
    ) -> anyhow::Result<Self> {
        let mut address = |surface: &str, standard| picker.address(surface, standard);
        Ok(Self {
            addresses: *addresses,
            inner: Inner {
                collector_health: address("the collector's health", 13133)?,
                collector_metrics: address("the collector's metrics", 8888)?,
                tempo_otlp: address("Tempo's OTLP receiver", 14317)?,
                tempo_grpc: address("Tempo's gRPC", 9095)?,
                tempo_memberlist: address("Tempo's member list", 7946)?,
                loki_grpc: address("Loki's gRPC", 9096)?,
                fluent_bit: address("Fluent Bit's health", 2020)?,
            },
            folder: data.path().join("stack"),
            logs: data.logs(),
        })
    }

    /// Where the rendered configuration of a component is.
    pub(super) fn configuration(&self, path: &str) -> PathBuf {
        self.folder.join("configuration").join(path)
    }

    /// Where a component keeps its data.
    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.folder.join("data").join(name)
    }

    /// Where a component's output goes.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    fn plans(&self, shipping: &Shipping) -> Vec<Plan> {
        vec![
            self.tempo(),
            self.loki(),
            self.alertmanager(),
            self.prometheus(),
            self.collector(),
            self.fluent_bit(shipping),
        ]
    }

    fn tempo(&self) -> Plan {
        Plan {
            name: "tempo",
            page: "https://github.com/grafana/tempo/releases",
            arguments: vec![
                file("-config.file=", &self.configuration(deploy::TEMPO_PATH)),
                "-config.expand-env=true".to_owned(),
            ],
            environment: vec![
                port("TRIPOD_TEMPO_PORT", self.addresses.tempo),
                port("TRIPOD_TEMPO_GRPC_PORT", self.inner.tempo_grpc),
                port("TRIPOD_TEMPO_MEMBERLIST_PORT", self.inner.tempo_memberlist),
                variable("TRIPOD_TEMPO_OTLP", self.inner.tempo_otlp),
                self.data_variable("TRIPOD_TEMPO_DATA", "tempo"),
            ],
            ready: format!("http://{}/ready", self.addresses.tempo),
        }
    }

    fn loki(&self) -> Plan {
        Plan {
            name: "loki",
            page: "https://github.com/grafana/loki/releases",
            arguments: vec![
                file("-config.file=", &self.configuration(deploy::LOKI_PATH)),
                "-config.expand-env=true".to_owned(),
            ],
            environment: vec![
                port("TRIPOD_LOKI_PORT", self.addresses.loki),
                port("TRIPOD_LOKI_GRPC_PORT", self.inner.loki_grpc),
                self.data_variable("TRIPOD_LOKI_DATA", "loki"),
            ],
            ready: format!("http://{}/ready", self.addresses.loki),
        }
    }

    fn alertmanager(&self) -> Plan {
        let configuration = self.configuration(deploy::ALERTMANAGER_PATH);
        Plan {
            name: "alertmanager",
            page: "https://github.com/prometheus/alertmanager/releases",
            arguments: vec![
                file("--config.file=", &configuration),
                file("--storage.path=", &self.data("alertmanager")),
                format!("--web.listen-address={}", self.addresses.alertmanager),
                // Alone: without this it looks for others on a port of its own.
                "--cluster.listen-address=".to_owned(),
                "--log.level=warn".to_owned(),
            ],
            environment: Vec::new(),
            ready: format!("http://{}/-/ready", self.addresses.alertmanager),
        }
    }

    fn prometheus(&self) -> Plan {
        let configuration = self.configuration(deploy::PROMETHEUS_PATH);
        Plan {
            name: "prometheus",
            page: "https://github.com/prometheus/prometheus/releases",
            arguments: vec![
                file("--config.file=", &configuration),
                file("--storage.tsdb.path=", &self.data("prometheus")),
                format!("--storage.tsdb.retention.time={RETENTION}"),
                format!("--web.listen-address={}", self.addresses.prometheus),
                // Without it exemplars are read and thrown away.
                "--enable-feature=exemplar-storage".to_owned(),
                "--log.level=warn".to_owned(),
            ],
            environment: Vec::new(),
            ready: format!("http://{}/-/ready", self.addresses.prometheus),
        }
    }

    fn collector(&self) -> Plan {
        let configuration = self.configuration(deploy::COLLECTOR_PATH);
        let metrics = self.inner.collector_metrics;
        Plan {
            name: "otelcol",
            page: "https://github.com/open-telemetry/opentelemetry-collector-releases/releases",
            arguments: vec![file("--config=", &configuration)],
            environment: vec![
                variable("TRIPOD_COLLECTOR_GRPC", self.addresses.otlp_grpc),
                variable("TRIPOD_COLLECTOR_HTTP", self.addresses.otlp_http),
                variable("TRIPOD_COLLECTOR_HEALTH", self.inner.collector_health),
                port("TRIPOD_COLLECTOR_METRICS_PORT", metrics),
                variable("TRIPOD_TEMPO_OTLP", self.inner.tempo_otlp),
                self.data_variable("TRIPOD_COLLECTOR_DATA", "otelcol"),
            ],
            ready: format!("http://{}/", self.inner.collector_health),
        }
    }

    fn fluent_bit(&self, shipping: &Shipping) -> Plan {
        let CloudWatchEndpoint {
            host,
            port: cloudwatch_port,
            ca_file,
            environment,
        } = &shipping.cloudwatch;
        let health = self.inner.fluent_bit;
        let mut variables = vec![
            variable("TRIPOD_LOGS", self.logs.display()),
            self.data_variable("TRIPOD_FLUENT_BIT_DATA", FLUENT_BIT),
            variable("TRIPOD_ENV", &shipping.environment),
            variable("TRIPOD_INSTANCE", &shipping.instance),
            port("TRIPOD_FLUENT_BIT_HEALTH", health),
            variable("TRIPOD_LOKI_HOST", self.addresses.loki.ip()),
            port("TRIPOD_LOKI_PORT", self.addresses.loki),
            variable("TRIPOD_CLOUDWATCH_HOST", host),
            variable("TRIPOD_CLOUDWATCH_PORT", cloudwatch_port),
            variable("TRIPOD_CLOUDWATCH_CA", ca_file.display()),
        ];
        variables.extend(environment.iter().cloned());
        Plan {
            name: FLUENT_BIT,
            page: "https://docs.fluentbit.io/manual/installation/downloads",
            arguments: vec![file(
                "--config=",
                &self.configuration(deploy::FLUENT_BIT_PATH),
            )],
            environment: variables,
            ready: format!("http://{health}/api/v1/health"),
        }
    }

    fn data_variable(&self, name_of_variable: &str, name: &str) -> (String, String) {
        variable(name_of_variable, self.data(name).display())
    }
}

/// Looks for the program of each component.
pub(super) fn choose(layout: &Layout, shipping: &Shipping) -> Chosen {
    let (mut components, mut missing) = (Vec::new(), Vec::new());
    for plan in layout.plans(shipping) {
        match peers::find(plan.name) {
            Some(program) => components.push(Component {
                name: plan.name,
                program,
                arguments: plan.arguments,
                environment: plan.environment,
                ready: plan.ready,
            }),
            None => missing.push(Missing {
                name: plan.name,
                page: plan.page,
            }),
        }
    }
    Chosen {
        components,
        missing,
    }
}

impl Chosen {
    /// By name, for `run.json`.
    pub(super) fn ready_urls(&self) -> BTreeMap<String, String> {
        let components = self.components.iter();
        components
            .map(|component| (component.name.to_owned(), component.ready.clone()))
            .collect()
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "left out: {} is not at hand: `make stack`, or install it from {} and put it on PATH or into TRIPOD_STACK_BIN",
            self.name, self.page
        )
    }
}

fn file(flag: &str, path: &Path) -> String {
    format!("{flag}{}", path.display())
}

fn port(name: &str, address: SocketAddr) -> (String, String) {
    variable(name, address.port())
}

fn variable(name: &str, value: impl fmt::Display) -> (String, String) {
    (name.to_owned(), value.to_string())
}
