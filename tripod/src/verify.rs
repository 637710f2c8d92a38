//! `tripod verify`: plays the scenarios on a system and says what held.
//!
//! Without a target it starts a system of its own, in a folder that goes with it, on a virtual clock. Exit codes: 0 if every
//! check held, 1 if one failed, 2 if something could not be run.

use std::{
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ::verify::{
    evidence::{Evidence, Verdict},
    run::{RunError, Stage},
    scenario::{BUILT_IN, Scenario},
    target::Target,
};
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use crate::{install_tls, print};

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
    // An outage of telemetry is to cost spans within a second.
    ("OTEL_BSP_MAX_QUEUE_SIZE", "256"),
];

/// Flags of `tripod verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Scenarios, in this order; all of them by default
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// File with the addresses of a running system, such as `DATA/run.json`; otherwise one is started
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// What all times are divided by on a real clock: what the target's rules were rendered for
    #[arg(long, value_name = "K", default_value_t = 1)]
    factor: u32,
}

/// Verdicts of a whole run, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Held,
    Failed,
    CouldNotRun,
}

pub(crate) fn main(options: Options) -> ExitCode {
    install_tls();
    match run(&options) {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::CouldNotRun) => ExitCode::from(2),
        Err(error) => {
            print(
                &mut io::stderr(),
                &format!("tripod: could not run: {error:#}\n"),
            );
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> anyhow::Result<Outcome> {
    let scenarios = chosen(&options.scenarios)?;
    let runtime = tokio::runtime::Runtime::new().context("no async runtime")?;
    let (own, target) = match &options.target {
        Some(path) => (None, Target::read(path)?),
        None => {
            let own = Own::start()?;
            let mut target = Target::read(&own.run_file())?;
            target.exclusive = true;
            (Some(own), target)
        }
    };
    let outcome = runtime.block_on(play(&scenarios, target, options.factor));
    if let Some(own) = own {
        own.stop()?;
    }
    outcome
}

async fn play(scenarios: &[Scenario], target: Target, factor: u32) -> anyhow::Result<Outcome> {
    let stopping = CancellationToken::new();
    let interrupted = stopping.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    let mut stage = Stage::new(target, factor, stopping).await?;
    let mut outcome = Outcome::Held;
    for scenario in scenarios {
        let begun = Instant::now();
        print(
            &mut io::stdout(),
            &format!("{}: {}\n", scenario.name, scenario.title),
        );
        match stage.play(scenario).await {
            Ok(evidence) => outcome = outcome.max(tell(&evidence, begun.elapsed())),
            Err(RunError::Stopped) => bail!("stopped"),
            Err(error) => {
                let error = anyhow::Error::from(error);
                print(&mut io::stdout(), &format!("  could not run: {error:#}\n"));
                outcome = Outcome::CouldNotRun;
            }
        }
    }
    Ok(outcome)
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let known = || BUILT_IN.map(|(name, _)| name).join(", ");
    if let Some(unknown) = names
        .iter()
        .find(|name| !BUILT_IN.iter().any(|(known, _)| known == name))
    {
        bail!("there is no scenario {unknown}; there are {}", known());
    }
    let wanted = BUILT_IN
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name));
    wanted
        .map(|(name, yaml)| Ok(Scenario::parse(name, yaml)?))
        .collect()
}

/// Prints what a scenario has shown.
fn tell(evidence: &Evidence, took: Duration) -> Outcome {
    let mut text = String::new();
    let mut outcome = Outcome::Held;
    for check in &evidence.checks {
        let (mark, of_check) = match check.verdict {
            Verdict::Held => ("held   ", Outcome::Held),
            Verdict::Failed => ("FAILED ", Outcome::Failed),
            Verdict::CouldNotRun => ("NOT RUN", Outcome::CouldNotRun),
        };
        outcome = outcome.max(of_check);
        text.push_str(&format!(
            "  {mark} {}: {}\n            expected {}\n            observed {}\n",
            check.id, check.claim, check.expected, check.observed
        ));
    }
    for link in &evidence.chain {
        text.push_str(&format!(
            "  → {}: {}\n      {}\n",
            link.kind, link.seen, link.question
        ));
    }
    text.push_str(&format!("  {:.1} s\n\n", took.as_secs_f64()));
    print(&mut io::stdout(), &text);
    outcome
}

/// A system that is there for this run alone.
struct Own {
    process: Child,
    folder: tempfile::TempDir,
    lines: mpsc::Receiver<String>,
}

impl Own {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tripod-verify-")
            .tempdir()
            .context("no temporary folder")?;
        let executable = std::env::current_exe().context("this program has no file")?;
        let mut process = Command::new(executable)
            .args(["up", "--ports", "auto", "--traffic", "0", "--allow-faults"])
            .args(["--clock", "virtual", "--data"])
            .arg(folder.path())
            .envs(ENVIRONMENT)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the system does not start")?;
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

    fn run_file(&self) -> PathBuf {
        self.folder.path().join(crate::up::RUN_FILE)
    }

    fn stop(mut self) -> anyhow::Result<()> {
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
