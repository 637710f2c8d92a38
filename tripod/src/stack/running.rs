//! The components of a stack, started, awaited, and stopped in order.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::components::{Chosen, Layout};
use crate::up::{Child, Program, RunFile, Spec};

/// How long all components may take to become ready: Loki answers after ten to fifteen seconds on an idle machine.
const READY_DEADLINE: Duration = Duration::from_secs(120);
const READY_POLL: Duration = Duration::from_millis(100);
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Components that run.
pub(super) struct Stack {
    /// In the order in which they were started.
    children: Vec<(&'static str, Child)>,
    /// Name and URL.
    ready: Vec<(&'static str, String)>,
}

impl Stack {
    /// Starts every component.
    ///
    /// # Errors
    /// A folder cannot be made, or a program cannot be run. What was started until then ends with the runtime.
    pub(super) fn start(
        chosen: &Chosen,
        layout: &Layout,
        run_file: &Arc<RunFile>,
    ) -> anyhow::Result<Self> {
        let mut children = Vec::new();
        for component in &chosen.components {
            let (data, log) = (layout.data(component.name), layout.log(component.name));
            let folders = log.parent().into_iter().chain([data.as_path()]);
            for folder in folders {
                fs::create_dir_all(folder)
                    .with_context(|| format!("{} cannot be made", folder.display()))?;
            }
            let spec = Spec {
                name: component.name,
                program: Program::Foreign {
                    path: component.program.clone(),
                    arguments: component.arguments.clone(),
                },
                environment: component.environment.clone(),
                log,
            };
            children.push((component.name, Child::start(spec, Arc::clone(run_file))?));
        }
        let components = chosen.components.iter();
        Ok(Self {
            children,
            ready: components
                .map(|component| (component.name, component.ready.clone()))
                .collect(),
        })
    }

    /// Waits until each says that it is ready.
    ///
    /// # Errors
    /// After [`READY_DEADLINE`], with the last answer of the one that is not.
    pub(super) async fn until_ready(&self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_DEADLINE)
            .build()
            .context("no HTTP client")?;
        let deadline = Instant::now() + READY_DEADLINE;
        for (name, url) in &self.ready {
            while let Err(answer) = is_ready(&client, url).await {
                if Instant::now() >= deadline {
                    bail!("{name} is not ready after {READY_DEADLINE:?}: {answer}");
                }
                tokio::time::sleep(READY_POLL).await;
            }
        }
        Ok(())
    }

    /// What sends is stopped before what it sends to. Each step is bounded.
    pub(super) async fn stop(self) {
        for (_, child) in self.children.into_iter().rev() {
            child.stop().await;
        }
    }
}

/// Otherwise what it answers.
pub(super) async fn is_ready(client: &reqwest::Client, url: &str) -> Result<(), String> {
    match client.get(url).send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => {
            let status = response.status();
            let text = response.text().await.unwrap_or_default();
            Err(format!("{status} {}", text.trim()))
        }
        Err(error) => Err(error.to_string()),
    }
}
