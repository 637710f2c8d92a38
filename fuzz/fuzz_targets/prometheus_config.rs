//! Arbitrary text as `prometheus.yml`: what is accepted says where and when everything is scraped.
#![no_main]

use std::{path::Path, sync::Arc};

use scrape::{
    config::Config,
    target::{self, Found},
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut config = match Config::parse(Path::new("/etc/prometheus.yml"), text) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.to_string().starts_with("/etc/prometheus.yml: "));
            return;
        }
    };
    assert!(config.evaluation_interval_ms > 0);
    for job in config.jobs.clone().into_iter().map(Arc::new) {
        assert!(job.interval_ms > 0 && job.timeout_ms > 0 && job.timeout_ms <= job.interval_ms);
        for found in job
            .groups
            .iter()
            .flat_map(|group| target::find(&job, group))
        {
            let Found::Active(target) = found else {
                continue;
            };
            assert!(target.timeout_ms <= target.interval_ms);
            assert!(!target.labels.get("instance").is_empty());
            assert!((0..target.interval_ms).contains(&target.offset_ms()));
            assert!(target.next_scrape_ms(1_000_000) >= 1_000_000);
        }
    }
    config.move_addresses(|address| Some(format!("{address}0")));
});
