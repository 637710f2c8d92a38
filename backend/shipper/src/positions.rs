//! Where a destination is in the files of each service, on disk. One small file for each destination, replaced as a whole.
//!
//! What survives `kill -9` is asked of it, not what survives a power cut: a file that cannot be read is set aside and said, and all
//! lines that are still there are sent again.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::tail::Position;

#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    by_service: BTreeMap<String, Position>,
}

impl Positions {
    /// Those of a destination in `folder`.
    pub(crate) fn open(folder: &Path, destination: &str) -> io::Result<Self> {
        let path = folder.join(format!("{destination}.json"));
        let by_service = match fs::read(&path) {
            Ok(text) => parse(&path, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, by_service })
    }

    pub(crate) fn get(&self, service: &str) -> Position {
        self.by_service.get(service).copied().unwrap_or_default()
    }

    /// Everything before it was taken. A kill before this returns sends the last batch again.
    pub(crate) fn set(&mut self, service: &str, position: Position) -> io::Result<()> {
        match self.by_service.get_mut(service) {
            Some(known) => *known = position,
            None => {
                self.by_service.insert(service.to_owned(), position);
            }
        }
        let text = serde_json::to_vec(&self.by_service)?;
        let part = self.path.with_extension("part");
        fs::write(&part, text)?;
        fs::rename(&part, &self.path)
    }
}

fn parse(path: &Path, text: &[u8]) -> io::Result<BTreeMap<String, Position>> {
    match serde_json::from_slice(text) {
        Ok(positions) => Ok(positions),
        Err(error) => {
            fs::rename(path, path.with_extension("damaged"))?;
            tracing::error!(
                path = %path.display(),
                error = %error,
                "positions are damaged and set aside; all lines that are still there are sent again"
            );
            Ok(BTreeMap::new())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn positions_are_there_again_and_damaged_ones_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Positions::open(folder.path(), "loki").unwrap();
        assert_eq!(open().get("gateway"), Position::default());
        let position = Position {
            file: 7,
            offset: 42,
            is_skipping: true,
        };
        open().set("gateway", position).unwrap();
        assert_eq!(open().get("gateway"), position);
        assert_eq!(open().get("worker"), Position::default());
        for damage in ["", "{", "[]"] {
            fs::write(folder.path().join("loki.json"), damage).unwrap();
            assert_eq!(open().get("gateway"), Position::default());
            assert!(folder.path().join("loki.damaged").exists());
            assert!(!folder.path().join("loki.json").exists());
        }
    }
}
