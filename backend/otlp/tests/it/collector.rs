//! The real Collector with an OTLP receiver and nothing behind it, as a peer.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use otlp::Addresses;
use peers::{Peer, component, free_address};

const START_DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Collector {
    _process: Peer,
    pub addresses: Addresses,
}

impl Collector {
    /// `None`, and said, if it is not at hand.
    pub(crate) fn start() -> Option<Self> {
        let program = component("otelcol")?;
        let addresses = Addresses {
            grpc: free_address(),
            http: free_address(),
        };
        let config = format!(
            "yaml:{{receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{}'}}, http: {{endpoint: '{}'}}}}}}}}, \
             exporters: {{debug: {{}}}}, service: {{telemetry: {{metrics: {{level: none}}}}, pipelines: \
             {{traces: {{receivers: [otlp], exporters: [debug]}}, logs: {{receivers: [otlp], exporters: [debug]}}}}}}}}",
            addresses.grpc, addresses.http
        );
        let mut command = Command::new(program);
        command
            .args(["--config", &config])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let listening = [addresses.grpc, addresses.http];
        Some(Self {
            _process: Peer::start(command, &listening, START_DEADLINE).unwrap(),
            addresses,
        })
    }
}
