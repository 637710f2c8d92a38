//! Scraping from outside: pages, targets over TCP, and the real Prometheus beside it.
#![allow(clippy::unwrap_used)]

mod odd_pages;
mod pages;
mod peer;
mod recorder;
mod reloading;
mod targets;
mod world;
