//! Discovery files: groups of targets in JSON or YAML. When they are read again is the manager's business.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{FILE_BYTES_MAX, Group, check, yaml};

/// Why a discovery file cannot be used. The targets it had before stay.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error("{}: {text}", path.display())]
    Invalid { path: PathBuf, text: String },
}

/// The groups of one file. JSON is YAML, so one reader does for both.
///
/// # Errors
/// See [`DiscoveryError`].
pub fn read_groups(path: &Path) -> Result<Vec<Group>, DiscoveryError> {
    let text = match super::read_bounded(path) {
        Ok(Some(text)) => text,
        Ok(None) => {
            return Err(DiscoveryError::TooLong {
                path: path.to_owned(),
            });
        }
        Err(source) => {
            return Err(DiscoveryError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let invalid = |text| DiscoveryError::Invalid {
        path: path.to_owned(),
        text,
    };
    let written: Option<Vec<yaml::Group>> = yaml::parse(&text).map_err(invalid)?;
    let groups = written.unwrap_or_default().into_iter().map(check::group);
    groups.collect::<Result<_, _>>().map_err(|fault| {
        let check::Fault { line, column, what } = fault;
        invalid(format!("{line}:{column}: {what}"))
    })
}
