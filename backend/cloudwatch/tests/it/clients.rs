//! Clients as people have them: the AWS SDK for Python and Fluent Bit, each when it is at hand.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Instant, SystemTime},
};

use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    tls::{self, DEADLINE},
    world::World,
};

/// Lines that Fluent Bit ships.
const LINES: usize = 2_000;

fn world_of_today() -> World {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    World::at(i64::try_from(now.as_millis()).unwrap())
}

async fn serve_plain(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = world.routes.clone();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_sdk_for_python_writes_pages_filters_and_sees_errors() {
    let has_boto3 = Command::new("python3")
        .args(["-c", "import boto3"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_boto3 {
        eprintln!("left out: boto3 is not at hand");
        return;
    }
    let world = world_of_today();
    let address = serve_plain(&world).await;
    let output = tokio::task::spawn_blocking(move || {
        Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sdk.py"))
            .arg(format!("http://{address}"))
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all held\n");
}

/// In the order that everything of the stack is looked for.
fn fluent_bit() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::var_os("TRIPOD_STACK_BIN")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    dirs.extend(env::split_paths(&path));
    dirs.extend(cache.map(|cache| cache.join("tripod/stack/bin")));
    dirs.into_iter()
        .map(|dir| dir.join("fluent-bit"))
        .find(|file| file.is_file())
}

fn configuration(lines: &Path, port: u16, ca: &Path) -> String {
    let (lines, ca) = (lines.display(), ca.display());
    format!(
        "[SERVICE]\n  flush 0.2\n  log_level error\n\
         [INPUT]\n  name tail\n  path {lines}\n  read_from_head on\n  refresh_interval 1\n\
         [OUTPUT]\n  name cloudwatch_logs\n  match *\n  region us-east-1\n  endpoint 127.0.0.1\n  port {port}\n  \
         tls.ca_file {ca}\n  tls.verify on\n  log_group_name /tripod/test/gateway\n  log_stream_name one\n  \
         log_key log\n  auto_create_group on\n  log_retention_days 30\n  retry_limit no_limits\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn fluent_bit_ships_every_line_over_tls() {
    let Some(fluent_bit) = fluent_bit() else {
        eprintln!("left out: fluent-bit is not at hand (make stack)");
        return;
    };
    let world = world_of_today();
    let server = tls::start(&world).await;
    let lines_file = world.dir.path().join("gateway.log");
    let mut lines = String::new();
    for index in 0..LINES {
        writeln!(lines, r#"{{"trace_id":"{index:032x}","n":{index}}}"#).unwrap();
    }
    fs::write(&lines_file, lines).unwrap();
    let ca = world.dir.path().join("tls").join(cloudwatch::tls::CA_FILE);
    let configuration_file = world.dir.path().join("fluent-bit.conf");
    fs::write(
        &configuration_file,
        configuration(&lines_file, server.address.port(), &ca),
    )
    .unwrap();
    let mut child = Command::new(fluent_bit)
        .arg("-c")
        .arg(&configuration_file)
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let arrived = loop {
        let arrived = arrived(&world).await;
        if arrived.len() == LINES || started.elapsed() > DEADLINE {
            break arrived;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(arrived.len(), LINES);
    let group = world.ok("DescribeLogGroups", json!({})).await;
    assert_eq!(group["logGroups"][0]["retentionInDays"], 30);
    let request = json!({
        "logGroupName": "/tripod/test/gateway",
        "filterPattern": format!("{{ $.trace_id = \"{:032x}\" }}", 1_234),
    });
    let found = world.ok("FilterLogEvents", request).await;
    assert_eq!(found["events"].as_array().unwrap().len(), 1);
}

/// The distinct lines that are there.
async fn arrived(world: &World) -> BTreeSet<String> {
    let groups = world.ok("DescribeLogGroups", json!({})).await;
    if groups["logGroups"].as_array().unwrap().is_empty() {
        return BTreeSet::new();
    }
    let request = json!({ "logGroupName": "/tripod/test/gateway" });
    let answer = world.ok("FilterLogEvents", request).await;
    crate::world::messages(&answer).into_iter().collect()
}
