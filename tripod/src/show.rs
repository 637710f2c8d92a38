//! `tripod show TRACE_ID`: one trace as a waterfall, its log lines under the spans that wrote them, and the metrics whose exemplars
//! name it.
//!
//! Finds the system by its `run.json`, or any Tempo by `--tempo`, then without log lines and metrics. Reads only public APIs.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use reqwest::{Client, StatusCode, Url, header::ACCEPT};

use crate::{
    print,
    up::{DATA_DEFAULT, Run},
};
use trace::Trace;

mod joined;
mod trace;
mod waterfall;

/// How long the trace store may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Columns when the environment does not say.
const COLUMNS_DEFAULT: usize = 120;
/// Fewer leave no room for a bar.
const COLUMNS_MIN: usize = 60;
/// Exit code when there is no such trace.
const EXIT_UNKNOWN: u8 = 1;
/// Exit code when it could not be looked for.
const EXIT_FAILED: u8 = 2;

/// Flags of `tripod show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// 32 hexadecimal digits, or a whole `traceparent` or `traceresponse` header
    #[arg(value_name = "TRACE_ID", value_parser = parse_trace_id)]
    trace_id: String,
    /// Folder of the running system
    #[arg(
        long,
        value_name = "DIR",
        default_value = DATA_DEFAULT,
        conflicts_with = "tempo"
    )]
    data: PathBuf,
    /// Base URL of another Tempo
    #[arg(long, value_name = "URL")]
    tempo: Option<Url>,
    /// Print every attribute under its span
    #[arg(long)]
    attributes: bool,
    /// Width of the output [default: the terminal's, or 120]
    #[arg(long, value_name = "N", env = "COLUMNS")]
    columns: Option<usize>,
}

/// Prints the trace; exit code 1 when nobody knows it, 2 when it could not be looked for.
pub(crate) fn main(options: Options) -> ExitCode {
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_UNKNOWN),
        Err(error) => {
            print(&mut io::stderr(), &format!("tripod: {error:#}\n"));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Whether the trace was found.
fn run(options: &Options) -> anyhow::Result<bool> {
    let (tempo, run) = match &options.tempo {
        Some(url) => (url.clone(), None),
        None => {
            let run = run_of(&options.data)?;
            let tempo = run.tempo.parse();
            let tempo =
                tempo.with_context(|| format!("the run file names `{}` as Tempo", run.tempo))?;
            (tempo, Some(run))
        }
    };
    crate::install_tls();
    let client = Client::builder()
        .no_proxy()
        .timeout(ANSWER_DEADLINE)
        .build()
        .context("no HTTP client")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no async runtime")?;
    let style = waterfall::Style {
        columns: options.columns.unwrap_or(COLUMNS_DEFAULT).max(COLUMNS_MIN),
        attributes: options.attributes,
    };
    runtime.block_on(show(&client, &tempo, run.as_ref(), options, &style))
}

async fn show(
    client: &Client,
    tempo: &Url,
    run: Option<&Run>,
    options: &Options,
    style: &waterfall::Style,
) -> anyhow::Result<bool> {
    let id = &options.trace_id;
    let data = fetch(client, tempo, id).await?;
    let trace = data.map(|data| Trace::assemble(id, data));
    let span = trace.as_ref().map(|trace| (trace.start_ns, trace.end_ns));
    let around = joined::around(span, now_ns());
    let (mut lines, mut exemplars) = (Vec::new(), Vec::new());
    if let Some(run) = run {
        lines = or_none(joined::lines(client, &run.loki, id, around).await);
        exemplars = or_none(joined::exemplars(client, &run.prometheus, id, around).await);
    }
    let text = match &trace {
        Some(trace) => waterfall::render(trace, &lines, style),
        None => {
            let text = format!(
                "tripod: trace {id} is not stored at {tempo}: it is younger than the decision wait, was sampled out, or never was\n"
            );
            print(&mut io::stderr(), &text);
            waterfall::render_lines(&lines, style)
        }
    };
    print(&mut io::stdout(), &text);
    print(
        &mut io::stdout(),
        &waterfall::render_exemplars(&exemplars, style),
    );
    Ok(trace.is_some())
}

/// What is joined to a trace is not worth failing for; it is said.
fn or_none<T>(found: anyhow::Result<Vec<T>>) -> Vec<T> {
    found.unwrap_or_else(|error| {
        print(&mut io::stderr(), &format!("tripod: {error:#}\n"));
        Vec::new()
    })
}

fn run_of(data: &Path) -> anyhow::Result<Run> {
    Run::read(data).with_context(|| {
        format!(
            "no running system in {}; name its folder with --data, or a Tempo with --tempo",
            data.display()
        )
    })
}

fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

async fn fetch(client: &Client, tempo: &Url, trace_id: &str) -> anyhow::Result<Option<TracesData>> {
    let url = format!(
        "{}/api/traces/{trace_id}",
        tempo.as_str().trim_end_matches('/')
    );
    let response = client
        .get(&url)
        .header(ACCEPT, "application/protobuf")
        .send()
        .await
        .with_context(|| format!("{url} does not answer"))?;
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let body = response
        .bytes()
        .await
        .with_context(|| format!("the answer of {url} broke off"))?;
    if !status.is_success() {
        bail!(
            "{url} answered {status}: {}",
            String::from_utf8_lossy(&body).trim()
        );
    }
    let data = TracesData::decode(body)
        .with_context(|| format!("the answer of {url} is no trace in protobuf"))?;
    Ok(Some(data))
}

/// The trace id of an id, or of a header that holds one.
fn parse_trace_id(text: &str) -> Result<String, String> {
    let id = match text.split('-').collect::<Vec<_>>()[..] {
        [id] | [_, id, _, _] => id,
        _ => "",
    };
    id.parse::<otlp::TraceId>()
        .map(|id| id.to_string())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_and_a_header_both_name_a_trace() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let header = format!("00-{id}-00f067aa0ba902b7-01");
        for text in [id, &header, &id.to_uppercase()] {
            assert_eq!(parse_trace_id(text).as_deref(), Ok(id));
        }
        assert!(parse_trace_id("4bf9").is_err());
        assert!(parse_trace_id("00-4bf9").is_err());
    }
}
