//! Rule groups and alerts as the last evaluation left them.

use std::{collections::HashSet, fmt::Write as _, sync::Arc};

use alerting::{Alert, Group, Health, Rule};
use axum::{extract::State, response::IntoResponse, response::Response};
use sha2::{Digest, Sha256};
use tsdb::{Labels, Matcher};

use super::{Shared, answer::Answer, failure::Failure, form::Form, json, params};
use crate::go;

/// `GET /rules`.
pub(super) async fn rules(State(api): Shared, form: Form) -> Result<Response, Failure> {
    form.strict()?;
    let filter = Filter::read(&form)?;
    let prometheus = Arc::clone(&api.prometheus);
    let job = move || prometheus.with_groups(|groups| filter.answer(groups));
    api.looks.run(job).await
}

/// `GET /alerts`.
pub(super) async fn alerts(State(api): Shared) -> Result<Response, Failure> {
    let prometheus = Arc::clone(&api.prometheus);
    let job = move || {
        let answer = prometheus.with_groups(|groups| {
            let rules = groups.iter().flat_map(Group::rules);
            Answer::new(|out| {
                out.push_str("{\"alerts\":");
                json::array(out, rules.flat_map(Rule::alerts), alert);
                out.push('}');
            })
        });
        Ok(answer.into_response())
    };
    api.looks.run(job).await
}

/// Which of them are asked for.
struct Filter {
    names: HashSet<String>,
    groups: HashSet<String>,
    files: HashSet<String>,
    selectors: Vec<Vec<Matcher>>,
    has_alerting: bool,
    has_recording: bool,
    has_alerts: bool,
    page: Option<Page>,
}

/// Some groups at a time.
struct Page {
    groups_max: usize,
    /// The first one's token.
    from: Option<String>,
}

impl Filter {
    fn read(form: &Form) -> Result<Self, Failure> {
        let set = |name: &str| form.all(name).map(str::to_owned).collect();
        let selectors = params::selectors(form).map_err(Failure::bad_data)?;
        let kind = form.of_url("type").unwrap_or_default().to_lowercase();
        if !["", "alert", "record"].contains(&kind.as_str()) {
            let reason = format!("not supported value {}", go::quote(&kind));
            return Err(Failure::parameter("type", reason));
        }
        Ok(Self {
            names: set("rule_name[]"),
            groups: set("rule_group[]"),
            files: set("file[]"),
            selectors,
            has_alerting: kind != "record",
            has_recording: kind != "alert",
            has_alerts: !excludes_alerts(form)?,
            page: Page::read(form)?,
        })
    }

    fn answer(&self, groups: &[Group]) -> Result<Response, Failure> {
        let mut groups: Vec<&Group> = groups.iter().collect();
        groups.sort_by_key(|group| (group.file(), group.name()));
        let groups = self.page_of(&groups)?;
        let groups_max = self
            .page
            .as_ref()
            .map_or(usize::MAX, |page| page.groups_max);
        let mut found = groups
            .iter()
            .filter(|group| self.takes(group))
            .filter_map(|group| {
                let rules: Vec<&Rule> = group
                    .rules()
                    .iter()
                    .filter(|rule| self.takes_rule(rule))
                    .collect();
                (!rules.is_empty()).then_some((group, rules))
            });
        let shown = found.by_ref().take(groups_max);
        let mut data = "{\"groups\":".to_owned();
        json::array(&mut data, shown, |out, (of, rules)| {
            group(out, of, &rules, self.has_alerts)
        });
        if let Some((next, _)) = found.next() {
            let _ = write!(data, ",\"groupNextToken\":\"{}\"", token(next));
        }
        data.push('}');
        Ok(Answer::new(|out| out.push_str(&data)).into_response())
    }

    /// The groups from the first of the page on.
    fn page_of<'a, 'g>(&self, groups: &'a [&'g Group]) -> Result<&'a [&'g Group], Failure> {
        let Some(from) = self.page.as_ref().and_then(|page| page.from.as_ref()) else {
            return Ok(groups);
        };
        let first = groups.iter().position(|group| token(group) == *from);
        let first = first.ok_or_else(|| {
            let reason = format!("invalid group_next_token '{from}'. were rule groups changed?");
            Failure::parameter("group_next_token", reason)
        })?;
        Ok(&groups[first..])
    }

    fn takes(&self, group: &Group) -> bool {
        let is_in = |set: &HashSet<String>, name: &str| set.is_empty() || set.contains(name);
        is_in(&self.groups, group.name()) && is_in(&self.files, &group.file().to_string_lossy())
    }

    fn takes_rule(&self, rule: &Rule) -> bool {
        let is_named = self.names.is_empty() || self.names.contains(rule.name());
        let is_kind = match rule.is_alerting() {
            true => self.has_alerting,
            false => self.has_recording,
        };
        is_named && is_kind && self.matches(&rule.labels())
    }

    /// Whether labels, templates as they are written, satisfy any of the selectors.
    fn matches(&self, labels: &Labels) -> bool {
        let holds = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.holds(labels));
        self.selectors.is_empty() || self.selectors.iter().any(holds)
    }
}

