//! The same work done by Prometheus' storage: its own benchmark of writing (`promtool tsdb bench write`: a thousand series a
//! batch, 30 s apart, each 1000 above the last) in our store, each in a process of its own, and a block of the same samples.
//!
//! Theirs runs with the profiling that it always has. Costs are ours divided by theirs: below one is better.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tsdb::{Batch, Options, SeriesKey, SeriesRef, Store};

use super::{SCRAPE_MS, SCRAPES_PER_HOUR, START, World, labels};

/// Set for the process that does our part of the writing: how many series.
const WRITES: &str = "TSDB_BENCH_WRITES";
/// As in `promtool`, which does whole rounds of a hundred scrapes.
const STEP_MS: i64 = 30_000;
const ROUND: i64 = 100;
const ROUNDS: i64 = 3;
const SERIES_PER_BATCH: usize = 1000;
const FIRST_VALUE: f64 = 123_456_789.0;
const VALUE_STEP: f64 = 1000.0;
/// Series of the block that is written by both.
const BLOCK_SERIES: usize = 1000;
/// Pause between two looks at the memory of a process.
const POLL: Duration = Duration::from_millis(2);

/// What writing has cost.
struct Cost {
    nanoseconds: f64,
    /// The most that the process had.
    resident_bytes: u64,
}

/// Does our part, if this process was started for it.
pub(crate) fn is_writer() -> bool {
    let Ok(series) = env::var(WRITES) else {
        return false;
    };
    println!("{}", write(series.parse().unwrap()));
    true
}

pub(crate) fn compare(series: usize) {
    let Some(promtool) = peers::component("promtool") else {
        return;
    };
    println!("beside {}", version(&promtool));
    let theirs = their_writing(&promtool, series);
    let ours = our_writing(series);
    row("write, ns/sample", ours.nanoseconds, theirs.nanoseconds);
    let each = |cost: &Cost| cost.resident_bytes as f64 / series as f64;
    row("resident, bytes/series", each(&ours), each(&theirs));
    let (ours, theirs) = block_bytes(&promtool);
    row("block, bytes/sample", ours, theirs);
}

fn row(what: &str, ours: f64, theirs: f64) {
    let ratio = ours / theirs;
    println!("{what:<22} {ours:>9.2} ours {theirs:>9.2} theirs, ratio {ratio:.2}");
}

fn version(promtool: &Path) -> String {
    let output = Command::new(promtool).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}

fn their_writing(promtool: &Path, series: usize) -> Cost {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("series.json");
    let mut text = String::new();
    for number in 0..series {
        let separator = if text.is_empty() { "" } else { "\n" };
        text += separator;
        for (index, (name, value)) in labels(number).iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            // It takes a colon for the end of a name.
            let value = value.replace(':', "-");
            write!(text, "{separator}{name}:{value}").unwrap();
        }
    }
    fs::write(&input, text).unwrap();
    let mut command = Command::new(promtool);
    command.args(["tsdb", "bench", "write"]).arg(&input);
    command.arg(format!("--out={}", dir.path().join("out").display()));
    command.arg(format!("--metrics={series}"));
    command.arg(format!("--scrapes={}", ROUNDS * ROUND));
    let (output, resident_bytes) = watched(&mut command);
    let after = |label: &str| {
        let line = output.lines().find_map(|line| line.split_once(label));
        line.unwrap().1.trim().parse::<f64>().unwrap()
    };
    assert_eq!(
        after("total samples:"),
        (series as i64 * ROUNDS * ROUND) as f64
    );
    Cost {
        nanoseconds: 1e9 / after("samples/sec:"),
        resident_bytes,
    }
}

fn our_writing(series: usize) -> Cost {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("--bench").env(WRITES, series.to_string());
    let (output, resident_bytes) = watched(&mut command);
    Cost {
        nanoseconds: output.trim().parse().unwrap(),
        resident_bytes,
    }
}

/// What a command prints, and the most memory it had.
fn watched(command: &mut Command) -> (String, u64) {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut most = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        most = most.max(kilobytes.unwrap_or(0) * 1024);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(POLL);
    };
    assert!(status.success(), "{command:?}");
    let mut output = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    (output, most)
}

