//! The life of a process: settings, telemetry, admin listener, its service, drain, report.

use std::{
    ffi::OsString, io::Write, net::TcpListener, process::ExitCode, sync::Arc, time::Duration,
};

use anyhow::Context;
use axum::Router;
use telemetry::Guard;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::Admin,
    faults::Faults,
    readiness::Readiness,
    server,
    settings::{self, Common, Loaded, Request, Settings},
    signal_faults::{self, SignalFault},
    signals,
};

/// How long spans and log lines may take to leave at the end. With the default `drain_timeout` and [`DRAIN_MARGIN`] a
/// process so ends within 14 s, before its supervisor or an orchestrator loses patience.
const TELEMETRY_TIMEOUT: Duration = Duration::from_secs(3);
/// How much longer than `drain_timeout` a service may take to return: it keeps the time itself, this is for one that
/// hangs, or is asked to end while it still starts.
const DRAIN_MARGIN: Duration = Duration::from_secs(1);
/// Exit code for a command line, a setting or a port that cannot be used: trying again is pointless.
const EXIT_UNUSABLE: u8 = 2;

/// A process's own work.
pub trait Service {
    /// The service's name in every signal.
    const NAME: &'static str;
    /// Where the admin listener is by default.
    const ADMIN_LISTEN: &'static str;
    type Settings: Settings + Send + 'static;

    /// Works until [`Process::drain`] is cancelled, finishes what it has begun, and returns.
    fn run(
        settings: Self::Settings,
        process: Process,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What a service gets from its surroundings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Process {
    pub common: Common,
    /// Cancelled when the process is to end in order.
    pub drain: CancellationToken,
    pub readiness: Readiness,
    pub faults: Faults,
    admin: Admin,
}

impl Process {
    /// Adds the service's own routes to the admin listener.
    pub fn admin(&self, routes: Router) {
        self.admin.add(routes);
    }

    /// What the admin listener serves.
    pub fn admin_routes(&self) -> Router {
        self.admin.clone().routes()
    }

    /// Everything in place but the listener and the signals: for tests of a service.
    pub fn detached(common: Common, metrics: telemetry::MetricsHandle) -> Self {
        let faults = Faults::new(common.allow_faults);
        Self::with_faults(common, metrics, faults)
    }

    fn with_faults(common: Common, metrics: telemetry::MetricsHandle, faults: Faults) -> Self {
        let readiness = Readiness::default();
        let admin = Admin::new(metrics, readiness.clone(), faults.clone());
        Self {
            common,
            drain: CancellationToken::new(),
            readiness,
            faults,
            admin,
        }
    }
}

/// Runs a service as this process; the arguments are those after the program's (or subcommand's) name.
///
/// Exit codes: 0 after an orderly end, 1 when the service failed, 2 for unusable settings, 130 after a second signal.
pub fn main<S: Service>(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let loaded =
        match settings::load::<S::Settings>(arguments, std::env::vars_os(), S::ADMIN_LISTEN) {
            Ok(Request::Run(loaded)) => loaded,
            Ok(Request::Print(text)) => {
                // A closed terminal is no failure of help.
                let _ = std::io::stdout().write_all(text.as_bytes());
                return ExitCode::SUCCESS;
            }
            Err(error) => return unusable::<S>(&error.into()),
        };
    let faults = Faults::new(loaded.common.allow_faults);
    match start::<S>(&loaded.common, &faults) {
        Ok((listener, guard)) => run::<S>(loaded, listener, guard, faults),
        Err(error) => unusable::<S>(&error),
    }
}

/// What can fail before there is anything to drain. The listener comes first: without a port there is no process, and
/// no telemetry should say that there was one.
fn start<S: Service>(common: &Common, faults: &Faults) -> anyhow::Result<(TcpListener, Guard)> {
    let listener = server::bind(common.admin_listen, "the admin listener", "--admin-listen")?;
    let mut config = telemetry::Config::from_env(S::NAME, env!("CARGO_PKG_VERSION"))?;
    if let Some(environment) = &common.environment {
        config.environment.clone_from(environment);
    }
    let signal_faults = SignalFault::of(S::NAME, common.allow_faults)?;
    signal_faults::apply(&signal_faults, &mut config);
    if common.allow_faults {
        let faults = faults.clone();
        config.export_gate = Some(telemetry::ExportGate(Arc::new(move || faults.export())));
    }
    Ok((listener, telemetry::init(config)?))
}

fn run<S: Service>(
    loaded: Loaded<S::Settings>,
    listener: TcpListener,
    guard: Guard,
    faults: Faults,
) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no async runtime")
    {
        Ok(runtime) => runtime,
        Err(error) => return unusable::<S>(&error),
    };
    let code = runtime.block_on(async {
        let outcome = serve::<S>(loaded, listener, &guard, faults).await;
        if let Err(error) = &outcome {
            let error = format!("{error:#}");
            tracing::error!({ conventions::fields::ERROR } = error, "process failed");
            say::<S>(&error);
        }
        // On the runtime and not after it: a second signal must end the process also while it flushes.
        let flush = tokio::task::spawn_blocking(move || guard.shutdown(TELEMETRY_TIMEOUT));
        if let Ok(report) = flush.await
            && !report.nothing_lost()
        {
            say::<S>(&format!("signals were lost: {report}"));
        }
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is::<server::PortUnusable>() => ExitCode::from(EXIT_UNUSABLE),
            Err(_) => ExitCode::FAILURE,
        }
    });
    // Blocking work that is left, a name lookup for instance, would hold up the exit.
    runtime.shutdown_background();
    code
}

async fn serve<S: Service>(
    loaded: Loaded<S::Settings>,
    listener: TcpListener,
    guard: &Guard,
    faults: Faults,
) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("the admin listener has no address")?;
    let process = Process::with_faults(loaded.common, guard.metrics(), faults);
    signals::drain_on_signal(process.drain.clone())?;
    let admin = tokio::spawn(process.admin.clone().serve(listener));
    tracing::info!(admin = %address, "process started");

    let readiness = process.readiness.clone();
    let drain = process.drain.clone();
    let limit = process.common.drain_timeout.get() + DRAIN_MARGIN;
    let overdue = async move {
        drain.cancelled().await;
        readiness.drain();
        tracing::info!("process is draining");
        tokio::time::sleep(limit).await;
    };
    let outcome = tokio::select! {
        outcome = S::run(loaded.own, process) => outcome,
        () = overdue => Err(anyhow::anyhow!("the service did not end within {limit:?} of the signal")),
    };
    if outcome.is_ok() {
        tracing::info!("process drained");
    }
    admin.abort();
    outcome
}

fn unusable<S: Service>(error: &anyhow::Error) -> ExitCode {
    say::<S>(&format!("{error:#}"));
    ExitCode::from(EXIT_UNUSABLE)
}

/// One line for whoever started the process. Nobody may be listening.
fn say<S: Service>(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}: {line}", S::NAME);
}
