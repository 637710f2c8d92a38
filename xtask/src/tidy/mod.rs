//! The house rules that a program can check, each in a module of its own. What is not checked here is advice.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::report;

mod arrows;
mod docs;
mod manifests;
mod names;
mod sources;

/// The checkout, read once: every file that git tracks or would track.
pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<File>,
}

/// One text file.
pub(crate) struct File {
    /// From the checkout's root, with `/`.
    path: String,
    text: String,
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: Option<usize>,
    rule: String,
}

/// Checks everything and prints what it finds; true when there is nothing.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let tree = Tree::read(root)?;
    let findings: Vec<_> = [
        sources::check,
        names::check,
        arrows::check,
        manifests::check,
        docs::check,
    ]
    .into_iter()
    .map(|check| check(&tree))
    .collect::<anyhow::Result<Vec<_>>>()?
    .into_iter()
    .flatten()
    .collect();
    for finding in &findings {
        let line = finding
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        report(&format!("{}{line}: {}", finding.path, finding.rule));
    }
    report(&format!(
        "tidy: {} files, {} findings",
        tree.files.len(),
        findings.len()
    ));
    Ok(findings.is_empty())
}

impl Tree {
    fn read(root: &Path) -> anyhow::Result<Self> {
        let listing = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git ls-files does not start")?;
        ensure!(
            listing.status.success(),
            "git ls-files failed: {}",
            String::from_utf8_lossy(&listing.stderr)
        );
        let listing = String::from_utf8(listing.stdout).context("a file name is not UTF-8")?;
        let mut files = Vec::new();
        for path in listing.lines() {
            // A deleted file is still listed, and a binary file has no lines to check.
            if let Ok(text) = fs::read_to_string(root.join(path)) {
                files.push(File {
                    path: path.to_owned(),
                    text,
                });
            }
        }
        Ok(Self {
            root: root.to_owned(),
            files,
        })
    }

    fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| {
            Path::new(&file.path)
                .extension()
                .is_some_and(|found| found == extension)
        })
    }
}

impl File {
    /// Tests, benches and examples: free of the rules that keep production code small.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| {
            matches!(
                part,
                "tests" | "tests.rs" | "benches" | "examples" | "testing"
            )
        })
    }

    fn finding(&self, line: impl Into<Option<usize>>, rule: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line: line.into(),
            rule: rule.into(),
        }
    }
}

#[cfg(test)]
mod tests;
