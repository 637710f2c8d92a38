#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tasks_api::{Kind, routes};

use super::*;

fn value() -> Value {
    serde_json::to_value(document()).unwrap()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> impl Iterator<Item = (String, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}

/// All values of a key, however deep.
fn collect<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key));
            object.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_the_checked_in_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == now,
        "docs/openapi.json is not what the code says: run this test with UPDATE_GOLDEN=1 and review the difference"
    );
}

#[test]
fn the_document_has_exactly_the_operations_of_the_route_table() {
    let document = value();
    let documented: BTreeSet<_> = operations(&document)
        .map(|(method, path, operation)| {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let successes: Vec<_> = statuses
                .filter(|status| status.starts_with('2'))
                .cloned()
                .collect();
            (method, path.to_owned(), successes)
        })
        .collect();
    let routed = routes::ALL.iter().map(|route| {
        (
            route.method.to_owned(),
            route.template.to_owned(),
            vec![route.success.to_string()],
        )
    });
    assert_eq!(documented, routed.collect());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = value();
    let mut references = Vec::new();
    collect(&document, "$ref", &mut references);
    assert!(references.len() > 100, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_kind_of_problem_is_met_somewhere() {
    let document = value();
    let text = document["paths"].to_string();
    for kind in Kind::ALL {
        // The one is for requests that are no operation, the other for the admin listener.
        let expected = !matches!(kind, Kind::MethodNotAllowed | Kind::Forbidden);
        assert_eq!(
            text.contains(&format!("\"{}\":", kind.name())),
            expected,
            "{kind:?}"
        );
    }
}

#[test]
fn every_response_names_its_trace_and_every_field_its_limit() {
    let document = value();
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(
                response["headers"]["traceresponse"].is_object(),
                "{method} {path} {status}"
            );
        }
    }
    for (schema, field) in [
        ("NewTask", "title"),
        ("NewTask", "description"),
        ("NewTask", "assignee"),
        ("TaskPatch", "title"),
        ("TaskPatch", "description"),
        ("TaskPatch", "assignee"),
        ("NewComment", "text"),
    ] {
        let property = &document["components"]["schemas"][schema]["properties"][field];
        assert!(
            property["maxLength"].is_u64(),
            "{schema}.{field}: {property}"
        );
    }
    for schema in ["NewTask", "TaskPatch"] {
        let labels = &document["components"]["schemas"][schema]["properties"]["labels"];
        assert!(
            labels["maxItems"].is_u64() && labels["items"]["maxLength"].is_u64(),
            "{schema}: {labels}"
        );
    }
    let list = &document["paths"][routes::TASKS]["get"]["parameters"];
    let limit = list
        .as_array()
        .unwrap()
        .iter()
        .find(|parameter| parameter["name"] == "limit")
        .unwrap();
    assert_eq!(
        limit["schema"]["maximum"],
        tasks_api::limits::PAGE_ITEMS_MAX
    );
}
