//! The HTTP client of a destination, and what no answer or an odd one means.

use std::{error::Error, fs, io, path::Path, time::Duration};

use reqwest::{Certificate, Client, RequestBuilder, StatusCode};

/// A connection that cannot be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why lines were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// It may take them another time.
    #[error("{0}")]
    Later(String),
    /// It will never take all of them.
    #[error("{0}")]
    Refused(String),
}

/// There is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot read the file of certificates")]
    CaFile(#[from] io::Error),
    #[error("cannot make an HTTP client")]
    Client(#[from] reqwest::Error),
}

/// Certificates are judged by the platform's roots, or by those in `ca_file` alone. A rustls provider must be installed.
pub(crate) fn client(ca_file: Option<&Path>, timeout: Duration) -> Result<Client, ClientError> {
    let mut builder = Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tripod-shipper/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = ca_file {
        let certificates = Certificate::from_pem_bundle(&fs::read(file)?)?;
        builder = builder.tls_certs_only(certificates);
    }
    Ok(builder.build()?)
}

/// Status and beginning of the body. Without an answer it is tried again.
pub(crate) async fn answer(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), SendError> {
    let mut response = request.send().await.map_err(later)?;
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await.map_err(later)?
    {
        body.extend_from_slice(&chunk);
    }
    Ok((response.status(), body))
}

fn later(error: reqwest::Error) -> SendError {
    // The address may have a user and a password.
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    SendError::Later(reason)
}
