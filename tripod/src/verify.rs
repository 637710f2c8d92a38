//! `tripod verify`: plays the scenarios on a system and says what held.
//!
//! Without a target it starts a system of its own, in a folder that goes with it, on a virtual clock. Exit codes: 0 if every
//! check held, 1 if one failed, 2 if something could not be run.

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use ::verify::{
    clock::system_ms,
    evidence::{Evidence, Verdict},
    report::{self, Played, Report},
    run::{RunError, Stage},
    scenario::{BUILT_IN, Scenario},
    target::Target,
};
use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{install_tls, print};
use own::Own;

mod mutate;
mod own;

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
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    factor: u32,
    /// Write results.json, junit.xml and index.html to this folder
    #[arg(long, value_name = "DIR", conflicts_with = "mutate")]
    report: Option<PathBuf>,
    /// Cut one link of a system at a time, and prove that exactly the right checks notice: `all`, or names separated by commas
    #[arg(long, value_name = "all|NAMES", conflicts_with_all = ["target", "scenarios"])]
    mutate: Option<String>,
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
    let runtime = tokio::runtime::Runtime::new().context("no async runtime")?;
    if let Some(names) = &options.mutate {
        return mutate::run(names, &runtime);
    }
    let scenarios = chosen(&options.scenarios)?;
    let (own, target) = match &options.target {
        Some(path) => (None, Target::read(path)?),
        None => {
            let own = Own::start(&[], None)?;
            let target = own.target()?;
            (Some(own), target)
        }
    };
    let outcome = runtime.block_on(play(&scenarios, target, options));
    if let Some(own) = own {
        own.stop()?;
    }
    outcome
}

/// Cancelled by Ctrl-C and SIGTERM.
fn stopping() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let stopping = CancellationToken::new();
    let interrupted = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        interrupted.cancel();
    });
    Ok(stopping)
}

async fn play(
    scenarios: &[Scenario],
    target: Target,
    options: &Options,
) -> anyhow::Result<Outcome> {
    let gateway = target.gateway.clone();
    let mut stage = Stage::new(target, options.factor, stopping()?).await?;
    let (begun, begun_ms) = (Instant::now(), system_ms());
    let (mut outcome, mut played) = (Outcome::Held, Vec::new());
    for scenario in scenarios {
        let begun = Instant::now();
        let title = format!("{}: {}\n", scenario.name, scenario.title);
        print(&mut io::stdout(), &title);
        let result = stage.play(scenario).await;
        let is_stopped = matches!(result, Err(RunError::Stopped));
        let result = result.map_err(anyhow::Error::from);
        outcome = outcome.max(match &result {
            Ok(evidence) => tell(evidence, begun.elapsed()),
            Err(error) => {
                print(&mut io::stdout(), &format!("  could not run: {error:#}\n"));
                Outcome::CouldNotRun
            }
        });
        played.push(record(scenario, result, begun.elapsed()));
        if is_stopped {
            break;
        }
    }
    let is_stopped = stage.stopping.is_cancelled();
    if let Some(folder) = &options.report {
        let report = Report {
            version: report::VERSION,
            clock: stage.clock.name(),
            factor: options.factor,
            gateway,
            begun_ms,
            took_s: begun.elapsed().as_secs_f64(),
            is_complete: !is_stopped,
            scenarios: played,
        };
        let written = report.write(folder);
        written.with_context(|| format!("no report in {}", folder.display()))?;
    }
    if is_stopped {
        bail!("stopped");
    }
    Ok(outcome)
}

/// What a scenario leaves in the report.
fn record(scenario: &Scenario, result: anyhow::Result<Evidence>, took: Duration) -> Played {
    let (verdict, error, evidence) = match result {
        Ok(evidence) => (Played::verdict_of(&evidence), None, evidence),
        Err(error) => (
            Verdict::CouldNotRun,
            Some(format!("{error:#}")),
            Evidence::default(),
        ),
    };
    Played {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        verdict,
        error,
        took_s: took.as_secs_f64(),
        evidence,
    }
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
