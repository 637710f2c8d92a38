//! The components' configuration: the files of `deploy/`, written where this run's components find them.
//!
//! What a file can take from the environment it takes from there. The two that cannot, Prometheus' and its rules', name
//! standard addresses, which are replaced by where the surfaces really are.

use std::{
    borrow::Cow,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::components::Layout;
use crate::up::{deploy, loopback};

/// Appended to the file of Prometheus: its own components are scraped as well.
const SCRAPE_COMPONENTS: &str = "\nscrape_config_files:\n  - components.yml\n";
const COLLECTOR_METRICS: u16 = 8888;
const FLUENT_BIT: u16 = 2020;

/// Writes every file; `source` is a folder like `deploy/`, instead of what this binary was built with.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn write(layout: &Layout, source: Option<&Path>) -> anyhow::Result<()> {
    let folder = layout.configuration("");
    if folder.exists() {
        // Of an earlier run: a rule file that is gone must not be read again.
        fs::remove_dir_all(&folder).with_context(|| unwritable(&folder))?;
    }
    for (path, built_in) in [
        (deploy::COLLECTOR_PATH, deploy::COLLECTOR),
        (deploy::ALERTMANAGER_PATH, deploy::ALERTMANAGER),
        (deploy::TEMPO_PATH, deploy::TEMPO),
        (deploy::LOKI_PATH, deploy::LOKI),
        (deploy::FLUENT_BIT_PATH, deploy::FLUENT_BIT),
    ] {
        put(layout, path, &read(source, path, built_in)?)?;
    }
    let prometheus = read(source, deploy::PROMETHEUS_PATH, deploy::PROMETHEUS)?;
    let prometheus = moved(&prometheus, layout) + SCRAPE_COMPONENTS;
    put(layout, deploy::PROMETHEUS_PATH, &prometheus)?;
    let components = read(source, deploy::COMPONENTS_PATH, deploy::COMPONENTS)?;
    put(
        layout,
        "prometheus/components.yml",
        &moved(&components, layout),
    )?;
    for (path, text) in rules(source)? {
        put(layout, &path, &text)?;
    }
    Ok(())
}

/// Every rule file, by its path below `deploy/`.
fn rules(source: Option<&Path>) -> anyhow::Result<Vec<(String, Cow<'static, str>)>> {
    let Some(source) = source else {
        let built_in = deploy::RULES.iter();
        return Ok(built_in
            .map(|(path, text)| ((*path).to_owned(), Cow::Borrowed(*text)))
            .collect());
    };
    let folder = source.join(deploy::RULES_PATH);
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut rules = Vec::new();
    for entry in fs::read_dir(&folder).with_context(unreadable)? {
        let name = entry.with_context(unreadable)?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".yml") {
            let path = format!("{}/{name}", deploy::RULES_PATH);
            rules.push((path.clone(), read(Some(source), &path, "")?));
        }
    }
    Ok(rules)
}

fn read(
    source: Option<&Path>,
    path: &str,
    built_in: &'static str,
) -> anyhow::Result<Cow<'static, str>> {
    let Some(source) = source else {
        return Ok(Cow::Borrowed(built_in));
    };
    let path = source.join(path);
    let text =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Cow::Owned(text))
}

fn put(layout: &Layout, path: &str, text: &str) -> anyhow::Result<()> {
    let path: PathBuf = layout.configuration(path);
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&path, text));
    written.with_context(|| unwritable(&path))
}

/// The text with each standard address replaced by the real one. Two passes, since one may be where another was.
fn moved(text: &str, layout: &Layout) -> String {
    let here = layout.inner.collector_metrics;
    let mut pairs: Vec<(SocketAddr, SocketAddr)> = layout.addresses.named_in_files().to_vec();
    pairs.push((loopback(COLLECTOR_METRICS), here));
    pairs.push((loopback(FLUENT_BIT), layout.inner.fluent_bit));
    let marked = pairs
        .iter()
        .enumerate()
        .fold(text.to_owned(), |text, (number, (standard, _))| {
            text.replace(&standard.to_string(), &format!("\u{0}{number}\u{0}"))
        });
    pairs
        .iter()
        .enumerate()
        .fold(marked, |text, (number, (_, address))| {
            text.replace(&format!("\u{0}{number}\u{0}"), &address.to_string())
        })
}

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}
