//! The policies of one `tail_sampling` processor: from options to conditions, with every value checked and every option
//! that is not supported refused.

use std::collections::HashSet;

use crate::policy::{Condition, Definition, Latency, Pattern, Policies, Probability, Test};

use super::{
    ConfigError,
    option::{Section, Setting},
};

const TYPES: &str = "always_sample, and, boolean_attribute, drop, latency, not, numeric_attribute, probabilistic, status_code, \
                     string_attribute";

/// Numbers of the status codes on the wire, by their names in the file.
const STATUS_CODES: [(&str, i32); 3] = [("UNSET", 0), ("OK", 1), ("ERROR", 2)];

/// Where a policy stands, which says what it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    /// Below `and` or `drop`.
    Part,
    /// Below `not`.
    Negated,
}

/// Reads the value of `policies`.
pub(super) fn read(setting: &Setting<'_>) -> Result<Policies, ConfigError> {
    let mut definitions = Vec::new();
    let mut names = HashSet::new();
    for policy in setting.list()? {
        let section = policy.section()?;
        let name_setting = section.required("name")?;
        let name = name_setting.text()?;
        if name.is_empty() || !names.insert(name) {
            return Err(name_setting.error(format!("{name:?} is not a name of its own")));
        }
        let drops = section.required("type")?.text()? == "drop";
        definitions.push(Definition {
            name: name.to_owned(),
            condition: condition(&section, Level::Top)?,
            drops,
        });
    }
    if definitions.is_empty() {
        return Err(setting.error("at least one policy must stand here"));
    }
    Policies::compile(definitions).map_err(|error| setting.error(error.to_string()))
}

/// The condition of a policy. Its options stand in a section named after its type.
fn condition(policy: &Section<'_>, level: Level) -> Result<Condition, ConfigError> {
    let type_setting = policy.required("type")?;
    let kind = type_setting.text()?;
    policy.only(&format!("a policy of type {kind}"), &["name", "type", kind])?;
    let options = policy.section(kind)?;
    let only = |supported: &[&str]| options.only(&format!("a policy of type {kind}"), supported);
    match (kind, level) {
        ("always_sample", _) => only(&[]).map(|()| Condition::Always),
        ("status_code", _) => only(&["status_codes"]).and_then(|()| status_code(&options)),
        ("latency", _) => {
            only(&["threshold_ms", "upper_threshold_ms"]).and_then(|()| latency(&options))
        }
        ("probabilistic", _) => {
            only(&["hash_salt", "sampling_percentage"]).and_then(|()| probabilistic(&options))
        }
        ("numeric_attribute", _) => only(&["key", "min_value", "max_value", "invert_match"])
            .and_then(|()| attribute(&options, numeric(&options)?)),
        ("boolean_attribute", _) => only(&["key", "value", "invert_match"])
            .and_then(|()| attribute(&options, Test::Bool(flag(&options, "value")?))),
        ("string_attribute", _) => only(&[
            "key",
            "values",
            "enabled_regex_matching",
            "cache_max_size",
            "invert_match",
        ])
        .and_then(|()| attribute(&options, string(&options)?)),
        ("and", Level::Top) => {
            only(&["and_sub_policy"]).and_then(|()| all(&options.required("and_sub_policy")?))
        }
        ("drop", Level::Top) => {
            only(&["drop_sub_policy"]).and_then(|()| all(&options.required("drop_sub_policy")?))
        }
        ("not", Level::Top | Level::Part) => only(&["not_sub_policy"]).and_then(|()| {
            let negated = condition(
                &options.required("not_sub_policy")?.section()?,
                Level::Negated,
            )?;
            Ok(Condition::Not(Box::new(negated)))
        }),
        ("and" | "drop" | "not", _) => Err(type_setting.error(format!(
            "a policy of type {kind} cannot stand inside this one"
        ))),
        _ => Err(type_setting.error(format!(
            "a policy of type {kind} is not supported; supported: {TYPES}"
        ))),
    }
}

