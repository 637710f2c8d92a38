//! Objective files in the shape of Sloth's `prometheus/v1`: read, checked, nothing ignored.
//!
//! What Sloth has and this does not (plugins, other versions) is refused by name.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::burn::Severity;

/// The only version there is.
const VERSION: &str = "prometheus/v1";
/// Stands for the window in a query, in both of the spellings that Sloth's examples use.
const WINDOW_PLACEHOLDERS: [&str; 2] = ["{{.window}}", "{{ .window }}"];
/// Largest file.
const FILE_BYTES_MAX: usize = 1 << 20;

pub type Text = BTreeMap<String, String>;

/// A whole file: the objectives of one service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveFile {
    pub version: String,
    /// Becomes the label `service` of every rule.
    pub service: String,
    #[serde(default)]
    pub labels: Text,
    pub slos: Vec<Objective>,
}

/// One objective.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Becomes the label `slo` of every rule.
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// Percent of good events, for instance 99.9.
    pub objective: f64,
    #[serde(default)]
    pub labels: Text,
    pub sli: Sli,
    #[serde(default)]
    pub alerting: Alerting,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sli {
    pub events: Events,
}

/// Rates of bad and of all events per second over `{{.window}}`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    pub error_query: String,
    pub total_query: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerting {
    /// Name of both alerts; `FastBudgetBurn` and `SlowBudgetBurn` without it.
    pub name: Option<String>,
    #[serde(default)]
    pub labels: Text,
    #[serde(default)]
    pub annotations: Text,
    #[serde(default)]
    pub page_alert: Alert,
    #[serde(default)]
    pub ticket_alert: Alert,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    #[serde(default)]
    pub disable: bool,
    #[serde(default)]
    pub labels: Text,
    #[serde(default)]
    pub annotations: Text,
}

/// The file says something that cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ObjectiveError {
    #[error("the file is not an objective file")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    #[error("the file is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("{path}: {reason}")]
    Field { path: String, reason: String },
}

impl ObjectiveFile {
    /// # Errors
    /// With the path of the field that is wrong, unknown or missing.
    pub fn parse(yaml: &str) -> Result<Self, ObjectiveError> {
        if yaml.len() > FILE_BYTES_MAX {
            return Err(ObjectiveError::TooLarge);
        }
        let file: Self =
            serde_saphyr::from_str(yaml).map_err(|error| ObjectiveError::Yaml(Box::new(error)))?;
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), ObjectiveError> {
        if self.version != VERSION {
            return refuse("version", format!("`{}` is not {VERSION}", self.version));
        }
        check_name("service", &self.service)?;
        check_labels("labels", &self.labels)?;
        if self.slos.is_empty() {
            return refuse("slos", "at least one objective is needed".to_owned());
        }
        for (index, objective) in self.slos.iter().enumerate() {
            let path = format!("slos[{index}]");
            if self.slos[..index]
                .iter()
                .any(|other| other.name == objective.name)
            {
                return refuse(
                    &format!("{path}.name"),
                    format!("`{}` is used twice", objective.name),
                );
            }
            objective.check(&path)?;
        }
        Ok(())
    }
}

impl Objective {
    /// Share of events that may fail, for instance 0.001. Rounded to 12 digits, so that 99.9 % leaves 0.001 and not its
    /// neighbour in binary.
    pub fn budget(&self) -> f64 {
        round(1.0 - self.objective / 100.0)
    }

    /// What the alert of this severity is called; `None` if it is disabled.
    pub fn alert_name(&self, severity: Severity) -> Option<&str> {
        let name = self.alerting.name.as_deref();
        let enabled = !self.alerting.alert(severity).disable;
        enabled.then(|| name.unwrap_or(severity.alert_name()))
    }

    fn check(&self, path: &str) -> Result<(), ObjectiveError> {
        check_name(&format!("{path}.name"), &self.name)?;
        // The budget is what is left after rounding; a rate cannot be divided by none.
        if !(self.objective > 0.0 && self.objective < 100.0 && self.budget() > 0.0) {
            let reason = format!(
                "{} is not between 0 and 100 percent, or leaves no budget",
                self.objective
            );
            return refuse(&format!("{path}.objective"), reason);
        }
        check_query(
            &format!("{path}.sli.events.error_query"),
            &self.sli.events.error_query,
        )?;
        check_query(
            &format!("{path}.sli.events.total_query"),
            &self.sli.events.total_query,
        )?;
        check_labels(&format!("{path}.labels"), &self.labels)?;
        self.alerting.check(&format!("{path}.alerting"))
    }
}

