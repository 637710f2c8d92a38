//! Deletes items whose time to live is over: the engine leaves this to the process that embeds it.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dynoxide::Database;

use super::Failures;

/// Shortest time between two sweeps.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// A sweep reads every row of each table that has a time to live, so it is followed by a rest of
/// this many times its own length: sweeping never takes more than a twentieth of a core. (AWS
/// allows itself days.)
const REST_RATIO: u32 = 19;

/// The thread that sweeps. The engine lets requests in between the pages of a sweep.
pub(super) struct Sweeps {
    thread: JoinHandle<()>,
    /// Dropped to stop.
    stop: Sender<()>,
}

impl Sweeps {
    pub(super) fn start(database: Database) -> io::Result<Sweeps> {
        let (stop, stopped) = mpsc::channel();
        let sweep = move || {
            let failures = Failures::default();
            let mut pause = PAUSE_MIN;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                match database.sweep_ttl() {
                    Ok(_) => failures.succeeded("removing expired items"),
                    Err(error) => failures.failed("removing expired items", &error),
                }
                pause = PAUSE_MIN.max(begun.elapsed() * REST_RATIO);
            }
        };
        let thread = std::thread::Builder::new()
            .name("dynamodb-ttl".to_owned())
            .spawn(sweep)?;
        Ok(Sweeps { thread, stop })
    }

    /// Waits for the sweep under way.
    pub(super) fn stop(self) {
        drop(self.stop);
        // A panic in it was reported when it happened.
        let _ = self.thread.join();
    }
}
