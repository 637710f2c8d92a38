//! What the alerts of an objective will do when a given share of requests fails for a while.

use std::{fmt::Write, path::PathBuf, time::Duration};

use ::slo::{Fault, Objective, PAIRS, Pair, burn};
use anyhow::bail;

use super::{parse_duration, read};

/// Spaces behind the longest name of an alert.
const COLUMN_GAP: usize = 3;

/// Flags of `tripod slo explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Objective file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Share of failing requests, for instance 0.108 or 10.8%
    #[arg(long, value_name = "RATIO", value_parser = parse_ratio)]
    error_ratio: f64,
    /// How long they fail
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    duration: Duration,
    /// How long the service had run without failures before; a window longer than this is cold
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_duration)]
    history: Duration,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    if options.error_ratio <= 0.0 {
        bail!("nothing fails at an error ratio of 0");
    }
    let file = read(&options.file)?;
    let fault = Fault {
        error_ratio: options.error_ratio,
        duration: options.duration,
        history: options.history,
    };
    let mut text = String::new();
    for objective in &file.slos {
        explain(&mut text, &file.service, objective, &fault).expect("a string takes every line");
    }
    Ok(text)
}

fn explain(
    text: &mut String,
    service: &str,
    objective: &Objective,
    fault: &Fault,
) -> std::fmt::Result {
    let budget = objective.budget();
    let period = burn::PERIOD.as_secs_f64();
    writeln!(
        text,
        "{service} / {}: {} % over 30 d",
        objective.name, objective.objective
    )?;
    writeln!(
        text,
        "  budget          {} % of requests, or {} of full outage",
        percent(budget),
        clock(period * budget)
    )?;
    writeln!(
        text,
        "  fault           {} % errors for {} after {} without any: burn rate {:.1}",
        percent(fault.error_ratio),
        clock(fault.duration.as_secs_f64()),
        clock(fault.history.as_secs_f64()),
        fault.error_ratio / budget
    )?;
    writeln!(
        text,
        "  it spends       {:.2} % of the budget\n",
        100.0 * fault.budget_spent(budget, fault.duration)
    )?;
    explain_alerts(text, objective, fault)?;
    writeln!(
        text,
        "\n  Times count from the start of the fault; scrape and evaluation add at most one interval each.\n"
    )
}

/// A line for each pair whose alert is not disabled.
fn explain_alerts(text: &mut String, objective: &Objective, fault: &Fault) -> std::fmt::Result {
    let budget = objective.budget();
    let alerts: Vec<(&str, Pair)> = PAIRS
        .into_iter()
        .filter_map(|pair| Some((objective.alert_name(pair.severity)?, pair)))
        .collect();
    let width = alerts.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or_default().max("alert".len()) + COLUMN_GAP;
    writeln!(
        text,
        "  {:<width$}{:<22}{:>10}  {:>12}  {:>12}  budget spent then",
        "alert", "windows and factor", "threshold", "fires", "resolves"
    )?;
    for (alert, pair) in alerts {
        let windows = format!(
            "{} & {}, {}x",
            clock(pair.long.as_secs_f64()),
            clock(pair.short.as_secs_f64()),
            pair.factor
        );
        let threshold = format!("{} %", percent(pair.threshold(budget)));
        write!(text, "  {alert:<width$}{windows:<22}{threshold:>10}")?;
        match pair.course(budget, fault) {
            Some(course) => writeln!(
                text,
                "  {:>12}  {:>12}  {:.2} %",
                clock(course.fires.as_secs_f64()),
                clock(course.resolves.as_secs_f64()),
                100.0 * fault.budget_spent(budget, course.fires)
            )?,
            None => writeln!(text, "  {:>12}", "never")?,
        }
    }
    Ok(())
}

/// `0.108` or `10.8%`.
fn parse_ratio(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    number
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| format!("`{text}` is no share such as 0.108 or 10.8%"))
}

/// Without binary noise.
fn percent(ratio: f64) -> f64 {
    (ratio * 1e8).round() / 1e6
}

/// `8:00`, `0:51.8`, `1:48:00`, `30d`.
fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as u64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let fraction = if tenth == 0 {
        String::new()
    } else {
        format!(".{tenth}")
    };
    let (days, hours, minutes, seconds) = (
        whole / 86_400,
        whole / 3600 % 24,
        whole / 60 % 60,
        whole % 60,
    );
    if days > 0 && whole.is_multiple_of(86_400) && tenth == 0 {
        return format!("{days}d");
    }
    match days * 24 + hours {
        0 => format!("{minutes}:{seconds:02}{fraction}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FILE: &str = include_str!("../../../deploy/slo/gateway.yaml");

    /// What is said of 10.8 % errors for an hour.
    fn explained(file: &str) -> String {
        let objective = ::slo::ObjectiveFile::parse(file).unwrap().slos.remove(0);
        let fault = Fault {
            error_ratio: 0.108,
            duration: Duration::from_secs(3600),
            history: burn::PERIOD,
        };
        let mut text = String::new();
        explain(&mut text, "gateway", &objective, &fault).unwrap();
        text
    }

    #[test]
    fn the_budget_burn_scenario_is_explained_with_its_times() {
        let text = explained(FILE);
        for part in [
            "FastBudgetBurn   1:00:00 & 5:00, 14.4x",
            "0.1 % of requests, or 43:12 of full outage",
            "burn rate 108.0",
            "15.00 % of the budget",
            "1.44 %          8:00       1:04:20  2.00 %",
            "0.6 %         20:00       1:28:20  5.00 %",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn alerts_have_the_name_that_the_file_gives_them_and_disabled_ones_are_left_out() {
        let text = explained(&FILE.replace(
            "    alerting:\n",
            "    alerting:\n      name: GatewayAvailabilityBurns\n",
        ));
        assert!(
            text.contains("GatewayAvailabilityBurns   1:00:00 & 5:00"),
            "{text}"
        );
        assert!(!text.contains("BudgetBurn"), "{text}");
        let text = explained(&FILE.replace(
            "      ticket_alert:\n",
            "      ticket_alert:\n        disable: true\n",
        ));
        assert_eq!(text.matches("FastBudgetBurn").count(), 2, "{text}");
        assert!(!text.contains("SlowBudgetBurn"), "{text}");
    }

    #[test]
    fn shares_are_read_as_fraction_and_as_percent() {
        assert_eq!(parse_ratio("0.108"), Ok(0.108));
        assert_eq!(parse_ratio("50%"), Ok(0.5));
        for text in ["", "2", "-1%", "101%", "nan", "x"] {
            assert!(parse_ratio(text).is_err(), "{text}");
        }
    }
}
