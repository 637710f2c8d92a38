//! The listeners for OTLP over gRPC and HTTP: started, told apart, stopped. What they do with a request is in `grpc` and
//! `http`, what both share in `intake`.
//!
//! Neither looks into a message: a sink gets the bytes that were sent. Statuses and texts are those of the OpenTelemetry
//! Collector, unless the specification of OTLP says otherwise (`INVALID_ARGUMENT` for what is no OTLP).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{LogSink, TraceSink};
use intake::Intake;

mod body;
mod budget;
mod connections;
mod counts;
mod failure;
mod grpc;
mod http;
mod intake;

/// Where to listen and how much to take.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address for gRPC. Default: 127.0.0.1:4317.
    pub grpc: SocketAddr,
    /// Address for HTTP. Default: 127.0.0.1:4318.
    pub http: SocketAddr,
    /// A gRPC message may have as many bytes, decompressed or not. Default: 4 MiB, as in the Collector
    /// (`max_recv_msg_size_mib`).
    pub grpc_request_bytes_max: usize,
    /// The body of an HTTP request may have as many bytes, decompressed or not. Default: 20 MiB, as in the Collector
    /// (`max_request_body_size`).
    pub http_request_bytes_max: usize,
    /// All requests under way may hold as many bytes; a request counts as 64 KiB at least. What comes on top is told to come
    /// again. Default: 256 MiB.
    pub under_way_bytes_max: usize,
    /// How long a client may take to send the headers of a request: of a connection's first one, and on HTTP/1 of each later
    /// one, so that idle connections end too. Default: 30 s.
    pub headers_timeout: Duration,
    /// How long a client may take to send a request, from the end of its headers. Default: 30 s.
    pub body_timeout: Duration,
}

/// Where a receiver listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For gRPC.
    pub grpc: SocketAddr,
    /// For HTTP.
    pub http: SocketAddr,
}

/// A receiver cannot start.
#[derive(Debug, thiserror::Error)]
#[error("OTLP over {transport} cannot listen on {address}")]
pub struct Error {
    transport: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// Both listeners. Dropped without [`Receiver::stop`], it ends at once.
#[derive(Debug)]
pub struct Receiver {
    addresses: Addresses,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
    servers: [JoinHandle<()>; 2],
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grpc: (Ipv4Addr::LOCALHOST, 4317).into(),
            http: (Ipv4Addr::LOCALHOST, 4318).into(),
            grpc_request_bytes_max: 4 << 20,
            http_request_bytes_max: 20 << 20,
            under_way_bytes_max: 256 << 20,
            headers_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
        }
    }
}

impl Receiver {
    /// Listens and begins to serve. Without a sink for logs, logs are unknown here, as they are to a Collector that has no
    /// pipeline for them.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub async fn bind(
        options: Options,
        traces: Arc<dyn TraceSink>,
        logs: Option<Arc<dyn LogSink>>,
    ) -> Result<Self, Error> {
        let (grpc_listener, grpc) = listen("gRPC", options.grpc).await?;
        let (http_listener, http) = listen("HTTP", options.http).await?;
        let intake = Arc::new(Intake::new(options, traces, logs));
        let stop = CancellationToken::new();
        let servers = [
            tokio::spawn(grpc::serve(
                grpc_listener,
                Arc::clone(&intake),
                stop.clone(),
            )),
            tokio::spawn(http::serve(http_listener, intake, stop.clone())),
        ];
        Ok(Self {
            addresses: Addresses { grpc, http },
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
            servers,
        })
    }

    /// Where it listens: the real ports where port 0 was asked for.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Takes no more requests, and ends when those under way are answered, within a few seconds in any case.
    pub async fn stop(self) {
        self.stop.cancel();
        for server in self.servers {
            // A server ends in no other way than by being told to.
            let _ = server.await;
        }
    }
}

async fn listen(
    transport: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Error> {
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind.await.map_err(|source| Error {
        transport,
        address,
        source,
    })
}
