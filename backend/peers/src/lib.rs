//! The real components: where they are found, and, for tests and benches, how they are started beside ours and ended.
//!
//! What a component is asked, and what its answer must be, is the matter of the test. See `docs/stack.md`.

use std::{
    env, fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

pub mod loki;

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);
/// In which the kernel counts the time of processes.
const TICKS_PER_SECOND: f64 = 100.0;

/// The program of a real component. Without it, whoever runs the test is told that it was left out.
#[allow(
    clippy::print_stdout,
    reason = "who runs the tests must know what was left out"
)]
pub fn component(name: &str) -> Option<PathBuf> {
    let program = find(name);
    if program.is_none() {
        println!("left out: {name} is not at hand (make stack)");
    }
    program
}

/// A program in `TRIPOD_STACK_BIN`, on PATH, or where `make stack` builds.
pub fn find(program: &str) -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let path = env::var_os("PATH").unwrap_or_default();
    env::var_os("TRIPOD_STACK_BIN")
        .map(PathBuf::from)
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(cache.map(|cache| cache.join("tripod/stack/bin")))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A loopback address that is free now.
///
/// # Panics
/// If the system has none.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port is free")
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within `patience`.
pub fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !condition() {
        assert!(
            Instant::now() < until,
            "the real component did not get there in {patience:?}"
        );
        thread::sleep(POLL);
    }
}

/// User and system time of all threads of a process.
///
/// # Panics
/// If there is no such process.
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process is there");
    // The name may hold spaces; the fields after it do not. User and system time are the 14th and 15th of all.
    let (_, fields) = stat
        .rsplit_once(") ")
        .expect("a name stands in parentheses");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>().expect("times are numbers"));
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// A running component. It does not outlive this value.
#[derive(Debug)]
pub struct Peer(pub Child);

impl Peer {
    /// Starts `command` and waits until it listens on each of `addresses`.
    ///
    /// # Errors
    /// The program cannot be run.
    ///
    /// # Panics
    /// If it ends, or does not listen within `patience`.
    pub fn start(
        mut command: Command,
        addresses: &[SocketAddr],
        patience: Duration,
    ) -> io::Result<Self> {
        let mut peer = Self(command.spawn()?);
        wait_until(patience, || {
            let ended = peer.0.try_wait().expect("a child can be waited for");
            assert_eq!(ended, None, "{command:?} ended");
            addresses
                .iter()
                .all(|address| TcpStream::connect(address).is_ok())
        });
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Of one that has ended, there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
