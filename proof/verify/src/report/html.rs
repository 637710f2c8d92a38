//! `index.html`: one page that needs nothing else, neither the system nor a network nor a script.

use std::fmt::Write;

use super::{Played, Report, escaped, waterfall};
use crate::{
    apis::prometheus::shown,
    evidence::{Check, Verdict},
};

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--held:#1a7f37;--failed:#cf222e;--none:#9a6700}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
.held{color:var(--held)}.failed{color:var(--failed)}.none{color:var(--none)}.verdict{font-weight:600;white-space:nowrap}
pre,code{font:12px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
pre{background:#8881;padding:.6rem;max-height:24rem;overflow:auto}summary{cursor:pointer}
.time{position:relative;height:5rem;margin:1rem 0;background:#8881}.time i{position:absolute;height:50%;border-left:2px solid #888;padding-left:.3rem;font-style:normal;font-size:12px;white-space:nowrap}
ol.chain>li{margin:.4rem 0}
";

/// The whole page.
pub(super) fn render(report: &Report) -> String {
    let rows: String = report.scenarios.iter().map(row).collect();
    let scenarios: String = report.scenarios.iter().map(scenario).collect();
    let broken_off = match report.is_complete {
        true => String::new(),
        false => format!(
            "<p class=\"failed\">This run was broken off ({}): what is missing was not played.</p>",
            escaped(report.error.as_deref().unwrap_or("no reason is known"))
        ),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>tripod verify</title><style>{STYLE}{}</style></head>\n<body><h1>tripod verify</h1>\n<p>{} on {}, {} clock{}, {:.1} s.</p>{broken_off}\n<table><tr><th>scenario</th><th>verdict</th><th>checks</th><th>time</th></tr>{rows}</table>\n{scenarios}</body></html>\n",
        waterfall::STYLE,
        escaped(&shown(report.begun_ms)),
        escaped(&report.gateway),
        report.clock,
        match report.factor {
            1 => String::new(),
            factor => format!(", all times divided by {factor}"),
        },
        report.took_s
    )
}

fn row(played: &Played) -> String {
    let checks = &played.evidence.checks;
    let held = checks.iter().filter(|check| check.is_held()).count();
    format!(
        "<tr><td><a href=\"#{0}\">{0}</a> {1}</td>{2}<td>{held} of {3}</td><td>{4:.1} s</td></tr>",
        escaped(&played.name),
        escaped(&played.title),
        verdict(played.verdict),
        checks.len(),
        played.took_s
    )
}

fn scenario(played: &Played) -> String {
    let mut text = format!(
        "<h2 id=\"{0}\">{0}: {1}</h2>\n",
        escaped(&played.name),
        escaped(&played.title)
    );
    if let Some(error) = &played.error {
        write!(
            text,
            "<p class=\"none\">could not run: {}</p>",
            escaped(error)
        )
        .expect("a string takes every line");
    }
    text.push_str(&timeline(played));
    let checks: String = played.evidence.checks.iter().map(check).collect();
    writeln!(
        text,
        "<table><tr><th>check</th><th>verdict</th><th>expected and observed</th></tr>{checks}</table>"
    )
    .expect("a string takes every line");
    let links: String = played
        .evidence
        .chain
        .iter()
        .map(|link| {
            format!(
                "<li><b>{}</b> <code>{}</code><br>{}</li>",
                escaped(link.kind),
                escaped(&link.seen),
                question(&link.question, &link.url)
            )
        })
        .collect();
    if !links.is_empty() {
        writeln!(text, "<h3>The chain</h3><ol class=\"chain\">{links}</ol>")
            .expect("a string takes every line");
    }
    text.extend(played.evidence.waterfalls.iter().map(waterfall::render));
    text
}

/// What was asked, to be asked again while the system is there.
fn question(question: &str, url: &str) -> String {
    let shown = escaped(question);
    match url.starts_with("http://") || url.starts_with("https://") {
        true => format!("<a href=\"{}\"><code>{shown}</code></a>", escaped(url)),
        false => format!("<code>{shown}</code>"),
    }
}

/// The instants of a scenario between its first and its last.
fn timeline(played: &Played) -> String {
    let instants = &played.evidence.instants;
    let (Some(first), Some(last)) = (
        instants.iter().map(|(_, t_ms)| *t_ms).min(),
        instants.iter().map(|(_, t_ms)| *t_ms).max(),
    ) else {
        return String::new();
    };
    let span = (last - first).max(1) as f64;
    let mut ordered: Vec<&(String, i64)> = instants.iter().collect();
    ordered.sort_by_key(|(_, t_ms)| *t_ms);
    let marks: String = ordered
        .into_iter()
        .enumerate()
        .map(|(number, (name, t_ms))| {
            // Neighbours have lines of their own: they may be close.
            let row = 50 * (number % 2);
            // The last label stands inside the bar.
            let percent = (t_ms - first) as f64 / span * 85.0;
            let seconds = (t_ms - first) / 1_000;
            format!(
                "<i style=\"left:{percent:.1}%;top:{row}%\">{}<br>{}:{:02}</i>",
                escaped(name),
                seconds / 60,
                seconds % 60
            )
        })
        .collect();
    format!("<div class=\"time\">{marks}</div>\n")
}

fn check(check: &Check) -> String {
    let asked: String = check
        .asked
        .iter()
        .map(|asked| {
            format!(
                "<p>{} {}</p><pre>{}</pre>",
                question(&asked.question, &asked.url),
                asked.status,
                escaped(&asked.answer)
            )
        })
        .collect();
    let asked = match asked.is_empty() {
        true => asked,
        false => {
            format!("<details><summary>what was asked and answered</summary>{asked}</details>")
        }
    };
    format!(
        "<tr><td><b>{}</b><br>{}</td>{}<td>expected {}<br>observed {}{asked}</td></tr>",
        escaped(&check.id),
        escaped(&check.claim),
        verdict(check.verdict),
        escaped(&check.expected),
        escaped(&check.observed)
    )
}

fn verdict(verdict: Verdict) -> String {
    let (class, word) = match verdict {
        Verdict::Held => ("held", "held"),
        Verdict::Failed => ("failed", "failed"),
        Verdict::CouldNotRun => ("none", "could not run"),
    };
    format!("<td class=\"verdict {class}\">{word}</td>")
}
