//! How a recorder is set up: labels, bounds, limits; and how it becomes the process's own.

use std::collections::BTreeMap;

use conventions::defaults::SERIES_PER_METRIC_MAX;
use conventions::metrics::{BUILD_INFO, SERVICE, VERSION};

use super::buckets::{BoundsError, Matcher, Rules};
use super::catalog::{Catalog, Limits};
use super::descriptions::DESCRIPTIONS;
use super::names::{self, GlobalLabels, LE};
use super::page::{MetricsHandle, OWN_METRICS};
use super::process;
use super::recorder::Recorder;

/// Metrics one recorder may hold unless told otherwise. Names are written in code, so more than this is an accident.
const METRICS_MAX: usize = 1_000;

/// Sets up a [`Recorder`].
///
/// ```
/// use telemetry::metrics::{Matcher, RecorderBuilder};
///
/// let recorder = RecorderBuilder::new("gateway")
///     .version("1.2.3")
///     .buckets(Matcher::Suffix("_bytes".to_owned()), &[1e3, 1e4, 1e5, 1e6])
///     .build()?;
/// metrics::with_local_recorder(&recorder, || metrics::histogram!("page_bytes").record(500));
/// assert!(recorder.handle().render(None).body.contains("page_bytes_bucket{service=\"gateway\",le=\"1000.0\"} 1\n"));
/// # Ok::<(), telemetry::metrics::BuildError>(())
/// ```
#[derive(Debug)]
pub struct RecorderBuilder {
    labels: Vec<(String, String)>,
    version: Option<String>,
    buckets: Vec<(Matcher, Vec<f64>)>,
    limits: Limits,
    process_metrics: bool,
}

/// Why a recorder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// See the source.
    #[error("bounds for {matcher:?} make no histogram")]
    Bounds {
        /// Which histograms they were for.
        matcher: Matcher,
        /// What is wrong with them.
        source: BoundsError,
    },
    /// Its name has characters that labels may not have, is one the formats use, or is given twice; or it has no value.
    #[error("global label {name:?} is malformed, reserved or given twice")]
    GlobalLabel {
        /// As it was given.
        name: String,
    },
}

/// Why a recorder cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// See the source.
    #[error("the recorder cannot be made")]
    Build(#[from] BuildError),
    /// A process has one recorder.
    #[error("a metrics recorder is installed already")]
    AlreadyInstalled,
}

impl RecorderBuilder {
    /// A recorder whose series all carry this `service` label. A label of that name set by a caller becomes
    /// `exported_service`, as Prometheus itself does it.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            labels: vec![(SERVICE.to_owned(), service.into())],
            version: None,
            buckets: Vec::new(),
            limits: Limits {
                metrics_max: METRICS_MAX,
                series_per_metric_max: SERIES_PER_METRIC_MAX,
            },
            process_metrics: true,
        }
    }

    /// One more label on every series.
    #[must_use]
    pub fn global_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Adds the metric `build_info` with this version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Upper bounds, `+Inf` left out, of the histograms that match. The last rule that matches counts; after those
    /// given here come the built-in ones for HTTP, database, messaging and job durations, then HTTP's for all others.
    #[must_use]
    pub fn buckets(mut self, matcher: Matcher, bounds: &[f64]) -> Self {
        self.buckets.push((matcher, bounds.to_vec()));
        self
    }

    /// Series one metric may have; what is over it is counted in one series labelled `otel_metric_overflow="true"`.
    /// Default: [`SERIES_PER_METRIC_MAX`]. With 0 there is only that series. A histogram's series takes about 2.5 KiB.
    #[must_use]
    pub fn series_per_metric_max(mut self, series: usize) -> Self {
        self.limits.series_per_metric_max = series;
        self
    }

    /// Metrics there may be; further ones are not recorded. Default: 1,000.
    #[must_use]
    pub fn metrics_max(mut self, metrics: usize) -> Self {
        self.limits.metrics_max = metrics;
        self
    }

    /// Whether pages carry `process_*`. Default: yes.
    #[must_use]
    pub fn process_metrics(mut self, shown: bool) -> Self {
        self.process_metrics = shown;
        self
    }

    /// A recorder for `metrics::with_local_recorder` or a stack of `metrics` layers.
    ///
    /// # Errors
    ///
    /// When a global label or a histogram's bounds make no legal page.
    pub fn build(self) -> Result<Recorder, BuildError> {
        let global = GlobalLabels::new(&checked_labels(self.labels)?, SERVICE);
        let mut rules = Rules::default();
        for (matcher, bounds) in self.buckets {
            if let Err(source) = rules.add(matcher.clone(), &bounds) {
                return Err(BuildError::Bounds { matcher, source });
            }
        }
        let process_metrics = self.process_metrics.then_some(process::METRICS);
        let reserved = OWN_METRICS
            .into_iter()
            .chain(process_metrics.into_iter().flatten());
        let catalog = Catalog::new(global, self.limits, rules, reserved);
        for (name, kind, unit, help) in DESCRIPTIONS {
            catalog.describe(*kind, name, *unit, metrics::SharedString::const_str(help));
        }
        let recorder = Recorder::new(catalog, self.process_metrics);
        if let Some(version) = self.version {
            metrics::with_local_recorder(&recorder, || {
                metrics::gauge!(BUILD_INFO, VERSION => version).set(1.0);
            });
        }
        Ok(recorder)
    }

    /// Makes the recorder the process's own. Do so before any handle is made: earlier ones record nothing.
    ///
    /// ```
    /// let handle = telemetry::metrics::RecorderBuilder::new("gateway").install()?;
    /// metrics::counter!("jobs_total").increment(1);
    /// assert!(handle.render(None).body.contains("jobs_total{service=\"gateway\"} 1\n"));
    /// # Ok::<(), telemetry::metrics::InstallError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::build`], and when the process has a recorder already.
    pub fn install(self) -> Result<MetricsHandle, InstallError> {
        let recorder = self.build()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| InstallError::AlreadyInstalled)?;
        Ok(handle)
    }
}

fn checked_labels(labels: Vec<(String, String)>) -> Result<BTreeMap<String, String>, BuildError> {
    let mut checked = BTreeMap::new();
    for (name, value) in labels {
        let is_legal = names::label_name(&name) == name && !names::is_reserved(&name) && name != LE;
        if !is_legal || value.is_empty() || checked.contains_key(&name) {
            return Err(BuildError::GlobalLabel { name });
        }
        checked.insert(name, value);
    }
    Ok(checked)
}
