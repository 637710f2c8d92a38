//! DynamoDB and SQS in this process, behind one HTTP endpoint that speaks their wire protocols, and whatever further service
//! of AWS' JSON protocol is mounted there.
//!
//! The DynamoDB engine is `dynoxide-rs` (SQLite), the SQS engine `rustack-sqs`; this crate owns the
//! endpoint in front of them, their settings, and what they leave open: limits, malformed input,
//! errors in AWS' shape. Items survive `kill -9`; messages are in memory, see
//! `docs/decisions/001-jobs-survive-in-the-outbox.md`.
//!
//! Deliberately absent: DynamoDB streams (refused), message move tasks, message retention,
//! signature checks (any region and any credentials are accepted; DynamoDB refuses a request
//! without any), CORS (a web page must not reach the data), TLS. DynamoDB ARNs carry the engine's
//! own region. Messages are limited to 256 KiB, the engine's limit, where AWS takes 1 MiB.

mod answer;
mod dynamodb;
mod endpoint;
mod sqs;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A service of AWS' JSON protocol that somebody else answers for.
#[derive(Clone)]
pub struct Further {
    /// What comes before the dot in `X-Amz-Target`.
    pub target: &'static str,
    /// Longer bodies are refused before it sees them.
    pub body_bytes_max: usize,
    pub answer: Answering,
}

/// Answers a request whose body has been read.
pub type Answering = Arc<
    dyn Fn(Request<Bytes>) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> + Send + Sync,
>;

impl fmt::Debug for Further {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Further")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// What the endpoint serves. The default keeps everything in memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the DynamoDB database, created if missing and locked while in use; `None` keeps
    /// the items in memory.
    pub data: Option<PathBuf>,
    /// Account of queue URLs and queue ARNs.
    pub account_id: String,
    /// Region of queue ARNs.
    pub region: String,
    pub further: Option<Further>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            data: None,
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            further: None,
        }
    }
}

/// Why the endpoint could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken or not of this machine.
    #[error("listening on {addr}")]
    Listen { addr: SocketAddr, source: io::Error },
    /// The data folder cannot be created or written.
    #[error("writing in the data folder: {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// Another process has the data folder open.
    #[error("the data folder is in use by another process: {}", path.display())]
    InUse { path: PathBuf },
    /// The database is not one, is damaged, or was written by a newer version.
    #[error("opening the database {}", path.display())]
    Database {
        path: PathBuf,
        source: dynoxide::DynoxideError,
    },
    /// The operating system refused a thread or a socket.
    #[error("starting the DynamoDB and SQS endpoint")]
    System { source: io::Error },
}

/// A running endpoint. Dropping it stops it without waiting; [`AwsLocal::stop`] lets requests
/// finish.
#[derive(Debug)]
pub struct AwsLocal {
    addr: SocketAddr,
    dynamodb: Arc<dynamodb::Engine>,
    serving: JoinHandle<()>,
    stopping: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl AwsLocal {
    /// Serves on `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// As [`AwsLocal::start`], and when the address cannot be bound.
    pub async fn bind(addr: SocketAddr, options: Options) -> Result<AwsLocal, Error> {
        let listener = TcpListener::bind(addr)
            .await
            .map_err(|source| Error::Listen { addr, source })?;
        AwsLocal::start(listener, options).await
    }

    /// Serves on a listener that is already bound.
    ///
    /// # Errors When the data folder is unwritable, in use or holds no readable database, or the
    /// system refuses a thread or socket.
    pub async fn start(listener: TcpListener, options: Options) -> Result<AwsLocal, Error> {
        let addr = listener
            .local_addr()
            .map_err(|source| Error::System { source })?;
        let dynamodb = Arc::new(dynamodb::Engine::start(options.data.clone()).await?);
        let stopping = CancellationToken::new();
        let sqs = sqs::Queues::new(addr, &options, stopping.clone());
        let services = endpoint::Services::new(Arc::clone(&dynamodb), sqs, options.further);
        let serving = tokio::spawn(endpoint::serve(
            listener,
            Arc::new(services),
            stopping.clone(),
        ));
        let stop_on_drop = stopping.clone().drop_guard();
        Ok(AwsLocal {
            addr,
            dynamodb,
            serving,
            stopping,
            _stop_on_drop: stop_on_drop,
        })
    }

    /// The address in use.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts nothing more, lets running requests finish, closes the database. Requests get two
    /// seconds, which cuts long polls off, and the engine another five.
    pub async fn stop(self) {
        self.stopping.cancel();
        // It ends by itself within its own bound; a panic in it has nothing left to drain.
        let _ = self.serving.await;
        self.dynamodb.stop().await;
    }
}
