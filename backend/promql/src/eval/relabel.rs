//! `label_replace` and `label_join`: series with changed labels.

use regex::Captures;

use super::matrix::Matrix;
use super::{Evaluator, Outcome, Steps, execution, wrong_type};
use crate::ast::{Kind, Node};
use crate::parse::compile_pattern;

impl Evaluator<'_> {
    /// `label_replace(vector, destination, replacement, source, pattern)`.
    pub(super) fn label_replace(&mut self, args: &[Node], steps: &Steps) -> Outcome<Matrix> {
        let [_, destination, replacement, source, pattern] = args else {
            return Err(wrong_type());
        };
        let (destination, replacement) = (text(destination)?, text(replacement)?);
        let (source, pattern) = (text(source)?, text(pattern)?);
        let regex = compile_pattern(pattern).map_err(|_| {
            execution(&format!(
                "invalid regular expression in label_replace(): {pattern}"
            ))
        })?;
        if destination.is_empty() {
            let message = "invalid destination label name in label_replace(): ";
            return Err(execution(message));
        }
        let mut matrix = self.vector(&args[0], steps)?;
        for metric in &mut matrix.metrics {
            let value = metric.get(source);
            if let Some(captures) = regex.captures(value) {
                let mut replaced = String::new();
                expand(&captures, replacement, &mut replaced);
                *metric = metric.with(&[(destination, &replaced)]);
            }
        }
        matrix.joined()
    }

    /// `label_join(vector, destination, separator, source…)`.
    pub(super) fn label_join(&mut self, args: &[Node], steps: &Steps) -> Outcome<Matrix> {
        let [_, destination, separator, sources @ ..] = args else {
            return Err(wrong_type());
        };
        let (destination, separator) = (text(destination)?, text(separator)?);
        let sources = sources.iter().map(text).collect::<Outcome<Vec<_>>>()?;
        if sources.iter().any(|source| source.is_empty()) {
            return Err(execution("invalid source label name in label_join(): "));
        }
        if destination.is_empty() {
            let message = "invalid destination label name in label_join(): ";
            return Err(execution(message));
        }
        let mut matrix = self.vector(&args[0], steps)?;
        for metric in &mut matrix.metrics {
            let values: Vec<&str> = sources.iter().map(|source| metric.get(source)).collect();
            let joined = values.join(separator);
            *metric = metric.with(&[(destination, &joined)]);
        }
        matrix.joined()
    }
}

/// Replaces `$1`, `$name` and `${name}` by what the groups of those names hold. A name is as long as it can be and may have
/// letters of any script; what is no reference stays, except its dollar sign when that is doubled.
fn expand(captures: &Captures<'_>, template: &str, out: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(after) {
            let group = match name.parse::<usize>() {
                Ok(number) => captures.get(number),
                Err(_) => captures.name(name),
            };
            out.push_str(group.map_or("", |group| group.as_str()));
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
}

/// The name that follows a dollar sign, and the text after it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{');
    let from = inside.unwrap_or(text);
    let end = from
        .find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(from.len());
    let (name, after) = from.split_at(end);
    if name.is_empty() {
        return None;
    }
    let after = if inside.is_some() {
        after.strip_prefix('}')?
    } else {
        after
    };
    Some((name, after))
}

/// The text of an argument that the check has found to be a string.
fn text(node: &Node) -> Outcome<&str> {
    match &node.bare().kind {
        Kind::Text(text) => Ok(text),
        _ => Err(wrong_type()),
    }
}
