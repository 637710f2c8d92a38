//! `tripod slo check|render|explain`: objective files, the rules made from them, and what their alerts will do.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use ::slo::{ObjectiveFile, compress, render};
use anyhow::{Context, bail};

use crate::print;

mod explain;

/// Flags of `tripod slo`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Says whether objective files can be used, and whether their rule files are up to date
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Folder of the rule files to compare with
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
    },
    /// Makes the rule files of objective files
    Render {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Folder for the rule files, `slo-NAME.yml` each; printed without it
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Divide every window and interval by this, to see an hour in a minute
        #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
        compress: u32,
    },
    /// Prints budget, thresholds and the times at which each alert fires and resolves
    Explain(explain::Options),
}

pub(crate) fn main(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Check { files, rules } => check(&files, rules.as_deref()),
        Command::Render {
            files,
            out,
            compress,
        } => render_all(&files, out.as_deref(), compress),
        Command::Explain(options) => explain::run(&options),
    };
    match outcome {
        Ok(text) => {
            print(&mut io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print(&mut io::stderr(), &format!("tripod: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn check(files: &[PathBuf], rules: Option<&Path>) -> anyhow::Result<String> {
    let mut text = String::new();
    for path in files {
        let file = read(path)?;
        if let Some(folder) = rules {
            let rule_file = folder.join(rule_file_name(path)?);
            let found = fs::read_to_string(&rule_file)
                .with_context(|| format!("{} cannot be read", rule_file.display()))?;
            if found != render::rules(&file) {
                bail!(
                    "{} is not what {} says; run `tripod slo render`",
                    rule_file.display(),
                    path.display()
                );
            }
        }
        text += &format!("{}: {} objectives\n", path.display(), file.slos.len());
    }
    Ok(text)
}

fn render_all(files: &[PathBuf], out: Option<&Path>, compression: u32) -> anyhow::Result<String> {
    let mut text = String::new();
    for path in files {
        let rules = compress::file(&render::rules(&read(path)?), compression)
            .with_context(|| format!("{} cannot be compressed", path.display()))?;
        let Some(folder) = out else {
            text += &rules;
            continue;
        };
        let rule_file = folder.join(rule_file_name(path)?);
        fs::write(&rule_file, rules)
            .with_context(|| format!("{} cannot be written", rule_file.display()))?;
        text += &format!("{}\n", rule_file.display());
    }
    Ok(text)
}

fn read(path: &Path) -> anyhow::Result<ObjectiveFile> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    ObjectiveFile::parse(&text).with_context(|| path.display().to_string())
}

/// `deploy/slo/gateway.yaml` → `slo-gateway.yml`.
fn rule_file_name(path: &Path) -> anyhow::Result<String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.with_context(|| format!("{} has no file name", path.display()))?;
    Ok(format!("slo-{stem}.yml"))
}

/// `90s`, `1h`, `1h30m`, `250ms`, `30d`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let malformed = || format!("`{text}` is no duration such as 90s, 1h30m or 30d");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(malformed)?;
        let number: u64 = rest[..digits].parse().map_err(|_| malformed())?;
        let units = rest[digits..].find(|c: char| c.is_ascii_digit());
        let unit = &rest[digits..units.map_or(rest.len(), |length| digits + length)];
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(malformed()),
        };
        let part = number.checked_mul(milliseconds).ok_or_else(malformed)?;
        total = total
            .checked_add(Duration::from_millis(part))
            .ok_or_else(malformed)?;
        rest = &rest[digits + unit.len()..];
    }
    if text.is_empty() {
        Err(malformed())
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_prometheus_writes_them() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "5", "h", "1y", "1h3", "99999999999999999999s", "-1s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
