//! A destination that speaks TLS alone, with a certificate that only who is told of it trusts.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use shipper::{Destination, Shipper, Signer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    sink::Sink,
    world::{World, lines, options, wait_for},
};

/// The sink's routes under TLS; the certificate to trust is written to `ca_file`.
pub(crate) async fn serve(sink: &Sink, ca_file: &Path) -> SocketAddr {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(ca_file, made.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = sink.routes();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, routes) = (acceptor.clone(), routes.clone());
            tokio::spawn(async move {
                // Who does not trust it breaks off.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = TowerToHyperService::new(routes);
                let connection = http1::Builder::new();
                let _ = connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

#[test]
fn a_certificate_counts_only_for_who_is_told_to_trust_it_and_requests_are_signed() {
    let world = World::new();
    let ca_file = world.folder.path().join("ca.pem");
    let address = world.runtime.block_on(serve(&world.cloudwatch, &ca_file));
    world.append("gateway", lines("gateway", 0..10));
    let start = |ca_file| {
        let signer = Signer::new("eu-central-1", "AKIDEXAMPLE", "SECRET", None);
        let destination = Destination::CloudWatch {
            url: format!("https://{address}"),
            stream: "one".to_owned(),
            retention_days: None,
            ca_file,
            signer: Some(signer),
        };
        Shipper::start(options(world.folder.path(), vec![destination])).unwrap()
    };
    let shipper = start(None);
    wait_for("a refusal", || shipper.stats()[0].retries > 0);
    world.stop(shipper);
    assert!(world.cloudwatch.operations().is_empty());
    let shipper = start(Some(ca_file));
    wait_for("all lines", || world.cloudwatch.lines().len() == 10);
    world.stop(shipper);
    let authorization = world.cloudwatch.authorization().unwrap();
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
        "{authorization}"
    );
}

#[test]
fn a_file_of_certificates_that_is_not_there_is_an_error_at_start() {
    let world = World::new();
    let destination = Destination::CloudWatch {
        url: "https://127.0.0.1:9".to_owned(),
        stream: "one".to_owned(),
        retention_days: None,
        ca_file: Some(world.folder.path().join("missing.pem")),
        signer: None,
    };
    let error = Shipper::start(options(world.folder.path(), vec![destination])).unwrap_err();
    assert_eq!(error.to_string(), "cannot reach cloudwatch");
}
