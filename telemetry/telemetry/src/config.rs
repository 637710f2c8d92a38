//! What a service tells the telemetry about itself, and where its signals go; read from the standard `OTEL_*`
//! environment variables. Opens nothing and installs nothing: that is [`crate::init`].

use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use conventions::{defaults, resource};
use thiserror::Error;
use url::Url;

use crate::cuts::Cuts;
use crate::log::EventFilter;
use crate::metrics::Matcher;
use crate::sampling::Sampling;
use crate::trace::SpanFilter;
use environment::Environment;

mod environment;
#[cfg(test)]
mod tests;

/// Where spans go when the environment does not say: the collector on this machine. An address, not `localhost`,
/// so that no export needs a name server.
pub const OTLP_ENDPOINT_DEFAULT: &str = "http://127.0.0.1:4318";

/// Path of the trace signal under the base endpoint
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp>).
const TRACES_PATH: &str = "/v1/traces";

/// How long one export request may take (OTLP exporter specification, `OTEL_EXPORTER_OTLP_TIMEOUT`).
const OTLP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// `deployment.environment.name` when the environment does not say.
const DEPLOYMENT_DEFAULT: &str = "local";

/// Spans waiting for export beyond which new ones are dropped: two seconds of 10,000 spans per second, about 20 MiB.
const SPAN_QUEUE_MAX_DEFAULT: usize = 20_480;

/// Spans in one export request (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
const SPAN_BATCH_MAX_DEFAULT: usize = 512;

/// Longest delay of a batch: two of them fit into the margin by which an on-time span comes before the collector's
/// decision ([`defaults::LATE_MARGIN_SECONDS`]).
const SPAN_BATCH_DELAY_MAX: Duration = Duration::from_millis(1500);

/// Bytes of log lines waiting for the writer beyond which new lines are dropped.
const LOG_QUEUE_BYTES_MAX_DEFAULT: usize = 8 << 20;

/// One service's telemetry.
///
/// ```
/// use telemetry::Config;
///
/// let mut config = Config::new("billing", "1.4.0");
/// config.environment = "staging".to_owned();
/// assert_eq!(config.traces_url(), "http://127.0.0.1:4318/v1/traces");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// `service.name` of spans, `service` of metrics and log lines.
    pub service: String,
    /// `service.version` of spans, `version` of `build_info`.
    pub version: String,
    /// `deployment.environment.name` of spans.
    pub environment: String,
    /// `service.instance.id` of spans: random, so that two instances never share it.
    pub instance_id: String,
    /// Further resource attributes, as `OTEL_RESOURCE_ATTRIBUTES` gives them.
    pub resource: Vec<(String, String)>,
    /// Base URL of the collector's OTLP/HTTP receiver; the signal's path is appended.
    pub otlp_endpoint: String,
    /// Full URL for traces, used as it is instead of [`Config::otlp_endpoint`].
    pub otlp_traces_endpoint: Option<String>,
    /// Headers of every export request. Values are marked sensitive and never printed.
    pub otlp_headers: HeaderMap,
    /// How long one export request may take.
    pub otlp_timeout: Duration,
    /// No spans are made or exported; contexts from outside are still passed on. Logs and metrics stay.
    pub sdk_disabled: bool,
    /// Share and salt of the collector's baseline policy.
    pub sampling: Sampling,
    /// How long the collector waits before it decides about a trace.
    pub decision_wait: Duration,
    /// Which spans are made: `tracing` targets and levels such as `info,my_crate=debug`. What the exporter itself
    /// does is never traced, whatever this says.
    pub span_filter: String,
    /// Which events become log lines: a `tracing-subscriber` `EnvFilter`.
    pub log_filter: String,
    /// Where log lines go.
    pub log_output: LogOutput,
    /// Bytes of log lines that may wait for the writer; lines beyond are dropped and counted.
    pub log_queue_bytes_max: usize,
    /// Spans that may wait for export, those under way included; spans beyond are dropped and counted.
    pub span_queue_max: usize,
    /// Spans in one export request. At most [`Config::span_queue_max`].
    pub span_batch_max: usize,
    /// Longest wait between a span's end and its export.
    pub span_batch_delay: Duration,
    /// Upper bounds of the service's own histograms, `+Inf` left out. The last rule that matches counts.
    pub histogram_buckets: Vec<(Matcher, Vec<f64>)>,
    /// Asked before every attempt to export spans. For scenarios that take the collector away.
    pub export_gate: Option<ExportGate>,
    /// What is left out on purpose. For scenarios that prove what must be noticed.
    pub cuts: Cuts,
}

/// Says why the collector is to count as away now; `None` when it is not.
#[derive(Clone)]
pub struct ExportGate(pub Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl fmt::Debug for ExportGate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ExportGate")
    }
}

/// Where log lines go.
#[non_exhaustive]
pub enum LogOutput {
    /// Standard output of the process.
    Stdout,
    /// Anything else, a rotating file for instance. Called from one thread only; may block.
    Writer(Box<dyn Write + Send>),
}

/// A variable of the environment that cannot be used as it is.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("environment variable {variable}: {reason}")]
pub struct ConfigError {
    /// Name of the variable.
    pub variable: &'static str,
    /// What is wrong with it. Never contains a header's value.
    pub reason: Cow<'static, str>,
}

