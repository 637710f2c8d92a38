//! A query of lines, one line at a time: for tailing, and for the engine.

use std::borrow::Cow;

use tsdb::Labels;

use crate::{
    ast::LogExpr,
    hints::Hints,
    labels::LineLabels,
    source::{Entry, Hint},
    stages::Program,
};

/// What a query does with each line.
#[derive(Debug)]
pub struct Pipeline {
    program: Program,
    labels: LineLabels,
}

/// A line that has passed.
#[derive(Debug)]
pub struct Processed<'p, 'l> {
    /// The line as the pipeline has left it.
    pub line: Cow<'l, str>,
    labels: &'p LineLabels,
}

impl Processed<'_, '_> {
    /// All labels: of the stream, structured metadata, and what was parsed. Those of the stream itself when nothing has changed.
    pub fn labels(&self) -> Labels {
        self.labels.result()
    }

    /// Labels of the stream alone, as the pipeline has left them.
    pub fn stream_labels(&self) -> Labels {
        self.labels.stream_result()
    }

    pub fn metadata(&self) -> Labels {
        Labels::new(self.labels.metadata())
    }

    /// What was parsed of the line, errors among it.
    pub fn parsed(&self) -> Labels {
        Labels::new(self.labels.parsed())
    }
}

impl Pipeline {
    pub fn new(log: &LogExpr) -> Self {
        let program = Program::new(&log.stages);
        let hints = Hints::for_lines(program.filters(None));
        Self {
            program,
            labels: LineLabels::new(hints),
        }
    }

    /// What is true of every line that can pass.
    pub fn hints(&self) -> Vec<Hint> {
        self.program.hints()
    }

    /// None when the line is dropped. A line that a leading line filter drops costs no allocation.
    pub fn process<'p, 'l>(
        &'p mut self,
        stream: &Labels,
        entry: Entry<'l>,
    ) -> Option<Processed<'p, 'l>> {
        if !self.program.takes(entry.line) {
            return None;
        }
        self.labels.reset(stream, entry.metadata);
        let line = self.program.run(entry.t_ns, entry.line, &mut self.labels)?;
        Some(Processed {
            line,
            labels: &self.labels,
        })
    }
}
