//! From the written file to one that can be run: values, names that must exist, names that must be unique. Each error names
//! the option by its path.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Config, ConfigError, InhibitRule, Receiver, duration, intervals, receivers,
    yaml::{self, At},
};
use crate::{
    interval::TimeInterval,
    matcher::{Matcher, Operator, parse_matchers},
    route::{GroupBy, RouteOptions, Routes},
};

/// Routes, receivers with their webhooks, inhibition rules and time intervals a file may have, of each kind.
const ITEMS_MAX: usize = 10_000;

/// Alertmanager's defaults.
const RESOLVE_TIMEOUT_MS: i64 = 300_000;
const GROUP_WAIT_MS: i64 = 30_000;
const GROUP_INTERVAL_MS: i64 = 300_000;
const REPEAT_INTERVAL_MS: i64 = 4 * 3_600_000;

/// Group by this name: by all labels.
const ALL: &str = "...";

pub(super) type Outcome<T> = Result<T, ConfigError>;
type Pairs = Option<BTreeMap<String, At<String>>>;

pub(super) fn config(file: &yaml::File, folder: &Path) -> Outcome<Config> {
    if let Some(template) = file.templates.iter().flatten().next() {
        return Err(error(template, "templates", "templates are not supported"));
    }
    let global = file.global.as_ref();
    let time_intervals = time_intervals(file)?;
    let receivers = receivers::read(file, folder)?;
    let Some(root) = &file.route else {
        return Err(missing("route", "no route is given"));
    };
    let inhibit_rules = file.inhibit_rules.iter().flatten().enumerate();
    let config = Config {
        resolve_timeout_ms: match global.and_then(|global| global.resolve_timeout.as_ref()) {
            Some(timeout) => milliseconds(timeout, "global.resolve_timeout")?,
            None => RESOLVE_TIMEOUT_MS,
        },
        routes: Tree::read(root, &receivers, &time_intervals)?,
        inhibit_rules: inhibit_rules.map(inhibit_rule).collect::<Outcome<_>>()?,
        receivers,
        time_intervals,
        shown: yaml::show(file),
    };
    let webhooks = config
        .receivers
        .iter()
        .map(|receiver| receiver.webhooks.len());
    let counts = [
        ("route", config.routes.iter().count()),
        (
            "receivers",
            config.receivers.len() + webhooks.sum::<usize>(),
        ),
        ("inhibit_rules", config.inhibit_rules.len()),
        ("time_intervals", config.time_intervals.len()),
    ];
    match counts.iter().find(|(_, count)| *count > ITEMS_MAX) {
        Some((option, _)) => Err(missing(option, &format!("more than {ITEMS_MAX} of them"))),
        None => Ok(config),
    }
}

pub(super) fn error<T>(at: &At<T>, option: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Option {
        line: at.referenced.line(),
        column: at.referenced.column(),
        option: option.to_owned(),
        reason: reason.into(),
    }
}

/// An error of the file as a whole.
fn missing(option: &str, reason: &str) -> ConfigError {
    ConfigError::Option {
        line: 1,
        column: 1,
        option: option.to_owned(),
        reason: reason.to_owned(),
    }
}

fn milliseconds(text: &At<String>, option: &str) -> Outcome<i64> {
    duration::prometheus(&text.value)
        .ok_or_else(|| error(text, option, format!("{:?} is not a duration", text.value)))
}

fn label_name(name: &At<String>, option: &str) -> Outcome<String> {
    if name.value.is_empty() {
        return Err(error(name, option, "a label name is not empty"));
    }
    Ok(name.value.clone())
}

fn time_intervals(file: &yaml::File) -> Outcome<Vec<(String, Vec<TimeInterval>)>> {
    let lists = [
        ("mute_time_intervals", &file.mute_time_intervals),
        ("time_intervals", &file.time_intervals),
    ];
    let mut known = BTreeSet::new();
    let mut named = Vec::new();
    for (list, items) in lists {
        for (index, item) in items.iter().flatten().enumerate() {
            let option = format!("{list}[{index}]");
            let name = &item.name.value;
            if name.is_empty() || !known.insert(name) {
                let reason = format!("{name:?} is not a name of its own");
                return Err(error(&item.name, &format!("{option}.name"), reason));
            }
            let parts = item.time_intervals.iter().flatten();
            let parts = parts.map(|part| intervals::read(part, &option));
            named.push((name.clone(), parts.collect::<Outcome<_>>()?));
        }
    }
    Ok(named)
}

