//! The surfaces over TCP: bounds, golden answers, garbage, and the real Tempo beside ours when it is at hand.
#![allow(clippy::unwrap_used)]

mod client;
mod comparison;
mod data;
mod differences;
mod garbage;
mod golden;
mod peer;
mod serving;
mod surface;

impl client::Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
