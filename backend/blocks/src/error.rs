//! What can go wrong, with the file it went wrong in.

use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{} is in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error("a record has {bytes} bytes, more than {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("a record has {terms} terms, more than {max}")]
    TooManyTerms { terms: usize, max: usize },
    #[error("a record ends before it starts")]
    Times,
    #[error("blocks are not written as fast as records come, {head_bytes} bytes wait")]
    Behind { head_bytes: usize },
}

impl Error {
    /// For `map_err`: what was done to which file.
    pub(crate) fn io<'p>(
        action: &'static str,
        path: &'p Path,
    ) -> impl FnOnce(io::Error) -> Self + 'p {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
