//! The task-service: the rules of tasks over storage, and the outbox.
//!
//! It answers the gateway, which has checked who asks. Every change is one transaction with its job; the job's message is
//! sent after the commit (`dispatch`), and by the relay if that did not happen (`relay`). What a job does is the
//! worker's. The life of a job is told in `docs/jobs.md`.

mod answer;
mod api;
mod caller;
mod dispatch;
mod handlers;
mod idempotency;
mod metrics;
mod preconditions;
mod provision;
mod refusal;
mod relay;
mod request;
mod settings;

use std::time::Duration;

use conventions::resource::TASK_SERVICE;
use runtime::{
    CancellationToken, Process, Service, aws,
    server::{self, Stack, Until},
};
use store::Store;
use tasks_api::routes;
use telemetry::http::{Route, ServerLayer, ServerOptions};
use tokio::time::Instant;

use api::Api;
use caller::InternalToken;
use dispatch::Dispatcher;
use provision::{Provision, Queue};
use relay::Relay;
pub use settings::{SeedKeys, Settings};

/// The routes in the form that the telemetry layer takes.
const ROUTES: [Route; routes::ALL.len()] = {
    let mut all = [Route {
        method: "",
        template: "",
        success: 0,
    }; routes::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        let routes::Route {
            method,
            template,
            success,
        } = routes::ALL[index];
        all[index] = Route {
            method,
            template,
            success,
        };
        index += 1;
    }
    all
};

/// The process.
#[derive(Debug)]
pub struct TaskService;

impl Service for TaskService {
    const NAME: &'static str = TASK_SERVICE;
    const ADMIN_LISTEN: &'static str = "127.0.0.1:9102";
    type Settings = Settings;

    async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
        let listener = server::bind(settings.listen, "the task API", "--listen")?;
        let address = listener.local_addr()?;
        let token = InternalToken::new(settings.internal_token)?;
        metrics::register();

        let clients = aws::clients(&process).await;
        let store = Store::new(clients.dynamodb, &settings.table);
        check_readiness(&process, store.clone());
        let queue = Queue::default();
        let dispatcher = Dispatcher::new(store.clone(), queue.clone());
        let api = Api {
            store: store.clone(),
            dispatcher: dispatcher.clone(),
            token,
        };
        let stack = Stack {
            telemetry: ServerLayer::new(ServerOptions {
                routes: &ROUTES,
                edge: false,
            }),
            faults: process.faults.clone(),
            requests_in_flight_max: settings.requests_in_flight_max.get().into(),
            request_timeout: settings.request_timeout.get(),
        };
        let provision = Provision {
            store,
            sqs: clients.sqs,
            queue_name: settings.queue,
            is_allowed: settings.provision,
            keys: settings.seed_api_keys.0,
        };

        let timeout = process.common.drain_timeout.get();
        let deadline = tokio::spawn(deadline(process.drain.clone(), timeout));
        let interval = settings.relay_interval.get();
        let background = tokio::spawn(work_in_background(
            provision,
            queue,
            interval,
            process.clone(),
        ));
        let until = Until::Drained {
            drain: process.drain.clone(),
            timeout,
        };
        tracing::info!(listen = %address, "task API is served");
        server::serve(listener, stack.around(api::router(api)), until).await?;

        let rest = async {
            dispatcher.drain().await;
            // Its panic has a log line of its own; what it did not send is in the outbox.
            let _ = background.await;
        };
        if tokio::time::timeout_at(deadline.await?, rest)
            .await
            .is_err()
        {
            tracing::warn!("messages were not sent in time: they are left to the relay");
        }
        Ok(())
    }
}

/// A process without its table can answer nothing. Without its queue it can: jobs wait in the outbox.
fn check_readiness(process: &Process, store: Store) {
    process.readiness.register("table", move || {
        let store = store.clone();
        async move { store.ping().await.map_err(|error| error.to_string()) }
    });
}

/// Everything that no request waits for. The process is ready for requests when there is a table to keep them in.
async fn work_in_background(
    provision: Provision,
    slot: Queue,
    interval: Duration,
    process: Process,
) {
    let work = async {
        provision.table().await;
        process.readiness.serve();
        let queue = provision.queue().await;
        slot.found(queue.clone());
        queue
    };
    if let Some(queue) = process.drain.run_until_cancelled(work).await {
        Relay::new(provision, queue, interval)
            .run(process.drain)
            .await;
    }
}

/// When what is running must have ended.
async fn deadline(drain: CancellationToken, timeout: Duration) -> Instant {
    drain.cancelled().await;
    Instant::now() + timeout
}