impl Page {
    fn read(form: &Form) -> Result<Option<Self>, Failure> {
        let from = form.of_url("group_next_token");
        let Some(text) = form.of_url("group_limit") else {
            return match from {
                None => Ok(None),
                Some(_) => Err(Failure::parameter(
                    "group_next_token",
                    "group_limit needs to be present in order to paginate over the groups",
                )),
            };
        };
        let refused = |reason: String| Failure::parameter("group_limit", reason);
        let groups_max = go::parse_int32(text)
            .map_err(|error| refused(format!("group_limit needs to be a valid number: {error}")))?;
        let groups_max = usize::try_from(groups_max).unwrap_or(0);
        if groups_max == 0 {
            return Err(refused("group_limit needs to be greater than 0".to_owned()));
        }
        Ok(Some(Self {
            groups_max,
            from: from.map(str::to_owned),
        }))
    }
}

fn excludes_alerts(form: &Form) -> Result<bool, Failure> {
    let text = form
        .of_url("exclude_alerts")
        .unwrap_or_default()
        .to_lowercase();
    match text.as_str() {
        "" | "0" | "f" | "false" => Ok(false),
        "1" | "t" | "true" => Ok(true),
        _ => {
            let text = go::quote(&text);
            let reason = format!(
                "error converting exclude_alerts: strconv.ParseBool: parsing {text}: invalid syntax"
            );
            Err(Failure::parameter("exclude_alerts", reason))
        }
    }
}

/// What names a group when pages are turned: a hash of its file and name.
fn token(group: &Group) -> String {
    let hash = Sha256::new()
        .chain_update(group.file().to_string_lossy().as_bytes())
        .chain_update(";")
        .chain_update(group.name())
        .finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn group(out: &mut String, group: &Group, rules: &[&Rule], has_alerts: bool) {
    out.push_str("{\"name\":");
    json::string(out, group.name());
    out.push_str(",\"file\":");
    json::string(out, &group.file().to_string_lossy());
    out.push_str(",\"rules\":");
    json::array(out, rules, |out, rule| match rule.is_alerting() {
        true => alerting(out, rule, has_alerts),
        false => recording(out, rule),
    });
    out.push_str(",\"interval\":");
    json::seconds(out, group.interval_ms());
    let _ = write!(out, ",\"limit\":{},\"evaluationTime\":", group.limit());
    go::float(out, group.last_seconds());
    out.push_str(",\"lastEvaluation\":");
    json::moment(out, group.last_evaluation_ms());
    out.push('}');
}

fn alerting(out: &mut String, rule: &Rule, has_alerts: bool) {
    let (hold_ms, keep_firing_ms) = rule.holds_ms();
    let _ = write!(out, "{{\"state\":\"{}\",", rule.state().as_str());
    name_and_query(out, rule);
    out.push_str(",\"duration\":");
    json::seconds(out, hold_ms);
    out.push_str(",\"keepFiringFor\":");
    json::seconds(out, keep_firing_ms);
    out.push_str(",\"labels\":");
    json::labels(out, &rule.labels());
    out.push_str(",\"annotations\":");
    json::labels(out, &rule.annotations());
    out.push_str(",\"alerts\":");
    match has_alerts {
        true => json::array(out, rule.alerts(), alert),
        false => out.push_str("null"),
    }
    health(out, rule);
    out.push_str(",\"type\":\"alerting\"}");
}

fn recording(out: &mut String, rule: &Rule) {
    out.push('{');
    name_and_query(out, rule);
    let labels = rule.labels();
    out.push_str(",\"labels\":");
    json::labels(out, &labels);
    health(out, rule);
    out.push_str(",\"type\":\"recording\"}");
}

fn name_and_query(out: &mut String, rule: &Rule) {
    out.push_str("\"name\":");
    json::string(out, rule.name());
    out.push_str(",\"query\":");
    json::string(out, &rule.expr().to_string());
}

fn health(out: &mut String, rule: &Rule) {
    let (name, error) = match rule.health() {
        Health::Unknown => ("unknown", None),
        Health::Good => ("ok", None),
        Health::Bad(error) => ("err", Some(error)),
    };
    let _ = write!(out, ",\"health\":\"{name}\"");
    if let Some(error) = error {
        out.push_str(",\"lastError\":");
        json::string(out, error);
    }
    out.push_str(",\"evaluationTime\":");
    go::float(out, rule.last_seconds());
    out.push_str(",\"lastEvaluation\":");
    json::moment(out, rule.last_evaluation_ms());
}

fn alert(out: &mut String, alert: &Alert) {
    out.push_str("{\"labels\":");
    json::labels(out, &alert.labels);
    out.push_str(",\"annotations\":");
    json::labels(out, &alert.annotations);
    let _ = write!(out, ",\"state\":\"{}\",\"activeAt\":", alert.state.as_str());
    json::moment(out, Some(alert.active_at_ms));
    if let Some(since_ms) = alert.keep_firing_since_ms {
        out.push_str(",\"keepFiringSince\":");
        json::moment(out, Some(since_ms));
    }
    out.push_str(",\"value\":\"");
    go::scientific(out, alert.value);
    out.push_str("\"}");
}
