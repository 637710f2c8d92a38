//! The labels of one line while it passes a pipeline: those of its stream, its structured metadata, and what was parsed of
//! it, the later hiding the earlier; and the error that a stage has met.
//!
//! One object serves all lines. What does not change costs nothing: the labels of the stream are handed on as they are.

use tsdb::Labels;

use crate::{ast::Grouping, hints::Hints};

/// Holds what a stage could not do.
pub(crate) const ERROR: &str = "__error__";
/// Holds why.
pub(crate) const ERROR_DETAILS: &str = "__error_details__";
/// Says that a query has asked for errors: they are values to it then.
pub(crate) const PRESERVE_ERROR: &str = "__preserve_error__";
/// After a name that the stream or the metadata has already.
pub(crate) const DUPLICATE_SUFFIX: &str = "_extracted";

pub(crate) type Pair = (Box<str>, Box<str>);

/// What may go wrong in a stage without ending the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StageError {
    Json,
    Logfmt,
    SampleExtraction,
    LabelFilter,
    TemplateFormat,
}

impl StageError {
    fn text(self) -> &'static str {
        match self {
            Self::Json => "JSONParserErr",
            Self::Logfmt => "LogfmtParserErr",
            Self::SampleExtraction => "SampleExtractionErr",
            Self::LabelFilter => "LabelFilterErr",
            Self::TemplateFormat => "TemplateFormatErr",
        }
    }
}

#[derive(Debug)]
pub(crate) struct LineLabels {
    stream: Labels,
    metadata: Vec<Pair>,
    parsed: Vec<Pair>,
    deleted: Vec<Box<str>>,
    error: Box<str>,
    details: Box<str>,
    pub(crate) hints: Hints,
}

impl LineLabels {
    pub(crate) fn new(hints: Hints) -> Self {
        Self {
            stream: Labels::default(),
            metadata: Vec::new(),
            parsed: Vec::new(),
            deleted: Vec::new(),
            error: "".into(),
            details: "".into(),
            hints,
        }
    }

    /// Begins with another line.
    pub(crate) fn reset(&mut self, stream: &Labels, metadata: &[(&str, &str)]) {
        self.stream = stream.clone();
        self.metadata.clear();
        self.parsed.clear();
        self.deleted.clear();
        self.error = "".into();
        self.details = "".into();
        self.hints.reset();
        for (name, value) in metadata {
            match *name {
                _ if self.stream_has(name) => {
                    let name = format!("{name}{DUPLICATE_SUFFIX}").into();
                    put(&mut self.metadata, name, (*value).into());
                }
                ERROR => self.error = (*value).into(),
                ERROR_DETAILS => self.details = (*value).into(),
                _ => self.metadata.push(((*name).into(), (*value).into())),
            }
        }
    }

    fn stream_has(&self, name: &str) -> bool {
        !self.stream.get(name).is_empty()
    }

    /// The name that a parsed value gets: another one where the stream or the metadata has it.
    pub(crate) fn free_name(&self, name: &str) -> Box<str> {
        if self.stream_has(name) || has(&self.metadata, name) {
            format!("{name}{DUPLICATE_SUFFIX}").into()
        } else {
            name.into()
        }
    }

