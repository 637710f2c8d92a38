//! The functions that templates may call: Go's own, and those that Loki adds.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    OUTPUT_BYTES_MAX, calendar, decimal, evaluate::Evaluation, format, strings, value::Value,
};
use crate::units::{SECOND, parse_bytes, parse_go_duration, seconds};

type Answer = Result<Value, String>;

const NAMES: &[&str] = &[
    "and",
    "or",
    "not",
    "len",
    "index",
    "slice",
    "print",
    "println",
    "printf",
    "html",
    "js",
    "urlquery",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "ToLower",
    "ToUpper",
    "Replace",
    "Trim",
    "TrimLeft",
    "TrimRight",
    "TrimPrefix",
    "TrimSuffix",
    "TrimSpace",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "count",
    "urldecode",
    "urlencode",
    "bytes",
    "duration",
    "duration_seconds",
    "unixEpochMillis",
    "unixEpochNanos",
    "toDateInZone",
    "unixToTime",
    "alignLeft",
    "alignRight",
    "b64enc",
    "b64dec",
    "lower",
    "upper",
    "title",
    "trunc",
    "substr",
    "contains",
    "hasPrefix",
    "hasSuffix",
    "indent",
    "nindent",
    "replace",
    "repeat",
    "trim",
    "trimAll",
    "trimSuffix",
    "trimPrefix",
    "int",
    "float64",
    "add",
    "sub",
    "mul",
    "div",
    "mod",
    "addf",
    "subf",
    "mulf",
    "divf",
    "max",
    "min",
    "maxf",
    "minf",
    "ceil",
    "floor",
    "round",
    "fromJson",
    "date",
    "toDate",
    "now",
    "unixEpoch",
    "default",
    "__line__",
    "__timestamp__",
];

/// The function of this name.
pub(super) fn name(written: &str) -> Option<&'static str> {
    NAMES.iter().find(|name| **name == written).copied()
}

pub(super) fn call(name: &str, arguments: Vec<Value>, evaluation: &Evaluation<'_>) -> Answer {
    let arguments = Arguments(arguments);
    match name {
        "and" | "or" | "not" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" => logic(name, &arguments),
        "len" | "index" | "slice" | "default" | "fromJson" => of_any(name, &arguments),
        "print" | "println" | "printf" | "html" | "js" | "urlquery" => {
            printing(name, &arguments, evaluation)
        }
        "regexReplaceAll" | "regexReplaceAllLiteral" | "count" => {
            of_regex(name, &arguments, evaluation)
        }
        "unixEpochMillis" | "unixEpochNanos" | "toDateInZone" | "unixToTime" | "date"
        | "toDate" | "now" | "unixEpoch" => time(name, &arguments),
        "__line__" => arguments.none().map(|()| evaluation.line.into()),
        "__timestamp__" => arguments
            .none()
            .map(|()| Value::Time(calendar::from_ns(evaluation.t_ns))),
        "int" | "float64" | "add" | "sub" | "mul" | "div" | "mod" | "max" | "min" => {
            whole_numbers(name, &arguments)
        }
        "addf" | "subf" | "mulf" | "divf" | "maxf" | "minf" | "ceil" | "floor" | "round"
        | "bytes" | "duration" | "duration_seconds" => numbers(name, &arguments),
        _ => strings::call(name, &arguments),
    }
}

/// What a function is called with.
pub(super) struct Arguments(Vec<Value>);

impl Arguments {
    pub(super) fn none(&self) -> Result<(), String> {
        self.exactly(0)
    }

    pub(super) fn exactly(&self, count: usize) -> Result<(), String> {
        if self.0.len() == count {
            return Ok(());
        }
        Err(format!(
            "wrong number of args: want {count} got {}",
            self.0.len()
        ))
    }

    pub(super) fn at_least(&self, count: usize) -> Result<(), String> {
        if self.0.len() >= count {
            return Ok(());
        }
        Err(format!(
            "wrong number of args: want at least {count} got {}",
            self.0.len()
        ))
    }

    pub(super) fn get(&self, index: usize) -> Result<&Value, String> {
        self.0.get(index).ok_or_else(|| "missing argument".into())
    }

