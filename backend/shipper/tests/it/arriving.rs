//! What arrives, and as what.

use std::{fs, time::Duration};

use shipper::{LINE_BYTES_MAX, Limits, Shipper, StartError, Stats};

use crate::{
    sink::{Mood, POISON, Sink},
    world::{World, destinations, install_tls, line, lines, log, options, rotate, wait_for},
};

/// Waits shorter than a person's, for tests that wait for the end of one.
fn impatient() -> Limits {
    Limits {
        unfinished_max: Duration::from_millis(300),
        quiet_min: Duration::ZERO,
        request_timeout: Duration::from_millis(300),
        pause_max: Duration::from_millis(200),
        refused_for_max: Duration::from_millis(500),
        ..Limits::default()
    }
}

fn arrived(sink: &Sink, lines: usize) {
    wait_for("all lines", || sink.lines().len() >= lines);
    assert_eq!(sink.lines().len(), lines);
}

fn texts(sink: &Sink) -> Vec<String> {
    sink.lines().into_iter().map(|(_, line)| line).collect()
}

#[test]
fn a_line_is_labelled_and_stays_as_it_is() {
    let world = World::new();
    let good = line("gateway", 1);
    world.append("gateway", format!("{good}\n"));
    world.append(
        "worker",
        b"thread 'main' panicked at x:1:1\nodd \xff byte\n",
    );
    for length in [300 << 10, 2 << 20] {
        world.append("worker", "x".repeat(length) + "\n");
    }
    world.append("worker", "after\nnot whole");
    world.append("somebody", "not ours\n");
    let shipper = world.start();
    for sink in [&world.loki, &world.cloudwatch] {
        arrived(sink, 6);
    }
    let stats = world.stop(shipper);
    for stats in stats {
        assert_eq!((stats.delivered, stats.mended, stats.lost), (6, 3, 0));
    }
    let of_gateway = format!(
        "{{env=\"test\", level=\"ERROR\", service=\"gateway\"}} trace_id={:032x} span_id={:016x}",
        1, 1
    );
    assert!(world.loki.lines().contains(&(of_gateway, good.clone())));
    let of_worker = "{env=\"test\", service=\"worker\"} ";
    let worker = |sink: &Sink, stream: &str| {
        let mut lines = sink.lines();
        lines.retain(|(of, _)| of == stream);
        lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>()
    };
    let lines = worker(&world.loki, of_worker);
    assert_eq!(lines, worker(&world.cloudwatch, "/tripod/test/worker"));
    assert_eq!(
        lines[..2],
        ["thread 'main' panicked at x:1:1", "odd \u{fffd} byte"]
    );
    assert_eq!(lines[4], "after");
    for cut in &lines[2..4] {
        assert_eq!(cut.len(), LINE_BYTES_MAX);
        assert!(cut.starts_with("xxx") && cut.ends_with("[cut: the line is too long]"));
    }
    let of_gateway = ("/tripod/test/gateway".to_owned(), good);
    assert!(world.cloudwatch.lines().contains(&of_gateway));
}

#[test]
fn groups_and_streams_are_made_with_their_retention() {
    let world = World::new();
    world.append("gateway", "line\n");
    let shipper = world.start();
    arrived(&world.cloudwatch, 1);
    world.stop(shipper);
    let operations = world.cloudwatch.operations();
    let names: Vec<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["CreateLogGroup", "PutRetentionPolicy", "CreateLogStream"]
    );
    assert_eq!(operations[1].1["retentionInDays"], 30);
    assert_eq!(operations[2].1["logStreamName"], "one");
}

#[test]
fn lines_that_nobody_takes_are_passed_over_and_the_others_arrive_in_order() {
    let world = World::new();
    let text: String = (0..100)
        .map(|number| match number {
            0 | 17 | 63 => format!("{POISON} {number}\n"),
            _ => line("gateway", number) + "\n",
        })
        .collect();
    world.append("gateway", text);
    let shipper = world.start();
    arrived(&world.cloudwatch, 97);
    world.append("gateway", lines("gateway", 100..101));
    arrived(&world.cloudwatch, 98);
    wait_for("loki", || shipper.stats()[0].lag_bytes == 0);
    let stats = world.stop(shipper);
    for stats in &stats {
        assert_eq!((stats.delivered, stats.rejected, stats.lost), (98, 3, 0));
    }
    let good = (0..101).filter(|number| ![0, 17, 63].contains(number));
    let good: Vec<String> = good.map(|number| line("gateway", number)).collect();
    assert_eq!(texts(&world.cloudwatch), good);
}

#[test]
fn a_destination_that_refuses_everything_is_given_time() {
    let world = World::new();
    world.loki.set(Mood::Status(400));
    world.append("gateway", lines("gateway", 0..20));
    let shipper = world.start_with(Limits {
        refused_for_max: Duration::from_secs(3_600),
        ..impatient()
    });
    wait_for("refusals", || shipper.stats()[0].retries > 2);
    world.loki.set(Mood::Good);
    arrived(&world.loki, 20);
    let stats = world.stop(shipper);
    assert_eq!((stats[0].delivered, stats[0].rejected), (20, 0));
}

#[test]
fn a_destination_that_goes_on_refusing_everything_does_not_hold_up_what_follows() {
    let world = World::new();
    world.append("gateway", format!("{POISON}\n"));
    let shipper = world.start_with(impatient());
    wait_for("the bad line to be given up", || {
        shipper.stats().iter().all(|stats| stats.rejected == 1)
    });
    world.append("gateway", lines("gateway", 0..5));
    arrived(&world.loki, 5);
    arrived(&world.cloudwatch, 5);
    world.stop(shipper);
}

