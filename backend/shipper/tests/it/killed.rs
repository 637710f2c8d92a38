//! A million lines while destinations come and go and the shipper is killed: every line is at both, and those that came again are counted.
//!
//! The test binary starts itself again as the process that is killed; without the variable that part does nothing.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use shipper::{Limits, Shipper};

use crate::{
    sink::{Mood, Sink},
    world::{
        SERVICES, World, append, destinations, install_tls, line, lines, log, options, rotate,
        wait_for,
    },
};

/// More with this variable: the whole million of the promise.
const LINES_VARIABLE: &str = "TRIPOD_SHIPPER_LINES";
const LINES: usize = 25_000;
const FOLDER: &str = "SHIPPER_TEST_KILLED_FOLDER";
const LOKI: &str = "SHIPPER_TEST_KILLED_LOKI";
const CLOUDWATCH: &str = "SHIPPER_TEST_KILLED_CLOUDWATCH";
const STEPS: usize = 50;
/// After this many steps the shipper is killed.
const STEPS_OF_A_LIFE: usize = 7;
const ROTATED_EVERY: usize = 2;
const MOODS: [Mood; 9] = [
    Mood::Good,
    Mood::Status(503),
    Mood::Lying,
    Mood::Good,
    Mood::Status(429),
    Mood::Hanging,
    Mood::Gone,
    Mood::Status(400),
    Mood::Status(500),
];
/// Of the shipper, built without optimisation: a batch for each destination and what is made of it.
const RESIDENT_MB_MAX: f64 = 100.0;
/// More than all that is written, so that nothing is let go for want of room.
const SPOOL_BYTES_MAX: u64 = 2 << 30;

/// How often each line came, by service.
type Counts = Arc<Mutex<HashMap<&'static str, Vec<u32>>>>;

#[test]
#[expect(clippy::print_stdout, reason = "who runs the tests wants the counts")]
fn no_line_is_lost_while_destinations_files_and_the_shipper_come_and_go() {
    let all = std::env::var(LINES_VARIABLE).map_or(LINES, |text| text.parse().unwrap());
    let world = World::new();
    let part = all / SERVICES.len() / STEPS;
    let sinks = [&world.loki, &world.cloudwatch];
    let counts = sinks.map(|sink| count(sink, part * STEPS));
    let mut child = start(&world);
    let mut resident: f64 = 0.0;
    let mut kept_most = 0;
    for step in 0..STEPS {
        world.loki.set(MOODS[step % MOODS.len()]);
        world.cloudwatch.set(MOODS[(step + 4) % MOODS.len()]);
        write(&world, step * part..(step + 1) * part);
        resident = resident.max(resident_mb(&child));
        if step % STEPS_OF_A_LIFE == STEPS_OF_A_LIFE - 1 {
            child.kill().unwrap();
            child.wait().unwrap();
            child = start(&world);
        }
        // Which files there are is seen by a shipper that runs; the supervisor ends together with it.
        let folder = world.folder.path();
        wait_for("the shipper to see the files", || {
            SERVICES.iter().all(|of| is_seen(folder, of))
        });
        kept_most = kept_most.max(kept_bytes(folder));
        if step % ROTATED_EVERY == 0 {
            SERVICES.iter().for_each(|service| rotate(folder, service));
        }
    }
    sinks.iter().for_each(|sink| sink.set(Mood::Good));
    let lines = SERVICES.len() * part * STEPS;
    for (name, counts) in ["loki", "cloudwatch"].into_iter().zip(&counts) {
        wait_for(name, || totals(counts).0 == lines);
        resident = resident.max(resident_mb(&child));
        let again = totals(counts).1 - lines;
        println!(
            "{name}: {lines} lines, none lost, {again} came again, the shipper had {resident:.0} MB"
        );
    }
    // What was kept for a destination that was away is let go but for the newest files.
    let newest = SERVICES.map(|of| fs::metadata(log(world.folder.path(), of, 0)));
    let newest: u64 = newest.into_iter().map(|file| file.unwrap().len()).sum();
    wait_for("the files to be let go", || {
        kept_bytes(world.folder.path()) <= newest
    });
    println!("files of {} MB at most were kept", kept_most >> 20);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(resident < RESIDENT_MB_MAX, "{resident} MB");
}

#[test]
fn ships_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    install_tls();
    let url = |name| std::env::var(name).unwrap();
    let destinations = destinations(&url(LOKI), &url(CLOUDWATCH));
    let limits = Limits {
        spool_bytes_max: SPOOL_BYTES_MAX,
        request_timeout: Duration::from_secs(2),
        pause_max: Duration::from_millis(500),
        ..Limits::default()
    };
    let options = options(Path::new(&folder), destinations);
    let _shipper = Shipper::start_with(options, limits, Arc::new(SystemTime::now)).unwrap();
    // Ends by itself when nobody is there to kill it any more.
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn start(world: &World) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::ships_until_it_is_killed", "--nocapture"])
        .env(FOLDER, world.folder.path())
        .env(LOKI, world.loki.url())
        .env(CLOUDWATCH, world.cloudwatch.url())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Every line must be one that was written, byte for byte.
fn count(sink: &Sink, lines: usize) -> Counts {
    let counts: HashMap<_, _> = SERVICES.map(|service| (service, vec![0; lines])).into();
    let counts = Arc::new(Mutex::new(counts));
    let counted = Arc::clone(&counts);
    sink.keep(move |stream, text| {
        let service = SERVICES
            .into_iter()
            .find(|service| stream.contains(service));
        let number = &text["{\"trace_id\":\"".len()..][..32];
        let number = usize::from_str_radix(number, 16).unwrap();
        assert_eq!(text, line(service.unwrap(), number));
        counted.lock().unwrap().get_mut(service.unwrap()).unwrap()[number] += 1;
    });
    counts
}

/// Lines that came, and how often all together.
fn totals(counts: &Counts) -> (usize, usize) {
    let counts = counts.lock().unwrap();
    let all = || counts.values().flatten();
    let came = all().filter(|times| **times > 0).count();
    (came, all().map(|times| *times as usize).sum())
}

/// In pieces that do not end where lines do.
fn write(world: &World, numbers: std::ops::Range<usize>) {
    for service in SERVICES {
        let text = lines(service, numbers.clone());
        for piece in text.as_bytes().chunks(60_007) {
            append(world.folder.path(), service, piece);
        }
    }
}

/// Whether the shipper keeps the newest file.
fn is_seen(folder: &Path, service: &str) -> bool {
    let newest = fs::metadata(log(folder, service, 0)).map(|file| file.ino());
    let Ok(kept) = fs::read_dir(folder.join("shipper/spool").join(service)) else {
        return false;
    };
    let mut kept = kept.filter_map(|file| file.ok()?.metadata().ok());
    newest.is_ok_and(|newest| kept.any(|file| file.ino() == newest))
}

fn kept_bytes(folder: &Path) -> u64 {
    let files = SERVICES.map(|service| fs::read_dir(folder.join("shipper/spool").join(service)));
    let files = files.into_iter().flat_map(Result::unwrap);
    // One may be let go while it is looked at.
    files
        .filter_map(|file| Some(file.unwrap().metadata().ok()?.len()))
        .sum()
}

fn resident_mb(child: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: f64 = peak
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib / 1_024.0
}
