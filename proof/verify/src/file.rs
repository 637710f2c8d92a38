//! Files that are given to `verify`, in YAML or JSON: read bounded, and told by their names when they cannot be used.

use std::{fs, io, path::Path};

use serde::de::DeserializeOwned;

/// A longer file is refused.
const BYTES_MAX: u64 = 1 << 20;

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {path}")]
    Read { path: String, source: io::Error },
    #[error("{path} is longer than {BYTES_MAX} bytes")]
    TooLong { path: String },
    #[error("{path}: {text}")]
    Invalid { path: String, text: String },
}

/// # Errors
/// See [`FileError`].
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let shown = path.display().to_string();
    let unreadable = |source| FileError::Read {
        path: shown.clone(),
        source,
    };
    if fs::metadata(path).map_err(unreadable)?.len() > BYTES_MAX {
        return Err(FileError::TooLong { path: shown });
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    parse(&shown, &text)
}

/// The same of a text; `path` says where it is from.
///
/// # Errors
/// It has another shape.
pub(crate) fn parse<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, FileError> {
    serde_saphyr::from_str(text).map_err(|error| FileError::invalid(path, error.to_string()))
}

impl FileError {
    pub(crate) fn invalid(path: &str, text: impl Into<String>) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            text: text.into(),
        }
    }
}
