//! Rule files, as Prometheus reads them: what is not understood is an error with its file, line and rule.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::{
    fs,
    io::{self, Read},
};

use promql::Expr;
use serde::Deserialize;
use serde_saphyr::Spanned;
use tsdb::{Labels, duration};

use crate::labels::is_label_name;
use crate::template::Template;

/// A longer file is refused.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The groups of one file.
#[derive(Debug)]
pub struct RuleFile {
    pub path: PathBuf,
    pub(crate) groups: Vec<GroupSpec>,
}

/// Why a file cannot be used. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    /// Not YAML, or an option that does not exist or has another type. The text names line and column.
    #[error("{}: {text}", path.display())]
    Syntax { path: PathBuf, text: String },
    #[error("{}: {line}:{column}: {what}", path.display())]
    Rule {
        path: PathBuf,
        line: u64,
        column: u64,
        what: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct GroupSpec {
    pub(crate) name: String,
    /// `None`: the global evaluation interval.
    pub(crate) interval_ms: Option<i64>,
    pub(crate) query_offset_ms: i64,
    /// Results of one rule, at most; 0 for any number.
    pub(crate) limit: usize,
    pub(crate) rules: Vec<RuleSpec>,
}

#[derive(Clone, Debug)]
pub(crate) struct RuleSpec {
    pub(crate) name: String,
    pub(crate) expr: Expr,
    /// With those of the group; templates in alerts.
    pub(crate) labels: Vec<(String, Template)>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Recording,
    Alerting {
        hold_ms: i64,
        keep_firing_ms: i64,
        annotations: Vec<(String, Template)>,
    },
}

impl RuleSpec {
    /// The labels as they are written, for the API and for finding the rule again after a reload.
    pub(crate) fn written_labels(&self) -> Labels {
        Labels::new(
            self.labels
                .iter()
                .map(|(name, text)| (name.as_str(), text.source())),
        )
    }
}

impl RuleFile {
    /// # Errors
    /// See [`FileError`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        match read_bounded(path) {
            Ok(Some(text)) => Self::parse(path, &text),
            Ok(None) => Err(FileError::TooLong {
                path: path.to_owned(),
            }),
            Err(source) => Err(FileError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The same of a text; `path` is for messages and for the identity of its groups.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn parse(path: &Path, yaml: &str) -> Result<Self, FileError> {
        let options = serde_saphyr::options! {
            with_snippet: false,
            strict_booleans: true,
            reject_unsupported_tags: true,
        };
        let file: Option<WrittenFile> = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| FileError::Syntax {
                path: path.to_owned(),
                text: error.to_string(),
            })?;
        let mut names = HashSet::new();
        let mut groups = Vec::new();
        for group in file.unwrap_or_default().groups {
            let at = Place::of(&group.name);
            let group = check_group(group, &mut names).map_err(|fault| fault.in_file(path, at))?;
            groups.push(group);
        }
        Ok(Self {
            path: path.to_owned(),
            groups,
        })
    }
}

/// The text of a file; `None` if it is too long, which its size need not say: it may be a pipe or a device.
fn read_bounded(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    let mut file = fs::File::open(path)?.take(FILE_BYTES_MAX + 1);
    match file.read_to_string(&mut text) {
        // The cut may go through a character.
        _ if file.limit() == 0 => Ok(None),
        read => read.map(|_| Some(text)),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    #[serde(default)]
    groups: Vec<WrittenGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    name: Spanned<String>,
    interval: Option<Spanned<String>>,
    query_offset: Option<Spanned<String>>,
    limit: Option<usize>,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    rules: Vec<Spanned<WrittenRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    record: Option<Spanned<String>>,
    alert: Option<Spanned<String>>,
    expr: Option<Spanned<String>>,
    #[serde(rename = "for")]
    hold: Option<Spanned<String>>,
    keep_firing_for: Option<Spanned<String>>,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    annotations: BTreeMap<String, Spanned<String>>,
}

#[derive(Clone, Copy)]
struct Place {
    line: u64,
    column: u64,
}

impl Place {
    fn of<T>(spanned: &Spanned<T>) -> Self {
        Self {
            line: spanned.referenced.line(),
            column: spanned.referenced.column(),
        }
    }
}

/// What is wrong, and where if that is known better than by the group.
struct Fault {
    at: Option<Place>,
    what: String,
}

impl Fault {
    fn at<T>(spanned: &Spanned<T>, what: impl Into<String>) -> Self {
        Self {
            at: Some(Place::of(spanned)),
            what: what.into(),
        }
    }

    fn within(self, context: &str) -> Self {
        Self {
            what: format!("{context}: {}", self.what),
            ..self
        }
    }

    fn in_file(self, path: &Path, group: Place) -> FileError {
        let Place { line, column } = self.at.unwrap_or(group);
        FileError::Rule {
            path: path.to_owned(),
            line,
            column,
            what: self.what,
        }
    }
}

fn check_group(group: WrittenGroup, names: &mut HashSet<String>) -> Result<GroupSpec, Fault> {
    let name = group.name.value.clone();
    if name.is_empty() {
        return Err(Fault::at(&group.name, "groupname must not be empty"));
    }
    if !names.insert(name.clone()) {
        return Err(Fault::at(
            &group.name,
            format!("groupname: {name:?} is repeated in the same file"),
        ));
    }
    let interval_ms = optional_duration(group.interval.as_ref())?;
    let mut rules = Vec::with_capacity(group.rules.len());
    for (number, rule) in group.rules.into_iter().enumerate() {
        let title = rule.value.record.as_ref().or(rule.value.alert.as_ref());
        let title = title.map(|title| title.value.clone()).unwrap_or_default();
        let context = format!("group {name:?}, rule {}, {title:?}", number + 1);
        rules.push(check_rule(rule, &group.labels).map_err(|fault| fault.within(&context))?);
    }
    Ok(GroupSpec {
        name,
        interval_ms: interval_ms.filter(|interval_ms| *interval_ms > 0),
        query_offset_ms: optional_duration(group.query_offset.as_ref())?.unwrap_or(0),
        limit: group.limit.unwrap_or(0),
        rules,
    })
}

fn check_rule(
    rule: Spanned<WrittenRule>,
    group_labels: &BTreeMap<String, Spanned<String>>,
) -> Result<RuleSpec, Fault> {
    let fault = |what: &str| Fault::at(&rule, what);
    let written = &rule.value;
    let (name, is_alert) = match (&written.record, &written.alert) {
        (Some(_), Some(_)) => return Err(fault("only one of 'record' and 'alert' must be set")),
        (None, None) => return Err(fault("one of 'record' or 'alert' must be set")),
        (Some(record), None) => (record, false),
        (None, Some(alert)) => (alert, true),
    };
    if name.value.is_empty() {
        return Err(Fault::at(name, "one of 'record' or 'alert' must be set"));
    }
    let Some(expr) = written.expr.as_ref().filter(|expr| !expr.value.is_empty()) else {
        return Err(fault("field 'expr' must be set in rule"));
    };
    let parsed = promql::parse(&expr.value);
    let parsed =
        parsed.map_err(|error| Fault::at(expr, format!("could not parse expression: {error}")))?;
    let mut all = group_labels.clone();
    all.extend(written.labels.clone());
    let kind = match is_alert {
        true => Kind::Alerting {
            hold_ms: optional_duration(written.hold.as_ref())?.unwrap_or(0),
            keep_firing_ms: optional_duration(written.keep_firing_for.as_ref())?.unwrap_or(0),
            annotations: templates(&written.annotations, "annotation")?,
        },
        false => check_recording(&rule)?,
    };
    Ok(RuleSpec {
        name: name.value.clone(),
        expr: parsed,
        labels: match is_alert {
            true => templates(&all, "label")?,
            false => plain(&all)?,
        },
        kind,
    })
}

fn check_recording(rule: &Spanned<WrittenRule>) -> Result<Kind, Fault> {
    let written = &rule.value;
    for (is_set, field) in [
        (written.hold.is_some(), "for"),
        (written.keep_firing_for.is_some(), "keep_firing_for"),
        (!written.annotations.is_empty(), "annotations"),
    ] {
        if is_set {
            return Err(Fault::at(
                rule,
                format!("invalid field '{field}' in recording rule"),
            ));
        }
    }
    Ok(Kind::Recording)
}

fn templates(
    texts: &BTreeMap<String, Spanned<String>>,
    what: &str,
) -> Result<Vec<(String, Template)>, Fault> {
    let mut templates = Vec::with_capacity(texts.len());
    for (name, text) in texts {
        if !is_label_name(name) {
            return Err(Fault::at(text, format!("invalid {what} name: {name}")));
        }
        let template = Template::parse(&text.value);
        let template =
            template.map_err(|error| Fault::at(text, format!("{what} {name:?}: {error}")))?;
        templates.push((name.clone(), template));
    }
    Ok(templates)
}

/// Labels of a recording are no templates: braces stand for themselves.
fn plain(texts: &BTreeMap<String, Spanned<String>>) -> Result<Vec<(String, Template)>, Fault> {
    let named = texts.iter().map(|(name, text)| match is_label_name(name) {
        true => Ok((name.clone(), Template::plain(&text.value))),
        false => Err(Fault::at(text, format!("invalid label name: {name}"))),
    });
    named.collect()
}

fn optional_duration(text: Option<&Spanned<String>>) -> Result<Option<i64>, Fault> {
    text.map(|text| {
        duration::parse(&text.value).map_err(|error| Fault::at(text, error.to_string()))
    })
    .transpose()
}
