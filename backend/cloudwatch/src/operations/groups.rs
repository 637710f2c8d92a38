//! Groups: made, deleted, described, and how long their events are shown.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{catalogue::Group, names, refusal::Refusal, service::Service};

/// Groups of one page.
const PAGE_MAX: usize = 50;
/// The only numbers of days that the service takes.
const RETENTION_DAYS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];
const WHAT: &str = "log group";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateGroup {
    log_group_name: String,
    log_group_class: Option<String>,
    kms_key_id: Option<String>,
    tags: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamedGroup {
    log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutRetention {
    log_group_name: String,
    retention_in_days: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    limit: Option<i64>,
    next_token: Option<String>,
}

pub(crate) fn create_group(service: &Service, request: CreateGroup) -> Result<(), Refusal> {
    let name = names::group(&request.log_group_name)?;
    // What would change how events are kept is refused, not ignored.
    if request.kms_key_id.is_some() {
        return Err(Refusal::unsupported(
            "kmsKeyId: log groups are not encrypted here",
        ));
    }
    if request.tags.is_some_and(|tags| !tags.is_empty()) {
        return Err(Refusal::unsupported("tags: log groups have no tags here"));
    }
    if request
        .log_group_class
        .is_some_and(|class| class != "STANDARD")
    {
        return Err(Refusal::unsupported(
            "logGroupClass: STANDARD is the only class here",
        ));
    }
    let _changing = service.changing();
    let created = service.catalogue().create_group(name, service.now_ms());
    created.map_err(|error| Refusal::change(&error, WHAT))
}

pub(crate) fn delete_group(service: &Service, request: NamedGroup) -> Result<(), Refusal> {
    let name = names::group(&request.log_group_name)?;
    let _changing = service.changing();
    let deleted = service.catalogue().delete_group(name);
    deleted.map_err(|error| Refusal::change(&error, WHAT))
}

pub(crate) fn put_retention(service: &Service, request: PutRetention) -> Result<(), Refusal> {
    if !RETENTION_DAYS.contains(&request.retention_in_days) {
        let constraint = format!("satisfy enum value set: {RETENTION_DAYS:?}");
        return Err(Refusal::constraint("retentionInDays", &constraint));
    }
    set_retention(
        service,
        &request.log_group_name,
        Some(request.retention_in_days),
    )
}

pub(crate) fn delete_retention(service: &Service, request: NamedGroup) -> Result<(), Refusal> {
    set_retention(service, &request.log_group_name, None)
}

fn set_retention(service: &Service, name: &str, days: Option<u32>) -> Result<(), Refusal> {
    let name = names::group(name)?;
    let _changing = service.changing();
    let set = service.catalogue().set_retention(name, days);
    set.map_err(|error| Refusal::change(&error, WHAT))
}

/// By name; the token is the last name of the page before.
pub(crate) fn describe_groups(
    service: &Service,
    request: DescribeGroups,
) -> Result<Value, Refusal> {
    if request.log_group_name_prefix.is_some() && request.log_group_name_pattern.is_some() {
        return Err(Refusal::invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let limit = names::limit(request.limit, PAGE_MAX, PAGE_MAX)?;
    let prefix = request.log_group_name_prefix.as_deref().unwrap_or("");
    let part = request.log_group_name_pattern.as_deref().unwrap_or("");
    let after = request.next_token.as_deref().unwrap_or("");
    let catalogue = service.catalogue();
    let mut found = catalogue.groups().filter(|group| {
        group.name.as_str() > after && group.name.starts_with(prefix) && group.name.contains(part)
    });
    let page: Vec<&Group> = found.by_ref().take(limit).collect();
    let more = found.next().is_some();
    let described: Vec<Value> = page
        .iter()
        .map(|group| {
            let stored = catalogue
                .streams(&group.name)
                .map(|stream| stream.stored_bytes);
            describe(service, group, stored.sum())
        })
        .collect();
    let mut answer = json!({ "logGroups": described });
    if let Some(last) = page.last().filter(|_| more) {
        answer["nextToken"] = json!(last.name);
    }
    Ok(answer)
}

fn describe(service: &Service, group: &Group, stored_bytes: u64) -> Value {
    let arn = arn(service, &group.name);
    let mut described = json!({
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": stored_bytes,
        "logGroupClass": "STANDARD",
    });
    if let Some(days) = group.retention_days {
        described["retentionInDays"] = json!(days);
    }
    described
}

pub(super) fn arn(service: &Service, group: &str) -> String {
    let options = &service.options;
    format!(
        "arn:aws:logs:{}:{}:log-group:{group}",
        options.region, options.account_id
    )
}
