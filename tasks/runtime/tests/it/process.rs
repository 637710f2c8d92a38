//! A whole process: this test binary again, which is then a service of its own. Exit codes, signals, what is printed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{Router, routing::get};
use runtime::{
    Process, Service,
    server::{self, Until},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::DEADLINE;

/// What decides how AWS is called; tests must not inherit it.
const AWS_VARIABLES: [&str; 7] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SQS",
];
/// Says to [`service`] that it is the process under test; its flags, one a line.
const FLAGS: &str = "RUNTIME_TEST_FLAGS";
/// Code of a child whose exit code is none of the documented ones.
const UNDOCUMENTED: i32 = 99;

runtime::settings! {
    /// Settings of the process under test.
    struct Settings {
        /// Where it serves.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 0));
        /// Whether it never returns.
        hangs: bool = false;
        /// Whether it fails at once.
        fails: bool = false;
        /// Whether it asks DynamoDB and SQS for something at its start.
        calls_aws: bool = false;
    }
}

struct Tested;

impl Service for Tested {
    const NAME: &'static str = "tested";
    const ADMIN_LISTEN: &'static str = "127.0.0.1:0";
    type Settings = Settings;

    async fn run(settings: Settings, process: Process) -> anyhow::Result<()> {
        let listener = server::bind(settings.listen, "the test API", "--listen")?;
        anyhow::ensure!(!settings.fails, "told to fail");
        if settings.calls_aws {
            let clients = runtime::aws::clients(&process).await;
            // What comes back is not the matter here, but who asked for it.
            let _ = clients.dynamodb.list_tables().send().await;
            let _ = clients.sqs.list_queues().send().await;
        }
        process.readiness.serve();
        let until = Until::Drained {
            drain: process.drain.clone(),
            timeout: process.common.drain_timeout.get(),
        };
        server::serve(listener, Router::new().route("/", get(|| async {})), until).await?;
        if settings.hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// No test of its own: the process under test, when it is one.
#[test]
fn service() {
    if let Ok(flags) = std::env::var(FLAGS) {
        let code = runtime::main::<Tested>(flags.lines().map(Into::into));
        let known = (0..=2).find(|known| ExitCode::from(*known) == code);
        std::process::exit(known.map_or(UNDOCUMENTED, i32::from));
    }
}

struct Running {
    child: Child,
    admin: SocketAddr,
}

impl Running {
    /// Starts a process and waits until it says that it is ready.
    fn start(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let admin = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let address = admin.to_string();
        let flags: Vec<_> = ["--admin-listen", &address]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        let child = command(&flags, environment).spawn().unwrap();
        let running = Self { child, admin };
        running.wait_for("ready");
        running
    }

    fn wait_for(&self, readiness: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self
            .readyz()
            .is_some_and(|answer| answer.contains(readiness))
        {
            assert!(Instant::now() < deadline, "never {readiness}");
            std::thread::yield_now();
        }
    }

    fn readyz(&self) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
    }

    fn end(mut self) -> (ExitStatus, Vec<String>, String) {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "the process never ends"),
            }
            std::thread::yield_now();
        };
        let mut output = Vec::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut output)
            .unwrap();
        let mut errors = Vec::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_end(&mut errors)
            .unwrap();
        (status, lines(&output), text(&errors))
    }
}

