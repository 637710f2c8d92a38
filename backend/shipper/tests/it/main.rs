//! Lines of files at destinations of the test's own, which come and go, and at the real Loki.
#![allow(clippy::unwrap_used)]

mod arriving;
mod fluent_bit;
mod full;
mod killed;
mod real_loki;
mod sink;
mod tls;
mod world;
