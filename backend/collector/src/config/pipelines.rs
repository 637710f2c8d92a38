//! The pipelines of traces: one with a sampler, or two that a filter splits into on-time and late spans. Refuses whatever
//! else would stand between a received span and its decision.

use std::{collections::BTreeSet, time::Duration};

use crate::policy::Policies;

use super::{
    Config, ConfigError, LateMark,
    document::Node,
    option::{Section, Setting},
    policies,
};

/// The Collector's own, for options that are left out.
const DECISION_WAIT_DEFAULT: Duration = Duration::from_secs(30);
const NUM_TRACES_DEFAULT: u64 = 50_000;

/// Each undecided trace has an entry in memory.
const NUM_TRACES_MAX: u64 = 100_000_000;
const CACHE_SIZE_MAX: u64 = 1_000_000_000;

/// A trace is held in memory for so long.
const DECISION_WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Processors that decide nothing about a span that was accepted.
const TRANSPORT: [&str; 2] = ["memory_limiter", "batch"];

const PROCESSORS: &str = "memory_limiter, batch, filter, tail_sampling";

/// One pipeline of traces.
struct Pipeline<'a> {
    setting: Setting<'a>,
    receivers: BTreeSet<&'a str>,
    filter: Option<Filter<'a>>,
    sampler: Sampler<'a>,
}

/// Lets pass the spans on which `key` is (`late`) or is not (otherwise) `true`.
struct Filter<'a> {
    setting: Setting<'a>,
    key: &'a str,
    late: bool,
}

struct Sampler<'a> {
    setting: Setting<'a>,
    limits: Limits,
    policies: Policies,
}

/// What both samplers must have in common: they are one state machine here.
#[derive(PartialEq, Eq)]
struct Limits {
    decision_wait: Duration,
    num_traces: usize,
    sampled_cache_size: usize,
    non_sampled_cache_size: usize,
    trace_bytes_max: Option<u64>,
}

/// Reads a document whose references are resolved.
pub(super) fn read(document: &Node) -> Result<Config, ConfigError> {
    let file = Setting::root(document).section()?;
    file.only(
        "a configuration file",
        &[
            "connectors",
            "exporters",
            "extensions",
            "processors",
            "receivers",
            "service",
        ],
    )?;
    let service = file.required("service")?.section()?;
    service.only("the service", &["extensions", "pipelines", "telemetry"])?;
    let setting = service.required("pipelines")?;
    let pipelines: Vec<_> = setting
        .section()?
        .iter()
        .map(|(id, pipeline)| Pipeline::read(id, &pipeline, &file))
        .collect::<Result<_, _>>()?;
    match <[Pipeline<'_>; 2]>::try_from(pipelines) {
        Ok([one, other]) => split(one, other),
        Err(mut pipelines) => match pipelines.pop() {
            Some(only) if pipelines.is_empty() => single(only),
            _ => Err(setting
                .error("one pipeline of traces must stand here, or two that a filter splits")),
        },
    }
}

fn single(pipeline: Pipeline<'_>) -> Result<Config, ConfigError> {
    if let Some(filter) = pipeline.filter {
        return Err(filter
            .setting
            .error("a filter is only supported where it splits two pipelines"));
    }
    let Sampler {
        limits, policies, ..
    } = pipeline.sampler;
    Ok(limits.config(policies.clone(), policies, None))
}

