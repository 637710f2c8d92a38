//! `tripod up`: the supervisor. Embedded DynamoDB, SQS and the telemetry backend in this process, gateway, task-service and
//! worker as children.
//!
//! Order matters both ways: backend and storage first and traffic last at the start, the gateway first and the backend last
//! at the end.

use std::{
    fs::{File, OpenOptions},
    io,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use aws_local::{AwsLocal, Further};
use conventions::resource::{BACKEND, GATEWAY, TASK_SERVICE, WORKER};
use runtime::SignalFault;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use addresses::Auto;
use backend::{Backend, Reloader};
use data::Keys;

pub(crate) use addresses::{Addresses, Picker, Ports, loopback};
pub(crate) use child::{Child, Program, Spec};
pub(crate) use cloudwatch::{CloudWatch, machine};
pub(crate) use data::{Data, is_tripod};
pub(crate) use log_file::LogFile;
pub(crate) use run_file::{NAME as RUN_FILE, Run, RunFile};

use crate::print;

mod addresses;
mod backend;
mod child;
mod cloudwatch;
mod data;
pub(crate) mod deploy;
mod log_file;
mod log_store;
mod run_file;
mod table;
mod traffic;

/// Folder of a system that is told no other one.
pub(crate) const DATA_DEFAULT: &str = ".tripod";
/// How long all processes may take to become ready.
const READY_DEADLINE: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(10);
/// How long the supervisor's own spans and log lines may take to leave.
pub(crate) const TELEMETRY_DEADLINE: Duration = Duration::from_secs(5);
/// Exit code of a process that was interrupted twice (128 + SIGINT).
const EXIT_INTERRUPTED: i32 = 130;
/// Whoever sets one of these sends spans elsewhere.
const OTLP_VARIABLES: [&str; 2] = [OTLP_ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Region of the embedded AWS; any would do.
pub(crate) const REGION: &str = "us-east-1";
/// Requests per second nobody can mean.
const TRAFFIC_MAX: f64 = 1_000.0;

/// Where something keeps its data and listens.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Folder for everything that stays: tables, logs, keys
    #[arg(
        long,
        value_name = "DIR",
        default_value = DATA_DEFAULT,
        conflicts_with = "ephemeral"
    )]
    data: PathBuf,
    /// Keep nothing: a temporary folder, removed at the end
    #[arg(long)]
    ephemeral: bool,
    /// `auto` takes free ports instead of the standard ones
    #[arg(long, value_name = "auto", conflicts_with = "port_offset")]
    ports: Option<Auto>,
    /// Shift every port by this
    #[arg(long, value_name = "N", default_value_t = 0)]
    port_offset: u16,
}

/// Flags of every system, whatever its backend.
#[derive(Debug, clap::Args)]
pub(crate) struct SystemOptions {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Synthetic requests per second; 0 for none
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = parse_traffic)]
    traffic: f64,
    /// Folder with the configuration of the real components, read instead of the built-in one
    #[arg(long, value_name = "DIR")]
    pub(crate) deploy: Option<PathBuf>,
    /// Divide every interval, window and wait of scrapes, rules and alerts by this, to see an hour in a minute
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) compress: u32,
    /// Let the processes take faults on their admin listeners
    #[arg(long)]
    allow_faults: bool,
}

/// Flags of `tripod up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    system: SystemOptions,
    /// `virtual`: scrape and evaluate only when told over HTTP, at simulated instants
    #[arg(long, value_name = "real|virtual", value_enum, default_value_t = Clock::Real)]
    clock: Clock,
}

impl Options {
    /// The folder that the backend is to read instead of what is built in.
    fn deploy(&self, data: &Data) -> anyhow::Result<Option<PathBuf>> {
        let system = &self.system;
        if self.clock == Clock::Virtual && system.compress != 1 {
            bail!("a virtual clock takes no time that --compress could divide");
        }
        deploy::folder(system.deploy.as_deref(), system.compress, data.path())
    }
}

impl Place {
    pub(crate) fn open_data(&self) -> anyhow::Result<Data> {
        Data::open((!self.ephemeral).then_some(self.data.as_path()))
    }

    pub(crate) fn ports(&self) -> Ports {
        match self.ports {
            Some(Auto) => Ports::Auto,
            None => Ports::Offset(self.port_offset),
        }
    }
}

/// What scraping, rules and alerts run on. Requests, spans and log lines always have real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Clock {
    Real,
    Virtual,
}

