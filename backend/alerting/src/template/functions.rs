//! The functions of templates.

use promql::Value as Answer;
use tsdb::{Labels, duration};

use super::expand::Value;
use super::numbers::{
    general, humanize, humanize_1024, humanize_duration, humanize_percentage, humanize_timestamp,
};
use super::pattern::{pattern, replace_all};
use super::{Scope, check_length};

/// Elements of a query's result that a template sees.
const ELEMENTS_MAX: usize = 10_000;

/// Names, and how many arguments each takes, the one from the pipeline included.
const FUNCTIONS: [(&str, usize, usize); 36] = [
    ("and", 1, 100),
    ("eq", 2, 100),
    ("externalURL", 0, 0),
    ("first", 1, 1),
    ("ge", 2, 2),
    ("gt", 2, 2),
    ("humanize", 1, 1),
    ("humanize1024", 1, 1),
    ("humanizeDuration", 1, 1),
    ("humanizePercentage", 1, 1),
    ("humanizeTimestamp", 1, 1),
    ("index", 1, 100),
    ("label", 2, 2),
    ("le", 2, 2),
    ("len", 1, 1),
    ("lt", 2, 2),
    ("match", 2, 2),
    ("ne", 2, 2),
    ("not", 1, 1),
    ("or", 1, 100),
    ("parseDuration", 1, 1),
    ("pathPrefix", 0, 0),
    ("print", 0, 100),
    ("printf", 1, 100),
    ("println", 0, 100),
    ("query", 1, 1),
    ("reReplaceAll", 3, 3),
    ("sortByLabel", 2, 2),
    ("stripDomain", 1, 1),
    ("stripPort", 1, 1),
    ("strvalue", 1, 1),
    ("title", 1, 1),
    ("toLower", 1, 1),
    ("toUpper", 1, 1),
    ("urlQueryEscape", 1, 1),
    ("value", 1, 1),
];

pub(super) fn is_known(name: &str) -> bool {
    FUNCTIONS.iter().any(|(known, ..)| *known == name)
}

/// `given` are those in the call; the pipeline may bring one more.
pub(super) fn check_count(name: &str, given: usize) -> Result<(), String> {
    let Some((_, min, max)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
        return Err(format!("function {name:?} not defined"));
    };
    match (min.saturating_sub(1)..=*max).contains(&given) {
        true => Ok(()),
        false => Err(format!(
            "wrong number of args for {name}: want {min} got {given}"
        )),
    }
}

pub(super) fn call(name: &str, arguments: Vec<Value>, scope: &Scope<'_>) -> Result<Value, String> {
    let known = FUNCTIONS.iter().find(|(known, ..)| *known == name);
    let (min, max) = known.map_or((0, 0), |(_, min, max)| (*min, *max));
    if !(min..=max).contains(&arguments.len()) {
        return Err(format!(
            "wrong number of args for {name}: want {min} got {}",
            arguments.len()
        ));
    }
    let text = |at: usize| arguments[at].text();
    Ok(match name {
        "and" | "or" => chosen(name == "and", arguments),
        "not" => Value::Bool(!arguments[0].is_true()),
        "eq" => Value::Bool(arguments[1..].iter().any(|value| *value == arguments[0])),
        "ne" => Value::Bool(arguments[0] != arguments[1]),
        "lt" | "le" | "gt" | "ge" => Value::Bool(compare(name, &arguments[0], &arguments[1])?),
        "len" => Value::Number(length(&arguments[0])?),
        "index" => {
            let (value, keys) = (arguments[0].clone(), &arguments[1..]);
            keys.iter().try_fold(value, index)?
        }
        "match" => Value::Bool(pattern(&text(0))?.is_match(&text(1))),
        "parseDuration" => {
            let parsed = duration::parse(&text(0)).map_err(|error| error.to_string())?;
            Value::Number(parsed as f64 / 1e3)
        }
        "externalURL" => Value::Text(scope.with.external_url.to_owned()),
        "pathPrefix" => Value::Text(path_of(scope.with.external_url)),
        "query" => query(&text(0), scope)?,
        "first" => first(&arguments[0])?,
        "value" => Value::Number(sample(&arguments[0])?.1),
        "strvalue" => Value::Text(sample(&arguments[0])?.0.get("__value__").to_owned()),
        "label" => Value::Text(sample(&arguments[1])?.0.get(&text(0)).to_owned()),
        "sortByLabel" => sort_by_label(&text(0), &arguments[1])?,
        _ => {
            let text = written(name, &arguments)?;
            check_length(&text)?;
            Value::Text(text)
        }
    })
}

/// The functions that give a text.
fn written(name: &str, arguments: &[Value]) -> Result<String, String> {
    let number = |at: usize| number(&arguments[at]);
    let text = |at: usize| arguments[at].text();
    let all = || {
        arguments
            .iter()
            .map(Value::text)
            .collect::<Vec<_>>()
            .join(" ")
    };
    Ok(match name {
        "print" => all(),
        "println" => all() + "\n",
        "printf" => printf(&text(0), &arguments[1..])?,
        "humanize" => humanize(number(0)?),
        "humanize1024" => humanize_1024(number(0)?),
        "humanizeDuration" => humanize_duration(number(0)?),
        "humanizePercentage" => humanize_percentage(number(0)?),
        "humanizeTimestamp" => humanize_timestamp(number(0)?)?,
        "title" => title(&text(0)),
        "toLower" => text(0).to_lowercase(),
        "toUpper" => text(0).to_uppercase(),
        // Patterns are looked for anywhere, and the text comes last, out of the pipeline.
        "reReplaceAll" => replace_all(&pattern(&text(0))?, &text(2), &text(1))?,
        "stripPort" => strip_port(&text(0)),
        "stripDomain" => strip_domain(&text(0)),
        "urlQueryEscape" => url_escape(&text(0)),
        _ => return Err(format!("function {name:?} not defined")),
    })
}