fn split(one: Pipeline<'_>, other: Pipeline<'_>) -> Result<Config, ConfigError> {
    let filter = |pipeline: &Pipeline<'_>| {
        pipeline
            .filter
            .as_ref()
            .map(|filter| (filter.key.to_owned(), filter.late))
    };
    let (ontime, late) = match (filter(&one), filter(&other)) {
        (Some((one_key, false)), Some((other_key, true))) if one_key == other_key => (one, other),
        (Some((one_key, true)), Some((other_key, false))) if one_key == other_key => (other, one),
        _ => {
            let reason = "two pipelines need a filter each: attributes[\"KEY\"] == true in one, and != true of the same KEY in the other";
            return Err(other.setting.error(reason));
        }
    };
    if ontime.receivers != late.receivers {
        return Err(late
            .setting
            .error("both pipelines must have the same receivers"));
    }
    if ontime.sampler.limits != late.sampler.limits {
        let reason = "decision_wait, num_traces, decision_cache and maximum_trace_size_bytes must be those of the other sampler";
        return Err(late.sampler.setting.error(reason));
    }
    let mark = late.filter.map(|filter| LateMark::new(filter.key));
    Ok(ontime
        .sampler
        .limits
        .config(ontime.sampler.policies, late.sampler.policies, mark))
}

impl<'a> Pipeline<'a> {
    fn read(id: &str, setting: &Setting<'a>, file: &Section<'a>) -> Result<Self, ConfigError> {
        if kind(id) != "traces" {
            return Err(setting.error("only pipelines of traces are supported"));
        }
        let pipeline = setting.section()?;
        pipeline.only("a pipeline", &["exporters", "processors", "receivers"])?;
        let connectors = file.section("connectors")?;
        for end in ["receivers", "exporters"] {
            for id in pipeline.required(end)?.list()? {
                if connectors.get(id.text()?).is_some() {
                    return Err(id.error("a connector is not supported"));
                }
            }
        }
        let (filter, sampler) = processors(
            &pipeline.required("processors")?,
            &file.section("processors")?,
        )?;
        let receivers = pipeline
            .required("receivers")?
            .texts()?
            .into_iter()
            .collect();
        Ok(Self {
            setting: setting.clone(),
            receivers,
            filter,
            sampler,
        })
    }
}

/// Reads the processors of one pipeline, in their order.
fn processors<'a>(
    ids: &Setting<'a>,
    defined: &Section<'a>,
) -> Result<(Option<Filter<'a>>, Sampler<'a>), ConfigError> {
    let (mut filter, mut sampler) = (None, None);
    for id in ids.list()? {
        let name = id.text()?;
        let processor = defined
            .get(name)
            .ok_or_else(|| id.error(format!("{name} is not defined")))?;
        match kind(name) {
            transport if TRANSPORT.contains(&transport) => {}
            "filter" if filter.is_none() && sampler.is_none() => {
                filter = Some(Filter::read(&processor)?)
            }
            "filter" => {
                return Err(id.error("only one filter is supported, in front of tail_sampling"));
            }
            "tail_sampling" if sampler.is_none() => sampler = Some(Sampler::read(&processor)?),
            "tail_sampling" => return Err(id.error("only one tail_sampling is supported")),
            other => {
                return Err(id.error(format!(
                    "a processor of type {other} is not supported; supported: {PROCESSORS}"
                )));
            }
        }
    }
    let sampler = sampler.ok_or_else(|| ids.error("a tail_sampling processor must stand here"))?;
    Ok((filter, sampler))
}

impl<'a> Filter<'a> {
    /// `error_mode` is accepted: a comparison with `true` has no errors.
    fn read(setting: &Setting<'a>) -> Result<Self, ConfigError> {
        let section = setting.section()?;
        section.only("a filter", &["error_mode", "traces"])?;
        let traces = section.required("traces")?.section()?;
        traces.only("a filter of traces", &["span"])?;
        let conditions = traces.required("span")?;
        let Ok([condition]) = <[Setting<'a>; 1]>::try_from(conditions.list()?) else {
            return Err(conditions.error("one condition must stand here"));
        };
        let (key, drops_late) = comparison(condition.text()?).ok_or_else(|| {
            condition.error("is not supported; supported: attributes[\"KEY\"] == true and attributes[\"KEY\"] != true")
        })?;
        Ok(Self {
            setting: setting.clone(),
            key,
            late: !drops_late,
        })
    }
}

