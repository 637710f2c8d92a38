//! The crate from outside: whole processes, real sockets, real collectors that misbehave.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod adoption;
mod process;
mod sink;