impl Drop for Running {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(flags: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in AWS_VARIABLES {
        command.env_remove(name);
    }
    command
        .args(["--exact", "process::service", "--nocapture"])
        .env(FLAGS, flags.join("\n"))
        .env("OTEL_SDK_DISABLED", "true")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(flags: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let output = command(flags, &[]).output().unwrap();
    (
        output.status.code(),
        lines(&output.stdout),
        text(&output.stderr),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Log lines; the test harness around the process prints others.
fn lines(output: &[u8]) -> Vec<String> {
    let text = text(output);
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_signal_drains_and_the_end_is_orderly() {
    let process = Running::start(&[], &[]);
    process.terminate();
    let (status, lines, errors) = process.end();
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{lines:?}");
    assert!(
        lines.last().unwrap().contains("process drained"),
        "{lines:?}"
    );
}

#[test]
fn a_second_signal_ends_a_process_that_still_drains() {
    let process = Running::start(&["--hangs"], &[]);
    process.terminate();
    process.wait_for("draining");
    process.terminate();
    assert_eq!(process.end().0.code(), Some(130));
}

#[test]
fn a_second_signal_ends_a_process_that_flushes_its_telemetry() {
    // A collector that takes connections and never answers.
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let environment = [
        ("OTEL_SDK_DISABLED", "false"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
    ];
    let process = Running::start(&[], &environment);
    process.terminate();
    // The admin listener is gone: what is left is telemetry.
    let deadline = Instant::now() + DEADLINE;
    while process.readyz().is_some() {
        assert!(Instant::now() < deadline, "the process never drains");
        std::thread::yield_now();
    }
    process.terminate();
    assert_eq!(process.end().0.code(), Some(130));
}

#[test]
fn a_service_that_hangs_is_given_up_after_the_drain() {
    let process = Running::start(&["--hangs", "--drain-timeout", "10ms"], &[]);
    process.terminate();
    let (status, _, errors) = process.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("did not end within"), "{errors}");
}

#[test]
fn a_failure_is_one_line_in_the_log_and_one_on_the_terminal() {
    let (code, lines, errors) = run(&["--fails"]);
    assert_eq!((code, errors.as_str()), (Some(1), "tested: told to fail\n"));
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("told to fail"))
            .count(),
        1,
        "{lines:?}"
    );
}

#[test]
fn a_port_that_is_taken_cannot_be_mended_by_trying_again() {
    let taken = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let holder = TcpListener::bind(taken).unwrap();
    for flag in ["--listen", "--admin-listen"] {
        let (code, _, errors) = run(&[flag, &taken.to_string()]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(
            errors.contains(&taken.port().to_string()) && errors.contains(flag),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    drop(holder);
}

#[test]
fn wrong_settings_leave_no_telemetry_behind() {
    let (code, lines, errors) = run(&["--colour", "red"]);
    assert_eq!((code, lines.len()), (Some(2), 0));
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

/// Scopes of the signatures that a process shows to AWS: `{access key}/{date}/{region}/{service}/aws4_request`.
fn scopes(environment: &[(&str, &str)]) -> Vec<String> {
    let aws = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", aws.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in aws.incoming() {
            let mut lines = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 2) {
                if let Some((_, scope)) = line.split_once("Credential=") {
                    let scope = scope.split(',').next().unwrap();
                    keeping.lock().unwrap().push(scope.to_owned());
                }
                line.clear();
            }
            let answer = b"HTTP/1.1 400 \r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            let _ = lines.into_inner().write_all(answer);
        }
    });
    let endpoints: Vec<_> = environment
        .iter()
        .map(|(name, value)| {
            (
                *name,
                if *value == "STUB" {
                    endpoint.as_str()
                } else {
                    *value
                },
            )
        })
        .chain([("AWS_EC2_METADATA_DISABLED", "true")])
        .collect();
    let process = Running::start(&["--calls-aws"], &endpoints);
    process.terminate();
    process.end();
    let seen = seen.lock().unwrap();
    seen.iter()
        .map(|scope| {
            let mut parts = scope.split('/');
            let (key, _date) = (parts.next().unwrap(), parts.next());
            format!("{key} {} {}", parts.next().unwrap(), parts.next().unwrap())
        })
        .collect()
}

#[test]
fn an_endpoint_of_ones_own_needs_neither_region_nor_credentials() {
    let expected = ["local us-east-1 dynamodb", "local us-east-1 sqs"];
    assert_eq!(scopes(&[("AWS_ENDPOINT_URL", "STUB")]), expected);
    let separate = [
        ("AWS_ENDPOINT_URL_DYNAMODB", "STUB"),
        ("AWS_ENDPOINT_URL_SQS", "STUB"),
    ];
    assert_eq!(scopes(&separate), expected);
}

#[test]
fn a_profile_is_believed_also_with_an_endpoint() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let profile =
        "[profile ours]\nregion = eu-west-3\naws_access_key_id = OURS\naws_secret_access_key = s\n";
    std::fs::write(file.path(), profile).unwrap();
    let environment = [
        ("AWS_ENDPOINT_URL", "STUB"),
        ("AWS_PROFILE", "ours"),
        ("AWS_CONFIG_FILE", file.path().to_str().unwrap()),
    ];
    assert_eq!(
        scopes(&environment),
        ["OURS eu-west-3 dynamodb", "OURS eu-west-3 sqs"]
    );
}

#[test]
fn a_service_endpoint_beats_that_of_all() {
    let environment = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ENDPOINT_URL_SQS", "STUB"),
        ("AWS_REGION", "eu-north-1"),
        ("AWS_ACCESS_KEY_ID", "MINE"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    assert_eq!(scopes(&environment), ["MINE eu-north-1 sqs"]);
}

#[test]
fn the_environment_of_spans_is_the_setting_or_what_opentelemetry_says() {
    let of_standard = "deployment.environment.name=standard";
    for (flags, expected) in [(&[][..], "standard"), (&["--environment", "ours"], "ours")] {
        let sink = telemetry::testing::OtlpSink::start().unwrap();
        let endpoint = sink.endpoint();
        let environment = [
            ("OTEL_SDK_DISABLED", "false"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_RESOURCE_ATTRIBUTES", of_standard),
        ];
        let process = Running::start(flags, &environment);
        process.terminate();
        process.end();
        let spans = sink.spans();
        assert!(!spans.is_empty());
        for span in &spans {
            let attribute = format!("{:?}", span.resource);
            assert!(
                attribute.contains(&format!("\"{expected}\"")),
                "{attribute}"
            );
        }
    }
}
