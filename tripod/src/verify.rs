//! `tripod verify`: plays the scenarios on a system and says what held.
//!
//! Without a target it starts a system of its own, in a folder that goes with it, on a virtual clock. Exit codes: 0 if every
//! check held, 1 if one failed, 2 if something could not be run.

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use ::verify::{
    clock::system_ms,
    contract::Contract,
    evidence::{Evidence, Verdict},
    report::{self, Played, Report},
    run::{RunError, Stage},
    scenario::Scenario,
    target::Target,
};
use anyhow::{Context, bail};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{install_tls, print};
use own::{Own, OwnClock, Start};
use progress::Manner;

mod mutate;
mod own;
mod progress;

/// What times are divided by on a compressed clock, if nothing else is said: an hour is a minute.
const FACTOR: u32 = 60;

/// Flags of `tripod verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Scenarios, in this order; all of them by default
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// File with the addresses of a running system, such as `DATA/run.json`; otherwise one is started
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// File with the requests and promises of other services than the task system
    #[arg(long, value_name = "FILE", requires = "target")]
    contract: Option<PathBuf>,
    /// How time passes on a system that is started: `virtual` by default. A target says so itself
    #[arg(long, value_enum, conflicts_with = "target")]
    clock: Option<ClockKind>,
    /// What all times are divided by: on a compressed clock 60 by default, of a target what its rules were made for
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=3600))]
    factor: Option<u32>,
    /// Write results.json, junit.xml and index.html to this folder
    #[arg(long, value_name = "DIR", conflicts_with = "mutate")]
    report: Option<PathBuf>,
    /// Say nothing while scenarios are played
    #[arg(long, short)]
    quiet: bool,
    /// Cut one link of a system at a time, and prove that exactly the right checks notice: `all`, or names separated by commas
    #[arg(long, value_name = "all|NAMES", conflicts_with_all = ["target", "scenarios", "clock", "factor"])]
    mutate: Option<String>,
}

/// How time passes on a system that is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ClockKind {
    /// Scrapes and rules at simulated instants: two hours in a minute
    Virtual,
    /// Everything shortened
    Compressed,
    /// As long as it says
    Real,
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
    let runtime = Runtime::new().context("no async runtime")?;
    let stopping = runtime.block_on(async { stopping() })?;
    if let Some(names) = &options.mutate {
        return mutate::run(names, &runtime, &stopping);
    }
    let contract = match &options.contract {
        Some(path) => Contract::read(path)?,
        None => Contract::built_in()?,
    };
    let scenarios = chosen(&contract, &options.scenarios)?;
    let mut record = Record::new(options);
    let outcome = prove(
        options,
        contract,
        &scenarios,
        (&runtime, stopping),
        &mut record,
    );
    if let Err(error) = &outcome {
        record.report.error = Some(format!("{error:#}"));
    }
    record.write()?;
    outcome
}

/// Starts a system if there is none, and plays.
fn prove(
    options: &Options,
    contract: Contract,
    scenarios: &[Scenario],
    (runtime, stopping): (&Runtime, CancellationToken),
    record: &mut Record<'_>,
) -> anyhow::Result<Outcome> {
    let (own, mut target) = match &options.target {
        Some(path) => (None, Target::read(path)?),
        None => {
            let start = Start {
                clock: own_clock(options)?,
                environment: &[],
                deploy: None,
            };
            let own = Own::start(&start, &stopping)?;
            let target = own.target()?;
            (Some(own), target)
        }
    };
    if own.is_none() {
        target.factor = options.factor.unwrap_or(target.factor);
    }
    record.report.gateway.clone_from(&target.gateway);
    let outcome = runtime.block_on(async {
        let mut stage = Stage::new(target, Arc::new(contract), stopping).await?;
        play(&mut stage, scenarios, record).await
    });
    if let Some(own) = own {
        own.stop()?;
    }
    outcome
}

fn own_clock(options: &Options) -> anyhow::Result<OwnClock> {
    match (options.clock, options.factor) {
        (None | Some(ClockKind::Virtual), None) => Ok(OwnClock::Virtual),
        (Some(ClockKind::Real), None) => Ok(OwnClock::Real { factor: 1 }),
        (Some(ClockKind::Compressed), factor) => Ok(OwnClock::Real {
            factor: factor.unwrap_or(FACTOR),
        }),
        (_, Some(_)) => bail!("--factor is for a compressed clock, or a target"),
    }
}

