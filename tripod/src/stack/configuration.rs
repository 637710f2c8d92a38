//! The components' configuration: the files of `deploy/`, written where this run's components find them.
//!
//! What a file can take from the environment it takes from there. The two that cannot, Prometheus' and its rules', name
//! standard addresses, which are replaced by where the surfaces really are.

use std::{net::SocketAddr, path::Path};

use super::components::Layout;
use crate::up::{
    deploy::{self, compressed, read},
    loopback,
};

/// Appended to the file of Prometheus: its own components are scraped as well.
const SCRAPE_COMPONENTS: &str = "\nscrape_config_files:\n  - components.yml\n";
const COLLECTOR_METRICS: u16 = 8888;
const FLUENT_BIT: u16 = 2020;

/// Writes every file; `source` is a folder like `deploy/`, instead of what this binary was built with. Scrapes, rules and
/// alerts have every time divided by `factor`.
///
/// # Errors
/// A file cannot be read, divided or written.
pub(super) fn write(layout: &Layout, source: Option<&Path>, factor: u32) -> anyhow::Result<()> {
    deploy::clear(&layout.configuration(""))?;
    let put = |path: &str, text: &str| deploy::put(&layout.configuration(path), text);
    for (path, built_in) in [
        (deploy::COLLECTOR_PATH, deploy::COLLECTOR),
        (deploy::TEMPO_PATH, deploy::TEMPO),
        (deploy::LOKI_PATH, deploy::LOKI),
        (deploy::FLUENT_BIT_PATH, deploy::FLUENT_BIT),
    ] {
        put(path, &read(source, path, built_in)?)?;
    }
    let divided = |path: &str, built_in: &'static str| {
        compressed(path, &read(source, path, built_in)?, factor)
    };
    let prometheus = divided(deploy::PROMETHEUS_PATH, deploy::PROMETHEUS)?;
    let prometheus = moved(&prometheus, layout) + SCRAPE_COMPONENTS;
    put(deploy::PROMETHEUS_PATH, &prometheus)?;
    let components = divided(deploy::COMPONENTS_PATH, deploy::COMPONENTS)?;
    put("prometheus/components.yml", &moved(&components, layout))?;
    put(
        deploy::ALERTMANAGER_PATH,
        &divided(deploy::ALERTMANAGER_PATH, deploy::ALERTMANAGER)?,
    )?;
    for (path, text) in deploy::rules(source)? {
        put(&path, &compressed(&path, &text, factor)?)?;
    }
    Ok(())
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
