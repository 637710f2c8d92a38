//! The same contract without files, filters and merging: what every scan must give.

use std::{ops::ControlFlow, ops::Range};

use logql::{Direction, Hint, Selection, Source};
use logs::{NewEntry, Push, Rules, Store};
use tsdb::{Labels, Match, Matcher};

/// A line as a scan hands it out.
pub(crate) type Line = (i64, Labels, String, Vec<(String, String)>);

#[derive(Default)]
pub(crate) struct Plain {
    lines: Vec<Line>,
}

impl Plain {
    pub(crate) fn append(&mut self, pushes: &[Push]) {
        for push in pushes {
            // Stable: what arrived first comes first.
            let mut entries = push.entries.clone();
            entries.sort_by_key(|entry| entry.t_ns);
            for entry in entries {
                let mut metadata: Vec<(String, String)> = Vec::new();
                for (name, value) in entry.metadata {
                    metadata.retain(|(known, _)| *known != name);
                    metadata.push((name, value));
                }
                metadata.sort();
                let line = (entry.t_ns, push.labels.clone(), entry.line, metadata);
                self.lines.push(line);
            }
        }
    }

    pub(crate) fn scan(&self, selection: &Selection<'_>, rules: Rules) -> Vec<Line> {
        let mut found: Vec<Line> = Vec::new();
        let mut all = self.lines.clone();
        all.sort_by(|one, two| (one.0, &one.1).cmp(&(two.0, &two.1)));
        if selection.direction == Direction::Backward {
            all.reverse();
        }
        for line in all {
            let is_wanted = selection.range_ns.contains(&line.0)
                && selection
                    .matchers
                    .iter()
                    .all(|matcher| matcher.holds(&line.1))
                && selection.hints.iter().all(|hint| holds(hint, &line));
            if is_wanted && (rules == Rules::Anything || !found.contains(&line)) {
                found.push(line);
            }
        }
        found
    }
}

fn holds(hint: &Hint, (_, labels, line, metadata): &Line) -> bool {
    match hint {
        Hint::Contains(text) => line.contains(&**text),
        Hint::Field { name, value } => match labels.get(name) {
            "" => metadata
                .iter()
                .any(|(own, is)| **own == **name && **is == **value),
            label => label == &**value,
        },
    }
}

/// Everything a scan hands out.
pub(crate) fn scan(store: &Store, selection: &Selection<'_>) -> Vec<Line> {
    let mut found = Vec::new();
    store
        .scan(selection, &mut |labels, entry| {
            let metadata = entry.metadata.iter();
            found.push((
                entry.t_ns,
                labels.clone(),
                entry.line.to_owned(),
                metadata
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            ));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

pub(crate) fn select(
    matchers: &[Matcher],
    range_ns: Range<i64>,
    direction: Direction,
) -> Selection<'_> {
    Selection {
        matchers,
        range_ns,
        direction,
        hints: &[],
    }
}

pub(crate) fn equal(name: &str, value: &str) -> Matcher {
    Matcher {
        name: name.into(),
        matches: Match::Equal(value.into()),
    }
}

pub(crate) fn entry(t_ns: i64, line: &str) -> NewEntry {
    NewEntry {
        t_ns,
        line: line.to_owned(),
        metadata: Vec::new(),
    }
}

pub(crate) fn stream(pairs: &[(&str, &str)], entries: Vec<NewEntry>) -> Push {
    Push {
        labels: Labels::new(pairs.iter().copied()),
        entries,
    }
}
