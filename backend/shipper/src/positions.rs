//! Where a destination is in the files of each service, on disk. One small file for each destination, replaced as a whole.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::spool::Position;

/// Positions cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum PositionsError {
    #[error("cannot use {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is damaged; delete it, and all lines that are still there are sent again", path.display())]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
}

#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    by_service: BTreeMap<String, Position>,
}

impl Positions {
    /// Those of a destination in `folder`, which is made if it is not there.
    pub(crate) fn open(folder: &Path, destination: &str) -> Result<Self, PositionsError> {
        let path = folder.join(format!("{destination}.json"));
        let failed = |source| PositionsError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let by_service = match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|source| PositionsError::Damaged {
                    path: path.clone(),
                    source,
                })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, by_service })
    }

    pub(crate) fn get(&self, service: &str) -> Option<Position> {
        self.by_service.get(service).copied()
    }

    /// Everything before it was taken. A kill right after it may send the last batch again.
    pub(crate) fn set(&mut self, service: &str, position: Position) -> Result<(), PositionsError> {
        self.by_service.insert(service.to_owned(), position);
        let text = serde_json::to_vec(&self.by_service).expect("names and numbers are JSON");
        let part = self.path.with_extension("part");
        let written = fs::write(&part, text).and_then(|()| fs::rename(&part, &self.path));
        written.map_err(|source| PositionsError::Io {
            path: self.path.clone(),
            source,
        })
    }
}
