//! A running system under test.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Start, stop and everything that is waited for; far above what is needed on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The same for the real components: Loki alone takes a quarter of a minute.
pub const STACK_DEADLINE: Duration = Duration::from_secs(180);

/// `tripod up` or `tripod stack up` on free ports; killed when dropped.
pub struct System {
    process: Guarded,
    data: PathBuf,
    output: mpsc::Receiver<String>,
}

/// How a start differs from the usual.
#[derive(Default)]
pub struct Start<'a> {
    /// Synthetic requests per second; none without it.
    pub traffic: Option<&'a str>,
    pub environment: &'a [(&'a str, &'a str)],
    /// Further flags.
    pub arguments: &'a [&'a str],
}

/// The command itself, with an environment that nothing outside the test can change.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripod"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, _) in std::env::vars() {
        if ["OTEL_", "TRIPOD_", "AWS_", "RUST_LOG"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

impl System {
    /// Starts on this folder, without synthetic traffic, with faults allowed, and waits until all is ready.
    pub fn start(data: &Path, start: &Start<'_>) -> Self {
        let system = Self::launch(&["up"], data, start);
        system.wait_for_line("Tripod is ready", DEADLINE);
        system
    }

    /// The same on the real components.
    pub fn start_stack(data: &Path, start: &Start<'_>) -> Self {
        let system = Self::launch(&["stack", "up"], data, start);
        system.wait_for_line("The stack is ready", STACK_DEADLINE);
        system
    }

    fn launch(subcommand: &[&str], data: &Path, start: &Start<'_>) -> Self {
        let mut command = command(subcommand);
        command
            .args(["--data", data.to_str().unwrap(), "--ports", "auto"])
            .args(["--traffic", start.traffic.unwrap_or("0"), "--allow-faults"])
            .args(start.arguments)
            .envs(start.environment.iter().copied());
        let mut process = command.stderr(Stdio::inherit()).spawn().unwrap();
        let (sender, output) = mpsc::channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            process: Guarded(process),
            data: data.to_owned(),
            output,
        }
    }

    pub fn wait_for_line(&self, start: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line `{start}`: {error}\n{}", self.log("backend")),
            }
        }
    }

    /// `run.json` as it is now.
    pub fn run(&self) -> Value {
        serde_json::from_slice(&fs::read(self.data.join("run.json")).unwrap()).unwrap()
    }

    pub fn pid(&self, service: &str) -> i32 {
        i32::try_from(self.run()["pids"][service].as_u64().unwrap()).unwrap()
    }

    pub fn admin(&self, service: &str) -> String {
        self.run()["admin"][service].as_str().unwrap().to_owned()
    }

    /// Everything a service has logged, rotated files first.
    pub fn log(&self, service: &str) -> String {
        let path = |suffix: &str| {
            self.data
                .join("logs")
                .join(format!("{service}.log{suffix}"))
        };
        let read = |suffix: &str| fs::read_to_string(path(suffix)).unwrap_or_default();
        [".4", ".3", ".2", ".1", ""].map(read).concat()
    }

    /// SIGTERM and the end in order.
    pub fn stop(mut self) -> ExitStatus {
        signal(self.process.0.id(), Signal::TERM);
        self.wait_for_line("Stopped.", STACK_DEADLINE);
        wait(&mut self.process.0)
    }

    /// The end nobody planned.
    pub fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }
}

/// A process that does not outlive its test.
pub struct Guarded(pub Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command that is to end by itself; its exit code and what it wrote to standard error.
pub fn run_to_end(mut command: Command) -> (ExitStatus, String) {
    let mut process = command.spawn().unwrap();
    let status = wait(&mut process);
    let mut errors = String::new();
    process.stderr.unwrap().read_to_string(&mut errors).unwrap();
    (status, errors)
}

pub fn signal(pid: impl TryInto<i32>, signal: Signal) {
    let pid = pid.try_into().ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

pub fn wait(process: &mut Child) -> ExitStatus {
    wait_for("the process to end", || process.try_wait().unwrap())
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
