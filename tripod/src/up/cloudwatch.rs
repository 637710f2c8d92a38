//! The embedded CloudWatch Logs: its store, its TLS listener with an authority of its own, and what mounts it on the AWS
//! endpoint.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use aws_local::Further;
use axum::{Router, body::Body};
use bytes::Bytes;
use cloudwatch::{Options, Service, TARGET_PREFIX, tls};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{REGION, data::Data, log_store::LogStore};

/// Account of ARNs, the same as that of queues.
const ACCOUNT_ID: &str = "000000000000";
/// What the service itself takes: a batch of a megabyte, of which JSON can make six.
const BODY_BYTES_MAX: usize = 8 << 20;

/// Everything of it that runs.
pub(crate) struct CloudWatch {
    routes: Router,
    store: LogStore,
    ca_file: PathBuf,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl CloudWatch {
    /// Opens the store and serves on TLS.
    ///
    /// # Errors
    /// The data folder cannot be used, or the address cannot be listened on.
    pub(crate) async fn start(address: SocketAddr, data: &Data) -> anyhow::Result<Self> {
        let folder = data.cloudwatch();
        let store = LogStore::open(&folder.join("events"), cloudwatch::store_options())?;
        let options = Options {
            region: REGION.to_owned(),
            account_id: ACCOUNT_ID.to_owned(),
            now: Arc::new(now_ms),
        };
        let (service, recovery) = Service::open(&folder.join("catalogue"), options, store.store())?;
        if recovery.cut_bytes > 0 {
            tracing::warn!(?recovery, "the catalogue of log groups was not closed well");
        }
        let routes = cloudwatch::router(Arc::new(service));
        let certificates = folder.join("tls");
        let authority = tls::Authority::open(&certificates)?;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("CloudWatch Logs over TLS cannot listen on {address}"))?;
        let stop = CancellationToken::new();
        let served = tls::serve(listener, routes.clone(), authority, stop.clone());
        Ok(Self {
            routes,
            store,
            ca_file: certificates.join(tls::CA_FILE),
            stop,
            serving: tokio::spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "CloudWatch Logs is not served over TLS"
                    );
                }
            }),
        })
    }

    /// The certificate to trust.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.ca_file.clone()
    }

    /// What the AWS endpoint hands over.
    pub(crate) fn further(&self) -> Further {
        let routes = self.routes.clone();
        Further {
            target: TARGET_PREFIX.trim_end_matches('.'),
            body_bytes_max: BODY_BYTES_MAX,
            answer: Arc::new(move |request| Box::pin(answer(routes.clone(), request))),
        }
    }

    /// Requests in progress are answered, then the store is closed.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // A panic of it has been said already.
        let _ = self.serving.await;
        drop(self.routes);
        self.store.close().await;
    }
}

/// Who writes, as CloudWatch's streams are called: this machine, the same after a restart.
pub(crate) fn machine() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    // What a stream may not be called.
    name.replace([':', '*'], "-")
}

async fn answer(routes: Router, request: Request<Bytes>) -> Response<Bytes> {
    let answer = match routes.oneshot(request.map(Body::from)).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let (parts, body) = answer.into_parts();
    match body.collect().await {
        Ok(body) => Response::from_parts(parts, body.to_bytes()),
        Err(error) => {
            // It is in memory, so there is nothing that could fail but our own code.
            tracing::error!(%error, "an answer of CloudWatch Logs cannot be read");
            let mut failed = Response::new(Bytes::new());
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            failed
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