/// The attribute that is compared with `true`, and whether to be equal or not.
fn comparison(condition: &str) -> Option<(&str, bool)> {
    let (key, rest) = condition
        .trim()
        .strip_prefix("attributes[\"")?
        .split_once("\"]")?;
    let rest = rest.trim_start();
    let (equal, operand) = rest
        .strip_prefix("==")
        .map(|operand| (true, operand))
        .or_else(|| Some((false, rest.strip_prefix("!=")?)))?;
    let plain = !key.is_empty() && !key.contains(['"', '\\']);
    (plain && operand.trim() == "true").then_some((key, equal))
}

impl<'a> Sampler<'a> {
    /// What is only about the time or memory that the Collector takes is accepted: its event loops, its first allocation, and
    /// whether an overflow blocks it. Here an overflow decides the oldest traces early, by the same policies.
    fn read(setting: &Setting<'a>) -> Result<Self, ConfigError> {
        let section = setting.section()?;
        let supported = [
            "block_on_overflow",
            "decision_cache",
            "decision_wait",
            "expected_new_traces_per_sec",
            "maximum_trace_size_bytes",
            "num_shards",
            "num_traces",
            "policies",
        ];
        for (key, option) in section.iter().filter(|(key, _)| !supported.contains(key)) {
            let default = match key {
                "decision_wait_after_root_received" => option.duration()?.is_zero(),
                "drop_pending_traces_on_shutdown" | "sample_on_first_match" => !option.flag()?,
                "sampling_strategy" => option.text()? == "trace-complete",
                _ => false,
            };
            if !default {
                let supported = supported.join(", ");
                return Err(option.error(format!(
                    "is not supported in tail_sampling like this; supported: {supported}"
                )));
            }
        }
        let policies = policies::read(&section.required("policies")?)?;
        Ok(Self {
            setting: setting.clone(),
            limits: Limits::read(&section)?,
            policies,
        })
    }
}

impl Limits {
    fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let caches = section.section("decision_cache")?;
        caches.only(
            "decision_cache",
            &["non_sampled_cache_size", "sampled_cache_size"],
        )?;
        let decision_wait =
            section
                .get("decision_wait")
                .map_or(Ok(DECISION_WAIT_DEFAULT), |wait| {
                    let duration = wait.duration()?;
                    if duration > DECISION_WAIT_MAX {
                        Err(wait.error("is more than a day"))
                    } else {
                        Ok(duration)
                    }
                })?;
        let num_traces = count(section, "num_traces", NUM_TRACES_DEFAULT, NUM_TRACES_MAX)?;
        if num_traces == 0 {
            return Err(section
                .required("num_traces")?
                .error("0 traces cannot be sampled"));
        }
        let trace_bytes_max = section
            .get("maximum_trace_size_bytes")
            .map_or(Ok(0), |bytes| bytes.count())?;
        Ok(Self {
            decision_wait,
            num_traces,
            sampled_cache_size: count(&caches, "sampled_cache_size", 0, CACHE_SIZE_MAX)?,
            non_sampled_cache_size: count(&caches, "non_sampled_cache_size", 0, CACHE_SIZE_MAX)?,
            trace_bytes_max: Some(trace_bytes_max).filter(|bytes| *bytes > 0),
        })
    }

    fn config(self, ontime: Policies, late: Policies, late_mark: Option<LateMark>) -> Config {
        Config {
            decision_wait: self.decision_wait,
            ontime,
            late,
            late_mark,
            sampled_cache_size: self.sampled_cache_size,
            non_sampled_cache_size: self.non_sampled_cache_size,
            num_traces: self.num_traces,
            trace_bytes_max: self.trace_bytes_max,
        }
    }
}

fn count(section: &Section<'_>, key: &str, default: u64, max: u64) -> Result<usize, ConfigError> {
    let Some(setting) = section.get(key) else {
        return Ok(default as usize);
    };
    match setting.count()? {
        count if count <= max => Ok(count as usize),
        _ => Err(setting.error(format!("is more than {max}"))),
    }
}

/// The type of a component, which its id begins with.
fn kind(id: &str) -> &str {
    id.split_once('/').map_or(id, |(kind, _)| kind)
}