    pub(super) fn text(&self, index: usize) -> Result<&str, String> {
        match self.get(index)? {
            Value::Text(text) => Ok(text),
            other => Err(format!(
                "wrong type for value; expected string; got {}",
                other.kind()
            )),
        }
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, String> {
        match self.get(index)? {
            Value::Int(value) => Ok(*value),
            other => Err(format!(
                "wrong type for value; expected int; got {}",
                other.kind()
            )),
        }
    }

    fn floats(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(Value::to_float)
    }

    fn ints(&self) -> impl Iterator<Item = i64> {
        self.0.iter().map(Value::to_int)
    }
}

fn logic(name: &str, arguments: &Arguments) -> Answer {
    arguments.at_least(1)?;
    let first = arguments.get(0)?;
    let rest = &arguments.0[1..];
    let pair = || {
        arguments.exactly(2)?;
        first.compare(arguments.get(1)?)
    };
    Ok(match name {
        // What decides has been found before.
        "and" | "or" => arguments.0.last().cloned().unwrap_or(Value::Nil),
        "not" => Value::Bool(!first.is_true()),
        "eq" => {
            arguments.at_least(2)?;
            for other in rest {
                if first.equals(other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Value::Bool(false)
        }
        "ne" => Value::Bool(!first.equals(arguments.get(1)?)?),
        "lt" => Value::Bool(pair()? == Ordering::Less),
        "le" => Value::Bool(pair()? != Ordering::Greater),
        "gt" => Value::Bool(pair()? == Ordering::Greater),
        _ => Value::Bool(pair()? != Ordering::Less),
    })
}

fn of_any(name: &str, arguments: &Arguments) -> Answer {
    match name {
        "len" => {
            arguments.exactly(1)?;
            let length = match arguments.get(0)? {
                Value::Text(text) => text.len(),
                Value::List(list) => list.len(),
                Value::Map(map) => map.len(),
                other => return Err(format!("len of type {}", other.kind())),
            };
            Ok(Value::Int(length as i64))
        }
        "index" => {
            arguments.at_least(1)?;
            let mut value = arguments.get(0)?.clone();
            for index in &arguments.0[1..] {
                value = element(value, index)?;
            }
            Ok(value)
        }
        "slice" => {
            let text = arguments.text(0)?;
            let from = if arguments.0.len() > 1 {
                arguments.int(1)?
            } else {
                0
            };
            let to = match arguments.0.len() {
                0..=2 => text.len() as i64,
                _ => arguments.int(2)?,
            };
            let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            let part = range.and_then(|(from, to)| text.get(from..to));
            part.map(Into::into)
                .ok_or_else(|| format!("index out of range: {from}:{to}"))
        }
        "default" => {
            arguments.at_least(1)?;
            let given = arguments.0.get(1).filter(|value| value.is_true());
            Ok(given.unwrap_or(arguments.get(0)?).clone())
        }
        _ => {
            arguments.exactly(1)?;
            strings::from_json(arguments.text(0)?)
        }
    }
}

fn element(value: Value, index: &Value) -> Answer {
    match (value, index) {
        (Value::List(list), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| list.get(at).cloned())
            .ok_or_else(|| format!("index out of range: {at}")),
        (Value::Text(text), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| text.as_bytes().get(at))
            .map(|byte| Value::Int(i64::from(*byte)))
            .ok_or_else(|| format!("index out of range: {at}")),
        (Value::Map(mut map), Value::Text(key)) => Ok(map.remove(key).unwrap_or(Value::Nil)),
        (other, _) => Err(format!("can't index item of type {}", other.kind())),
    }
}

fn printing(name: &str, arguments: &Arguments, evaluation: &Evaluation<'_>) -> Answer {
    let shown = || arguments.0.iter().map(|value| evaluation.shown(value));
    let text = match name {
        "printf" => format::printf(arguments.text(0)?, &arguments.0[1..])?,
        "println" => shown().collect::<Vec<_>>().join(" ") + "\n",
        _ => {
            let mut text = String::new();
            for (index, value) in arguments.0.iter().enumerate() {
                // A space between two that are no texts.
                let is_text = |index: usize| matches!(arguments.0[index], Value::Text(_));
                if index > 0 && !is_text(index) && !is_text(index - 1) {
                    text.push(' ');
                }
                text.push_str(&evaluation.shown(value));
            }
            match name {
                "html" => strings::html(&text),
                "js" => strings::js(&text),
                "urlquery" => strings::url_encoded(&text),
                _ => text,
            }
        }
    };
    Ok(text.into())
}

fn of_regex(name: &str, arguments: &Arguments, evaluation: &Evaluation<'_>) -> Answer {
    let regex = evaluation.regex(arguments.text(0)?)?;
    let text = arguments.text(1)?;
    if name == "count" {
        arguments.exactly(2)?;
        return Ok(Value::Int(regex.find_iter(text).count() as i64));
    }
    arguments.exactly(3)?;
    let replacement = arguments.text(2)?;
    let replaced: Cow<'_, str> = if name == "regexReplaceAll" {
        regex.replace_all(text, replacement)
    } else {
        regex.replace_all(text, regex::NoExpand(replacement))
    };
    if replaced.len() > OUTPUT_BYTES_MAX {
        return Err(format!("the text is longer than {OUTPUT_BYTES_MAX} bytes"));
    }
    Ok(Value::Text(replaced.into()))
}

fn time(name: &str, arguments: &Arguments) -> Answer {
    let moment = |index: usize| match arguments.get(index)? {
        Value::Time(time) => Ok(time),
        other => Err(format!(
            "wrong type for value; expected time.Time; got {}",
            other.kind()
        )),
    };
    Ok(match name {
        "now" => Value::Time(calendar::now()),
        "unixEpoch" => moment(0)?.timestamp().as_second().to_string().into(),
        "unixEpochMillis" => moment(0)?.timestamp().as_millisecond().to_string().into(),
        "unixEpochNanos" => moment(0)?.timestamp().as_nanosecond().to_string().into(),
        "unixToTime" => Value::Time(calendar::from_epoch(arguments.text(0)?)?),
        "date" => {
            let time = match arguments.get(1)? {
                Value::Time(time) => time.clone(),
                Value::Int(seconds) => calendar::from_ns(seconds.saturating_mul(SECOND)),
                _ => calendar::now(),
            };
            calendar::format(arguments.text(0)?, &time).into()
        }
        "toDate" => Value::Time(calendar::parse(
            arguments.text(0)?,
            arguments.text(1)?,
            "UTC",
        )),
        _ => Value::Time(calendar::parse(
            arguments.text(0)?,
            arguments.text(2)?,
            arguments.text(1)?,
        )),
    })
}

fn whole_numbers(name: &str, arguments: &Arguments) -> Answer {
    arguments.at_least(1)?;
    let first = arguments.get(0)?;
    let second = || arguments.get(1).map(Value::to_int);
    let divided = |by: i64, divide: fn(i64, i64) -> i64| match by {
        0 => Err("runtime error: integer divide by zero".to_owned()),
        by => Ok(Value::Int(divide(first.to_int(), by))),
    };
    Ok(match name {
        "int" => Value::Int(first.to_int()),
        "float64" => Value::Float(first.to_float()),
        "add" => Value::Int(arguments.ints().fold(0, i64::wrapping_add)),
        "mul" => Value::Int(arguments.ints().fold(1, i64::wrapping_mul)),
        "sub" => Value::Int(first.to_int().wrapping_sub(second()?)),
        "div" => divided(second()?, i64::wrapping_div)?,
        "mod" => divided(second()?, i64::wrapping_rem)?,
        "max" => Value::Int(arguments.ints().max().unwrap_or_default()),
        _ => Value::Int(arguments.ints().min().unwrap_or_default()),
    })
}

fn numbers(name: &str, arguments: &Arguments) -> Answer {
    arguments.at_least(1)?;
    let first = arguments.get(0)?.to_float();
    let folded = |fold: fn(f64, f64) -> f64| {
        let rest = arguments.floats().skip(1);
        Value::Float(rest.fold(first, fold))
    };
    Ok(match name {
        "addf" => folded(decimal::add),
        "subf" => folded(decimal::sub),
        "mulf" => folded(decimal::mul),
        "divf" => {
            if arguments.floats().skip(1).any(|value| value == 0.0) {
                return Err("decimal division by 0".into());
            }
            folded(decimal::div)
        }
        "maxf" => folded(f64::max),
        "minf" => folded(f64::min),
        "ceil" => Value::Float(first.ceil()),
        "floor" => Value::Float(first.floor()),
        "round" => {
            let places = arguments.get(1)?.to_int();
            let places = i32::try_from(places).map_err(|_| "too many places")?;
            let limit = arguments.0.get(2).map_or(0.5, Value::to_float);
            let power = 10_f64.powi(places);
            let scaled = power * first;
            let up = scaled.fract() >= limit;
            let rounded = if up { scaled.ceil() } else { scaled.floor() };
            Value::Float(rounded / power)
        }
        "bytes" => Value::Float(parse_bytes(arguments.text(0)?)? as f64),
        _ => Value::Float(seconds(parse_go_duration(arguments.text(0)?)?)),
    })
}
