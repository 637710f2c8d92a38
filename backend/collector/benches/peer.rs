//! Ours and the real Collector under the same load over OTLP/HTTP, one after the other in one run: accepted spans per second,
//! CPU per million spans, memory, slowest request.
//!
//! The collector runs on one core and the sender on another, each in a process of its own (this executable again). The
//! method and the real one's configuration are those of the project's first measurements: uncompressed protobuf, four
//! connections that are kept, closed loop, decision wait 10 s, three policies, kept spans written to nowhere. Without
//! `otelcol` at hand only ours is measured. `PEER_SPANS_PER_TRACE` (3) and `PEER_SECONDS` (20) change the load.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod batches;
#[path = "../tests/it/outside.rs"]
mod outside;

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use batches::{Batches, SPANS_PER_BATCH};
use bytes::Bytes;
use collector::{Collector, Config, Export, ExportError, Options, monotonic};
use otlp::Receiver;
use outside::{Connection, get};
use peers::{Peer, component, cpu_seconds, find, free_address};

const CONNECTIONS: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(10);

/// Budgets of the design: spans per core at least ten times, memory at most a tenth, the slowest request.
const FASTER_BY: f64 = 10.0;
const SMALLER_BY: f64 = 10.0;
const SLOWEST_MS: f64 = 50.0;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve"] => serve(),
        ["--send", address, seconds, spans] => send(
            address.parse().unwrap(),
            seconds.parse().unwrap(),
            spans.parse().unwrap(),
        ),
        _ => compare(),
    }
}

struct Result {
    name: String,
    spans_per_second: f64,
    cpu_per_million: f64,
    resident: f64,
    traces: f64,
    slowest_ms: f64,
}

fn compare() {
    let number = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let (seconds, spans) = (
        number("PEER_SECONDS", "20"),
        number("PEER_SPANS_PER_TRACE", "3"),
    );
    println!("{spans} spans per trace, {seconds} s each");
    println!(
        "{:>28} {:>12} {:>16} {:>9} {:>16} {:>15} {:>11}",
        "",
        "spans/s",
        "CPU s/million",
        "RSS MiB",
        "traces buffered",
        "bytes per trace",
        "slowest ms"
    );
    let ours = ours(&seconds, &spans);
    ours.print();
    let Some(otelcol) = component("otelcol") else {
        return;
    };
    let peer = peer(&otelcol, &seconds, &spans);
    peer.print();
    let (faster, smaller) = (
        ours.spans_per_second / peer.spans_per_second,
        peer.bytes_per_trace() / ours.bytes_per_trace(),
    );
    println!(
        "{:.1} times the spans per core (budget {FASTER_BY}), 1/{smaller:.1} of the memory per buffered trace (budget 1/{SMALLER_BY}), \
         {:.1} times less CPU per span, slowest request {:.0} ms (budget {SLOWEST_MS}; the peer's {:.0})",
        faster,
        peer.cpu_per_million / ours.cpu_per_million,
        ours.slowest_ms,
        peer.slowest_ms,
    );
}

impl Result {
    fn bytes_per_trace(&self) -> f64 {
        self.resident / self.traces
    }

    fn print(&self) {
        println!(
            "{:>28} {:>12.0} {:>16.2} {:>9.0} {:>16.0} {:>15.0} {:>11.1}",
            self.name,
            self.spans_per_second,
            self.cpu_per_million,
            self.resident / f64::from(1 << 20),
            self.traces,
            self.bytes_per_trace(),
            self.slowest_ms,
        );
    }
}

/// Measures a running collector. `traces` asks it how many traces it holds.
fn measure(
    name: String,
    child: &mut Child,
    address: SocketAddr,
    load: (&str, &str),
    traces: impl FnOnce(&mut Child) -> f64,
) -> Result {
    let pid = child.id();
    let cpu_before = cpu_seconds(pid);
    let mut sender = pinned("1", &env::current_exe().unwrap());
    let output = sender
        .args(["--send", &address.to_string(), load.0, load.1])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let (cpu, resident, traces) = (cpu_seconds(pid) - cpu_before, resident(pid), traces(child));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let [spans, seconds, slowest_ms] = numbers[..] else {
        panic!("the sender said {text:?}")
    };
    child.kill().unwrap();
    child.wait().unwrap();
    Result {
        name,
        spans_per_second: spans / seconds,
        cpu_per_million: cpu / spans * 1e6,
        resident,
        traces,
        slowest_ms,
    }
}