    /// Whether the stream or the metadata has it.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.stream_has(name) || has(&self.metadata, name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let added = self.metadata.iter().chain(&self.parsed);
        if let Some((_, value)) = added.into_iter().find(|(key, _)| &**key == name) {
            return Some(value);
        }
        if self.is_deleted(name) {
            return None;
        }
        Some(self.stream.get(name)).filter(|value| !value.is_empty())
    }

    /// What a condition on a label sees.
    pub(crate) fn value(&self, name: &str) -> &str {
        match name {
            ERROR => &self.error,
            _ => self.get(name).unwrap_or_default(),
        }
    }

    fn is_deleted(&self, name: &str) -> bool {
        self.deleted.iter().any(|deleted| &**deleted == name)
    }

    /// Sets a label that was found in the line.
    pub(crate) fn set(&mut self, name: Box<str>, value: Box<str>) {
        self.metadata.retain(|(key, _)| *key != name);
        self.hints.record(&name);
        put(&mut self.parsed, name, value);
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.metadata.retain(|(key, _)| &**key != name);
        self.parsed.retain(|(key, _)| &**key != name);
        self.deleted.push(name.into());
    }

    pub(crate) fn has_error(&self) -> bool {
        !self.error.is_empty()
    }

    pub(crate) fn details(&self) -> &str {
        &self.details
    }

    pub(crate) fn set_error(&mut self, error: StageError, details: Option<&str>) {
        self.error = error.text().into();
        if let Some(details) = details {
            self.details = details.into();
        }
    }

    /// The same for the error of a parser, which a metric query may ask for.
    pub(crate) fn set_parser_error(&mut self, error: StageError, details: Option<&str>) {
        self.set_error(error, details);
        if self.hints.preserves_error() {
            self.set(PRESERVE_ERROR.into(), "true".into());
        }
    }

    pub(crate) fn clear_error(&mut self) {
        self.error = "".into();
    }

    pub(crate) fn clear_details(&mut self) {
        self.details = "".into();
    }

    /// What was parsed of the line, errors among it.
    pub(crate) fn parsed(&self) -> impl Iterator<Item = (&str, &str)> {
        let errors = [(ERROR, &*self.error), (ERROR_DETAILS, &*self.details)];
        let errors = errors.into_iter().filter(|(_, value)| !value.is_empty());
        pairs(&self.parsed).chain(errors)
    }

    /// The structured metadata, but for what was parsed under the same name.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.metadata).filter(|(name, _)| !has(&self.parsed, name))
    }

    /// Labels of the stream that are still there and not hidden.
    fn of_stream(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stream.iter().filter(|(name, _)| {
            !self.is_deleted(name) && !has(&self.metadata, name) && !has(&self.parsed, name)
        })
    }

    /// All labels, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.of_stream().chain(self.metadata()).chain(self.parsed())
    }

    fn is_unchanged(&self) -> bool {
        self.deleted.is_empty()
            && self.metadata.is_empty()
            && self.parsed.is_empty()
            && self.error.is_empty()
    }

    pub(crate) fn result(&self) -> Labels {
        if self.is_unchanged() {
            return self.stream.clone();
        }
        Labels::new(self.iter())
    }

    /// Labels of the stream alone, as stages have left them.
    pub(crate) fn stream_result(&self) -> Labels {
        if self.is_unchanged() {
            return self.stream.clone();
        }
        Labels::new(self.of_stream())
    }

    /// The labels of a sample: all when there is an error, so that it can be told.
    pub(crate) fn grouped(&self, grouping: Option<&Grouping>) -> Labels {
        let Some(grouping) = grouping.filter(|_| !self.has_error()) else {
            return self.result();
        };
        if grouping.is_single() {
            return Labels::default();
        }
        let listed = |name: &str| grouping.labels.iter().any(|label| &**label == name);
        if grouping.without {
            let all = self.of_stream().chain(self.metadata());
            let all = all.chain(pairs(&self.parsed));
            return Labels::new(all.filter(|(name, _)| !listed(name)));
        }
        let kept = grouping.labels.iter().filter(|name| !self.is_deleted(name));
        Labels::new(kept.filter_map(|name| Some((&**name, self.get(name)?))))
    }
}

fn has(labels: &[Pair], name: &str) -> bool {
    labels.iter().any(|(key, _)| &**key == name)
}

fn put(labels: &mut Vec<Pair>, name: Box<str>, value: Box<str>) {
    match labels.iter_mut().find(|(key, _)| *key == name) {
        Some((_, old)) => *old = value,
        None => labels.push((name, value)),
    }
}

fn pairs(labels: &[Pair]) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|(name, value)| (&**name, &**value))
}

/// A key as a label's name: other characters than letters, digits and `_` become `_`, and none begins with a digit.
pub(crate) fn label_name(key: &str) -> String {
    let key = key.trim();
    let mut name = String::with_capacity(key.len() + 1);
    if key.starts_with(|c: char| c.is_ascii_digit()) {
        name.push('_');
    }
    name.extend(
        key.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }),
    );
    name
}

/// Values without the character that stands for broken text.
pub(crate) fn label_value(value: &str) -> Box<str> {
    if value.contains(char::REPLACEMENT_CHARACTER) {
        value.replace(char::REPLACEMENT_CHARACTER, " ").into()
    } else {
        value.into()
    }
}
