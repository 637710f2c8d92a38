//! What became of each span and trace of a shard, as running totals.

use crate::policy::Decision;

/// Why a trace was decided before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Early {
    /// The buffered bytes reached their bound.
    Memory,
    /// The undecided traces reached their bound.
    Traces,
    /// The trace had as many spans as one may have.
    Size,
    /// The collector was stopped.
    Stop,
    /// The trace had more bytes than the configuration file allows; it was dropped.
    TooLarge,
}

/// Number of reasons.
pub(crate) const EARLY: usize = 5;

/// Totals. `accepted` = `kept` + `sampled_out` + `duplicates` + the spans that are not decided yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Spans taken.
    pub accepted: u64,
    /// Spans taken with the mark of a late span.
    pub late: u64,
    /// Spans handed out.
    pub kept: u64,
    /// Spans of dropped traces.
    pub sampled_out: u64,
    /// Spans of kept traces that were there already.
    pub duplicates: u64,
    /// Of `kept`: arrived after the decision.
    pub kept_after_decision: u64,
    /// Of `sampled_out`: arrived after the decision.
    pub dropped_after_decision: u64,
    /// Spans that arrived after a decision to drop, and opened a new entry because the policies keep them by themselves.
    pub judged_again: u64,
    /// Entries opened.
    pub traces: u64,
    pub traces_kept: u64,
    /// Traces that no policy sampled.
    pub traces_not_sampled: u64,
    /// Traces that a `drop` policy took out.
    pub traces_dropped: u64,
    /// Traces decided early, by [`Early`].
    pub early: [u64; EARLY],
    /// Traces kept, by lane (on time, late) and policy.
    pub by_policy: [Vec<u64>; 2],
}

impl Account {
    /// Zeros, with a place for each policy of each lane.
    pub(super) fn new(policies: [usize; 2]) -> Self {
        Self {
            by_policy: policies.map(|count| vec![0; count]),
            ..Self::default()
        }
    }

    pub(super) fn decided(&mut self, late: bool, decision: Decision, early: Option<Early>) {
        match decision {
            Decision::Keep { policy } => {
                self.traces_kept += 1;
                self.by_policy[usize::from(late)][policy] += 1;
            }
            Decision::Drop { policy: Some(_) } => self.traces_dropped += 1,
            Decision::Drop { policy: None } => self.traces_not_sampled += 1,
        }
        if let Some(early) = early {
            self.early[early as usize] += 1;
        }
    }

    /// A span of a kept trace, which is handed out unless it is a duplicate.
    pub(super) fn handed_out(&mut self, is_new: bool) {
        self.kept += u64::from(is_new);
        self.duplicates += u64::from(!is_new);
    }

    /// Adds the totals of another shard.
    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.late += other.late;
        self.kept += other.kept;
        self.sampled_out += other.sampled_out;
        self.duplicates += other.duplicates;
        self.kept_after_decision += other.kept_after_decision;
        self.dropped_after_decision += other.dropped_after_decision;
        self.judged_again += other.judged_again;
        self.traces += other.traces;
        self.traces_kept += other.traces_kept;
        self.traces_not_sampled += other.traces_not_sampled;
        self.traces_dropped += other.traces_dropped;
        self.early
            .iter_mut()
            .zip(other.early)
            .for_each(|(total, more)| *total += more);
        for (totals, more) in self.by_policy.iter_mut().zip(&other.by_policy) {
            totals.resize(totals.len().max(more.len()), 0);
            totals
                .iter_mut()
                .zip(more)
                .for_each(|(total, more)| *total += more);
        }
    }
}
