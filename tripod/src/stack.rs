//! `tripod stack`: the services on the real components instead of the embedded backend, natively, without containers.
//!
//! This process supervises: the three services, DynamoDB and SQS as with `tripod up`, and each component as a child.
//! Components start before the services and stop after them, and what sends stops before what receives.

use std::{
    env, io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    install_tls, print,
    up::{
        self, Addresses, CloudWatch, Otlp, Picker, Run, RunFile, Services, Signals, SystemOptions,
        TELEMETRY_DEADLINE,
    },
};
use components::{Chosen, CloudWatchEndpoint, Layout, Shipping};
use running::Stack;

mod components;
mod configuration;
mod ending;
mod running;
mod status;

/// With both of them log lines go to AWS itself.
const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
/// The certificates that Debian's and most other systems trust.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Runs the services and every component that is at hand, until Ctrl-C or `tripod stack down`
    Up(SystemOptions),
    /// Says which processes of a stack run, whether they are ready and what memory they take
    Status(Folder),
    /// Stops a stack in order and waits for its end
    Down(Folder),
}

/// Which stack is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Folder {
    /// The folder that it was started with
    #[arg(long, value_name = "DIR", default_value = up::DATA_DEFAULT)]
    data: PathBuf,
}

pub(crate) fn main(command: Command) -> ExitCode {
    install_tls();
    let outcome = match command {
        Command::Up(options) => run(&options).map(|()| ExitCode::SUCCESS),
        Command::Status(folder) => status::tell(&folder.data),
        Command::Down(folder) => ending::down(&folder.data).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        print(&mut io::stderr(), &format!("tripod: {error:#}\n"));
        ExitCode::FAILURE
    })
}

fn run(options: &SystemOptions) -> anyhow::Result<()> {
    let started = Instant::now();
    let data = options.place.open_data()?;
    ending::end_left_behind(data.path())?;
    let mut picker = Picker::new(options.place.ports());
    let addresses = Addresses::plan(&mut picker)?;
    let layout = Layout::plan(&addresses, &data, &mut picker)?;
    configuration::write(&layout, options.deploy.as_deref(), options.compress)?;

    let otlp = Otlp::new(&addresses);
    let signals = Signals::start(&data, &otlp)?;

    let runtime = up::new_runtime()?;
    let (outcome, stack, cloudwatch) = runtime.block_on(async {
        let keys = data.keys()?;
        let cloudwatch = CloudWatch::start(addresses.aws_tls, &data).await?;
        let shipping = Shipping {
            environment: signals.environment.clone(),
            instance: up::machine(),
            cloudwatch: cloudwatch_endpoint(&addresses, cloudwatch.ca_file()),
        };
        let chosen = components::choose(&layout, &shipping);
        let mut run = Run::new(
            &addresses,
            data.path(),
            &cloudwatch.ca_file(),
            signals.decision_wait,
            &keys.dev,
        );
        run.components = chosen.ready_urls();
        run.factor = options.compress;
        let run_file = RunFile::create(run)?;
        let stop = up::stop_on_signal()?;
        let stack = Stack::start(&chosen, &layout, &run_file)?;
        let ready = tokio::select! {
            ready = stack.until_ready() => ready,
            () = stop.cancelled() => Ok(()),
        };
        let services = Services {
            options,
            data: &data,
            addresses: &addresses,
            otlp: &otlp,
            keys,
            run_file,
            further: Some(cloudwatch.further()),
        };
        let served = async {
            ready?;
            up::serve(services, stop, started, |run, after| {
                greeting(run, &chosen, &shipping.cloudwatch, after)
            })
            .await
        };
        anyhow::Ok((served.await, stack, cloudwatch))
    })?;
    // The components outlive the telemetry of this process, whose last spans go through them.
    let report = signals.guard.shutdown(TELEMETRY_DEADLINE);
    runtime.block_on(async {
        stack.stop().await;
        cloudwatch.stop().await;
    });
    if outcome.is_ok() {
        let text = format!("Stopped. The supervisor's own telemetry: {report}\n");
        print(&mut io::stdout(), &text);
    }
    outcome
}

/// AWS, when the environment has its credentials, otherwise the embedded endpoint.
fn cloudwatch_endpoint(addresses: &Addresses, ca_file: PathBuf) -> CloudWatchEndpoint {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let region = set("AWS_REGION").unwrap_or_else(|| up::REGION.to_owned());
    if CREDENTIALS.iter().all(|name| set(name).is_some()) {
        return CloudWatchEndpoint {
            host: format!("logs.{region}.amazonaws.com"),
            port: 443,
            ca_file: PathBuf::from(SYSTEM_CA_FILE),
            environment: vec![("AWS_REGION".to_owned(), region)],
        };
    }
    let local = |name: &str| (name.to_owned(), "local".to_owned());
    CloudWatchEndpoint {
        host: addresses.aws_tls.ip().to_string(),
        port: addresses.aws_tls.port(),
        ca_file,
        environment: CREDENTIALS
            .map(local)
            .into_iter()
            .chain([("AWS_REGION".to_owned(), region)])
            .collect(),
    }
}

/// What the terminal shows when everything is ready.
fn greeting(
    run: &Run,
    chosen: &Chosen,
    cloudwatch: &CloudWatchEndpoint,
    after: Duration,
) -> String {
    let mut text = format!("The stack is ready after {:.1} s.\n\n", after.as_secs_f64());
    for (surface, address) in [
        ("gateway API", &run.gateway),
        ("Tempo", &run.tempo),
        ("Prometheus", &run.prometheus),
        ("Alertmanager", &run.alertmanager),
        ("Loki", &run.loki),
        ("OTLP over HTTP", &run.otlp_http),
        ("DynamoDB, SQS, CloudWatch Logs", &run.aws),
        ("CloudWatch Logs over TLS", &run.aws_tls),
        ("development API key", &run.api_key),
    ] {
        text.push_str(&format!("  {surface:<32}{address}\n"));
    }
    let data = run.data.display();
    text.push_str(&format!("  {:<32}{data}/stack\n", "components' files"));
    let CloudWatchEndpoint { host, port, .. } = cloudwatch;
    text.push_str(&format!("  {:<32}{host}:{port}\n", "log lines also go to"));
    for missing in &chosen.missing {
        text.push_str(&format!("\n{missing}\n"));
    }
    text.push_str(&format!(
        "\n  tripod stack status --data {data}\n  tripod verify --target {data}/{}\n\nCtrl-C stops everything in order.\n",
        up::RUN_FILE
    ));
    text
}
