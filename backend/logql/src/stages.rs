//! A pipeline made ready: its stages in the order in which they run, and one line through them.

pub(crate) mod ip;
mod json;
pub(crate) mod json_path;
pub(crate) mod json_text;
mod label_filter;
pub(crate) mod logfmt;
pub(crate) mod pattern;
pub(crate) mod template;

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use crate::{
    ast::{LabelFilter, LabelFormat, LabelValue, LineFilter, Named, Stage},
    hints::Filters,
    labels::{ERROR, ERROR_DETAILS, LineLabels, PRESERVE_ERROR, StageError},
    source::Hint,
};
use label_filter::passes_at_once;
use template::Template;

/// Control sequences of terminals (ECMA-48): an introducer, parameters, a final letter; and titles, which end with a bell.
static COLOURS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("(?:\u{1b}\\[|\u{9b})[0-?]*[ -/]*[@-~]|\u{1b}\\][^\u{7}]*\u{7}|\u{1b}[()][0-9A-Z]")
        .expect("the expression is constant")
});

/// Stages in the order in which they run.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Filters of the line as it is stored.
    first: Vec<LineFilter>,
    stages: Vec<Stage>,
}

impl Program {
    pub(crate) fn new(stages: &[Stage]) -> Self {
        let mut stages = reordered(stages);
        let first = match stages.first_mut() {
            Some(Stage::Lines(filters)) => std::mem::take(filters),
            _ => Vec::new(),
        };
        Self { first, stages }
    }

    /// The same for samples: formats of the line that nothing looks at afterwards are left out.
    pub(crate) fn for_samples(stages: &[Stage], counts_bytes: bool) -> Self {
        let is_reader = |stage: &Stage| {
            matches!(
                stage,
                Stage::Lines(_)
                    | Stage::Json(_)
                    | Stage::Logfmt(_)
                    | Stage::Regexp { .. }
                    | Stage::Pattern { .. }
                    | Stage::Unpack
            )
        };
        let last_reader = stages.iter().rposition(is_reader);
        let used = |(index, stage): &(usize, &Stage)| {
            counts_bytes
                || !matches!(stage, Stage::LineFormat(_))
                || last_reader.is_some_and(|last| last > *index)
        };
        let kept: Vec<Stage> = stages
            .iter()
            .enumerate()
            .filter(used)
            .map(|(_, stage)| stage.clone())
            .collect();
        Self::new(&kept)
    }

    /// Whether the line as it is stored passes the filters that come before everything else.
    pub(crate) fn takes(&self, line: &str) -> bool {
        self.first.iter().all(|filter| filter.holds(line))
    }

    /// What is left to do with a line that was taken; none when it is dropped on the way.
    pub(crate) fn run<'l>(
        &self,
        t_ns: i64,
        line: &'l str,
        labels: &mut LineLabels,
    ) -> Option<Cow<'l, str>> {
        let mut line = Cow::Borrowed(line);
        for stage in &self.stages {
            line = run_stage(stage, t_ns, line, labels)?;
        }
        Some(line)
    }

    /// The labels that stages look at.
    pub(crate) fn names(&self) -> Vec<Box<str>> {
        let mut names = Vec::new();
        for stage in &self.stages {
            match stage {
                Stage::Labels(filter) => filter.names(&mut names),
                Stage::LineFormat(template) => template.fields(&mut names),
                Stage::LabelFormat(formats) => {
                    for format in formats {
                        match &format.value {
                            LabelValue::Rename(source) => names.push(source.clone()),
                            LabelValue::Template(template) => template.fields(&mut names),
                        }
                    }
                }
                _ => {}
            }
        }
        names
    }

    /// Filters of one label each, these and one more.
    pub(crate) fn filters(&self, more: Option<&LabelFilter>) -> Filters {
        let of_stages = self.stages.iter().filter_map(|stage| match stage {
            Stage::Labels(filter) => Some(filter),
            _ => None,
        });
        let one = |filter: &LabelFilter| Some((filter.only_name()?.into(), filter.clone()));
        of_stages.chain(more).filter_map(one).collect()
    }

    /// What is true of every line that can pass.
    pub(crate) fn hints(&self) -> Vec<Hint> {
        let mut hints: Vec<Hint> = Vec::new();
        for filter in &self.first {
            hints.extend(filter.needle().map(|needle| Hint::Contains(needle.into())));
        }
        for stage in &self.stages {
            match stage {
                Stage::Labels(filter) => fields(filter, &mut hints),
                Stage::Lines(_) | Stage::LineFormat(_) | Stage::Decolorize => {}
                // Labels are what is stored only up to here.
                _ => break,
            }
        }
        hints
    }
}