/// Conditions that must all hold. The Collector takes an empty list as one that always does; that is never meant.
fn all(parts: &Setting<'_>) -> Result<Condition, ConfigError> {
    let conditions: Vec<_> = parts
        .list()?
        .iter()
        .map(|part| condition(&part.section()?, Level::Part))
        .collect::<Result<_, _>>()?;
    if conditions.is_empty() {
        return Err(parts.error("at least one policy must stand here"));
    }
    Ok(Condition::All(conditions))
}

fn status_code(options: &Section<'_>) -> Result<Condition, ConfigError> {
    let names = options.required("status_codes")?;
    let code = |name: Setting<'_>| {
        let text = name.text()?;
        let known = STATUS_CODES.iter().find(|(known, _)| *known == text);
        known.map(|(_, code)| *code).ok_or_else(|| {
            name.error(format!(
                "{text:?} is not a status code; supported: UNSET, OK, ERROR"
            ))
        })
    };
    let codes: Vec<_> = names
        .list()?
        .into_iter()
        .map(code)
        .collect::<Result<_, _>>()?;
    if codes.is_empty() {
        return Err(names.error("at least one status code must stand here"));
    }
    Ok(Condition::Status(codes))
}

/// An upper threshold of 0 is none.
fn latency(options: &Section<'_>) -> Result<Condition, ConfigError> {
    let up_to_ms = match int(options, "upper_threshold_ms")? {
        0 => i64::MAX,
        upper => upper,
    };
    Ok(Condition::Latency(Latency {
        above_ms: int(options, "threshold_ms")?,
        up_to_ms,
    }))
}

fn probabilistic(options: &Section<'_>) -> Result<Condition, ConfigError> {
    let salt = options
        .get("hash_salt")
        .map_or(Ok(""), |salt| salt.text())?;
    let percentage = options
        .get("sampling_percentage")
        .map_or(Ok(0.0), |percentage| percentage.number())?;
    Ok(Condition::Probability(Probability::new(salt, percentage)))
}

/// The Collector takes a bound of 0 as none.
fn numeric(options: &Section<'_>) -> Result<Test, ConfigError> {
    let bound = |key| Ok(Some(int(options, key)?).filter(|bound| *bound != 0));
    match (bound("min_value")?, bound("max_value")?) {
        (None, None) => Err(options
            .setting
            .error("min_value or max_value must be set, and not to 0, which is no bound")),
        (min, max) => Ok(Test::Int {
            min: min.unwrap_or(i64::MIN),
            max: max.unwrap_or(i64::MAX),
        }),
    }
}

/// `cache_max_size` is accepted: it is about the time a match takes, which is short here without a cache.
fn string(options: &Section<'_>) -> Result<Test, ConfigError> {
    let values = options.required("values")?;
    if let Some(size) = options.get("cache_max_size") {
        size.int()?;
    }
    if !flag(options, "enabled_regex_matching")? {
        return Ok(Test::OneOf(
            values.texts()?.into_iter().map(str::to_owned).collect(),
        ));
    }
    let pattern = |value: Setting<'_>| {
        let text = value.text()?;
        Pattern::new(text)
            .map_err(|error| value.error(format!("{text:?} is not a regular expression: {error}")))
    };
    Ok(Test::Pattern(
        values
            .list()?
            .into_iter()
            .map(pattern)
            .collect::<Result<_, _>>()?,
    ))
}

fn attribute(options: &Section<'_>, test: Test) -> Result<Condition, ConfigError> {
    let key = options.required("key")?.text()?.to_owned();
    let condition = Condition::Attribute(key, test);
    Ok(if flag(options, "invert_match")? {
        Condition::Not(Box::new(condition))
    } else {
        condition
    })
}

fn int(options: &Section<'_>, key: &str) -> Result<i64, ConfigError> {
    options.get(key).map_or(Ok(0), |value| value.int())
}

fn flag(options: &Section<'_>, key: &str) -> Result<bool, ConfigError> {
    options.get(key).map_or(Ok(false), |value| value.flag())
}
