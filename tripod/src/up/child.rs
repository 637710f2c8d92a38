//! One supervised process: started, restarted with backoff when it ends by itself, stopped when asked to.
//!
//! What a service writes to standard output goes to its log file, what it writes to standard error becomes log lines of
//! the supervisor. A program that is none of ours has one log file for both.

use std::{
    io::{self, BufRead, BufReader, PipeReader, Write},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use super::{log_file::LogFile, run_file::RunFile};
use crate::supervised;

/// First pause before a restart; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A process that ran this long was healthy: its next restart is quick again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// How long a process may take to drain before it is killed; longer than the drain deadline it has itself.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// What is read of a child's output at once.
const PIPE_BUFFER_BYTES: usize = 64 * 1024;
/// A line on standard error is cut here.
const ERROR_LINE_BYTES_MAX: usize = 8 * 1024;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The service's or the component's name.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) log: PathBuf,
}

#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// This executable, with the service's name as subcommand. It ends when its supervisor does.
    Service,
    /// Another one.
    Foreign {
        path: PathBuf,
        arguments: Vec<String>,
    },
}

/// A supervised process; see [`Child::start`].
pub(crate) struct Child {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Child {
    /// Starts the process and keeps it running.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub(crate) fn start(spec: Spec, run_file: Arc<RunFile>) -> anyhow::Result<Self> {
        let log = Arc::new(Mutex::new(LogFile::new(spec.log.clone())));
        let stop = CancellationToken::new();
        let supervisor = Supervisor {
            spec,
            run_file,
            log,
            stop: stop.clone(),
        };
        let process = supervisor.spawn()?;
        Ok(Self {
            stop,
            task: tokio::spawn(supervisor.keep_running(process)),
        })
    }

    /// Whether supervision ended by itself: never, unless the executable is gone.
    pub(crate) fn is_given_up(&self) -> bool {
        self.task.is_finished()
    }

    /// Asks the process to drain and waits for its end; kills it after [`STOP_DEADLINE`].
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            tracing::error!("supervision of a process panicked");
        }
    }
}

/// A running process.
struct Process {
    child: tokio::process::Child,
    /// Closed by the end of this process only: see [`supervised`]. Waiting for a child closes what it still holds.
    _stdin: Option<ChildStdin>,
}

struct Supervisor {
    spec: Spec,
    run_file: Arc<RunFile>,
    log: Arc<Mutex<LogFile>>,
    stop: CancellationToken,
}

impl Supervisor {
    async fn keep_running(self, mut process: Process) {
        let service = self.spec.name;
        let mut backoff = BACKOFF_MIN;
        loop {
            let started = Instant::now();
            let status = tokio::select! {
                status = process.child.wait() => status,
                () = self.stop.cancelled() => return stop(service, process).await,
            };
            if started.elapsed() >= HEALTHY_AFTER {
                backoff = BACKOFF_MIN;
            }
            tracing::warn!(
                child = service,
                status = describe(status),
                restart_ms = millis(backoff),
                "process ended"
            );
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = self.stop.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
            process = match self.spawn() {
                Ok(process) => process,
                Err(error) => {
                    return tracing::error!(
                        child = service,
                        error = format!("{error:#}"),
                        "no restart"
                    );
                }
            };
        }
    }

    fn spawn(&self) -> anyhow::Result<Process> {
        let name = self.spec.name;
        let (output, output_writer) = io::pipe().context("no pipe for a process's output")?;
        let mut command = self.command()?;
        match &self.spec.program {
            Program::Service => {
                let (errors, errors_writer) =
                    io::pipe().context("no pipe for a process's errors")?;
                pump(name, "stderr", move || copy_errors(name, errors))?;
                command.stderr(errors_writer);
            }
            Program::Foreign { .. } => {
                let both = output_writer.try_clone();
                command.stderr(both.context("no pipe for a process's errors")?);
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(output_writer)
            // Ctrl-C in a terminal reaches the whole process group: draining in order needs groups of their own.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        // The command holds the writers' ends, and a reader waits for all of them to be closed.
        drop(command);
        let log = Arc::clone(&self.log);
        pump(name, "log", move || copy_output(name, output, &log))?;
        self.run_file.set_pid(name, child.id());
        Ok(Process {
            _stdin: child.stdin.take(),
            child,
        })
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = match &self.spec.program {
            Program::Service => {
                let executable = std::env::current_exe().context("this executable has no path")?;
                let mut command = Command::new(executable);
                command
                    .arg(self.spec.name)
                    .env(supervised::ENVIRONMENT, "true");
                command
            }
            Program::Foreign { path, arguments } => {
                let mut command = Command::new(path);
                command.args(arguments);
                command
            }
        };
        let environment = self.spec.environment.iter();
        command.envs(environment.map(|(name, value)| (name, value)));
        Ok(command)
    }
}

/// SIGTERM, then patience, then SIGKILL.
async fn stop(service: &'static str, mut process: Process) {
    let pid = process
        .child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        tracing::warn!(child = service, %error, "process cannot be asked to stop");
    }
    match tokio::time::timeout(STOP_DEADLINE, process.child.wait()).await {
        Ok(status) => tracing::info!(
            child = service,
            status = describe(status),
            "process stopped"
        ),
        Err(_) => {
            tracing::error!(
                child = service,
                deadline_s = STOP_DEADLINE.as_secs(),
                "process did not drain in time, killed"
            );
            if let Err(error) = process.child.kill().await {
                tracing::error!(child = service, %error, "process cannot be killed");
            }
        }
    }
}

/// Pipes are read by threads of their own: a full disk then holds up one thread and no request.
fn pump(service: &str, what: &str, copy: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let name = format!("{service}-{what}");
    thread::Builder::new()
        .name(name)
        .spawn(copy)
        .context("no thread for a process's output")?;
    Ok(())
}

/// Copies whole lines to the log file until the process ends. Lines that cannot be written are counted and reported
/// when it begins and when it is over.
fn copy_output(service: &str, pipe: PipeReader, log: &Mutex<LogFile>) {
    let mut reader = BufReader::with_capacity(PIPE_BUFFER_BYTES, pipe);
    let mut lost_lines = 0;
    loop {
        let available = match reader.fill_buf() {
            Ok([]) => return,
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return tracing::error!(child = service, %error, "output cannot be read"),
        };
        let lines = available
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(available, |end| &available[..=end]);
        let mut file = log
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match file.write_all(lines) {
            Ok(()) if lost_lines > 0 => {
                tracing::warn!(child = service, lost_lines, "log file is written again");
                lost_lines = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if lost_lines == 0 {
                    tracing::error!(child = service, %error, "log file cannot be written, lines are lost");
                }
                lost_lines += lines.iter().filter(|byte| **byte == b'\n').count().max(1);
            }
        }
        drop(file);
        let consumed = lines.len();
        reader.consume(consumed);
    }
}

/// Standard error holds what a process says before its telemetry runs and after it has ended.
fn copy_errors(service: &str, pipe: PipeReader) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while let Ok(1..) =
        io::Read::take(&mut reader, ERROR_LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)
    {
        let text = String::from_utf8_lossy(&line);
        tracing::warn!(
            child = service,
            line = text.trim_end(),
            "process wrote to standard error"
        );
        line.clear();
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