/// The values that stored labels have to have.
fn fields(filter: &LabelFilter, hints: &mut Vec<Hint>) {
    match filter {
        LabelFilter::Text { matcher, .. } => {
            let tsdb::Match::Equal(value) = &matcher.matches else {
                return;
            };
            let name = &matcher.name;
            // A suffixed name may be of metadata that is stored without it.
            let special = &**name == ERROR
                || &**name == ERROR_DETAILS
                || name.ends_with(crate::labels::DUPLICATE_SUFFIX);
            if !value.is_empty() && !special {
                hints.push(Hint::Field {
                    name: name.clone(),
                    value: value.clone(),
                });
            }
        }
        LabelFilter::And(left, right) => {
            fields(left, hints);
            fields(right, hints);
        }
        _ => {}
    }
}

/// Line filters go to the front, up to a stage that changes the line or filters labels.
fn reordered(stages: &[Stage]) -> Vec<Stage> {
    let mut out: Vec<Stage> = Vec::with_capacity(stages.len());
    let (mut lines, mut others): (Vec<LineFilter>, Vec<Stage>) = Default::default();
    let mut flush = |lines: &mut Vec<LineFilter>, others: &mut Vec<Stage>| {
        if !lines.is_empty() {
            out.push(Stage::Lines(std::mem::take(lines)));
        }
        out.append(others);
    };
    for stage in stages {
        match stage {
            Stage::Lines(filters) => lines.extend(filters.iter().cloned()),
            Stage::Labels(_) => {
                flush(&mut lines, &mut others);
                others.push(stage.clone());
                flush(&mut lines, &mut others);
            }
            Stage::LineFormat(_) | Stage::Unpack => {
                others.push(stage.clone());
                flush(&mut lines, &mut others);
            }
            _ => others.push(stage.clone()),
        }
    }
    flush(&mut lines, &mut others);
    out
}

fn run_stage<'l>(
    stage: &Stage,
    t_ns: i64,
    line: Cow<'l, str>,
    labels: &mut LineLabels,
) -> Option<Cow<'l, str>> {
    let wanted = match stage {
        Stage::Lines(filters) => filters.iter().all(|filter| filter.holds(&line)),
        Stage::Json(parameters) if parameters.is_empty() => json::parse_all(&line, labels),
        Stage::Json(parameters) => {
            json::parse_parameters(&line, parameters, labels);
            true
        }
        Stage::Logfmt(logfmt) => logfmt::parse(&line, logfmt, labels),
        Stage::Regexp { regex, names, .. } => match regex.captures(line.as_bytes()) {
            None => true,
            Some(captures) => names.iter().all(|(index, name)| {
                let found = captures
                    .get(*index)
                    .map_or(&b""[..], |found| found.as_bytes());
                captured(name, &String::from_utf8_lossy(found), labels)
            }),
        },
        Stage::Pattern { .. } if labels.hints.nothing_wanted() => true,
        Stage::Pattern { pattern, .. } => {
            let found = pattern.captures(&line);
            found
                .iter()
                .all(|(name, value)| captured(name, value, labels))
        }
        Stage::Unpack => return json::unpack(line, labels),
        Stage::Labels(filter) => filter.holds(labels),
        Stage::LineFormat(template) => return Some(formatted(template, t_ns, line, labels)),
        Stage::LabelFormat(formats) => {
            format_labels(formats, t_ns, &line, labels);
            true
        }
        Stage::Decolorize => return Some(decolorized(line)),
        Stage::Drop(named) => {
            named.iter().for_each(|one| drop_label(one, labels));
            true
        }
        Stage::Keep(named) => {
            keep_labels(named, labels);
            true
        }
    };
    wanted.then_some(line)
}

