//! The configuration of the real Fluent Bit sends what the shipper sends, when the program is at hand.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use peers::{Peer, component, free_address};

use crate::{
    real_loki,
    sink::Mood,
    tls,
    world::{PATIENCE, World, line, lines, log, rotate, wait_for},
};

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/fluent-bit/fluent-bit.yaml")
}

/// Where its configuration sends to.
struct Addresses {
    loki: SocketAddr,
    cloudwatch: SocketAddr,
    ca_file: PathBuf,
    health: SocketAddr,
}

fn command(program: &Path, folder: &Path, to: &Addresses) -> Command {
    let data = folder.join("fluent-bit");
    fs::create_dir_all(&data).unwrap();
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(config())
        .env("TRIPOD_LOGS", folder.join("logs"))
        .env("TRIPOD_FLUENT_BIT_DATA", data)
        .env("TRIPOD_ENV", "test")
        .env("TRIPOD_INSTANCE", "one")
        .env("TRIPOD_FLUENT_BIT_HEALTH", to.health.port().to_string())
        .env("TRIPOD_LOKI_HOST", to.loki.ip().to_string())
        .env("TRIPOD_LOKI_PORT", to.loki.port().to_string())
        .env("TRIPOD_CLOUDWATCH_HOST", "localhost")
        .env("TRIPOD_CLOUDWATCH_PORT", to.cloudwatch.port().to_string())
        .env("TRIPOD_CLOUDWATCH_CA", &to.ca_file)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "SECRET")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn addresses(world: &World, loki: SocketAddr) -> Addresses {
    let ca_file = world.folder.path().join("ca.pem");
    let cloudwatch = world
        .runtime
        .block_on(tls::serve(&world.cloudwatch, &ca_file));
    Addresses {
        loki,
        cloudwatch,
        ca_file,
        health: free_address(),
    }
}

#[test]
fn its_configuration_is_accepted() {
    let Some(program) = component("fluent-bit") else {
        return;
    };
    let world = World::new();
    let to = addresses(&world, world.loki.address);
    let output = command(&program, world.folder.path(), &to)
        .arg("--dry-run")
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn what_it_sends_is_what_the_shipper_sends() {
    let Some(program) = component("fluent-bit") else {
        return;
    };
    let world = World::new();
    let folder = world.folder.path();
    let odd = "{\"service\":\"other\",\"level\":\"WARN\",\"fields\": {\"n\":1.50,\"e\":\"\\u00e9\"},\"timestamp\":\"2026-11-23T19:00:00.000001Z\"}";
    world.append("gateway", lines("gateway", 0..50));
    world.append(
        "worker",
        format!("thread 'main' panicked at x:1:1\n{odd}\n"),
    );
    world.append("worker", "x".repeat(100_000) + "\n");
    let to = addresses(&world, world.loki.address);
    let peer = Peer::start(command(&program, folder, &to), &[to.health], PATIENCE).unwrap();
    for sink in [&world.loki, &world.cloudwatch] {
        wait_for("all lines", || sink.lines().len() >= 53);
    }
    drop(peer);
    let theirs = [&world.loki, &world.cloudwatch].map(|sink| {
        let mut lines = sink.lines();
        lines.sort();
        lines
    });
    // The shipper's lines, through the same sinks.
    let ours = World::new();
    for service in ["gateway", "worker"] {
        fs::copy(log(folder, service, 0), log(ours.folder.path(), service, 0)).unwrap();
    }
    let shipper = ours.start();
    for (sink, theirs) in [&ours.loki, &ours.cloudwatch].into_iter().zip(theirs) {
        wait_for("our lines", || sink.lines().len() == 53);
        let mut lines = sink.lines();
        lines.sort();
        assert!(lines == theirs, "{:#?}\n{:#?}", lines.last(), theirs.last());
    }
    ours.stop(shipper);
    let of_other = ("/tripod/test/other".to_owned(), odd.to_owned());
    assert!(ours.cloudwatch.lines().contains(&of_other));
}

#[test]
fn an_outage_a_rotation_and_a_kill_lose_nothing() {
    let Some(program) = component("fluent-bit") else {
        return;
    };
    let world = World::new();
    let folder = world.folder.path();
    world.loki.set(Mood::Status(503));
    let to = addresses(&world, world.loki.address);
    let peer = Peer::start(command(&program, folder, &to), &[to.health], PATIENCE).unwrap();
    for part in 0..2 {
        world.append("gateway", lines("gateway", part * 50..part * 50 + 50));
        wait_for("CloudWatch", || {
            world.cloudwatch.lines().len() >= part * 50 + 50
        });
        rotate(folder, "gateway");
    }
    // By SIGKILL.
    drop(peer);
    world.loki.set(Mood::Good);
    let _peer = Peer::start(command(&program, folder, &to), &[to.health], PATIENCE).unwrap();
    let all = || {
        (0..100).all(|number| {
            let line = line("gateway", number);
            world.loki.lines().iter().any(|(_, came)| *came == line)
        })
    };
    wait_for("all lines", all);
}

#[test]
fn the_real_loki_finds_what_it_sends() {
    let (Some(program), Some(loki)) = (component("fluent-bit"), real_loki::start()) else {
        return;
    };
    let world = World::new();
    let to = addresses(&world, loki.address);
    let lines = real_loki::lines();
    world.append("gateway", lines.join("\n") + "\n");
    let _peer = Peer::start(
        command(&program, world.folder.path(), &to),
        &[to.health],
        PATIENCE,
    );
    real_loki::finds(&world.runtime, &loki, &lines);
}