/// Runs the system until Ctrl-C or SIGTERM.
pub(crate) fn main(options: Options) -> ExitCode {
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print(&mut io::stderr(), &format!("tripod: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let started = Instant::now();
    let system = &options.system;
    let data = system.place.open_data()?;
    let addresses = Addresses::plan(&mut Picker::new(system.place.ports()))?;
    let deploy = options.deploy(&data)?;

    let otlp = Otlp::new(&addresses);
    let Signals {
        guard,
        traces_url,
        environment,
        decision_wait,
    } = Signals::start(&data, &otlp)?;

    let faults = SignalFault::of(BACKEND, system.allow_faults)?;
    let runtime = new_runtime()?;
    let (outcome, backend) = runtime.block_on(async {
        let settings = backend::Settings {
            addresses: &addresses,
            data: &data,
            deploy: deploy.as_deref(),
            environment,
            faults,
            is_virtual: options.clock == Clock::Virtual,
            metrics: guard.metrics(),
        };
        let backend = match Backend::start(settings).await {
            Ok(backend) => backend,
            Err(error) => return (Err(error), None),
        };
        let served = async {
            reload_on_hangup(backend.reloader(deploy.as_deref()))?;
            let keys = data.keys()?;
            let run = Run {
                clock: backend.clock().map(|address| format!("http://{address}")),
                factor: system.compress,
                ..Run::new(
                    &addresses,
                    data.path(),
                    &backend.ca_file(),
                    decision_wait,
                    &keys.dev,
                )
            };
            let services = Services {
                options: system,
                data: &data,
                addresses: &addresses,
                otlp: &otlp,
                keys,
                run_file: RunFile::create(run)?,
                further: Some(backend.further()),
            };
            serve(services, stop_on_signal()?, started, |run, ready_after| {
                table::render(run, &traces_url, ready_after)
            })
            .await
        };
        (served.await, Some(backend))
    });
    // The backend outlives the telemetry of its own process, whose last spans go through it.
    let report = guard.shutdown(TELEMETRY_DEADLINE);
    let collected = backend.map(|backend| runtime.block_on(backend.stop()));
    drop(runtime);
    if let (Ok(()), Some(collected)) = (&outcome, collected) {
        print(&mut io::stdout(), &farewell(&report, &collected));
    }
    outcome
}

fn farewell(own: &telemetry::Report, collected: &collector::Report) -> String {
    format!("Stopped. The supervisor's own telemetry: {own}\nThe collector: {collected}\n")
}

/// The supervisor's own telemetry, and what its configuration says for others too.
pub(crate) struct Signals {
    pub(crate) guard: telemetry::Guard,
    /// Where spans are posted to.
    pub(crate) traces_url: String,
    pub(crate) environment: String,
    pub(crate) decision_wait: Duration,
}

impl Signals {
    pub(crate) fn start(data: &Data, otlp: &Otlp) -> anyhow::Result<Self> {
        let mut config = telemetry::Config::from_env(BACKEND, env!("CARGO_PKG_VERSION"))?;
        let log_file = LogFile::new(data.log(BACKEND));
        config.log_output = telemetry::LogOutput::Writer(Box::new(log_file));
        if let Otlp::Embedded(endpoint) = otlp {
            config.otlp_endpoint.clone_from(endpoint);
        }
        Ok(Self {
            traces_url: config.traces_url(),
            environment: config.environment.clone(),
            decision_wait: config.decision_wait,
            guard: telemetry::init(config)?,
        })
    }
}

pub(crate) fn new_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("no async runtime")
}

/// What the services are started with.
pub(crate) struct Services<'s> {
    pub(crate) options: &'s SystemOptions,
    pub(crate) data: &'s Data,
    pub(crate) addresses: &'s Addresses,
    pub(crate) otlp: &'s Otlp,
    pub(crate) keys: Keys,
    pub(crate) run_file: Arc<RunFile>,
    /// Beside DynamoDB and SQS.
    pub(crate) further: Option<Further>,
}

/// Runs the services until `stop`. `greet` is what the terminal shows when they are ready, so long after `started`.
pub(crate) async fn serve(
    services: Services<'_>,
    stop: CancellationToken,
    started: Instant,
    greet: impl FnOnce(&Run, Duration) -> String,
) -> anyhow::Result<()> {
    let run_file = Arc::clone(&services.run_file);
    let system = tokio::select! {
        system = System::start(services) => system?,
        // Nothing serves yet, so there is nothing to drain: what was started ends with the runtime.
        () = stop.cancelled() => return Ok(()),
    };
    let ready_after = started.elapsed();
    print(&mut io::stdout(), &greet(&run_file.run(), ready_after));
    tracing::info!(ready_ms = ready_after.as_millis() as u64, "system is ready");
    stop.cancelled().await;
    system.stop().await;
    run_file.remove();
    Ok(())
}

/// Where the processes send spans.
pub(crate) enum Otlp {
    /// To the backend in this process, at this base URL.
    Embedded(String),
    /// Where the environment says, with the variables that say so.
    Environment,
}

impl Otlp {
    pub(crate) fn new(addresses: &Addresses) -> Self {
        match OTLP_VARIABLES
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        {
            true => Self::Environment,
            false => Self::Embedded(format!("http://{}", addresses.otlp_http)),
        }
    }
}

/// Everything that runs beside a backend.
struct System {
    aws: AwsLocal,
    /// In the order in which they are stopped.
    children: Vec<Child>,
    traffic_stop: CancellationToken,
}

