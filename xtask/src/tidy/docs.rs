//! Documents: the ones a newcomer looks for exist, links between them resolve, every crate and decision is on the map,
//! and no file names a place on somebody's machine.

use std::path::{Component, Path, PathBuf};

use super::{File, Finding, Tree, manifests};

/// What a newcomer looks for.
const REQUIRED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "STYLE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "Makefile",
    ".ci/run",
];
const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// The map must stay readable in one sitting.
const ARCHITECTURE_LINES_MAX: usize = 300;
/// What a decision record must say.
const DECISION_SECTIONS: &[&str] = &["## Context", "## Decision", "## Cost", "## Alternatives"];
/// Home folders, which exist on one machine only.
const HOME_FOLDERS: &[&str] = &["/home/", "/root/", "/Users/"];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = check_required(tree);
    findings.extend(check_map(tree)?);
    for file in tree.with_extension("md") {
        findings.extend(check_links(tree, file));
        if file.path.starts_with("docs/decisions/") {
            findings.extend(check_decision(file));
        }
    }
    findings.extend(
        tree.files
            .iter()
            .filter(|file| !file.path.starts_with("xtask/"))
            .flat_map(check_paths),
    );
    Ok(findings)
}

fn check_required(tree: &Tree) -> Vec<Finding> {
    let missing = REQUIRED
        .iter()
        .filter(|path| !tree.files.iter().any(|file| file.path == **path));
    missing
        .map(|path| Finding {
            path: (*path).to_owned(),
            line: None,
            rule: "is missing".to_owned(),
        })
        .collect()
}

/// ARCHITECTURE.md has a line for every crate, and is short.
fn check_map(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let Some(map) = tree.files.iter().find(|file| file.path == ARCHITECTURE) else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    let lines = map.text.lines().count();
    if lines > ARCHITECTURE_LINES_MAX {
        findings.push(map.finding(
            None,
            format!("{lines} lines, more than {ARCHITECTURE_LINES_MAX}"),
        ));
    }
    for manifest in manifests::members(tree)? {
        let folder = manifest.file.path.trim_end_matches("/Cargo.toml");
        if !map.text.contains(&format!("`{folder}`")) {
            findings.push(map.finding(None, format!("has no line for `{folder}`")));
        }
    }
    Ok(findings)
}

fn check_decision(file: &File) -> Vec<Finding> {
    let missing = DECISION_SECTIONS
        .iter()
        .filter(|section| !file.text.contains(**section));
    missing
        .map(|section| file.finding(None, format!("has no section `{section}`")))
        .collect()
}

/// Relative links lead to files of the tree.
fn check_links(tree: &Tree, file: &File) -> Vec<Finding> {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            let is_relative =
                !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
            if is_relative && !tree.root.join(normalised(&folder.join(target))).exists() {
                findings.push(file.finding(
                    index + 1,
                    format!("links to `{target}`, which does not exist"),
                ));
            }
        }
    }
    findings
}

fn normalised(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

fn check_paths(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    let named = lines.filter(|(_, line)| HOME_FOLDERS.iter().any(|folder| line.contains(folder)));
    named
        .map(|(index, _)| file.finding(index + 1, "names somebody's home folder"))
        .collect()
}
