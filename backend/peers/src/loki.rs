//! The real Loki in a folder that goes with it: configured for loopback alone, started, and asked over the plainest HTTP.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{Peer, component, free_address};

/// A running Loki. It does not outlive this value.
#[derive(Debug)]
pub struct Loki {
    pub peer: Peer,
    pub address: SocketAddr,
    /// Its chunks, and everything else that it writes.
    pub folder: TempDir,
}

/// What tests and benches want different.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'s> {
    /// Each request names its tenant, in `X-Scope-OrgID`.
    pub has_tenants: bool,
    /// Members of `limits_config`, separated by commas; structured metadata is allowed in any case.
    pub limits: &'s str,
    /// Further lines of the file.
    pub further: &'s str,
}

impl Loki {
    /// Starts it and waits until it listens; what it answers first may take longer. `None`, and said, if it is not at hand.
    ///
    /// # Panics
    /// If it cannot be run, ends, or does not listen within `patience`.
    pub fn start(settings: Settings<'_>, patience: Duration) -> Option<Self> {
        let program = component("loki")?;
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let (address, grpc) = (free_address(), free_address());
        let file = folder.path().join("loki.yaml");
        let config = configuration(folder.path(), address.port(), grpc.port(), settings);
        fs::write(&file, config).expect("a temporary folder can be written");
        let mut command = Command::new(program);
        command
            .arg(format!("-config.file={}", file.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let peer = Peer::start(command, &[address], patience).expect("Loki can be run");
        Some(Self {
            peer,
            address,
            folder,
        })
    }

    /// Asks on a connection of its own; status and body of the answer.
    ///
    /// # Panics
    /// If there is no answer, or none that is text.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("Loki listens");
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let head = format!(
            "{method} {path} HTTP/1.0\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = String::new();
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()))
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("Loki answers in text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.expect("an answer has a status"), body.to_owned())
    }
}

/// Loopback only, nothing outside the folder, nobody told.
fn configuration(folder: &Path, http: u16, grpc: u16, settings: Settings<'_>) -> String {
    let path = folder.display();
    let Settings {
        has_tenants,
        limits,
        further,
    } = settings;
    format!(
        "auth_enabled: {has_tenants}
analytics: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {http}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: error}}
common:
  instance_addr: 127.0.0.1
  path_prefix: {path}
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {path}/chunks, rules_directory: {path}/rules}}}}
schema_config:
  configs: [{{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]
limits_config: {{allow_structured_metadata: true, {limits}}}
compactor: {{working_directory: {path}/compactor}}
{further}
"
    )
}
