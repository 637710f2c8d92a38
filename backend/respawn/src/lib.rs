//! For tests: the test binary, started again as a process of its own that runs one test alone, to be killed or to run out of room.
//!
//! What that process does is a test too; started in the usual way it finds no [`Life`] or no [`room`], and does nothing.

use std::{
    env,
    fmt::Display,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const DIR: &str = "RESPAWN_DIR";
const FIRST: &str = "RESPAWN_FIRST";
/// Before the number that is acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";

/// What a process that is to be killed works on.
#[derive(Clone, Debug)]
pub struct Life<N> {
    pub dir: PathBuf,
    /// The number that it starts with.
    pub first: N,
}

impl<N: FromStr> Life<N> {
    /// `None` in a process that [`kill_after`] has not started.
    ///
    /// # Panics
    /// If the first number is none of this type.
    pub fn of_this_process() -> Option<Self> {
        let (dir, first) = (env::var_os(DIR)?, env::var(FIRST).ok()?);
        let first = first.parse().ok().expect("the first number is one");
        Some(Self {
            dir: dir.into(),
            first,
        })
    }
}

/// Says that everything below `number` is stored. False when nobody listens any more, and the process is to end.
pub fn acknowledge(number: impl Display) -> bool {
    let mut out = io::stdout();
    let said = writeln!(out, "\n{ACKNOWLEDGED}{number}").and_then(|()| out.flush());
    said.is_ok()
}

/// Runs `test` alone on `dir`, and kills it with SIGKILL after so many acknowledgements and one. The last number that it acknowledged.
///
/// # Panics
/// If the process cannot be run, ends before, or acknowledges what is no number of this type.
pub fn kill_after<N: FromStr + Display>(
    test: &str,
    dir: &Path,
    first: N,
    acknowledgements: usize,
) -> N {
    let mut command = Command::new(env::current_exe().expect("a test binary has a file"));
    alone(&mut command, test)
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("a test binary can be started");
    let output = child.stdout.take().expect("it is piped");
    let lines = BufReader::new(output).lines();
    let acknowledged = lines
        .filter_map(|line| {
            let line = line.expect("what a test prints is text");
            let number = line.strip_prefix(ACKNOWLEDGED)?;
            Some(number.parse().ok().expect("a number is acknowledged"))
        })
        .nth(acknowledgements)
        .expect("it acknowledges until it is killed");
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
    acknowledged
}

/// Runs `test` alone in a process that gets an error instead of a signal when a file would be larger than [`limit`] lets it, with a folder
/// of its own: its [`room`].
///
/// # Panics
/// If it fails.
pub fn run_with_a_limit(test: &str) {
    let dir = tempfile::tempdir().expect("there is a temporary folder");
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(env::current_exe().expect("a test binary has a file"));
    let ended = alone(&mut command, test)
        .env(DIR, dir.path())
        .output()
        .expect("a test binary can be started");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// The folder of a process that [`run_with_a_limit`] has started; `None` in any other.
pub fn room() -> Option<PathBuf> {
    env::var_os(DIR).map(PathBuf::from)
}

/// Bytes that a file of this process may have from now on; `None` for as many as at first.
///
/// # Panics
/// If the limit cannot be set.
pub fn limit(bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let limit = Rlimit {
        current: bytes.or(maximum),
        maximum,
    };
    setrlimit(Resource::Fsize, limit).expect("a limit can be lowered, and raised again");
}

fn alone<'c>(command: &'c mut Command, test: &str) -> &'c mut Command {
    command.args(["--exact", test, "--nocapture"])
}
