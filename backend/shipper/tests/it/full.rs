//! A disk that is full, and a folder that is not there: counted, nothing is lost, and it goes on by itself when there is room.

use std::{fs, os::unix::fs::symlink};

use crate::{
    sink::Sink,
    world::{World, lines, log, rotate, wait_for},
};

/// Takes no byte, as a disk without room.
const FULL: &str = "/dev/full";

fn arrived(sink: &Sink, lines: usize) {
    wait_for("all lines", || sink.lines().len() >= lines);
    assert_eq!(sink.lines().len(), lines);
}

#[test]
fn a_full_disk_holds_up_the_destination_whose_position_does_not_fit_until_there_is_room() {
    let world = World::new();
    let state = world.folder.path().join("shipper");
    fs::create_dir(&state).unwrap();
    let part = state.join("loki.part");
    symlink(FULL, &part).unwrap();
    let shipper = world.start();
    world.append("gateway", lines("gateway", 0..10));
    arrived(&world.loki, 10);
    wait_for("failures", || shipper.file_failures() > 1);
    assert!(!state.join("loki.json").exists());
    // What is behind the position waits: after a kill it would all come again.
    world.append("gateway", lines("gateway", 10..20));
    arrived(&world.cloudwatch, 20);
    assert_eq!(world.loki.lines().len(), 10);
    fs::remove_file(&part).unwrap();
    arrived(&world.loki, 20);
    world.stop(shipper);
    world.stop(world.start());
    for sink in [&world.loki, &world.cloudwatch] {
        arrived(sink, 20);
    }
}

#[test]
fn files_that_cannot_be_linked_wait_and_do_not_hold_up_those_of_another_service() {
    let world = World::new();
    let folder = world.folder.path();
    let shipper = world.start();
    let spool = folder.join("shipper/spool/gateway");
    fs::remove_dir(&spool).unwrap();
    world.append("gateway", lines("gateway", 0..10));
    wait_for("failures", || shipper.file_failures() > 1);
    rotate(folder, "gateway");
    world.append("gateway", lines("gateway", 10..20));
    world.append("worker", lines("worker", 0..10));
    for sink in [&world.loki, &world.cloudwatch] {
        arrived(sink, 10);
    }
    fs::create_dir(&spool).unwrap();
    for sink in [&world.loki, &world.cloudwatch] {
        arrived(sink, 30);
    }
    assert!(log(folder, "gateway", 1).exists());
    let stats = world.stop(shipper);
    assert!(stats.iter().all(|of| (of.delivered, of.lost) == (30, 0)));
}

#[test]
fn what_is_no_file_at_the_start_holds_up_nothing() {
    let world = World::new();
    let in_the_way = world.folder.path().join("logs/gateway.log");
    fs::create_dir_all(&in_the_way).unwrap();
    let shipper = world.start();
    world.append("worker", lines("worker", 0..10));
    for sink in [&world.loki, &world.cloudwatch] {
        arrived(sink, 10);
    }
    wait_for("failures", || shipper.file_failures() > 1);
    fs::remove_dir(&in_the_way).unwrap();
    world.append("gateway", lines("gateway", 0..10));
    for sink in [&world.loki, &world.cloudwatch] {
        arrived(sink, 20);
    }
    world.stop(shipper);
}
