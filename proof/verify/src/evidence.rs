//! What was asked, what was answered, what was expected, and what follows: the record that a run leaves.

use serde::Serialize;

use crate::{
    http::{Answer, HttpError},
    waterfall::Waterfall,
};

/// Bytes of a raw answer that are kept; of a longer one the first.
pub const ANSWER_BYTES_MAX: usize = 16 << 10;

/// One claim about the system, and whether it held.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Unique in its scenario; mutations and reports name it.
    pub id: String,
    /// The claim, as a sentence.
    pub claim: String,
    pub expected: String,
    pub observed: String,
    pub verdict: Verdict,
    /// What it rests on, in the order in which it was asked.
    pub asked: Vec<Asked>,
    /// Unix milliseconds on the clock of the scenario.
    pub at_ms: i64,
}

/// A question and its raw answer.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// As it is read.
    pub question: String,
    /// As it is asked again.
    pub url: String,
    pub status: u16,
    /// Cut at [`ANSWER_BYTES_MAX`].
    pub answer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Held,
    Failed,
    /// There was no answer to judge.
    CouldNotRun,
}

/// One step of the chain that a person would click through.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// Such as `metric` or `log lines`.
    pub kind: &'static str,
    /// What is seen there.
    pub seen: String,
    /// Where it is seen again, as it is read and as it is asked.
    pub question: String,
    pub url: String,
}

/// What one scenario has shown.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Evidence {
    pub checks: Vec<Check>,
    pub chain: Vec<Link>,
    /// Traces that are worth looking at.
    pub waterfalls: Vec<Waterfall>,
    /// Instants of interest by name, Unix milliseconds on the clock of the scenario.
    pub instants: Vec<(String, i64)>,
}

impl Asked {
    pub fn new(answer: &Answer) -> Self {
        let cut = answer.body.len().min(ANSWER_BYTES_MAX);
        Self {
            question: answer.question.clone(),
            url: answer.url.clone(),
            status: answer.status.as_u16(),
            answer: String::from_utf8_lossy(&answer.body[..cut]).into_owned(),
        }
    }
}

impl Link {
    pub(crate) fn new(kind: &'static str, seen: String, answer: &Answer) -> Self {
        Self {
            kind,
            seen,
            question: answer.question.clone(),
            url: answer.url.clone(),
        }
    }
}

impl Check {
    /// A check that is judged by whether what was observed is as expected.
    pub fn judged(id: &str, claim: impl Into<String>, is_held: bool) -> Self {
        Self {
            id: id.to_owned(),
            claim: claim.into(),
            expected: String::new(),
            observed: String::new(),
            verdict: if is_held {
                Verdict::Held
            } else {
                Verdict::Failed
            },
            asked: Vec::new(),
            at_ms: 0,
        }
    }

    /// A check whose question was not answered.
    pub fn not_run(id: &str, claim: impl Into<String>, error: &HttpError) -> Self {
        Self {
            verdict: Verdict::CouldNotRun,
            observed: chain(error),
            ..Self::judged(id, claim, false)
        }
    }

    pub fn is_held(&self) -> bool {
        self.verdict == Verdict::Held
    }

    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    #[must_use]
    pub fn observed(mut self, observed: impl Into<String>) -> Self {
        self.observed = observed.into();
        self
    }

    #[must_use]
    pub fn asked<'a>(mut self, answers: impl IntoIterator<Item = &'a Answer>) -> Self {
        self.asked.extend(answers.into_iter().map(Asked::new));
        self
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
