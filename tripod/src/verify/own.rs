//! A system that is there for one run of `tripod verify` alone, in a folder that goes with it.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use ::verify::target::Target;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

/// How long a system of our own may take to be ready, and to stop.
const SYSTEM_DEADLINE: Duration = Duration::from_secs(60);
/// How often its start is looked at, so that whoever stops it need not wait.
const POLL: Duration = Duration::from_millis(50);
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

/// What time is on a system of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnClock {
    Virtual,
    /// With all times divided by this.
    Real {
        factor: u32,
    },
}

/// How it is started.
pub(super) struct Start<'s> {
    pub(super) clock: OwnClock,
    /// Further variables.
    pub(super) environment: &'s [(&'s str, &'s str)],
    /// A folder like `deploy/`.
    pub(super) deploy: Option<&'s Path>,
}

/// A system that is there for this run alone.
pub(super) struct Own {
    process: Child,
    folder: tempfile::TempDir,
    lines: mpsc::Receiver<String>,
}

impl Own {
    /// Starts it and waits until it is ready, or nobody wants it any more.
    pub(super) fn start(start: &Start<'_>, stopping: &CancellationToken) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tripod-verify-")
            .tempdir()
            .context("no temporary folder")?;
        let executable = std::env::current_exe().context("this program has no file")?;
        let mut command = Command::new(executable);
        command
            .args(["up", "--ports", "auto", "--traffic", "0", "--allow-faults"])
            .arg("--data")
            .arg(folder.path())
            .envs(ENVIRONMENT)
            .envs(start.environment.iter().copied())
            // Ctrl-C is for the verifier: it removes its fault first, and then ends the system.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        match start.clock {
            OwnClock::Virtual => command.args(["--clock", "virtual"]),
            OwnClock::Real { factor } => command.args(["--compress", &factor.to_string()]),
        };
        if let Some(deploy) = start.deploy {
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
        match own.wait_until_ready(stopping) {
            Ok(()) => Ok(own),
            Err(error) => {
                own.stop()?;
                Err(error)
            }
        }
    }

    fn wait_until_ready(&self, stopping: &CancellationToken) -> anyhow::Result<()> {
        let deadline = Instant::now() + SYSTEM_DEADLINE;
        while Instant::now() < deadline {
            match self.lines.recv_timeout(POLL) {
                Ok(line) if line.starts_with(READY) => return Ok(()),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if stopping.is_cancelled() => bail!("stopped"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the system did not start"),
            }
        }
        bail!("the system was not ready within {SYSTEM_DEADLINE:?}")
    }

    /// Nobody else uses it.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let run_file: PathBuf = self.folder.path().join(crate::up::RUN_FILE);
        let mut target = Target::read(&run_file)?;
        target.exclusive = true;
        Ok(target)
    }

    /// Ends it in order; what does not end is killed.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // One that is gone already needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + SYSTEM_DEADLINE;
        while Instant::now() < deadline {
            if self
                .process
                .try_wait()
                .context("the system does not end")?
                .is_some()
            {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        bail!("the system did not end within {SYSTEM_DEADLINE:?}")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // After `stop` it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