fn ours(seconds: &str, spans: &str) -> Result {
    let mut command = pinned("0", &env::current_exe().unwrap());
    let mut child = command
        .arg("--serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap().parse().unwrap();
    let spans_per_trace: f64 = spans.parse().unwrap();
    measure(
        "tripod".to_owned(),
        &mut child,
        address,
        (seconds, spans),
        |child| {
            child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
            lines.next().unwrap().unwrap().parse::<f64>().unwrap() / spans_per_trace
        },
    )
}

/// The measured process: listens, says where, and says how many spans it holds for each line that it reads.
fn serve() {
    struct Nowhere;
    impl Export for Nowhere {
        fn export(&self, _: Bytes, _: u64) -> std::result::Result<(), ExportError> {
            Ok(())
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/collector/collector.yaml");
    let mut config = Config::read(&path, &|name| {
        (name == "TRIPOD_DECISION_WAIT").then(|| "10s".to_owned())
    })
    .unwrap();
    config.num_traces = 20_000_000;
    let options = Options {
        buffered_bytes_max: 8 << 30,
        ..Options::default()
    };
    let collector = Collector::start(config, options, monotonic(), Arc::new(Nowhere)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let listen = otlp::Options {
        grpc: any,
        http: any,
        ..otlp::Options::default()
    };
    let bound = Receiver::bind(listen, Arc::new(collector.handle()), None);
    let receiver = runtime.block_on(bound).unwrap();
    println!("{}", receiver.addresses().http);
    let asked = thread::spawn(move || {
        for line in std::io::stdin().lines() {
            line.unwrap();
            let report = collector.report();
            assert_eq!(
                report.decided_early, [0; 5],
                "the bounds are out of the way"
            );
            println!("{}", report.pending);
        }
    });
    runtime.block_on(std::future::pending::<()>());
    asked.join().unwrap();
}

/// The real one, on the file of the first measurements.
fn peer(otelcol: &Path, seconds: &str, spans: &str) -> Result {
    let version = Command::new(otelcol).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap().trim().to_owned();
    let [http, metrics] = [free_address(), free_address()];
    let file = env::temp_dir().join(format!("collector-peer-{}.yaml", std::process::id()));
    fs::write(&file, configuration(http, metrics)).unwrap();
    let mut command = pinned("0", otelcol);
    command
        .arg("--config")
        .arg(&file)
        .env("GOMAXPROCS", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut peer = Peer::start(command, &[http], PATIENCE).unwrap();
    let result = measure(version, &mut peer.0, http, (seconds, spans), |_| {
        let page = get(metrics, "/metrics");
        let line = page.lines().find(|line| {
            line.starts_with("otelcol_processor_tail_sampling_sampling_traces_on_memory")
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap()
    });
    fs::remove_file(file).unwrap();
    result
}

fn configuration(http: SocketAddr, metrics: SocketAddr) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{http}'}}}}}}}}
processors:
  tail_sampling:
    decision_wait: 10s
    num_traces: 2000000
    decision_cache: {{sampled_cache_size: 200000, non_sampled_cache_size: 1000000}}
    policies:
      - {{name: errors, type: status_code, status_code: {{status_codes: [ERROR]}}}}
      - {{name: http-5xx, type: numeric_attribute, numeric_attribute: {{key: http.response.status_code, min_value: 500, max_value: 599}}}}
      - {{name: baseline, type: probabilistic, probabilistic: {{sampling_percentage: 5, hash_salt: tripod-v1}}}}
exporters: {{file: {{path: /dev/null}}}}
service:
  telemetry:
    logs: {{level: error}}
    metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}
  pipelines: {{traces: {{receivers: [otlp], processors: [tail_sampling], exporters: [file]}}}}
",
        metrics.ip(),
        metrics.port()
    )
}

/// The sending process: prints spans, seconds and the slowest request in milliseconds.
fn send(address: SocketAddr, seconds: u64, spans_per_trace: usize) {
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|seed| {
            thread::spawn(move || {
                send_until(address, until, Batches::new(spans_per_trace, seed + 1))
            })
        })
        .collect();
    let sent: Vec<(usize, Duration)> = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .collect();
    let spans: usize = sent.iter().map(|(spans, _)| spans).sum();
    let slowest = sent.iter().map(|(_, slowest)| *slowest).max().unwrap();
    println!(
        "{spans} {} {}",
        started.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1e3
    );
}

fn send_until(address: SocketAddr, until: Instant, mut batches: Batches) -> (usize, Duration) {
    let mut connection = Connection::open(address);
    let (mut spans, mut slowest) = (0, Duration::ZERO);
    while Instant::now() < until {
        let (body, _) = batches.next();
        let request = Instant::now();
        let status = connection.post("/v1/traces", body);
        slowest = slowest.max(request.elapsed());
        assert_eq!(status, 200);
        spans += SPANS_PER_BATCH;
    }
    (spans, slowest)
}

/// A command on one core, where cores can be chosen.
fn pinned(core: &str, program: &Path) -> Command {
    let Some(taskset) = find("taskset") else {
        return Command::new(program);
    };
    let mut command = Command::new(taskset);
    command.args(["-c", core]).arg(program);
    command
}

/// Resident bytes of a process.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}
