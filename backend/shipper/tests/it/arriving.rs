//! Every line arrives at both destinations, whatever happens to them, to the files, and to the shipper.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::Once,
    time::{Duration, Instant},
};

use shipper::{Destination, Options, Shipper};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::sink::{Mood, Sink};

const PATIENCE: Duration = Duration::from_secs(60);
/// More with this variable: the whole million of the promise.
const LINES_VARIABLE: &str = "TRIPOD_SHIPPER_LINES";
const LINES: usize = 20_000;
const SERVICES: [&str; 2] = ["gateway", "worker"];

fn runtime() -> Runtime {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn options(folder: &Path, loki: SocketAddr, cloudwatch: SocketAddr) -> Options {
    Options {
        logs: folder.join("logs"),
        services: SERVICES.map(str::to_owned).into(),
        state: folder.join("shipper"),
        env: "test".to_owned(),
        destinations: vec![
            Destination::Loki {
                url: format!("http://{loki}"),
            },
            Destination::CloudWatch {
                url: format!("http://{cloudwatch}"),
                stream: "one".to_owned(),
            },
        ],
    }
}

fn append(folder: &Path, service: &str, bytes: &[u8]) {
    let path = folder.join("logs").join(format!("{service}.log"));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

/// Renames as the supervisor does. Enough files are kept for what waits when a shipper is killed: what is deleted while none runs is
/// lost, which a shipper that runs does not lose.
fn rotate(folder: &Path, service: &str) {
    let path = |suffix: &str| folder.join("logs").join(format!("{service}.log{suffix}"));
    for number in (1..8).rev() {
        let _ = fs::rename(
            path(&format!(".{number}")),
            path(&format!(".{}", number + 1)),
        );
    }
    let _ = fs::rename(path(""), path(".1"));
}

fn line(service: &str, number: usize) -> String {
    let level = ["INFO", "ERROR"][number % 2];
    format!(
        "{{\"trace_id\":\"{number:032x}\",\"span_id\":\"{number:016x}\",\"service\":\"{service}\",\
         \"timestamp\":\"2026-11-23T19:{:02}:{:02}.{:06}Z\",\"level\":\"{level}\",\"fields\":{{\"message\":\"line {number}\"}}}}",
        number / 60_000 % 60,
        number / 1_000 % 60,
        number % 1_000
    )
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("logs")).unwrap();
    folder
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "who runs the tests wants the counts")]
fn no_line_is_lost_while_destinations_files_and_the_shipper_come_and_go() {
    let lines = std::env::var(LINES_VARIABLE).map_or(LINES, |text| text.parse().unwrap());
    let folder = folder();
    let sinks = runtime();
    let (loki, loki_at) = sinks.block_on(Sink::start());
    let (cloudwatch, cloudwatch_at) = sinks.block_on(Sink::start());
    let moods = [
        Mood::Good,
        Mood::Status(503),
        Mood::Lying,
        Mood::Good,
        Mood::Status(429),
        Mood::Slow,
    ];
    let start = || {
        let runtime = runtime();
        let options = options(folder.path(), loki_at, cloudwatch_at);
        let shipper = runtime.block_on(async { Shipper::start(options).unwrap() });
        (runtime, shipper)
    };
    let mut running = start();
    let part = lines / 24;
    for step in 0..24 {
        loki.set(moods[step % moods.len()]);
        cloudwatch.set(moods[(step + 3) % moods.len()]);
        for service in SERVICES {
            let text: String = (step * part..(step + 1) * part)
                .map(|number| line(service, number) + "\n")
                .collect();
            // A reader may meet half a line.
            let (first, second) = text.as_bytes().split_at(text.len() / 2 + 7);
            append(folder.path(), service, first);
            std::thread::sleep(Duration::from_millis(60));
            append(folder.path(), service, second);
        }
        if step % 8 == 7 {
            // The end nobody planned, at any point.
            let (runtime, shipper) = running;
            runtime.shutdown_background();
            drop(shipper);
            running = start();
        } else if step % 3 == 2 {
            SERVICES
                .iter()
                .for_each(|service| rotate(folder.path(), service));
        }
    }
    loki.set(Mood::Good);
    cloudwatch.set(Mood::Good);
    let expected = SERVICES.len() * 24 * part;
    for (name, sink) in [("loki", &loki), ("cloudwatch", &cloudwatch)] {
        wait_for(name, || sink.lines().len() >= expected);
        let came = sink.lines();
        assert_eq!(came.len(), expected, "{name}: lines that nobody wrote");
        let copies: usize = came.values().sum();
        println!(
            "{name}: {expected} lines, {} of them again",
            copies - expected
        );
    }
    let (runtime, shipper) = running;
    runtime.block_on(shipper.stop(PATIENCE));
}

