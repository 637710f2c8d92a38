//! `tripod aws`: DynamoDB, SQS and CloudWatch Logs alone, for services that run elsewhere and have no account of AWS.
//!
//! The same endpoints as those of `tripod up`: all three over HTTP, and CloudWatch Logs over TLS as well, which Fluent Bit insists on.
//! Nobody's credentials are checked, so both listen on loopback only.

use std::{io, net::SocketAddr, path::Path, process::ExitCode};

use anyhow::Context;
use aws_local::AwsLocal;
use conventions::resource::BACKEND;
use telemetry::LogOutput;

use crate::{
    install_tls, print,
    up::{self, Addresses, CloudWatch, Data, LogFile, Picker, Place, TELEMETRY_DEADLINE},
};

/// Flags of `tripod aws`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn main(options: &Options) -> ExitCode {
    install_tls();
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print(&mut io::stderr(), &format!("tripod: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let data = options.place.open_data()?;
    let (http, tls) = Addresses::plan_aws(&mut Picker::new(options.place.ports()))?;
    let guard = telemetry::init(logging(&data)?)?;
    let runtime = up::new_runtime()?;
    let outcome = runtime.block_on(serve(&data, http, tls));
    guard.shutdown(TELEMETRY_DEADLINE);
    if outcome.is_ok() {
        print(&mut io::stdout(), "Stopped.\n");
    }
    outcome
}

async fn serve(data: &Data, http: SocketAddr, tls: SocketAddr) -> anyhow::Result<()> {
    let stop = up::stop_on_signal()?;
    let cloudwatch = CloudWatch::start(tls, data).await?;
    let storage = up::storage(data, Some(cloudwatch.further()));
    let aws = AwsLocal::bind(http, storage)
        .await
        .context("DynamoDB and SQS do not start")?;
    print(
        &mut io::stdout(),
        &greeting(http, tls, &cloudwatch.ca_file()),
    );
    stop.cancelled().await;
    aws.stop().await;
    cloudwatch.stop().await;
    Ok(())
}

/// Log lines to a file as with `tripod up`, and no spans: whoever asks has them.
fn logging(data: &Data) -> anyhow::Result<telemetry::Config> {
    let mut config = telemetry::Config::from_env(BACKEND, env!("CARGO_PKG_VERSION"))?;
    config.log_output = LogOutput::Writer(Box::new(LogFile::new(data.log(BACKEND))));
    config.sdk_disabled = true;
    Ok(config)
}

/// What the terminal shows, in the order in which it is needed.
fn greeting(http: SocketAddr, tls: SocketAddr, ca_file: &Path) -> String {
    let ca_file = ca_file.display();
    format!(
        "AWS is ready.\n\n  DynamoDB, SQS, CloudWatch Logs  http://{http}\n  CloudWatch Logs over TLS        https://{tls}   CA: {ca_file}\n\nThe services use it with\n\n  AWS_ENDPOINT_URL=http://{http} AWS_REGION={} AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n\nCtrl-C stops it.\n",
        up::REGION
    )
}