fn inhibit_rule((index, rule): (usize, &yaml::InhibitRule)) -> Outcome<InhibitRule> {
    let option = |name: &str| format!("inhibit_rules[{index}].{name}");
    let equal = rule.equal.iter().flatten();
    Ok(InhibitRule {
        source: matchers(
            &rule.source_matchers,
            &rule.source_match,
            &rule.source_match_re,
            &option("source_"),
        )?,
        target: matchers(
            &rule.target_matchers,
            &rule.target_match,
            &rule.target_match_re,
            &option("target_"),
        )?,
        equal: equal
            .map(|name| label_name(name, &option("equal")))
            .collect::<Outcome<_>>()?,
    })
}

/// New and old ways of writing matchers, added up. `option` is their path up to `matchers`, `match` and `match_re`.
fn matchers(
    texts: &Option<Vec<At<String>>>,
    equal: &Pairs,
    regex: &Pairs,
    option: &str,
) -> Outcome<Vec<Matcher>> {
    let mut all = Vec::new();
    for text in texts.iter().flatten() {
        let parsed = parse_matchers(&text.value)
            .map_err(|wrong| error(text, &format!("{option}matchers"), wrong.to_string()))?;
        all.extend(parsed);
    }
    let pairs = [
        (equal, Operator::Equal, "match"),
        (regex, Operator::Regex, "match_re"),
    ];
    for (pairs, operator, suffix) in pairs {
        for (name, value) in pairs.iter().flatten() {
            let option = format!("{option}{suffix}.{name}");
            if !is_classic_name(name) {
                return Err(error(
                    value,
                    &option,
                    format!("{name:?} is not a label name"),
                ));
            }
            // The real one keeps the whole expression, which shows in the keys of groups.
            let whole = match operator {
                Operator::Regex => format!("^(?:{})$", value.value),
                _ => value.value.clone(),
            };
            let matcher = Matcher::new(name, operator, &whole)
                .map_err(|_| error(value, &option, "not a regular expression"))?;
            all.push(matcher);
        }
    }
    Ok(all)
}

fn is_classic_name(name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() && name.chars().all(is_name)
}

/// Reads the tree of routes.
struct Tree<'a> {
    receivers: &'a [Receiver],
    time_intervals: &'a [(String, Vec<TimeInterval>)],
    routes: Routes,
}

