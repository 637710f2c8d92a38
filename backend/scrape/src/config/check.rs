//! From what is written to what is meant: defaults, units, and every rule about values. The first thing wrong is reported
//! where it stands.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use tsdb::{Labels, duration};

use super::{
    Alertmanager, Config, FileDiscovery, Group, Job, Limits, Protocol, relabel_rules, units,
    yaml::{self, At},
};

/// Defaults of Prometheus.
const INTERVAL_MS: i64 = 60_000;
const TIMEOUT_MS: i64 = 10_000;
const REFRESH_MS: i64 = 300_000;
const ALERTMANAGER_TIMEOUT_MS: i64 = 10_000;
const PROTOCOLS: [Protocol; 4] = [
    Protocol::OpenMetrics1_0_0,
    Protocol::OpenMetrics0_0_1,
    Protocol::Text1_0_0,
    Protocol::Text0_0_4,
];

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) what: String,
}

/// What a job inherits.
struct Inherited {
    interval_ms: i64,
    timeout_ms: i64,
    protocols: Vec<Protocol>,
    limits: Limits,
}

impl Fault {
    pub(super) fn at<T>(place: &At<T>, what: impl Into<String>) -> Self {
        Self {
            line: place.referenced.line(),
            column: place.referenced.column(),
            what: what.into(),
        }
    }
}

pub(super) fn file(written: yaml::File, folder: &Path) -> Result<Config, Fault> {
    let global = written.global.unwrap_or_default();
    let evaluation_interval = interval("evaluation_interval", global.evaluation_interval.as_ref())?;
    let external_labels = labels(global.external_labels.unwrap_or_default())?;
    let interval_ms =
        interval("scrape_interval", global.scrape_interval.as_ref())?.unwrap_or(INTERVAL_MS);
    let inherited = Inherited {
        interval_ms,
        timeout_ms: timeout(global.scrape_timeout.as_ref(), interval_ms, TIMEOUT_MS)?,
        protocols: protocols(global.scrape_protocols)?.unwrap_or(PROTOCOLS.to_vec()),
        limits: Limits {
            samples: global.sample_limit.unwrap_or(0),
            targets: global.target_limit.unwrap_or(0),
            labels: global.label_limit.unwrap_or(0),
            label_name_bytes: global.label_name_length_limit.unwrap_or(0),
            label_value_bytes: global.label_value_length_limit.unwrap_or(0),
            body_bytes: size(global.body_size_limit.as_ref())?,
        },
    };
    let mut names = HashSet::new();
    let mut jobs = Vec::new();
    for written in written.scrape_configs.unwrap_or_default() {
        let place = At {
            value: (),
            referenced: written.referenced,
            defined: written.defined,
        };
        let job = job(written, &inherited, folder)?;
        if !names.insert(job.name.clone()) {
            return Err(Fault::at(
                &place,
                format!("there are several jobs {:?}", job.name),
            ));
        }
        jobs.push(job);
    }
    let alertmanagers = written
        .alerting
        .unwrap_or_default()
        .alertmanagers
        .unwrap_or_default();
    Ok(Config {
        evaluation_interval_ms: evaluation_interval.unwrap_or(INTERVAL_MS),
        external_labels: Labels::new(external_labels),
        rule_files: paths(written.rule_files.unwrap_or_default(), folder, "rule file")?,
        alertmanagers: alertmanagers
            .into_iter()
            .map(alertmanager)
            .collect::<Result<_, _>>()?,
        jobs,
    })
}

