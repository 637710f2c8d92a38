//! Why the store could not do what it was asked for.

use std::path::{Path, PathBuf};

/// Why an append, an opening or a maintenance failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Another process has the directory open.
    #[error("{} is in use by another process", path.display())]
    InUse { path: PathBuf },
    /// A file is not what it was written as.
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    /// A frame of the log.
    #[error("a batch of {bytes} bytes is more than the log takes at once ({max})")]
    TooLarge { bytes: usize, max: usize },
    /// A failed write left a part that could not be cut off.
    #[error("the log ends in a broken frame; the store must be opened again")]
    Broken,
    /// Blocks cannot be written as fast as samples come, or not at all.
    #[error("blocks are written too slowly: the head spans {head_ms} ms")]
    Behind { head_ms: i64 },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, what: &'static str) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            what,
        }
    }
}