impl<'a> Tree<'a> {
    fn read(
        root: &At<yaml::Route>,
        receivers: &'a [Receiver],
        time_intervals: &'a [(String, Vec<TimeInterval>)],
    ) -> Outcome<Routes> {
        let written = &root.value;
        let wrong = |reason: &str| Err(error(root, "route", reason));
        if written
            .receiver
            .as_ref()
            .is_none_or(|name| name.value.is_empty())
        {
            return wrong("the root must have a receiver");
        }
        if written.matchers.iter().flatten().next().is_some()
            || written.equal.iter().flatten().next().is_some()
            || written.regex.iter().flatten().next().is_some()
        {
            return wrong("the root takes every alert and has no matchers");
        }
        if written
            .mute_time_intervals
            .iter()
            .flatten()
            .next()
            .is_some()
            || written
                .active_time_intervals
                .iter()
                .flatten()
                .next()
                .is_some()
        {
            return wrong("the root has no time intervals");
        }
        if written
            .goes_on
            .as_ref()
            .is_some_and(|goes_on| goes_on.value)
        {
            return wrong("the root has no continue");
        }
        let defaults = RouteOptions {
            receiver: String::new(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait_ms: GROUP_WAIT_MS,
            group_interval_ms: GROUP_INTERVAL_MS,
            repeat_interval_ms: REPEAT_INTERVAL_MS,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
        };
        let mut tree = Self {
            receivers,
            time_intervals,
            routes: Routes::new(defaults.clone()),
        };
        tree.routes = Routes::new(tree.options(written, &defaults, "route")?);
        tree.children(written, 0, "route")?;
        Ok(tree.routes)
    }

    fn children(&mut self, above: &yaml::Route, parent: usize, option: &str) -> Outcome<()> {
        for (index, child) in above.routes.iter().flatten().enumerate() {
            let option = format!("{option}.routes[{index}]");
            let written = &child.value;
            let options = self.routes.get(parent).options.clone();
            let options = self.options(written, &options, &option)?;
            let matchers = matchers(
                &written.matchers,
                &written.equal,
                &written.regex,
                &format!("{option}."),
            )?;
            let goes_on = written
                .goes_on
                .as_ref()
                .is_some_and(|goes_on| goes_on.value);
            let added = self.routes.add(parent, matchers, goes_on, options);
            self.children(written, added, &option)?;
        }
        Ok(())
    }

    fn options(
        &self,
        written: &yaml::Route,
        inherited: &RouteOptions,
        option: &str,
    ) -> Outcome<RouteOptions> {
        let duration = |text: &Option<At<String>>, inherited: i64, name: &str, zero: bool| {
            let Some(text) = text else {
                return Ok(inherited);
            };
            let option = format!("{option}.{name}");
            match milliseconds(text, &option)? {
                0 if !zero => Err(error(text, &option, "must not be zero")),
                milliseconds => Ok(milliseconds),
            }
        };
        Ok(RouteOptions {
            receiver: self.receiver(written, inherited, option)?,
            group_by: match &written.group_by {
                Some(names) => group_by(names, &format!("{option}.group_by"))?,
                None => inherited.group_by.clone(),
            },
            group_wait_ms: duration(
                &written.group_wait,
                inherited.group_wait_ms,
                "group_wait",
                true,
            )?,
            group_interval_ms: duration(
                &written.group_interval,
                inherited.group_interval_ms,
                "group_interval",
                false,
            )?,
            repeat_interval_ms: duration(
                &written.repeat_interval,
                inherited.repeat_interval_ms,
                "repeat_interval",
                false,
            )?,
            mute_time_intervals: self.intervals(
                &written.mute_time_intervals,
                &format!("{option}.mute_time_intervals"),
            )?,
            active_time_intervals: self.intervals(
                &written.active_time_intervals,
                &format!("{option}.active_time_intervals"),
            )?,
        })
    }

    fn receiver(
        &self,
        written: &yaml::Route,
        inherited: &RouteOptions,
        option: &str,
    ) -> Outcome<String> {
        let name = written
            .receiver
            .as_ref()
            .filter(|name| !name.value.is_empty());
        let Some(name) = name else {
            return Ok(inherited.receiver.clone());
        };
        if self.receivers.iter().all(|known| known.name != name.value) {
            let reason = format!("there is no receiver {:?}", name.value);
            return Err(error(name, &format!("{option}.receiver"), reason));
        }
        Ok(name.value.clone())
    }

    fn intervals(&self, names: &Option<Vec<At<String>>>, option: &str) -> Outcome<Vec<String>> {
        let names = names.iter().flatten();
        let name = |name: &At<String>| {
            let is_known = |(known, _): &(String, _)| *known == name.value;
            match self.time_intervals.iter().any(is_known) {
                true => Ok(name.value.clone()),
                false => Err(error(
                    name,
                    option,
                    format!("there is no time interval {:?}", name.value),
                )),
            }
        };
        names.map(name).collect()
    }
}

fn group_by(names: &[At<String>], option: &str) -> Outcome<GroupBy> {
    let mut labels = BTreeSet::new();
    let mut all = None;
    for name in names {
        if name.value == ALL {
            all = Some(name);
        } else if !labels.insert(label_name(name, option)?) {
            let reason = format!("{:?} stands here twice", name.value);
            return Err(error(name, option, reason));
        }
    }
    match all {
        Some(all) if !labels.is_empty() => {
            Err(error(all, option, "`...` stands alone or not at all"))
        }
        Some(_) => Ok(GroupBy::All),
        None => Ok(GroupBy::Labels(labels)),
    }
}
