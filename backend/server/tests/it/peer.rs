//! The real Tempo in one process, as a peer. Used by tests and benches.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::client::Client;

const START_DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);

pub(crate) struct Tempo {
    process: Child,
    pub api: SocketAddr,
    pub otlp: SocketAddr,
    _folder: TempDir,
}

impl Tempo {
    /// `None`, and said, if it is not at hand.
    #[expect(
        clippy::print_stdout,
        reason = "who runs the tests must know what was left out"
    )]
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = find("tempo") else {
            println!("left out: tempo is not at hand (make stack)");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let (api, otlp) = (free_address(), free_address());
        let config = folder.path().join("tempo.yaml");
        fs::write(&config, configuration(&folder, api, otlp)).unwrap();
        let process = Command::new(program)
            .arg(format!("-config.file={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut tempo = Self {
            process,
            api,
            otlp,
            _folder: folder,
        };
        tempo.wait();
        Some(tempo)
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + START_DEADLINE;
        let is_ready = || {
            TcpStream::connect(self.api).is_ok()
                && TcpStream::connect(self.otlp).is_ok()
                && Client::new(self.api).get("/ready").status == 200
        };
        while !is_ready() {
            assert_eq!(self.process.try_wait().unwrap(), None, "tempo ended");
            assert!(Instant::now() < deadline, "tempo did not start");
            thread::sleep(POLL);
        }
    }

    pub(crate) fn push(&self, client: &mut Client, request: &[u8]) {
        let headers = [("content-type", "application/x-protobuf")];
        let answer = client.ask("POST", "/v1/traces", &headers, request);
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
    }
}

/// Loopback only, nothing outside the folder, no limit on what it takes, and nothing that keeps fresh data from being searched.
fn configuration(folder: &TempDir, api: SocketAddr, otlp: SocketAddr) -> String {
    let folder = folder.path().display();
    let (grpc, members) = (free_address(), free_address());
    let ring = "{instance_addr: 127.0.0.1, kvstore: {store: inmemory}}";
    format!(
        "server: {{http_listen_address: 127.0.0.1, http_listen_port: {}, grpc_listen_address: 127.0.0.1, \
         grpc_listen_port: {}, log_level: error}}\n\
         memberlist: {{bind_addr: [127.0.0.1], bind_port: {}}}\n\
         distributor: {{receivers: {{otlp: {{protocols: {{http: {{endpoint: '{otlp}'}}}}}}}}, ring: {ring}}}\n\
         live_store: {{fail_on_high_lag: false, max_trace_idle: 250ms, flush_check_period: 250ms, \
         wal: {{path: '{folder}/live'}}, shutdown_marker_dir: '{folder}/marker', ring: {ring}, \
         partition_ring: {{kvstore: {{store: inmemory}}}}}}\n\
         query_frontend: {{query_end_cutoff: 0s}}\n\
         overrides: {{defaults: {{ingestion: {{rate_limit_bytes: 1000000000, burst_size_bytes: 1000000000, \
         max_traces_per_user: 0}}}}}}\n\
         storage: {{trace: {{backend: local, wal: {{path: '{folder}/wal'}}, local: {{path: '{folder}/blocks'}}}}}}\n\
         backend_scheduler: {{local_work_path: '{folder}/scheduler'}}\n\
         backend_worker: {{ring: {ring}}}\n\
         usage_report: {{reporting_enabled: false}}\n",
        api.port(),
        grpc.port(),
        members.port()
    )
}

impl Drop for Tempo {
    fn drop(&mut self) {
        // Asked politely, it takes more than a minute.
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
    let stack = env::var_os("TRIPOD_STACK_BIN").map(PathBuf::from);
    stack
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
