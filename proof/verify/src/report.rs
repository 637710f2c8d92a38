//! What a run leaves: `results.json`, `junit.xml` and `index.html` in a folder, each written whole. The schema is in
//! `docs/formats/verify-results.md`.
//!
//! A run that was broken off leaves what it had, and says so.

mod html;
mod junit;
mod waterfall;

use std::{fs, io, path::Path};

use serde::Serialize;

use crate::evidence::{Evidence, Verdict};

/// Of `results.json`; another number is another schema.
pub const VERSION: u32 = 2;

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub version: u32,
    /// `virtual`, `compressed` or `real`.
    pub clock: &'static str,
    /// What times are divided by; 1 unless the clock is `compressed`.
    pub factor: u32,
    /// Base URL of the gateway that was asked.
    pub gateway: String,
    /// Unix milliseconds of this machine.
    pub begun_ms: i64,
    pub took_s: f64,
    /// Whether every scenario that was asked for was played.
    pub is_complete: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub scenarios: Vec<Played>,
}

/// A scenario that was played, or tried.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    pub name: String,
    pub title: String,
    pub verdict: Verdict,
    /// Why it could not be played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub took_s: f64,
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl Played {
    /// The worst of its checks.
    pub fn verdict_of(evidence: &Evidence) -> Verdict {
        let has = |verdict| evidence.checks.iter().any(|check| check.verdict == verdict);
        match () {
            () if has(Verdict::CouldNotRun) => Verdict::CouldNotRun,
            () if has(Verdict::Failed) => Verdict::Failed,
            () => Verdict::Held,
        }
    }
}

impl Report {
    /// Writes the three files, each at once: whoever reads sees an old one or a whole new one.
    ///
    /// # Errors
    /// The folder or a file in it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(self)?;
        for (name, text) in [
            ("results.json", json),
            ("junit.xml", junit::render(self)),
            ("index.html", html::render(self)),
        ] {
            let part = folder.join(format!("{name}.part"));
            let written =
                fs::write(&part, text).and_then(|()| fs::rename(&part, folder.join(name)));
            if written.is_err() {
                // What could be written of it is of no use; the error that is told is the first.
                let _ = fs::remove_file(&part);
            }
            written?;
        }
        Ok(())
    }
}

/// Text as it may stand between tags and in attributes, of XML as of HTML. What no XML may contain becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            control if control.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        evidence::{Asked, Check, Link},
        waterfall::{Bar, Waterfall},
    };

    /// A run with one check of each verdict, whose texts are hostile.
    fn report() -> Report {
        let hostile = "<script>alert(1)</script>\u{1}\"'&";
        let check = |id: &str, verdict| Check {
            verdict,
            asked: vec![Asked {
                question: hostile.to_owned(),
                url: hostile.to_owned(),
                status: 200,
                answer: hostile.to_owned(),
            }],
            ..Check::judged(id, hostile, true)
                .expected(hostile)
                .observed(hostile)
        };
        let evidence = Evidence {
            checks: vec![
                check("good", Verdict::Held),
                check("bad", Verdict::Failed),
                check("none", Verdict::CouldNotRun),
            ],
            chain: vec![Link {
                kind: "trace",
                seen: hostile.to_owned(),
                question: hostile.to_owned(),
                url: hostile.to_owned(),
            }],
            waterfalls: vec![Waterfall {
                of: hostile.to_owned(),
                trace_id: hostile.to_owned(),
                duration_ms: 2.0,
                spans: vec![Bar {
                    service: hostile.to_owned(),
                    name: hostile.to_owned(),
                    depth: 1,
                    start_ms: 1.0,
                    duration_ms: 1.0,
                    is_error: true,
                    lines: vec![hostile.to_owned()],
                }],
                lines: vec![hostile.to_owned()],
            }],
            instants: vec![(hostile.to_owned(), 1_000)],
        };
        Report {
            version: VERSION,
            clock: "virtual",
            factor: 1,
            gateway: "http://127.0.0.1:1".to_owned(),
            begun_ms: 0,
            took_s: 1.5,
            is_complete: false,
            error: Some(hostile.to_owned()),
            scenarios: vec![Played {
                name: "errors".to_owned(),
                title: hostile.to_owned(),
                verdict: Played::verdict_of(&evidence),
                error: None,
                took_s: 1.5,
                evidence,
            }],
        }
    }

    #[test]
    fn what_was_seen_cannot_break_out_of_the_page() {
        let report = report();
        for text in [html::render(&report), junit::render(&report)] {
            assert!(!text.contains("<script>"), "{text}");
            assert!(!text.contains('\u{1}'));
            assert!(text.contains("&lt;script&gt;"));
        }
        let html = html::render(&report);
        for outside in ["http://fonts", "https://", "src=", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("broken off"));
    }

    #[test]
    fn each_file_says_each_verdict() {
        let (report, folder) = (report(), tempfile::tempdir().unwrap());
        report.write(folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&read("results.json")).unwrap();
        let scenario = &json["scenarios"][0];
        assert_eq!(scenario["verdict"], "could_not_run");
        assert_eq!(scenario["checks"][1]["verdict"], "failed");
        assert_eq!(json["is_complete"], false);
        let junit = read("junit.xml");
        assert!(
            junit.contains(r#"tests="3" failures="1" errors="1""#),
            "{junit}"
        );
        assert!(
            junit.contains("<failure ") && junit.contains("<error "),
            "{junit}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
