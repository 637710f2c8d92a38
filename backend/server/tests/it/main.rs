//! The surfaces over TCP: bounds, golden answers, garbage, and the real Tempo and Prometheus beside ours when they are
//! at hand.
#![allow(clippy::unwrap_used)]

mod alertmanager;
mod client;
mod comparison;
mod data;
mod differences;
mod garbage;
mod golden;
mod loki;
mod peer;
mod prometheus;
mod serving;
mod surface;

impl client::Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
