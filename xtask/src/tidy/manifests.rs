//! Manifests: versions stand in the root one only, lints are the workspace's, nothing is declared without being used,
//! and one OpenTelemetry is in the tree.

use std::collections::HashSet;

use anyhow::Context;

use super::{File, Finding, Tree};

/// Crates of which a second version would compile and silently do nothing.
const SINGLE: &[&str] = &[
    "opentelemetry",
    "opentelemetry_sdk",
    "tracing-core",
    "tracing-subscriber",
    "metrics",
];
/// The sections that declare dependencies.
const SECTIONS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// A workspace member's manifest.
pub(super) struct Manifest<'a> {
    pub(super) file: &'a File,
    table: toml::Table,
}

impl Manifest<'_> {
    pub(super) fn name(&self) -> String {
        let package = self
            .table
            .get("package")
            .and_then(|package| package.get("name"));
        package
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    pub(super) fn dependencies(&self, section: &str) -> Vec<String> {
        let table = self.table.get(section).and_then(toml::Value::as_table);
        table
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// The crates of the root's workspace. A manifest with a workspace of its own, that of the fuzz targets, cannot take versions
/// and lints from the root.
pub(super) fn members(tree: &Tree) -> anyhow::Result<Vec<Manifest<'_>>> {
    let manifests = tree
        .with_extension("toml")
        .filter(|file| file.path.ends_with("/Cargo.toml"));
    let mut members = Vec::new();
    for file in manifests {
        let table: toml::Table =
            toml::from_str(&file.text).with_context(|| format!("{} is no TOML", file.path))?;
        if !table.contains_key("workspace") {
            members.push(Manifest { file, table });
        }
    }
    Ok(members)
}

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = check_single_versions(tree)?;
    findings.extend(check_root(tree)?);
    for manifest in members(tree)? {
        if manifest
            .table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .is_none()
        {
            findings.push(
                manifest
                    .file
                    .finding(None, "does not take the workspace's lints"),
            );
        }
        for section in SECTIONS {
            findings.extend(check_section(tree, &manifest, section));
        }
    }
    Ok(findings)
}

/// Every dependency that the root manifest declares is some member's.
fn check_root(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let Some(root) = tree.files.iter().find(|file| file.path == "Cargo.toml") else {
        return Ok(Vec::new());
    };
    let table: toml::Table = toml::from_str(&root.text).context("Cargo.toml is no TOML")?;
    let declared = table
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"));
    let used: HashSet<_> = members(tree)?
        .iter()
        .flat_map(|manifest| {
            SECTIONS
                .iter()
                .flat_map(|section| manifest.dependencies(section))
        })
        .collect();
    let names = declared
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    let unused = names.filter(|name| !used.contains(*name));
    Ok(unused
        .map(|name| root.finding(None, format!("`{name}` is declared and no crate uses it")))
        .collect())
}

fn check_section(tree: &Tree, manifest: &Manifest<'_>, section: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in manifest.dependencies(section) {
        let entry = &manifest.table[section][name.as_str()];
        if entry.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
            findings.push(manifest.file.finding(
                None,
                format!("`{name}` has its version outside the root manifest"),
            ));
        }
        if !is_used(tree, manifest, &name) {
            findings.push(manifest.file.finding(
                None,
                format!("`{name}` is declared in {section} and not used"),
            ));
        }
    }
    findings
}

/// Whether a source file of the crate names the dependency; a text search, since a path can stand in any macro.
fn is_used(tree: &Tree, manifest: &Manifest<'_>, name: &str) -> bool {
    let folder = manifest.file.path.trim_end_matches("Cargo.toml");
    let library = match name {
        "dynoxide-rs" => "dynoxide".to_owned(),
        name => name.replace('-', "_"),
    };
    let mut sources = tree
        .with_extension("rs")
        .filter(|file| file.path.starts_with(folder));
    sources.any(|file| file.text.contains(&library))
}

fn check_single_versions(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let Some(lock) = tree.files.iter().find(|file| file.path == "Cargo.lock") else {
        return Ok(vec![Finding {
            path: "Cargo.lock".into(),
            line: None,
            rule: "is missing".into(),
        }]);
    };
    let table: toml::Table = toml::from_str(&lock.text).context("Cargo.lock is no TOML")?;
    let packages = table
        .get("package")
        .and_then(toml::Value::as_array)
        .context("Cargo.lock lists no packages")?;
    let versions = |name: &str| {
        packages
            .iter()
            .filter(|package| package.get("name").and_then(toml::Value::as_str) == Some(name))
            .count()
    };
    let several = SINGLE.iter().filter(|name| versions(name) > 1);
    Ok(several
        .map(|name| {
            lock.finding(
                None,
                format!("holds {} versions of `{name}`", versions(name)),
            )
        })
        .collect())
}
