//! The API as its clients see it: requests over HTTP and TLS, the AWS SDK for Python and Fluent Bit when they are at hand.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod catalogue;
mod clients;
mod killed;
mod reading;
mod refusals;
mod tls;
mod watched;
mod world;
mod writing;