impl Alerting {
    fn check(&self, path: &str) -> Result<(), ObjectiveError> {
        if self.name.as_deref() == Some("") {
            return refuse(&format!("{path}.name"), "is empty".to_owned());
        }
        for (owner, labels, annotations) in [
            (path, &self.labels, &self.annotations),
            (
                &format!("{path}.page_alert"),
                &self.page_alert.labels,
                &self.page_alert.annotations,
            ),
            (
                &format!("{path}.ticket_alert"),
                &self.ticket_alert.labels,
                &self.ticket_alert.annotations,
            ),
        ] {
            check_labels(&format!("{owner}.labels"), labels)?;
            // Prometheus wants of their names what it wants of those of labels.
            check_labels(&format!("{owner}.annotations"), annotations)?;
        }
        Ok(())
    }

    pub(crate) fn alert(&self, severity: Severity) -> &Alert {
        match severity {
            Severity::Page => &self.page_alert,
            Severity::Ticket => &self.ticket_alert,
        }
    }
}

impl Events {
    /// A query with the window filled in.
    pub(crate) fn over(query: &str, window: &str) -> String {
        let fill = |text: String, placeholder: &str| text.replace(placeholder, window);
        WINDOW_PLACEHOLDERS
            .into_iter()
            .fold(query.trim().to_owned(), fill)
    }
}

/// To 12 digits after the point.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1e12).round() / 1e12
}

/// What YAML takes as it stands: neither a control character nor a line break of another alphabet.
pub(crate) fn is_printable(c: char) -> bool {
    let breaks_or_marks = ['\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}', '\u{ffff}'];
    !c.is_control() && !breaks_or_marks.contains(&c)
}

fn check_name(path: &str, name: &str) -> Result<(), ObjectiveError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(allowed) {
        return refuse(
            path,
            format!("`{name}` is not made of letters, digits, `-`, `_` and `.`"),
        );
    }
    Ok(())
}

fn check_labels(path: &str, labels: &Text) -> Result<(), ObjectiveError> {
    for name in labels.keys() {
        let mut chars = name.chars();
        let starts = chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return refuse(&format!("{path}.{name}"), "not a label name".to_owned());
        }
    }
    Ok(())
}

fn check_query(path: &str, query: &str) -> Result<(), ObjectiveError> {
    let stands_in_yaml = |c| is_printable(c) || c == '\n' || c == '\t';
    if let Some(c) = query.chars().find(|c| !stands_in_yaml(*c)) {
        return refuse(path, format!("{c:?} cannot stand in a query"));
    }
    if WINDOW_PLACEHOLDERS
        .iter()
        .any(|placeholder| query.contains(placeholder))
    {
        return Ok(());
    }
    refuse(path, format!("no {} in it", WINDOW_PLACEHOLDERS[0]))
}

fn refuse(path: &str, reason: String) -> Result<(), ObjectiveError> {
    Err(ObjectiveError::Field {
        path: path.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FILE: &str = r#"
version: prometheus/v1
service: gateway
slos:
  - name: availability
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(errors_total[{{.window}}]))
        total_query: sum(rate(requests_total[{{ .window }}]))
"#;

    fn error_of(from: &str, to: &str) -> String {
        let changed = FILE.replace(from, to);
        assert_ne!(changed, FILE);
        let error = ObjectiveFile::parse(&changed).unwrap_err();
        match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn a_file_is_read_and_its_budget_is_exact() {
        let file = ObjectiveFile::parse(FILE).unwrap();
        assert_eq!(file.slos[0].budget(), 0.001);
        let events = &file.slos[0].sli.events;
        assert_eq!(
            Events::over(&events.total_query, "5m"),
            "sum(rate(requests_total[5m]))"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        for (from, to, part) in [
            ("prometheus/v1", "prometheus/v2", "version: `prometheus/v2`"),
            ("service: gateway", "service: a b", "service: `a b`"),
            ("objective: 99.9", "objective: 100", "slos[0].objective"),
            ("objective: 99.9", "objective: .nan", "slos[0].objective"),
            ("99.9", "99.99999999999999", "leaves no budget"),
            ("[{{.window}}]", "[5m]", "slos[0].sli.events.error_query"),
            (
                "sum(rate(errors_total[{{.window}}]))",
                r#""a[{{.window}}]\r- b""#,
                "'\\r' cannot stand in a query",
            ),
            (
                "    sli:",
                "    alerting: {name: ''}\n    sli:",
                "slos[0].alerting.name",
            ),
            (
                "    sli:",
                "    alerting: {page_alert: {annotations: {'a: b': c}}}\n    sli:",
                "slos[0].alerting.page_alert.annotations.a: b",
            ),
            (
                "    sli:",
                "    labels: {a-b: c}\n    sli:",
                "slos[0].labels.a-b",
            ),
            (
                "      events:",
                "      plugin: {id: x}\n      events:",
                "plugin",
            ),
            ("objective: 99.9", "objektive: 99.9", "objektive"),
        ] {
            let error = error_of(from, to);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn one_name_for_two_objectives_is_refused() {
        let objective = FILE.split_once("slos:\n").unwrap().1;
        let error = ObjectiveFile::parse(&format!("{FILE}{objective}")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "slos[1].name: `availability` is used twice"
        );
    }
}
