//! The collector as its users see it: requests in, kept spans out, every span accounted for.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod collecting;
mod day;
mod listening;
mod model;
mod outside;
mod overload;
mod policies;
mod real;
mod traffic;