fn job(written: At<yaml::Job>, inherited: &Inherited, folder: &Path) -> Result<Job, Fault> {
    let named = written
        .value
        .job_name
        .as_ref()
        .filter(|name| !name.value.is_empty());
    let Some(name) = named.map(|name| name.value.clone()) else {
        return Err(Fault::at(&written, "a job has no job_name"));
    };
    let written = written.value;
    http_only(written.scheme.as_ref())?;
    let interval_ms = interval("scrape_interval", written.scrape_interval.as_ref())?
        .unwrap_or(inherited.interval_ms);
    let timeout_ms = timeout(
        written.scrape_timeout.as_ref(),
        interval_ms,
        inherited.timeout_ms,
    )?;
    let limits = limits(&written, &inherited.limits)?;
    let relabel = relabel_rules::read(written.relabel_configs.unwrap_or_default())?;
    let groups = written.static_configs.unwrap_or_default();
    if relabel.is_empty() {
        groups.iter().try_for_each(has_addresses)?;
    }
    let files = written.file_sd_configs.unwrap_or_default();
    Ok(Job {
        name,
        interval_ms,
        timeout_ms,
        metrics_path: written
            .metrics_path
            .map_or("/metrics".into(), |path| path.value),
        params: written.params.unwrap_or_default(),
        protocols: protocols(written.scrape_protocols)?.unwrap_or(inherited.protocols.clone()),
        honor_labels: written.honor_labels.unwrap_or(false),
        honor_timestamps: written.honor_timestamps.unwrap_or(true),
        limits,
        groups: groups.into_iter().map(group).collect::<Result<_, _>>()?,
        files: files
            .into_iter()
            .map(|files| discovery(files, folder))
            .collect::<Result<_, _>>()?,
        relabel,
        metric_relabel: relabel_rules::read(written.metric_relabel_configs.unwrap_or_default())?,
    })
}

fn limits(written: &yaml::Job, inherited: &Limits) -> Result<Limits, Fault> {
    // Zero is no limit, and therefore what was inherited, as in Prometheus.
    let own = |limit: Option<u64>, inherited| limit.filter(|limit| *limit > 0).unwrap_or(inherited);
    Ok(Limits {
        samples: own(written.sample_limit, inherited.samples),
        targets: own(written.target_limit, inherited.targets),
        labels: own(written.label_limit, inherited.labels),
        label_name_bytes: own(written.label_name_length_limit, inherited.label_name_bytes),
        label_value_bytes: own(
            written.label_value_length_limit,
            inherited.label_value_bytes,
        ),
        body_bytes: own(
            Some(size(written.body_size_limit.as_ref())?),
            inherited.body_bytes,
        ),
    })
}

pub(super) fn group(written: yaml::Group) -> Result<Group, Fault> {
    Ok(Group {
        targets: written
            .targets
            .unwrap_or_default()
            .into_iter()
            .map(|target| target.value)
            .collect(),
        labels: labels(written.labels.unwrap_or_default())?,
    })
}

/// `None` where nothing is written, or zero, which means the default.
fn interval(option: &str, written: Option<&At<String>>) -> Result<Option<i64>, Fault> {
    let Some(text) = written else { return Ok(None) };
    match duration::parse(&text.value) {
        Ok(ms) => Ok((ms > 0).then_some(ms)),
        Err(error) => Err(Fault::at(text, format!("{option}: {error}"))),
    }
}

fn timeout(written: Option<&At<String>>, interval_ms: i64, default_ms: i64) -> Result<i64, Fault> {
    let own_ms = interval("scrape_timeout", written)?;
    match (written, own_ms) {
        (Some(place), Some(ms)) if ms > interval_ms => Err(Fault::at(
            place,
            "scrape_timeout is longer than scrape_interval",
        )),
        (_, Some(ms)) => Ok(ms),
        (_, None) => Ok(default_ms.min(interval_ms)),
    }
}

fn size(written: Option<&At<String>>) -> Result<u64, Fault> {
    let Some(text) = written else { return Ok(0) };
    units::size_bytes(&text.value)
        .map_err(|reason| Fault::at(text, format!("body_size_limit: {reason}")))
}

fn protocols(written: Option<At<Vec<At<String>>>>) -> Result<Option<Vec<Protocol>>, Fault> {
    let Some(list) = written else { return Ok(None) };
    if list.value.is_empty() {
        return Err(Fault::at(&list, "scrape_protocols is empty"));
    }
    let mut protocols = Vec::new();
    for written in &list.value {
        let Some(protocol) = PROTOCOLS
            .into_iter()
            .find(|known| known.name() == written.value)
        else {
            let what = format!("scrape_protocols: {:?} is not supported", written.value);
            return Err(Fault::at(written, what));
        };
        if protocols.contains(&protocol) {
            return Err(Fault::at(
                written,
                format!("scrape_protocols: {} stands there twice", written.value),
            ));
        }
        protocols.push(protocol);
    }
    Ok(Some(protocols))
}

fn labels(written: BTreeMap<String, At<String>>) -> Result<Vec<(String, String)>, Fault> {
    let mut labels = Vec::new();
    for (name, value) in written {
        if name.is_empty() || name == "__name__" {
            return Err(Fault::at(
                &value,
                format!("{name:?} is no name for a label here"),
            ));
        }
        labels.push((name, value.value));
    }
    Ok(labels)
}

