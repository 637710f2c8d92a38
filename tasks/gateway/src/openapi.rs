//! The OpenAPI 3.1 document: the annotations of `handlers` and the types of `tasks-api`, put together with what holds
//! for all operations. Nothing here changes how a request is treated.

mod description;
mod headers;
mod limits;
mod parameters;
mod problems;

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Ref, RefOr, Schema, ServerBuilder};

use crate::handlers;

/// Name of the security scheme, as in the attribute below.
const API_KEY: &str = "api_key";

#[derive(OpenApi)]
#[openapi(
    info(title = "Tripod tasks"),
    paths(
        handlers::create_task,
        handlers::list_tasks,
        handlers::get_task,
        handlers::update_task,
        handlers::delete_task,
        handlers::transition_task,
        handlers::create_comment,
        handlers::list_comments,
        handlers::list_activity,
    ),
    components(schemas(tasks_api::Problem)),
    security(("api_key" = [])),
    tags(
        (name = "tasks", description = "What has to be done, by whom, and where it stands."),
        (name = "comments", description = "What people say about a task."),
        (name = "activity", description = "What happened to a task."),
    ),
)]
struct Annotated;

/// The whole document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Annotated::openapi();
    document.info.description = Some(description::text());
    // Relative to the document itself: right behind any host name and any port.
    document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(API_KEY, SecurityScheme::Http(api_key()));
    name_items(components);
    limits::write(&mut document);
    problems::add(&mut document);
    headers::add(&mut document);
    document
}

fn api_key() -> Http {
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("tpk_{key id}_{secret}")
        .description(Some(
            "An API key. It belongs to one workspace and sees nothing of any other.",
        ))
        .build()
}

/// Lets each page name the schema of its items, which the derive repeats inside of it.
fn name_items(components: &mut Components) {
    for (name, schema) in &mut components.schemas {
        if let Some(item) = name.strip_prefix("Page_")
            && let RefOr::T(Schema::Object(page)) = schema
            && let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items")
        {
            items.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(item).into()));
        }
    }
}

/// The operations of one path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [
        &mut item.get,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ];
    methods.into_iter().flatten()
}

/// An operation's parameters. All are written out where they are used.
fn parameters(operation: &Operation) -> impl Iterator<Item = &Parameter> {
    let parameters = operation.parameters.iter().flatten();
    parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

#[cfg(test)]
mod tests;