impl Config {
    /// The configuration of a service that is told nothing by its environment.
    pub fn new(service: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            version: version.into(),
            environment: DEPLOYMENT_DEFAULT.to_owned(),
            instance_id: random_instance_id(),
            resource: Vec::new(),
            otlp_endpoint: OTLP_ENDPOINT_DEFAULT.to_owned(),
            otlp_traces_endpoint: None,
            otlp_headers: HeaderMap::new(),
            otlp_timeout: OTLP_TIMEOUT_DEFAULT,
            sdk_disabled: false,
            sampling: Sampling::default(),
            decision_wait: Duration::from_secs_f64(defaults::DECISION_WAIT_SECONDS),
            span_filter: "info".to_owned(),
            log_filter: "info".to_owned(),
            log_output: LogOutput::Stdout,
            log_queue_bytes_max: LOG_QUEUE_BYTES_MAX_DEFAULT,
            span_queue_max: SPAN_QUEUE_MAX_DEFAULT,
            span_batch_max: SPAN_BATCH_MAX_DEFAULT,
            span_batch_delay: Duration::from_secs_f64(defaults::SPAN_BATCH_DELAY_SECONDS),
            histogram_buckets: Vec::new(),
            export_gate: None,
            cuts: Cuts::default(),
        }
    }

    /// [`Config::new`], with what the environment of this process says put over it.
    ///
    /// The variables are those of the OpenTelemetry specification, listed in the crate's README; an empty value
    /// counts as unset.
    ///
    /// ```
    /// let config = telemetry::Config::from_env("billing", env!("CARGO_PKG_VERSION"))?;
    /// assert_eq!(config.version, env!("CARGO_PKG_VERSION"));
    /// # Ok::<(), telemetry::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// When a variable is not Unicode, not of its form, or asks for something this crate does not do.
    pub fn from_env(
        service: impl Into<String>,
        version: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        Self::new(service, version).overridden(&Environment::process())
    }

    /// The URL that spans are posted to.
    pub fn traces_url(&self) -> String {
        match &self.otlp_traces_endpoint {
            Some(url) => url.clone(),
            None => format!("{}{TRACES_PATH}", self.otlp_endpoint.trim_end_matches('/')),
        }
    }

    fn overridden(mut self, environment: &Environment<'_>) -> Result<Self, ConfigError> {
        self.override_resource(environment)?;
        self.override_exporter(environment)?;
        if let Some(disabled) = environment.boolean("OTEL_SDK_DISABLED")? {
            self.sdk_disabled = disabled;
        }
        if let Some(wait) = environment.duration(defaults::DECISION_WAIT_ENV)? {
            self.decision_wait = wait;
        }
        if let Some(filter) = environment.checked("OTEL_TRACE_FILTER", SpanFilter::parse)? {
            self.span_filter = filter;
        }
        if let Some(filter) = environment.checked("RUST_LOG", EventFilter::parse)? {
            self.log_filter = filter;
        }
        Ok(self)
    }

    fn override_resource(&mut self, environment: &Environment<'_>) -> Result<(), ConfigError> {
        for (key, value) in environment.pairs("OTEL_RESOURCE_ATTRIBUTES")? {
            match key.as_str() {
                resource::SERVICE_NAME => self.service = value,
                resource::SERVICE_VERSION => self.version = value,
                resource::SERVICE_INSTANCE_ID => self.instance_id = value,
                resource::DEPLOYMENT_ENVIRONMENT => self.environment = value,
                _ => self.resource.push((key, value)),
            }
        }
        if let Some(service) = environment.text("OTEL_SERVICE_NAME")? {
            self.service = service;
        }
        Ok(())
    }

    fn override_exporter(&mut self, environment: &Environment<'_>) -> Result<(), ConfigError> {
        environment.refuse_unsupported()?;
        if let Some(url) = environment.checked("OTEL_EXPORTER_OTLP_ENDPOINT", http_url)? {
            self.otlp_endpoint = url;
        }
        self.otlp_traces_endpoint =
            environment.checked("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", http_url)?;
        for variable in [
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        ] {
            // The signal's own header replaces the general one of the same name.
            for (name, value) in environment.headers(variable)? {
                self.otlp_headers.insert(name, value);
            }
        }
        for variable in [
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        ] {
            if let Some(timeout) = environment.milliseconds(variable)? {
                self.otlp_timeout = timeout;
            }
        }
        self.override_batches(environment)
    }

    fn override_batches(&mut self, environment: &Environment<'_>) -> Result<(), ConfigError> {
        if let Some(spans) = environment.count("OTEL_BSP_MAX_QUEUE_SIZE")? {
            self.span_queue_max = spans;
            self.span_batch_max = self.span_batch_max.min(spans);
        }
        const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
        if let Some(spans) = environment.count(BATCH)? {
            if spans > self.span_queue_max {
                return Err(ConfigError {
                    variable: BATCH,
                    reason: "must not exceed the queue, OTEL_BSP_MAX_QUEUE_SIZE".into(),
                });
            }
            self.span_batch_max = spans;
        }
        const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
        if let Some(delay) = environment.milliseconds(DELAY)? {
            if delay > SPAN_BATCH_DELAY_MAX {
                return Err(ConfigError {
                    variable: DELAY,
                    reason: "must not exceed 1500: spans would miss the collector's decision"
                        .into(),
                });
            }
            self.span_batch_delay = delay;
        }
        Ok(())
    }
}

impl fmt::Debug for LogOutput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stdout => "Stdout",
            Self::Writer(_) => "Writer",
        })
    }
}

fn http_url(text: &str) -> Result<(), Cow<'static, str>> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(format!("scheme must be http or https, not {other}").into()),
    }
}

/// A version 4 UUID, which semantic conventions recommend for `service.instance.id`.
fn random_instance_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness the id is the same everywhere, which only blurs instances: no reason not to start.
    let _ = getrandom::fill(&mut bytes);
    let random = u128::from_be_bytes(bytes);
    let id = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