#[test]
fn a_destination_that_hangs_or_breaks_off_does_not_hold_up_the_other() {
    let world = World::new();
    for mood in [
        Mood::Hanging,
        Mood::Gone,
        Mood::Status(503),
        Mood::Status(429),
    ] {
        world.loki.set(mood);
        let shipper = world.start_with(impatient());
        let before = world.cloudwatch.lines().len();
        world.append("gateway", lines("gateway", before..before + 10));
        arrived(&world.cloudwatch, before + 10);
        wait_for("attempts", || shipper.stats()[0].retries > 0);
        assert_eq!(world.loki.lines().len(), before);
        world.loki.set(Mood::Good);
        arrived(&world.loki, before + 10);
        world.stop(shipper);
    }
}

#[test]
fn files_that_are_deleted_while_a_destination_and_then_the_shipper_are_away_are_still_delivered() {
    let world = World::new();
    world.loki.set(Mood::Status(503));
    let mut shipper = world.start_with(impatient());
    for part in 0..5 {
        world.append("gateway", lines("gateway", part * 10..part * 10 + 10));
        arrived(&world.cloudwatch, part * 10 + 10);
        rotate(world.folder.path(), "gateway");
        fs::remove_file(log(world.folder.path(), "gateway", 1)).unwrap();
        if part == 3 {
            world.stop(shipper);
            shipper = world.start_with(impatient());
        }
    }
    world.loki.set(Mood::Good);
    arrived(&world.loki, 50);
    let all: Vec<String> = (0..50).map(|number| line("gateway", number)).collect();
    assert!(texts(&world.cloudwatch) == all, "in the order of the files");
    for level in ["INFO", "ERROR"] {
        let is_of_it = |line: &String| line.contains(level);
        let (mut came, mut expected) = (texts(&world.loki), all.clone());
        came.retain(is_of_it);
        expected.retain(is_of_it);
        assert!(came == expected, "each stream in the order of the files");
    }
    wait_for("the files to be let go", || {
        let spool = world.folder.path().join("shipper/spool/gateway");
        fs::read_dir(spool).unwrap().count() == 1
    });
    world.stop(shipper);
}

#[test]
fn what_waits_beyond_the_bound_is_lost_counted_and_let_go() {
    let world = World::new();
    world.loki.set(Mood::Status(503));
    let bytes_max = 20_000;
    let shipper = world.start_with(Limits {
        spool_bytes_max: bytes_max,
        ..impatient()
    });
    for part in 0..40 {
        world.append("gateway", lines("gateway", part * 10..part * 10 + 10));
        arrived(&world.cloudwatch, part * 10 + 10);
        rotate(world.folder.path(), "gateway");
    }
    world.append("gateway", lines("gateway", 400..401));
    arrived(&world.cloudwatch, 401);
    world.loki.set(Mood::Good);
    let last = line("gateway", 400);
    wait_for("the newest line", || texts(&world.loki).contains(&last));
    let stats: Stats = world.stop(shipper).swap_remove(0);
    assert!(stats.lost > 200, "{stats:?}");
    assert_eq!(stats.lost + stats.delivered, 401, "{stats:?}");
    let spool = fs::read_dir(world.folder.path().join("shipper/spool/gateway")).unwrap();
    let kept: u64 = spool
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept <= bytes_max, "{kept}");
}

#[test]
fn a_stop_delivers_what_is_there_and_the_next_start_sends_nothing_again() {
    let world = World::new();
    let shipper = world.start_with(impatient());
    world.append("gateway", lines("gateway", 0..30));
    let stats = world.stop(shipper);
    assert_eq!(stats[0].delivered, 30);
    world.append("gateway", lines("gateway", 30..40));
    world.stop(world.start_with(impatient()));
    for sink in [&world.loki, &world.cloudwatch] {
        arrived(sink, 40);
    }
}

#[test]
fn a_stop_does_not_wait_for_a_destination_that_is_away() {
    let world = World::new();
    world.loki.set(Mood::Status(503));
    world.append("gateway", lines("gateway", 0..10));
    let shipper = world.start_with(impatient());
    wait_for("attempts", || shipper.stats()[0].retries > 0);
    world.stop(shipper);
    world.loki.set(Mood::Good);
    let shipper = world.start_with(impatient());
    arrived(&world.loki, 10);
    world.stop(shipper);
    arrived(&world.cloudwatch, 10);
}

#[test]
fn two_shippers_of_one_folder_and_odd_options_are_refused() {
    install_tls();
    let folder = tempfile::tempdir().unwrap();
    let options = || {
        let address = "http://127.0.0.1:9";
        options(folder.path(), destinations(address, address))
    };
    let _first = Shipper::start(options()).unwrap();
    let error = Shipper::start(options()).unwrap_err();
    assert!(matches!(error, StartError::InUse(_)), "{error}");
    let mut odd = options();
    odd.env = "a/b".to_owned();
    let error = Shipper::start(odd).unwrap_err();
    assert!(matches!(error, StartError::Name(_)), "{error}");
    let mut odd = options();
    odd.destinations.extend_from_within(..1);
    let error = Shipper::start(odd).unwrap_err();
    assert!(matches!(error, StartError::Twice("loki")), "{error}");
}
