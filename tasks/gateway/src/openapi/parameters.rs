//! Parameters that are no query: the extractors of `request` describe themselves.

use serde_json::json;
use tasks_api::TaskId;
use tasks_api::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, PartialSchema};

use crate::request::{IdempotencyKey, IfMatch, TaskPath};

impl IntoParams for TaskPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = ParameterBuilder::new()
            .name("task_id")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(TaskId::schema()))
            .example(Some(json!("019ab1c2-3d4e-7f50-8a6b-7c8d9e0f1a2b")));
        vec![parameter.build()]
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(
                "The `ETag` that the task was read with, or `*` for any version.",
            ))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .example(Some(json!("\"1\"")));
        vec![parameter.build()]
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(IDEMPOTENCY_KEY_CHARS_MAX))
            .pattern(Some("^[ -~]+$"));
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Makes the request safe to repeat. Any text that is new for a new request.",
            ))
            .schema(Some(schema))
            .example(Some(json!("5f1c7e1e-8a55-4a3c-9d61-1f0f6f0d2f6e")));
        vec![parameter.build()]
    }
}
