//! Why the store cannot do what it was asked.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log blocks cannot be used")]
    Blocks(#[from] blocks::Error),
    #[error("cannot use {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("a stored record of lines cannot be read")]
    Damaged,
}

impl From<Error> for logql::SourceError {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}
