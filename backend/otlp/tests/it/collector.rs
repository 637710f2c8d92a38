//! The real Collector with an OTLP receiver and nothing behind it, as a peer.

use std::{
    env,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use otlp::Addresses;

const START_DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Collector {
    process: Child,
    pub addresses: Addresses,
}

impl Collector {
    /// `None`, and said, if it is not at hand.
    #[expect(
        clippy::print_stdout,
        reason = "who runs the tests must know what was left out"
    )]
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = find("otelcol") else {
            println!("left out: otelcol is not at hand (make stack)");
            return None;
        };
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
        let process = Command::new(program)
            .args(["--config", &config])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut collector = Self { process, addresses };
        let deadline = Instant::now() + START_DEADLINE;
        while [addresses.grpc, addresses.http]
            .iter()
            .any(|address| TcpStream::connect(address).is_err())
        {
            assert_eq!(collector.process.try_wait().unwrap(), None, "otelcol ended");
            assert!(Instant::now() < deadline, "otelcol did not start");
            std::thread::yield_now();
        }
        Some(collector)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `TRIPOD_STACK_BIN`, then PATH, then where `make stack` builds.
fn find(program: &str) -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let path = env::var_os("PATH").unwrap_or_default();
    env::var_os("TRIPOD_STACK_BIN")
        .map(PathBuf::from)
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(cache.map(|cache| cache.join("tripod/stack/bin")))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// An address that is free now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