/// Sets what an expression has captured. False when the line is not wanted.
fn captured(name: &str, value: &str, labels: &mut LineLabels) -> bool {
    let name = labels.free_name(name);
    if !labels.hints.wants(&name) {
        return true;
    }
    labels.set(name.clone(), value.into());
    passes_at_once(&name, labels)
}

fn formatted<'l>(
    template: &Template,
    t_ns: i64,
    line: Cow<'l, str>,
    labels: &mut LineLabels,
) -> Cow<'l, str> {
    if let Some(field) = template.simple_field() {
        return labels.get(field).unwrap_or_default().to_owned().into();
    }
    match template.render(t_ns, &line, labels) {
        Ok(text) => text.into(),
        Err(why) => {
            let why = format!("template: line: executing \"line\": {why}");
            labels.set_error(StageError::TemplateFormat, Some(&why));
            line
        }
    }
}

/// In their order; templates see the labels as they are when the first of them runs.
fn format_labels(formats: &[LabelFormat], t_ns: i64, line: &str, labels: &mut LineLabels) {
    let mut texts: Option<std::vec::IntoIter<Result<String, String>>> = None;
    for format in formats {
        match &format.value {
            LabelValue::Rename(source) => {
                if let Some(value) = labels.get(source).map(Into::into) {
                    labels.set(format.name.clone(), value);
                    labels.delete(source);
                }
            }
            LabelValue::Template(_) => {
                let texts = texts.get_or_insert_with(|| rendered(formats, t_ns, line, labels));
                match texts.next() {
                    Some(Ok(text)) => labels.set(format.name.clone(), text.into()),
                    Some(Err(why)) => {
                        let why = format!("template: label: executing \"label\": {why}");
                        labels.set_error(StageError::TemplateFormat, Some(&why));
                    }
                    None => {}
                }
            }
        }
    }
}

fn rendered(
    formats: &[LabelFormat],
    t_ns: i64,
    line: &str,
    labels: &LineLabels,
) -> std::vec::IntoIter<Result<String, String>> {
    let templates = formats.iter().filter_map(|format| match &format.value {
        LabelValue::Template(template) => Some(template.render(t_ns, line, labels)),
        LabelValue::Rename(_) => None,
    });
    templates.collect::<Vec<_>>().into_iter()
}

fn decolorized(line: Cow<'_, str>) -> Cow<'_, str> {
    match COLOURS.replace_all(&line, "") {
        Cow::Borrowed(_) => line,
        Cow::Owned(text) => text.into(),
    }
}

fn drop_label(named: &Named, labels: &mut LineLabels) {
    let (name, matches) = match named {
        Named::Name(name) => (name, None),
        Named::Condition(condition, matcher) => (&condition.name, Some(&matcher.matches)),
    };
    let holds = |value: &str| matches.is_none_or(|matches| matches.holds(value));
    match &**name {
        ERROR => {
            if holds(labels.value(ERROR)) {
                labels.clear_error();
            }
        }
        ERROR_DETAILS => {
            if holds(labels.details()) {
                labels.clear_details();
            }
        }
        name => {
            let value = labels.get(name);
            if matches.is_some() && holds(value.unwrap_or_default())
                || matches.is_none() && value.is_some()
            {
                labels.delete(name);
            }
        }
    }
}

fn keep_labels(named: &[Named], labels: &mut LineLabels) {
    let kept = |name: &str, value: &str| {
        matches!(name, ERROR | ERROR_DETAILS | PRESERVE_ERROR)
            || named.iter().any(|one| match one {
                Named::Name(wanted) => &**wanted == name,
                Named::Condition(condition, matcher) => {
                    &*condition.name == name && matcher.matches.holds(value)
                }
            })
    };
    let gone: Vec<Box<str>> = labels
        .iter()
        .filter(|(name, value)| !kept(name, value))
        .map(|(name, _)| name.into())
        .collect();
    gone.iter().for_each(|name| labels.delete(name));
}
