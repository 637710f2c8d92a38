//! One million lines of a file to a Loki that takes everything: the shipper, and beside it the real Fluent Bit, on one core each.
//!
//! The shipper or Fluent Bit runs on core 0, the sink on core 1. Counted are the CPU seconds of the process from its start to its end,
//! so that start, threads and system calls are in it. `SHIPPER_BENCH_LINES` sets the number of lines. Without `--bench` (as `cargo test`
//! runs it) nothing is done.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use shipper::{Destination, Options, Shipper};

const LINES: usize = 1_000_000;
const LINE_BYTES: usize = 333;
const ROUNDS: usize = 3;
const TICKS_PER_SECOND: f64 = 100.0;
const FILE: &str = "gateway.log";

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--sink") => sink(),
        Some("--ship") => ship(Path::new(&arguments[2]), &arguments[3], &arguments[4]),
        _ if arguments.iter().any(|argument| argument == "--bench") => compare(),
        _ => {}
    }
}

fn compare() {
    let lines = env::var("SHIPPER_BENCH_LINES").map_or(LINES, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    write_lines(&logs.join(FILE), lines);
    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>12} {:>8} {:>9} {:>9}",
        "", "CPU s", "MB/s", "ratio", "lines/s", "RSS MB", "sent MB", "requests"
    );
    let peer = peers::component("fluent-bit");
    for round in 0..ROUNDS {
        let folder = folder.path().join(round.to_string());
        fs::create_dir(&folder).unwrap();
        let theirs = peer.as_ref().map(|program| {
            let config = folder.join("fluent-bit.yaml");
            measure("Fluent Bit", lines, None, |port| {
                fs::write(&config, fluent_bit(&logs, &folder, port)).unwrap();
                let mut command = pinned(0, program.to_str().unwrap());
                command.arg("-c").arg(&config);
                command
            })
        });
        for destination in ["loki", "cloudwatch"] {
            let state = folder.join(destination);
            measure(&format!("shipper, {destination}"), lines, theirs, |port| {
                let mut command = pinned(0, env::current_exe().unwrap().to_str().unwrap());
                command.arg("--ship").arg(&state).arg(destination);
                command.arg(format!("http://127.0.0.1:{port}"));
                command
            });
        }
    }
    if let Some(program) = peer {
        let version = Command::new(program).arg("--version").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        println!("beside {}", version.lines().next().unwrap());
    }
}

/// MB/s per core.
fn measure(
    name: &str,
    lines: usize,
    theirs: Option<f64>,
    command: impl FnOnce(u16) -> Command,
) -> f64 {
    let mut sink = pinned(1, env::current_exe().unwrap().to_str().unwrap());
    let mut sink = sink
        .arg("--sink")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(sink.stdout.take().unwrap()).lines();
    let port = said.next().unwrap().unwrap().parse().unwrap();
    let before = children_cpu();
    let mut child = command(port)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut resident = 0.0;
    let status = loop {
        resident = f64::max(resident, peak_mb(child.id()).unwrap_or(0.0));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let cpu = children_cpu() - before;
    assert!(status.success(), "{name}: {status}");
    drop(sink.stdin.take());
    let counts = said.next().unwrap().unwrap();
    sink.wait().unwrap();
    let (bytes, requests) = counts.split_once(' ').unwrap();
    let sent = bytes.parse::<f64>().unwrap() / 1e6;
    let speed = (lines * LINE_BYTES) as f64 / 1e6 / cpu;
    let ratio = theirs.map_or(String::new(), |theirs| format!("{:.1}x", speed / theirs));
    println!(
        "{name:<28} {cpu:>8.2} {speed:>8.0} {ratio:>8} {:>12.0} {resident:>8.0} {sent:>9.0} {requests:>9}",
        lines as f64 / cpu
    );
    speed
}

/// The measured process: ends when everything was delivered.
fn ship(state: &Path, destination: &str, url: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let logs = state.parent().unwrap().parent().unwrap().join("logs");
    let url = url.to_owned();
    let destination = match destination {
        "loki" => Destination::Loki { url },
        _ => Destination::CloudWatch {
            url,
            stream: "one".to_owned(),
            retention_days: None,
            ca_file: None,
            signer: None,
        },
    };
    let expected = fs::metadata(logs.join(FILE)).unwrap().len();
    let options = Options {
        logs,
        services: vec!["gateway".to_owned()],
        state: state.to_owned(),
        env: "bench".to_owned(),
        destinations: vec![destination],
    };
    let shipper = Shipper::start(options).unwrap();
    let begun = Instant::now();
    while shipper.stats()[0].bytes < expected {
        assert!(begun.elapsed() < Duration::from_secs(300));
        thread::sleep(Duration::from_millis(10));
    }
    let stats = &shipper.stats()[0];
    assert_eq!((stats.rejected, stats.lost, stats.retries), (0, 0, 0));
    assert_eq!(stats.delivered * LINE_BYTES as u64, expected);
}

/// Takes every request, and says where it listens, and at the end how many bytes and requests came.
fn sink() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let (counts, counted) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let counts = counts.clone();
            thread::spawn(move || answer(stream.unwrap(), &counts));
        }
    });
    let _ = std::io::stdin().read(&mut [0]);
    let (bytes, requests) = counted
        .try_iter()
        .fold((0, 0), |(bytes, requests), more: usize| {
            (bytes + more, requests + 1)
        });
    println!("{bytes} {requests}");
}

