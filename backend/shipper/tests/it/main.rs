//! Lines of files at destinations of the test's own, which come and go.
#![allow(clippy::unwrap_used)]

mod arriving;
mod sink;