fn first(value: &Value) -> Result<Value, String> {
    let Value::List(values) = value else {
        return Err("first() needs the result of a query".to_owned());
    };
    let first = values.first().cloned();
    first.ok_or_else(|| "first() called on vector with no elements".to_owned())
}

/// The first that decides, or the last.
fn chosen(is_and: bool, arguments: Vec<Value>) -> Value {
    let last = arguments.last().cloned().unwrap_or(Value::Nil);
    arguments
        .into_iter()
        .find(|value| value.is_true() != is_and)
        .unwrap_or(last)
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Text(text) => text
            .parse()
            .map_err(|_| format!("can't convert {text:?} to float")),
        _ => Err("can't convert that to float".to_owned()),
    }
}

fn compare(name: &str, left: &Value, right: &Value) -> Result<bool, String> {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(order.is_some_and(|order| match name {
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn length(value: &Value) -> Result<f64, String> {
    match value {
        Value::Text(text) => Ok(text.len() as f64),
        Value::List(values) => Ok(values.len() as f64),
        Value::Labels(labels) => Ok(labels.iter().len() as f64),
        _ => Err("len of that is not defined".to_owned()),
    }
}

fn index(value: Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Labels(labels), Value::Text(name)) => Ok(Value::Text(labels.get(name).to_owned())),
        (Value::List(values), Value::Number(at)) if *at >= 0.0 => values
            .into_iter()
            .nth(*at as usize)
            .ok_or_else(|| "index out of range".to_owned()),
        _ => Err("can't index that".to_owned()),
    }
}

fn sample(value: &Value) -> Result<(&Labels, f64), String> {
    match value {
        Value::Sample(labels, value) => Ok((labels, *value)),
        _ => Err("an element of a query's result is needed".to_owned()),
    }
}

fn sort_by_label(name: &str, value: &Value) -> Result<Value, String> {
    let Value::List(values) = value else {
        return Err("sortByLabel needs the result of a query".to_owned());
    };
    let mut values = values.clone();
    values.sort_by_key(|value| {
        sample(value)
            .map(|(labels, _)| labels.get(name).to_owned())
            .unwrap_or_default()
    });
    Ok(Value::List(values))
}

fn query(text: &str, scope: &Scope<'_>) -> Result<Value, String> {
    let expr = promql::parse(text).map_err(|error| error.to_string())?;
    let with = scope.with;
    let answer = with
        .engine
        .instant(with.source, &expr, scope.t_ms)
        .map_err(|error| error.to_string())?;
    match answer.value {
        Answer::Vector(vector) if vector.len() <= ELEMENTS_MAX => Ok(Value::List(
            vector
                .into_iter()
                .map(|(labels, sample)| Value::Sample(labels, sample.value))
                .collect(),
        )),
        Answer::Vector(_) => Err(format!("the query has more than {ELEMENTS_MAX} elements")),
        Answer::Scalar(sample) => Ok(Value::List(vec![Value::Sample(
            Labels::default(),
            sample.value,
        )])),
        Answer::String { text, .. } => Ok(Value::List(vec![Value::Sample(
            Labels::new([("__value__", text.as_str())]),
            0.0,
        )])),
        Answer::Matrix(_) => Err("query result is not a vector or scalar".to_owned()),
    }
}

/// `%s %v %q %d %f %e %g %t %%` with a width of digits after the point.
fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let (mut text, mut arguments) = (String::new(), arguments.iter());
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest
            .find(|c: char| c.is_alphabetic() || c == '%')
            .ok_or("%!(NOVERB)")?;
        let (flags, verb) = (&rest[..end], rest[end..].chars().next().unwrap_or('%'));
        rest = &rest[end + verb.len_utf8()..];
        if verb == '%' {
            text.push('%');
            continue;
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("%!{verb}(MISSING)"))?;
        text.push_str(&verb_text(verb, flags, value)?);
    }
    text.push_str(rest);
    Ok(text)
}

fn verb_text(verb: char, flags: &str, value: &Value) -> Result<String, String> {
    let digits = match flags.split_once('.') {
        Some(("", digits)) => Some(
            digits
                .parse::<usize>()
                .ok()
                .filter(|digits| *digits <= 100)
                .ok_or("bad precision")?,
        ),
        None if flags.is_empty() => None,
        _ => return Err(format!("printf flags {flags:?} are not supported")),
    };
    Ok(match verb {
        's' | 'v' => value.text(),
        't' => value.is_true().to_string(),
        'q' => format!("{:?}", value.text()),
        'd' => format!("{}", number(value)? as i64),
        'f' => format!("{:.*}", digits.unwrap_or(6), number(value)?),
        'g' => general(number(value)?, digits),
        _ => return Err(format!("printf %{verb} is not supported")),
    })
}

/// Each word with a capital.
fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .flat_map(|c| {
            let is_first = !before.is_alphanumeric() && before != '_' && before != '\'';
            before = c;
            if is_first {
                c.to_uppercase().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

fn strip_port(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') || host.ends_with(']') => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned(),
        _ => text.to_owned(),
    }
}

fn strip_domain(text: &str) -> String {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    };
    let host = match host.parse::<std::net::IpAddr>() {
        Ok(_) => host,
        Err(_) => host.split('.').next().unwrap_or(host),
    };
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// As in the query of a URL.
pub(crate) fn url_escape(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        b' ' => "+".to_owned(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn path_of(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme
        .find('/')
        .map_or(String::new(), |at| after_scheme[at..].to_owned())
}
