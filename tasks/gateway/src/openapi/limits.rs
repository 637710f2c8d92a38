//! The limits of `tasks-api`, written into the schemas, where its derives cannot take a constant.

use serde_json::json;
use tasks_api::limits::{
    ASSIGNEE_CHARS_MAX, COMMENT_CHARS_MAX, CURSOR_CHARS_MAX, DESCRIPTION_CHARS_MAX,
    LABEL_CHARS_MAX, LABELS_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, TITLE_CHARS_MAX,
};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayItems, Object};
use utoipa::openapi::{OpenApi, RefOr, Schema};

use super::operations;

/// Fields of text: name, fewest and most characters. A name means the same wherever it appears.
const TEXTS: &[(&str, usize, usize)] = &[
    ("title", 1, TITLE_CHARS_MAX),
    ("description", 0, DESCRIPTION_CHARS_MAX),
    ("assignee", 1, ASSIGNEE_CHARS_MAX),
    ("label", 1, LABEL_CHARS_MAX),
    ("text", 1, COMMENT_CHARS_MAX),
    ("cursor", 0, CURSOR_CHARS_MAX),
];
/// The one list of texts.
const LABELS: &str = "labels";
/// The page size.
const LIMIT: &str = "limit";
/// Schemas of what a client sends. A reader must not rely on limits of what it gets, so that they can be raised.
const BODIES: &[&str] = &["NewTask", "TaskPatch", "NewComment"];

pub(super) fn write(document: &mut OpenApi) {
    let schemas = document
        .components
        .iter_mut()
        .flat_map(|components| &mut components.schemas);
    for (name, schema) in schemas {
        if BODIES.contains(&name.as_str()) {
            limit_properties(schema);
        }
    }
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        limit_parameters(operation);
    }
}

fn limit_properties(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else {
        return;
    };
    for (name, property) in &mut object.properties {
        match property {
            RefOr::T(Schema::Object(text)) => limit_text(name, text),
            RefOr::T(Schema::Array(list)) if name == LABELS => {
                list.max_items = Some(LABELS_MAX);
                list.unique_items = true;
                if let ArrayItems::RefOrSchema(item) = &mut list.items
                    && let RefOr::T(Schema::Object(label)) = item.as_mut()
                {
                    limit_text("label", label);
                }
            }
            _ => {}
        }
    }
}

fn limit_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else {
            continue;
        };
        let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema else {
            continue;
        };
        if parameter.name == LIMIT {
            object.minimum = Some(1_i64.into());
            object.maximum = Some(i64::from(PAGE_ITEMS_MAX).into());
            object.default = Some(json!(PAGE_ITEMS_DEFAULT));
        }
        limit_text(&parameter.name, object);
    }
}

fn limit_text(name: &str, text: &mut Object) {
    let limits = TEXTS.iter().find(|(limited, ..)| *limited == name);
    if let Some((_, chars_min, chars_max)) = limits {
        text.min_length = Some(*chars_min).filter(|min| *min > 0);
        text.max_length = Some(*chars_max);
    }
}
