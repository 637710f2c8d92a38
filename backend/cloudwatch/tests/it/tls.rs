//! The TLS endpoint: who trusts its authority is served, who does not or speaks no TLS is turned away alone.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use cloudwatch::tls::{Authority, CA_FILE, serve};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// How long anything may take here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<()>,
}

/// Serves the world's routes; the authority is in the folder `tls` of the world's.
pub(crate) async fn start(world: &World) -> TlsServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let authority = Authority::open(&world.dir.path().join("tls")).unwrap();
    let stop = CancellationToken::new();
    let (routes, token) = (world.routes.clone(), stop.clone());
    let served = tokio::spawn(async move {
        serve(listener, routes, authority, token).await.unwrap();
    });
    TlsServer {
        address,
        stop,
        served,
    }
}

fn connector(ca: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// The answer to a request for the groups.
async fn describe(address: SocketAddr, ca: &Path, name: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = connector(ca).connect(name, stream).await?;
    let request = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\
        x-amz-target: Logs_20140328.DescribeLogGroups\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served_under_each_loopback_name() {
    let world = World::with_stream().await;
    let server = start(&world).await;
    let ca = world.dir.path().join("tls").join(CA_FILE);
    for name in ["localhost", "127.0.0.1", "::1"] {
        let answer = describe(server.address, &ca, name).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(r#""logGroupName":"g""#), "{answer}");
    }
    assert!(describe(server.address, &ca, "example.com").await.is_err());
    // Trust outlives the server: another one with the same folder has a certificate of the same authority.
    let again = start(&world).await;
    describe(again.address, &ca, "localhost").await.unwrap();
    let elsewhere = World::new();
    drop(Authority::open(&elsewhere.dir.path().join("tls")).unwrap());
    let other_ca = elsewhere.dir.path().join("tls").join(CA_FILE);
    assert!(
        describe(server.address, &other_ca, "localhost")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_speaks_no_tls_is_turned_away_and_others_are_served() {
    let world = World::with_stream().await;
    let server = start(&world).await;
    let mut silent = Vec::new();
    for garbage in [
        &b"POST / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\xff\xff",
        b"",
        &[0; 70_000],
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may hang up before it has read everything.
        let _ = stream.write_all(garbage).await;
        silent.push(stream);
    }
    let ca = world.dir.path().join("tls").join(CA_FILE);
    let answer = describe(server.address, &ca, "localhost").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stops() {
    let world = World::with_stream().await;
    let server = start(&world).await;
    let ca = world.dir.path().join("tls").join(CA_FILE);
    describe(server.address, &ca, "localhost").await.unwrap();
    server.stop.cancel();
    tokio::time::timeout(DEADLINE, server.served)
        .await
        .unwrap()
        .unwrap();
    assert!(describe(server.address, &ca, "localhost").await.is_err());
}
