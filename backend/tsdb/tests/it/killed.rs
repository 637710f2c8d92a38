//! SIGKILL in the middle of appending: what was acknowledged is there.
//!
//! The test binary starts itself again as the process that is killed; otherwise that part does nothing.

use respawn::{Life, acknowledge, kill_after};
use tsdb::{Exemplar, ExemplarEntry};

use super::*;

const APPENDING: &str = "killed::appends_until_it_is_killed";
/// Samples of one append.
const SERIES: usize = 20;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut scrapes = 0;
    let mut had_blocks = false;
    for round in 1..=6 {
        let acknowledged = kill_after(APPENDING, dir.path(), scrapes, 150 * round);
        let (store, recovery) = open(dir.path());
        assert!(recovery.damaged.is_empty(), "{recovery:?}");
        assert_eq!(recovery.damaged_bytes + recovery.lost_samples, 0);
        let found = select(&store, &[], ALL);
        assert_eq!(found.len(), SERIES);
        scrapes = found[0].samples.len() as i64;
        let all: Vec<i64> = (0..scrapes).map(|scrape| START + scrape * MINUTE).collect();
        for series in &found {
            assert_eq!(times(series), all, "each once, none missing, batches whole");
        }
        assert!(scrapes >= acknowledged, "{scrapes} of {acknowledged}");
        let exemplars = store.exemplars(&[], ALL);
        let newest = exemplars[0].1.last().unwrap().t_ms;
        assert!(newest >= START + (acknowledged - 1) * MINUTE);
        had_blocks |= recovery.blocks > 0;
    }
    assert!(had_blocks, "blocks were cut between the kills");
}

#[test]
fn appends_until_it_is_killed() {
    let Some(Life {
        dir,
        first: mut scrape,
    }) = Life::<i64>::of_this_process()
    else {
        return;
    };
    let (store, _) = open(&dir);
    loop {
        let t_ms = START + scrape * MINUTE;
        fill(&store, 0..SERIES, t_ms, 1);
        let exemplar = Exemplar {
            labels: Labels::new([("trace_id", format!("{scrape:032x}"))]),
            t_ms,
            value: 1.0,
        };
        let series = SeriesKey::Labels(labels(0));
        store
            .append_exemplars(&[ExemplarEntry { series, exemplar }])
            .unwrap();
        scrape += 1;
        // Ends by itself when nobody reads any more.
        if !acknowledge(scrape) {
            return;
        }
    }
}
