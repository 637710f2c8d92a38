//! `tripod verify --mutate`: for each cut a system of its own, on which exactly the checks that should notice must turn red.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ::verify::{
    contract::Contract,
    evidence::Verdict,
    mutation::{Cut, MUTATIONS, Mutation, Noticed},
    run::Stage,
};
use anyhow::{Context, bail};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome,
    own::{Own, OwnClock, Start},
};
use crate::{print, up::deploy};

/// What is cut never comes, so it is not waited for as long as usual.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) fn run(
    names: &str,
    runtime: &Runtime,
    stopping: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let mutations = chosen(names)?;
    let mut outcome = Outcome::Held;
    let heading = format!("  {:<18}{:<10}{}\n", "cut", "noticed", "red checks");
    print(&mut io::stdout(), &heading);
    for mutation in mutations {
        let begun = Instant::now();
        let judged = one(mutation, runtime, stopping);
        if stopping.is_cancelled() {
            bail!("stopped");
        }
        let (row, of_row) = row(mutation, judged, begun.elapsed());
        print(&mut io::stdout(), &row);
        outcome = outcome.max(of_row);
    }
    Ok(outcome)
}

fn chosen(names: &str) -> anyhow::Result<Vec<&'static Mutation>> {
    if names == "all" {
        return Ok(MUTATIONS.iter().collect());
    }
    let named = |name: &str| {
        let mut mutations = MUTATIONS.iter();
        mutations
            .find(|mutation| mutation.name == name)
            .with_context(|| {
                let known = MUTATIONS.map(|mutation| mutation.name).join(", ");
                format!("there is no cut {name}; there are {known}")
            })
    };
    names.split(',').map(named).collect()
}

/// A line of the table.
fn row(mutation: &Mutation, judged: anyhow::Result<Noticed>, took: Duration) -> (String, Outcome) {
    let (word, detail, outcome) = match judged {
        Ok(of) if of.is_exact() && mutation.red.is_empty() => {
            ("-", "none, as it must be".to_owned(), Outcome::Held)
        }
        Ok(of) if of.is_exact() => ("yes", of.noticed.join(", "), Outcome::Held),
        Ok(of) => {
            let mut detail = of.noticed.join(", ");
            for (word, checks) in [("MISSED", &of.missed), ("UNEXPECTED", &of.unexpected)] {
                if !checks.is_empty() {
                    detail.push_str(&format!("  {word}: {}", checks.join(", ")));
                }
            }
            let word = if of.noticed.is_empty() {
                "NO"
            } else {
                "NOT SO"
            };
            (word, detail, Outcome::Failed)
        }
        Err(error) => (
            "NOT RUN",
            format!("could not run: {error:#}"),
            Outcome::CouldNotRun,
        ),
    };
    let name = mutation.name;
    let seconds = took.as_secs_f64();
    (
        format!("  {name:<18}{word:<10}{detail}  ({seconds:.0} s)\n"),
        outcome,
    )
}

/// Starts a system with the cut, plays, and says which checks turned red.
fn one(
    mutation: &Mutation,
    runtime: &Runtime,
    stopping: &CancellationToken,
) -> anyhow::Result<Noticed> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let (environment, deploy) = match mutation.cut {
        Cut::None => (Vec::new(), None),
        Cut::Signals(faults) => (vec![(runtime::SIGNAL_FAULTS, faults)], None),
        Cut::File { path, pieces } => {
            write_deploy(folder.path(), path, pieces)?;
            (Vec::new(), Some(folder.path()))
        }
    };
    let start = Start {
        clock: OwnClock::Virtual,
        environment: &environment,
        deploy,
    };
    let own = Own::start(&start, stopping)?;
    let (target, contract) = (own.target()?, Arc::new(Contract::built_in()?));
    let red = runtime.block_on(async {
        let mut stage = Stage::new(target, Arc::clone(&contract), stopping.clone()).await?;
        stage.target.patience = PATIENCE;
        let mut red = Vec::new();
        for name in mutation.scenarios {
            let mut known = contract.scenarios.iter();
            let scenario = known
                .find(|known| known.name == *name)
                .context("a cut names a scenario that is not there")?;
            let (evidence, played) = stage.play(scenario).await;
            played?;
            for check in evidence.checks {
                match check.verdict {
                    Verdict::Held => {}
                    Verdict::Failed => red.push(check.id),
                    Verdict::CouldNotRun => bail!("{}: {}", check.id, check.observed),
                }
            }
        }
        anyhow::Ok(red)
    })?;
    own.stop()?;
    Ok(mutation.judge(&red))
}

/// The built-in configuration with some pieces of one file changed.
fn write_deploy(folder: &Path, changed: &str, pieces: &[(&str, &str)]) -> anyhow::Result<()> {
    for (path, text) in deploy::backend(None)? {
        let mut text = text.into_owned();
        for (from, to) in pieces.iter().filter(|_| path == changed) {
            if !text.contains(from) {
                bail!("{path} has no {from:?} to be cut");
            }
            text = text.replace(from, to);
        }
        deploy::put(&folder.join(path), &text)?;
    }
    Ok(())
}
