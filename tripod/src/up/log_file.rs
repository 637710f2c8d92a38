//! A log file that is rotated by size and survives a full disk.
//!
//! Rotation is by renaming (`x.log` → `x.log.1` → …) at the end of a line, so a shipper that follows the file loses
//! nothing. A failed write is an error at once and the next attempt comes a second later: the process behind must not
//! wait for a disk. Counting and reporting what is lost is the caller's.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

/// A file is rotated at the end of the line that reaches this.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Rotated files that are kept, so one service has at most `FILES_MAX + 1` times [`FILE_BYTES_MAX`].
const FILES_MAX: u32 = 4;
/// After a failure the next attempt to open the file comes not sooner than this.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// See the module's description.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    bytes_max: u64,
    file: Option<File>,
    bytes: u64,
    failed_at: Option<Instant>,
}

impl LogFile {
    /// A file at this path, appended to. It is opened at the first write.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            bytes_max: FILE_BYTES_MAX,
            file: None,
            bytes: 0,
            failed_at: None,
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.open()?,
        };
        let file = self.file.insert(file);
        file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn open(&mut self) -> io::Result<File> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&self.path)?;
        self.bytes = file.metadata()?.len();
        // A line that a full disk or a kill cut off must not run into the next one.
        if self.bytes > 0 && !ends_with_newline(&file)? {
            file.write_all(b"\n")?;
            self.bytes += 1;
        }
        Ok(file)
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        let numbered = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..FILES_MAX).rev() {
            rename_if_there(numbered(number), numbered(number + 1))?;
        }
        rename_if_there(self.path.clone(), numbered(1))
    }

    fn is_resting(&self) -> bool {
        self.failed_at.is_some_and(|at| at.elapsed() < REOPEN_AFTER)
    }
}

impl Write for LogFile {
    /// Takes all of it or fails. `bytes` should end with a line, which is where a file is rotated.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_resting() {
            return Err(io::Error::other(
                "the log file could not be written a moment ago",
            ));
        }
        let outcome = self.try_write(bytes).and_then(|()| {
            let is_full = self.bytes >= self.bytes_max && bytes.ends_with(b"\n");
            if is_full { self.rotate() } else { Ok(()) }
        });
        match outcome {
            Ok(()) => {
                self.failed_at = None;
                Ok(bytes.len())
            }
            Err(error) => {
                self.file = None;
                self.failed_at = Some(Instant::now());
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ends_with_newline(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let last = file.metadata()?.len() - 1;
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}

fn rename_if_there(from: PathBuf, to: PathBuf) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn log_file(folder: &tempfile::TempDir, bytes_max: u64) -> LogFile {
        LogFile {
            bytes_max,
            ..LogFile::new(folder.path().join("x.log"))
        }
    }

    fn content(folder: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(folder.path().join(name)).unwrap()
    }

    #[test]
    fn a_full_file_is_rotated_at_the_end_of_a_line_and_the_oldest_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = log_file(&folder, 4);
        for line in [
            "1\n", "22", "2\n", "333\n", "444\n", "555\n", "666\n", "7\n",
        ] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(content(&folder, "x.log"), "7\n");
        assert_eq!(content(&folder, "x.log.1"), "666\n");
        assert_eq!(content(&folder, "x.log.4"), "333\n");
        assert!(!folder.path().join("x.log.5").exists());
    }

    #[test]
    fn a_line_that_was_cut_off_is_closed_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.log"), "{\"cut").unwrap();
        log_file(&folder, 1_000).write_all(b"{}\n").unwrap();
        assert_eq!(content(&folder, "x.log"), "{\"cut\n{}\n");
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_wait() {
        let mut file = LogFile::new("/dev/full".into());
        assert_eq!(
            file.write(b"1\n").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
    }

    #[test]
    fn an_unwritable_folder_fails_at_once_and_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("logs");
        let mut file = LogFile::new(missing.join("x.log"));
        assert_eq!(
            file.write(b"1\n").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::create_dir(&missing).unwrap();
        assert!(
            file.write(b"2\n").is_err(),
            "the folder is not asked again within a second"
        );
        file.failed_at = Some(Instant::now() - REOPEN_AFTER);
        file.write_all(b"3\n").unwrap();
        assert_eq!(fs::read_to_string(missing.join("x.log")).unwrap(), "3\n");
    }
}