/// Cancelled by Ctrl-C and SIGTERM.
fn stopping() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    let stopping = CancellationToken::new();
    let interrupted = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        interrupted.cancel();
    });
    Ok(stopping)
}

/// What becomes the report, whatever happens.
struct Record<'o> {
    options: &'o Options,
    begun: Instant,
    report: Report,
}

impl<'o> Record<'o> {
    fn new(options: &'o Options) -> Self {
        Self {
            options,
            begun: Instant::now(),
            report: Report {
                version: report::VERSION,
                clock: "none",
                factor: 1,
                gateway: String::new(),
                begun_ms: system_ms(),
                took_s: 0.0,
                is_complete: false,
                error: None,
                scenarios: Vec::new(),
            },
        }
    }

    fn write(mut self) -> anyhow::Result<()> {
        let Some(folder) = &self.options.report else {
            return Ok(());
        };
        self.report.took_s = self.begun.elapsed().as_secs_f64();
        let written = self.report.write(folder);
        written.with_context(|| format!("no report in {}", folder.display()))
    }
}

async fn play(
    stage: &mut Stage,
    scenarios: &[Scenario],
    record: &mut Record<'_>,
) -> anyhow::Result<Outcome> {
    record.report.clock = stage.clock.name();
    record.report.factor = stage.clock.factor();
    let manner = Manner::new(record.options.quiet);
    stage.progress = manner.told();
    let mut outcome = Outcome::Held;
    for scenario in scenarios {
        let begun = Instant::now();
        let title = format!("{}: {}\n", scenario.name, scenario.title);
        print(&mut io::stdout(), &title);
        let (evidence, result) = stage.play(scenario).await;
        manner.end();
        let played = played(scenario, evidence, result, begun.elapsed());
        outcome = outcome.max(tell(&played));
        record.report.scenarios.push(played);
        if stage.stopping.is_cancelled() {
            bail!("stopped");
        }
    }
    record.report.is_complete = true;
    print(&mut io::stdout(), &sum(record));
    Ok(outcome)
}

/// All of it in one line.
fn sum(record: &Record<'_>) -> String {
    let checks = record
        .report
        .scenarios
        .iter()
        .flat_map(|played| &played.evidence.checks);
    let count = |verdict| {
        checks
            .clone()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let broken = record
        .report
        .scenarios
        .iter()
        .filter(|played| played.error.is_some());
    format!(
        "{} scenarios in {:.1} s: {} checks held, {} failed, {} could not run\n",
        record.report.scenarios.len(),
        record.begun.elapsed().as_secs_f64(),
        count(Verdict::Held),
        count(Verdict::Failed),
        count(Verdict::CouldNotRun) + broken.count()
    )
}

/// What a scenario leaves in the report.
fn played(
    scenario: &Scenario,
    evidence: Evidence,
    result: Result<(), RunError>,
    took: Duration,
) -> Played {
    let error = result
        .err()
        .map(|error| format!("{:#}", anyhow::Error::from(error)));
    Played {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        verdict: match &error {
            Some(_) => Verdict::CouldNotRun,
            None => Played::verdict_of(&evidence),
        },
        error,
        took_s: took.as_secs_f64(),
        evidence,
    }
}

fn chosen(contract: &Contract, names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let known = || contract.scenarios.iter().map(|known| &known.name);
    if let Some(unknown) = names
        .iter()
        .find(|name| !known().any(|known| known == *name))
    {
        let known: Vec<&str> = known().map(String::as_str).collect();
        bail!(
            "there is no scenario {unknown}; there are {}",
            known.join(", ")
        );
    }
    let is_wanted = |scenario: &&Scenario| names.is_empty() || names.contains(&scenario.name);
    Ok(contract
        .scenarios
        .iter()
        .filter(is_wanted)
        .cloned()
        .collect())
}

/// Prints what a scenario has shown.
fn tell(played: &Played) -> Outcome {
    let mut text = String::new();
    let mut outcome = Outcome::Held;
    if let Some(error) = &played.error {
        outcome = Outcome::CouldNotRun;
        text.push_str(&format!("  could not run: {error}\n"));
    }
    for check in &played.evidence.checks {
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
    for link in &played.evidence.chain {
        text.push_str(&format!(
            "  → {}: {}\n      {}\n",
            link.kind, link.seen, link.question
        ));
    }
    text.push_str(&format!("  {:.1} s\n\n", played.took_s));
    print(&mut io::stdout(), &text);
    outcome
}