impl System {
    /// Starts everything and waits until each process says that it is ready.
    async fn start(services: Services<'_>) -> anyhow::Result<Self> {
        let storage = storage(services.data, services.further.clone());
        let aws = AwsLocal::bind(services.addresses.aws, storage)
            .await
            .context("DynamoDB and SQS do not start")?;
        let children = start_children(&services)?;
        until_ready(&children, services.addresses).await?;

        let traffic_stop = CancellationToken::new();
        if services.options.traffic > 0.0 {
            let target = traffic::Target {
                gateway: services.run_file.run().gateway,
                api_key: services.keys.synthetic,
                requests_per_second: services.options.traffic,
            };
            tokio::spawn(traffic::run(target, traffic_stop.clone()));
        }
        Ok(Self {
            aws,
            children,
            traffic_stop,
        })
    }

    /// Traffic, gateway, task-service, worker, storage: whoever calls is stopped before whom it calls. Each step is
    /// bounded, so the whole is.
    async fn stop(self) {
        tracing::info!("system is stopping");
        self.traffic_stop.cancel();
        for child in self.children {
            child.stop().await;
        }
        self.aws.stop().await;
    }
}

/// What the AWS endpoint serves.
pub(crate) fn storage(data: &Data, further: Option<Further>) -> aws_local::Options {
    aws_local::Options {
        data: data.tables(),
        region: REGION.to_owned(),
        further,
        ..Default::default()
    }
}

/// The three processes, in the order in which they are to be stopped.
fn start_children(services: &Services<'_>) -> anyhow::Result<Vec<Child>> {
    let Services {
        options,
        data,
        addresses,
        otlp,
        keys,
        run_file,
        ..
    } = services;
    let aws = format!("http://{}", addresses.aws);
    let token = new_secret()?;
    let start = |service: &'static str, admin: SocketAddr, settings: &[(&str, String)]| {
        let mut environment = vec![
            ("TRIPOD_ADMIN_LISTEN".to_owned(), admin.to_string()),
            // Credentials of a real account never reach a process that talks to the embedded endpoint.
            ("AWS_ENDPOINT_URL".to_owned(), aws.clone()),
            ("AWS_REGION".to_owned(), REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID".to_owned(), "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), "local".to_owned()),
        ];
        if let Otlp::Embedded(endpoint) = otlp {
            environment.push((OTLP_ENDPOINT.to_owned(), endpoint.clone()));
        }
        if options.allow_faults {
            environment.push(("TRIPOD_ALLOW_FAULTS".to_owned(), "true".to_owned()));
        }
        environment.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        Child::start(
            Spec {
                name: service,
                program: Program::Service,
                environment,
                log: data.log(service),
            },
            Arc::clone(run_file),
        )
    };
    let task_service = [
        ("TRIPOD_LISTEN", addresses.task_service.to_string()),
        ("TRIPOD_INTERNAL_TOKEN", token.clone()),
        (
            "TRIPOD_SEED_API_KEYS",
            format!("dev={},synthetic={}", keys.dev, keys.synthetic),
        ),
    ];
    let gateway = [
        ("TRIPOD_LISTEN", addresses.gateway.to_string()),
        ("TRIPOD_INTERNAL_TOKEN", token),
        (
            "TRIPOD_TASK_SERVICE_URL",
            format!("http://{}", addresses.task_service),
        ),
    ];
    Ok(vec![
        start(GATEWAY, addresses.gateway_admin, &gateway)?,
        start(TASK_SERVICE, addresses.task_service_admin, &task_service)?,
        start(WORKER, addresses.worker_admin, &[])?,
    ])
}

/// Waits until every process is ready.
///
/// # Errors
/// After [`READY_DEADLINE`], with the last answer of the one that is not.
async fn until_ready(children: &[Child], addresses: &Addresses) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .context("no HTTP client")?;
    let deadline = Instant::now() + READY_DEADLINE;
    for (service, address) in addresses.admin() {
        loop {
            let answer = match client.get(format!("http://{address}/readyz")).send().await {
                Ok(response) if response.status().is_success() => break,
                Ok(response) => response.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if children.iter().any(Child::is_given_up) || Instant::now() >= deadline {
                bail!("{service} is not ready: {}", answer.trim());
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }
    Ok(())
}

/// A token that SIGTERM or Ctrl-C cancels; a second signal ends the process at once, and its children with it.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if cancelled.is_cancelled() {
                std::process::exit(EXIT_INTERRUPTED);
            }
            cancelled.cancel();
        }
    });
    Ok(stop)
}

/// SIGHUP reads the configuration again, as with the real components.
fn reload_on_hangup(reloader: Reloader) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("no handler for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reloader.reload().await;
        }
    });
    Ok(())
}

fn parse_traffic(text: &str) -> Result<f64, String> {
    let rate = text
        .parse::<f64>()
        .ok()
        .filter(|rate| (0.0..=TRAFFIC_MAX).contains(rate));
    rate.ok_or_else(|| format!("a number from 0 to {TRAFFIC_MAX} is needed"))
}

/// A file that only its owner can read, emptied.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// 128 random bits in hexadecimal.
fn new_secret() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the operating system gives no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
