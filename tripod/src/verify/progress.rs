//! What a person sees of a run while it goes on: on a terminal one line that changes, elsewhere a line for each phase.

use std::{
    io::{self, IsTerminal},
    sync::Mutex,
    time::{Duration, Instant},
};

use ::verify::run::Progress;

use crate::print;

/// Nobody reads faster.
const PAUSE: Duration = Duration::from_millis(100);
/// Back to the start of the line, which is emptied.
const CLEAR: &str = "\r\x1b[2K";

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Quiet,
    /// On a terminal.
    Line,
    Phases,
}

impl Manner {
    pub(super) fn new(is_quiet: bool) -> Self {
        match is_quiet {
            true => Self::Quiet,
            false if io::stderr().is_terminal() => Self::Line,
            false => Self::Phases,
        }
    }

    /// Tells of each step, in this manner.
    pub(super) fn told(self) -> Box<dyn Fn(&Progress<'_>) + Send + Sync> {
        let last: Mutex<Option<(Instant, String)>> = Mutex::new(None);
        Box::new(move |step| {
            let mut last = last.lock().expect("telling does not panic");
            let phase = format!("{}: {}", step.scenario, step.phase.name);
            let is_new = last.as_ref().is_none_or(|(_, of)| *of != phase);
            let is_soon = last.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE);
            let text = match self {
                Self::Quiet => return,
                Self::Line if is_soon && !is_new => return,
                Self::Phases if !is_new => return,
                Self::Line => format!("{CLEAR}  {}", line(step)),
                Self::Phases => format!("  {} for {}\n", phase, minutes(step.phase.length)),
            };
            *last = Some((Instant::now(), phase));
            print(&mut io::stderr(), &text);
        })
    }

    /// Takes away what is not to stay.
    pub(super) fn end(self) {
        if self == Self::Line {
            print(&mut io::stderr(), CLEAR);
        }
    }
}

fn line(step: &Progress<'_>) -> String {
    format!(
        "{} {} of {}, {} requests, {} alerts fire{}",
        step.phase.name,
        minutes(step.passed),
        minutes(step.phase.length),
        step.requests,
        step.firing,
        match &step.phase.fault {
            Some(fault) => format!(", fault in {}", fault.service),
            None => String::new(),
        }
    )
}

fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