fn answer(stream: TcpStream, counts: &std::sync::mpsc::Sender<usize>) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        counts.send(length).ok()?;
        let answer = b"HTTP/1.1 204 No Content\r\nx-amzn-RequestId: 1\r\n\r\n";
        writer.write_all(answer).ok()?;
    }
}

fn write_lines(path: &Path, lines: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for number in 0..lines as u64 {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let turned = mixed.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mut line = format!(
            "{{\"trace_id\":\"{mixed:016x}{turned:016x}\",\"span_id\":\"{turned:016x}\",\"service\":\"gateway\",\"timestamp\":\"2026-11-23T19:{:02}:{:02}.{:06}Z\",\
             \"level\":\"{}\",\"fields\":{{\"message\":\"request answered\",\"duration_ms\":{}.{:03},\"status\":200}},\"target\":\"gateway::http\",\"span\":{{\"name\":\"GET /v1/tasks\"",
            number / 60_000 % 60,
            number / 1_000 % 60,
            number % 1_000 * 997,
            ["INFO", "INFO", "INFO", "WARN"][(mixed >> 40) as usize % 4],
            mixed % 90,
            turned % 1_000,
        );
        line.push_str(&format!(",\"task\":\"{turned:x}"));
        while line.len() < LINE_BYTES - 4 {
            line.push('0');
        }
        line.push_str("\"}}");
        writeln!(file, "{line}").unwrap();
        assert_eq!(line.len() + 1, LINE_BYTES);
    }
    file.flush().unwrap();
}

/// As it would be used: a durable buffer, an offset that is kept, labels and structured metadata. It ends at the end of the file.
fn fluent_bit(logs: &Path, folder: &Path, port: u16) -> String {
    let (logs, folder) = (logs.display(), folder.display());
    format!(
        "service:
  flush: 1
  log_level: error
  http_server: off
  storage.path: {folder}/storage
  storage.max_chunks_up: 128
parsers:
  - {{name: line, format: json, time_key: timestamp, time_format: '%Y-%m-%dT%H:%M:%S.%LZ', time_keep: on}}
pipeline:
  inputs:
    - name: tail
      path: {logs}/{FILE}
      parser: line
      db: {folder}/tail.db
      storage.type: filesystem
      read_from_head: on
      exit_on_eof: on
      buffer_max_size: 1M
  outputs:
    - name: loki
      match: '*'
      host: 127.0.0.1
      port: {port}
      labels: env=bench, service=$service, level=$level
      structured_metadata: trace_id=$trace_id, span_id=$span_id
      line_format: json
      retry_limit: no_limits
"
    )
}

fn pinned(core: u8, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), program]);
    command
}

/// CPU seconds of the children that have ended.
fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) / TICKS_PER_SECOND
}

fn peak_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<f64>()
        .ok()
        .map(|kib| kib / 1_024.0)
}