#[test]
fn a_line_is_labelled_and_stays_as_it_is() {
    let folder = folder();
    let runtime = runtime();
    let (loki, loki_at) = runtime.block_on(Sink::start());
    let (cloudwatch, cloudwatch_at) = runtime.block_on(Sink::start());
    let good = line("gateway", 1);
    append(folder.path(), "gateway", format!("{good}\n").as_bytes());
    append(
        folder.path(),
        "worker",
        b"thread 'main' panicked at x:1:1\nodd \xff byte\n",
    );
    for length in [300 << 10, 2 << 20] {
        append(folder.path(), "worker", "x".repeat(length).as_bytes());
        append(folder.path(), "worker", b"\n");
    }
    append(folder.path(), "worker", b"after\nnot whole");
    let options = options(folder.path(), loki_at, cloudwatch_at);
    let shipper = runtime.block_on(async { Shipper::start(options).unwrap() });
    // Of the long lines the same beginning is left.
    wait_for("all lines", || {
        loki.lines().len() == 5 && cloudwatch.lines().len() == 5
    });
    runtime.block_on(shipper.stop(PATIENCE));
    let streams: Vec<(String, String)> = loki
        .lines()
        .into_keys()
        .map(|(stream, line)| (stream, line.chars().take(40).collect()))
        .collect();
    assert!(
        streams.contains(&(
            format!("{{env=\"test\", level=\"ERROR\", service=\"gateway\"}} span_id={:016x} trace_id={:032x}", 1, 1),
            good.chars().take(40).collect()
        )),
        "{streams:?}"
    );
    for text in [
        "thread 'main' panicked at x:1:1",
        "odd \u{fffd} byte",
        "after",
    ] {
        let of_worker = (
            "{env=\"test\", service=\"worker\"} ".to_owned(),
            text.to_owned(),
        );
        assert!(streams.contains(&of_worker), "{streams:?}");
    }
    assert!(
        cloudwatch
            .lines()
            .contains_key(&("/tripod/test/gateway".to_owned(), good))
    );
}

#[test]
fn a_line_that_nobody_takes_is_passed_over_and_the_others_arrive() {
    let folder = folder();
    let runtime = runtime();
    let (loki, loki_at) = runtime.block_on(Sink::start());
    let (_, cloudwatch_at) = runtime.block_on(Sink::start());
    let text: String = (0..100)
        .map(|number| match number {
            17 | 63 => "poison\n".to_owned(),
            _ => line("gateway", number) + "\n",
        })
        .collect();
    append(folder.path(), "gateway", text.as_bytes());
    let options = options(folder.path(), loki_at, cloudwatch_at);
    let shipper = runtime.block_on(async { Shipper::start(options).unwrap() });
    wait_for("the good lines", || loki.lines().len() == 98);
    append(
        folder.path(),
        "gateway",
        (line("gateway", 100) + "\n").as_bytes(),
    );
    wait_for("what comes after them", || loki.lines().len() == 99);
    runtime.block_on(shipper.stop(PATIENCE));
}

#[test]
fn files_that_are_deleted_while_a_destination_is_away_are_still_delivered() {
    let folder = folder();
    let runtime = runtime();
    let (loki, loki_at) = runtime.block_on(Sink::start());
    let (_, cloudwatch_at) = runtime.block_on(Sink::start());
    loki.set(Mood::Status(503));
    let options = options(folder.path(), loki_at, cloudwatch_at);
    let shipper = runtime.block_on(async { Shipper::start(options).unwrap() });
    for part in 0..5 {
        let text: String = (part * 10..part * 10 + 10)
            .map(|number| line("gateway", number) + "\n")
            .collect();
        append(folder.path(), "gateway", text.as_bytes());
        // Longer than between two looks at the folder.
        std::thread::sleep(Duration::from_millis(400));
        rotate(folder.path(), "gateway");
        fs::remove_file(folder.path().join("logs/gateway.log.1")).unwrap();
    }
    loki.set(Mood::Good);
    wait_for("all lines", || loki.lines().len() == 50);
    runtime.block_on(shipper.stop(PATIENCE));
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let folder = folder();
    let runtime = runtime();
    let (loki, loki_at) = runtime.block_on(Sink::start());
    let (_, cloudwatch_at) = runtime.block_on(Sink::start());
    let text: String = (0..50)
        .map(|number| line("gateway", number) + "\n")
        .collect();
    append(folder.path(), "gateway", text.as_bytes());
    let options = options(folder.path(), loki_at, cloudwatch_at);
    let shipper = runtime.block_on(async { Shipper::start(options).unwrap() });
    wait_for("the first lines", || loki.lines().len() == 50);
    let path = folder.path().join("logs/gateway.log");
    fs::write(&path, line("gateway", 50) + "\n").unwrap();
    wait_for("the line after the truncation", || loki.lines().len() == 51);
    runtime.block_on(shipper.stop(PATIENCE));
}

#[test]
fn a_damaged_position_is_an_error_that_names_the_file() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("shipper")).unwrap();
    fs::write(folder.path().join("shipper/loki.json"), "{").unwrap();
    let runtime = runtime();
    let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let options = options(folder.path(), address, address);
    let started = runtime.block_on(async { Shipper::start(options) });
    let Err(error) = started else {
        panic!("it started");
    };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("loki.json"), "{source}");
}
