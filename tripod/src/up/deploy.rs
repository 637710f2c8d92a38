//! The configuration of the backend's parts and of the real components as this binary was built with it, and where each
//! file is below a folder like `deploy/` that is given instead; the same with every time of it divided.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use slo::compress;

macro_rules! rules {
    ($name:literal) => {
        (
            concat!("prometheus/rules/", $name),
            include_str!(concat!("../../../deploy/prometheus/rules/", $name)),
        )
    };
}

/// The collector's file, and its place.
pub(crate) const COLLECTOR: &str = include_str!("../../../deploy/collector/collector.yaml");
pub(crate) const COLLECTOR_PATH: &str = "collector/collector.yaml";

/// What is scraped, which rules are read, where alerts go.
pub(crate) const PROMETHEUS: &str = include_str!("../../../deploy/prometheus/prometheus.yml");
pub(crate) const PROMETHEUS_PATH: &str = "prometheus/prometheus.yml";

/// Every rule file, by its path below the folder.
pub(crate) const RULES: [(&str, &str); 5] = [
    rules!("golden-signals.yml"),
    rules!("slo-gateway.yml"),
    rules!("slo-task-service.yml"),
    rules!("slo-worker.yml"),
    rules!("telemetry.yml"),
];

/// Who is told of which alert.
pub(crate) const ALERTMANAGER: &str = include_str!("../../../deploy/alertmanager/alertmanager.yml");
pub(crate) const ALERTMANAGER_PATH: &str = "alertmanager/alertmanager.yml";

/// The folder of the rule files.
pub(crate) const RULES_PATH: &str = "prometheus/rules";

/// Of the real components alone.
pub(crate) const TEMPO: &str = include_str!("../../../deploy/tempo/tempo.yaml");
pub(crate) const TEMPO_PATH: &str = "tempo/tempo.yaml";
pub(crate) const LOKI: &str = include_str!("../../../deploy/loki/loki.yaml");
pub(crate) const LOKI_PATH: &str = "loki/loki.yaml";
pub(crate) const FLUENT_BIT: &str = include_str!("../../../deploy/fluent-bit/fluent-bit.yaml");
pub(crate) const FLUENT_BIT_PATH: &str = "fluent-bit/fluent-bit.yaml";
/// What is scraped of them.
pub(crate) const COMPONENTS: &str = include_str!("../../../deploy/native/components.yml");
pub(crate) const COMPONENTS_PATH: &str = "native/components.yml";

/// Folder below `DATA` for the files of a system whose times are divided.
const COMPRESSED: &str = "compressed";

/// The folder that the backend is to read: `source`, or one below `data` with every time divided by `factor`.
///
/// # Errors
/// A file cannot be read, divided or written.
pub(crate) fn folder(
    source: Option<&Path>,
    factor: u32,
    data: &Path,
) -> anyhow::Result<Option<PathBuf>> {
    if factor == 1 {
        return Ok(source.map(Path::to_owned));
    }
    let folder = data.join(COMPRESSED);
    clear(&folder)?;
    for (path, text) in backend(source)? {
        let text = match &*path {
            COLLECTOR_PATH => text.into_owned(),
            _ => compressed(&path, &text, factor)?,
        };
        put(&folder.join(path), &text)?;
    }
    Ok(Some(folder))
}

/// Every file that the embedded backend reads, by its path below the folder.
///
/// # Errors
/// One cannot be read.
pub(crate) fn backend(source: Option<&Path>) -> anyhow::Result<Vec<(String, Cow<'static, str>)>> {
    let mut files = rules(source)?;
    for (path, built_in) in [
        (COLLECTOR_PATH, COLLECTOR),
        (PROMETHEUS_PATH, PROMETHEUS),
        (ALERTMANAGER_PATH, ALERTMANAGER),
    ] {
        files.push((path.to_owned(), read(source, path, built_in)?));
    }
    Ok(files)
}

/// Every rule file, by its path below the folder.
///
/// # Errors
/// One cannot be read.
pub(crate) fn rules(source: Option<&Path>) -> anyhow::Result<Vec<(String, Cow<'static, str>)>> {
    let Some(source) = source else {
        let built_in = RULES.iter();
        return Ok(built_in
            .map(|(path, text)| ((*path).to_owned(), Cow::Borrowed(*text)))
            .collect());
    };
    let folder = source.join(RULES_PATH);
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut rules = Vec::new();
    for entry in fs::read_dir(&folder).with_context(unreadable)? {
        let name = entry.with_context(unreadable)?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".yml") {
            let path = format!("{RULES_PATH}/{name}");
            rules.push((path.clone(), read(Some(source), &path, "")?));
        }
    }
    Ok(rules)
}

/// A file of the folder, or as it is built in.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(
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

/// The text of the file at `path` with every time divided.
///
/// # Errors
/// Nothing would be left of a time.
pub(crate) fn compressed(path: &str, text: &str, factor: u32) -> anyhow::Result<String> {
    compress::file(text, factor).with_context(|| path.to_owned())
}

/// Writes a file and the folders above it.
///
/// # Errors
/// It cannot be written.
pub(crate) fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text));
    written.with_context(|| unwritable(path))
}

/// Removes a folder of an earlier run: a rule file that is gone must not be read again.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn clear(folder: &Path) -> anyhow::Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| unwritable(folder)),
        false => Ok(()),
    }
}

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_rule_file_is_built_in() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let mut found: Vec<String> = fs::read_dir(deploy.join("prometheus/rules"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| format!("prometheus/rules/{name}"))
            .collect();
        found.sort();
        assert_eq!(found, RULES.map(|(path, _)| path));
    }
}
