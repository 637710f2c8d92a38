//! The gateway: the edge of the task system. It knows who asks, refuses what makes no sense, passes the rest on to the
//! task-service, and carries the trace along.
//!
//! It decides nothing about tasks and stores nothing: rules are `tasks-api`'s, writes the task-service's. It is ready
//! when it listens, whatever happens to others: with a dependency away, its 503 tells more than a refused connection.

mod auth;
mod docs;
mod forward;
mod handlers;
mod openapi;
mod refusal;
mod request;
mod settings;

use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::Router;
use http::HeaderValue;
use runtime::server::{self, Stack, Until};
use runtime::{Faults, Process, Secret, Service};
use store::Store;
use tasks_api::routes::ALL as API_ROUTES;
use telemetry::http::{Route, ServerLayer, ServerOptions};

use crate::auth::Keys;
use crate::forward::TaskService;
pub use crate::settings::{BaseUrl, Settings};

/// Every route: those of the API, and the two that anybody may read.
static ROUTES: [Route; API_ROUTES.len() + 2] = {
    let mut all = [public(docs::PAGE_PATH); API_ROUTES.len() + 2];
    all[1] = public(docs::DOCUMENT_PATH);
    let mut index = 0;
    while index < API_ROUTES.len() {
        let route = API_ROUTES[index];
        all[index + 2] = Route {
            method: route.method,
            template: route.template,
            success: route.success,
        };
        index += 1;
    }
    all
};

/// This process's own work.
pub struct Gateway;

/// What handlers share.
#[derive(Clone)]
struct Api {
    keys: Arc<Keys>,
    tasks: TaskService,
}

impl Service for Gateway {
    const NAME: &'static str = conventions::resource::GATEWAY;
    const ADMIN_LISTEN: &'static str = "127.0.0.1:9101";
    type Settings = Settings;

    async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
        let listener = server::bind(settings.listen, "the API", "--listen")?;
        let clients = runtime::aws::clients(&process).await;
        let store = Store::new(clients.dynamodb, &settings.table);
        let routes = routes(&settings, store, process.faults.clone())?;
        process.readiness.serve();
        tracing::info!(listen = %settings.listen, "API is served");
        let until = Until::Drained {
            drain: process.drain.clone(),
            timeout: process.common.drain_timeout.get(),
        };
        server::serve(listener, routes, until).await
    }
}

/// The whole HTTP surface, with everything around it. The layers count in the recorder that is installed by now.
///
/// # Errors
/// If a setting cannot be used.
pub fn routes(settings: &Settings, store: Store, faults: Faults) -> anyhow::Result<Router> {
    let tasks = TaskService::new(forward::Options {
        url: settings.task_service_url.get().clone(),
        timeout: settings.task_service_timeout.get(),
        token: settings.internal_token.as_ref().map(bearer).transpose()?,
    });
    let api = Api {
        keys: Arc::new(Keys::new(store)),
        tasks: tasks.context("the HTTP client cannot be built")?,
    };
    let stack = Stack {
        telemetry: ServerLayer::new(ServerOptions {
            routes: &ROUTES,
            edge: true,
        }),
        faults,
        requests_in_flight_max: settings.requests_in_flight_max,
        request_timeout: settings.request_timeout.get(),
    };
    Ok(stack.around(handlers::router().merge(docs::router()).with_state(api)))
}

const fn public(template: &'static str) -> Route {
    Route {
        method: "GET",
        template,
        success: 200,
    }
}

fn bearer(token: &Secret) -> anyhow::Result<HeaderValue> {
    let token = token.reveal();
    ensure!(
        !token.is_empty(),
        "internal_token is empty; leave it out to show none"
    );
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| anyhow::anyhow!("internal_token has characters that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}
