//! The receiver over TCP: real clients, garbage, overload and slow senders; beside the real Collector when it is at hand.
#![allow(clippy::unwrap_used)]

mod collector;
mod export;
mod garbage;
mod harness;
mod peers;
mod slow;