/// Nanoseconds a sample.
fn write(series: usize) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    let mut keys: Vec<SeriesKey> = (0..series).map(labels).map(SeriesKey::Labels).collect();
    let per_thread = thread::available_parallelism().map_or(1, usize::from);
    let per_thread = keys.len().div_ceil(per_thread);
    let begun = Instant::now();
    for round in 0..ROUNDS {
        let store = &store;
        thread::scope(|scope| {
            for some in keys.chunks_mut(per_thread) {
                scope.spawn(move || {
                    let batches = some.chunks_mut(SERIES_PER_BATCH);
                    batches.for_each(|batch| write_round(store, batch, round));
                });
            }
        });
    }
    let seconds = begun.elapsed().as_secs_f64();
    seconds * 1e9 / (series as i64 * ROUNDS * ROUND) as f64
}

fn write_round(store: &Store, keys: &mut [SeriesKey], round: i64) {
    let mut batch = Batch::new(START);
    for scrape in 0..ROUND {
        let t_ms = START + (round * ROUND + scrape) * STEP_MS;
        let value = FIRST_VALUE + (scrape + 1) as f64 * VALUE_STEP;
        batch.clear(t_ms);
        for key in keys.iter() {
            batch.push(key.clone(), t_ms, value);
        }
        let report = store.append(&batch).unwrap();
        assert_eq!(report.stored, keys.len());
        let found = report.entries.iter().map(|entry| entry.series);
        for (key, series) in keys.iter_mut().zip(found) {
            *key = SeriesKey::Ref(series.unwrap());
        }
    }
}

/// Bytes a sample of the same two hours in a block, ours and theirs, with the index.
fn block_bytes(promtool: &Path) -> (f64, f64) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&dir.path().join("ours"), Options::default()).unwrap();
    let mut world = World::new(BLOCK_SERIES);
    let mut text = String::new();
    let mut references: Vec<Option<SeriesRef>> = vec![None; BLOCK_SERIES];
    let scrapes = 2 * SCRAPES_PER_HOUR;
    for scrape in 0..scrapes {
        world.step();
        let t_ms = START + scrape * SCRAPE_MS + (world.next() % 3) as i64;
        let mut batch = Batch::new(t_ms);
        for (index, reference) in references.iter().enumerate() {
            let key = match *reference {
                Some(reference) => SeriesKey::Ref(reference),
                None => SeriesKey::Labels(world.labels[index].clone()),
            };
            batch.push(key, t_ms, world.values[index]);
            write_line(&mut text, &world, index, t_ms);
        }
        let report = store.append(&batch).unwrap();
        references = report.entries.iter().map(|entry| entry.series).collect();
    }
    // What comes hours later closes the block.
    let mut batch = Batch::new(START + 2 * tsdb::BLOCK_MS);
    batch.push(
        SeriesKey::Labels(world.labels[0].clone()),
        batch.now_ms,
        0.0,
    );
    store.append(&batch).unwrap();
    store.flush().unwrap();
    let samples = BLOCK_SERIES as u64 * scrapes as u64;
    let stats = store.stats();
    assert_eq!(stats.block_samples, samples);
    text += "# EOF\n";
    let input = dir.path().join("samples.txt");
    fs::write(&input, text).unwrap();
    let out = dir.path().join("theirs");
    let mut command = Command::new(promtool);
    command.args(["tsdb", "create-blocks-from", "openmetrics"]);
    watched(command.arg(&input).arg(&out));
    let theirs = file_bytes(&out) as f64 / samples as f64;
    (stats.block_bytes as f64 / samples as f64, theirs)
}

/// In the text format of OpenMetrics.
fn write_line(text: &mut String, world: &World, index: usize, t_ms: i64) {
    let labels = &world.labels[index];
    let own = labels.iter().filter(|(name, _)| *name != "__name__");
    let own: Vec<String> = own
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let (name, value) = (labels.get("__name__"), world.values[index]);
    let (seconds, rest) = (t_ms / 1000, t_ms % 1000);
    let own = own.join(",");
    writeln!(text, "{name}{{{own}}} {value} {seconds}.{rest:03}").unwrap();
}

fn file_bytes(path: &Path) -> u64 {
    let metadata = fs::metadata(path).unwrap();
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .map(|entry| file_bytes(&entry.unwrap().path()))
        .sum()
}
