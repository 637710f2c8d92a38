//! A system that is there for one run of `tripod verify` alone, in a folder that goes with it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ::verify::target::Target;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a system of our own may take to be ready, and to stop.
const SYSTEM_DEADLINE: Duration = Duration::from_secs(60);
/// What `tripod up` prints when it is ready.
const READY: &str = "Tripod is ready";
/// A system of our own is patient where nothing depends on it, and in a hurry elsewhere.
const ENVIRONMENT: [(&str, &str); 4] = [
    // Nothing but what is to be late takes longer.
    (conventions::defaults::DECISION_WAIT_ENV, "3s"),
    // A job fails five times in a second.
    ("TRIPOD_BACKOFF_MIN", "100ms"),
    ("TRIPOD_BACKOFF_MAX", "400ms"),
    // An outage of telemetry costs spans within seconds. A tenth of the default, and the one of OpenTelemetry's SDKs.
    ("OTEL_BSP_MAX_QUEUE_SIZE", "2048"),
];

/// A system that is there for this run alone.
pub(super) struct Own {
    process: Child,
    folder: tempfile::TempDir,
    lines: mpsc::Receiver<String>,
}

impl Own {
    /// Starts it with further variables, on a folder like `deploy/` if one is given, and waits until it is ready.
    pub(super) fn start(
        environment: &[(&str, &str)],
        deploy: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tripod-verify-")
            .tempdir()
            .context("no temporary folder")?;
        let executable = std::env::current_exe().context("this program has no file")?;
        let mut command = Command::new(executable);
        command
            .args(["up", "--ports", "auto", "--traffic", "0", "--allow-faults"])
            .args(["--clock", "virtual", "--data"])
            .arg(folder.path())
            .envs(ENVIRONMENT)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(deploy) = deploy {
            command.arg("--deploy").arg(deploy);
        }
        let mut process = command.spawn().context("the system does not start")?;
        let output = process.stdout.take().expect("it is piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines
                .map(|line| sender.send(line))
                .take_while(Result::is_ok)
                .for_each(drop);
        });
        let own = Self {
            process,
            folder,
            lines,
        };
        own.wait_until_ready()?;
        Ok(own)
    }

    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SYSTEM_DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(READY) => return Ok(()),
                Ok(_) => {}
                Err(_) => bail!("the system was not ready within {SYSTEM_DEADLINE:?}"),
            }
        }
    }

    /// Nobody else uses it.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let run_file: PathBuf = self.folder.path().join(crate::up::RUN_FILE);
        let mut target = Target::read(&run_file)?;
        target.exclusive = true;
        Ok(target)
    }

    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // One that is gone already needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        self.process.wait().context("the system does not end")?;
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // After `stop` it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