fn paths(written: Vec<At<String>>, folder: &Path, what: &str) -> Result<Vec<PathBuf>, Fault> {
    let checked = written.into_iter().map(|path| {
        // A star in the name of the file, none in that of a folder.
        let (_, name) = path.value.rsplit_once('/').unwrap_or(("", &path.value));
        let stars = |text: &str| text.matches('*').count();
        if name.is_empty() || stars(&path.value) > stars(name).min(1) {
            return Err(Fault::at(
                &path,
                format!("{:?} is no path of a {what}", path.value),
            ));
        }
        match glob::Pattern::new(&path.value) {
            Ok(_) => Ok(folder.join(path.value)),
            Err(error) => Err(Fault::at(&path, format!("{:?}: {}", path.value, error.msg))),
        }
    });
    checked.collect()
}

fn discovery(written: At<yaml::FileDiscovery>, folder: &Path) -> Result<FileDiscovery, Fault> {
    let written_files = written.value.files.unwrap_or_default();
    let refresh = interval("refresh_interval", written.value.refresh_interval.as_ref())?;
    for file in &written_files {
        let ending = Path::new(&file.value)
            .extension()
            .and_then(|ending| ending.to_str());
        if !matches!(
            ending,
            Some("json" | "yml" | "yaml" | "JSON" | "YML" | "YAML")
        ) {
            return Err(Fault::at(
                file,
                format!("{:?} is no path of a discovery file", file.value),
            ));
        }
    }
    let files = paths(written_files, folder, "discovery file")?;
    if files.is_empty() {
        let place = At {
            value: (),
            referenced: written.referenced,
            defined: written.defined,
        };
        return Err(Fault::at(&place, "file_sd_configs has no files"));
    }
    Ok(FileDiscovery {
        files,
        refresh_ms: refresh.unwrap_or(REFRESH_MS),
    })
}

fn alertmanager(written: yaml::Alertmanager) -> Result<Alertmanager, Fault> {
    http_only(written.scheme.as_ref())?;
    if let Some(version) = written
        .api_version
        .as_ref()
        .filter(|version| version.value != "v2")
    {
        return Err(Fault::at(
            version,
            format!("api_version: {:?} is not supported", version.value),
        ));
    }
    let groups = written.static_configs.unwrap_or_default();
    for group in &groups {
        has_addresses(group)?;
        if let Some(label) = group
            .labels
            .as_ref()
            .and_then(|labels| labels.values().next())
        {
            return Err(Fault::at(
                label,
                "labels of an Alertmanager are not supported",
            ));
        }
    }
    let timeout = interval("timeout", written.timeout.as_ref())?;
    let path_prefix = written
        .path_prefix
        .map_or(String::new(), |prefix| prefix.value);
    let path_prefix = path_prefix.trim_matches('/');
    Ok(Alertmanager {
        addresses: groups
            .into_iter()
            .flat_map(|group| group.targets.unwrap_or_default())
            .map(|target| target.value)
            .collect(),
        path_prefix: if path_prefix.is_empty() {
            String::new()
        } else {
            format!("/{path_prefix}")
        },
        timeout_ms: timeout.unwrap_or(ALERTMANAGER_TIMEOUT_MS),
    })
}

fn http_only(scheme: Option<&At<String>>) -> Result<(), Fault> {
    match scheme {
        Some(scheme) if scheme.value != "http" => Err(Fault::at(
            scheme,
            format!("scheme: {:?} is not supported", scheme.value),
        )),
        _ => Ok(()),
    }
}

/// An address has no path: a URL in its place is a mistake that would only show when nothing is scraped.
fn has_addresses(group: &yaml::Group) -> Result<(), Fault> {
    let mut targets = group.targets.iter().flatten();
    match targets.find(|target| target.value.contains('/')) {
        Some(target) => Err(Fault::at(
            target,
            format!("{:?} is no address of a target", target.value),
        )),
        None => Ok(()),
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::OpenMetrics1_0_0 => "OpenMetricsText1.0.0",
            Self::OpenMetrics0_0_1 => "OpenMetricsText0.0.1",
            Self::Text1_0_0 => "PrometheusText1.0.0",
            Self::Text0_0_4 => "PrometheusText0.0.4",
        }
    }
}
