//! A source of lines in memory. It skips by hints what it can, so that a wrong hint shows.

use std::ops::{ControlFlow, Range};

use logql::{Direction, Entry, Hint, Scanned, Selection, Source, SourceError};
use tsdb::{Labels, Matcher};

/// One line of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) stream: Labels,
    pub(crate) t_ns: i64,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) text: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Vec<Line>);

impl Memory {
    pub(crate) fn new(mut lines: Vec<Line>) -> Self {
        lines.sort_by(|a, b| (a.t_ns, &a.stream).cmp(&(b.t_ns, &b.stream)));
        for line in &mut lines {
            line.metadata.sort();
        }
        Self(lines)
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.0
    }
}

fn is_skipped(line: &Line, hint: &Hint) -> bool {
    match hint {
        Hint::Contains(text) => !line.text.contains(&**text),
        Hint::Field { name, value } => {
            let of_stream = Some(line.stream.get(name)).filter(|value| !value.is_empty());
            let of_line = || line.metadata.iter().find(|(key, _)| **key == **name);
            of_stream.or_else(|| of_line().map(|(_, value)| &**value)) != Some(&**value)
        }
    }
}

impl Source for Memory {
    fn scan(
        &self,
        selection: &Selection<'_>,
        visit: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, SourceError> {
        let mut scanned = Scanned::default();
        let selected = self.0.iter().filter(|line| {
            selection.range_ns.contains(&line.t_ns)
                && selection
                    .matchers
                    .iter()
                    .all(|matcher| matcher.holds(&line.stream))
        });
        let mut selected: Vec<&Line> = selected.collect();
        if selection.direction == Direction::Backward {
            selected.reverse();
        }
        for line in selected {
            scanned.lines += 1;
            scanned.bytes += line.text.len() as u64;
            if selection.hints.iter().any(|hint| is_skipped(line, hint)) {
                continue;
            }
            let metadata: Vec<(&str, &str)> = line
                .metadata
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect();
            let entry = Entry {
                t_ns: line.t_ns,
                line: &line.text,
                metadata: &metadata,
            };
            if visit(&line.stream, entry).is_break() {
                break;
            }
        }
        Ok(scanned)
    }

    fn streams(
        &self,
        matchers: &[Matcher],
        range_ns: Range<i64>,
    ) -> Result<Vec<Labels>, SourceError> {
        let inside = self.0.iter().filter(|line| range_ns.contains(&line.t_ns));
        let mut streams: Vec<Labels> = inside.map(|line| line.stream.clone()).collect();
        streams.retain(|labels| matchers.iter().all(|matcher| matcher.holds(labels)));
        streams.sort();
        streams.dedup();
        Ok(streams)
    }
}
