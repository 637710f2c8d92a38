//! The public APIs of a system, as far as checks ask them: what they answer, and the raw answer with it.

pub mod loki;
pub mod prometheus;
pub mod tempo;
